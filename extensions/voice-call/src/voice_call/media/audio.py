"""The telephone's audio format, and what a media stream can be told to do.

Inside the plugin audio is always G.711 µ-law, 8 kHz, mono: one byte a sample, 160
bytes a 20 ms frame.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "FRAME_BYTES",
    "FRAME_S",
    "SAMPLE_RATE_HZ",
    "SILENCE",
    "SILENT_FRAME",
    "ClearAudio",
    "SendAudio",
    "SendMark",
    "StreamCommand",
    "duration_s",
]

SAMPLE_RATE_HZ = 8000
FRAME_BYTES = 160
"""Bytes in one frame; also its samples."""
FRAME_S = 0.02
SILENCE = 0xFF
"""The µ-law code of zero (ITU-T G.711)."""
SILENT_FRAME = bytes([SILENCE]) * FRAME_BYTES


def duration_s(audio: bytes) -> float:
    """Return how long µ-law audio lasts, in seconds."""
    return len(audio) / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True, kw_only=True)
class SendAudio:
    """Play audio: G.711 µ-law, 8 kHz, any length."""

    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SendMark:
    """Report back when everything sent before has been played."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearAudio:
    """Drop what has not been played yet; pending marks come back at once."""


StreamCommand = SendAudio | SendMark | ClearAudio
