"""`continue`: one prompt, one answer; and the keys that can be one."""

from __future__ import annotations

import pytest

from voice_call.call.actions import (
    Ask,
    AskFailed,
    AskResolved,
    FailureCode,
    Ignored,
    Listen,
    Speak,
    SpeechKind,
    StartReply,
    TakeBack,
)
from voice_call.call.events import (
    AgentSpeechEnded,
    AgentSpeechStarted,
    CallerSpoke,
    DigitPressed,
    SpeechOutcome,
    StreamClosed,
)
from voice_call.call.model import CallId, Digit, Direction, StreamId
from voice_call.call.setup import CallSetup
from voice_call.testing.scripted_call import ScriptedCall, of_type

SETUP = CallSetup(call_id=CallId("call-1"), direction=Direction.OUTBOUND)
ASK = Ask(ask_id="ask-1", text="Shall we meet at noon?")
STARTED = AgentSpeechStarted(utterance_id="ask-1")


def prompt_ended(
    outcome: SpeechOutcome = SpeechOutcome.PLAYED,
    *,
    ask_id: str = "ask-1",
    heard: str = "Shall we meet at noon?",
    detail: str | None = None,
) -> AgentSpeechEnded:
    return AgentSpeechEnded(
        utterance_id=ask_id, outcome=outcome, heard=heard, detail=detail
    )


def spoke(
    text: str, utterance_id: str = "u-1", turn_token: str | None = None
) -> CallerSpoke:
    return CallerSpoke(utterance_id=utterance_id, text=text, turn_token=turn_token)


def connected() -> ScriptedCall:
    call = ScriptedCall(SETUP)
    call.connect()
    return call


def asking() -> ScriptedCall:
    """A call whose prompt was heard and which waits for the answer."""
    call = connected()
    call.request(ASK)
    call.receive(STARTED, prompt_ended())
    return call


def outcomes(call: ScriptedCall) -> list[AskResolved | AskFailed]:
    return [*of_type(call.actions, AskResolved), *of_type(call.actions, AskFailed)]


def lines(call: ScriptedCall) -> list[str]:
    return [f"{entry.speaker}: {entry.text}" for entry in call.machine.transcript]


# -- the prompt ------------------------------------------------------------------------


def test_the_prompt_is_spoken() -> None:
    assert connected().request(ASK) == [
        Speak(
            utterance_id="ask-1",
            text="Shall we meet at noon?",
            kind=SpeechKind.PROMPT,
        )
    ]


def test_after_the_prompt_we_listen() -> None:
    call = connected()
    call.request(ASK)
    call.receive(STARTED)
    assert Listen(turn_token="ask-1") in call.receive(prompt_ended())
    assert call.machine.state == "listening"


def test_a_prompt_makes_a_reply_void_and_what_it_answered_forgotten() -> None:
    call = connected()
    call.receive(spoke("Hello?"))
    assert call.request(ASK)[0] == TakeBack(utterance_id="reply-1")
    call.receive(STARTED, prompt_ended(), spoke("Yes.", "u-2"))
    call.receive(spoke("And you?", "u-3"))
    assert of_type(call.actions, StartReply)[-1].heard == ("And you?",)


# -- the answer ------------------------------------------------------------------------


def test_the_answer_comes_back() -> None:
    call = asking()
    call.receive(spoke("Yes, please."))
    assert outcomes(call) == [AskResolved(ask_id="ask-1", text="Yes, please.")]
    assert lines(call) == ["bot: Shall we meet at noon?", "user: Yes, please."]


def test_an_answer_is_no_turn_for_the_agent() -> None:
    call = asking()
    call.receive(spoke("Yes, please."))
    assert of_type(call.actions, StartReply) == []


def test_an_answer_may_interrupt_the_prompt() -> None:
    call = connected()
    call.request(ASK)
    call.receive(STARTED, spoke("Yes."))
    assert outcomes(call) == [AskResolved(ask_id="ask-1", text="Yes.")]
    call.receive(prompt_ended(SpeechOutcome.INTERRUPTED, heard="Shall we"))
    assert lines(call) == ["user: Yes.", "bot: Shall we"]


def test_an_interrupted_prompt_is_answered_by_what_interrupted_it() -> None:
    call = connected()
    call.request(ASK)
    call.receive(STARTED, prompt_ended(SpeechOutcome.INTERRUPTED, heard="Shall we"))
    call.receive(spoke("Yes."))
    assert outcomes(call) == [AskResolved(ask_id="ask-1", text="Yes.")]


def test_what_was_said_before_the_prompt_began_is_no_answer() -> None:
    call = connected()
    call.request(ASK)
    call.receive(spoke("Hello?"))
    assert outcomes(call) == []
    assert lines(call) == ["user: Hello?"]


def test_the_answer_to_an_earlier_turn_is_ignored() -> None:
    call = asking()
    stale = spoke("At eleven.", turn_token="ask-0")
    assert call.receive(stale) == [
        Ignored(event=stale, why="it answers an earlier turn")
    ]
    call.receive(spoke("Yes.", "u-2", turn_token="ask-1"))
    assert outcomes(call) == [AskResolved(ask_id="ask-1", text="Yes.")]
    assert lines(call) == ["bot: Shall we meet at noon?", "user: Yes."]


def test_a_repeated_utterance_counts_once() -> None:
    call = asking()
    again = spoke("Yes.")
    call.receive(again)
    assert call.receive(again) == [
        Ignored(event=again, why="this utterance was reported before")
    ]
    assert lines(call) == ["bot: Shall we meet at noon?", "user: Yes."]


def test_the_answer_is_dated_by_its_beginning() -> None:
    call = asking()
    call.wait(5.0)
    call.receive(CallerSpoke(utterance_id="u-1", text="Yes.", began_at=1003.0))
    assert call.machine.transcript[-1].at == 1003.0


def test_five_turns_in_a_row() -> None:
    call = connected()
    for turn in range(5):
        ask_id = f"ask-{turn}"
        call.request(Ask(ask_id=ask_id, text="And then?"))
        call.receive(AgentSpeechStarted(utterance_id=ask_id))
        call.receive(prompt_ended(ask_id=ask_id, heard="And then?"))
        call.receive(spoke(f"Answer {turn}.", f"u-{turn}"))
    assert [ask.text for ask in of_type(call.actions, AskResolved)] == [
        "Answer 0.",
        "Answer 1.",
        "Answer 2.",
        "Answer 3.",
        "Answer 4.",
    ]


# -- no answer -------------------------------------------------------------------------


def test_a_missing_answer_is_a_timeout_counted_from_the_end_of_the_prompt() -> None:
    call = connected()
    call.request(ASK)
    call.receive(STARTED)
    call.wait(30.0)
    call.receive(prompt_ended())
    assert call.wait(179.9) == []
    assert call.wait(0.1) == [
        AskFailed(
            ask_id="ask-1",
            code=FailureCode.TRANSCRIPT_TIMEOUT,
            detail="nothing was said within 180000 ms",
        )
    ]
    call.request(Ask(ask_id="ask-2", text="Still there?"))


def test_an_answer_stops_the_wait() -> None:
    call = asking()
    call.receive(spoke("Yes."))
    assert call.wait(200.0) == []


def test_the_end_of_the_prompt_of_a_timed_out_turn_does_not_touch_the_next() -> None:
    call = connected()
    call.request(ASK)
    call.receive(STARTED, spoke("Yes."))
    call.request(Ask(ask_id="ask-2", text="And?"))
    assert of_type(call.receive(prompt_ended()), Listen) == []
    assert len(outcomes(call)) == 1


@pytest.mark.parametrize(
    ("event", "detail"),
    [
        (
            prompt_ended(SpeechOutcome.FAILED, heard="", detail="the voice failed"),
            "the voice failed",
        ),
        (
            prompt_ended(SpeechOutcome.CANCELLED, heard=""),
            "the prompt could not be spoken",
        ),
    ],
)
def test_a_prompt_that_cannot_be_spoken_fails_at_once(
    event: AgentSpeechEnded, detail: str
) -> None:
    call = connected()
    call.request(ASK)
    assert call.receive(event) == [
        AskFailed(ask_id="ask-1", code=FailureCode.SPEECH_FAILED, detail=detail)
    ]


def test_a_prompt_for_a_line_that_stays_lost_fails_with_the_call() -> None:
    call = connected()
    call.receive(StreamClosed(stream_id=StreamId("stream-1")))
    assert call.request(ASK) == []
    call.wait(2.0)
    assert [type(each) for each in outcomes(call)] == [AskFailed]


# -- keys ------------------------------------------------------------------------------


def press(call: ScriptedCall, keys: str) -> None:
    call.receive(*(DigitPressed(digit=Digit(key)) for key in keys))


def test_keys_are_complete_after_a_pause() -> None:
    call = asking()
    press(call, "12")
    call.wait(1.4)
    press(call, "3")
    assert call.wait(1.4) == []
    call.wait(0.1)
    assert outcomes(call) == [AskResolved(ask_id="ask-1", text="123")]
    assert lines(call)[-1] == "user: [pressed 123]"


def test_the_pound_key_completes_the_keys_at_once() -> None:
    call = asking()
    press(call, "42#")
    assert outcomes(call) == [AskResolved(ask_id="ask-1", text="42")]
    assert call.wait(10.0) == []


def test_the_pound_key_alone_is_a_key() -> None:
    call = asking()
    press(call, "#")
    call.wait(1.5)
    assert outcomes(call) == [AskResolved(ask_id="ask-1", text="#")]


def test_every_key_counts() -> None:
    call = asking()
    press(call, "0123456789*ABCD#")
    assert outcomes(call) == [AskResolved(ask_id="ask-1", text="0123456789*ABCD")]


def test_keys_without_a_question_go_to_the_agent() -> None:
    call = connected()
    press(call, "7")
    call.wait(1.5)
    assert of_type(call.actions, StartReply) == [
        StartReply(reply_id="reply-1", heard=("[pressed 7]",))
    ]
