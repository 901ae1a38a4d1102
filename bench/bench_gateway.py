"""What the Gateway itself costs: start, idle memory, RPC, and its part of an answer.

The server's CPU time is read from /proc, so this runs on Linux. Speech models are left
out: the figures are the Gateway's and the Voice Call plugin's own. Requests over RPC are
compared with a bare echo over the same WebSocket stack in the same run.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from bench_support import percentile
from websockets.asyncio.client import connect

from openclaw_gateway.rpc.async_client import AsyncGatewayClient
from openclaw_gateway.rpc.client import Address
from openclaw_gateway.testing.model_server import API_KEY, Answer, ModelServer

if TYPE_CHECKING:
    from collections.abc import Mapping

OPENCLAW = str(Path(sys.executable).with_name("openclaw"))
STARTS = 3
REQUESTS = 16_000
WINDOW = 16
"""Requests that are on their way at once: what a busy client keeps open."""
UNKNOWN = {"callId": "no-such-call"}
TICK_S = 1 / os.sysconf("SC_CLK_TCK")

START_TARGET_S = 1.5
MEMORY_TARGET_MB = 80
REQUESTS_TARGET = 5_000

ECHO = """
import asyncio, sys, uvicorn, uvloop
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

async def echo(ws):
    await ws.accept()
    async for text in ws.iter_text():
        await ws.send_text(text)

app = Starlette(routes=[WebSocketRoute("/", echo)])
uvicorn.run(app, port=int(sys.argv[1]), ws="websockets-sansio", http="httptools",
            loop="uvloop", log_level="error", ws_per_message_deflate=False)
"""


class Process:
    """A server as a process of its own, and what it has used up."""

    def __init__(self, command: list[str], environ: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            command, env=dict(environ), stderr=subprocess.PIPE, text=True
        )
        self.pid = self.process.pid

    def wait_ready(self) -> None:
        assert self.process.stderr is not None
        while "ready on" not in (line := self.process.stderr.readline()):
            assert line, "the Gateway did not start"

    @property
    def cpu_s(self) -> float:
        """Seconds of user and system time until now."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK_S

    @property
    def memory_mb(self) -> float:
        """Resident memory, in 10⁶ bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)


class Bench:
    """A home for Gateways."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = secrets.token_urlsafe(16)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.environ = {
            **os.environ,
            "OPENCLAW_STATE_DIR": str(folder),
            "OPENCLAW_CONFIG_PATH": str(folder / "openclaw.json"),
        }

    def start(self, **sections: Any) -> Process:
        config = {
            "gateway": {
                "port": self.port,
                "auth": {"token": self.token},
                "http": {"endpoints": {"chatCompletions": {"enabled": True}}},
            },
            **sections,
        }
        (self.folder / "openclaw.json").write_text(json.dumps(config))
        gateway = Process([OPENCLAW, "gateway", "run"], self.environ)
        gateway.wait_ready()
        return gateway


SPEECH = {"tts": "tone", "stt": "silent", "vad": "energy"}
PLUGIN = {
    "entries": {
        "voice-call": {
            "config": {"provider": "mock", "serve": {"port": 0}, "speech": SPEECH}
        }
    }
}
"""The Voice Call plugin with its line open, and without any speech model."""


def start_figures(bench: Bench) -> tuple[float, float]:
    """Return seconds of CPU until ready, and idle memory in MB: medians."""
    starts, memories = [], []
    for _ in range(STARTS):
        gateway = bench.start(plugins=PLUGIN)
        starts.append(gateway.cpu_s)
        time.sleep(1.0)
        memories.append(gateway.memory_mb)
        gateway.stop()
    return percentile(starts, 50), percentile(memories, 50)


async def rpc_figures(bench: Bench, gateway: Process) -> float:
    """Return requests per second of the Gateway's CPU over one WebSocket."""
    address = Address(url=f"ws://127.0.0.1:{bench.port}", secret=bench.token)
    async with AsyncGatewayClient(address) as client:

        async def ask(count: int) -> None:
            for _ in range(count):
                await client.call("voicecall.status", UNKNOWN, timeout_s=10)

        await ask(200)
        before = gateway.cpu_s
        await asyncio.gather(*(ask(REQUESTS // WINDOW) for _ in range(WINDOW)))
        return REQUESTS / (gateway.cpu_s - before)


async def echo_figures(environ: Mapping[str, str]) -> float:
    """Return messages per second of CPU of a bare echo server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Process([sys.executable, "-c", ECHO, str(port)], environ)
    text = json.dumps(
        {"type": "req", "id": "1", "method": "voicecall.status", "params": UNKNOWN}
    )
    try:
        for _ in range(100):
            try:
                socket_ = await connect(f"ws://127.0.0.1:{port}/", compression=None)
                break
            except OSError:
                await asyncio.sleep(0.05)
        async with socket_:
            before = server.cpu_s
            for _ in range(REQUESTS // WINDOW):
                for _ in range(WINDOW):
                    await socket_.send(text)
                for _ in range(WINDOW):
                    await socket_.recv()
            return REQUESTS / (server.cpu_s - before)
    finally:
        server.stop()


async def chat_figures(bench: Bench) -> tuple[float, float]:
    """Return ms until the first word that the Gateway adds: with, and without it."""
    async with ModelServer() as models:
        gateway = bench.start(
            plugins={"enabled": False},
            models={
                "providers": {"fake": {"baseUrl": models.openai_url, "apiKey": API_KEY}}
            },
            agents={"defaults": {"model": {"primary": "fake/m"}}},
        )
        try:
            ours = f"http://127.0.0.1:{bench.port}/v1"
            return (
                await first_word_ms(models, ours, bench.token),
                await first_word_ms(models, models.openai_url, API_KEY),
            )
        finally:
            gateway.stop()


async def first_word_ms(models: ModelServer, url: str, key: str) -> float:
    body = {
        "model": "openclaw",
        "stream": True,
        "messages": [{"role": "user", "content": "hello"}],
    }
    headers = {"Authorization": f"Bearer {key}"}
    times = []
    async with httpx.AsyncClient(headers=headers, timeout=30) as client:
        for _ in range(60):
            models.play(Answer(text=("Good ", "day.")))
            began = time.perf_counter()
            async with client.stream(
                "POST", f"{url}/chat/completions", json=body
            ) as answer:
                lines = answer.aiter_lines()
                while "Good" not in await anext(lines):
                    pass
                times.append((time.perf_counter() - began) * 1000)
                async for _ in lines:
                    pass  # to its end, so that the connection is used again
    return percentile(times[10:], 50)


def show(name: str, value: float, unit: str, target: float, *, at_least: bool) -> None:
    is_met = value >= target if at_least else value <= target
    sign = "≥" if at_least else "≤"
    verdict = "within" if is_met else "ABOVE" if not at_least else "BELOW"
    print(f"{name:<34}{value:>10,.2f} {unit:<10}{verdict} target {sign} {target:g}")


def main() -> None:
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        start_s, memory_mb = start_figures(bench)
        gateway = bench.start(plugins=PLUGIN)
        try:
            requests = asyncio.run(rpc_figures(bench, gateway))
        finally:
            gateway.stop()
        echoes = asyncio.run(echo_figures(bench.environ))
        with_ms, without_ms = asyncio.run(chat_figures(bench))
    show("start until ready", start_s, "s CPU", START_TARGET_S, at_least=False)
    show("idle memory", memory_mb, "MB", MEMORY_TARGET_MB, at_least=False)
    show("RPC over one WebSocket", requests, "/s CPU", REQUESTS_TARGET, at_least=True)
    print(f"a bare echo over the same stack   {echoes:>10,.2f} /s CPU")
    print(f"ratio                             {echoes / requests:>10,.2f}")
    print(f"first word through the Gateway    {with_ms:>10,.2f} ms (median)")
    print(f"first word straight from the model{without_ms:>10,.2f} ms (median)")
    print(f"the bench took {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
