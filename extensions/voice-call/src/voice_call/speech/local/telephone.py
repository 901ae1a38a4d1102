"""Between the telephone's µ-law at 8 kHz and the floating-point audio of the models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_call.media.g711 import decode_ulaw, encode_ulaw
from voice_call.speech.local.models import load_library

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]
    """Audio between -1 and 1, mono."""

__all__ = ["from_telephone", "resample", "to_telephone"]


def from_telephone(audio: bytes) -> Samples:
    """Return µ-law audio as samples between -1 and 1."""
    np = load_library("numpy")
    linear = np.frombuffer(decode_ulaw(audio), "<i2")
    samples: Samples = linear.astype(np.float32) / np.float32(32768)
    return samples


def to_telephone(samples: Samples) -> bytes:
    """Return samples as µ-law audio; what is beyond -1..1 is clipped."""
    np = load_library("numpy")
    linear = np.clip(np.round(samples * 32767.0), -32768, 32767).astype("<i2")
    return encode_ulaw(linear.tobytes())


def resample(samples: Samples, *, from_hz: int, to_hz: int) -> Samples:
    """Return a whole utterance at another rate, in one go, with an anti-alias filter."""
    resampled: Samples = load_library("soxr").resample(
        samples, from_hz, to_hz, quality="HQ"
    )
    return resampled
