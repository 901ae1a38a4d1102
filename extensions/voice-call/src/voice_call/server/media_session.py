"""One media socket, whichever way its messages travel: from upgrade to end.

    waiting   connected, nobody knows whose it is; a deadline runs
    live      its first message named a call and showed that call's secret
    over      stopped, closed or lost; the listener is told so exactly once

Nothing here awaits: a message is decoded and handed to the call in the same step in
which it arrived, and a command is encoded and written in the step in which the call
gives it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol, assert_never

from voice_call.carriers.base import (
    StreamAudio,
    StreamDigit,
    StreamMark,
    StreamStarted,
    StreamStopped,
)
from voice_call.errors import CallError, RemoteProtocolError
from voice_call.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_call.carriers.base import (
        MediaLink,
        MediaListener,
        StreamCodec,
        StreamCommand,
        StreamEvent,
    )

__all__ = ["CloseCode", "MediaLimits", "MediaSession", "MediaWire"]

_log = get_logger(__name__)


class CloseCode(IntEnum):
    """Why we close a media socket (RFC 6455, section 7.4.1)."""

    NORMAL = 1000
    """The stream stopped, or the call has no use for it any more."""
    GOING_AWAY = 1001
    """We shut down."""
    PROTOCOL_ERROR = 1002
    """What came is no WebSocket."""
    UNSUPPORTED_DATA = 1003
    """A binary message: carriers send text."""
    INVALID_TEXT = 1007
    """Text that is not UTF-8."""
    POLICY_VIOLATION = 1008
    """No start in time, a call or secret unknown, a second start, or nonsense."""
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    """A fault of ours; it is in the log."""
    TRY_AGAIN_LATER = 1013
    """Too many sockets wait, or the peer reads too slowly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaLimits:
    """What one media socket may use up.

    Attributes:
        start_s: Seconds until the first message that names the call.
        message_bytes: Length of a message; carriers' have a few hundred bytes.
        buffered_bytes: Sent by us and not yet taken by the network. 1 MiB is more than
            a minute of audio.
        malformed: Messages that are skipped because they make no sense.
        ping_s: Seconds of silence after which we ask whether the peer is still there,
            and for which we wait for its answer.
        farewell_s: Seconds from our close to the end of the connection, for peers that
            do not answer it.
    """

    start_s: float = 5.0
    message_bytes: int = 64 * 1024
    buffered_bytes: int = 1024 * 1024
    malformed: int = 20
    ping_s: float = 20.0
    farewell_s: float = 2.0


class MediaWire(Protocol):
    """What carries the messages of one socket. No method blocks."""

    def send(self, message: bytes) -> int:
        """Send a text message; return how many bytes the network has still to take."""
        ...

    def close(self, code: CloseCode, reason: str) -> None:
        """Close after what has been sent; called once."""
        ...


class MediaSession:
    """One media socket; also the `MediaLink` of its call.

    Args:
        codec: What messages mean.
        limits: What it may use up.
        wire: Carries its messages.
        bind: Finds the listener of a started stream; raises `CallError` where the
            stream may not be opened.
        on_over: Called once when the session is over; its socket may live on for a
            moment.
    """

    def __init__(
        self,
        codec: StreamCodec,
        limits: MediaLimits,
        *,
        wire: MediaWire,
        bind: Callable[[StreamStarted, MediaLink], MediaListener],
        on_over: Callable[[MediaSession], None],
    ) -> None:
        self._codec = codec
        self._limits = limits
        self._wire = wire
        self._bind = bind
        self._on_over = on_over
        self._loop = asyncio.get_running_loop()
        self._deadline: asyncio.TimerHandle | None = self._loop.call_later(
            limits.start_s, self.end, CloseCode.POLICY_VIOLATION, "Start timeout"
        )
        self._started: StreamStarted | None = None
        self._listener: MediaListener | None = None
        self._is_over = False
        self._malformed = 0

    @property
    def is_waiting(self) -> bool:
        """Whether it has still to say whose stream it is."""
        return self._started is None and not self._is_over

    # -- from the socket ---------------------------------------------------------------

    def receive(self, message: bytes) -> None:
        """Take one text message."""
        if self._is_over:
            return
        try:
            event = self._codec.decode(message)
        except RemoteProtocolError as fault:
            self._skip(message, fault)
            return
        except Exception:  # noqa: BLE001 - a codec may be anybody's; ends this call alone
            self._fail("media message could not be decoded")
            return
        if event is None:
            return
        if self._listener is None:
            self._start(event)
        else:
            self._pass_on(event, self._listener)

    def lost(self) -> None:
        """The socket is gone."""
        if not self._is_over:
            self._finish()

    def end(self, code: CloseCode, reason: str) -> None:
        """Close the socket, unless it is over already."""
        if self._is_over:
            return
        self._finish()
        if code is not CloseCode.NORMAL:
            _log.info("media socket closed", code=code.value, reason=reason)
        self._wire.close(code, reason)

    # -- from the call -----------------------------------------------------------------

    def send(self, command: StreamCommand) -> None:
        """Send a command; dropped silently when the stream is gone."""
        if self._is_over or self._started is None:
            return
        try:
            stream_id = self._started.stream_id
            backlog = self._wire.send(self._codec.encode(command, stream_id=stream_id))
        except Exception:  # noqa: BLE001 - a codec may be anybody's; ends this call alone
            self._fail("media command could not be sent")
            return
        if backlog > self._limits.buffered_bytes:
            self.give_up_slow_peer()

    def close(self) -> None:
        """Close the stream from our side."""
        self.end(CloseCode.NORMAL, "")

    def give_up_slow_peer(self) -> None:
        """Close the socket: its peer does not read what it is sent."""
        self.end(CloseCode.TRY_AGAIN_LATER, "Backlog too long")

    # -- within ------------------------------------------------------------------------

    def _start(self, event: StreamEvent) -> None:
        if not isinstance(event, StreamStarted):
            self._skip(b"", RemoteProtocolError("A stream begins with its start."))
            return
        self._started = event
        self._stop_deadline()
        try:
            self._listener = self._bind(event, self)
        except CallError as refusal:
            _log.warning("media stream refused", code=refusal.code)
            self.end(CloseCode.POLICY_VIOLATION, "Unknown call")
        except Exception:  # noqa: BLE001 - logged; ends this call alone
            self._fail("media stream could not be opened")
        else:
            _log.info("media stream started", stream_id=event.stream_id)

    def _pass_on(self, event: StreamEvent, listener: MediaListener) -> None:
        match event:
            case StreamAudio() | StreamMark() | StreamDigit():
                try:
                    listener.receive(event)
                except Exception:  # noqa: BLE001 - logged; ends this call alone
                    self._fail("media event could not be taken")
            case StreamStopped():
                self.end(CloseCode.NORMAL, "")
            case StreamStarted():
                self.end(CloseCode.POLICY_VIOLATION, "Second start")
            case _:
                assert_never(event)

    def _skip(self, message: bytes, fault: RemoteProtocolError) -> None:
        try:
            message.decode()
        except UnicodeDecodeError:
            self.end(CloseCode.INVALID_TEXT, "Not UTF-8")
            return
        self._malformed += 1
        _log.warning("media message skipped", fault=fault, count=self._malformed)
        if self._malformed > self._limits.malformed:
            self.end(CloseCode.POLICY_VIOLATION, "Too many malformed messages")

    def _fail(self, what: str) -> None:
        _log.exception(what)
        self.end(CloseCode.INTERNAL_ERROR, "")

    def _finish(self) -> None:
        self._is_over = True
        self._stop_deadline()
        self._on_over(self)
        # Not at once: the call may be in the middle of a command to this very link.
        self._loop.call_soon(self._tell_stopped)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _tell_stopped(self) -> None:
        listener, self._listener = self._listener, None
        if listener is None:
            return
        try:
            listener.receive(StreamStopped())
        except Exception:  # noqa: BLE001 - logged; there is nothing left to end
            _log.exception("end of a media stream could not be taken")
