"""A real Gateway process on loopback, for tests that start, ask, kill and restart it."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from openclaw_gateway.errors import GatewayDown, RequestFailed
from openclaw_gateway.rpc.client import Address, GatewayClient

if TYPE_CHECKING:
    from collections.abc import Mapping

OPENCLAW = str(Path(sys.executable).with_name("openclaw"))
TONES = {"tts": "tone", "stt": "local", "vad": "energy"}
"""Speech without synthesis: calls are just as real, and start faster."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class GatewayProcess:
    """A Gateway with the Voice Call plugin on the mock carrier."""

    def __init__(self, folder: Path, plugin: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.state.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.token = secrets.token_urlsafe(16)
        self.config = folder / "openclaw.json"
        self.write_config({"provider": "mock", "speech": TONES, **(plugin or {})})
        self._process: subprocess.Popen[bytes] | None = None

    def write_config(self, plugin: Mapping[str, Any]) -> None:
        self.config.write_text(
            json.dumps(
                {
                    "gateway": {
                        "port": self.port,
                        "auth": {"mode": "token", "token": self.token},
                    },
                    "plugins": {"entries": {"voice-call": {"config": plugin}}},
                }
            )
        )

    @property
    def journal(self) -> Path:
        return self.state / "voice-calls" / "calls.sqlite3"

    @property
    def environ(self) -> dict[str, str]:
        return {
            **os.environ,
            "OPENCLAW_CONFIG_PATH": str(self.config),
            "OPENCLAW_STATE_DIR": str(self.state),
        }

    def start(self, *, ready_method: str = "voicecall.status") -> Self:
        log = (self.folder / "gateway.log").open("ab")
        self._process = subprocess.Popen(
            [OPENCLAW, "gateway", "run"], env=self.environ, stdout=log, stderr=log
        )
        log.close()
        try:
            self._wait_until_ready(ready_method)
        except BaseException:
            self.kill()
            raise
        return self

    def _wait_until_ready(self, ready_method: str) -> None:
        assert self._process is not None
        limit = time.monotonic() + 60
        while time.monotonic() < limit:
            assert self._process.poll() is None, self.log
            try:
                self.call(ready_method, {})
            except (GatewayDown, RequestFailed) as fault:
                if fault.code not in ("gateway_down", "plugin_starting"):
                    raise
                pause(0.05)
            else:
                return
        raise AssertionError(self.log)

    @property
    def log(self) -> str:
        return (self.folder / "gateway.log").read_text()

    def call(
        self, method: str, params: Mapping[str, Any], *, timeout_s: float = 60.0
    ) -> dict[str, Any]:
        address = Address(url=f"ws://127.0.0.1:{self.port}", secret=self.token)
        with GatewayClient(address, timeout_s=timeout_s) as client:
            return dict(client.call(method, params, timeout_s=timeout_s))

    def cli(
        self, *arguments: str, timeout_s: float = 90.0
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [OPENCLAW, *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def describe(self, call_id: str) -> dict[str, Any]:
        record: dict[str, Any] = self.call("voicecall.describe", {"callId": call_id})[
            "call"
        ]
        return record

    def wait_for(
        self, call_id: str, *states: str, limit_s: float = 60.0
    ) -> dict[str, Any]:
        limit = time.monotonic() + limit_s
        while time.monotonic() < limit:
            found = self.call("voicecall.describe", {"callId": call_id})
            if found["found"] and found["call"]["state"] in states:
                record: dict[str, Any] = found["call"]
                return record
            pause(0.05)
        raise AssertionError(f"not {states}: {found}\n{self.log}")

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def stop(self) -> int:
        """End it as a service manager would; returns its exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        code = self._process.wait(timeout=60)
        self._process = None
        return code

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def pause(seconds: float) -> None:
    time.sleep(seconds)  # noqa: TID251 - end-to-end tests live in real time
