"""The plugin's configuration: read it with `load_config`, then only look at it.

`section` has the ground rules and shared types, `sections` and `tts` the settings, `root`
the whole; `sources` fills in environment and defaults, `problems` words what is wrong,
`checks` says what is missing for real calls.
"""

from __future__ import annotations

from voice_call.config.checks import validate_provider
from voice_call.config.problems import ConfigProblems, Problem
from voice_call.config.root import (
    KEY_PATH,
    VoiceCallConfig,
    load_config,
    resolve_tts,
)
from voice_call.config.tts import TtsConfig, merge_tts

__all__ = [
    "KEY_PATH",
    "ConfigProblems",
    "Problem",
    "TtsConfig",
    "VoiceCallConfig",
    "load_config",
    "merge_tts",
    "resolve_tts",
    "validate_provider",
]
