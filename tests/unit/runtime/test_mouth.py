"""What the agent says on one call: in order, on time, and with proof."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from voice_call.call.actions import Speak, SpeechKind
from voice_call.call.events import AgentSpeechEnded, AgentSpeechStarted, SpeechOutcome
from voice_call.call.model import StreamId
from voice_call.media.audio import ClearAudio
from voice_call.runtime.mouth import Mouth
from voice_call.runtime.ticker import Ticker
from voice_call.speech.base import Voice
from voice_call.testing.carriers import ManualStream
from voice_call.testing.clock import VirtualClock
from voice_call.testing.speech import ToneTextToSpeech

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from voice_call.carriers.base import StreamEvent

pytestmark = pytest.mark.anyio


class BrokenTextToSpeech(ToneTextToSpeech):
    """Breaks in a way that no engine should."""

    async def synthesize(self, text: str, *, voice: Voice) -> AsyncIterator[bytes]:
        raise ZeroDivisionError(text)
        yield b""


class Speaker:
    """A mouth, its line, and everything it told, in order."""

    def __init__(self, tts: ToneTextToSpeech | None = None) -> None:
        self.clock = VirtualClock()
        self.began = self.clock.now()
        self.tts = tts or ToneTextToSpeech()
        self.ticker = Ticker(self.clock)
        self.told: list[str] = []
        self.ended: dict[str, AgentSpeechEnded] = {}
        self.sounds: list[tuple[float, int]] = []
        self.reaction: Callable[[], None] | None = None
        self.mouth = Mouth(
            tts=self.tts,
            voice=Voice(),
            clock=self.clock,
            ticker=self.ticker,
            listener=self,
        )
        self.line = self.attach()

    def attach(self) -> ManualStream:
        stream = ManualStream(StreamId("s"))
        stream.listener = self
        self.mouth.attach(stream)
        return stream

    def say(
        self,
        text: str,
        name: str = "u",
        kind: SpeechKind = SpeechKind.SAY,
        *,
        is_protected: bool = False,
    ) -> None:
        self.mouth.speak(
            Speak(utterance_id=name, text=text, kind=kind, is_protected=is_protected)
        )

    # -- what the line tells the mouth

    def receive(self, event: StreamEvent) -> None:
        self.mouth.mark_returned(event.name)  # type: ignore[union-attr]

    # -- what the mouth tells its call

    def agent_speech_changed(
        self, event: AgentSpeechStarted | AgentSpeechEnded
    ) -> None:
        if isinstance(event, AgentSpeechStarted):
            self.told.append(f"{event.utterance_id} started")
            return
        self.told.append(f"{event.utterance_id} {event.outcome}")
        self.ended[event.utterance_id] = event
        reaction, self.reaction = self.reaction, None
        if reaction is not None:
            reaction()

    def sentence_sent(self, utterance_id: str, text: str) -> None:
        self.told.append(f"{utterance_id}: {text}")

    def audio_sent(self, audio: bytes, at: float) -> None:
        self.sounds.append((round(at - self.began, 3), len(audio)))

    def audio_cleared(self, at: float) -> None:
        self.told.append("cleared")

    def first_audio(self, utterance_id: str, at: float) -> None:
        self.told.append(f"{utterance_id} has sound")


# -- a text ----------------------------------------------------------------------------


async def test_a_text_is_spoken_sentence_by_sentence_and_proved():
    it = Speaker()
    it.say("First one. Second one.")
    await asyncio.sleep(5)
    assert it.tts.spoken == ["First one.", "Second one."]
    assert it.told[0] == "u: First one."
    assert it.told[-1] == "u played"
    assert it.ended["u"].heard == "First one. Second one."
    assert it.line.sent_s == pytest.approx(17 * 0.06, abs=0.02)


async def test_a_sentence_is_known_before_it_can_come_back_as_an_echo():
    it = Speaker(ToneTextToSpeech(delay_s=0.5))
    it.say("First one.")
    await asyncio.sleep(0.1)
    assert it.told == ["u: First one."]
    assert it.sounds == []


async def test_audio_is_said_to_be_heard_when_it_will_be():
    it = Speaker()
    it.say("Abcdefghij.")
    await asyncio.sleep(5)
    heard_until = 0.0
    for at, size in it.sounds:
        assert at == pytest.approx(heard_until, abs=0.002)
        heard_until = at + size / 8000
    assert heard_until == pytest.approx(0.6, abs=0.01)


async def test_texts_are_spoken_one_after_another():
    it = Speaker()
    it.say("Abcdefghij.", "one")
    it.say("Klmnopqrst.", "two")
    await asyncio.sleep(5)
    changes = [each for each in it.told if each.endswith(("started", "played"))]
    assert changes.index("one played") < changes.index("two played")
    assert it.line.sent_s == pytest.approx(1.2, abs=0.03)


@pytest.mark.parametrize("text", ["", "..."])
async def test_a_text_without_words_is_over_at_once(text: str):
    it = Speaker()
    it.say(text)
    await asyncio.sleep(1)
    assert it.tts.spoken == []
    assert it.ended["u"].outcome is SpeechOutcome.PLAYED


async def test_an_engine_that_fails_ends_the_utterance():
    it = Speaker()
    it.tts.failing = True
    it.say("First one. Second one.")
    await asyncio.sleep(1)
    assert it.ended["u"].outcome is SpeechOutcome.FAILED
    assert it.tts.spoken == ["First one."]


async def test_an_engine_that_breaks_down_is_named_without_the_words():
    it = Speaker(BrokenTextToSpeech())
    it.say("Secret words.")
    await asyncio.sleep(1)
    detail = "the speech engine broke down (ZeroDivisionError)"
    assert it.ended["u"].detail == detail


async def test_a_very_long_text_is_not_synthesised_far_ahead():
    it = Speaker()
    it.say(" ".join(["Abcdefghijklmnopqrst uvwxyz abcdefghijklmn."] * 40))
    await asyncio.sleep(0.1)
    assert 5 <= len(it.tts.spoken) <= 12  # 2.4 s each; 20 s ahead
    await asyncio.sleep(120)
    assert len(it.tts.spoken) == 40
    assert it.ended["u"].outcome is SpeechOutcome.PLAYED


async def test_a_lost_mark_ends_the_utterance_all_the_same():
    it = Speaker()
    it.line.returns_marks = False
    it.say("First one.")
    await asyncio.sleep(5)
    assert it.ended["u"].outcome is SpeechOutcome.PLAYED


# -- a reply ---------------------------------------------------------------------------


async def test_a_reply_is_spoken_while_it_still_comes():
    it = Speaker()
    it.mouth.begin_reply("r")
    it.mouth.add_sentence("r", "First one.")
    await asyncio.sleep(3)
    assert it.line.sent_s == pytest.approx(8 * 0.06, abs=0.02)
    assert "r" not in it.ended
    it.mouth.add_sentence("r", "Second one.")
    it.mouth.finish_reply("r")
    await asyncio.sleep(3)
    assert it.ended["r"].heard == "First one. Second one."


async def test_a_reply_takes_its_place_with_its_first_sentence():
    it = Speaker()
    it.mouth.begin_reply("r")
    it.say("Before that.", "u")
    it.mouth.add_sentence("r", "First one.")
    it.mouth.finish_reply("r")
    await asyncio.sleep(5)
    assert list(it.ended) == ["u", "r"]


async def test_a_reply_without_a_sentence_is_over_when_it_is_complete():
    it = Speaker()
    it.mouth.begin_reply("r")
    it.mouth.finish_reply("r")
    assert it.ended["r"].outcome is SpeechOutcome.CANCELLED


async def test_sentences_of_a_reply_that_was_taken_back_are_not_spoken():
    it = Speaker()
    it.mouth.begin_reply("r")
    it.mouth.take_back("r")
    it.mouth.add_sentence("r", "First one.")
    it.mouth.finish_reply("r")
    it.mouth.take_back("r")
    await asyncio.sleep(1)
    assert it.tts.spoken == []
    assert it.told == ["r cancelled"]


async def test_a_filler_gives_way_to_the_reply():
    it = Speaker()
    it.mouth.begin_reply("r")
    it.say("One moment please, one moment.", "f", SpeechKind.FILLER)
    it.say("And this.", "s")
    await asyncio.sleep(0.5)
    it.mouth.add_sentence("r", "Here it is.")
    it.mouth.finish_reply("r")
    await asyncio.sleep(5)
    assert it.ended["f"].outcome is SpeechOutcome.CANCELLED
    assert it.ended["s"].outcome is SpeechOutcome.PLAYED
    assert it.ended["r"].outcome is SpeechOutcome.PLAYED


# -- the floor -------------------------------------------------------------------------

LONG = "This is the first sentence. This is the second sentence."


async def test_taking_back_stops_at_once_and_tells_what_was_heard():
    it = Speaker()
    it.say(LONG, "one")
    it.say("The next one.", "two")
    await asyncio.sleep(1)
    it.mouth.take_back("one")
    assert it.ended["one"].outcome is SpeechOutcome.CANCELLED
    assert it.ended["one"].heard == "This is the first"
    await asyncio.sleep(5)
    assert it.ended["two"].outcome is SpeechOutcome.PLAYED
    assert it.ended["two"].heard == "The next one."


async def test_an_interruption_ends_everything():
    it = Speaker()
    it.say(LONG, "one")
    it.say("The next one.", "two")
    it.mouth.begin_reply("r")
    await asyncio.sleep(1)
    it.mouth.interrupt()
    assert any(isinstance(each, ClearAudio) for each in it.line.sent)
    assert {name: each.outcome for name, each in it.ended.items()} == {
        "one": SpeechOutcome.INTERRUPTED,
        "two": SpeechOutcome.INTERRUPTED,
        "r": SpeechOutcome.INTERRUPTED,
    }
    assert it.ended["one"].heard == "This is the first"
    assert it.ended["two"].heard == ""
    sent_s = it.line.sent_s
    await asyncio.sleep(5)
    assert it.line.sent_s == sent_s


async def test_a_pause_keeps_what_was_not_heard():
    it = Speaker()
    it.say(LONG)
    await asyncio.sleep(1)
    it.mouth.pause()
    sent_s = it.line.sent_s
    await asyncio.sleep(5)
    assert it.line.sent_s == sent_s
    it.mouth.resume()
    await asyncio.sleep(5)
    assert it.ended["u"].outcome is SpeechOutcome.PLAYED
    assert it.ended["u"].heard == LONG


@pytest.mark.parametrize("how", ["take_back", "stop", "detach"])
async def test_a_pause_ends_with_the_utterance_it_was_about(how: str):
    it = Speaker()
    it.say(LONG, "one")
    await asyncio.sleep(1)
    it.mouth.pause()
    if how == "take_back":
        it.mouth.take_back("one")
    else:
        getattr(it.mouth, how)()
    line = it.attach()
    it.say("The next one.", "two")
    await asyncio.sleep(5)
    assert it.ended["two"].outcome is SpeechOutcome.PLAYED
    assert line.sent_s == pytest.approx(10 * 0.06, abs=0.02)


async def test_taking_back_what_waits_leaves_a_pause_alone():
    it = Speaker()
    it.say(LONG, "one")
    it.say("The next one.", "two")
    await asyncio.sleep(1)
    it.mouth.pause()
    it.mouth.take_back("two")
    sent_s = it.line.sent_s
    await asyncio.sleep(5)
    assert it.line.sent_s == sent_s


async def test_what_is_said_because_speech_was_stopped_is_heard_whole():
    it = Speaker()
    it.say(LONG, "one")
    await asyncio.sleep(1)
    it.reaction = partial(it.say, "Once more.", "one")
    it.mouth.stop()
    await asyncio.sleep(5)
    assert it.told.count("one cancelled") == 1
    assert it.ended["one"].outcome is SpeechOutcome.PLAYED
    assert it.ended["one"].heard == "Once more."


async def test_taking_back_does_not_touch_what_takes_the_same_name():
    it = Speaker()
    it.say(LONG, "one")
    await asyncio.sleep(1)
    it.reaction = partial(it.say, "Once more.", "one")
    it.mouth.take_back("one")
    await asyncio.sleep(5)
    assert it.ended["one"].heard == "Once more."


async def test_an_utterance_ends_once_though_it_is_taken_back_while_all_ends():
    it = Speaker()
    it.say(LONG, "one")
    it.say("The next one.", "two")
    await asyncio.sleep(1)
    it.reaction = partial(it.mouth.take_back, "two")
    it.mouth.interrupt()
    assert it.told.count("two cancelled") == 1
    assert it.told.count("two interrupted") == 0


async def test_protection_lasts_as_long_as_the_utterance():
    it = Speaker()
    it.say("First one.", "u", is_protected=True)
    it.say("First one.", "v")
    assert it.mouth.is_protected("u")
    assert not it.mouth.is_protected("v")
    it.mouth.stop()
    assert not it.mouth.is_protected("u")


async def test_nothing_is_left_of_speech_that_is_over():
    it = Speaker()
    before = asyncio.all_tasks()
    it.say(LONG, "one")
    it.say(LONG, "two")
    await asyncio.sleep(1)
    it.mouth.detach()
    await asyncio.sleep(0.1)
    assert asyncio.all_tasks() == before
    assert it.ticker._dues == {}
