"""What a running Gateway takes, what waits for a restart, and what it is told."""

from __future__ import annotations

import asyncio
import os

import pytest
import structlog

from openclaw_gateway.config import load_config
from openclaw_gateway.config.reload import compare, needs_restart
from openclaw_gateway.config_watch import ConfigWatch

pytestmark = pytest.mark.anyio

A = {"plugins": {"entries": {"a": {"config": {"x": 1}}, "b": {"config": {}}}}}


def entry(plugin_id, **config):
    return {"plugins": {"entries": {plugin_id: {"config": config}}}}


@pytest.mark.parametrize(
    ("before", "after", "plugins", "level", "restart"),
    [
        (A, A, set(), False, set()),
        (entry("a", x=1), entry("a", x=2), {"a"}, False, set()),
        (entry("a", x=1), {}, {"a"}, False, set()),
        ({}, entry("a", x={"y": 1}), {"a"}, False, set()),
        ({}, {"logging": {"level": "debug"}}, set(), True, set()),
        ({}, {"logging": {"file": "x"}}, set(), False, set()),
        ({}, {"gateway": {"port": 1}}, set(), False, {"gateway.port"}),
        ({}, {"gateway": {"reload": {"mode": "off"}}}, set(), False, set()),
        ({}, {"channels": {"x": 1}}, set(), False, set()),
        ({"models": {"m": 1}}, {}, set(), False, {"models.m"}),
        (
            {},
            {"plugins": {"entries": {"a": {"enabled": False}}}},
            set(),
            False,
            {"plugins.entries.a.enabled"},
        ),
        (
            {"plugins": {"load": {"paths": ["a"]}}},
            {"plugins": {"load": {"paths": ["b"]}}},
            set(),
            False,
            {"plugins.load.paths"},
        ),
    ],
)
async def test_differences_are_sorted(before, after, plugins, level, restart):
    found = compare(before, after)
    assert found.plugins == plugins
    assert found.level is level
    assert found.restart == needs_restart(before, after) == restart
    assert found.is_empty is not bool(plugins or level or restart)


class Running:
    """A Gateway that notes what it is told."""

    def __init__(self, tmp_path, text):
        self.path = tmp_path / "openclaw.json"
        self.path.write_text(text, encoding="utf-8")
        self.told = []
        self.was_told = asyncio.Event()
        self.refusing = []
        self.config = load_config({"OPENCLAW_STATE_DIR": str(tmp_path)})
        self.watch = ConfigWatch(
            self.config, reload_plugins=self.reload, set_level=self.set_level
        )
        self.clock = 10**9

    async def reload(self, config, plugin_ids):
        for plugin_id in sorted(plugin_ids):
            settings = config.section(f"plugins.entries.{plugin_id}.config")
            self.told.append((plugin_id, dict(settings)))
        return [it for it in plugin_ids if it in self.refusing]

    def set_level(self, level):
        self.told.append(("level", level))
        self.was_told.set()

    async def write(self, text):
        self.path.write_text(text, encoding="utf-8")
        self.clock += 1
        os.utime(self.path, (self.clock, self.clock))
        await self.watch.look()


@pytest.fixture
def running(tmp_path):
    return Running(tmp_path, "{gateway: {port: 1}}")


async def test_a_plugin_is_told(running):
    await running.write(
        "{gateway: {port: 1}, plugins: {entries: {a: {config: {x: 1}}}}}"
    )
    assert running.told == [("a", {"x": 1})]
    assert running.watch.restart_needed == []


async def test_a_plugin_that_does_not_take_it_waits_for_a_restart(running):
    running.refusing = ["a"]
    await running.write(
        "{gateway: {port: 1}, plugins: {entries: {a: {config: {x: 1}}}}}"
    )
    assert running.watch.restart_needed == ["plugins.entries.a.config"]
    await running.write("{gateway: {port: 1}}")
    assert running.watch.restart_needed == []


async def test_the_level_changes_and_falls_back(running):
    await running.write("{gateway: {port: 1}, logging: {level: 'debug'}}")
    await running.write("{gateway: {port: 1}}")
    assert running.told == [("level", "debug"), ("level", None)]


async def test_what_needs_a_restart_is_said_until_it_is_undone(running):
    with structlog.testing.capture_logs() as logs:
        await running.write("{gateway: {port: 2}}")
    assert logs[-1]["paths"] == ["gateway.port"]
    assert running.watch.restart_needed == ["gateway.port"]
    await running.write("{gateway: {port: 1}}")
    assert running.watch.restart_needed == []


@pytest.mark.parametrize("text", ["{", "{gateway: {port: 'x'}}", "[]"])
async def test_a_file_that_cannot_be_used_changes_nothing(running, text):
    with structlog.testing.capture_logs() as logs:
        await running.write(text)
        await running.watch.look()
    assert [line["event"] for line in logs] == [
        "the changed configuration is not taken"
    ]
    assert running.told == []


async def test_an_untouched_file_is_not_read(running):
    await running.watch.look()
    assert running.told == []


async def test_it_watches_until_it_is_stopped(running):
    running.watch.start()
    running.path.write_text("{logging: {level: 'error'}}", encoding="utf-8")
    await running.was_told.wait()  # the file is read in a thread, in its own time
    await running.watch.stop()
    assert running.told == [("level", "error")]


async def test_watching_can_be_switched_off(tmp_path):
    running = Running(tmp_path, "{gateway: {reload: {mode: 'off'}}}")
    running.watch.start()
    await running.watch.stop()
    assert running.told == []
