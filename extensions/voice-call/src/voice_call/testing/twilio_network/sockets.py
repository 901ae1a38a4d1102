"""The WebSocket of a media stream, as seen from the carrier."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import picows

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HandshakeFailed", "MediaDialer", "MediaSocket", "SocketUser", "dial_media"]

NORMAL_CLOSURE = 1000
ABNORMAL_CLOSURE = 1006
_HANDSHAKE_TIMEOUT_S = 10.0


class HandshakeFailed(Exception):
    """Raised when no WebSocket came about.

    Attributes:
        code: 31901 without any answer, 31920 for an answer other than 101.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class SocketUser(Protocol):
    """Whoever is told what happens at the socket."""

    def receive_text(self, text: str) -> None:
        """A text message has come."""
        ...

    def receive_binary(self) -> None:
        """A binary message has come."""
        ...

    def socket_closed(self, code: int) -> None:
        """The connection is gone; 1006 where there was no close frame."""
        ...


class MediaSocket(Protocol):
    """An open connection."""

    def send_text(self, text: str) -> None:
        """Send a text message; dropped when the connection is gone."""
        ...

    def close(self) -> None:
        """Close in order."""
        ...

    def abort(self) -> None:
        """Cut the connection without a word."""
        ...


class MediaDialer(Protocol):
    """Opens connections."""

    async def __call__(
        self, url: str, headers: Mapping[str, str], user: SocketUser
    ) -> MediaSocket:
        """Connect to a `ws://` URL.

        Raises:
            HandshakeFailed: No WebSocket came about.
        """
        ...


async def dial_media(
    url: str, headers: Mapping[str, str], user: SocketUser
) -> MediaSocket:
    """Connect over the network; a `MediaDialer`."""
    try:
        _, listener = await picows.ws_connect(
            lambda: _Socket(user),
            url,
            extra_headers=dict(headers),
            max_redirects=0,
            websocket_handshake_timeout=_HANDSHAKE_TIMEOUT_S,
        )
    except picows.WSHandshakeError as error:
        raise HandshakeFailed(31920, f"Handshake error: {error}") from error
    except (OSError, TimeoutError) as error:
        raise HandshakeFailed(31901, f"No connection: {error}") from error
    assert isinstance(listener, _Socket)
    return listener


class _Socket(picows.WSListener):
    """Puts picows into the words of `SocketUser` and `MediaSocket`."""

    def __init__(self, user: SocketUser) -> None:
        super().__init__()
        self._user = user
        self._transport: picows.WSTransport | None = None
        self._pieces = bytearray()
        self._code = ABNORMAL_CLOSURE

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:  # noqa: ARG002 - picows' signature
        self._transport = None
        # Never from within a call of ours: the user may be in the middle of something.
        asyncio.get_running_loop().call_soon(self._user.socket_closed, self._code)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        kind = frame.msg_type
        if kind == picows.WSMsgType.CLOSE:
            code = frame.get_payload_as_bytes()[:2]
            self._code = int.from_bytes(code) if code else NORMAL_CLOSURE
            transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()
        elif kind == picows.WSMsgType.BINARY:
            self._user.receive_binary()
        elif kind in {picows.WSMsgType.TEXT, picows.WSMsgType.CONTINUATION}:
            self._pieces += frame.get_payload_as_bytes()
            if frame.fin:
                text = self._pieces.decode("utf-8", "replace")
                self._pieces.clear()
                self._user.receive_text(text)

    def send_text(self, text: str) -> None:
        """Send a text message; dropped when the connection is gone."""
        if self._transport is not None:
            self._transport.send(picows.WSMsgType.TEXT, text.encode())

    def close(self) -> None:
        """Close in order."""
        if self._transport is not None:
            self._code = NORMAL_CLOSURE
            self._transport.send_close(picows.WSCloseCode.OK)
            self._transport.disconnect()

    def abort(self) -> None:
        """Cut the connection without a word."""
        if self._transport is not None:
            self._transport.disconnect(False)
