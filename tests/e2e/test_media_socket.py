"""Media sockets between our server and a foreign WebSocket client, over both wires."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from e2e.media_wires import (
    FRAME,
    PATH,
    Phone,
    media,
    serve,
    start,
)
from voice_call.carriers.base import (
    StreamAudio,
    StreamDigit,
    StreamMark,
    StreamStopped,
)
from voice_call.media.audio import ClearAudio, SendAudio, SendMark
from voice_call.server import picows_protocol
from voice_call.server.media_session import MediaLimits
from voice_call.server.media_socket import MediaSocketSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection

pytestmark = pytest.mark.anyio

QUICK = MediaLimits(start_s=0.3, farewell_s=0.5)


@pytest.fixture(params=["picows", "picows on uvloop", "asgi"])
def setting(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def wire(setting: str) -> str:
    return setting.split(maxsplit=1)[0]


@pytest.fixture
def anyio_backend(setting: str) -> tuple[str, dict[str, Any]]:
    """uvicorn runs on uvloop where there is one, and its transports differ."""
    return "asyncio", {"use_uvloop": setting.endswith("uvloop")}


@pytest.fixture
async def phone(wire: str) -> AsyncIterator[Phone]:
    async with serve(Phone(), wire) as phone:
        yield phone


@pytest.fixture
def cautious(wire: str) -> contextlib.AbstractAsyncContextManager[Phone]:
    """A server with few places and short limits."""
    settings = MediaSocketSettings(
        max_sockets=3, max_waiting=2, max_waiting_per_client=1, limits=QUICK
    )
    return serve(Phone(settings), wire)


async def closed_with(peer: ClientConnection) -> tuple[int | None, str | None]:
    """Wait for the server's close; return its code and reason."""
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(8):
            while True:
                await peer.recv()
    return peer.close_code, peer.close_reason


async def wait_for(is_met: Any, within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not is_met():  # noqa: ASYNC110 - nobody says when sockets are gone
            await asyncio.sleep(0.01)


async def is_gone(phone: Phone) -> None:
    """Wait until no socket is left behind."""
    await wait_for(lambda: not phone.media.open_sockets)
    assert phone.media.waiting_sockets == 0


# -- a call ----------------------------------------------------------------------------


async def test_stream_carries_events_in_order_from_the_first_frame(
    phone: Phone,
) -> None:
    async with phone.opened() as peer:
        await peer.send('{"event": "connected"}')
        await peer.send(start(token=phone.issue("t0ken")))
        await peer.send(media(b"\x01" * 160))
        await peer.send(media(b"\x02" * 160))
        await peer.send('{"event": "mark", "mark": {"name": "m1"}}')
        await peer.send('{"event": "dtmf", "dtmf": {"digit": "#"}}')
        await peer.send('{"event": "stop"}')
        assert await closed_with(peer) == (1000, "")
    stream = phone.sink.streams[0]
    assert stream.started.stream_id == "MZ1"
    assert [event for _, event in stream.events] == [
        StreamAudio(payload=b"\x01" * 160),
        StreamAudio(payload=b"\x02" * 160),
        StreamMark(name="m1"),
        StreamDigit(digit="#"),
        StreamStopped(),
    ]
    await is_gone(phone)


async def test_commands_reach_the_carrier_in_order(phone: Phone) -> None:
    async with phone.started() as peer:
        link = phone.sink.streams[0].link
        link.send(SendAudio(payload=FRAME))
        link.send(SendMark(name="m1"))
        link.send(ClearAudio())
        received = [json.loads(await peer.recv()) for _ in range(3)]
    assert [message["event"] for message in received] == ["media", "mark", "clear"]
    assert received[1] == {
        "event": "mark",
        "mark": {"name": "m1"},
        "streamSid": "MZ1",
    }


async def test_long_commands_sent_together_arrive_whole(phone: Phone) -> None:
    lengths = [9_000, 70_000, 160, 30_000, 200_000]
    async with phone.started(max_size=None) as peer:
        link = phone.sink.streams[0].link
        for length in lengths:
            link.send(SendAudio(payload=b"\x55" * length))
        arrived = [
            len(json.loads(await peer.recv())["media"]["payload"]) for _ in lengths
        ]
    assert arrived == [12_000, 93_336, 216, 40_000, 266_668]


async def test_our_close_ends_the_stream(phone: Phone) -> None:
    async with phone.started() as peer:
        stream = phone.sink.streams[0]
        stream.link.send(SendMark(name="last"))
        stream.link.close()
        stream.link.close()
        stream.link.send(SendMark(name="too late"))
        assert json.loads(await peer.recv())["mark"]["name"] == "last"
        assert await closed_with(peer) == (1000, "")
    assert [event for _, event in stream.events] == [StreamStopped()]
    await is_gone(phone)


async def test_peer_that_closes_is_answered_with_its_code(phone: Phone) -> None:
    async with phone.started() as peer:
        await peer.close(code=4001, reason="bye")
        assert peer.close_code == 4001
    await phone.sink.wait_until(lambda: phone.sink.streams[0].is_stopped, within_s=5)
    await is_gone(phone)


async def test_peer_that_vanishes_stops_the_stream_once(phone: Phone) -> None:
    async with phone.started() as peer:
        peer.transport.abort()
        stream = phone.sink.streams[0]
        await phone.sink.wait_until(lambda: stream.is_stopped, within_s=5)
        await is_gone(phone)
    assert [event for _, event in stream.events] == [StreamStopped()]


async def test_message_in_fragments_is_one_message(phone: Phone) -> None:
    async with phone.started() as peer:
        text = media()
        await peer.send([text[:20], "", text[20:100], text[100:]])
        await phone.sink.wait_until(lambda: bool(phone.sink.streams[0].events))
        assert phone.sink.streams[0].audio == FRAME


async def test_peers_ping_is_answered(phone: Phone) -> None:
    async with phone.started() as peer, asyncio.timeout(5):
        await (await peer.ping(b"are you there"))


async def test_pong_without_a_ping_is_no_matter(phone: Phone) -> None:
    async with phone.started() as peer:
        await peer.pong(b"unasked")
        await peer.send(media())
        await phone.sink.wait_until(lambda: phone.sink.streams[0].audio == FRAME)


async def test_plivos_subprotocol_is_chosen(phone: Phone) -> None:
    async with phone.opened(subprotocols=["other", "audio.drachtio.org"]) as peer:
        assert peer.subprotocol == "audio.drachtio.org"


async def test_other_subprotocols_are_not_chosen(phone: Phone) -> None:
    async with phone.opened(subprotocols=["other"]) as peer:
        assert peer.subprotocol is None


# -- who may ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "call"),
    [
        (None, "CA1"),
        ("", "CA1"),
        ("wrong", "CA1"),
        ("t0ken", "CA2"),
        ("t0ken", "CA-unknown"),
    ],
)
async def test_start_without_the_calls_own_secret_is_refused(
    phone: Phone, token: str | None, call: str
) -> None:
    phone.issue("t0ken")
    phone.calls["CA2"] = "another call"  # type: ignore[index, assignment]
    async with phone.opened() as peer:
        await peer.send(start(token=token, call=call))
        assert await closed_with(peer) == (1008, "Unknown call")
    assert phone.sink.streams == []
    await is_gone(phone)


async def test_secret_in_the_url_is_taken_where_the_start_has_none(
    phone: Phone,
) -> None:
    phone.issue("t0ken")
    async with phone.opened(path=f"{PATH}?token=t0ken") as peer:
        await peer.send(start(token=None))
        await phone.sink.wait_stream(within_s=5)


async def test_secret_is_good_once(phone: Phone) -> None:
    phone.issue("t0ken")
    async with phone.opened() as first, phone.opened() as second:
        await asyncio.gather(
            first.send(start(token="t0ken")), second.send(start(token="t0ken"))
        )
        await phone.sink.wait_stream(within_s=5)
        await wait_for(lambda: phone.media.open_sockets == 1)
    assert len(phone.sink.streams) == 1


async def test_call_that_takes_no_stream_refuses_it(phone: Phone) -> None:
    phone.sink.refuses_streams = True
    async with phone.opened() as peer:
        await peer.send(start(token=phone.issue("t0ken")))
        assert await closed_with(peer) == (1008, "Unknown call")


async def test_second_start_ends_the_stream(phone: Phone) -> None:
    async with phone.started() as peer:
        await peer.send(start(token=phone.issue("other"), stream="MZ2"))
        assert await closed_with(peer) == (1008, "Second start")
    assert len(phone.sink.streams) == 1
    assert phone.sink.streams[0].is_stopped


async def test_upgrade_that_is_not_the_carriers_is_refused(wire: str) -> None:
    shown: list[str] = []

    def verify(arrival: Any) -> bool:
        shown.append(f"{arrival.path} {arrival.query} {arrival.headers['x-signed']}")
        return False

    async with serve(Phone(verify_upgrade=verify), wire) as phone:
        with pytest.raises(InvalidStatus) as refused:
            async with phone.opened(
                path=f"{PATH}?a=b", additional_headers={"X-Signed": "no"}
            ):
                pass
    assert refused.value.response.status_code == 403
    assert shown == [f"{PATH} a=b no"]


# -- limits ----------------------------------------------------------------------------


async def test_socket_that_does_not_start_is_closed(cautious: Any) -> None:
    async with cautious as phone, phone.opened() as peer:
        assert await closed_with(peer) == (1008, "Start timeout")
        await is_gone(phone)


async def test_started_stream_outlives_the_start_timeout(cautious: Any) -> None:
    async with cautious as phone, phone.started() as peer:
        await asyncio.sleep(0.5)
        await peer.send(media())
        await phone.sink.wait_until(lambda: phone.sink.streams[0].audio == FRAME)


async def test_second_waiting_socket_of_a_client_is_closed(cautious: Any) -> None:
    async with cautious as phone, phone.opened(), phone.opened() as second:
        assert await closed_with(second) == (1013, "Too many pending connections")


async def test_upgrade_beyond_all_places_is_refused(cautious: Any) -> None:
    async with cautious as phone, phone.started(), phone.started(), phone.started():
        with pytest.raises(InvalidStatus) as refused:
            async with phone.opened():
                pass
        assert refused.value.response.status_code == 503


async def test_frame_beyond_the_limit_ends_the_stream(phone: Phone) -> None:
    async with phone.started() as peer:
        await peer.send("x" * 65_537)
        assert (await closed_with(peer))[0] == 1009
    await is_gone(phone)
    assert phone.sink.streams[0].is_stopped


async def test_fragments_beyond_the_limit_end_the_stream(phone: Phone) -> None:
    async with phone.started() as peer:
        with contextlib.suppress(ConnectionClosed):
            await peer.send(["x" * 40_000, "x" * 40_000])
        assert (await closed_with(peer))[0] == 1009


async def test_message_of_the_greatest_length_is_taken(phone: Phone) -> None:
    async with phone.started() as peer:
        text = media(b"\x11" * 48_000)
        await peer.send(text + " " * (65_536 - len(text)))
        await phone.sink.wait_until(lambda: bool(phone.sink.streams[0].events))
        assert len(phone.sink.streams[0].audio) == 48_000


async def test_binary_message_ends_the_stream(phone: Phone) -> None:
    async with phone.started() as peer:
        await peer.send(b"\x00\x01")
        assert (await closed_with(peer))[0] == 1003


async def test_nonsense_is_skipped_for_a_while(phone: Phone) -> None:
    async with phone.started() as peer:
        for _ in range(20):
            await peer.send("{")
        await peer.send(media())
        await phone.sink.wait_until(lambda: phone.sink.streams[0].audio == FRAME)
        await peer.send("[]")
        assert await closed_with(peer) == (1008, "Too many malformed messages")


async def test_audio_before_the_start_is_nonsense(phone: Phone) -> None:
    async with phone.opened() as peer:
        await peer.send(media())
        await peer.send(start(token=phone.issue("t0ken")))
        stream = await phone.sink.wait_stream(within_s=5)
        assert stream.events == []


async def test_peer_that_does_not_read_is_given_up(wire: str) -> None:
    settings = MediaSocketSettings(limits=QUICK)
    async with serve(Phone(settings), wire) as phone, phone.started() as peer:
        peer.transport.pause_reading()
        stream = phone.sink.streams[0]
        async with phone.started() as other:
            for _ in range(4_000):  # 12 MB, beyond what the kernel takes
                stream.link.send(SendAudio(payload=FRAME * 14))
                if stream.is_stopped:
                    break
                await asyncio.sleep(0)
            assert stream.is_stopped
            await other.send(media())
            await phone.sink.wait_until(lambda: phone.sink.streams[1].audio == FRAME)
        peer.transport.resume_reading()


async def test_slow_reader_hears_why_when_it_reads_again(wire: str) -> None:
    async with serve(Phone(), wire) as phone, phone.started() as peer:
        peer.transport.pause_reading()
        stream = phone.sink.streams[0]
        while not stream.is_stopped:
            stream.link.send(SendAudio(payload=FRAME * 50))
            await asyncio.sleep(0)
        peer.transport.resume_reading()
        assert await closed_with(peer) == (1013, "Backlog too long")
        await is_gone(phone)


# -- faults ----------------------------------------------------------------------------


async def test_fault_in_one_call_ends_that_call_alone(phone: Phone) -> None:
    async with phone.started() as broken, phone.started() as other:
        phone.sink.streams[0].failure = RuntimeError("a listener with a bug")
        await broken.send(media())
        assert (await closed_with(broken))[0] == 1011
        await other.send(media())
        await phone.sink.wait_until(lambda: phone.sink.streams[1].audio == FRAME)


async def test_fault_of_a_codec_ends_that_call_alone(phone: Phone) -> None:
    async with phone.started() as broken, phone.started() as other:
        await broken.send('{"event": "bug"}')
        assert (await closed_with(broken))[0] == 1011
        await other.send(media())
        await phone.sink.wait_until(lambda: phone.sink.streams[1].audio == FRAME)


async def test_peer_that_does_not_answer_pings_is_lost(wire: str) -> None:
    settings = MediaSocketSettings(limits=MediaLimits(ping_s=0.2, farewell_s=0.2))
    async with serve(Phone(settings), wire) as phone, phone.started() as peer:
        peer.transport.pause_reading()  # as if the network between us had gone
        stream = phone.sink.streams[0]
        await phone.sink.wait_until(lambda: stream.is_stopped, within_s=5)
        if wire == "picows":
            await is_gone(phone)
        peer.transport.resume_reading()


async def test_peer_that_answers_pings_stays(wire: str) -> None:
    settings = MediaSocketSettings(limits=MediaLimits(ping_s=0.1))
    async with serve(Phone(settings), wire) as phone, phone.started() as peer:
        await asyncio.sleep(0.6)
        await peer.send(media())
        await phone.sink.wait_until(lambda: phone.sink.streams[0].audio == FRAME)


async def test_server_that_closes_says_so_to_all(phone: Phone) -> None:
    async with phone.started() as started, phone.opened() as waiting:
        closing = asyncio.create_task(phone.media.close())
        assert await closed_with(started) == (1001, "Shutting down")
        assert await closed_with(waiting) == (1001, "Shutting down")
        await closing
        with pytest.raises(InvalidStatus):
            async with phone.opened():
                pass
    assert phone.sink.streams[0].is_stopped


async def test_uvicorns_stop_ends_all_streams(wire: str) -> None:
    async with serve(Phone(), wire) as phone, phone.started() as peer:
        assert phone.uvicorn is not None
        stopping = asyncio.create_task(phone.uvicorn.shutdown())
        assert (await closed_with(peer))[0] in {1001, 1012}
        await stopping
        assert phone.sink.streams[0].is_stopped
        assert phone.media.open_sockets == 0


async def test_other_paths_reach_the_application(phone: Phone) -> None:
    async with phone.opened(path="/voice/stream-evil") as peer:
        await peer.send("echo")
        assert await peer.recv() == "echo"
    async with phone.opened(path="/voice/stream/") as peer:
        await peer.send("echo")
        assert await peer.recv() == "echo"
    reader, writer = await asyncio.open_connection("127.0.0.1", phone.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).endswith(b"hello\r\n0\r\n\r\n")
    writer.close()


async def test_other_paths_are_refused_without_another_implementation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(picows_protocol, "AutoWebSocketsProtocol", None)
    async with serve(Phone(), "picows") as phone:
        with pytest.raises(InvalidStatus) as refused:
            async with phone.opened(path="/other"):
                pass
        assert refused.value.response.status_code == 404
        async with phone.started() as peer:
            await peer.send(media())
            await phone.sink.wait_until(lambda: phone.sink.streams[0].audio == FRAME)


async def test_stream_comes_through_a_unix_socket(wire: str, tmp_path: Path) -> None:
    where = str(tmp_path / "media")
    async with (
        serve(Phone(), wire, unix=where) as phone,
        unix_connect(where, f"ws://localhost{PATH}") as peer,
    ):
        await peer.send(start(token=phone.issue("t0ken")))
        await peer.send(media())
        stream = await phone.sink.wait_stream(within_s=5)
        await phone.sink.wait_until(lambda: stream.audio == FRAME, within_s=5)


# -- strangers, on the wire ------------------------------------------------------------

UPGRADE = (
    f"GET {PATH} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def raw_socket(
    phone: Phone,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Upgrade by hand, to send afterwards what no client sends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", phone.port)
    writer.write(UPGRADE.encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    return reader, writer


MASK = b"\x00\x00\x00\x00"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(b"\x81\x02{}", 1002, id="without mask"),
        pytest.param(b"\x83\x80" + MASK, 1002, id="reserved opcode"),
        pytest.param(b"\xc1\x82" + MASK + b"{}", 1002, id="reserved bit"),
        pytest.param(b"\x80\x82" + MASK + b"{}", 1002, id="continues nothing"),
        pytest.param(
            b"\x01\x81" + MASK + b"{" + b"\x81\x82" + MASK + b"{}",
            1002,
            id="message within a message",
        ),
        pytest.param(b"\x81\xff" + b"\x7f" + b"\xff" * 7 + MASK, 1009, id="8 exabytes"),
        pytest.param(b"\x81\x82" + MASK + b"\xff\xff", 1007, id="not UTF-8"),
        pytest.param(b"\x09\x80" + MASK, 1002, id="ping in fragments"),
        pytest.param(b"\x88\x82" + MASK + b"\x00\x01", 1002, id="impossible close"),
    ],
)
async def test_frames_against_the_protocol_are_answered_with_a_code(
    phone: Phone, sent: bytes, code: int
) -> None:
    reader, writer = await raw_socket(phone)
    writer.write(sent)
    async with asyncio.timeout(12):
        answer = await reader.readexactly(4)
    assert answer[0] == 0x88
    assert int.from_bytes(answer[2:4]) == code
    writer.close()
    await is_gone(phone)


async def test_close_without_a_code_is_answered(phone: Phone) -> None:
    reader, writer = await raw_socket(phone)
    writer.write(b"\x88\x80" + MASK)
    async with asyncio.timeout(5):
        answer = await reader.read()
    assert answer in {b"\x88\x02\x03\xe8", b"\x88\x00"}
    writer.close()
    await is_gone(phone)


@pytest.mark.parametrize(
    "head",
    [
        UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"),
        UPGRADE.replace("Version: 13", "Version: 1"),
        UPGRADE.replace("Sec-WebSocket-Key", "X-Key"),
    ],
)
async def test_upgrades_against_the_protocol_are_refused(
    phone: Phone, head: str
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", phone.port)
    writer.write(head.encode())
    async with asyncio.timeout(5):
        status = await reader.readline()
    assert status.split()[1] in {b"400", b"426"}
    writer.close()
    assert phone.media.open_sockets == 0


async def test_unread_pongs_do_not_pile_up() -> None:
    settings = MediaSocketSettings(
        limits=MediaLimits(start_s=30, buffered_bytes=50_000, farewell_s=0.2)
    )
    async with serve(Phone(settings), "picows") as phone:
        reader, writer = await raw_socket(phone)
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        ping = b"\x89\xfd" + MASK + b"p" * 125
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(20):
                while phone.media.open_sockets:
                    writer.write(ping * 500)
                    await asyncio.sleep(0)
                    if writer.transport.get_write_buffer_size() > 1_000_000:
                        await asyncio.sleep(0.01)
        assert phone.media.open_sockets == 0
        writer.transport.abort()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def resident_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


async def test_flood_of_small_messages_does_not_grow_memory(
    wire: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "voice_call")  # and back again after the test
    settings = MediaSocketSettings(limits=MediaLimits(start_s=30))
    async with serve(Phone(settings), wire) as phone:
        _reader, writer = await raw_socket(phone)
        text = b'{"event": "connected"}'
        frame = bytes([0x81, 0x80 | len(text)]) + MASK + text
        burst = frame * 20_000
        writer.write(burst)
        await writer.drain()
        before = resident_kib()
        for _ in range(5):
            writer.write(burst)
            await writer.drain()
        assert resident_kib() - before < 4096
        writer.close()
        await is_gone(phone)


async def test_call_goes_on_beside_a_thousand_idle_sockets(wire: str) -> None:
    settings = MediaSocketSettings(
        max_sockets=1100, max_waiting=1000, max_waiting_per_client=1000
    )
    async with serve(Phone(settings), wire) as phone, phone.started() as peer:
        idle = []
        for _ in range(20):
            idle += await asyncio.gather(*(raw_socket(phone) for _ in range(50)))
        assert phone.media.waiting_sockets == 1000
        loop = asyncio.get_running_loop()
        stream = phone.sink.streams[0]
        for number in range(10):
            began = loop.time()
            await peer.send(media())
            await phone.sink.wait_until(lambda n=number: len(stream.events) > n)
            assert loop.time() - began < 0.2
        for _, writer in idle:
            writer.transport.abort()
        await wait_for(lambda: phone.media.open_sockets == 1, within_s=20)
        assert phone.media.waiting_sockets == 0


async def test_call_goes_on_beside_noise(wire: str) -> None:
    noise = random.Random(11)
    settings = MediaSocketSettings(max_waiting_per_client=100)
    async with serve(Phone(settings), wire) as phone, phone.started() as peer:
        for _ in range(30):
            _reader, writer = await raw_socket(phone)
            # Some as it comes, some in frames that begin well.
            data = noise.randbytes(2000)
            if noise.random() < 0.67:
                data = b"".join(
                    bytes([noise.choice((0x81, 0x01, 0x00, 0x80, 0x89)), 0x80 | 5])
                    + noise.randbytes(9)
                    for _ in range(200)
                )
            writer.write(data)
            await peer.send(media())
            writer.transport.abort()
        stream = phone.sink.streams[0]
        await phone.sink.wait_until(lambda: len(stream.events) == 30, within_s=10)
        assert stream.audio == FRAME * 30
        await wait_for(lambda: phone.media.open_sockets == 1)


async def test_nothing_is_left_behind(phone: Phone) -> None:
    async with phone.started():
        pass
    await is_gone(phone)
    tasks, descriptors = len(asyncio.all_tasks()), open_files()
    for _ in range(20):
        async with phone.started() as peer:
            await peer.send(media())
        _, writer = await raw_socket(phone)
        writer.transport.abort()
    await is_gone(phone)
    await asyncio.sleep(0.05)
    assert len(asyncio.all_tasks()) <= tasks
    assert open_files() <= descriptors
