"""Whole calls with real voices: what is said on one side is understood on the other."""

from __future__ import annotations

import asyncio
import json
import wave
from array import array
from typing import TYPE_CHECKING, Any

import pytest

from voice_call.assembly import VoiceCallRuntime
from voice_call.carriers.simulated.personas import DEMO_CALLEE, Say
from voice_call.config import load_config
from voice_call.testing.word_error_rate import count_word_errors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

pytestmark = [pytest.mark.speech, pytest.mark.timeout(180)]

OPENING = "Hello, this is the front desk. How can I help you today?"
TIME = "It is a quarter past nine in the morning."
NOTED = (
    "I will write that down for you. We are open all day long, and you are welcome to "
    "visit our garden, our kitchen, and the small library upstairs."
)
GOODBYE = "Thank you for calling. Goodbye."


class FrontDesk:
    """A host whose agent answers by keyword, with sentences known to the test."""

    core_config: Mapping[str, Any] = {}

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.config = {"provider": "mock", "recording": {"enabled": True}}

    async def run_agent(
        self, request: Mapping[str, Any]
    ) -> AsyncIterator[Mapping[str, Any]]:
        heard = request["message"].lower()
        if "bye" in heard:
            text = GOODBYE
        elif "time" in heard:
            text = TIME
        else:
            text = NOTED
        for word in text.split(" "):
            yield {"type": "text", "delta": word + " "}
        if text is GOODBYE:
            yield {"type": "tool_call", "name": "end_call", "arguments": {}}


async def run_call(tmp_path: Path, to: str) -> tuple[dict[str, Any], list[str]]:
    """Hold one call; return its record and what the callee understood."""
    host = FrontDesk(tmp_path)
    config = load_config(host.config, environ={"OPENCLAW_STATE_DIR": str(tmp_path)})
    runtime = VoiceCallRuntime(config, host)  # type: ignore[arg-type]  # registers nothing
    await runtime.start()
    try:
        calls = await runtime.ready()
        placed = await calls.initiate(
            {"to": to, "message": OPENING, "mode": "conversation"}
        )
        params = {"callId": placed["callId"]}
        async with asyncio.timeout(120):
            while "endedAt" not in (await calls.describe(params))["call"]:  # noqa: ASYNC110 - watched from outside, as a client would
                await asyncio.sleep(0.1)
        record = (await calls.describe(params))["call"]
        await asyncio.sleep(1.5)  # the callee's recogniser finishes its last utterance
        heard = [each.text for each in runtime.network.heard(record["providerCallId"])]
        return record, heard
    finally:
        await runtime.stop(5.0)


class Call:
    """What is left of a call: its record, what the callee understood, its files."""

    def __init__(self, record: dict[str, Any], heard: list[str], folder: Path) -> None:
        self.record = record
        self.heard = heard
        self.folder = folder

    def texts(self, speaker: str) -> list[str]:
        return [
            each["text"]
            for each in self.record["transcript"]
            if each["speaker"] == speaker
        ]


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Call:
    folder = tmp_path_factory.mktemp("spoken")
    record, heard = asyncio.run(run_call(folder, "+15550100001"))
    return Call(record, heard, folder)


def test_the_callee_understands_what_the_agent_was_told_to_say(call: Call) -> None:
    said = " ".join(call.texts("bot"))
    assert count_word_errors(said, " ".join(call.heard)).rate <= 0.10


def test_the_agent_understands_the_callee(call: Call) -> None:
    script = [step.text for step in DEMO_CALLEE.script if isinstance(step, Say)]
    understood = " ".join(call.texts("user"))
    assert len(call.texts("user")) >= 3
    assert count_word_errors(" ".join(script), understood).rate <= 0.15


def test_the_callee_barges_in_and_the_agent_stops(call: Call) -> None:
    cut = [each for each in call.record["transcript"] if each.get("isCut")]
    assert len(cut) >= 1
    assert NOTED.startswith(cut[0]["text"])
    assert len(cut[0]["text"]) < len(NOTED)


def test_the_agent_says_goodbye_and_hangs_up(call: Call) -> None:
    assert call.texts("bot")[0] == OPENING
    assert call.texts("bot")[-1] == GOODBYE
    assert call.record["state"] == "hangup-bot"
    assert call.record["ending"]["by"] == "agent"


def test_the_recording_has_each_side_on_its_channel(call: Call) -> None:
    path = next(call.folder.rglob("recording.wav"))
    report = json.loads(path.with_name("transcript.json").read_text())
    with wave.open(str(path)) as recording:
        assert recording.getnchannels() == 2
        assert recording.getframerate() == 8000
        frames = recording.readframes(recording.getnframes())
    samples = array("h", frames)
    for side, speaker in ((0, "user"), (1, "bot")):
        channel = samples[side::2]
        spoken = [each for each in report["speech"] if each["speaker"] == speaker]
        for span in spoken:
            inside = loudness(channel, span["beganAtS"], span["endedAtS"])
            assert inside > 300, (speaker, span)


def loudness(samples: array[int], began_s: float, ended_s: float) -> float:
    """Root mean square of a stretch; the recording begins with the answer."""
    part = samples[int(began_s * 8000) : int(ended_s * 8000)]
    return (sum(each * each for each in part) / max(1, len(part))) ** 0.5
