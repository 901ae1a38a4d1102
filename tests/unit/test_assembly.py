"""Settings become objects, and the objects hold calls: in virtual time, without models.

The journal is in memory here, because a disk takes real time while virtual time runs on.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import asynccontextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from voice_call import registry
from voice_call.assembly import VoiceCallRuntime
from voice_call.call.model import CallMode
from voice_call.config import load_config
from voice_call.errors import ConfigError, EngineMissing, InvalidNumber, LimitReached
from voice_call.runtime.journal import Journal
from voice_call.testing.clock import VirtualClock
from voice_call.testing.host import FakeHost
from voice_call.testing.speech import ToneTextToSpeech

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.anyio

WITHOUT_MODELS = {"tts": "tone", "stt": "silent", "vad": "energy"}
SILENT, PRESSER, BUSY = "+15550100000", "+15550100004", "+15550100010"
REMEDY = "The engine is not installed; run: pip install engine."


def runtime_of(
    folder: Path, host: FakeHost | None = None, **settings: Any
) -> VoiceCallRuntime:
    raw = {"speech": WITHOUT_MODELS, **settings}
    config = load_config(raw, environ={"OPENCLAW_STATE_DIR": str(folder)})
    return VoiceCallRuntime(
        config, host or FakeHost(state_dir=folder), clock=VirtualClock()
    )


@asynccontextmanager
async def running(
    folder: Path, host: FakeHost | None = None, **settings: Any
) -> AsyncIterator[VoiceCallRuntime]:
    runtime = runtime_of(folder, host, **settings)
    await runtime.start()
    try:
        yield runtime
    finally:
        await runtime.stop(0.0)


@pytest.fixture(autouse=True)
def _journal_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Journal, "open", lambda _path: Journal.in_memory())


async def record(runtime: VoiceCallRuntime, call_id: str) -> Mapping[str, Any]:
    answer = await runtime.operations.describe({"callId": call_id})
    call: Mapping[str, Any] = answer["call"]
    return call


async def place(runtime: VoiceCallRuntime, to: str, **params: Any) -> str:
    calls = await runtime.ready()
    placed = await calls.start({"to": to, **params})
    return str(placed["callId"])


# -- calls -----------------------------------------------------------------------------


async def test_a_notify_call_is_spoken_and_ends_by_itself(tmp_path: Path):
    async with running(tmp_path) as runtime:
        call_id = await place(runtime, SILENT, message="Your parcel is here.")
        await asyncio.sleep(30.0)
        call = await record(runtime, call_id)
        assert call["state"] == "completed"
        assert [each["text"] for each in call["transcript"]] == ["Your parcel is here."]
        assert call["from"] == "+15550000000"
        assert call["metadata"] == {"mode": "notify"}


async def test_the_host_s_agent_answers_pressed_keys(tmp_path: Path):
    reply = ({"type": "text", "delta": "You pressed one and two."},)
    host = FakeHost(state_dir=tmp_path, replies=[reply])
    settings = {"responseModel": "openai/some", "responseSystemPrompt": "Be brief."}
    async with running(tmp_path, host, **settings) as runtime:
        call_id = await place(runtime, PRESSER, message="Hi.", mode="conversation")
        await asyncio.sleep(30.0)
        (request,) = host.requests
        assert request["sessionKey"] == "voice:15550100004"
        assert request["model"] == "openai/some"
        assert request["systemPrompt"] == "Be brief."
        assert request["timeoutS"] == 30.0
        words = [
            each["text"] for each in (await record(runtime, call_id))["transcript"]
        ]
        assert words[-1] == "You pressed one and two."


async def test_a_busy_callee(tmp_path: Path):
    async with running(tmp_path) as runtime:
        call_id = await place(runtime, BUSY)
        await asyncio.sleep(30.0)
        assert (await record(runtime, call_id))["endReason"] == "busy"


async def test_one_outbound_call_at_once_by_default(tmp_path: Path):
    async with running(tmp_path) as runtime:
        await place(runtime, SILENT)
        with pytest.raises(LimitReached, match=r"\(1\)"):
            await place(runtime, SILENT)


async def test_the_configured_number_mode_and_caller_id_are_used(tmp_path: Path):
    settings = {
        "toNumber": SILENT,
        "fromNumber": "+15550001234",
        "outbound": {"defaultMode": "conversation"},
    }
    async with running(tmp_path, **settings) as runtime:
        calls = await runtime.ready()
        placed = await calls.initiate({"message": "Hi."})
        call = await record(runtime, placed["callId"])
        assert (call["from"], call["to"]) == ("+15550001234", SILENT)
        assert call["metadata"] == {"mode": CallMode.CONVERSATION}


async def test_the_callee_of_ordinary_numbers_can_be_set(tmp_path: Path):
    async with running(tmp_path, mock={"callee": {"behaviour": "busy"}}) as runtime:
        call_id = await place(runtime, "+15550199999")
        await asyncio.sleep(30.0)
        assert (await record(runtime, call_id))["endReason"] == "busy"


async def test_a_call_lasts_no_longer_than_allowed(tmp_path: Path):
    async with running(tmp_path, maxDurationSeconds=5) as runtime:
        call_id = await place(runtime, SILENT)
        await asyncio.sleep(30.0)
        call = await record(runtime, call_id)
        assert call["endReason"] == "timeout"
        assert 5000 <= call["endedAt"] - call["answeredAt"] < 6000


# -- callers ---------------------------------------------------------------------------


async def called_in(runtime: VoiceCallRuntime, *numbers: str) -> list[dict[str, Any]]:
    for number in numbers:
        await runtime.network.call_in(number, "+15550000000")
    await asyncio.sleep(3.0)
    calls: list[dict[str, Any]] = (await runtime.operations.describe({}))["calls"]
    return calls


@pytest.mark.parametrize("withheld", ["", "anonymous", "+anonymous", "Restricted"])
async def test_two_anonymous_callers_never_share_a_memory(
    tmp_path: Path, withheld: str
) -> None:
    async with running(tmp_path, inboundPolicy="open") as runtime:
        first, second = await called_in(runtime, withheld, withheld)
        assert first["sessionKey"] == f"voice:call:{first['callId']}"
        assert second["sessionKey"] == f"voice:call:{second['callId']}"


@pytest.mark.parametrize(
    ("scope", "are_the_same"),
    [("per-phone", True), ("per-call", False), ("main", True)],
)
async def test_how_long_a_caller_is_remembered(
    tmp_path: Path, scope: str, *, are_the_same: bool
) -> None:
    settings = {"inboundPolicy": "open", "sessionScope": scope}
    async with running(tmp_path, **settings) as runtime:
        one, other = await called_in(runtime, "+15550123456", "+15550123456")
        assert (one["sessionKey"] == other["sessionKey"]) is are_the_same


async def test_all_callers_share_the_main_memory_where_that_is_wanted(tmp_path: Path):
    settings = {"inboundPolicy": "open", "sessionScope": "main"}
    async with running(tmp_path, **settings) as runtime:
        (call,) = await called_in(runtime, "")
        assert call["sessionKey"] == "main"


async def test_inbound_calls_are_refused_by_default(tmp_path: Path):
    async with running(tmp_path) as runtime:
        assert await called_in(runtime, "+15550123456") == []


@pytest.mark.parametrize(
    ("greeting", "said"),
    [(None, "Hello! How can I help you today?"), ("Good day.", "Good day.")],
)
async def test_a_caller_on_the_list_is_greeted(
    tmp_path: Path, greeting: str | None, said: str
) -> None:
    settings: dict[str, Any] = {
        "inboundPolicy": "allowlist",
        "allowFrom": ["+15550123456"],
    }
    if greeting is not None:
        settings["inboundGreeting"] = greeting
    async with running(tmp_path, **settings) as runtime:
        await called_in(runtime, "+15550123456", "+15550123457")
        await asyncio.sleep(5.0)
        (call,) = (await runtime.operations.describe({}))["calls"]
        assert call["from"] == "+15550123456"
        assert call["transcript"][0]["text"] == said


@pytest.mark.parametrize(
    ("params", "from_", "to"),
    [
        ({}, "", "+15550000000"),
        ({"from": "+15550123456"}, "+15550123456", "+15550000000"),
        (
            {"from": "+1 555 012 3456", "to": "+15550001234"},
            "+15550123456",
            "+15550001234",
        ),
    ],
)
async def test_the_simulated_network_calls_in_when_told(
    tmp_path: Path, params: Mapping[str, Any], from_: str, to: str
) -> None:
    async with running(tmp_path, inboundPolicy="open") as runtime:
        calls = await runtime.ready()
        placed = await calls.call_in(params)
        await asyncio.sleep(3.0)
        call = await record(runtime, placed["providerCallId"])
        assert (call["direction"], call["from"], call["to"]) == ("inbound", from_, to)


@pytest.mark.parametrize("params", [{"from": "5550123456"}, {"to": "12"}])
async def test_who_calls_in_needs_a_number_or_none(
    tmp_path: Path, params: Mapping[str, Any]
) -> None:
    async with running(tmp_path, inboundPolicy="open") as runtime:
        calls = await runtime.ready()
        with pytest.raises(InvalidNumber):
            await calls.call_in(params)
        assert runtime.network.live_calls() == ()


# -- what a call leaves behind ---------------------------------------------------------


def names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.rglob("*")]


@pytest.mark.parametrize("is_named", [True, False])
async def test_a_recorded_call_leaves_its_reports(
    tmp_path: Path, *, is_named: bool
) -> None:
    recording: dict[str, Any] = {"enabled": True}
    folder = tmp_path / "voice-calls" / "recordings"
    if is_named:
        folder = tmp_path / "elsewhere"
        recording["path"] = str(folder)
    async with running(tmp_path, recording=recording) as runtime:
        call_id = await place(runtime, SILENT, message="Hello.")
        # Its files are written by a thread, for which virtual time does not wait.
        await runtime._manager.session(call_id).wait_closed()
    assert {"recording.wav", "transcript.json"} <= set(names_in(folder / call_id))


async def test_nothing_is_recorded_by_default(tmp_path: Path):
    async with running(tmp_path) as runtime:
        await place(runtime, SILENT, message="Hello.")
        await asyncio.sleep(30.0)
    assert names_in(tmp_path) == []


# -- turns -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("turns", "checked", "expected"),
    [
        ({}, "backchannels", None),
        ({"bargeIn": {"backchannels": ["aha"]}}, "backchannels", frozenset({"aha"})),
        ({"bargeIn": {"backchannels": []}}, "backchannels", frozenset()),
        ({"bargeIn": {"enabled": False}}, "barge_in_enabled", False),
        ({"bargeIn": {"minDurationMs": 450}}, "barge_in_min_duration_s", 0.45),
        ({"bargeIn": {"falseInterruptionMs": 900}}, "false_interruption_s", 0.9),
        ({"endpointing": {"silenceMs": 700}}, "endpoint_s", 0.7),
        ({"endpointing": {"danglingSilenceMs": 900}}, "dangling_endpoint_s", 0.9),
        ({"endpointing": {"closedAnswerSilenceMs": 200}}, "closed_endpoint_s", 0.2),
        ({"echo": {"similarity": 0.8, "tailMs": 400}}, "echo_similarity", 0.8),
        ({"echo": {"tailMs": 400}}, "echo_tail_s", 0.4),
        ({"echo": {"enabled": False}}, "echo_similarity", 2.0),
    ],
)
async def test_turn_settings_reach_the_ears(
    tmp_path: Path, turns: dict[str, Any], checked: str, expected: object
) -> None:
    async with running(tmp_path, turns=turns) as runtime:
        found = getattr(runtime._manager._services.hearing.turns, checked)
        if expected is None:
            assert "mhm" in found
        else:
            assert found == expected


# -- what is not known -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "key_path"),
    [
        ({"speech": {**WITHOUT_MODELS, "tts": "x"}}, "speech.tts"),
        ({"speech": {**WITHOUT_MODELS, "stt": "x"}}, "speech.stt"),
        ({"speech": {**WITHOUT_MODELS, "vad": "x"}}, "speech.vad"),
        ({"provider": "twilio"}, "fromNumber"),
        ({"mock": {"callee": {"behaviour": "dances"}}}, "mock.callee.behaviour"),
    ],
)
async def test_an_unknown_engine_or_carrier_is_a_config_error(
    tmp_path: Path, settings: dict[str, Any], key_path: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        runtime_of(tmp_path, **settings)
    assert caught.value.key_path == f"plugins.entries.voice-call.config.{key_path}"


# -- speech engines --------------------------------------------------------------------


class AbsentVoice(ToneTextToSpeech):
    """An engine whose package is not there."""

    async def warm_up(self) -> None:
        raise EngineMissing(REMEDY, engine="absent")


class SlowVoice(ToneTextToSpeech):
    """An engine that takes a while to load."""

    async def warm_up(self) -> None:
        await asyncio.sleep(5.0)


@pytest.fixture
def _more_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("engines_of_this_test")
    package.AbsentVoice = AbsentVoice
    package.SlowVoice = SlowVoice
    monkeypatch.setitem(sys.modules, package.__name__, package)
    for name, engine in (("absent", "AbsentVoice"), ("slow", "SlowVoice")):
        target = f"{package.__name__}:{engine}"
        monkeypatch.setitem(registry.TEXT_TO_SPEECH, name, target)


@pytest.mark.usefixtures("_more_engines")
async def test_a_missing_engine_is_named_when_a_call_is_wanted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    speech = {**WITHOUT_MODELS, "tts": "absent"}
    with caplog.at_level(logging.ERROR):
        async with running(tmp_path, speech=speech) as runtime:
            for _ in range(2):
                with pytest.raises(EngineMissing, match="pip install engine"):
                    await runtime.ready()
            assert await runtime.operations.status({}) == {"found": True, "calls": []}
    assert "speech engines cannot be used" in caplog.text


@pytest.mark.usefixtures("_more_engines")
async def test_a_call_waits_for_engines_that_are_loading(tmp_path: Path):
    clock = VirtualClock()
    async with running(tmp_path, speech={**WITHOUT_MODELS, "tts": "slow"}) as runtime:
        began = clock.now()
        assert await runtime.operations.status({}) == {"found": True, "calls": []}
        assert clock.now() == began
        await runtime.ready()
        assert clock.now() - began == pytest.approx(5.0)


@pytest.mark.usefixtures("_more_engines")
async def test_a_client_that_goes_away_does_not_stop_the_loading(tmp_path: Path):
    async with running(tmp_path, speech={**WITHOUT_MODELS, "tts": "slow"}) as runtime:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(runtime.ready(), 1.0)
        assert await runtime.ready() is runtime.operations


# -- stopping --------------------------------------------------------------------------


async def test_stopping_waits_for_calls_no_longer_than_configured(tmp_path: Path):
    clock = VirtualClock()
    runtime = runtime_of(tmp_path, drainSeconds=7)
    await runtime.start()
    await place(runtime, SILENT)
    await asyncio.sleep(3.0)
    began = clock.now()
    await runtime.stop(100.0)
    assert clock.now() - began == pytest.approx(7.0, abs=0.5)
    assert runtime.network.live_calls() == ()


async def test_stopping_what_never_started_is_harmless(tmp_path: Path):
    await runtime_of(tmp_path).stop(1.0)
