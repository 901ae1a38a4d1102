"""The sounds of a telephone line: tones, noise, echo and their mixture.

PURE. All audio is G.711 µ-law at 8 kHz; levels are RMS in dBFS.
"""

from __future__ import annotations

import math
from array import array

from voice_call.media.audio import FRAME_BYTES, SAMPLE_RATE_HZ, SILENT_FRAME
from voice_call.media.g711 import decode_ulaw, encode_ulaw

__all__ = ["LineNoise", "attenuate", "mix", "tone"]

_PEAK = 32767
_NOISE_FRAMES = 100
"""Two seconds of noise, repeated: long enough that nobody hears the seam."""


def tone(frequency_hz: float, duration_s: float, *, level_dbfs: float = -12) -> bytes:
    """Return a sine."""
    peak = _PEAK * math.sqrt(2) * 10 ** (level_dbfs / 20)
    step = 2 * math.pi * frequency_hz / SAMPLE_RATE_HZ
    count = round(duration_s * SAMPLE_RATE_HZ)
    samples = array("h", (round(peak * math.sin(step * n)) for n in range(count)))
    return encode_ulaw(samples.tobytes())


def mix(one: bytes, other: bytes) -> bytes:
    """Return the sum of two pieces of equal length, clipped."""
    left, right = array("h", decode_ulaw(one)), array("h", decode_ulaw(other))
    both = (max(-_PEAK, min(_PEAK, a + b)) for a, b in zip(left, right, strict=True))
    return encode_ulaw(array("h", both).tobytes())


def _attenuation(gain_db: float) -> bytes:
    levels = array("h", decode_ulaw(bytes(range(256))))
    gain = 10 ** (gain_db / 20)
    return encode_ulaw(array("h", (round(v * gain) for v in levels)).tobytes())


_MINUS_20_DB = _attenuation(-20)


def attenuate(audio: bytes) -> bytes:
    """Return audio 20 dB quieter."""
    return audio.translate(_MINUS_20_DB)


def _noise(level_dbfs: float, count: int) -> bytes:
    """Return white noise, the same every time (a linear congruential generator)."""
    peak = _PEAK * math.sqrt(3) * 10 ** (level_dbfs / 20)
    state, samples = 1, array("h")
    for _ in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        samples.append(round(peak * (state / 2**31 - 1)))
    return encode_ulaw(samples.tobytes())


class LineNoise:
    """The hiss of a line, which is there even while nobody speaks.

    Args:
        level_dbfs: RMS level, at most −10.
        is_mixed: Add it to speech as well; otherwise only silence has it.
    """

    def __init__(self, *, level_dbfs: float, is_mixed: bool) -> None:
        pool = _noise(level_dbfs, _NOISE_FRAMES * FRAME_BYTES)
        self._frames = [
            pool[start : start + FRAME_BYTES]
            for start in range(0, len(pool), FRAME_BYTES)
        ]
        self._is_mixed = is_mixed

    def add(self, frame: bytes, position: int) -> bytes:
        """Return a frame with the noise of the line at its `position` (frames)."""
        noise = self._frames[position % _NOISE_FRAMES]
        if frame == SILENT_FRAME:
            return noise
        return mix(frame, noise) if self._is_mixed else frame
