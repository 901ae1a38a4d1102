"""A model's server on loopback: OpenAI's chat completions and Anthropic's messages.

It says what it is told to say, as slowly and as wrongly as it is told to, and remembers
what it was asked:

    async with ModelServer() as server:
        server.play(Answer(text=("Good ", "day.")))
        ...  # a client of server.openai_url or server.anthropic_url
        assert server.requests[0].body["messages"]

Without anything to play it repeats the last words of the user. The shapes follow the
public references of both APIs; the official SDKs are their judges in our tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from openclaw_gateway.testing.model_wires import ANTHROPIC, OPENAI

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from openclaw_gateway.testing.model_wires import Wire

__all__ = ["API_KEY", "Answer", "Fault", "ModelServer", "SeenRequest"]

API_KEY = "test-key"
MAX_BODY_BYTES = 4 << 20


class Fault(StrEnum):
    """What goes wrong after the pieces of text that are still sent."""

    NONE = "none"
    STALL = "stall"
    """Nothing more is sent; the connection stays open."""
    CUT = "cut"
    """The connection is closed in the middle of the stream."""
    GARBAGE = "garbage"
    """An event that is no JSON."""
    ERROR_EVENT = "error_event"
    """An error object within the stream."""
    NO_END = "no_end"
    """The stream ends properly, but the answer does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server says to one request.

    Attributes:
        text: The pieces of the answer.
        tools: Tools to ask for: name and arguments.
        delay_s: Seconds before the answer begins.
        pause_s: Seconds between two pieces.
        status: The HTTP status; beyond 299 the answer is an error.
        error: What the error says.
        headers: Sent along.
        fault: What goes wrong in the end.
    """

    text: tuple[str, ...] = ()
    tools: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    delay_s: float = 0.0
    pause_s: float = 0.0
    status: int = 200
    error: str = "something went wrong"
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Fault = Fault.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """What a client sent."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]


class ModelServer:
    """The server.

    Args:
        api_key: The only key that is accepted; None accepts all.
        models: The only models that exist; empty for any.

    Attributes:
        requests: What it was asked, oldest first.
        left_early: How many clients went away before the end of an answer.
    """

    def __init__(
        self, *, api_key: str | None = API_KEY, models: tuple[str, ...] = ()
    ) -> None:
        self.requests: list[SeenRequest] = []
        self.left_early = 0
        self._api_key = api_key
        self._models = models
        self._script: deque[Answer] = deque()
        self._is_asked = asyncio.Event()
        self._has_left = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    def play(self, *answers: Answer) -> None:
        """Say this to the next requests, one answer each."""
        self._script.extend(answers)

    async def wait_asked(self) -> None:
        """Wait until there has been a request."""
        await self._is_asked.wait()

    async def wait_left_early(self) -> None:
        """Wait until a client has gone away before the end of an answer."""
        await self._has_left.wait()

    @property
    def port(self) -> int:
        """The TCP port."""
        assert self._server is not None, "use `async with`"
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def openai_url(self) -> str:
        """A `baseUrl` for chat completions."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def anthropic_url(self) -> str:
        """A `baseUrl` for messages."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in tuple(self._connections):
            connection.cancel()
        if self._connections:
            await asyncio.wait(self._connections)

    # ---- connections

    def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while (request := await _read_request(reader)) is not None:
                self.requests.append(request)
                self._is_asked.set()
                answering = asyncio.create_task(self._answer(request, writer))
                # A client that waits for its answer sends nothing: what can be read
                # is the end of the connection.
                leaving = asyncio.create_task(_at_end(reader))
                await asyncio.wait(
                    {answering, leaving}, return_when=asyncio.FIRST_COMPLETED
                )
                leaving.cancel()
                await asyncio.wait({leaving})
                if not answering.done():
                    answering.cancel()
                    await asyncio.wait({answering})
                    self.left_early += 1
                    self._has_left.set()
                    return
                answering.result()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client is gone; nobody is left to be told
        finally:
            writer.close()

    async def _answer(self, request: SeenRequest, writer: asyncio.StreamWriter) -> None:
        wire = ANTHROPIC if request.path.startswith("/v1/messages") else OPENAI
        answer = self._choose(request, wire)
        await asyncio.sleep(answer.delay_s)
        if answer.status >= 300:  # noqa: PLR2004 - HTTP
            _send_json(writer, answer.status, wire.error(answer), answer.headers)
        elif request.body.get("stream") is True:
            await _send_stream(writer, wire, request.body, answer)
        else:
            _send_json(writer, 200, wire.whole(request.body, answer), answer.headers)
        await writer.drain()

    def _choose(self, request: SeenRequest, wire: Wire) -> Answer:
        if request.path not in {"/v1/chat/completions", "/v1/messages"}:
            return Answer(status=404, error=f"no such path: {request.path}")
        if self._api_key is not None and wire.key(request.headers) != self._api_key:
            return Answer(status=401, error="invalid API key")
        model = str(request.body.get("model"))
        if self._models and model not in self._models:
            return Answer(status=404, error=f"The model {model} does not exist")
        if self._script:
            return self._script.popleft()
        return Answer(text=(f"You said: {_last_words(request.body)}",))


def _last_words(body: Mapping[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    if isinstance(content, str):
        return content
    return " ".join(str(part.get("text", "")) for part in content)


async def _at_end(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        await reader.read(1)


async def _read_request(reader: asyncio.StreamReader) -> SeenRequest | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    request_line, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines)
    }
    length = int(headers.get("content-length", "0"))
    if length > MAX_BODY_BYTES:
        return None
    body = await reader.readexactly(length)
    path = request_line.split(" ")[1].partition("?")[0]
    value = json.loads(body) if body else {}
    return SeenRequest(path=path, headers=headers, body=value)


def _send_json(
    writer: asyncio.StreamWriter,
    status: int,
    value: Mapping[str, Any],
    headers: Mapping[str, str],
) -> None:
    body = json.dumps(value).encode()
    all_headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        **headers,
    }
    writer.write(_head(status, all_headers) + body)


async def _send_stream(
    writer: asyncio.StreamWriter, wire: Wire, body: Mapping[str, Any], answer: Answer
) -> None:
    headers = {
        "content-type": "text/event-stream",
        "transfer-encoding": "chunked",
        **answer.headers,
    }
    writer.write(_head(200, headers))
    for event in wire.begin(body):
        _send_chunk(writer, event)
    for index, piece in enumerate(answer.text):
        if index:
            await asyncio.sleep(answer.pause_s)
        _send_chunk(writer, wire.piece(body, piece))
        await writer.drain()
    match answer.fault:
        case Fault.STALL:
            await asyncio.Event().wait()
        case Fault.CUT:
            writer.transport.abort()
        case _:
            for event in _last_events(wire, body, answer):
                _send_chunk(writer, event)
            writer.write(b"0\r\n\r\n")


def _last_events(
    wire: Wire, body: Mapping[str, Any], answer: Answer
) -> Iterable[bytes]:
    match answer.fault:
        case Fault.GARBAGE:
            return [wire.garbage()]
        case Fault.ERROR_EVENT:
            return [wire.error_event(answer)]
        case Fault.NO_END:
            return []
        case _:
            return wire.end(body, answer)


def _send_chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
