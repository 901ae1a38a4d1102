"""What media sockets cost, and how evenly audio arrives, over real sockets.

A client process on one core holds the calls; a server process on another serves them.
Nothing leaves the machine, and there is no TLS.

1. CPU time of the server for one pair of 20 ms frames, one in (decoded, through the
   energy gate of voice detection) and one out (encoded). Ours is the picows wire and the
   portable ASGI one; the baseline is a Starlette WebSocket route under uvicorn as it
   comes. All do the same work per frame with the same decoder, on uvloop, and send from
   one shared timer.
2. Calls that all speak and listen at once through our picows wire, the same way. Jitter
   is by how much the time between two frames of a call differs from 20 ms, as the client
   sees it. Client and machine are part of it: they send and take as many frames.

Run: `python bench/bench_media_socket.py`. Under 90 seconds.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import resource
import socket
import time
from binascii import b2a_base64
from typing import TYPE_CHECKING, Any

import msgspec
import uvicorn
import uvloop
from bench_support import percentile, pin, settle
from picows import WSListener, WSMsgType, ws_connect
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from voice_call.call.model import CallId, CarrierCallId, StreamId
from voice_call.carriers.base import StreamAudio, StreamStarted
from voice_call.clock import SystemClock
from voice_call.media.audio import SendAudio
from voice_call.media.g711 import encode_ulaw
from voice_call.media.vad import EnergyGate
from voice_call.server.media_asgi import AsgiMedia
from voice_call.server.media_socket import MediaSocketServer, MediaSocketSettings
from voice_call.server.picows_protocol import uvicorn_protocol
from voice_call.server.stream_tickets import StreamTickets

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

PATH = "/voice/stream"
PAIR_CALLS = 100
PAIR_S = 4.0
ROUNDS = 2
CALLS = (100, 300, 500, 700, 900)
JITTER_S = 4.0
SETTLE_S = 1.0
JITTER_LIMIT_S = 0.02
FRAME_S = 0.02
SLOTS = 20

SPEECH = encode_ulaw(
    b"".join(
        int(9000 * ((i * 37 % 200) / 100 - 1)).to_bytes(2, "little", signed=True)
        for i in range(8000)
    )
)
FRAME = SPEECH[:160]
MEDIA = json.dumps(
    {
        "event": "media",
        "sequenceNumber": "2",
        "media": {
            "track": "inbound",
            "chunk": "1",
            "timestamp": "5",
            "payload": b2a_base64(FRAME, newline=False).decode(),
        },
        "streamSid": "MZ" + "0" * 32,
    }
).encode()


# -- what all servers share ------------------------------------------------------------


class Start(msgspec.Struct):
    callSid: str  # noqa: N815 - the wire's name
    customParameters: dict[str, str]  # noqa: N815 - the wire's name


class Media(msgspec.Struct):
    payload: bytes


class Message(msgspec.Struct):
    event: str
    streamSid: str  # noqa: N815 - the wire's name
    media: Media | None = None
    start: Start | None = None


class Codec:
    """Twilio's messages, decoded by type."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(Message).decode

    def decode(self, message: bytes):
        fields = self._decode(message)
        if fields.media is not None:
            return StreamAudio(payload=fields.media.payload)
        assert fields.start is not None
        return StreamStarted(
            stream_id=StreamId(fields.streamSid),
            carrier_call_id=CarrierCallId(fields.start.callSid),
            token=fields.start.customParameters["token"],
        )

    def encode(self, command, *, stream_id: StreamId) -> bytes:
        head = f'{{"event":"media","streamSid":"{stream_id}","media":{{"payload":"'
        return head.encode() + b2a_base64(command.payload, newline=False) + b'"}}'


class Counted:
    frames_in = 0
    frames_out = 0


class Call:
    """Hears with the energy gate; speaks a frame whenever it is told to."""

    def __init__(self, link) -> None:
        self.link = link
        self.energy = EnergyGate()

    def receive(self, event) -> None:
        if isinstance(event, StreamAudio):
            Counted.frames_in += 1
            self.energy.is_worth_detecting(event.payload)


COMMAND = SendAudio(payload=FRAME)


async def speak_frames(calls: list[Any]) -> None:
    """Send every call one frame each 20 ms, on an absolute grid."""
    loop = asyncio.get_running_loop()
    began, tick = loop.time(), 0
    while True:
        tick += 1
        await asyncio.sleep(began + tick * FRAME_S - loop.time())
        for call in calls:
            call.link.send(COMMAND)
        Counted.frames_out += len(calls)


async def speak_frames_awaiting(sockets: list[WebSocket], codec: Codec) -> None:
    loop = asyncio.get_running_loop()
    began, tick = loop.time(), 0
    while True:
        tick += 1
        await asyncio.sleep(began + tick * FRAME_S - loop.time())
        for websocket in tuple(sockets):
            message = codec.encode(COMMAND, stream_id=StreamId("MZ" + "0" * 32))
            await websocket.send_text(message.decode())
        Counted.frames_out += len(sockets)


# -- the servers -----------------------------------------------------------------------


class Sink:
    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def deliver(self, notice) -> None:
        raise NotImplementedError

    def open_stream(self, _started: StreamStarted, link) -> Call:
        call = Call(link)
        self.calls.append(call)
        return call


def our_app(kind: str):
    """Return an application, uvicorn's `ws` option, and the calls to speak to."""
    clock = SystemClock()
    sink = Sink()
    tickets = StreamTickets()
    for number in range(max(CALLS)):
        tickets.issue(CallId(f"CA{number}"), token=f"t{number}", now=clock.now())
    server = MediaSocketServer(
        Codec(),
        sink,
        tickets,
        call_of=CallId,
        clock=clock,
        settings=MediaSocketSettings(
            max_sockets=2000, max_waiting=2000, max_waiting_per_client=2000
        ),
    )
    app = Starlette(routes=[WebSocketRoute(PATH, AsgiMedia(server))])
    return app, "auto" if kind == "asgi" else uvicorn_protocol(server), sink.calls


def plain_app():
    codec, sockets = Codec(), []

    async def stream(websocket: WebSocket) -> None:
        await websocket.accept()
        call: Call | None = None
        try:
            while True:
                event = codec.decode((await websocket.receive_text()).encode())
                if call is None:
                    call = Call(None)
                    sockets.append(websocket)
                else:
                    call.receive(event)
        except WebSocketDisconnect:
            pass
        finally:
            if websocket in sockets:
                sockets.remove(websocket)

    return Starlette(routes=[WebSocketRoute(PATH, stream)]), sockets, codec


async def serve(kind: str, control: Connection) -> None:
    if kind == "plain":
        app, sockets, codec = plain_app()
        ws: Any = "auto"
        speaking = speak_frames_awaiting(sockets, codec)
    else:
        app, ws, calls = our_app(kind)
        speaking = speak_frames(calls)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = uvicorn.Config(app, ws=ws, lifespan="off", log_config=None)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup([listener])
    loop = asyncio.get_running_loop()
    speaker = loop.create_task(speaking)
    ended = loop.create_future()
    began: list[float] = []

    def obey() -> None:
        if control.recv() == "begin":
            settle()
            Counted.frames_in = Counted.frames_out = 0
            began[:] = time.process_time(), time.perf_counter()
            return
        cpu = time.process_time() - began[0]
        share = cpu / (time.perf_counter() - began[1])
        control.send((cpu, share, Counted.frames_in, Counted.frames_out))
        ended.set_result(None)

    loop.add_reader(control.fileno(), obey)
    control.send(listener.getsockname()[1])
    await ended
    speaker.cancel()
    os._exit(0)  # open connections are nobody's concern


def serve_process(kind: str, control: Connection) -> None:
    pin()
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    uvloop.run(serve(kind, control))


# -- the client ------------------------------------------------------------------------


class Caller(WSListener):
    """One call as its carrier sees it."""

    def __init__(self) -> None:
        self.transport = None
        self.is_timed = False
        self.last: float | None = None
        self.jitter: list[float] = []

    def on_ws_connected(self, transport) -> None:
        self.transport = transport

    def on_ws_frame(self, _transport, frame) -> None:
        if not self.is_timed or frame.msg_type != WSMsgType.TEXT:
            return
        now = time.perf_counter()
        if self.last is not None:
            self.jitter.append(abs(now - self.last - FRAME_S))
        self.last = now


async def call_in(port: int, count: int) -> list[Caller]:
    callers = []
    for number in range(count):
        _, caller = await ws_connect(Caller, f"ws://127.0.0.1:{port}{PATH}")
        start = {
            "event": "start",
            "streamSid": f"MZ{number:032}",
            "start": {
                "callSid": f"CA{number}",
                "customParameters": {"token": f"t{number}"},
            },
        }
        caller.transport.send(WSMsgType.TEXT, json.dumps(start).encode())
        callers.append(caller)
    return callers


async def talk(callers: list[Caller]) -> None:
    """Send a frame of each call every 20 ms, different calls at different times."""
    loop = asyncio.get_running_loop()
    groups = [callers[slot::SLOTS] for slot in range(SLOTS)]
    began, turn = loop.time(), 0
    while True:
        for caller in groups[turn % SLOTS]:
            caller.transport.send(WSMsgType.TEXT, MEDIA)
        turn += 1
        await asyncio.sleep(began + turn * FRAME_S / SLOTS - loop.time())


async def run(kind: str, count: int, seconds: float):
    """Run calls against a server; return its figures and the jitter of all calls."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=serve_process, args=(kind, theirs), daemon=True)
    process.start()
    loop = asyncio.get_running_loop()
    port = await loop.run_in_executor(None, ours.recv)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    callers = await call_in(port, count)
    settle()
    talking = loop.create_task(talk(callers))
    await asyncio.sleep(SETTLE_S)
    for caller in callers:
        caller.is_timed = True
    ours.send("begin")
    await asyncio.sleep(seconds)
    ours.send("end")
    figures = await loop.run_in_executor(None, ours.recv)
    talking.cancel()
    for caller in callers:
        caller.is_timed = False
    await loop.run_in_executor(None, process.join)
    return figures, [each for caller in callers for each in caller.jitter]


def pair_cost(kind: str) -> float:
    """Return microseconds of CPU for one frame in and one out."""
    (cpu, _, frames_in, frames_out), _ = uvloop.run(run(kind, PAIR_CALLS, PAIR_S))
    expected = PAIR_CALLS * PAIR_S / FRAME_S
    assert min(frames_in, frames_out) > 0.9 * expected, "the server could not keep up"
    return cpu / ((frames_in + frames_out) / 2) * 1e6


def main() -> None:
    others = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(others) > 1:
        os.sched_setaffinity(0, set(others[:-1]) if len(others) > 2 else {others[0]})
    print(
        f"server CPU for one frame in and one out, {PAIR_CALLS} calls, best of {ROUNDS}:"
    )
    costs: dict[str, list[float]] = {"picows": [], "asgi": [], "plain": []}
    for _ in range(ROUNDS):
        for kind, found in costs.items():
            found.append(pair_cost(kind))
    best = {kind: min(found) for kind, found in costs.items()}
    print(f"  ours, picows          {best['picows']:6.1f} us")
    print(f"  ours, portable ASGI   {best['asgi']:6.1f} us")
    print(f"  uvicorn + Starlette   {best['plain']:6.1f} us")
    print(
        f"  ratio, picows         {best['picows'] / best['plain']:6.2f}  (target 0.50)"
    )
    print(f"  ratio, portable       {best['asgi'] / best['plain']:6.2f}")
    print("calls that speak and listen at once, seen by the client:")
    for count in CALLS:
        (_, share, *_), jitter = uvloop.run(run("picows", count, JITTER_S))
        p99 = percentile(jitter, 99)
        print(
            f"  {count:4d} calls  jitter p50 {percentile(jitter, 50) * 1000:5.1f} ms, "
            f"p99 {p99 * 1000:5.1f} ms,  server core {share:4.0%}  "
            f"{'ok' if p99 < JITTER_LIMIT_S else 'too late'}"
        )
        if p99 >= JITTER_LIMIT_S:
            break


if __name__ == "__main__":
    main()
