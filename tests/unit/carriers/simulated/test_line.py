"""The playout buffer: what plays when, and when marks come back."""

from __future__ import annotations

from voice_call.carriers.base import ClearAudio, SendAudio, SendMark
from voice_call.carriers.simulated.line import MAX_MARKS, Played, PlayoutBuffer


def test_an_empty_buffer_plays_silence() -> None:
    buffer = PlayoutBuffer(capacity_bytes=1000)
    assert buffer.play() == Played(audio=b"\xff" * 160, voiced_bytes=0, marks=())


def test_audio_of_any_length_plays_160_bytes_at_a_time() -> None:
    buffer = PlayoutBuffer(capacity_bytes=1000)
    assert buffer.push(SendAudio(payload=b"a" * 100)) == ()
    buffer.push(SendAudio(payload=b"b" * 100))
    assert buffer.depth_bytes == 200
    assert buffer.play().audio == b"a" * 100 + b"b" * 60
    assert buffer.depth_bytes == 40
    assert buffer.play() == Played(
        audio=b"b" * 40 + b"\xff" * 120, voiced_bytes=40, marks=()
    )


def test_a_mark_behind_nothing_comes_back_at_once() -> None:
    assert PlayoutBuffer(capacity_bytes=9).push(SendMark(name="m")) == ("m",)


def test_a_mark_comes_back_with_the_last_byte_before_it() -> None:
    buffer = PlayoutBuffer(capacity_bytes=1000)
    buffer.push(SendAudio(payload=b"a" * 320))
    assert buffer.push(SendMark(name="one")) == ()
    assert buffer.push(SendMark(name="two")) == ()
    buffer.push(SendAudio(payload=b"b" * 10))
    buffer.push(SendMark(name="three"))
    assert [buffer.play().marks for _ in range(4)] == [
        (),
        ("one", "two"),
        ("three",),
        (),
    ]


def test_clear_drops_audio_and_gives_marks_back_in_order() -> None:
    buffer = PlayoutBuffer(capacity_bytes=1000)
    buffer.push(SendAudio(payload=b"a" * 320))
    buffer.push(SendMark(name="one"))
    buffer.push(SendAudio(payload=b"b" * 320))
    buffer.push(SendMark(name="two"))
    assert buffer.push(ClearAudio()) == ("one", "two")
    assert buffer.depth_bytes == 0
    assert buffer.play().voiced_bytes == 0


def test_a_full_buffer_loses_what_does_not_fit_and_counts_it() -> None:
    buffer = PlayoutBuffer(capacity_bytes=200)
    buffer.push(SendAudio(payload=b"a" * 150))
    buffer.push(SendAudio(payload=b"b" * 150))
    buffer.push(SendAudio(payload=b"c" * 10))
    assert (buffer.depth_bytes, buffer.dropped_bytes) == (200, 110)
    assert buffer.play().audio + buffer.play().audio[:40] == b"a" * 150 + b"b" * 50


def test_marks_are_bounded_too() -> None:
    buffer = PlayoutBuffer(capacity_bytes=200)
    buffer.push(SendAudio(payload=b"a"))
    for n in range(MAX_MARKS + 2):
        assert buffer.push(SendMark(name=str(n))) == ()
    assert buffer.dropped_marks == 2
    assert len(buffer.play().marks) == MAX_MARKS
