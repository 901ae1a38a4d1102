"""What a webhook costs from the socket to the answer, and what of it is durability.

Three servers take the same requests in one run, one after another: half a kilobyte of
form with 26 fields and an HMAC signature, over 8 connections that stay open, from a
process of its own.

1. bare: uvicorn and Starlette; the handler parses the form and does nothing else.
2. checked: the webhook server; limits, public URL, signature, replay guard, decoding,
   but a sink that forgets.
3. durable: the same, and each event is in the journal on disk before its answer.

CPU time is the server process's, with the journal's thread; latency is the sender's.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import uvicorn
from bench_support import percentile, pin, settle
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from voice_call.call.model import CallId, CallMode, CarrierCallId, Direction
from voice_call.clock import SystemClock
from voice_call.exposure.public_url import UrlRules
from voice_call.runtime.journal import Journal
from voice_call.runtime.journal_codec import CallOpened
from voice_call.server.listener import WebhookServer
from voice_call.server.settings import ServerSettings
from voice_call.testing.carriers import ManualCarrier
from voice_call.testing.signed_webhooks import SignedWebhooks
from voice_call.testing.sink import RecordingSink

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from voice_call.carriers.base import CarrierNotice

REQUESTS = 4000
WARM_UP = 400
CONNECTIONS = 8
ROUNDS = 3
PATH = "/voice/webhook"
URL = f"https://phone.example.com{PATH}"
CALL = CallId("bench")


# -- the sender, in a process of its own -----------------------------------------------


def webhook(number: int, run: str) -> bytes:
    """Return a whole request; each has an identity of its own."""
    carrier = SignedWebhooks()
    fields = {"CallSid": "CA" + "0" * 32, "CallStatus": "ringing"}
    fields |= {"From": "+15550001234", "EventId": f"{run}-{number}"}
    fields |= {f"Field{position:02d}": "x" * 10 for position in range(22)}
    body = carrier.form(fields)
    headers = {
        "host": "127.0.0.1",
        "content-type": "application/x-www-form-urlencoded",
        "content-length": str(len(body)),
        **carrier.sign(URL, body),
    }
    lines = [f"POST {PATH} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def send_all(port: int, requests: list[bytes]) -> list[float]:
    """Send everything over a few connections; return how long each answer took."""
    waits: list[float] = []

    async def send() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while requests:
            request = requests.pop()
            began = time.perf_counter()
            writer.write(request)
            top = await reader.readuntil(b"\r\n\r\n")
            assert top.startswith(b"HTTP/1.1 200"), top
            length = int(top.lower().partition(b"content-length: ")[2].split(b"\r")[0])
            await reader.readexactly(length)
            waits.append(time.perf_counter() - began)
        writer.close()

    await asyncio.gather(*(send() for _ in range(CONNECTIONS)))
    return waits


def sender(port: int, run: str) -> None:
    if hasattr(os, "sched_setaffinity"):  # the server has its core for itself
        os.sched_setaffinity(0, set(range(os.cpu_count() or 1)))
    warm = [webhook(number, f"warm-{run}") for number in range(WARM_UP)]
    requests = [webhook(number, run) for number in range(REQUESTS)]
    asyncio.run(send_all(port, warm))
    print("warm", flush=True)
    began = time.perf_counter()
    waits = asyncio.run(send_all(port, requests))
    took = time.perf_counter() - began
    figures = (took, percentile(waits, 50), percentile(waits, 99))
    print(*(f"{each:.6f}" for each in figures), flush=True)


# -- the servers -----------------------------------------------------------------------


@dataclass
class Figures:
    cpu_us: float
    per_s: float
    p50_ms: float
    p99_ms: float


async def measure(port: int, run: str) -> Figures:
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, str(port), run, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"warm\n"
    cpu = time.process_time()
    line = await process.stdout.readline()
    spent = time.process_time() - cpu
    await process.wait()
    took, p50, p99 = map(float, line.split())
    return Figures(spent / REQUESTS * 1e6, REQUESTS / took, p50 * 1e3, p99 * 1e3)


class _Uvicorn(uvicorn.Server):
    async def startup(self, sockets: object = None) -> None:
        await super().startup(sockets)  # type: ignore[arg-type]  # a socket list
        self.is_ready.set()

    def prepare(self) -> None:
        self.is_ready = asyncio.Event()


async def bare(run: str) -> Figures:
    async def take(request: Request) -> Response:
        fields = dict(parse_qsl((await request.body()).decode()))
        assert len(fields) == 26
        return Response(b"<Response/>", media_type="text/xml")

    app = Starlette(routes=[Route(PATH, take, methods=["POST"])])
    server = _Uvicorn(
        uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan="off")
    )
    server.prepare()
    serving = asyncio.create_task(server.serve())
    await server.is_ready.wait()
    port = server.servers[0].sockets[0].getsockname()[1]
    figures = await measure(port, run)
    server.should_exit = True
    await serving
    return figures


class Forgetful(RecordingSink):
    async def deliver(self, notice: CarrierNotice) -> None:
        pass


class Durable(RecordingSink):
    def __init__(self, journal: Journal) -> None:
        super().__init__(SystemClock())
        self.journal = journal

    async def deliver(self, notice: CarrierNotice) -> None:
        await self.journal.append(
            CALL, notice.event, at=self._clock.now(), dedupe_key=notice.dedupe_key
        )


async def served(run: str, sink: RecordingSink) -> Figures:
    server = WebhookServer(
        ServerSettings(port=0, urls=UrlRules(public_url=URL)),
        replace(ManualCarrier().carrier, webhooks=SignedWebhooks()),
        sink,
        lambda _call, _notice: (),
        SystemClock(),
    )
    figures = await measure(urlsplit(await server.start()).port or 0, run)
    await server.stop(1.0)
    return figures


async def checked(run: str) -> Figures:
    return await served(run, Forgetful(SystemClock()))


async def durable(run: str) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal.open(Path(folder) / "calls.sqlite3")
        opened = CallOpened(
            call_id=CALL,
            carrier="test",
            direction=Direction.INBOUND,
            mode=CallMode.CONVERSATION,
            from_="+15550001234",
            to="+15550000000",
            session_key="bench",
            carrier_call_id=CarrierCallId("CA" + "0" * 32),
        )
        await journal.append(CALL, opened, at=0.0)
        figures = await served(run, Durable(journal))
        kept = len(journal.entries(CALL))
        assert kept == 1 + WARM_UP + REQUESTS, kept
        await journal.close()
    return figures


def best_of(serve: Callable[[str], Awaitable[Figures]]) -> Figures:
    async def run(number: int) -> Figures:
        return await serve(f"{serve.__name__}-{number}")

    rounds = [asyncio.run(run(number)) for number in range(ROUNDS)]
    return min(rounds, key=lambda each: each.cpu_us)


def main() -> None:
    length = len(webhook(0, "x").partition(b"\r\n\r\n")[2])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    print(f"webhooks: {REQUESTS} of {length} bytes, {CONNECTIONS} connections")
    pin()
    settle()
    print(f"  one core for the server of {cores}; best of {ROUNDS} rounds by CPU time")
    baseline: Figures | None = None
    for serve in (bare, checked, durable):
        found = best_of(serve)
        baseline = baseline or found
        print(
            f"  {serve.__name__:8s} {found.cpu_us:5.0f} us CPU, {found.per_s:5.0f}/s,"
            f" p50 {found.p50_ms:5.2f} ms, p99 {found.p99_ms:6.2f} ms,"
            f"  {found.cpu_us / baseline.cpu_us:4.2f} x bare in CPU,"
            f" {baseline.per_s / found.per_s:4.2f} x in time"
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sender(int(sys.argv[1]), sys.argv[2])
    else:
        main()
