"""Speaking and listening through the carrier's own verbs, without a media stream."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from voice_call.call.actions import Listen, Speak, SpeechKind, StartReply
from voice_call.call.events import (
    AgentReplied,
    AgentSpeechEnded,
    AgentSpeechStarted,
    CallerSpoke,
    CallEvent,
    CarrierEnded,
    ReplyFailed,
    SpeechOutcome,
)
from voice_call.call.model import (
    CallId,
    CarrierCallId,
    Direction,
    EndCause,
    EndedBy,
    StreamId,
)
from voice_call.carriers.base import (
    GatherSpeech,
    KeepWaiting,
    PlanStep,
    ReportPlayed,
    SayText,
    StreamStarted,
)
from voice_call.errors import Unsupported
from voice_call.reports.transcript import MomentKind
from voice_call.runtime.agent import AgentTurn
from voice_call.runtime.carrier_voice import CarrierVoice
from voice_call.runtime.chronicle import Chronicle
from voice_call.testing.carriers import ManualCarrier, ManualStream
from voice_call.testing.offices import Office

pytestmark = pytest.mark.anyio

URL = "https://phone.example.com/voice/webhook?callId=call-1"


class Desk:
    """A voice without a call: what it reports, and what it tells the carrier."""

    def __init__(self, *, is_conversation: bool = True, is_inline: bool = False):
        self.office = Office(ManualCarrier())
        self.events: list[CallEvent] = []
        self.acts: list[tuple[PlanStep, ...]] = []
        self.chronicle = Chronicle(folder=None)
        self.voice = CarrierVoice(
            self.office.services,
            self.chronicle,
            self.events.append,
            act=self.acts.append,
            url=URL,
            is_conversation=is_conversation,
            is_inline=is_inline,
        )

    def say(self, text: str, name: str = "u", kind: SpeechKind = SpeechKind.SAY):
        self.voice.speak(Speak(utterance_id=name, text=text, kind=kind))

    async def reply(self, *steps: str | float | Exception) -> None:
        """Let the agent answer, to the end of its script."""
        self.office.agent.expect(*steps)
        turn = AgentTurn(
            call_id=CallId("call-1"),
            reply_id="r",
            session_key="main",
            direction=Direction.OUTBOUND,
            peer="",
            heard=("Hi.",),
            history=(),
            language="en-US",
            timeout_s=5.0,
        )
        self.voice.start_reply(StartReply(reply_id="r", heard=("Hi.",)), turn)
        await asyncio.sleep(0.01)


def spoken(text: str, piece: str) -> tuple[PlanStep, ...]:
    return (
        SayText(text=text, voice=None, language="en-US"),
        ReportPlayed(utterance_id=piece, url=URL),
    )


def gather(token: str) -> tuple[PlanStep, ...]:
    return (GatherSpeech(turn_token=token, url=URL, language="en-US"),)


def started(name: str) -> AgentSpeechStarted:
    return AgentSpeechStarted(utterance_id=name)


def ended(
    name: str,
    heard: str,
    outcome: SpeechOutcome = SpeechOutcome.PLAYED,
    detail: str | None = None,
) -> AgentSpeechEnded:
    return AgentSpeechEnded(
        utterance_id=name, outcome=outcome, heard=heard, detail=detail
    )


def caller(token: str | None) -> CallerSpoke:
    return CallerSpoke(utterance_id="c", text="Yes.", turn_token=token)


def over(cause: EndCause = EndCause.NORMAL) -> CarrierEnded:
    return CarrierEnded(cause=cause, by=EndedBy.CARRIER)


# -- a text ----------------------------------------------------------------------------


async def test_a_text_is_given_by_command_and_counts_as_begun():
    it = Desk()
    it.say("Hello there.")
    assert it.acts == [spoken("Hello there.", "u.1")]
    assert it.events == [started("u")]


async def test_a_text_is_over_when_the_carrier_has_played_it():
    it = Desk()
    it.say("Hello there.")
    it.voice.played("u.1")
    assert it.events == [started("u"), ended("u", "Hello there.")]


async def test_a_report_of_something_else_does_not_count():
    it = Desk()
    it.say("Hello there.")
    it.voice.played("v.1")
    assert it.events == [started("u")]


async def test_a_report_counts_once():
    it = Desk()
    it.say("Hello there.")
    it.voice.played("u.1")
    it.voice.played("u.1")
    assert it.events == [started("u"), ended("u", "Hello there.")]


async def test_the_second_text_waits_for_the_first():
    it = Desk()
    it.say("One.", "a")
    it.say("Two.", "b")
    assert it.acts == [spoken("One.", "a.1")]
    it.voice.played("a.1")
    assert it.voice.plan() == spoken("Two.", "b.1")
    assert it.events == [started("a"), ended("a", "One."), started("b")]


async def test_a_long_text_goes_in_pieces_of_600_characters():
    it = Desk()
    text = " ".join(["nine-char"] * 130)  # 1299 characters: 60, 60 and 10 words
    it.say(text)
    pieces = [it.acts[0]]
    it.voice.played("u.1")
    pieces.append(it.voice.plan())
    it.voice.played("u.2")
    pieces.append(it.voice.plan())
    it.voice.played("u.3")
    words = [piece[0].text.count("nine-char") for piece in pieces]  # type: ignore[union-attr]
    assert words == [60, 60, 10]
    assert it.events == [started("u"), ended("u", text)]


async def test_a_word_that_is_longer_than_a_piece_goes_whole():
    it = Desk()
    it.say("a" * 1000 + " b")
    assert it.acts == [spoken("a" * 1000, "u.1")]


async def test_a_text_that_was_cut_reports_the_pieces_that_were_heard():
    it = Desk()
    it.say("a" * 500 + " " + "b" * 500)
    it.voice.played("u.1")
    it.voice.stop_speaking()
    assert it.events[-1] == ended("u", "a" * 500, SpeechOutcome.CANCELLED)


# -- taking back -----------------------------------------------------------------------


async def test_what_is_taken_back_while_it_plays_ends_unheard():
    it = Desk()
    it.say("Hello there.")
    it.voice.take_back("u")
    assert it.events == [started("u"), ended("u", "", SpeechOutcome.CANCELLED)]
    assert it.voice.plan() == gather("listen-1")


async def test_what_is_taken_back_before_its_turn_is_never_said():
    it = Desk()
    it.say("One.", "a")
    it.say("Two.", "b")
    it.voice.take_back("b")
    it.voice.played("a.1")
    assert it.voice.plan() == gather("listen-1")


async def test_taking_back_one_leaves_the_other_playing():
    it = Desk()
    it.say("One.", "a")
    it.say("Two.", "b")
    it.voice.take_back("b")
    it.voice.played("a.1")
    assert ended("a", "One.") in it.events


async def test_taking_back_what_is_unknown_does_nothing():
    it = Desk()
    it.voice.take_back("u")
    assert it.events == []


async def test_closing_takes_everything_back():
    it = Desk()
    it.say("One.", "a")
    it.say("Two.", "b")
    await it.voice.close()
    assert [type(each) for each in it.events] == [
        AgentSpeechStarted,
        AgentSpeechEnded,
        AgentSpeechEnded,
    ]


# -- what goes out with the dial -------------------------------------------------------


async def test_the_opening_that_went_out_with_the_dial_is_not_said_again():
    it = Desk(is_conversation=False, is_inline=True)
    it.say("Hello there.", kind=SpeechKind.OPENING)
    assert it.acts == []
    assert it.events == [started("u")]


@pytest.mark.parametrize(
    ("cause", "last"),
    [
        (EndCause.NORMAL, ended("u", "Hello there.")),
        (EndCause.FAILED, ended("u", "", SpeechOutcome.CANCELLED)),
    ],
)
async def test_a_call_that_completes_has_heard_it(cause, last):
    it = Desk(is_conversation=False, is_inline=True)
    it.say("Hello there.", kind=SpeechKind.OPENING)
    it.voice.carrier_ended(over(cause))
    assert it.events == [started("u"), last]


async def test_a_carrier_that_asks_was_not_given_the_words():
    it = Desk(is_conversation=False, is_inline=True)
    it.say("Hello there.", kind=SpeechKind.OPENING)
    assert it.voice.plan() == spoken("Hello there.", "u.1")
    it.voice.played("u.1")
    assert it.events == [started("u"), ended("u", "Hello there.")]


async def test_a_long_message_that_the_carrier_asks_for_is_cut_too():
    it = Desk(is_conversation=False, is_inline=True)
    it.say("a" * 500 + " " + "b" * 500, kind=SpeechKind.OPENING)
    assert it.voice.plan() == spoken("a" * 500, "u.1")
    it.voice.played("u.1")
    assert it.voice.plan() == spoken("b" * 500, "u.2")
    it.voice.played("u.2")
    assert it.events[-1] == ended("u", "a" * 500 + " " + "b" * 500)


async def test_an_opening_that_was_taken_back_is_not_given_to_a_carrier_that_asks():
    it = Desk(is_conversation=False, is_inline=True)
    it.say("Hello there.", kind=SpeechKind.OPENING)
    it.voice.take_back("u")
    assert it.voice.plan() == (KeepWaiting(),)


async def test_an_opening_that_was_taken_back_was_not_heard():
    it = Desk(is_conversation=False, is_inline=True)
    it.say("Hello there.", kind=SpeechKind.OPENING)
    it.voice.take_back("u")
    it.voice.carrier_ended(over())
    assert it.events == [started("u"), ended("u", "", SpeechOutcome.CANCELLED)]


async def test_what_is_said_again_goes_by_command():
    it = Desk(is_conversation=False, is_inline=True)
    it.say("Hello there.", kind=SpeechKind.OPENING)
    it.voice.take_back("u")
    it.say("Hello there.", kind=SpeechKind.OPENING)
    assert it.acts == [spoken("Hello there.", "u.1")]


async def test_only_the_opening_goes_out_with_the_dial():
    it = Desk(is_conversation=False, is_inline=True)
    it.say("Something else.")
    assert it.acts == [spoken("Something else.", "u.1")]


# -- plans -----------------------------------------------------------------------------


async def test_a_conversation_listens_when_there_is_nothing_to_say():
    it = Desk()
    assert it.voice.plan() == gather("listen-1")
    assert it.voice.plan() == gather("listen-1")


async def test_a_message_only_waits_when_there_is_nothing_to_say():
    assert Desk(is_conversation=False).voice.plan() == (KeepWaiting(),)


async def test_a_carrier_that_asks_while_something_plays_waits():
    it = Desk()
    it.say("Hello there.")
    assert it.voice.plan() == (KeepWaiting(url=URL, wait_s=1.0),)


async def test_a_carrier_that_asks_while_the_agent_thinks_waits():
    it = Desk()
    await it.reply(1.0, "Well.")
    assert it.voice.plan() == (KeepWaiting(url=URL, wait_s=1.0),)


async def test_the_plan_names_the_voice_and_the_language():
    it = Desk()
    services = it.office.services
    voice = CarrierVoice(
        replace(services, voice=replace(services.voice, name="alice", language="de")),
        it.chronicle,
        it.events.append,
        act=it.acts.append,
        url=URL,
        is_conversation=True,
    )
    voice.speak(Speak(utterance_id="u", text="Hallo.", kind=SpeechKind.SAY))
    assert it.acts[0][0] == SayText(text="Hallo.", voice="alice", language="de")


# -- listening -------------------------------------------------------------------------


async def test_the_listening_that_was_asked_for_has_its_token():
    it = Desk()
    it.voice.listen(Listen(turn_token="ask-1"))
    assert it.voice.plan() == gather("ask-1")


@pytest.mark.parametrize(
    ("token", "is_current"), [("ask-1", True), ("listen-1", False), (None, True)]
)
async def test_an_answer_to_an_earlier_listening_is_told_by_its_token(
    token, is_current
):
    it = Desk()
    it.voice.plan()
    it.voice.listen(Listen(turn_token="ask-1"))
    assert it.voice.is_current(caller(token)) is is_current


async def test_what_is_said_makes_every_earlier_listening_stale():
    it = Desk()
    it.voice.plan()
    it.say("Hello there.")
    assert not it.voice.is_current(caller("listen-1"))


async def test_each_listening_after_something_said_has_a_token_of_its_own():
    it = Desk()
    it.voice.plan()
    it.say("Hello there.")
    it.voice.played("u.1")
    assert it.voice.plan() == gather("listen-2")


# -- replies ---------------------------------------------------------------------------


async def test_a_reply_is_said_sentence_by_sentence():
    it = Desk()
    await it.reply("It is nine. ", "Anything else?")
    assert it.acts == [spoken("It is nine.", "r.1")]
    it.voice.played("r.1")
    assert it.voice.plan() == spoken("Anything else?", "r.2")
    it.voice.played("r.2")
    assert it.events == [
        started("r"),
        AgentReplied(reply_id="r", has_words=True, ends_call=False),
        ended("r", "It is nine. Anything else?"),
    ]


async def test_a_reply_whose_first_sentence_was_heard_goes_on_by_command():
    it = Desk()
    await it.reply("It is nine. ", "So ", 1.0, "there.")
    it.voice.played("r.1")
    assert it.voice.plan() == (KeepWaiting(url=URL, wait_s=1.0),)
    await asyncio.sleep(2.0)
    assert it.acts == [spoken("It is nine.", "r.1"), spoken("So there.", "r.2")]


async def test_a_reply_ends_with_the_agent_when_all_was_heard_before():
    it = Desk()
    await it.reply("It is nine. ", "So ", 1.0)
    it.voice.played("r.1")
    await asyncio.sleep(2.0)
    it.voice.played("r.2")
    assert it.events[-1] == ended("r", "It is nine. So")


async def test_a_reply_that_is_complete_after_its_last_word_was_heard_ends_then():
    it = Desk()
    await it.reply("It is nine. Now. ", 1.0)
    it.voice.played("r.1")
    it.voice.plan()
    it.voice.played("r.2")
    assert it.events == [started("r")]
    await asyncio.sleep(2.0)
    assert it.events[-1] == ended("r", "It is nine. Now.")


async def test_a_reply_without_words_leaves_nothing_behind():
    it = Desk()
    await it.reply("")
    assert it.events == [AgentReplied(reply_id="r", has_words=False, ends_call=False)]
    assert it.voice.plan() == gather("listen-1")


async def test_an_agent_that_fails_is_reported_and_noted():
    it = Desk()
    await it.reply(RuntimeError("no"))
    assert it.events == [
        ReplyFailed(reply_id="r", detail="the agent broke down (RuntimeError)")
    ]
    assert [each.kind for each in it.chronicle.moments] == [MomentKind.AGENT_FAILED]


async def test_a_reply_that_is_taken_back_is_not_run_to_its_end():
    it = Desk()
    await it.reply("It is nine. ", "So ", 1.0, "there.")
    it.voice.take_back("r")
    await asyncio.sleep(2.0)
    assert it.office.agent.cancelled == ["r"]
    assert it.events[-1] == ended("r", "", SpeechOutcome.CANCELLED)


async def test_a_late_sentence_of_a_reply_that_is_over_is_not_said():
    it = Desk()
    it.voice.reply_has_sentence("r", "Too late.")
    assert it.acts == []


async def test_the_end_of_a_reply_that_is_over_is_passed_on():
    it = Desk()
    event = AgentReplied(reply_id="r", has_words=True, ends_call=False)
    it.voice.reply_ended(event)
    assert it.events == [event]


# -- the carrier -----------------------------------------------------------------------


async def test_what_the_carrier_did_not_take_has_failed():
    it = Desk()
    it.say("a" * 500 + " " + "b" * 500)
    it.voice.carrier_failed("twilio refused")
    assert it.events == [
        started("u"),
        ended("u", "", SpeechOutcome.FAILED, "twilio refused"),
    ]
    assert it.voice.plan() == gather("listen-1")
    assert [each.kind for each in it.chronicle.moments] == [MomentKind.SPEECH_FAILED]


async def test_a_failure_after_everything_was_taken_back_says_nothing():
    it = Desk()
    it.say("Hello there.")
    it.voice.take_back("u")
    it.voice.carrier_failed("twilio refused")
    assert it.events[-1] == ended("u", "", SpeechOutcome.CANCELLED)


async def test_what_plays_when_the_call_ends_is_cut():
    it = Desk()
    it.say("Hello there.")
    it.voice.carrier_ended(over())
    assert it.events == [started("u"), ended("u", "", SpeechOutcome.CANCELLED)]


async def test_a_media_stream_is_refused():
    it = Desk()
    stream = ManualStream(StreamId("s"))
    begun = StreamStarted(
        stream_id=stream.stream_id, carrier_call_id=CarrierCallId("c"), token=None
    )
    with pytest.raises(Unsupported, match="without a stream"):
        it.voice.open_stream(begun, stream)
