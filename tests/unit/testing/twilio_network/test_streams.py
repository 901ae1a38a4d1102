"""Media streams against a server that is played by hand, in virtual time."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from twilio.request_validator import RequestValidator

from unit.testing.twilio_network.office import (
    ALICE,
    BOB,
    PUBLIC,
    TOKEN,
    Office,
    ServerSocket,
    response,
)
from voice_call.testing.twilio_network import (
    AudioEnd,
    Callee,
    EchoEnd,
    PhoneCall,
    SilentEnd,
    WebhookKind,
)
from voice_call.testing.twilio_network.sockets import HandshakeFailed

if TYPE_CHECKING:
    from voice_call.testing.twilio_network import MediaStream

pytestmark = pytest.mark.anyio

WSS = "wss://agent.example.com/stream"
VOICE = b"\x01" * 160
CONNECT = (
    f'<Connect><Stream url="{WSS}?lost=1" statusCallback="/events" name="talk">'
    '<Parameter name="token" value="t-1"/></Stream></Connect><Say>After</Say>'
)


async def connect(
    office: Office, verbs: str = CONNECT, caller: Callee | None = None
) -> tuple[PhoneCall, ServerSocket]:
    """Let Alice call in and open a stream."""
    office.application.at("/voice", response(verbs))
    call = office.network.call_in(ALICE, BOB, f"{PUBLIC}/voice", caller=caller)
    await office.network.wait_until(lambda: any(one.is_open for one in call.streams))
    return call, office.media.sockets[-1]


def tell(call: PhoneCall, socket: ServerSocket, event: str, **body: Any) -> None:
    """Send a message from the server's side."""
    stream = call.streams[-1]
    message = {"event": event, "streamSid": stream.sid, **body}
    socket.user.receive_text(json.dumps(message))


def play(call: PhoneCall, socket: ServerSocket, audio: bytes) -> None:
    payload = base64.b64encode(audio).decode()
    tell(call, socket, "media", media={"payload": payload})


def events(socket: ServerSocket) -> list[str]:
    """Return the events that the server has got, `media` left out."""
    names = [json.loads(text)["event"] for text in socket.texts]
    return [name for name in names if name != "media"]


def media_of(socket: ServerSocket, track: str = "inbound") -> list[bytes]:
    messages = [json.loads(text) for text in socket.texts]
    return [
        base64.b64decode(message["media"]["payload"])
        for message in messages
        if message["event"] == "media" and message["media"]["track"] == track
    ]


def stream_of(call: PhoneCall) -> MediaStream:
    assert call.stream is not None
    return call.stream


async def test_a_stream_is_opened_signed_and_without_its_query() -> None:
    async with Office() as office:
        call, socket = await connect(office)
        assert socket.url == "ws://127.0.0.1:3334/stream"
        signature = socket.headers["X-Twilio-Signature"]
        assert RequestValidator(TOKEN).validate(WSS, {}, signature)
        connected, start = (json.loads(text) for text in socket.texts[:2])
        assert connected["event"] == "connected"
        assert start["start"]["callSid"] == call.sid
        assert start["start"]["customParameters"] == {"token": "t-1"}


async def test_the_callee_is_heard_every_20_ms() -> None:
    async with Office() as office:
        caller = Callee(end=lambda: AudioEnd(VOICE * 2))
        _, socket = await connect(office, caller=caller)
        await asyncio.sleep(0.11)
        assert media_of(socket) == [VOICE, VOICE] + [b"\xff" * 160] * 3
        last = json.loads(socket.texts[-1])
        assert last["media"]["timestamp"] == "80"


async def test_the_agent_is_heard_in_real_time_and_marks_come_back() -> None:
    async with Office() as office:
        call, socket = await connect(office, caller=Callee(end=EchoEnd))
        play(call, socket, VOICE * 5)
        tell(call, socket, "mark", mark={"name": "end"})
        assert "mark" not in events(socket)
        await asyncio.sleep(0.101)
        assert "mark" not in events(socket)
        await asyncio.sleep(0.02)
        assert json.loads(stream_of(call).sent[-1])["mark"] == {"name": "end"}
        assert call.heard_audio[:800] == VOICE * 5
        assert media_of(socket)[:5] == [VOICE] * 5


async def test_a_clear_silences_and_returns_marks_at_once() -> None:
    async with Office() as office:
        call, socket = await connect(office)
        play(call, socket, VOICE * 50)
        tell(call, socket, "mark", mark={"name": "a"})
        tell(call, socket, "mark", mark={"name": "b"})
        await asyncio.sleep(0.05)
        tell(call, socket, "clear")
        assert events(socket)[-2:] == ["mark", "mark"]
        await asyncio.sleep(0.1)
        assert call.heard_audio.count(VOICE) == 2


async def test_the_twiml_goes_on_when_the_server_closes() -> None:
    async with Office() as office:
        call, socket = await connect(office)
        await asyncio.sleep(1.0)
        assert call.heard == ""
        socket.user.socket_closed(1000)
        await office.network.wait_ended(call)
        assert call.heard == "After"
        assert call.streams[0].close_code == 1000
        assert office.codes == []
        assert "stop" not in events(socket)


async def test_an_action_is_asked_when_the_stream_is_over() -> None:
    async with Office() as office:
        office.application.at("/done", response("<Say>Done</Say>"))
        verbs = f'<Connect action="/done"><Stream url="{WSS}"/></Connect>'
        call, socket = await connect(office, verbs)
        socket.user.socket_closed(1000)
        await office.network.wait_ended(call)
        assert call.heard == "Done"
        (form,) = office.application.forms("/done")
        assert form["StreamSid"] == call.streams[0].sid


@pytest.mark.parametrize("code", [1006, 1011])
async def test_a_bad_close_is_logged(code: int) -> None:
    async with Office() as office:
        call, socket = await connect(office)
        socket.user.socket_closed(code)
        await office.network.wait_ended(call)
        assert office.codes == [31921]


async def test_a_hang_up_stops_the_stream() -> None:
    async with Office() as office:
        call, socket = await connect(office)
        call.hang_up()
        await office.network.wait_ended(call)
        assert events(socket)[-1] == "stop"
        assert socket.ending == "closed"
        socket.user.socket_closed(1000)
        assert call.heard == ""


async def test_a_redirect_stops_the_stream() -> None:
    async with Office() as office:
        call, socket = await connect(office)
        change = {"Twiml": response("<Say>New</Say>")}
        await office.rest.post(f"/Calls/{call.sid}.json", data=change)
        await office.network.wait_ended(call)
        assert socket.ending == "closed"
        assert call.heard == "New"


async def test_keys_reach_the_server() -> None:
    async with Office() as office:
        call, socket = await connect(office)
        assert call.press("1#")
        digits = [json.loads(text)["dtmf"] for text in socket.texts if '"dtmf"' in text]
        assert digits == [
            {"track": "inbound_track", "digit": "1"},
            {"track": "inbound_track", "digit": "#"},
        ]


async def test_wrong_messages_are_logged_once_a_stream() -> None:
    async with Office() as office:
        call, socket = await connect(office)
        tell(call, socket, "hello")
        tell(call, socket, "clear", extra=1)
        socket.user.receive_binary()
        socket.user.receive_binary()
        assert office.codes == [31951, 31950]
        assert stream_of(call).is_open


async def test_a_stream_can_be_lost_and_come_back() -> None:
    async with Office() as office:
        call, first = await connect(office)
        stream_of(call).drop(reconnect_after_s=1.5)
        assert first.ending == "aborted"
        await office.network.wait_until(lambda: call.stream is not None)
        second = office.media.sockets[-1]
        assert second is not first
        sids = [json.loads(one.texts[1])["streamSid"] for one in (first, second)]
        assert len(set(sids)) == 2
        second.user.socket_closed(1000)
        await office.network.wait_ended(call)
        assert call.heard == "After"


async def test_a_stream_can_be_lost_for_good() -> None:
    async with Office() as office:
        call, socket = await connect(office)
        stream_of(call).drop()
        await office.network.wait_ended(call)
        assert "stop" not in events(socket)
        assert call.heard == "After"
        call.streams[0].drop()
        call.streams[0].stop()


async def test_stream_events_are_reported() -> None:
    async with Office() as office:
        call, _ = await connect(office)
        call.hang_up()
        network = office.network
        await network.wait_until(
            lambda: len(network.webhooks_of(WebhookKind.STREAM)) == 2
        )
        forms = office.application.forms("/events")
        names = [(form["StreamEvent"], form["StreamName"]) for form in forms]
        assert names == [("stream-started", "talk"), ("stream-stopped", "talk")]


async def test_a_failed_handshake_is_reported_and_the_twiml_goes_on() -> None:
    async with Office() as office:
        office.media.refusal = HandshakeFailed(31920, "403")
        call = await office.run(response(CONNECT))
        assert office.codes == [31920]
        assert call.heard == "After"
        await office.network.wait_until(
            lambda: bool(office.network.webhooks_of(WebhookKind.STREAM))
        )
        (form,) = office.application.forms("/events")
        assert form["StreamEvent"] == "stream-error"
        assert form["StreamError"].startswith("31920")


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        ('<Stream url="ws://agent.example.com/s"/>', 31922),
        ('<Stream url="wss://agent.example.com/a b"/>', 31922),
        ("<Stream/>", 31922),
        (f'<Stream url="{WSS}" track="both_tracks"/>', 31941),
        ('<Stream url="wss://other.example.com/s"/>', 31901),
        ("", 0),
    ],
)
async def test_a_wrong_connect_is_logged(stream: str, code: int) -> None:
    async with Office() as office:
        call = await office.run(response(f"<Connect>{stream}</Connect>"))
        assert office.codes == [code]
        assert call.stream is None


async def test_a_long_parameter_is_logged() -> None:
    async with Office() as office:
        parameter = f'<Parameter name="p" value="{"x" * 500}"/>'
        verbs = f'<Connect><Stream url="{WSS}">{parameter}</Stream></Connect>'
        await connect(office, verbs)
        assert office.codes == [12200]


async def test_a_started_stream_runs_beside_the_twiml() -> None:
    async with Office() as office:
        stream = f'<Stream url="{WSS}" track="both_tracks" name="tap"/>'
        stop = '<Stop><Stream name="tap"/></Stop>'
        verbs = f'<Start>{stream}</Start><Pause length="1"/>{stop}<Say>Hi</Say>'
        caller = Callee(end=lambda: AudioEnd(VOICE))
        call, socket = await connect(office, verbs, caller)
        tell(call, socket, "clear")
        assert call.press("1") is False
        await office.network.wait_ended(call)
        assert office.codes == [31924]
        assert media_of(socket)[0] == VOICE
        assert len(media_of(socket, "outbound")) == pytest.approx(50, abs=1)
        assert events(socket) == ["connected", "start", "stop"]
        assert call.heard == "Hi"


async def test_a_fifth_track_is_refused() -> None:
    async with Office() as office:
        both = f'<Start><Stream url="{WSS}" track="both_tracks"/></Start>'
        one = f'<Start><Stream url="{WSS}"/></Start>'
        await office.run(response(both + both + one + "<Start><Stream/></Start>"))
        assert office.codes == [31940, 31922]


async def test_rest_starts_and_stops_a_stream() -> None:
    async with Office() as office:
        call = await office.dial(Twiml=response('<Pause length="600"/>'))
        await office.network.wait_until(lambda: call.answered_at is not None)
        path = f"/Calls/{call.sid}/Streams"
        form = {"Url": WSS, "Name": "tap", "Track": "outbound_track"}
        form |= {"Parameter1.Name": "k", "Parameter1.Value": "v"}
        answer = await office.rest.post(f"{path}.json", data=form)
        assert answer.json()["status"] == "in-progress"
        await office.network.wait_until(lambda: call.streams[0].is_open)
        (socket,) = office.media.sockets
        assert json.loads(socket.texts[1])["start"]["tracks"] == ["outbound"]
        answer = await office.rest.post(f"{path}/tap.json", data={"Status": "stopped"})
        assert answer.json()["status"] == "stopped"
        assert socket.ending == "closed"


async def test_the_pace_is_one_for_all_calls() -> None:
    async with Office() as office:
        pairs = [await connect(office) for _ in range(3)]
        await asyncio.sleep(1.0)
        counts = {call.streams[0].frames_sent for call, _ in pairs}
        assert max(counts) - min(counts) <= 1
        assert office.network.pacer.worst_lag_s < 0.001


async def test_a_close_before_the_start_ends_the_stream() -> None:
    async with Office() as office:
        office.media.closes_at_once = True
        call = await office.run(response(CONNECT))
        assert office.codes == [31921]
        assert call.heard == "After"


async def test_a_stream_that_connects_after_the_call_is_closed() -> None:
    async with Office() as office:
        office.media.delay_s = 2.0
        call = await office.dial(Twiml=response('<Pause length="600"/>'))
        await office.network.wait_until(lambda: call.answered_at is not None)
        form = {"Url": WSS}
        await office.rest.post(f"/Calls/{call.sid}/Streams.json", data=form)
        await asyncio.sleep(1.0)
        call.hang_up()
        await office.network.wait_until(lambda: call.streams[0].is_over)
        assert office.media.sockets[0].ending == "closed"
        assert office.media.sockets[0].texts == []


class _Quitter(SilentEnd):
    """Hangs up when it has heard ten frames."""

    def __init__(self) -> None:
        self.frames = 0

    def connect(self, call: PhoneCall) -> None:
        self.call = call

    def on_audio(self, frame: bytes) -> None:
        self.frames += 1
        if self.frames == 10:
            self.call.hang_up()


async def test_an_end_of_a_line_can_act_on_its_call() -> None:
    async with Office() as office:
        call, socket = await connect(office, caller=Callee(end=_Quitter))
        await office.network.wait_ended(call)
        assert call.duration_s == pytest.approx(0.2)
        assert events(socket)[-1] == "stop"
