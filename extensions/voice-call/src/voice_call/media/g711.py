"""ITU-T G.711: µ-law and A-law, by tables.

Linear audio is PCM of 16 bits, signed, little-endian, mono. The encoder is the textbook
one: it clips at 32635, adds a bias of 132 to the magnitude and truncates, so that the
two codes of a sample and its negative differ in the sign bit alone. Other encoders
differ from it by one step on a few negative samples; all of them decode alike.

Everything is a table built at import and applied by `bytes.translate` or `map`, which
costs microseconds a frame without any native dependency.
"""

from __future__ import annotations

import sys
from array import array
from math import log10, sqrt

__all__ = [
    "SILENCE_DBFS",
    "alaw_to_ulaw",
    "decode_ulaw",
    "encode_ulaw",
    "mean_level",
    "ulaw_to_alaw",
]

SILENCE_DBFS = -96.0
"""What `mean_level` gives for digital silence: the floor of 16-bit audio."""

_BIAS = 132
_CLIP = 32635
_PEAK = 32124
"""The largest magnitude that µ-law can express."""
_SINE_CORRECTION_DB = 1.7
"""Makes the mean of square roots of a sine equal its RMS level."""


def _ulaw_level(code: int) -> int:
    """Return the 16-bit sample that a µ-law code stands for."""
    bits = ~code & 0xFF
    magnitude = ((((bits & 0x0F) << 3) + _BIAS) << (bits >> 4 & 7)) - _BIAS
    return -magnitude if bits & 0x80 else magnitude


def _alaw_level(code: int) -> int:
    """Return the 16-bit sample that an A-law code stands for."""
    bits = code ^ 0x55
    segment = bits >> 4 & 7
    magnitude = ((bits & 0x0F) << 4) + 8
    if segment:
        magnitude = (magnitude + 0x100) << (segment - 1)
    return magnitude if bits & 0x80 else -magnitude


_ULAW_LEVELS = tuple(_ulaw_level(code) for code in range(256))
_ALAW_LEVELS = tuple(_alaw_level(code) for code in range(256))

_LOW_BYTES = bytes(level & 0xFF for level in _ULAW_LEVELS)
_HIGH_BYTES = bytes(level >> 8 & 0xFF for level in _ULAW_LEVELS)

_ROOTS = bytes(round(255 * sqrt(abs(level) / _PEAK)) for level in _ULAW_LEVELS)
"""Square roots of magnitudes: they fit into bytes and keep quiet sounds apart."""


def _encoder() -> bytes:
    """Return the µ-law code of every sample, indexed by its unsigned 16 bits."""
    positive = bytearray()
    for segment in range(8):
        for step in range(16):
            code = ~(segment << 4 | step) & 0xFF
            positive += bytes([code]) * (8 << segment)
    del positive[: _BIAS - 128]  # the bias cuts the first step short
    positive[_CLIP:] = bytes([0x80]) * (32769 - _CLIP)  # 0 … 32768
    negative = bytes(code & 0x7F for code in reversed(positive[1:]))  # -32768 … -1
    return bytes(positive[:32768]) + negative


_ULAW_CODES = _encoder()

_ALAW_TO_ULAW = bytes(_ULAW_CODES[level & 0xFFFF] for level in _ALAW_LEVELS)


def _nearest_alaw(level: int, *, is_negative: bool) -> int:
    same_sign = (code for code in range(256) if (_ALAW_LEVELS[code] < 0) == is_negative)
    return min(same_sign, key=lambda code: abs(_ALAW_LEVELS[code] - level))


_ULAW_TO_ALAW = bytes(
    _nearest_alaw(level, is_negative=not code & 0x80)
    for code, level in enumerate(_ULAW_LEVELS)
)


def decode_ulaw(audio: bytes) -> bytes:
    """Return µ-law audio as PCM of 16 bits, little-endian: two bytes a sample."""
    pcm = bytearray(2 * len(audio))
    pcm[0::2] = audio.translate(_LOW_BYTES)
    pcm[1::2] = audio.translate(_HIGH_BYTES)
    return bytes(pcm)


def encode_ulaw(pcm: bytes) -> bytes:
    """Return PCM of 16 bits, little-endian, as µ-law: one byte a sample.

    Raises:
        ValueError: Half a sample; the length is odd.
    """
    samples = array("H", pcm)
    if sys.byteorder == "big":  # pragma: no cover - no such machine tests this
        samples.byteswap()
    return bytes(map(_ULAW_CODES.__getitem__, samples))


def alaw_to_ulaw(audio: bytes) -> bytes:
    """Return A-law audio as µ-law, each sample as the encoder would code it."""
    return audio.translate(_ALAW_TO_ULAW)


def ulaw_to_alaw(audio: bytes) -> bytes:
    """Return µ-law audio as A-law, each sample at the nearest level of its sign."""
    return audio.translate(_ULAW_TO_ALAW)


def mean_level(audio: bytes | bytearray) -> float:
    """Return how loud µ-law audio is, in dBFS.

    Exact for a sine (its RMS level), within 3 dB of RMS for noise and speech, for about
    a microsecond a frame: it averages square roots of magnitudes, which fit into bytes.
    `SILENCE_DBFS` for no audio or digital silence.
    """
    total = sum(audio.translate(_ROOTS))
    if not total:
        return SILENCE_DBFS
    return 40 * log10(total / (255 * len(audio))) + _SINE_CORRECTION_DB
