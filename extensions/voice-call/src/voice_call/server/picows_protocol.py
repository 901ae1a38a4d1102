"""Media sockets straight from uvicorn's connections, by picows (RFC 6455).

uvicorn makes one of our protocols for every WebSocket upgrade and replays the request's
head to it. Upgrades of the media path are answered here, and from then on each frame
goes from the socket to the call in one step; all others go the usual way, through
uvicorn's own implementation, to the ASGI application.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, cast

from picows import (
    WSAutoPingStrategy,
    WSCloseCode,
    WSListener,
    WSMsgType,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in the stubs
from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol

from voice_call.exposure.public_url import ArrivedRequest
from voice_call.log import get_logger
from voice_call.server.media_session import CloseCode
from voice_call.server.media_socket import choose_subprotocol
from voice_call.server.request_reading import shown_host

if TYPE_CHECKING:
    from picows import WSFrame, WSTransport, WSUpgradeRequest
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from voice_call.server.media_session import MediaSession
    from voice_call.server.media_socket import MediaSocketServer

__all__ = ["uvicorn_protocol"]

_log = get_logger(__name__)

# picows speaks of every connection, and of every peer's fault as an error of ours. What
# matters of it is logged here.
_PICOWS_LOG = logging.getLogger("voice_call.picows")
_PICOWS_LOG.setLevel(logging.CRITICAL)

_READ_BYTES = 4096
_FEED_BYTES = 2048
"""picows doubles its buffer whenever it is nearly full, and keeps it: fed with less
than half of it at a time, it grows for long frames only."""

_COPIED_BYTES = 8192
"""Longer messages picows does not copy, and it reuses the memory of their header before
the transport has sent it; with room in front it writes the header there."""
_HEADER_BYTES = 14

_TCP = (socket.AF_INET, socket.AF_INET6)
"""picows sets options of TCP; other sockets go the usual way."""

_TEXT = WSMsgType.TEXT


def uvicorn_protocol(server: MediaSocketServer) -> type[asyncio.Protocol]:
    """Return what `uvicorn.Config(ws=…)` takes, for the media sockets of a server."""
    return type("MediaUpgrade", (_Upgrade,), {"server": server})


class _Upgrade(asyncio.Protocol):
    """A connection whose peer has asked for a WebSocket.

    Attributes:
        transport: As uvicorn expects of its connections.
    """

    server: ClassVar[MediaSocketServer]
    transport: asyncio.Transport

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> None:
        self._made_with = {
            "config": config,
            "server_state": server_state,
            "app_state": app_state,
        }
        # Typed there as a set of uvicorn's own classes.
        self._connections: set[Any] = cast("set[Any]", server_state.connections)
        self._inner: asyncio.Protocol | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the head of the request."""
        # uvloop's transports are not derived from asyncio's.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take the head of the request first, then what the peer sends."""
        if self._inner is None:
            self._inner = self._choose(data)
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """The peer sends no more."""
        return None if self._inner is None else self._inner.eof_received()

    def pause_writing(self) -> None:
        """The network is behind."""
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """The network has caught up."""
        if self._inner is not None:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._connections.discard(self)
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def shutdown(self) -> None:
        """The server stops; called by uvicorn."""
        assert isinstance(self._inner, _MediaConnection)
        self._inner.shut_down()

    def _choose(self, head: bytes) -> asyncio.Protocol:
        target = head.split(b" ", 2)[1]
        is_media = target.partition(b"?")[0] == self.server.settings.path.encode()
        is_tcp = self.transport.get_extra_info("socket").family in _TCP
        inner: asyncio.Protocol
        if (is_media and is_tcp) or AutoWebSocketsProtocol is None:
            inner = _MediaConnection(self.server)
            self._connections.add(self)
        else:
            inner = AutoWebSocketsProtocol(**self._made_with)
        inner.connection_made(self.transport)
        return inner


class _MediaConnection(asyncio.Protocol):
    """Feeds picows, which parses what arrives, and watches over it."""

    def __init__(self, server: MediaSocketServer) -> None:
        self._wire = _PicowsWire(server)
        limits = server.settings.limits
        # By position: it is not a public class, and has no names for some of these.
        self._picows = WSProtocol(
            None,  # host: for clients
            None,  # path: for clients
            False,  # not a client
            self._wire.negotiate,
            _PICOWS_LOG,
            True,  # disconnect when a listener raises
            None,  # the head is complete already
            True,  # ping a silent peer
            limits.ping_s,
            limits.ping_s,
            WSAutoPingStrategy.PING_WHEN_IDLE,
            False,  # pings are answered by the wire, which looks at the backlog
            limits.message_bytes,
            None,  # headers: for clients
            _READ_BYTES,
        )
        self._is_deaf = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the head of the request."""
        self._wire.transport = transport
        self._picows.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Take what the peer sends."""
        picows = self._picows
        while data and not self._is_deaf:
            room = picows.get_buffer(-1)
            size = min(len(data), len(room), _FEED_BYTES)
            room[:size] = data[:size]
            picows.buffer_updated(size)
            data = data[size:]
            if picows.transport.is_close_frame_sent:
                # Where it was not the wire that closed, picows could not make sense of
                # the peer and would only pile up what it sends.
                self._is_deaf = self._wire.has_been_cut()

    def eof_received(self) -> bool:
        """The peer sends no more: the connection ends."""
        return False

    def pause_writing(self) -> None:
        """Do nothing: the backlog is measured whenever something is sent."""

    def resume_writing(self) -> None:
        """As `pause_writing`."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._picows.connection_lost(exc)

    def shut_down(self) -> None:
        """End the connection because the server stops."""
        self._wire.shut_down()


class _PicowsWire(WSListener):
    """One media socket: frames in, frames out."""

    def __init__(self, server: MediaSocketServer) -> None:
        self.transport: Any = None
        self._server = server
        self._limits = server.settings.limits
        self._arrival: ArrivedRequest | None = None
        self._session: MediaSession | None = None
        self._picows: WSTransport | None = None
        self._fragments: bytearray | None = None
        self._abort: asyncio.TimerHandle | None = None

    # -- the upgrade -------------------------------------------------------------------

    def negotiate(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        """Answer the upgrade; picows checks what RFC 6455 asks of it."""
        arrival = self._arrival = _arrival(request, self.transport)
        status: HTTPStatus | None = HTTPStatus.NOT_FOUND
        if arrival.path == self._server.settings.path:
            status = self._server.refusal(arrival)
        if status is not None:
            refusal = WSUpgradeResponse.create_error_response(
                status, status.phrase.encode()
            )
            return WSUpgradeResponseWithListener(refusal, None)
        # uvicorn has found `upgrade` in it; picows knows no other word beside it.
        request.headers["Connection"] = "upgrade"
        offers = request.headers.getall("Sec-WebSocket-Protocol", [])
        chosen = choose_subprotocol(offers)
        return WSUpgradeResponseWithListener(
            WSUpgradeResponse.create_101_response(
                [] if chosen is None else [("Sec-WebSocket-Protocol", chosen)]
            ),
            self,
        )

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Begin the session."""
        assert self._arrival is not None
        self._picows = transport
        self._session = self._server.enter(self._arrival, self)

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - by the interface
        """End the session, if it has not ended yet."""
        if self._abort is not None:
            self._abort.cancel()
        if self._session is not None:
            self._server.leave(self._session)

    # -- from the peer -----------------------------------------------------------------

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one frame."""
        session = self._session
        assert session is not None
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            session.end(CloseCode.PROTOCOL_ERROR, "Reserved bits")
        elif frame.msg_type == _TEXT and frame.fin and self._fragments is None:
            session.receive(frame.get_payload_as_bytes())
        else:
            self._take_rare(session, transport, frame)

    def _take_rare(
        self, session: MediaSession, transport: WSTransport, frame: WSFrame
    ) -> None:
        match frame.msg_type:
            case WSMsgType.TEXT | WSMsgType.CONTINUATION:
                self._take_fragment(session, frame)
            case WSMsgType.BINARY:
                session.end(CloseCode.UNSUPPORTED_DATA, "Text only")
            case WSMsgType.PING:
                transport.send_pong(frame.get_payload_as_bytes())
                if self.transport.get_write_buffer_size() > self._limits.buffered_bytes:
                    session.give_up_slow_peer()
            case WSMsgType.CLOSE:
                session.lost()
                # The peer's own code, 1000 where it gave none; nothing after our own.
                code = frame.get_payload_as_bytes()[:2] or b"\x03\xe8"
                transport.send_close(cast("WSCloseCode", int.from_bytes(code)))
                transport.disconnect()
                self._expect_end()
            case _:
                pass  # a pong: picows has seen it

    def _take_fragment(self, session: MediaSession, frame: WSFrame) -> None:
        is_first = frame.msg_type == WSMsgType.TEXT
        if is_first != (self._fragments is None):
            session.end(CloseCode.PROTOCOL_ERROR, "Fragments out of order")
            return
        fragments = self._fragments = self._fragments or bytearray()
        fragments += frame.get_payload_as_bytes()
        if len(fragments) > self._limits.message_bytes:
            session.end(CloseCode.TOO_BIG, "Message too long")
        elif frame.fin:
            self._fragments = None
            session.receive(bytes(fragments))

    # -- to the peer -------------------------------------------------------------------

    def send(self, message: bytes) -> int:
        """Send a text message; return how many bytes the system has still to take."""
        assert self._picows is not None
        if len(message) <= _COPIED_BYTES:
            self._picows.send(_TEXT, message)
        else:
            frame = bytearray(_HEADER_BYTES) + message
            self._picows.send_reuse_external_bytearray(_TEXT, frame, _HEADER_BYTES)
        backlog: int = self.transport.get_write_buffer_size()
        return backlog

    def close(self, code: CloseCode, reason: str) -> None:
        """Send a close, and end the connection even if the peer does not answer."""
        assert self._picows is not None
        self._expect_end()
        self._picows.send_close(WSCloseCode(code), reason)

    def has_been_cut(self) -> bool:
        """Say whether picows has given the peer up; if so, the session ends."""
        if self._abort is not None or self._picows is None or self._session is None:
            return False
        sent = self._picows.close_handshake.sent
        assert sent is not None
        _log.info("media socket closed", code=sent.code, reason=sent.reason)
        self._session.lost()
        self._expect_end()
        return True

    def shut_down(self) -> None:
        """End the connection because the server stops."""
        if self._session is None:
            self.transport.close()
        else:
            self._session.end(CloseCode.GOING_AWAY, "Shutting down")

    def _expect_end(self) -> None:
        if self._abort is None:
            self._abort = asyncio.get_running_loop().call_later(
                self._limits.farewell_s, self.transport.abort
            )


def _arrival(
    request: WSUpgradeRequest, transport: asyncio.BaseTransport
) -> ArrivedRequest:
    path, _, query = request.path.decode("latin-1").partition("?")
    host, port = transport.get_extra_info("sockname")[:2]
    return ArrivedRequest(
        peer=transport.get_extra_info("peername")[0],
        local=f"{shown_host(host)}:{port}",
        path=path,
        query=query,
        headers={name.lower(): value for name, value in request.headers.items()},
    )
