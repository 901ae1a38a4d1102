"""Media sockets over plain ASGI, for any server that speaks it.

Slower than a wire of our own, and it cannot cut a peer off: how long a connection lives
on after our close, how often peers are pinged, and how long a message may get before we
see it, is up to the server.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from voice_call.exposure.public_url import ArrivedRequest
from voice_call.log import get_logger
from voice_call.server.media_session import CloseCode
from voice_call.server.media_socket import choose_subprotocol
from voice_call.server.request_reading import shown_host

if TYPE_CHECKING:
    from http import HTTPStatus

    from starlette.types import Receive, Scope, Send

    from voice_call.server.media_session import MediaSession
    from voice_call.server.media_socket import MediaSocketServer

__all__ = ["AsgiMedia"]

_log = get_logger(__name__)


class AsgiMedia:
    """An ASGI application for one WebSocket route; the route checks the path."""

    def __init__(self, server: MediaSocketServer) -> None:
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one media socket."""
        arrival = _arrival(scope)
        await receive()  # "websocket.connect"
        if (status := self._server.refusal(arrival)) is not None:
            await _refuse(scope, send, status)
            return
        subprotocol = choose_subprotocol(scope["subprotocols"])
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        wire = _AsgiWire(send, farewell_s=self._server.settings.limits.farewell_s)
        session = self._server.enter(arrival, wire)
        tasks = [
            asyncio.create_task(wire.run()),
            asyncio.create_task(self._read(session, receive)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            endings = await asyncio.gather(*tasks, return_exceptions=True)
            self._server.leave(session)
            for ending in endings:
                # Servers raise from `send` when the peer is gone: no more than that.
                if isinstance(ending, Exception):
                    _log.debug("media socket broke off", fault=ending)

    async def _read(self, session: MediaSession, receive: Receive) -> None:
        limit = self._server.settings.limits.message_bytes
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if text is None:
                session.end(CloseCode.UNSUPPORTED_DATA, "Text only")
                continue
            data = text.encode()
            if len(data) > limit:
                session.end(CloseCode.TOO_BIG, "Message too long")
            else:
                session.receive(data)


class _AsgiWire:
    """A queue, and the task that empties it."""

    def __init__(self, send: Send, *, farewell_s: float) -> None:
        self._send = send
        self._farewell_s = farewell_s
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._has_news = asyncio.Event()
        self._farewell: tuple[CloseCode, str] | None = None
        self._give_up_at: float | None = None  # by the event loop's clock
        self._limit: asyncio.Timeout | None = None

    def send(self, message: bytes) -> int:
        """Queue a text message; return how much is queued."""
        self._queue.append(message)
        self._queued_bytes += len(message)
        self._has_news.set()
        return self._queued_bytes

    def close(self, code: CloseCode, reason: str) -> None:
        """Close after what is queued, or without it where the peer does not read."""
        self._farewell = code, reason
        self._give_up_at = asyncio.get_running_loop().time() + self._farewell_s
        if self._limit is not None:
            self._limit.reschedule(self._give_up_at)
        self._has_news.set()

    async def run(self) -> None:
        """Send until closed.

        Raises:
            TimeoutError: The peer does not read, so it could not be told.
            OSError: The peer is gone.
        """
        try:
            async with asyncio.timeout_at(self._give_up_at) as self._limit:
                await self._send_all()
        finally:
            self._limit = None

    async def _send_all(self) -> None:
        while True:
            while self._queue:
                message = self._queue.popleft()
                await self._send({"type": "websocket.send", "text": message.decode()})
                self._queued_bytes -= len(message)
            if self._farewell is not None:
                break
            self._has_news.clear()
            await self._has_news.wait()
        code, reason = self._farewell
        await self._send(
            {"type": "websocket.close", "code": code.value, "reason": reason}
        )


def _arrival(scope: Scope) -> ArrivedRequest:
    host, port = scope.get("server") or ("", 0)
    client = scope.get("client")
    return ArrivedRequest(
        peer=client[0] if client else "",
        local=f"{shown_host(host)}:{port}",
        path=scope.get("raw_path", scope["path"].encode()).decode("latin-1"),
        query=scope.get("query_string", b"").decode("latin-1"),
        headers={
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        },
    )


async def _refuse(scope: Scope, send: Send, status: HTTPStatus) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})  # the server answers 403
        return
    await send(
        {
            "type": "websocket.http.response.start",
            "status": status.value,
            "headers": [(b"content-type", b"text/plain")],
        }
    )
    body = status.phrase.encode()
    await send({"type": "websocket.http.response.body", "body": body})
