"""Ears and mouths of callees."""

from __future__ import annotations

from voice_call.testing.twilio_network import AudioEnd, EchoEnd, SilentEnd


def test_silence_says_nothing() -> None:
    end = SilentEnd()
    end.on_audio(b"\x01" * 160)
    assert end.next_frame() is None


def test_an_echo_comes_back_after_its_delay() -> None:
    end = EchoEnd(delay_frames=1)
    end.on_audio(b"\x01" * 160)
    assert end.next_frame() is None
    end.on_audio(b"\x02" * 160)
    assert end.next_frame() == b"\x01" * 160


def test_an_echo_of_nothing_is_nothing() -> None:
    assert EchoEnd().next_frame() is None


def test_given_audio_is_said_once() -> None:
    end = AudioEnd(b"\x01" * 170)
    end.on_audio(b"\x02" * 160)
    assert end.next_frame() == b"\x01" * 160
    assert end.next_frame() == b"\x01" * 10 + b"\xff" * 150
    assert end.next_frame() is None
