"""G.711 tables, against published values and the standard library's codec."""

from __future__ import annotations

import math
import struct
import warnings
from typing import Any

import pytest

from voice_call.media.g711 import (
    SILENCE_DBFS,
    alaw_to_ulaw,
    decode_ulaw,
    encode_ulaw,
    mean_level,
    ulaw_to_alaw,
)

ALL_CODES = bytes(range(256))


@pytest.fixture(scope="module")
def audioop() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pytest.importorskip("audioop", reason="gone from Python 3.13 on")


def samples(pcm: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(pcm) // 2}h", pcm)


def pcm(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}h", *values)


def sine(dbfs: float, *, count: int = 8000) -> list[int]:
    peak = 32768 * 10 ** (dbfs / 20)
    step = 2 * math.pi * 1004 / 8000
    return [round((peak - 1) * math.sin(step * i)) for i in range(count)]


@pytest.mark.parametrize(
    ("sample", "code"),
    [
        (0, 0xFF),
        (1, 0xFF),
        (-1, 0x7F),
        (8, 0xFE),
        (100, 0xF2),
        (-100, 0x72),
        (1000, 0xCE),
        (-1000, 0x4E),
        (8031, 0xA0),
        (16000, 0x90),
        (32635, 0x80),
        (32767, 0x80),
        (-32767, 0x00),
        (-32768, 0x00),
    ],
)
def test_known_samples_encode_to_known_codes(sample: int, code: int) -> None:
    assert encode_ulaw(pcm(sample)) == bytes([code])


@pytest.mark.parametrize(
    ("code", "sample"),
    [(0xFF, 0), (0x7F, 0), (0xFE, 8), (0x80, 32124), (0x00, -32124), (0xCE, 988)],
)
def test_known_codes_decode_to_known_samples(code: int, sample: int) -> None:
    assert samples(decode_ulaw(bytes([code]))) == (sample,)


def test_decoding_agrees_with_the_standard_library(audioop: Any) -> None:
    assert decode_ulaw(ALL_CODES) == audioop.ulaw2lin(ALL_CODES, 2)


def test_every_code_survives_decoding_and_encoding() -> None:
    """Except negative zero, which has the same sample as zero."""
    expected = bytearray(ALL_CODES)
    expected[0x7F] = 0xFF
    assert encode_ulaw(decode_ulaw(ALL_CODES)) == bytes(expected)


def test_every_sample_encodes_to_within_half_a_step() -> None:
    values = range(-32768, 32768)
    decoded = samples(decode_ulaw(encode_ulaw(pcm(*values))))
    for value, result in zip(values, decoded, strict=True):
        magnitude = min(abs(value), 32635)
        half_step = 4 << ((magnitude + 132).bit_length() - 8)
        assert abs(result - math.copysign(magnitude, value)) <= half_step


def test_encoding_is_within_a_step_of_the_standard_library(audioop: Any) -> None:
    everything = pcm(*range(-32768, 32768))
    ours = encode_ulaw(everything)
    theirs = audioop.lin2ulaw(everything, 2)
    assert sum(a != b for a, b in zip(ours, theirs, strict=True)) < 0.01 * 65536


@pytest.mark.parametrize("dbfs", [-6.0, -20.0, -40.0])
def test_a_tone_keeps_33_db_above_the_quantising_noise(dbfs: float) -> None:
    tone = sine(dbfs)
    decoded = samples(decode_ulaw(encode_ulaw(pcm(*tone))))
    noise = sum((a - b) ** 2 for a, b in zip(tone, decoded, strict=True))
    assert 10 * math.log10(sum(a * a for a in tone) / noise) >= 33.0


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="not a multiple"):
        encode_ulaw(b"\x00\x00\x00")


def test_nothing_becomes_nothing() -> None:
    assert decode_ulaw(b"") == encode_ulaw(b"") == alaw_to_ulaw(b"") == b""


def test_alaw_becomes_the_ulaw_code_of_its_sample(audioop: Any) -> None:
    assert alaw_to_ulaw(ALL_CODES) == encode_ulaw(audioop.alaw2lin(ALL_CODES, 2))


def test_ulaw_becomes_the_nearest_alaw_code_of_its_sign(audioop: Any) -> None:
    levels = samples(audioop.alaw2lin(ALL_CODES, 2))
    converted = samples(audioop.alaw2lin(ulaw_to_alaw(ALL_CODES), 2))
    for code, (wanted, got) in enumerate(
        zip(samples(decode_ulaw(ALL_CODES)), converted, strict=True)
    ):
        best = min(abs(level - wanted) for level in levels)
        assert abs(got - wanted) == best
        assert (got > 0) == (code >= 0x80)


@pytest.mark.parametrize(
    ("alaw", "ulaw"), [(0xD5, 0xFE), (0x55, 0x7E), (0xAA, 0x80), (0x2A, 0x00)]
)
def test_known_alaw_codes_become_known_ulaw_codes(alaw: int, ulaw: int) -> None:
    assert alaw_to_ulaw(bytes([alaw])) == bytes([ulaw])


@pytest.mark.parametrize("dbfs", [-6.0, -20.0, -40.0])
def test_the_level_of_a_tone_is_its_rms(dbfs: float) -> None:
    audio = encode_ulaw(pcm(*sine(dbfs)))
    assert mean_level(audio) == pytest.approx(dbfs - 3.0, abs=0.5)


@pytest.mark.parametrize("audio", [b"", b"\xff" * 160, b"\x7f" * 160])
def test_silence_has_the_lowest_level(audio: bytes) -> None:
    assert mean_level(audio) == SILENCE_DBFS == -96.0


def test_an_idle_line_is_told_from_silence() -> None:
    assert -76.0 < mean_level(b"\xfe\x7e" * 80) < -70.0
