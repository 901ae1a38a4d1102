"""The plugin in a host: registering, starting, faults that stay its own, stopping."""

from __future__ import annotations

import asyncio
import logging
import socket
import traceback
from contextlib import asynccontextmanager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import pytest

from voice_call import registry
from voice_call.call.model import CallId, CallMode, CarrierCallId, Direction
from voice_call.errors import (
    ConfigError,
    ShuttingDown,
    VoiceCallError,
)
from voice_call.plugin import PluginDisabled, VoiceCallPlugin, plugin
from voice_call.rpc import METHODS
from voice_call.runtime.journal import Journal
from voice_call.runtime.journal_codec import CallOpened
from voice_call.server.listener import PortTaken
from voice_call.testing.host import FakeHost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

WITHOUT_MODELS = {"speech": {"tts": "tone", "stt": "silent", "vad": "energy"}}
SILENT = "+15550100000"
PARAMS = {"callId": "x", "operationId": "x", "message": "Hi.", "to": SILENT}


@pytest.fixture
def anyio_backend() -> str:
    """Run in real time: the journal is on a disk, which virtual time would outrun."""
    return "asyncio"


def host_of(folder: Path, **config: Any) -> FakeHost:
    host = FakeHost(state_dir=folder, config={**WITHOUT_MODELS, **config})
    VoiceCallPlugin().register(host)
    return host


@asynccontextmanager
async def running(folder: Path, **config: Any) -> AsyncIterator[FakeHost]:
    host = host_of(folder, **config)
    await host.start()
    try:
        yield host
    finally:
        await host.stop()


async def answers(host: FakeHost) -> set[tuple[str, str]]:
    """Return code and sentence that each method and the tool give."""
    found = set()
    for method in METHODS:
        with pytest.raises(VoiceCallError) as caught:
            await host.call(method.name, **PARAMS)
        found.add((caught.value.code, str(caught.value)))
    for action in ("initiate_call", "get_status"):
        answer = await host.use_tool("voice_call", action=action, **PARAMS)
        found.add((answer["details"]["code"], answer["details"]["error"]))
    return found


def names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


# -- registering -----------------------------------------------------------------------


def test_hosts_find_the_plugin_by_its_entry_point():
    (point,) = entry_points(group="openclaw.plugins", name="voice-call")
    assert point.load() is plugin
    assert (plugin.id, plugin.name) == ("voice-call", "Voice Call")


async def test_registering_only_declares(tmp_path: Path):
    host = host_of(tmp_path)
    assert sorted(host.methods) == sorted(method.name for method in METHODS)
    assert list(host.tools) == ["voice_call"]
    assert list(host.services) == ["voicecall"]
    assert names_in(tmp_path) == []


async def test_before_it_is_started_everything_says_so(tmp_path: Path):
    assert await answers(host_of(tmp_path)) == {
        (
            "plugin_disabled",
            "The Voice Call plugin is not running; start the Gateway.",
        )
    }


# -- running ---------------------------------------------------------------------------


async def test_a_call_through_methods_and_tool(tmp_path: Path):
    async with running(tmp_path) as host:
        placed = await host.call("voicecall.start", to=SILENT)
        call_id = placed["callId"]
        shown = await host.use_tool("voice_call", action="get_status", callId=call_id)
        assert shown["details"]["call"]["callId"] == call_id
        assert await host.call("voicecall.end", callId=call_id) == {"success": True}


async def test_an_ended_call_is_known_after_a_restart(tmp_path: Path):
    async with running(tmp_path) as host:
        placed = await host.call("voicecall.start", to=SILENT)
        await host.call("voicecall.end", callId=placed["callId"])
    async with running(tmp_path) as host:
        status = await host.call("voicecall.status", callId=placed["callId"])
        assert status["call"]["state"] == "hangup-bot"
        assert await host.call("voicecall.status") == {"found": True, "calls": []}


async def test_warnings_of_the_configuration_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with running(tmp_path, provider="log"):
            pass
    assert "provider: 'log' is the old name of 'mock'" in caplog.text


# -- faults ----------------------------------------------------------------------------


async def test_switched_off_it_says_how_to_switch_it_on(tmp_path: Path):
    host = host_of(tmp_path, enabled=False)
    with pytest.raises(PluginDisabled):
        await host.start()
    ((code, sentence),) = await answers(host)
    assert code == "plugin_disabled"
    assert "set plugins.entries.voice-call.config.enabled to true" in sentence
    await host.stop()


async def test_every_problem_of_the_configuration_is_told(tmp_path: Path):
    host = host_of(
        tmp_path,
        maxDurationSeconds=-1,
        fromNumber="5550199887",
        serv={"port": 3334},
        twilio={"authToken": 7},
    )
    with pytest.raises(ConfigError):
        await host.start()
    ((code, sentence),) = await answers(host)
    assert code == "config_invalid"
    for path in ("maxDurationSeconds", "fromNumber", "serv", "twilio.authToken"):
        assert f"plugins.entries.voice-call.config.{path}: " in sentence
    assert "perhaps serve is meant" in sentence
    assert "5550199887" not in sentence


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"speech": {"tts": "x", "stt": "silent", "vad": "energy"}}, "speech.tts"),
        ({"mock": {"callee": {"persona": "x"}}}, "mock.callee.persona"),
    ],
)
async def test_an_unknown_name_is_told(
    tmp_path: Path, config: dict[str, Any], path: str
) -> None:
    host = host_of(tmp_path, **config)
    with pytest.raises(ConfigError):
        await host.start()
    ((code, sentence),) = await answers(host)
    assert code == "config_invalid"
    assert sentence.startswith(f"plugins.entries.voice-call.config.{path}: ")


async def test_a_state_folder_that_cannot_be_written(tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    host = host_of(blocked)
    with pytest.raises(VoiceCallError):
        await host.start()
    ((code, _),) = await answers(host)
    assert code == "journal_unwritable"


async def test_a_defect_at_start_is_told_by_its_kind_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.TEXT_TO_SPEECH, "tone", "voice_call.errors:absent")
    host = host_of(tmp_path)
    with pytest.raises(AttributeError):
        await host.start()
    assert await answers(host) == {
        (
            "plugin_disabled",
            "The Voice Call plugin did not start (AttributeError); the log says where.",
        )
    }


async def test_a_start_that_fails_half_way_lets_the_journal_go(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host = host_of(tmp_path, serve={"port": taken.getsockname()[1]})
        with pytest.raises(PortTaken):
            await host.start()
    again = Journal.open(tmp_path / "voice-calls" / "calls.sqlite3")
    await again.close()
    ((code, _),) = await answers(host)
    assert code == "port_taken"


async def test_a_start_that_finds_its_port_taken_touches_no_open_call(tmp_path: Path):
    path = tmp_path / "voice-calls" / "calls.sqlite3"
    path.parent.mkdir()
    opened = CallOpened(
        call_id=CallId("open"),
        carrier="mock",
        direction=Direction.INBOUND,
        mode=CallMode.CONVERSATION,
        from_=SILENT,
        to="+15550000000",
        session_key="main",
        carrier_call_id=CarrierCallId("mock-open"),
    )
    journal = Journal.open(path)
    await journal.append(opened.call_id, opened, at=0.0)
    await journal.close()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host = host_of(tmp_path, serve={"port": taken.getsockname()[1]})
        with pytest.raises(PortTaken):
            await host.start()
    journal = Journal.open(path)
    assert [each.what for each in journal.entries(opened.call_id)] == [opened]
    await journal.close()


async def test_saying_why_again_and_again_costs_no_memory(tmp_path: Path):
    host = host_of(tmp_path)
    lengths = []
    for _ in range(3):
        with pytest.raises(PluginDisabled) as caught:
            await host.call("voicecall.status")
        lengths.append(len(traceback.extract_tb(caught.value.__traceback__)))
    assert len(set(lengths)) == 1


# -- stopping --------------------------------------------------------------------------


async def test_a_stopped_plugin_says_so(tmp_path: Path):
    host = host_of(tmp_path)
    await host.start()
    await host.stop()
    assert await answers(host) == {
        ("plugin_disabled", "The Gateway is stopping; try again later.")
    }
    await host.stop()


async def test_calls_can_be_asked_after_and_ended_while_the_gateway_drains(
    tmp_path: Path,
) -> None:
    host = host_of(tmp_path)
    await host.start()
    placed = await host.call("voicecall.start", to=SILENT)
    stopping = asyncio.ensure_future(host.stop(60.0))
    await asyncio.sleep(0)
    status = await host.call("voicecall.status", callId=placed["callId"])
    assert status["found"] is True
    with pytest.raises(ShuttingDown):
        await host.call("voicecall.start", to=SILENT)
    ended = await host.call("voicecall.end", callId=placed["callId"])
    assert ended == {"success": True}
    await asyncio.wait_for(stopping, 10.0)


async def test_stopping_ends_the_calls_that_are_live(tmp_path: Path):
    async with running(tmp_path) as host:
        await host.call("voicecall.start", to=SILENT)
    async with running(tmp_path) as host:
        assert await host.call("voicecall.status") == {"found": True, "calls": []}
