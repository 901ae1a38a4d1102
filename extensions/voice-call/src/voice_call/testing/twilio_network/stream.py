"""One media stream: the carrier's end of the WebSocket."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voice_call.media.audio import SILENT_FRAME
from voice_call.testing.twilio_network.parameters import stream_params
from voice_call.testing.twilio_network.playout import Playout
from voice_call.testing.twilio_network.records import WebhookKind
from voice_call.testing.twilio_network.signature import sign_upgrade
from voice_call.testing.twilio_network.sockets import (
    NORMAL_CLOSURE,
    HandshakeFailed,
    MediaSocket,
)
from voice_call.testing.twilio_network.stream_messages import (
    ClearMessage,
    InvalidMessage,
    MarkMessage,
    MediaMessage,
    MessageWriter,
    ServerMessage,
    read_message,
)
from voice_call.testing.twilio_network.tunnel import NoRoute, find_hop
from voice_call.testing.twilio_network.wiring import new_sid

if TYPE_CHECKING:
    from voice_call.testing.twilio_network.phone_call import PhoneCall
    from voice_call.testing.twilio_network.wiring import Wiring

__all__ = ["MediaStream", "StreamOrder"]

BINARY_MESSAGE = 31950
INVALID_MESSAGE = 31951
UNWANTED_MESSAGE = 31924
CLOSE_ERROR = 31921
NO_ANSWER = 31901


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOrder:
    """What a `<Stream>` or a REST request asks for.

    Attributes:
        url: As given; its query is dropped when the stream is opened.
        tracks: `inbound`, `outbound`, or both.
    """

    url: str
    name: str = ""
    tracks: tuple[str, ...] = ("inbound",)
    parameters: dict[str, str] = field(default_factory=dict)
    status_callback: str | None = None
    status_method: str = "POST"


class MediaStream:
    """A stream from before its connection to after its end.

    Attributes:
        received: Every message of the server's side, verbatim.
        sent: Every message to the server's side except `media`, verbatim.
        frames_sent: How many `media` messages were sent.
        close_code: What the server's side closed with; 1006 without a close frame, None
            while open or when the carrier's side closed.
        over: Set when it has ended.
    """

    def __init__(
        self,
        call: PhoneCall,
        order: StreamOrder,
        wiring: Wiring,
        *,
        is_bidirectional: bool,
    ) -> None:
        self.sid = new_sid("MZ")
        self.call = call
        self.order = order
        self.is_bidirectional = is_bidirectional
        self.received: list[str] = []
        self.sent: list[str] = []
        self.frames_sent = 0
        self.close_code: int | None = None
        self.over = asyncio.Event()
        self.reconnect_after_s: float | None = None
        self.playout = Playout()
        self._wiring = wiring
        self._socket: MediaSocket | None = None
        self._lost_early: int | None = None
        self._warned: set[int] = set()
        self._writer = MessageWriter(
            account_sid=call.account_sid, call_sid=call.sid, stream_sid=self.sid
        )

    @property
    def is_open(self) -> bool:
        """Whether messages flow."""
        return self._socket is not None

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or has never come about."""
        return self.over.is_set()

    async def open(self) -> bool:
        """Connect, and send `connected` and `start`.

        Returns:
            False where no connection came about; the error log says why.
        """
        url = self.order.url.partition("?")[0]
        signature = sign_upgrade(url, auth_token=self._wiring.auth_token)
        try:
            hop = find_hop(url, self._wiring.tunnels)
            headers = {**hop.headers, "X-Twilio-Signature": signature}
            headers["User-Agent"] = "TwilioMediaStreams/1.0"
            socket = await self._wiring.dial_media(hop.url, headers, self)
        except NoRoute as error:
            self.fail(NO_ANSWER, str(error))
            return False
        except HandshakeFailed as error:
            self.fail(error.code, str(error))
            return False
        if self._lost_early is not None:
            self.fail(CLOSE_ERROR, f"closed with {self._lost_early} before the start")
            return False
        if self.call.status.is_final:  # it ended while the connection was made
            socket.close()
            self.over.set()
            return False
        self._socket = socket
        self._send(self._writer.connected())
        self._send(
            self._writer.start(
                tracks=list(self.order.tracks), parameters=self.order.parameters
            )
        )
        self.call.line.attach(self)
        self._report("stream-started")
        self._wiring.changed()
        return True

    def fail(self, code: int, message: str) -> None:
        """Give the stream up before it has come about."""
        self._wiring.log_error(code, message, call_sid=self.call.sid)
        self._report("stream-error", error=f"{code} {message}")
        self.over.set()

    def stop(self) -> None:
        """End it from the carrier's side: a `stop` message, then a close."""
        if self._socket is None:
            return
        self._send(self._writer.stop())
        self._socket.close()
        self._end()

    def drop(self, *, reconnect_after_s: float | None = None) -> None:
        """Lose the connection without a word.

        Args:
            reconnect_after_s: Open a new stream with the same order after so long.
                Twilio itself never does. None lets the TwiML go on.
        """
        if self._socket is None:
            return
        self.reconnect_after_s = reconnect_after_s
        self._socket.abort()
        self._end()

    def send_digit(self, digit: str) -> None:
        """Tell of a key; only bidirectional streams do."""
        if self.is_bidirectional:
            self._send(self._writer.dtmf(digit))

    # -- the line ----------------------------------------------------------------------

    def play(self) -> bytes:
        """Play 20 ms of what the server has sent, and give back the marks reached."""
        frame, marks = self.playout.play()
        self._return_marks(marks)
        return frame or SILENT_FRAME

    def send_frames(self, inbound: bytes, outbound: bytes) -> None:
        """Send 20 ms of every track."""
        if self._socket is None:
            return
        for track in self.order.tracks:
            frame = inbound if track == "inbound" else outbound
            self._socket.send_text(self._writer.media(frame, track=track))
            self.frames_sent += 1

    # -- the socket --------------------------------------------------------------------

    def receive_text(self, text: str) -> None:
        """Take a message of the server's side."""
        self.received.append(text)
        if not self.is_bidirectional:
            self._warn(UNWANTED_MESSAGE, "a unidirectional stream takes no messages")
            return
        try:
            self._obey(read_message(text, stream_sid=self.sid))
        except InvalidMessage as error:
            self._warn(INVALID_MESSAGE, str(error))

    def receive_binary(self) -> None:
        """Take what must never come."""
        self._warn(BINARY_MESSAGE, "binary message")

    def socket_closed(self, code: int) -> None:
        """Learn that the server's side has closed, in order or not."""
        if self._socket is None:
            self._lost_early = code
            return
        self.close_code = code
        if code != NORMAL_CLOSURE:
            message = f"closed with {code}"
            self._wiring.log_error(CLOSE_ERROR, message, call_sid=self.call.sid)
        self._end()

    def _obey(self, message: ServerMessage) -> None:
        match message:
            case MediaMessage(audio=audio):
                self.playout.push(audio)
            case MarkMessage(name=name):
                self._return_marks(self.playout.mark(name))
            case ClearMessage():
                self._return_marks(self.playout.clear())
        self._wiring.changed()

    def _return_marks(self, names: tuple[str, ...]) -> None:
        for name in names:
            self._send(self._writer.mark(name))

    def _send(self, text: str) -> None:
        if self._socket is not None:
            self.sent.append(text)
            self._socket.send_text(text)

    def _warn(self, code: int, message: str) -> None:
        if code not in self._warned:  # reported once per stream
            self._warned.add(code)
            self._wiring.log_error(code, message, call_sid=self.call.sid)

    def _end(self) -> None:
        self._socket = None
        self.call.line.detach(self)
        self.over.set()
        self._report("stream-stopped")
        self._wiring.changed()

    def _report(self, event: str, *, error: str | None = None) -> None:
        url = self.order.status_callback
        if url is None:
            return
        now = self._wiring.clock.now()
        params = stream_params(self, event=event, at=now, error=error)
        self._wiring.spawn(self._deliver(url, params))

    async def _deliver(self, url: str, params: dict[str, str]) -> None:
        courier = self._wiring.courier
        fault = courier.take_fault(WebhookKind.STREAM, params)
        await courier.deliver(
            WebhookKind.STREAM,
            url,
            params,
            method=self.order.status_method,
            fault=fault,
        )
