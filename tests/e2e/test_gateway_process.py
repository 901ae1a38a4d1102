"""`openclaw gateway run` as a process: it starts, refuses, is asked, and stops."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

OPENCLAW = Path(sys.executable).with_name("openclaw")
READY = re.compile(r"^openclaw gateway ready on ws://127\.0\.0\.1:(\d+) \(pid (\d+),")

NO_PLUGINS = "{plugins: {enabled: false}}"


class Machine:
    """A home of its own for Gateways and commands."""

    def __init__(self, home):
        self.home = home
        self.gateways = []
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "OPENCLAW_GATEWAY_PORT": "0",
        } | {k: v for k, v in os.environ.items() if k.startswith("COVERAGE")}
        self.write_config(NO_PLUGINS)

    @property
    def state_dir(self):
        return self.home / ".openclaw"

    def write_config(self, text):
        self.state_dir.mkdir(exist_ok=True)
        (self.state_dir / "openclaw.json").write_text(text, encoding="utf-8")

    def start(self, *options):
        """Start a Gateway and wait for its ready line."""
        process = subprocess.Popen(
            [OPENCLAW, "gateway", "run", *options],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.gateways.append(process)
        for line in process.stderr:
            found = READY.match(line)
            if found:
                assert int(found.group(2)) == process.pid
                self.environ["OPENCLAW_GATEWAY_PORT"] = found.group(1)
                return process
        raise AssertionError("the Gateway ended before it was ready")

    def run(self, *args, **environ):
        """Run one command to its end."""
        return subprocess.run(
            [OPENCLAW, *args],
            env=self.environ | environ,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    yield machine
    for process in machine.gateways:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_gateway_starts_answers_and_stops(machine, number):
    gateway = machine.start()
    status = machine.run("gateway", "status")
    assert status.returncode == 0
    assert status.stderr == ""
    assert json.loads(status.stdout)["pid"] == gateway.pid
    gateway.send_signal(number)
    assert gateway.wait(10) == 0
    assert gateway.stdout.read() == ""


def test_a_second_gateway_on_the_same_state_is_refused(machine):
    gateway = machine.start()
    second = machine.run("gateway", "run")
    assert second.returncode == 1
    assert second.stderr.startswith(
        f"error[gateway_running]: Another Gateway (process {gateway.pid}) uses"
    )


def test_after_a_crash_the_next_one_starts(machine):
    machine.start().kill()
    machine.gateways[0].wait(10)
    machine.start()
    assert machine.run("gateway", "call", "health").returncode == 0


def test_a_taken_port_is_one_line(machine):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        ended = machine.run("gateway", "run", OPENCLAW_GATEWAY_PORT=port)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error[port_in_use]: ")
    assert ended.stderr.count("\n") == 1


def test_a_broken_configuration_is_one_line(machine):
    machine.write_config("{\n  gateway: {,}\n}")
    ended = machine.run("gateway", "run")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error[config_unreadable]: ")
    assert "line 2, column 13" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_calls_by_hand(machine):
    machine.start("--log-json", "--log-level", "debug")
    called = machine.run("gateway", "call", "plugins.list", "--params", "{}")
    assert called.returncode == 0
    plugins = json.loads(called.stdout)["plugins"]
    assert {plugin["state"] for plugin in plugins} == {"disabled"}


def test_an_error_is_one_line_or_json(machine):
    machine.start()
    plain = machine.run("gateway", "call", "nope")
    assert (plain.returncode, plain.stdout) == (1, "")
    assert plain.stderr == "error[unknown_method]: unknown method: nope\n"
    as_json = machine.run("gateway", "call", "nope", "--json")
    assert as_json.returncode == 1
    assert json.loads(as_json.stdout) == {
        "ok": False,
        "error": {
            "type": "gateway_request_error",
            "code": "unknown_method",
            "message": "unknown method: nope",
            "retryable": False,
        },
    }


def test_a_wrong_token_is_refused(machine):
    machine.start()
    refused = machine.run("gateway", "status", "--token", "wrong")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error[gateway_auth]: ")
    assert "wrong" not in refused.stderr.replace("does not accept", "")


def test_without_a_gateway_commands_say_so(machine):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    ended = machine.run("gateway", "status", OPENCLAW_GATEWAY_PORT=port)
    assert ended.returncode == 1
    assert ended.stderr.startswith(
        f"error[gateway_down]: No Gateway listens at ws://127.0.0.1:{port} "
    )
    listed = machine.run("plugins", "list", OPENCLAW_GATEWAY_PORT=port)
    assert listed.returncode == 0
    plugins = json.loads(listed.stdout)["plugins"]
    assert {"id": "voice-call", "source": "openclaw-voice-call"}.items() <= (
        next(p for p in plugins if p["id"] == "voice-call").items()
    )


PLUGIN = """
import asyncio, sys

class Sluggish:
    id = "sluggish"
    name = "Sluggish"

    def register(self, api):
        self.api = api
        api.register_service("sluggish", self.start, self.stop)

    async def start(self):
        if self.api.config.get("hangs"):
            print("hanging", flush=True)
            await asyncio.Event().wait()

    async def stop(self, limit_s):
        print(f"draining {limit_s:g}", flush=True)
        await asyncio.sleep(limit_s)
        print("drained", flush=True)

plugin = Sluggish()
"""


@pytest.fixture
def sluggish(machine):
    """The machine with a plugin that takes as long to stop as it may."""
    site = machine.home / "site"
    info = site / "sluggish-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "sluggish.py").write_text(PLUGIN, encoding="utf-8")
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: sluggish\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(
        "[openclaw.plugins]\nsluggish = sluggish:plugin\nbroken = no_such_module:p\n"
    )
    machine.environ["PYTHONPATH"] = str(site)
    machine.write_config("{plugins: {entries: {'voice-call': {enabled: false}}}}")
    return machine


def test_services_may_drain(sluggish):
    gateway = sluggish.start("--drain", "0.5")
    gateway.terminate()
    assert gateway.wait(10) == 0
    assert gateway.stdout.read() == "draining 0.5\ndrained\n"


def test_a_second_signal_waits_no_longer(sluggish):
    gateway = sluggish.start("--drain", "60")
    gateway.terminate()
    assert gateway.stdout.readline() == "draining 60\n"
    gateway.terminate()
    assert gateway.wait(10) == 1
    assert gateway.stdout.read() == ""


def test_a_signal_ends_a_start_that_hangs(sluggish):
    sluggish.write_config("{plugins: {entries: {sluggish: {config: {hangs: true}}}}}")
    with subprocess.Popen(
        [OPENCLAW, "gateway", "run"],
        env=sluggish.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as gateway:
        assert gateway.stdout.readline() == "hanging\n"
        gateway.terminate()
        assert gateway.wait(10) == 0


def test_a_plugin_that_cannot_be_loaded_is_named(sluggish):
    sluggish.start()
    status = json.loads(sluggish.run("gateway", "status").stdout)
    states = {plugin["id"]: plugin for plugin in status["plugins"]}
    assert states["sluggish"]["state"] == "running"
    assert states["broken"]["state"] == "failed"
    assert "No module named 'no_such_module'" in states["broken"]["error"]
