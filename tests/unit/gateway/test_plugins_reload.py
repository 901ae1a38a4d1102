"""Plugins that take new settings while they run, and plugins that cannot."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from openclaw_gateway.config import load_config
from openclaw_gateway.plugins.discovery import Candidate
from openclaw_gateway.plugins.lifecycle import PluginHost
from openclaw_gateway.rpc.methods import MethodTable

pytestmark = pytest.mark.anyio


class Radio:
    name = "Radio"

    def __init__(self, plugin_id="radio", *, reload="takes"):
        self.id = plugin_id
        self.told = []
        self.starts = 0
        self._reload = reload

    def register(self, api):
        self.api = api
        how = {"takes": self.take, "refuses": self.refuse, "hangs": self.hang}
        api.register_service(
            "radio", self.start, self.stop, reload=how.get(self._reload)
        )

    async def start(self):
        self.starts += 1
        await asyncio.sleep(1)

    async def stop(self, limit_s):
        pass

    async def take(self, config):
        self.told.append(dict(config))

    async def refuse(self, config):
        raise ValueError("no such station")

    async def hang(self, config):
        await asyncio.Event().wait()


def load(tmp_path, text):
    (tmp_path / "openclaw.json").write_text(text, encoding="utf-8")
    return load_config({"OPENCLAW_STATE_DIR": str(tmp_path)})


@pytest.fixture
def house(tmp_path):
    def house(text="{}"):
        return PluginHost(
            config=load(tmp_path, text),
            methods=MethodTable(),
            broadcast=lambda *_: None,
            run_agent=lambda _: None,
        )

    return house


async def started(house, plugin, text="{}"):
    host = house(text)
    host.register([Candidate.of(plugin)])
    await host.start()
    return host


NEW = "{plugins: {entries: {radio: {config: {station: 'b'}}}}}"


async def test_a_running_plugin_takes_new_settings(house, tmp_path):
    radio = Radio()
    host = await started(house, radio)
    assert await host.reload(load(tmp_path, NEW), ["radio"]) == []
    assert radio.told == [{"station": "b"}]
    assert radio.api.config == {"station": "b"}


@pytest.mark.parametrize("how", ["refuses", "hangs", "has none"])
async def test_a_plugin_that_does_not_take_them_goes_on(house, tmp_path, how):
    radio = Radio(reload=how)
    host = await started(house, radio)
    with structlog.testing.capture_logs():
        assert await host.reload(load(tmp_path, NEW), ["radio"]) == ["radio"]
    assert radio.api.config == {}
    assert host.describe()[0]["state"] == "running"


async def test_settings_that_cannot_be_resolved_are_not_passed_on(house, tmp_path):
    radio = Radio()
    host = await started(house, radio)
    text = "{plugins: {entries: {radio: {config: {station: '${NOPE}'}}}}}"
    with structlog.testing.capture_logs() as logs:
        assert await host.reload(load(tmp_path, text), ["radio"]) == ["radio"]
    assert radio.told == []
    assert "NOPE is not set" in logs[0]["reason"]


async def test_who_is_not_there_or_disabled_needs_no_restart(house, tmp_path):
    host = await started(
        house, Radio(), "{plugins: {entries: {radio: {enabled: false}}}}"
    )
    assert await host.reload(load(tmp_path, NEW), ["radio", "gone"]) == []


async def test_registered_twice_and_started_twice_it_runs_once(house):
    host, radio, copy = house(), Radio(), Radio()
    host.register([Candidate.of(radio)])
    host.register([Candidate.of(copy)])
    await asyncio.gather(host.start(), host.start())
    assert (radio.starts, copy.starts) == (1, 0)
    assert [it["state"] for it in host.describe()] == ["running"]


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("{plugins: {allow: ['radio']}}", "registered"),
        ("{plugins: {allow: ['other']}}", "disabled"),
        ("{plugins: {allow: []}}", "registered"),
        ("{plugins: {deny: ['radio']}}", "disabled"),
        ("{plugins: {allow: ['radio'], deny: ['radio']}}", "disabled"),
    ],
)
async def test_allowed_and_denied(house, text, state):
    host = house(text)
    host.register([Candidate.of(Radio())])
    assert host.describe()[0]["state"] == state


async def test_a_plugin_that_exits_at_import_harms_nobody(house):
    def load_it():
        raise SystemExit("I leave")

    host = house()
    bad = Candidate(id="bad", source="s", load=load_it)
    with structlog.testing.capture_logs():
        host.register([bad, Candidate.of(Radio())])
    assert [(it["state"], it["error"]) for it in host.describe()] == [
        ("failed", "did not register: I leave"),
        ("registered", None),
    ]


async def test_a_variable_of_one_plugin_is_no_other_plugins_business(house):
    text = "{plugins: {entries: {bad: {config: {token: '${NOPE}'}}}}, other: '${NOPE}'}"
    host, radio = house(text), Radio()
    with structlog.testing.capture_logs() as logs:
        host.register([Candidate.of(Radio("bad")), Candidate.of(radio)])
    assert [it["state"] for it in host.describe()] == ["failed", "registered"]
    assert "NOPE is not set" in host.describe()[0]["error"]
    assert "bad" not in radio.api.core_config["plugins"]["entries"]
    assert logs[-1]["reason"].startswith("other: ")
