"""One media socket from upgrade to end, without a socket and in virtual time."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from voice_call.call.model import CarrierCallId, Digit, StreamId
from voice_call.carriers.base import (
    StreamAudio,
    StreamDigit,
    StreamMark,
    StreamStarted,
    StreamStopped,
)
from voice_call.errors import RemoteProtocolError, UnknownCall
from voice_call.media.audio import ClearAudio, SendAudio, SendMark
from voice_call.server.media_session import CloseCode, MediaLimits, MediaSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_call.carriers.base import (
        MediaLink,
        MediaListener,
        StreamCommand,
        StreamEvent,
    )

pytestmark = pytest.mark.anyio

STARTED = StreamStarted(
    stream_id=StreamId("MZ1"), carrier_call_id=CarrierCallId("CA1"), token="t0ken"
)
MESSAGES: dict[bytes, StreamEvent | None] = {
    b"connected": None,
    b"start": STARTED,
    b"audio": StreamAudio(payload=b"\x55" * 160),
    b"mark": StreamMark(name="m1"),
    b"digit": StreamDigit(digit=Digit.FIVE),
    b"stop": StreamStopped(),
}


class TableCodec:
    """Knows a few messages."""

    def decode(self, message: bytes) -> StreamEvent | None:
        if message == b"bug":
            raise RuntimeError("a codec with a bug")
        if message not in MESSAGES:
            raise RemoteProtocolError("Not a message of a stream.")
        return MESSAGES[message]

    def encode(self, command: StreamCommand, *, stream_id: StreamId) -> bytes:
        match command:
            case SendAudio():
                return b"audio " + command.payload
            case SendMark():
                if command.name == "bug":
                    raise RuntimeError("a codec with a bug")
                return f"mark {command.name} {stream_id}".encode()
            case ClearAudio():
                return b"clear"


class Wire:
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed: list[tuple[CloseCode, str]] = []
        self.backlog_bytes = 0

    def send(self, message: bytes) -> int:
        self.sent.append(message)
        return self.backlog_bytes

    def close(self, code: CloseCode, reason: str) -> None:
        self.closed.append((code, reason))


class Listener:
    """The call's end of the stream."""

    def __init__(self) -> None:
        self.events: list[StreamEvent] = []
        self.fails_on: type[StreamEvent] | None = None

    def receive(self, event: StreamEvent) -> None:
        self.events.append(event)
        if self.fails_on is not None and isinstance(event, self.fails_on):
            raise RuntimeError("a listener with a bug")


class Line:
    """A session with everything around it."""

    def __init__(self, limits: MediaLimits | None = None) -> None:
        self.wire = Wire()
        self.listener = Listener()
        self.over: list[MediaSession] = []
        self.bound: list[StreamStarted] = []
        self.on_bind: Callable[[MediaLink], None] = lambda link: None
        self.session = MediaSession(
            TableCodec(),
            limits or MediaLimits(),
            wire=self.wire,
            bind=self._bind,
            on_over=self.over.append,
        )

    def _bind(self, started: StreamStarted, link: MediaLink) -> MediaListener:
        self.bound.append(started)
        self.on_bind(link)
        return self.listener

    def receive(self, *messages: bytes) -> None:
        for message in messages:
            self.session.receive(message)


async def settle() -> None:
    await asyncio.sleep(0)


# -- waiting ---------------------------------------------------------------------------


async def test_socket_without_a_start_is_closed_in_time() -> None:
    line = Line(MediaLimits(start_s=5))
    line.receive(b"connected")
    await asyncio.sleep(4.999)
    assert line.wire.closed == []
    assert line.session.is_waiting
    await asyncio.sleep(0.002)
    assert line.wire.closed == [(CloseCode.POLICY_VIOLATION, "Start timeout")]
    assert not line.session.is_waiting


async def test_start_stops_the_deadline() -> None:
    line = Line(MediaLimits(start_s=5))
    line.receive(b"start")
    assert not line.session.is_waiting
    await asyncio.sleep(3600)
    assert line.wire.closed == []


async def test_call_is_found_by_the_first_start() -> None:
    line = Line()
    line.receive(b"connected", b"start")
    assert line.bound == [STARTED]


@pytest.mark.parametrize("message", [b"audio", b"mark", b"digit", b"stop"])
async def test_events_before_the_start_are_skipped(message: bytes) -> None:
    line = Line()
    line.receive(message, b"start")
    assert line.bound == [STARTED]
    assert line.listener.events == []


async def test_refused_start_closes_the_socket() -> None:
    def refuse(_: MediaLink) -> None:
        raise UnknownCall("No live call has this id.")

    line = Line()
    line.on_bind = refuse
    line.receive(b"start", b"audio")
    await settle()
    assert line.wire.closed == [(CloseCode.POLICY_VIOLATION, "Unknown call")]
    assert line.listener.events == []


async def test_fault_while_opening_closes_the_socket() -> None:
    def fail(_: MediaLink) -> None:
        raise RuntimeError("a call with a bug")

    line = Line()
    line.on_bind = fail
    line.receive(b"start")
    assert line.wire.closed == [(CloseCode.INTERNAL_ERROR, "")]


async def test_command_before_the_start_is_dropped() -> None:
    line = Line()
    line.session.send(ClearAudio())
    assert line.wire.sent == []


# -- live ------------------------------------------------------------------------------


async def test_events_reach_the_call_in_the_step_in_which_they_arrive() -> None:
    line = Line()
    line.receive(b"start", b"audio", b"mark", b"digit")
    assert line.listener.events == [
        StreamAudio(payload=b"\x55" * 160),
        StreamMark(name="m1"),
        StreamDigit(digit=Digit.FIVE),
    ]


async def test_commands_are_written_in_the_step_in_which_they_are_given() -> None:
    line = Line()
    line.receive(b"start")
    line.session.send(SendAudio(payload=b"xy"))
    line.session.send(SendMark(name="m1"))
    line.session.send(ClearAudio())
    assert line.wire.sent == [b"audio xy", b"mark m1 MZ1", b"clear"]


async def test_call_may_speak_while_its_stream_is_being_bound() -> None:
    line = Line()
    line.on_bind = lambda link: link.send(SendMark(name="hello"))
    line.receive(b"start")
    assert line.wire.sent == [b"mark hello MZ1"]


async def test_second_start_ends_the_stream() -> None:
    line = Line()
    line.receive(b"start", b"start")
    await settle()
    assert line.wire.closed == [(CloseCode.POLICY_VIOLATION, "Second start")]
    assert line.listener.events == [StreamStopped()]
    assert line.bound == [STARTED]


async def test_nonsense_is_skipped_until_it_is_too_much() -> None:
    line = Line(MediaLimits(malformed=2))
    line.receive(b"start", b"{", b"[", b"audio")
    assert line.wire.closed == []
    line.receive(b"}")
    assert line.wire.closed == [
        (CloseCode.POLICY_VIOLATION, "Too many malformed messages")
    ]


async def test_text_that_is_not_utf8_ends_the_stream() -> None:
    line = Line()
    line.receive(b"start", b"\xff\xfe")
    assert line.wire.closed == [(CloseCode.INVALID_TEXT, "Not UTF-8")]


@pytest.mark.parametrize(
    ("backlog_bytes", "closed"),
    [
        (1_048_576, []),
        (1_048_577, [(CloseCode.TRY_AGAIN_LATER, "Backlog too long")]),
    ],
)
async def test_peer_that_does_not_read_is_given_up(
    backlog_bytes: int, closed: list[tuple[CloseCode, str]]
) -> None:
    line = Line()
    line.receive(b"start")
    line.wire.backlog_bytes = backlog_bytes
    line.session.send(ClearAudio())
    assert line.wire.closed == closed


# -- over ------------------------------------------------------------------------------


def stop(line: Line) -> None:
    line.receive(b"stop")


def close(line: Line) -> None:
    line.session.close()


def lose(line: Line) -> None:
    line.session.lost()


def fail_to_decode(line: Line) -> None:
    line.receive(b"bug")


def fail_to_encode(line: Line) -> None:
    line.session.send(SendMark(name="bug"))


def fail_to_listen(line: Line) -> None:
    line.listener.fails_on = StreamMark
    line.receive(b"mark")
    line.listener.events.clear()


WAYS = [
    (stop, [(CloseCode.NORMAL, "")]),
    (close, [(CloseCode.NORMAL, "")]),
    (lose, []),
    (fail_to_decode, [(CloseCode.INTERNAL_ERROR, "")]),
    (fail_to_encode, [(CloseCode.INTERNAL_ERROR, "")]),
    (fail_to_listen, [(CloseCode.INTERNAL_ERROR, "")]),
]


@pytest.mark.parametrize(("end", "closed"), WAYS)
async def test_call_hears_of_the_end_once(
    end: Callable[[Line], None], closed: list[tuple[CloseCode, str]]
) -> None:
    line = Line()
    line.receive(b"start")
    end(line)
    assert line.wire.closed == closed
    for again, _ in WAYS:
        if again is not fail_to_listen:
            again(line)
    await settle()
    assert line.listener.events == [StreamStopped()]
    assert line.wire.closed == closed
    assert line.over == [line.session]


async def test_end_is_not_told_within_the_calls_own_step() -> None:
    line = Line()
    line.receive(b"start")
    line.session.close()
    assert line.listener.events == []


async def test_nothing_passes_after_the_end() -> None:
    line = Line()
    line.receive(b"start")
    line.session.close()
    line.receive(b"audio", b"{", b"start")
    line.session.send(ClearAudio())
    await settle()
    assert line.listener.events == [StreamStopped()]
    assert line.wire.sent == []


async def test_call_that_closes_while_it_is_bound_hears_of_the_end() -> None:
    line = Line()
    line.on_bind = lambda link: link.close()
    line.receive(b"start", b"audio")
    await settle()
    assert line.listener.events == [StreamStopped()]


async def test_lost_socket_leaves_no_deadline() -> None:
    line = Line(MediaLimits(start_s=5))
    line.session.lost()
    await asyncio.sleep(10)
    assert line.wire.closed == []


async def test_fault_at_the_end_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    line = Line()
    line.listener.fails_on = StreamStopped
    line.receive(b"start")
    line.session.close()
    with caplog.at_level(logging.ERROR):
        await settle()
    assert "end of a media stream could not be taken" in caplog.text


async def test_log_names_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    line = Line()
    with caplog.at_level(logging.DEBUG):
        line.receive(b"start", b"nonsense t0ken", b"stop")
    assert "t0ken" not in caplog.text
