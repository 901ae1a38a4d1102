"""What the agent hears on one stream: from sound to turns, and its own speech."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from voice_call.call.model import StreamId
from voice_call.call.turns import TurnSettings
from voice_call.media.audio import SILENT_FRAME
from voice_call.media.vad import VoiceGateSettings
from voice_call.runtime.ears import Ears, Hearing
from voice_call.testing.clock import VirtualClock
from voice_call.testing.speech import (
    EnergyVoiceDetector,
    ScriptedSpeechToText,
    tone,
)

if TYPE_CHECKING:
    from voice_call.call.events import CallerSpoke
    from voice_call.speech.base import RecognitionFailed

pytestmark = pytest.mark.anyio

VOICE = tone(0.02)


class Head:
    """Ears, and everything they told, in order."""

    def __init__(self, *script: str, turns: TurnSettings | None = None) -> None:
        self.clock = VirtualClock()
        self.began = self.clock.now()
        self.stt = ScriptedSpeechToText(script)
        self.told: list[str] = []
        self.turns: list[tuple[CallerSpoke, float]] = []
        self.ears = Ears(
            Hearing(
                stt=self.stt,
                detector=EnergyVoiceDetector(),
                turns=turns or TurnSettings(),
                gate=VoiceGateSettings(window_s=0.02),
                language="en-GB",
            ),
            stream_id=StreamId("stream-7"),
            clock=self.clock,
            listener=self,
        )

    async def hear(self, frame: bytes, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            await asyncio.sleep(0.02)
            self.ears.hear(frame, at=self.clock.now())

    def caller_turn_ended(self, event: CallerSpoke, ended_at: float) -> None:
        self.turns.append((event, ended_at - self.began))
        self.told.append(f"turn: {event.text}")

    def agent_should_pause(self) -> None:
        self.told.append("pause")

    def agent_should_resume(self) -> None:
        self.told.append("resume")

    def agent_was_interrupted(self, at: float) -> None:
        assert at == self.clock.now()
        self.told.append("interrupted")

    def turn_was_dropped(self, why: str) -> None:
        self.told.append(f"dropped: {why}")

    def recognition_failed(self, failure: RecognitionFailed) -> None:
        self.told.append(f"failed: {failure.code}")


async def test_sound_and_words_become_a_turn():
    it = Head("Good morning.")
    await it.hear(SILENT_FRAME, 1.0)
    await it.hear(VOICE, 1.0)
    await it.hear(SILENT_FRAME, 2.0)
    ((turn, ended_at),) = it.turns
    assert turn.text == "Good morning."
    assert turn.confidence == 1.0
    assert turn.began_at is not None
    assert turn.began_at - it.began == pytest.approx(1.0, abs=0.03)
    assert ended_at == pytest.approx(2.0, abs=0.03)


async def test_every_turn_of_a_call_has_an_id_of_its_own():
    it = Head("One.", "Two.")
    for _ in range(2):
        await it.hear(VOICE, 0.5)
        await it.hear(SILENT_FRAME, 2.0)
    assert [turn.utterance_id for turn, _ in it.turns] == [
        "stream-7-segment-1",
        "stream-7-segment-2",
    ]


async def test_the_recogniser_hears_every_frame_in_the_language_of_the_call():
    it = Head()
    await it.hear(SILENT_FRAME, 1.0)
    await it.hear(VOICE, 0.5)
    assert it.stt.opened == ["en-GB"]
    assert it.stt._open[0].heard_s == pytest.approx(1.5)


async def test_sound_without_words_is_no_turn():
    it = Head("")
    await it.hear(VOICE, 0.5)
    await it.hear(SILENT_FRAME, 2.0)
    assert it.turns == []
    assert len(it.told) == 1
    assert it.told[0].startswith("dropped: ")


async def test_words_over_our_speech_interrupt_it():
    it = Head("Stop it please now.")
    it.ears.agent_began("u", is_protected=False)
    await it.hear(VOICE, 1.5)
    await it.hear(SILENT_FRAME, 2.0)
    assert it.told == ["interrupted", "turn: Stop it please now."]


async def test_a_protected_utterance_is_not_interrupted():
    it = Head("Stop it please now.")
    it.ears.agent_began("u", is_protected=True)
    await it.hear(VOICE, 1.5)
    await it.hear(SILENT_FRAME, 2.0)
    assert it.told == ["dropped: protected"]


async def test_voice_without_words_pauses_our_speech_for_a_while():
    it = Head("")
    it.ears.agent_began("u", is_protected=False)
    await it.hear(VOICE, 1.0)
    assert it.told == ["pause"]
    await it.hear(SILENT_FRAME, 3.0)
    assert "resume" in it.told


async def test_our_own_words_that_come_back_are_an_echo():
    it = Head("The garden is ready for her visit")
    it.ears.agent_says("u", "The garden is ready for her visit.")
    it.ears.agent_began("u", is_protected=False)
    await it.hear(VOICE, 1.5)
    it.ears.agent_finished("u")
    await it.hear(SILENT_FRAME, 2.0)
    assert it.turns == []
    assert "interrupted" not in it.told


async def test_a_recogniser_that_breaks_down_is_reported():
    it = Head()
    it.stt.fail("engine_missing")
    await asyncio.sleep(0.1)
    assert it.told == ["failed: engine_missing"]


async def test_closed_ears_hear_nothing_and_leave_nothing():
    it = Head("Good morning.")
    await it.hear(VOICE, 1.0)
    await it.ears.close()
    it.ears.agent_began("u", is_protected=False)
    await it.hear(SILENT_FRAME, 2.0)
    it.stt.fail()
    await asyncio.sleep(10)
    assert it.told == []
    assert it.ears._alarm._handle is None
