"""Server-sent events as an HTTP answer, ended at once when the reader goes away."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

__all__ = ["DONE", "EventStream", "event_bytes", "run_while_connected"]

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
KEEP_ALIVE_S = 15.0

_T = TypeVar("_T")


def event_bytes(payload: Any) -> bytes:
    """Return one event."""
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    return b"data: " + text.encode(errors="replace") + b"\n\n"


class EventStream(Response):
    """Sends events as they come; closes their source when the reader goes away.

    Args:
        events: Yields encoded events; it is always closed.
    """

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        self.headers["content-type"] = "text/event-stream; charset=utf-8"
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything."""
        del scope
        await _until_gone(self._send_all(send), receive)

    async def _send_all(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200}
        await send({**start, "headers": self.raw_headers})
        async with contextlib.aclosing(self._events) as events:
            upcoming = asyncio.create_task(_next(events))
            try:
                while True:
                    await asyncio.wait({upcoming}, timeout=KEEP_ALIVE_S)
                    body = upcoming.result() if upcoming.done() else KEEP_ALIVE
                    if body is None:
                        break
                    message = {"type": "http.response.body", "body": body}
                    await send({**message, "more_body": True})
                    if upcoming.done():
                        upcoming = asyncio.create_task(_next(events))
            finally:
                upcoming.cancel()
                await asyncio.wait({upcoming})
        await send({"type": "http.response.body", "body": b""})


async def _next(events: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(events, None)


async def run_while_connected(
    work: Coroutine[Any, Any, _T], request: Request
) -> _T | None:
    """Return what the work returns; None if its client goes away, which cancels it."""
    return await _until_gone(work, request.receive)


async def _until_gone(work: Coroutine[Any, Any, _T], receive: Receive) -> _T | None:
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.wait({working, leaving})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
