"""The Twilio network against Twilio's own SDK and a server that holds calls."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import picows
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from voice_call.testing.twilio_network import (
    AudioEnd,
    Callee,
    CallStatus,
    EchoEnd,
    RestFault,
    RestFaultKind,
    Tunnel,
    TwilioNetwork,
    WebhookKind,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request

pytestmark = pytest.mark.anyio

SID, TOKEN = "AC" + "0" * 31 + "1", "token-of-a-test"
ALICE, BOB = "+15550100001", "+15550100002"
PUBLIC = "https://agent.example.com"
CONNECT = (
    '<Response><Connect><Stream url="wss://media.example.com?lost=1">'
    '<Parameter name="token" value="t-1"/></Stream></Connect>'
    "<Say>After</Say></Response>"
)


class LoopbackClient(TwilioHttpClient):
    """Sends the SDK's requests to the network instead of to Twilio."""

    def __init__(self, base_url: str) -> None:
        super().__init__(timeout=10.0)
        self._base_url = base_url

    def request(self, method: str, url: str, **options: Any) -> Any:
        assert url.startswith("https://api.twilio.com/")
        url = url.replace("https://api.twilio.com", self._base_url, 1)
        return super().request(method, url, **options)


class Application:
    """A voice application on loopback: webhooks on one port, media on another."""

    def __init__(self) -> None:
        self.twiml = "<Response><Hangup/></Response>"
        self.hooks: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.upgrades: list[tuple[str, dict[str, str]]] = []
        self.messages: list[dict[str, Any]] = []
        self.on_message: Callable[[picows.WSTransport, dict[str, Any]], None] = (
            lambda transport, message: None
        )
        self.refuses_media = False
        self.stopped = asyncio.Event()

    async def start(self) -> tuple[str, str]:
        config = uvicorn.Config(
            Starlette(routes=[Route("/{path:path}", self._hook, methods=["POST"])]),
            port=0,
            log_config=None,
            ws="none",
            lifespan="off",
            loop="none",
        )
        config.load()
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup()
        self._media = await picows.ws_create_server(
            self._accept, "127.0.0.1", 0, websocket_handshake_timeout=5
        )
        port = self._server.servers[0].sockets[0].getsockname()[1]
        media_port = self._media.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}", f"http://127.0.0.1:{media_port}"

    async def stop(self) -> None:
        await self._server.shutdown()
        self._media.close()

    async def _hook(self, request: Request) -> Response:
        form = dict(await _form(request))
        self.hooks.append((request.url.path, dict(request.headers), form))
        return Response(self.twiml, media_type="text/xml")

    def _accept(self, request: Any) -> Any:
        if self.refuses_media:
            return picows.WSUpgradeResponse.create_error_response(403, b"no")
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.upgrades.append((request.path.decode(), headers))
        return _MediaServer(self)


class _MediaServer(picows.WSListener):
    def __init__(self, application: Application) -> None:
        super().__init__()
        self._application = application

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.disconnect()
            return
        message = json.loads(frame.get_payload_as_bytes())
        self._application.messages.append(message)
        if message["event"] == "stop":
            self._application.stopped.set()
        self._application.on_message(transport, message)


async def _form(request: Request) -> list[tuple[str, str]]:
    return parse_qsl((await request.body()).decode(), keep_blank_values=True)


class Stage:
    def __init__(self, application: Application, network: TwilioNetwork) -> None:
        self.application, self.network = application, network
        self.base_url = ""

    def client(self) -> Client:
        return Client(SID, TOKEN, http_client=LoopbackClient(self.base_url))


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    application = Application()
    local, media = await application.start()
    network = TwilioNetwork(
        SID,
        TOKEN,
        tunnels=[
            Tunnel(public=PUBLIC, local=local),
            Tunnel(public="wss://media.example.com", local=media),
        ],
    )
    stage = Stage(application, network)
    stage.base_url = await network.start()
    yield stage
    await network.stop()
    await application.stop()


async def test_the_sdk_places_fetches_and_lists_a_call(stage: Stage) -> None:
    client = stage.client()
    placed = await asyncio.to_thread(
        client.calls.create,
        to=BOB,
        from_=ALICE,
        twiml="<Response><Say>Hi</Say></Response>",
        status_callback=f"{PUBLIC}/status",
        status_callback_event=["initiated", "ringing", "answered", "completed"],
    )
    assert (placed.status, placed.to, placed.direction) == (
        "queued",
        BOB,
        "outbound-api",
    )
    (call,) = stage.network.calls
    await stage.network.wait_ended(call)
    fetched = await asyncio.to_thread(client.calls(placed.sid).fetch)
    assert fetched.status == "completed"
    assert fetched.end_time.tzinfo is not None
    since = placed.date_created - timedelta(minutes=1)
    listed = await asyncio.to_thread(
        client.calls.list, to=BOB, from_=ALICE, start_time_after=since
    )
    assert [one.sid for one in listed] == [placed.sid]
    later = placed.date_created + timedelta(minutes=1)
    assert not await asyncio.to_thread(client.calls.list, start_time_after=later)
    states = [form["CallStatus"] for _, _, form in stage.application.hooks]
    assert states == ["initiated", "ringing", "in-progress", "completed"]


async def test_the_sdk_reads_a_list_over_several_pages(stage: Stage) -> None:
    client = stage.client()
    twiml = "<Response><Pause length='60'/></Response>"
    for _ in range(5):
        await asyncio.to_thread(client.calls.create, to=BOB, from_=ALICE, twiml=twiml)
    listed = await asyncio.to_thread(client.calls.list, page_size=2)
    assert [one.sid for one in listed] == [
        call.sid for call in reversed(stage.network.calls)
    ]


async def test_the_sdk_redirects_and_ends_a_live_call(stage: Stage) -> None:
    client = stage.client()
    twiml = "<Response><Pause length='60'/></Response>"
    placed = await asyncio.to_thread(
        client.calls.create, to=BOB, from_=ALICE, twiml=twiml
    )
    (call,) = stage.network.calls
    await stage.network.wait_until(lambda: call.answered_at is not None)
    twiml = "<Response><Say>New</Say><Pause length='60'/></Response>"
    await asyncio.to_thread(client.calls(placed.sid).update, twiml=twiml)
    await stage.network.wait_until(lambda: call.heard == "New")
    ended = await asyncio.to_thread(client.calls(placed.sid).update, status="completed")
    assert ended.status == "completed"
    with pytest.raises(TwilioRestException) as caught:
        await asyncio.to_thread(client.calls(placed.sid).update, status="completed")
    assert (caught.value.status, caught.value.code) == (404, 20404)


async def test_the_sdk_sees_refusals_and_faults(stage: Stage) -> None:
    client = stage.client()
    with pytest.raises(TwilioRestException) as caught:
        await asyncio.to_thread(client.calls.create, to="555", from_=ALICE, twiml="x")
    assert (caught.value.status, caught.value.code) == (400, 21211)
    stage.network.spoil(RestFault(status=429, method="POST"))
    with pytest.raises(TwilioRestException) as caught:
        await asyncio.to_thread(client.calls.create, to=BOB, from_=ALICE, twiml="x")
    assert (caught.value.status, caught.value.code) == (429, 20429)
    stranger = Client(SID, "wrong", http_client=LoopbackClient(stage.base_url))
    with pytest.raises(TwilioRestException) as caught:
        await asyncio.to_thread(stranger.calls("CA" + "0" * 32).fetch)
    assert (caught.value.status, caught.value.code) == (401, 20003)


async def test_a_lost_answer_leaves_a_call_behind(stage: Stage) -> None:
    stage.network.spoil(RestFault(kind=RestFaultKind.LOST_ANSWER))
    http = LoopbackClient(stage.base_url)
    http.timeout = 0.5
    client = Client(SID, TOKEN, http_client=http)
    with pytest.raises(Exception, match="timed out"):
        await asyncio.to_thread(
            client.calls.create, to=BOB, from_=ALICE, url=f"{PUBLIC}/voice"
        )
    assert len(stage.network.calls) == 1
    assert stage.network.requests[0].status is None


async def test_the_sdk_accepts_the_signature_of_a_webhook(stage: Stage) -> None:
    url = f"{PUBLIC}/voice?id=7&name=a%20b"
    call = stage.network.call_in(ALICE, BOB, url)
    await stage.network.wait_ended(call)
    (_, headers, form) = stage.application.hooks[0]
    assert headers["host"] == "agent.example.com"
    assert headers["x-forwarded-proto"] == "https"
    validator = RequestValidator(TOKEN)
    assert validator.validate(url, form, headers["x-twilio-signature"])
    form["CallSid"] += "0"
    assert not validator.validate(url, form, headers["x-twilio-signature"])


async def test_a_server_holds_a_call_through_a_stream(stage: Stage) -> None:
    application, network = stage.application, stage.network
    application.twiml = CONNECT

    def echo(transport: picows.WSTransport, message: dict[str, Any]) -> None:
        sid = message.get("streamSid")
        if message["event"] == "media":
            back = {"event": "media", "streamSid": sid}
            back["media"] = {"payload": message["media"]["payload"]}
            transport.send(picows.WSMsgType.TEXT, json.dumps(back).encode())
            if message["media"]["chunk"] == "20":
                mark = {"event": "mark", "streamSid": sid, "mark": {"name": "end"}}
                transport.send(picows.WSMsgType.TEXT, json.dumps(mark).encode())
        elif message["event"] == "mark":
            transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()

    application.on_message = echo
    voice = bytes(range(1, 161)) * 10
    caller = Callee(end=lambda: AudioEnd(voice))
    call = network.call_in(ALICE, BOB, f"{PUBLIC}/voice", caller=caller)
    await network.wait_ended(call)

    path, headers = application.upgrades[0]
    assert path == "/"
    assert headers["host"] == "media.example.com"
    signature = headers["x-twilio-signature"]
    assert RequestValidator(TOKEN).validate("wss://media.example.com/", {}, signature)
    connected, start, first = application.messages[:3]
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start["start"]["callSid"] == call.sid
    assert start["start"]["customParameters"] == {"token": "t-1"}
    assert first["sequenceNumber"] == "2"
    assert base64.b64decode(first["media"]["payload"]) == bytes(range(1, 161))
    assert voice in call.heard_audio
    assert call.heard == "After"
    assert call.status is CallStatus.COMPLETED
    assert network.errors == []


async def test_a_hang_up_ends_the_stream_with_a_stop(stage: Stage) -> None:
    application, network = stage.application, stage.network
    application.twiml = CONNECT
    caller = Callee(end=EchoEnd)
    call = network.call_in(ALICE, BOB, f"{PUBLIC}/voice", caller=caller)
    await network.wait_until(lambda: call.stream is not None)
    stream = call.stream
    assert stream is not None
    assert call.press("5")
    await network.wait_until(lambda: len(application.messages) > 10)
    call.hang_up()
    await network.wait_ended(call)
    await network.wait_until(lambda: stream.is_over)
    await asyncio.wait_for(application.stopped.wait(), 5)
    events = [message["event"] for message in application.messages]
    assert "dtmf" in events
    numbers = [int(m["sequenceNumber"]) for m in application.messages[1:]]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_a_refused_upgrade_is_logged_and_the_call_goes_on(stage: Stage) -> None:
    stage.application.twiml = CONNECT
    stage.application.refuses_media = True
    call = stage.network.call_in(ALICE, BOB, f"{PUBLIC}/voice")
    await stage.network.wait_ended(call)
    assert [error.code for error in stage.network.errors] == [31920]
    assert call.heard == "After"


async def test_binary_messages_are_logged_once(stage: Stage) -> None:
    application, network = stage.application, stage.network
    application.twiml = CONNECT

    def misbehave(transport: picows.WSTransport, message: dict[str, Any]) -> None:
        if message["event"] == "media":
            transport.send(picows.WSMsgType.BINARY, b"x")
        if message.get("sequenceNumber") == "5":
            transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()

    application.on_message = misbehave
    call = network.call_in(ALICE, BOB, f"{PUBLIC}/voice")
    await network.wait_ended(call)
    assert [error.code for error in network.errors] == [31950]


async def test_eight_calls_keep_their_pace(stage: Stage) -> None:
    application, network = stage.application, stage.network
    application.twiml = CONNECT
    calls = [network.call_in(ALICE, BOB, f"{PUBLIC}/voice") for _ in range(8)]
    await network.wait_until(lambda: all(call.stream for call in calls))
    streams = [call.stream for call in calls if call.stream]
    loop = asyncio.get_running_loop()
    began, before = loop.time(), [stream.frames_sent for stream in streams]
    await asyncio.sleep(1.0)
    frames = (loop.time() - began) / 0.02
    for stream, count in zip(streams, before, strict=True):
        assert stream.frames_sent - count == pytest.approx(frames, abs=15)
    assert len(network.webhooks_of(WebhookKind.VOICE)) == 8


def test_the_example_of_the_documentation_runs() -> None:
    page = Path(__file__).parents[2] / "docs/reference/twilio-simulator.md"
    (example,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    exec(compile(example, page.name, "exec"), {})
