"""G.711 over any audio."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voice_call.media.g711 import (
    alaw_to_ulaw,
    decode_ulaw,
    encode_ulaw,
    mean_level,
    ulaw_to_alaw,
)

audio_of_any_length = st.binary(max_size=1000)


@given(audio_of_any_length)
def test_decoded_audio_encodes_to_the_same_sound(audio: bytes) -> None:
    assert encode_ulaw(decode_ulaw(audio)) == audio.replace(b"\x7f", b"\xff")


@given(audio_of_any_length, audio_of_any_length)
def test_each_sample_is_converted_on_its_own(first: bytes, second: bytes) -> None:
    for convert in (decode_ulaw, alaw_to_ulaw, ulaw_to_alaw):
        assert convert(first + second) == convert(first) + convert(second)


@given(st.integers(-32768, 32767), st.integers(-32768, 32767))
def test_encoding_keeps_the_order_of_samples(a: int, b: int) -> None:
    low, high = sorted((a, b))
    pcm = low.to_bytes(2, "little", signed=True) + high.to_bytes(
        2, "little", signed=True
    )
    decoded = decode_ulaw(encode_ulaw(pcm))
    assert int.from_bytes(decoded[:2], "little", signed=True) <= int.from_bytes(
        decoded[2:], "little", signed=True
    )


@given(audio_of_any_length)
def test_a_level_is_within_the_range_of_16_bits(audio: bytes) -> None:
    assert -96.0 <= mean_level(audio) <= 2.0


@given(audio_of_any_length)
def test_the_sign_of_samples_does_not_change_the_level(audio: bytes) -> None:
    mirrored = bytes(code ^ 0x80 for code in audio)
    assert mean_level(mirrored) == mean_level(audio)
