"""Short names of engines, resolved when one is chosen and not before.

A name maps to `module:attribute`. The module is imported on first use, so an engine
that nobody chose costs nothing. Our modules import without the packages that they need;
an engine names a missing one when it is warmed up.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from voice_call.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "REHEARSALS",
    "SPEECH_TO_TEXT",
    "TEXT_TO_SPEECH",
    "VOICE_DETECTORS",
    "resolve",
]

TEXT_TO_SPEECH: Mapping[str, str] = {
    "local": "voice_call.speech.local.synthesis:LocalTextToSpeech",
    "tone": "voice_call.testing.speech:ToneTextToSpeech",
}
SPEECH_TO_TEXT: Mapping[str, str] = {
    "local": "voice_call.speech.local.recognition:LocalSpeechToText",
    "silent": "voice_call.testing.speech:SilentSpeechToText",
}
VOICE_DETECTORS: Mapping[str, str] = {
    "local": "voice_call.speech.local.voice:SileroVoiceDetector",
    "energy": "voice_call.testing.speech:EnergyVoiceDetector",
}
REHEARSALS: Mapping[str, str] = {
    "twilio": "voice_call.testing.twilio_network.rehearsal:TwilioRehearsal",
}
"""Simulated carriers for `openclaw voicecall simulate`."""


def resolve(table: Mapping[str, str], name: str, *, key_path: str) -> Any:
    """Return the class or function that a short name stands for.

    Raises:
        ConfigError: The name is not in the table.
    """
    target = table.get(name)
    if target is None:
        raise ConfigError(
            f"{name!r} is not known; choose one of {', '.join(sorted(table))}.",
            key_path=key_path,
        )
    module_name, _, attribute = target.partition(":")
    return getattr(import_module(module_name), attribute)
