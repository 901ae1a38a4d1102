"""Embedded speech: synthesis, recognition and voice activity without network or keys.

Needs the extra `openclaw-voice-call[local]`. Importing this package is cheap: numpy and
onnxruntime come in when an engine is warmed up or first used, and a missing package is
named, with its remedy, at that moment.
"""

from __future__ import annotations

from voice_call.speech.local.recognition import LocalSpeechToText
from voice_call.speech.local.synthesis import LocalTextToSpeech
from voice_call.speech.local.voice import SileroVoiceDetector

__all__ = ["LocalSpeechToText", "LocalTextToSpeech", "SileroVoiceDetector"]
