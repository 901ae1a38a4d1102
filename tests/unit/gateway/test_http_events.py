"""Server-sent events, and work that ends when its reader goes away."""

from __future__ import annotations

import asyncio

import pytest

from openclaw_gateway.http_events import (
    DONE,
    KEEP_ALIVE,
    KEEP_ALIVE_S,
    EventStream,
    event_bytes,
)

pytestmark = pytest.mark.anyio


class Reader:
    """The other side of an ASGI answer."""

    def __init__(self):
        self.sent = []
        self.leaves = asyncio.Event()
        self._has_asked = False

    async def receive(self):
        if not self._has_asked:
            self._has_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)

    @property
    def bodies(self):
        return [m["body"] for m in self.sent if m["type"] == "http.response.body"]


class Source:
    """Yields events after a pause each, and knows when it was closed."""

    def __init__(self, *events, pause_s=0.0, error=None):
        self.is_closed = False
        self._events = events
        self._pause_s = pause_s
        self._error = error

    async def stream(self):
        try:
            for event in self._events:
                await asyncio.sleep(self._pause_s)
                yield event
            if self._error:
                raise self._error
        finally:
            self.is_closed = True


async def serve(source, reader):
    await EventStream(source.stream())({}, reader.receive, reader.send)


async def test_events_are_sent_as_they_come():
    reader, source = Reader(), Source(b"a", DONE)
    await serve(source, reader)
    start = reader.sent[0]
    headers = dict(start["headers"])
    assert start["status"] == 200
    assert headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert b"content-length" not in headers
    assert reader.bodies == [b"a", DONE, b""]


async def test_a_long_silence_is_filled():
    reader, source = Reader(), Source(b"a", pause_s=2.5 * KEEP_ALIVE_S)
    await serve(source, reader)
    assert reader.bodies == [KEEP_ALIVE, KEEP_ALIVE, b"a", b""]


async def test_a_reader_that_goes_ends_it():
    reader, source = Reader(), Source(b"a", b"b", pause_s=10)
    serving = asyncio.create_task(serve(source, reader))
    await asyncio.sleep(12)
    reader.leaves.set()
    await serving
    assert source.is_closed
    assert reader.bodies == [b"a"]


async def test_an_error_of_the_source_comes_through():
    reader, source = Reader(), Source(b"a", error=ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await serve(source, reader)
    assert source.is_closed


def test_an_event_is_one_line():
    assert (
        event_bytes({"a": "x\ny", "b": "ü"})
        == 'data: {"a":"x\\ny","b":"ü"}\n\n'.encode()
    )
    assert event_bytes("\ud800") == b'data: "?"\n\n'
