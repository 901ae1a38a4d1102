"""Plugins are installed, used by a real Gateway, switched off and removed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
HELLO = REPOSITORY / "examples" / "hello-plugin"
VOICE_CALL = REPOSITORY / "extensions" / "voice-call"
OPENCLAW = Path(sys.executable).with_name("openclaw")

BROKEN = {
    "cannot be imported": ("import no_such_module_at_all\n", "no_such_module_at_all"),
    "has another id": (
        "class P:\n    id = 'other'\n    def register(self, api): ...\nplugin = P()\n",
        "The plugin calls itself other.",
    ),
    "has no register": ("class P:\n    id = 'tiny'\nplugin = P()\n", "no register()"),
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


class Machine:
    """A home without network, for Gateways and commands."""

    def __init__(self, home):
        self.home = home
        self.state = home / ".openclaw"
        self.state.mkdir()
        self.gateways = []
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "OPENCLAW_GATEWAY_PORT": free_port(),
            "UV_OFFLINE": "1",
            "UV_CACHE_DIR": str(home / "cache"),
            "PIP_NO_INDEX": "1",
        } | {k: v for k, v in os.environ.items() if k.startswith("COVERAGE")}
        self.disable("voice-call")

    def disable(self, plugin_id):
        entries = {"entries": {plugin_id: {"enabled": False}}}
        (self.state / "openclaw.json").write_text(json.dumps({"plugins": entries}))

    def run(self, *args):
        ended = subprocess.run(
            [OPENCLAW, *map(str, args)],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        result = json.loads(ended.stdout) if ended.stdout.startswith("{") else None
        return ended.returncode, result, ended.stderr

    def start(self):
        log = self.home / "gateway.log"
        with log.open("ab") as file:
            gateway = subprocess.Popen(
                [OPENCLAW, "gateway", "run", "--log-json"],
                env=self.environ,
                stdout=file,
                stderr=file,
            )
        self.gateways.append(gateway)
        self.wait(lambda: "ready on ws://127.0.0.1:" in self.log)
        return gateway

    @property
    def log(self):
        return (self.home / "gateway.log").read_text()

    def wait(self, probe, limit_s=30):
        limit = time.monotonic() + limit_s
        while time.monotonic() < limit:
            if found := probe():
                return found
            time.sleep(0.05)  # noqa: TID251 - end-to-end tests live in real time
        raise AssertionError(self.log)

    def plugin(self, plugin_id):
        _, listed, _ = self.run("plugins", "list")
        return next((it for it in listed["plugins"] if it["id"] == plugin_id), None)

    @property
    def extensions(self):
        folder = self.state / "extensions"
        return sorted(it.name for it in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    yield machine
    for gateway in machine.gateways:
        if gateway.poll() is None:
            gateway.kill()
        gateway.wait()


def tiny(folder, code, *, points=None, requires=()):
    (folder / "src" / "tiny_installed").mkdir(parents=True)
    (folder / "src" / "tiny_installed" / "__init__.py").write_text(code)
    points = (
        points
        or '[project.entry-points."openclaw.plugins"]\ntiny = "tiny_installed:plugin"'
    )
    (folder / "pyproject.toml").write_text(
        "[build-system]\nrequires = ['hatchling']\nbuild-backend = 'hatchling.build'\n"
        "[project]\nname = 'openclaw-tiny'\nversion = '1.0'\n"
        f"dependencies = {list(requires)}\n{points}\n"
        "[tool.hatch.build.targets.wheel]\npackages = ['src/tiny_installed']\n"
    )
    return folder


def test_an_installed_plugin_works_and_goes(machine):
    code, installed, _ = machine.run("plugins", "install", HELLO)
    assert code == 0
    assert installed == {
        "id": "hello",
        "version": "0.1.0",
        "kind": "managed",
        "path": str(machine.state / "extensions" / "hello"),
        "dependencies": [],
    }
    gateway = machine.start()
    assert machine.plugin("hello")["state"] == "running"
    answer = {"text": "Hello, Ada.", "greeted": 1}
    assert machine.run("hello", "greet", "--name", "Ada")[1] == answer
    code, _, err = machine.run("gateway", "call", "hello.greet")
    assert (code, err) == (1, "error[name_missing]: Say whom to greet: name.\n")
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(20) == 0
    assert machine.run("plugins", "uninstall", "hello")[0] == 0
    assert machine.extensions == [".lock"]
    assert machine.plugin("hello") is None
    assert machine.run("hello", "greet")[0] == 2


def test_a_linked_plugin_takes_new_settings_while_it_runs(machine):
    assert machine.run("plugins", "install", "--link", HELLO)[1]["kind"] == "linked"
    machine.start()
    key = "plugins.entries.hello.config"
    _, result, _ = machine.run("config", "set", f"{key}.greeting", "Good day")
    assert result["restart"] is False
    machine.wait(lambda: "plugin took its new settings" in machine.log)
    assert machine.run("hello", "greet")[1]["text"] == "Good day, world."
    machine.run("config", "set", f"{key}.greeting", "5")
    machine.wait(lambda: "plugin refused its new settings" in machine.log)
    assert machine.run("hello", "greet")[1]["text"] == "Good day, world."
    _, status, _ = machine.run("gateway", "status")
    assert status["restartNeeded"] == [key]


def test_a_disabled_plugin_is_not_loaded_until_it_is_enabled(machine):
    machine.run("plugins", "install", HELLO)
    assert machine.run("plugins", "disable", "hello")[1]["changed"] is True
    assert machine.run("plugins", "disable", "hello")[1]["changed"] is False
    machine.start()
    assert machine.plugin("hello")["state"] == "disabled"
    assert machine.run("hello", "greet")[0] == 1
    _, _, err = machine.run("plugins", "install", HELLO)
    assert "The plugin hello was disabled; it is enabled now." in err
    assert machine.run("plugins", "info", "hello")[1]["name"] == "Hello"


def test_voice_call_is_installed_from_its_folder(machine):
    # The installed copy is not the source that coverage is measured of.
    for name in [it for it in machine.environ if it.startswith("COVERAGE")]:
        del machine.environ[name]
    code, installed, err = machine.run("plugins", "install", VOICE_CALL)
    assert code == 0, err
    assert installed["dependencies"] == []
    found = machine.plugin("voice-call")
    assert (found["kind"], found["state"]) == ("managed", "installed")
    _, info, _ = machine.run("plugins", "info", "voice-call")
    assert info["name"] == "Voice Call"
    assert "twilio" in info["settings"]
    machine.run(
        "config", "set", "plugins.entries.voice-call.config", "{provider: 'mock'}"
    )
    machine.start()
    assert machine.plugin("voice-call")["state"] == "running"
    code, status, _ = machine.run("voicecall", "status", "--call-id", "nobody")
    assert status == {"found": False}


@pytest.mark.parametrize("how", sorted(BROKEN))
def test_a_failed_install_leaves_nothing_behind(machine, tmp_path, how):
    code, said = BROKEN[how]
    folder = tiny(tmp_path / "tiny", code)
    before = (machine.state / "openclaw.json").read_text()
    failed, _, err = machine.run("plugins", "install", folder)
    assert failed == 1
    assert err.startswith("error[plugin_install]: ")
    assert said in err
    assert machine.extensions == [".lock"]
    assert (machine.state / "openclaw.json").read_text() == before


def test_a_failed_install_keeps_the_earlier_version(machine, tmp_path):
    good = (
        "class P:\n    id = 'tiny'\n    name = 'T'\n    def register(self, api): ...\n"
    )
    folder = tiny(tmp_path / "tiny", good + "plugin = P()\n")
    assert machine.run("plugins", "install", folder)[0] == 0
    (folder / "src" / "tiny_installed" / "__init__.py").write_text("plugin = 1 / 0\n")
    code, _, err = machine.run("plugins", "install", folder)
    assert (code, "ZeroDivisionError" in err) == (1, True)
    assert machine.extensions == [".lock", "tiny"]
    assert machine.run("plugins", "doctor")[1]["ok"] is True


def test_what_cannot_be_had_is_said(machine, tmp_path):
    folder = tiny(tmp_path / "tiny", "", requires=["no-such-distribution-at-all"])
    code, _, err = machine.run("plugins", "install", folder)
    assert code == 1
    assert "says: " in err
    assert machine.extensions == [".lock"]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("--index-url=x", "o such option"),
        ("./nothing", "There is no folder ./nothing."),
        (".", "has no pyproject.toml"),
    ],
)
def test_what_is_no_plugin_is_refused(machine, tmp_path, monkeypatch, target, said):
    monkeypatch.chdir(tmp_path)
    code, _, err = machine.run("plugins", "install", target)
    assert code != 0
    assert said in err


def test_a_wheel_can_be_installed(machine, tmp_path):
    wheels = tmp_path / "wheels"
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels],
        cwd=shutil.copytree(HELLO, tmp_path / "copy"),
        check=True,
        capture_output=True,
    )
    (wheel,) = wheels.iterdir()
    assert machine.run("plugins", "install", wheel)[1]["id"] == "hello"
    assert machine.plugin("hello")["version"] == "0.1.0"


def test_what_belongs_to_the_environment_is_not_removed(machine):
    code, _, err = machine.run("plugins", "uninstall", "voice-call")
    assert code == 1
    assert "pip uninstall openclaw-voice-call" in err
