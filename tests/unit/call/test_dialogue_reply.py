"""The agent's replies: one per turn, newer ones void older ones, never silence."""

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
)
from voice_call.call.events import (
    AgentReplied,
    AgentSpeechEnded,
    AgentSpeechStarted,
    CallerSpoke,
    ReplyFailed,
    SpeechOutcome,
    StreamClosed,
    StreamOpened,
)
from voice_call.call.model import CallId, Direction, EndCause, EndedBy, StreamId
from voice_call.call.setup import CallLimits, CallSetup
from voice_call.testing.scripted_call import ScriptedCall, of_type

SETUP = CallSetup(call_id=CallId("call-1"), direction=Direction.INBOUND)
STREAM_LOST = StreamClosed(stream_id=StreamId("stream-1"))
STREAM_AGAIN = StreamOpened(stream_id=StreamId("stream-2"))
AGENT_HANGUP = Hangup(cause=EndCause.NORMAL, by=EndedBy.AGENT)
APOLOGY = "I am sorry, something went wrong. Could you say that again?"


def connected(setup: CallSetup = SETUP) -> ScriptedCall:
    call = ScriptedCall(setup)
    call.connect()
    return call


def said(text: str, utterance_id: str = "u-1") -> CallerSpoke:
    return CallerSpoke(utterance_id=utterance_id, text=text)


def asked(setup: CallSetup = SETUP) -> ScriptedCall:
    """A call whose caller has asked something and waits for the reply."""
    call = connected(setup)
    call.receive(said("What time is it?"))
    return call


def started(utterance_id: str = "reply-1") -> AgentSpeechStarted:
    return AgentSpeechStarted(utterance_id=utterance_id)


def ended(
    outcome: SpeechOutcome, heard: str = "", utterance_id: str = "reply-1"
) -> AgentSpeechEnded:
    return AgentSpeechEnded(utterance_id=utterance_id, outcome=outcome, heard=heard)


def replied(
    reply_id: str = "reply-1", *, has_words: bool = True, ends_call: bool = False
) -> AgentReplied:
    return AgentReplied(reply_id=reply_id, has_words=has_words, ends_call=ends_call)


PLAYED = ended(SpeechOutcome.PLAYED, "It is noon.")


# -- one turn, one reply ---------------------------------------------------------------


def test_a_turn_starts_a_reply() -> None:
    call = connected()
    actions = call.receive(said("What time is it?"))
    assert actions[1:] == [StartReply(reply_id="reply-1", heard=("What time is it?",))]
    assert call.machine.state == "listening"


def test_a_reply_that_plays_is_seen_in_the_state() -> None:
    call = asked()
    call.receive(started())
    assert call.machine.state == "speaking"
    call.receive(replied(), PLAYED)
    assert call.machine.state == "listening"


@pytest.mark.parametrize("order", [(replied(), PLAYED), (PLAYED, replied())])
def test_an_answered_turn_is_not_handed_over_again(
    order: tuple[AgentReplied | AgentSpeechEnded, ...],
) -> None:
    call = asked()
    call.receive(started(), *order)
    call.receive(said("Thank you.", "u-2"))
    assert of_type(call.actions, StartReply)[-1] == StartReply(
        reply_id="reply-2", heard=("Thank you.",)
    )
    assert of_type(call.actions, TakeBack) == []


def test_a_reply_without_words_is_complete_at_once() -> None:
    call = asked()
    assert call.receive(replied(has_words=False)) == []
    assert call.wait(60.0) == []


def test_both_sides_are_in_the_transcript() -> None:
    call = asked()
    call.receive(started(), replied(), PLAYED)
    assert [(each.speaker, each.text) for each in call.machine.transcript] == [
        ("user", "What time is it?"),
        ("bot", "It is noon."),
    ]


# -- a newer turn voids an older reply -------------------------------------------------


def test_a_newer_turn_takes_the_reply_back_and_repeats_what_went_unanswered() -> None:
    call = asked()
    assert call.receive(said("In Rome.", "u-2"))[1:] == [
        TakeBack(utterance_id="reply-1"),
        StartReply(reply_id="reply-2", heard=("What time is it?", "In Rome.")),
    ]


@pytest.mark.parametrize(
    "late",
    [replied(ends_call=True), ReplyFailed(reply_id="reply-1", detail="too late")],
)
def test_news_of_a_void_reply_is_ignored(late: AgentReplied | ReplyFailed) -> None:
    call = asked()
    call.receive(said("In Rome.", "u-2"))
    assert call.receive(late) == [Ignored(event=late, why="the reply is void")]


def test_what_was_heard_of_a_void_reply_is_kept_but_changes_nothing_else() -> None:
    call = asked()
    call.receive(started(), said("In Rome.", "u-2"))
    call.receive(ended(SpeechOutcome.CANCELLED, "It is"))
    entry = call.machine.transcript[-1]
    assert (entry.text, entry.is_cut) == ("It is", True)
    assert len(of_type(call.actions, StartReply)) == 2


def test_a_reply_interrupted_before_a_word_was_heard_answers_nothing() -> None:
    call = asked()
    call.receive(started())
    assert call.receive(ended(SpeechOutcome.INTERRUPTED)) == [
        TakeBack(utterance_id="reply-1")
    ]
    call.receive(said("In Rome.", "u-2"))
    assert of_type(call.actions, StartReply)[-1].heard == (
        "What time is it?",
        "In Rome.",
    )


def test_a_reply_of_which_a_part_was_heard_has_answered() -> None:
    call = asked()
    call.receive(started(), ended(SpeechOutcome.INTERRUPTED, "It is"))
    call.receive(said("In Rome.", "u-2"))
    assert of_type(call.actions, StartReply)[-1].heard == ("In Rome.",)


# -- the agent hangs up ----------------------------------------------------------------


def test_the_agent_hangs_up_after_its_last_word_was_heard() -> None:
    call = asked()
    call.receive(started())
    assert call.receive(replied(ends_call=True)) == []
    assert AGENT_HANGUP in call.receive(PLAYED)


def test_the_agent_may_hang_up_without_a_word() -> None:
    call = asked()
    assert AGENT_HANGUP in call.receive(replied(has_words=False, ends_call=True))


def test_an_interrupted_farewell_does_not_hang_up() -> None:
    call = asked()
    call.receive(started(), replied(ends_call=True))
    call.receive(ended(SpeechOutcome.INTERRUPTED, "Good"))
    assert of_type(call.actions, Hangup) == []


# -- failures --------------------------------------------------------------------------


def test_a_failed_agent_is_apologised_for_and_the_call_goes_on() -> None:
    call = asked()
    assert call.receive(ReplyFailed(reply_id="reply-1", detail="no model")) == [
        TakeBack(utterance_id="reply-1"),
        Speak(utterance_id="apology-2", text=APOLOGY, kind=SpeechKind.APOLOGY),
    ]
    call.receive(started("apology-2"))
    call.receive(ended(SpeechOutcome.PLAYED, APOLOGY, "apology-2"))
    call.receive(said("What time is it?", "u-2"))
    assert of_type(call.actions, StartReply)[-1] == StartReply(
        reply_id="reply-3", heard=("What time is it?",)
    )


def test_a_reply_whose_voice_fails_is_apologised_for_once() -> None:
    call = asked()
    call.receive(ended(SpeechOutcome.FAILED))
    call.receive(ReplyFailed(reply_id="reply-1", detail="no voice"))
    assert len(of_type(call.actions, Speak)) == 1


def test_a_call_without_any_voice_is_hung_up() -> None:
    call = asked()
    call.receive(ended(SpeechOutcome.FAILED))
    hangup = Hangup(cause=EndCause.ERROR, by=EndedBy.SYSTEM)
    assert hangup in call.receive(ended(SpeechOutcome.FAILED, utterance_id="apology-2"))


@pytest.mark.parametrize(
    "event", [started("nothing"), ended(SpeechOutcome.PLAYED, "Hm.", "nothing")]
)
def test_speech_that_was_never_asked_for_is_ignored(
    event: AgentSpeechStarted | AgentSpeechEnded,
) -> None:
    call = connected()
    actions = call.receive(event)
    assert [type(action) for action in actions] == [Ignored]
    assert call.machine.transcript == ()


def test_a_doubled_start_keeps_the_first_time() -> None:
    call = asked()
    call.receive(started())
    call.wait(1.0)
    assert len(of_type(call.receive(started()), Ignored)) == 1
    call.receive(PLAYED)
    assert call.machine.transcript[-1].at == 1000.0


# -- a lost line -----------------------------------------------------------------------


def test_a_reply_lost_with_its_stream_is_asked_for_again_on_the_next() -> None:
    call = asked()
    call.receive(started(), STREAM_LOST, ended(SpeechOutcome.CANCELLED))
    assert call.receive(STREAM_AGAIN) == [
        StartReply(reply_id="reply-2", heard=("What time is it?",))
    ]


def test_a_reply_still_under_way_survives_the_change_of_streams() -> None:
    call = asked()
    assert call.receive(STREAM_LOST, STREAM_AGAIN) == []
    call.receive(started(), replied(), PLAYED)
    assert len(of_type(call.actions, StartReply)) == 1


def test_nothing_is_asked_for_again_where_nothing_is_open() -> None:
    call = connected()
    assert call.receive(STREAM_LOST, STREAM_AGAIN) == []


# -- dead air --------------------------------------------------------------------------


def filler(number: int) -> Speak:
    return Speak(
        utterance_id=f"reply-1-filler-{number}",
        text="One moment, please.",
        kind=SpeechKind.FILLER,
    )


def test_dead_air_is_covered_three_times_at_growing_distance() -> None:
    call = asked()
    spoken: list[tuple[float, object]] = []
    for _ in range(600):
        spoken += [(call.now, action) for action in call.wait(0.1)]
    assert [round(at - 1000.0) for at, _ in spoken] == [2, 8, 14]
    assert [action for _, action in spoken] == [filler(1), filler(2), filler(3)]


def test_a_cue_is_no_answer_and_stays_out_of_the_transcript() -> None:
    call = asked()
    call.wait(2.0)
    cue = "reply-1-filler-1"
    call.receive(started(cue), ended(SpeechOutcome.PLAYED, "One moment, please.", cue))
    assert [each.text for each in call.machine.transcript] == ["What time is it?"]
    call.receive(started(), replied(), PLAYED)
    assert call.machine.transcript[-1].text == "It is noon."


@pytest.mark.parametrize(
    "event",
    [
        started(),
        replied(has_words=False),
        ended(SpeechOutcome.INTERRUPTED),
    ],
)
def test_no_cue_once_the_reply_sounds_or_is_done(
    event: AgentSpeechStarted | AgentReplied | AgentSpeechEnded,
) -> None:
    call = asked()
    call.receive(event)
    assert call.wait(60.0) == []


def test_words_that_are_on_their_way_are_still_awaited() -> None:
    call = asked()
    call.receive(replied())
    assert call.wait(2.0) == [filler(1)]


def test_cues_can_be_switched_off() -> None:
    limits = CallLimits(dead_air_s=0.0)
    call = asked(
        CallSetup(call_id=CallId("c"), direction=Direction.INBOUND, limits=limits)
    )
    assert call.wait(60.0) == []


def test_no_cue_is_kept_for_a_line_that_is_lost() -> None:
    limits = CallLimits(stream_grace_s=10.0)
    call = asked(
        CallSetup(call_id=CallId("c"), direction=Direction.INBOUND, limits=limits)
    )
    call.receive(STREAM_LOST)
    call.wait(5.0)
    assert call.receive(STREAM_AGAIN) == []
    assert call.wait(1.0) == [filler(1)]


# -- speech on request -----------------------------------------------------------------


def test_speech_on_request_leaves_the_reply_alone() -> None:
    call = asked()
    call.request(Say(utterance_id="say-1", text="Hold on."))
    call.receive(started("say-1"), ended(SpeechOutcome.PLAYED, "Hold on.", "say-1"))
    assert call.machine.transcript[-1].text == "Hold on."
    call.receive(started(), replied(), PLAYED)
    assert of_type(call.actions, TakeBack) == []
