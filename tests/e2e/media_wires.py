"""A real media server on a real port, over either wire, and a carrier's side of it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
from typing import TYPE_CHECKING, Any

import uvicorn
from websockets.asyncio.client import connect

from voice_call.call.model import CallId, CarrierCallId, Digit, StreamId
from voice_call.carriers.base import (
    StreamAudio,
    StreamDigit,
    StreamMark,
    StreamStarted,
    StreamStopped,
)
from voice_call.clock import SystemClock
from voice_call.errors import RemoteProtocolError, UnknownCall
from voice_call.media.audio import ClearAudio, SendAudio, SendMark
from voice_call.server.media_asgi import AsgiMedia
from voice_call.server.media_socket import MediaSocketServer, MediaSocketSettings
from voice_call.server.picows_protocol import uvicorn_protocol
from voice_call.server.stream_tickets import StreamTickets
from voice_call.testing.sink import RecordingSink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import Receive, Scope, Send
    from websockets.asyncio.client import ClientConnection

    from voice_call.carriers.base import StreamCommand, StreamEvent
    from voice_call.exposure.public_url import ArrivedRequest

CALL_ID = CallId("6a0e1a52-0d38-4d52-9f7b-7c2b0b2d4b11")
CARRIER_CALL_ID = CarrierCallId("CA1")
PATH = "/voice/stream"
FRAME = bytes(range(160))


class JsonCodec:
    """A carrier whose messages look like Twilio's."""

    def decode(self, message: bytes) -> StreamEvent | None:
        try:
            fields = json.loads(message)
            return self._event(fields)
        except (ValueError, KeyError, TypeError) as fault:
            raise RemoteProtocolError("That is no message of a stream.") from fault

    def _event(self, fields: dict[str, Any]) -> StreamEvent | None:
        match fields["event"]:
            case "start":
                start = fields["start"]
                return StreamStarted(
                    stream_id=StreamId(fields["streamSid"]),
                    carrier_call_id=CarrierCallId(start["callSid"]),
                    token=start.get("customParameters", {}).get("token"),
                )
            case "media":
                payload = base64.b64decode(fields["media"]["payload"])
                return StreamAudio(payload=payload)
            case "mark":
                return StreamMark(name=fields["mark"]["name"])
            case "dtmf":
                return StreamDigit(digit=Digit(fields["dtmf"]["digit"]))
            case "stop":
                return StreamStopped()
            case "bug":
                raise RuntimeError("a codec with a bug")
            case _:
                return None

    def encode(self, command: StreamCommand, *, stream_id: StreamId) -> bytes:
        match command:
            case SendAudio():
                payload = base64.b64encode(command.payload).decode()
                fields: dict[str, Any] = {
                    "event": "media",
                    "media": {"payload": payload},
                }
            case SendMark():
                fields = {"event": "mark", "mark": {"name": command.name}}
            case ClearAudio():
                fields = {"event": "clear"}
        return json.dumps(fields | {"streamSid": stream_id}).encode()


class Phone:
    """A media server with one live call, on a port of its own."""

    def __init__(
        self,
        settings: MediaSocketSettings | None = None,
        verify_upgrade: Callable[[ArrivedRequest], bool] | None = None,
    ) -> None:
        clock = SystemClock()
        self.sink = RecordingSink(clock)
        self.tickets = StreamTickets()
        self.calls = {CARRIER_CALL_ID: CALL_ID}
        self._clock = clock
        self.port = 0
        self.uvicorn: uvicorn.Server | None = None
        self.media = MediaSocketServer(
            JsonCodec(),
            self.sink,
            self.tickets,
            call_of=self._call_of,
            clock=clock,
            settings=settings,
            verify_upgrade=verify_upgrade,
        )

    def _call_of(self, carrier_call_id: CarrierCallId) -> CallId:
        if carrier_call_id not in self.calls:
            raise UnknownCall("No live call has this id.")
        return self.calls[carrier_call_id]

    def issue(self, token: str, call_id: CallId = CALL_ID) -> str:
        self.tickets.issue(call_id, token=token, now=self._clock.now())
        return token

    def url(self, path: str = PATH) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    @contextlib.asynccontextmanager
    async def opened(
        self, *, path: str = PATH, **options: Any
    ) -> AsyncIterator[ClientConnection]:
        options = {"ping_interval": None, "close_timeout": 1, "proxy": None} | options
        async with connect(self.url(path), **options) as peer:
            yield peer

    @contextlib.asynccontextmanager
    async def started(self, **options: Any) -> AsyncIterator[ClientConnection]:
        """Open a socket and start the live call's stream on it."""
        async with self.opened(**options) as peer:
            known = len(self.sink.streams)
            await peer.send(start(token=self.issue(f"t0ken-{known}")))
            await self.sink.wait_until(
                lambda: len(self.sink.streams) > known, within_s=5
            )
            yield peer


def start(
    *, token: str | None, call: str = CARRIER_CALL_ID, stream: str = "MZ1"
) -> str:
    parameters = {} if token is None else {"token": token}
    return json.dumps(
        {
            "event": "start",
            "streamSid": stream,
            "start": {"callSid": call, "customParameters": parameters},
        }
    )


def media(payload: bytes = FRAME) -> str:
    encoded = base64.b64encode(payload).decode()
    return json.dumps({"event": "media", "media": {"payload": encoded}})


async def other_app(scope: Scope, receive: Receive, send: Send) -> None:
    """What else is served: an echo for WebSockets, a greeting over HTTP."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        return
    assert scope["type"] == "http"
    start = {"type": "http.response.start", "status": 200, "headers": []}
    await send(start)
    await send({"type": "http.response.body", "body": b"hello"})


@contextlib.asynccontextmanager
async def serve(
    phone: Phone, wire: str, *, unix: str | None = None
) -> AsyncIterator[Phone]:
    """Serve a phone's media sockets over `asgi` or `picows`."""
    media_app = AsgiMedia(phone.media)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_media = scope["type"] == "websocket" and scope["path"] == PATH
        await (media_app if is_media else other_app)(scope, receive, send)

    config = uvicorn.Config(
        app,
        ws=uvicorn_protocol(phone.media) if wire == "picows" else "auto",
        lifespan="off",
        log_config=None,
        access_log=False,
        ws_max_size=phone.media.settings.limits.message_bytes,
        ws_ping_interval=phone.media.settings.limits.ping_s,
        ws_ping_timeout=phone.media.settings.limits.ping_s,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=5,
    )
    family = socket.AF_INET if unix is None else socket.AF_UNIX
    address: Any = unix or ("127.0.0.1", 0)
    with socket.socket(family) as listener:
        listener.bind(address)
        listener.listen(1024)
        phone.port = 0 if unix else listener.getsockname()[1]
        config.load()
        phone.uvicorn = uvicorn.Server(config)
        phone.uvicorn.lifespan = config.lifespan_class(config)
        await phone.uvicorn.startup([listener])
        try:
            yield phone
        finally:
            # uvicorn's own WebSockets cannot be shut down while they are closing.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    while phone.uvicorn.server_state.connections:  # noqa: ASYNC110 - uvicorn's
                        await asyncio.sleep(0.01)
            await phone.uvicorn.shutdown()
