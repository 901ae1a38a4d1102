"""The opening, and what a machine gets of it."""

from __future__ import annotations

import pytest

from voice_call.call.actions import (
    Hangup,
    Ignored,
    Say,
    Speak,
    SpeechKind,
    StartReply,
    TakeBack,
    TranscriptAdded,
)
from voice_call.call.events import (
    AgentSpeechEnded,
    AgentSpeechStarted,
    Answered,
    AnsweredBy,
    CallerSpoke,
    MachineDetected,
    SpeechOutcome,
    StreamClosed,
    StreamOpened,
)
from voice_call.call.model import (
    CallId,
    CallMode,
    Direction,
    EndCause,
    EndedBy,
    Speaker,
    StreamId,
    TranscriptEntry,
)
from voice_call.call.setup import CallSetup
from voice_call.testing.scripted_call import ScriptedCall, of_type

NOTIFY = CallSetup(
    call_id=CallId("call-1"),
    direction=Direction.OUTBOUND,
    mode=CallMode.NOTIFY,
    opening="Your parcel is here.",
)
CONVERSATION = CallSetup(
    call_id=CallId("call-2"), direction=Direction.OUTBOUND, opening="Good morning."
)
INBOUND = CallSetup(
    call_id=CallId("call-3"), direction=Direction.INBOUND, opening="How can I help?"
)
SILENT = CallSetup(call_id=CallId("call-4"), direction=Direction.OUTBOUND)
WITHOUT_STREAMS = CallSetup(
    call_id=CallId("call-5"),
    direction=Direction.OUTBOUND,
    opening="Good morning.",
    has_streams=False,
)

STREAM = StreamOpened(stream_id=StreamId("stream-1"))
STREAM_LOST = StreamClosed(stream_id=StreamId("stream-1"))
STREAM_AGAIN = StreamOpened(stream_id=StreamId("stream-2"))
STARTED = AgentSpeechStarted(utterance_id="opening")
GREETING = MachineDetected(answered_by=AnsweredBy.MACHINE_GREETING)
BEEP = MachineDetected(answered_by=AnsweredBy.MACHINE_BEEP)
MACHINE_HANGUP = Hangup(cause=EndCause.MACHINE, by=EndedBy.SYSTEM)


def opening(text: str = "Good morning.", *, is_protected: bool = True) -> Speak:
    return Speak(
        utterance_id="opening",
        text=text,
        kind=SpeechKind.OPENING,
        is_protected=is_protected,
    )


def ended(outcome: SpeechOutcome, heard: str = "") -> AgentSpeechEnded:
    return AgentSpeechEnded(utterance_id="opening", outcome=outcome, heard=heard)


def connected(setup: CallSetup) -> ScriptedCall:
    call = ScriptedCall(setup)
    call.connect()
    return call


def openings(call: ScriptedCall) -> list[Speak]:
    return [
        speak
        for speak in of_type(call.actions, Speak)
        if speak.kind is SpeechKind.OPENING
    ]


# -- when ------------------------------------------------------------------------------


def test_with_streams_the_answer_alone_opens_nothing() -> None:
    call = ScriptedCall(CONVERSATION)
    call.start()
    call.receive(Answered())
    assert openings(call) == []


@pytest.mark.parametrize("order", [(Answered(), STREAM), (STREAM, Answered())])
def test_the_opening_comes_once_in_either_order(
    order: tuple[Answered | StreamOpened, ...],
) -> None:
    call = ScriptedCall(CONVERSATION)
    call.start()
    call.receive(*order)
    assert openings(call) == [opening()]


def test_without_streams_the_answer_opens() -> None:
    call = ScriptedCall(WITHOUT_STREAMS)
    call.start()
    assert opening() in call.receive(Answered())


def test_the_greeting_of_an_inbound_call_may_be_interrupted() -> None:
    assert openings(connected(INBOUND)) == [
        opening("How can I help?", is_protected=False)
    ]


def test_nobody_speaks_first_without_an_opening() -> None:
    assert of_type(connected(SILENT).actions, Speak) == []


def test_a_doubled_stream_does_not_repeat_the_opening() -> None:
    call = connected(CONVERSATION)
    call.receive(STREAM)
    call.receive(STARTED, ended(SpeechOutcome.PLAYED, "Good morning."), STREAM)
    assert openings(call) == [opening()]


# -- heard, failed, lost ---------------------------------------------------------------


def test_a_heard_opening_is_in_the_transcript_at_the_time_it_began() -> None:
    call = connected(CONVERSATION)
    call.wait(1.0)
    call.receive(STARTED)
    call.wait(2.0)
    entry = TranscriptEntry(at=1001.0, speaker=Speaker.AGENT, text="Good morning.")
    assert call.receive(ended(SpeechOutcome.PLAYED, "Good morning.")) == [
        TranscriptAdded(entry=entry)
    ]


def test_an_opening_whose_start_went_unreported_counts_from_its_end() -> None:
    call = connected(CONVERSATION)
    call.wait(2.0)
    call.receive(ended(SpeechOutcome.PLAYED, "Good morning."))
    assert call.machine.transcript[0].at == 1002.0


def test_an_opening_that_failed_is_tried_once_more() -> None:
    call = connected(CONVERSATION)
    assert call.receive(ended(SpeechOutcome.FAILED)) == [opening()]
    assert call.receive(ended(SpeechOutcome.FAILED)) == []


def test_a_conversation_goes_on_without_its_opening() -> None:
    call = connected(CONVERSATION)
    call.receive(ended(SpeechOutcome.FAILED), ended(SpeechOutcome.FAILED))
    actions = call.receive(CallerSpoke(utterance_id="u-1", text="Hello?"))
    assert StartReply(reply_id="reply-1", heard=("Hello?",)) in actions


def test_a_one_shot_message_that_cannot_be_spoken_ends_the_call() -> None:
    call = connected(NOTIFY)
    call.receive(ended(SpeechOutcome.FAILED))
    hangup = Hangup(cause=EndCause.ERROR, by=EndedBy.SYSTEM)
    assert hangup in call.receive(ended(SpeechOutcome.FAILED))


@pytest.mark.parametrize("is_cancelled_first", [True, False])
def test_an_opening_lost_with_its_stream_is_spoken_on_the_next(
    *, is_cancelled_first: bool
) -> None:
    call = connected(CONVERSATION)
    cancelled = ended(SpeechOutcome.CANCELLED)
    call.receive(STARTED, STREAM_LOST)
    order = (cancelled, STREAM_AGAIN) if is_cancelled_first else (STREAM_AGAIN,)
    call.receive(*order)
    if not is_cancelled_first:
        call.receive(cancelled)
    assert openings(call) == [opening(), opening()]


def test_a_heard_opening_is_not_repeated_on_the_next_stream() -> None:
    call = connected(CONVERSATION)
    call.receive(STARTED, ended(SpeechOutcome.PLAYED, "Good morning."))
    call.receive(STREAM_LOST, STREAM_AGAIN)
    assert openings(call) == [opening()]


def test_an_interrupted_opening_is_heard_as_far_as_it_came() -> None:
    call = connected(INBOUND)
    call.receive(STARTED, ended(SpeechOutcome.INTERRUPTED, "How can"))
    entry = call.machine.transcript[0]
    assert (entry.text, entry.is_cut) == ("How can", True)
    call.receive(STREAM_LOST, STREAM_AGAIN)
    assert len(openings(call)) == 1


def test_what_is_said_while_the_line_is_lost_waits_for_it_after_the_opening() -> None:
    call = connected(CONVERSATION)
    call.receive(STREAM_LOST, ended(SpeechOutcome.CANCELLED))
    assert call.request(Say(utterance_id="say-1", text="Still there?")) == []
    say = Speak(utterance_id="say-1", text="Still there?", kind=SpeechKind.SAY)
    assert call.receive(STREAM_AGAIN) == [opening(), say]


# -- one-shot messages -----------------------------------------------------------------


def test_a_message_is_followed_by_a_moment_and_a_hangup() -> None:
    call = connected(NOTIFY)
    call.receive(STARTED, ended(SpeechOutcome.PLAYED, "Your parcel is here."))
    assert call.wait(2.9) == []
    assert Hangup(cause=EndCause.NORMAL, by=EndedBy.SYSTEM) in call.wait(0.1)


def test_a_message_that_still_plays_is_not_cut_off() -> None:
    call = connected(NOTIFY)
    call.receive(STARTED)
    assert call.wait(120.0) == []


def test_nobody_answers_to_what_is_said_to_a_message() -> None:
    call = connected(NOTIFY)
    call.receive(CallerSpoke(utterance_id="u-1", text="Who is it?"))
    assert of_type(call.actions, StartReply) == []
    assert [entry.text for entry in call.machine.transcript] == ["Who is it?"]


# -- machines --------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", [AnsweredBy.HUMAN, AnsweredBy.UNKNOWN])
def test_a_human_changes_nothing(verdict: AnsweredBy) -> None:
    call = connected(NOTIFY)
    assert call.receive(MachineDetected(answered_by=verdict)) == []


def test_a_fax_is_left_alone() -> None:
    call = connected(NOTIFY)
    assert MACHINE_HANGUP in call.receive(MachineDetected(answered_by=AnsweredBy.FAX))


@pytest.mark.parametrize("verdict", [GREETING, BEEP])
def test_a_machine_is_left_alone_where_there_is_no_message(
    verdict: MachineDetected,
) -> None:
    call = connected(SILENT)
    assert MACHINE_HANGUP in call.receive(verdict)


def test_a_greeting_takes_the_message_back_until_the_beep() -> None:
    call = connected(NOTIFY)
    message = opening("Your parcel is here.")
    call.receive(STARTED)
    assert call.receive(GREETING) == [TakeBack(utterance_id="opening")]
    assert call.receive(ended(SpeechOutcome.CANCELLED)) == []
    call.wait(10.0)
    assert call.receive(BEEP) == [message]
    call.receive(STARTED, ended(SpeechOutcome.PLAYED, "Your parcel is here."))
    assert MACHINE_HANGUP in call.wait(3.0)


def test_the_beep_may_come_before_the_message_is_taken_back() -> None:
    call = connected(NOTIFY)
    call.receive(STARTED, GREETING)
    assert call.receive(BEEP) == []
    assert call.receive(ended(SpeechOutcome.CANCELLED)) == [
        opening("Your parcel is here.")
    ]


@pytest.mark.parametrize(
    "outcome", [SpeechOutcome.PLAYED, SpeechOutcome.FAILED, SpeechOutcome.INTERRUPTED]
)
def test_a_message_that_was_over_before_it_could_be_taken_back_is_said_again(
    outcome: SpeechOutcome,
) -> None:
    call = connected(NOTIFY)
    call.receive(STARTED, GREETING, ended(outcome))
    call.wait(10.0)
    assert call.receive(BEEP) == [opening("Your parcel is here.")]


def test_a_message_that_the_greeting_drowned_is_said_again() -> None:
    call = connected(NOTIFY)
    call.receive(STARTED, ended(SpeechOutcome.PLAYED, "Your parcel is here."))
    call.wait(1.0)
    assert call.receive(GREETING) == []
    assert call.wait(10.0) == []
    assert call.receive(BEEP) == [opening("Your parcel is here.")]


def test_a_beep_alone_lets_the_message_begin_anew() -> None:
    call = connected(NOTIFY)
    call.receive(STARTED)
    assert call.receive(BEEP) == [TakeBack(utterance_id="opening")]
    assert call.receive(ended(SpeechOutcome.CANCELLED)) == [
        opening("Your parcel is here.")
    ]


@pytest.mark.parametrize("late", [GREETING, BEEP])
def test_after_the_beep_no_further_verdict_counts(late: MachineDetected) -> None:
    call = connected(NOTIFY)
    call.receive(ended(SpeechOutcome.CANCELLED), BEEP)
    assert call.receive(late) == [
        Ignored(event=late, why="the machine has beeped already")
    ]


def test_a_doubled_greeting_does_not_repeat_anything() -> None:
    call = connected(NOTIFY)
    call.receive(STARTED, GREETING)
    assert call.receive(GREETING) == []


def test_a_machine_whose_greeting_never_ends_is_given_up() -> None:
    call = connected(NOTIFY)
    call.receive(GREETING, ended(SpeechOutcome.CANCELLED))
    assert call.wait(39.9) == []
    assert MACHINE_HANGUP in call.wait(0.1)


def test_a_machine_known_before_the_stream_gets_the_message_at_its_beep() -> None:
    call = ScriptedCall(NOTIFY)
    call.start()
    call.receive(Answered(), GREETING, STREAM)
    assert openings(call) == []
    call.receive(BEEP)
    assert openings(call) == [opening("Your parcel is here.")]


def test_a_message_a_machine_cannot_get_ends_the_call() -> None:
    call = connected(CONVERSATION)
    call.receive(GREETING, ended(SpeechOutcome.CANCELLED), BEEP)
    call.receive(ended(SpeechOutcome.FAILED))
    hangup = Hangup(cause=EndCause.ERROR, by=EndedBy.SYSTEM)
    assert hangup in call.receive(ended(SpeechOutcome.FAILED))


def test_the_agent_does_not_talk_to_a_machine() -> None:
    call = connected(CONVERSATION)
    call.receive(CallerSpoke(utterance_id="u-1", text="You have reached"))
    assert TakeBack(utterance_id="reply-1") in call.receive(GREETING)
    call.receive(CallerSpoke(utterance_id="u-2", text="the office."))
    assert len(of_type(call.actions, StartReply)) == 1


def test_a_conversation_leaves_its_opening_with_a_machine_and_hangs_up() -> None:
    call = connected(CONVERSATION)
    call.receive(GREETING, ended(SpeechOutcome.CANCELLED), BEEP)
    call.receive(STARTED, ended(SpeechOutcome.PLAYED, "Good morning."))
    assert MACHINE_HANGUP in call.wait(3.0)
