"""The life of a call: phases, endings, deadlines, the dial and the streams."""

from __future__ import annotations

from typing import assert_never, get_args

import pytest

from voice_call.call.actions import (
    AnswerCall,
    Ask,
    AskFailed,
    CallEnded,
    Dial,
    End,
    FailureCode,
    Hangup,
    Ignored,
    PhaseChanged,
    RejectCall,
    Say,
    SendDigits,
    SendKeys,
    Speak,
    SpeechKind,
)
from voice_call.call.events import (
    AgentReplied,
    AgentSpeechEnded,
    AgentSpeechStarted,
    Answered,
    AnsweredBy,
    CallerSpoke,
    CallEvent,
    CarrierEnded,
    Dialed,
    DialFailed,
    DigitPressed,
    HangupFailed,
    MachineDetected,
    Offered,
    ReplyFailed,
    Ringing,
    SpeechOutcome,
    StreamClosed,
    StreamOpened,
)
from voice_call.call.machine import TRANSITIONS, CallMachine
from voice_call.call.model import (
    CallId,
    CallPhase,
    CallState,
    CarrierCallId,
    Digit,
    Direction,
    EndCause,
    EndedBy,
    Ending,
    MediaPhase,
    StreamId,
)
from voice_call.call.setup import CallLimits, CallSetup, Refusal
from voice_call.errors import CallOver, NotConnected, TurnInProgress
from voice_call.testing.scripted_call import ScriptedCall, of_type

OUTBOUND = CallSetup(
    call_id=CallId("call-1"), direction=Direction.OUTBOUND, opening="Hello."
)
INBOUND = CallSetup(
    call_id=CallId("call-2"), direction=Direction.INBOUND, opening="Hello."
)
WITHOUT_STREAMS = CallSetup(
    call_id=CallId("call-3"),
    direction=Direction.OUTBOUND,
    opening="Hello.",
    has_streams=False,
)

DIALED = Dialed(carrier_call_id=CarrierCallId("CA1"))
REFUSED = DialFailed(
    code="carrier_refused", detail="The carrier said no.", carrier_code="21211"
)
IN_DOUBT = DialFailed(
    code="carrier_unreachable",
    detail="The carrier did not answer.",
    may_have_dialed=True,
)
COMPLETED = CarrierEnded(
    cause=EndCause.NORMAL, by=EndedBy.REMOTE, carrier_code="completed"
)
OPERATOR_ENDS = End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL)
NOT_TAKEN = HangupFailed(code="carrier_unreachable", detail="no answer")
PLAYED = AgentSpeechEnded(
    utterance_id="opening", outcome=SpeechOutcome.PLAYED, heard="Hello."
)


def stream_opened(stream_id: str) -> StreamOpened:
    return StreamOpened(stream_id=StreamId(stream_id))


def stream_closed(stream_id: str) -> StreamClosed:
    return StreamClosed(stream_id=StreamId(stream_id))


def dialing(setup: CallSetup = OUTBOUND) -> ScriptedCall:
    call = ScriptedCall(setup)
    call.start()
    return call


def connected(setup: CallSetup = OUTBOUND) -> ScriptedCall:
    call = ScriptedCall(setup)
    call.connect()
    return call


def call_in(phase: CallPhase) -> ScriptedCall:
    match phase:
        case CallPhase.OFFERED:
            return ScriptedCall(INBOUND)
        case CallPhase.DIALING:
            return dialing()
        case CallPhase.RINGING:
            call = dialing()
            call.receive(Ringing())
        case CallPhase.ANSWERED:
            call = connected()
        case CallPhase.ENDING:
            call = connected()
            call.request(OPERATOR_ENDS)
        case CallPhase.ENDED:
            call = connected()
            call.receive(COMPLETED)
        case _:
            assert_never(phase)
    assert call.machine.phase is phase
    return call


# -- the table -------------------------------------------------------------------------

EVENTS: tuple[CallEvent, ...] = (
    Offered(),
    DIALED,
    REFUSED,
    Ringing(),
    Answered(),
    MachineDetected(answered_by=AnsweredBy.HUMAN),
    DigitPressed(digit=Digit.ONE),
    COMPLETED,
    NOT_TAKEN,
    stream_opened("stream-1"),
    stream_closed("stream-1"),
    CallerSpoke(utterance_id="u-1", text="Yes."),
    AgentSpeechStarted(utterance_id="opening"),
    PLAYED,
    AgentReplied(reply_id="reply-1", has_words=True, ends_call=False),
    ReplyFailed(reply_id="reply-1", detail="It took too long."),
)


def test_the_examples_cover_every_event() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(CallEvent))
    assert set(TRANSITIONS) == set(CallPhase)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("phase", CallPhase)
def test_each_cell_of_the_table_is_what_happens(
    phase: CallPhase, event: CallEvent
) -> None:
    call = call_in(phase)
    actions = call.receive(event)
    after = TRANSITIONS[phase].get(type(event))
    if after is None:
        why = f"it has no meaning while the call is {phase}"
        assert actions == [Ignored(event=event, why=why)]
        assert call.machine.phase is phase
    else:
        assert call.machine.phase is after
        moved = [] if after is phase else [PhaseChanged(before=phase, after=after)]
        assert of_type(actions, PhaseChanged) == moved


def test_no_event_leaves_the_end() -> None:
    assert TRANSITIONS[CallPhase.ENDED] == {}


def test_a_call_is_shown_by_its_flat_state_all_the_way() -> None:
    call = ScriptedCall(OUTBOUND)
    shown = [call.machine.state]
    for event in (Ringing(), Answered(), stream_opened("s"), COMPLETED):
        call.receive(event)
        shown.append(call.machine.state)
    assert shown == ["initiated", "ringing", "answered", "active", "hangup-user"]


# -- the dial --------------------------------------------------------------------------


def test_starting_dials() -> None:
    assert ScriptedCall(OUTBOUND).start() == [Dial()]


def test_starting_twice_dials_once() -> None:
    call = dialing()
    assert call.start() == []


def test_a_call_given_up_before_its_start_is_never_dialled() -> None:
    call = ScriptedCall(OUTBOUND)
    call.request(OPERATOR_ENDS)
    assert call.start() == []


def test_an_inbound_call_does_not_dial() -> None:
    machine = CallMachine(INBOUND, now=1000.0)
    assert machine.start(now=1000.0) == ()
    assert machine.next_deadline() is None


def test_the_carriers_id_is_kept() -> None:
    call = dialing()
    assert call.receive(DIALED) == []
    assert call.machine.carrier_call_id == "CA1"


def test_the_newest_id_of_the_carrier_counts() -> None:
    call = connected()
    call.receive(DIALED, Dialed(carrier_call_id=CarrierCallId("CA2")))
    assert call.machine.carrier_call_id == "CA2"
    assert call.machine.phase is CallPhase.ANSWERED


def test_a_refused_dial_ends_the_call() -> None:
    call = dialing()
    call.receive(REFUSED)
    assert call.machine.ending == Ending(
        cause=EndCause.FAILED,
        by=EndedBy.CARRIER,
        carrier_code="21211",
        detail="The carrier said no.",
    )
    assert call.machine.state is CallState.FAILED


def test_a_dial_in_doubt_waits_for_news_and_is_not_sent_again() -> None:
    call = dialing()
    assert call.receive(IN_DOUBT) == []
    assert call.machine.state == "initiated"
    call.receive(Answered())
    assert call.machine.phase is CallPhase.ANSWERED
    call.wait(10_000)
    assert of_type(call.actions, Dial) == [Dial()]


def test_a_dial_in_doubt_without_news_has_failed_when_the_ring_timer_is_due() -> None:
    call = dialing()
    call.receive(IN_DOUBT)
    call.wait(40.0)
    assert call.machine.ending == Ending(
        cause=EndCause.FAILED, by=EndedBy.CARRIER, detail="The carrier did not answer."
    )
    assert of_type(call.actions, Hangup) == []


def test_a_dial_in_doubt_that_rings_is_hung_up_when_nobody_answers() -> None:
    call = dialing()
    call.receive(IN_DOUBT, Ringing())
    hangup = Hangup(cause=EndCause.NO_ANSWER, by=EndedBy.SYSTEM)
    assert hangup in call.wait(40.0)


def test_a_dial_that_succeeds_after_we_gave_up_is_hung_up() -> None:
    call = dialing()
    call.request(OPERATOR_ENDS)
    call.wait(5.0)
    hangup = Hangup(cause=EndCause.NORMAL, by=EndedBy.OPERATOR)
    assert call.receive(DIALED) == [hangup]
    assert call.machine.carrier_call_id == "CA1"


def test_a_dial_in_doubt_after_we_gave_up_may_still_turn_out_well() -> None:
    call = dialing()
    call.request(OPERATOR_ENDS)
    assert call.receive(IN_DOUBT) == []
    assert call.receive(DIALED) == [Hangup(cause=EndCause.NORMAL, by=EndedBy.OPERATOR)]


def test_a_dial_that_fails_after_we_gave_up_ends_the_call_as_we_wanted() -> None:
    call = dialing()
    call.request(End(by=EndedBy.OPERATOR, cause=EndCause.CANCELLED))
    call.receive(REFUSED)
    assert call.machine.ending == Ending(
        cause=EndCause.CANCELLED,
        by=EndedBy.OPERATOR,
        carrier_code="21211",
        detail="The carrier said no.",
    )


def test_a_dial_that_succeeds_after_the_end_changes_nothing() -> None:
    call = dialing()
    call.receive(CarrierEnded(cause=EndCause.BUSY, by=EndedBy.REMOTE))
    actions = call.receive(DIALED)
    assert actions == [
        Ignored(event=DIALED, why="it has no meaning while the call is ended")
    ]
    assert call.machine.state is CallState.BUSY


# -- an offered call -------------------------------------------------------------------


def test_an_offered_call_is_answered() -> None:
    assert ScriptedCall(INBOUND).start() == [AnswerCall()]


def test_an_offered_call_that_is_never_connected_does_not_live_for_ever() -> None:
    call = ScriptedCall(INBOUND)
    call.start()
    call.wait(40.0)
    assert of_type(call.actions, Hangup) == [
        Hangup(cause=EndCause.NO_ANSWER, by=EndedBy.SYSTEM)
    ]
    call.wait(15.0)
    assert call.machine.is_over


@pytest.mark.parametrize(
    ("refusal", "state"),
    [
        (Refusal(cause=EndCause.POLICY), "hangup-bot"),
        (Refusal(cause=EndCause.ALL_LINES_BUSY, notice="Call again later."), "busy"),
    ],
)
def test_a_refused_call_is_rejected_and_ends(refusal: Refusal, state: str) -> None:
    call = ScriptedCall(refusing(refusal))
    assert call.start() == [
        PhaseChanged(before=CallPhase.OFFERED, after=CallPhase.ENDING),
        RejectCall(cause=refusal.cause, notice=refusal.notice),
    ]
    call.wait(15.0)
    assert call.machine.state == state


def test_a_rejection_that_was_not_taken_becomes_a_hangup() -> None:
    call = ScriptedCall(refusing(Refusal(cause=EndCause.POLICY)))
    call.start()
    call.receive(NOT_TAKEN)
    assert call.wait(2.0) == [Hangup(cause=EndCause.POLICY, by=EndedBy.SYSTEM)]


def test_a_refused_call_that_is_answered_all_the_same_is_hung_up_unheard() -> None:
    call = ScriptedCall(refusing(Refusal(cause=EndCause.POLICY)))
    actions = call.receive(stream_opened("stream-1"))
    assert of_type(actions, Hangup) == [
        Hangup(cause=EndCause.POLICY, by=EndedBy.SYSTEM)
    ]
    assert of_type(actions, Speak) == []


def test_a_stream_proves_that_an_offered_call_was_answered() -> None:
    call = ScriptedCall(INBOUND)
    call.start()
    call.receive(stream_opened("stream-1"))
    assert call.machine.phase is CallPhase.ANSWERED
    assert call.machine.answered_at == 1000.0


def refusing(refusal: Refusal) -> CallSetup:
    return CallSetup(
        call_id=CallId("call-4"),
        direction=Direction.INBOUND,
        opening="Hello.",
        refusal=refusal,
    )


# -- endings ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cause", "by", "state"),
    [
        (EndCause.BUSY, EndedBy.REMOTE, "busy"),
        (EndCause.NO_ANSWER, EndedBy.REMOTE, "no-answer"),
        (EndCause.FAILED, EndedBy.CARRIER, "failed"),
        (EndCause.CANCELLED, EndedBy.OPERATOR, "hangup-bot"),
        (EndCause.REJECTED, EndedBy.REMOTE, "busy"),
        (EndCause.MACHINE, EndedBy.CARRIER, "voicemail"),
        (EndCause.NORMAL, EndedBy.REMOTE, "hangup-user"),
    ],
)
@pytest.mark.parametrize(
    "phase",
    [CallPhase.OFFERED, CallPhase.DIALING, CallPhase.RINGING, CallPhase.ANSWERED],
)
def test_whatever_the_carrier_calls_it_the_call_ends_once_and_cleanly(
    phase: CallPhase, cause: EndCause, by: EndedBy, state: str
) -> None:
    call = call_in(phase)
    actions = call.receive(CarrierEnded(cause=cause, by=by, carrier_code="486"))
    ending = Ending(cause=cause, by=by, carrier_code="486")
    assert actions == [
        PhaseChanged(before=phase, after=CallPhase.ENDED),
        CallEnded(ending=ending),
    ]
    assert call.machine.state == state
    assert call.machine.ended_at == 1000.0
    assert call.machine.next_deadline() is None


def test_the_end_is_announced_once() -> None:
    call = connected()
    call.receive(COMPLETED, COMPLETED, stream_closed("stream-1"), Answered())
    call.request(OPERATOR_ENDS)
    call.wait(1000.0)
    assert len(of_type(call.actions, CallEnded)) == 1


def test_a_late_answer_does_not_reopen_a_call() -> None:
    call = connected()
    call.receive(COMPLETED)
    call.receive(Answered(), stream_opened("stream-2"))
    assert call.machine.state is CallState.HANGUP_USER
    assert call.machine.media is MediaPhase.CLOSED


def test_a_call_that_never_had_audio_ends_without_any() -> None:
    call = dialing()
    call.receive(COMPLETED)
    assert call.machine.media is MediaPhase.NONE


def test_wanting_the_end_asks_the_carrier_first() -> None:
    call = connected()
    assert call.request(OPERATOR_ENDS) == [
        PhaseChanged(before=CallPhase.ANSWERED, after=CallPhase.ENDING),
        Hangup(cause=EndCause.NORMAL, by=EndedBy.OPERATOR),
    ]
    assert not call.machine.is_over


def test_wanting_the_end_twice_hangs_up_once() -> None:
    call = connected()
    call.request(OPERATOR_ENDS)
    assert call.request(OPERATOR_ENDS) == []


def test_ending_a_call_that_has_ended_is_no_error() -> None:
    call = connected()
    call.receive(COMPLETED)
    assert call.request(OPERATOR_ENDS) == []


def test_what_we_wanted_stays_the_cause_when_the_carrier_confirms() -> None:
    call = connected()
    call.request(OPERATOR_ENDS)
    call.receive(COMPLETED)
    assert call.machine.ending == Ending(
        cause=EndCause.NORMAL, by=EndedBy.OPERATOR, carrier_code="completed"
    )
    assert call.machine.state is CallState.HANGUP_BOT


def test_a_hangup_that_was_not_taken_is_asked_for_again() -> None:
    call = connected()
    call.request(OPERATOR_ENDS)
    hangup = Hangup(cause=EndCause.NORMAL, by=EndedBy.OPERATOR)
    call.receive(NOT_TAKEN)
    assert call.wait(1.9) == []
    assert call.wait(0.1) == [hangup]
    call.receive(NOT_TAKEN)
    assert call.wait(2.0) == [hangup]


def test_a_hangup_that_is_never_confirmed_ends_the_call_all_the_same() -> None:
    call = connected()
    call.request(OPERATOR_ENDS)
    assert call.wait(14.9) == []
    ending = Ending(
        cause=EndCause.NORMAL,
        by=EndedBy.OPERATOR,
        detail="the carrier never confirmed the hang-up",
    )
    assert call.wait(0.1) == [
        PhaseChanged(before=CallPhase.ENDING, after=CallPhase.ENDED),
        CallEnded(ending=ending),
    ]


def test_failing_hangups_do_not_keep_a_call_alive() -> None:
    call = connected()
    call.request(OPERATOR_ENDS)
    for _ in range(20):
        call.receive(NOT_TAKEN)
        call.wait(1.0)
    assert call.machine.is_over
    assert call.machine.next_deadline() is None


def test_the_last_words_still_count_while_the_call_is_ending() -> None:
    call = connected()
    call.request(OPERATOR_ENDS)
    call.receive(PLAYED)
    assert [entry.text for entry in call.machine.transcript] == ["Hello."]


# -- deadlines -------------------------------------------------------------------------


@pytest.mark.parametrize("ringing", [False, True])
def test_a_call_that_nobody_answers_is_given_up(*, ringing: bool) -> None:
    call = dialing()
    if ringing:
        call.receive(Ringing())
    assert call.wait(39.9) == []
    assert Hangup(cause=EndCause.NO_ANSWER, by=EndedBy.SYSTEM) in call.wait(0.1)
    call.wait(15.0)
    assert call.machine.state is CallState.NO_ANSWER


def test_an_answer_stops_the_ring_timer() -> None:
    call = connected()
    call.wait(100.0)
    assert call.machine.phase is CallPhase.ANSWERED


def test_the_longest_duration_counts_from_the_answer() -> None:
    call = dialing()
    call.wait(20.0)
    call.receive(Answered(), stream_opened("stream-1"))
    call.wait(299.9)
    assert call.machine.phase is CallPhase.ANSWERED
    hangup = Hangup(cause=EndCause.MAX_DURATION, by=EndedBy.SYSTEM)
    assert hangup in call.wait(0.1)
    call.receive(COMPLETED)
    assert call.machine.state is CallState.TIMEOUT


def test_the_longest_duration_counts_from_the_stream_where_it_comes_first() -> None:
    call = dialing()
    call.receive(stream_opened("stream-1"))
    call.wait(200.0)
    call.receive(Answered())
    hangup = Hangup(cause=EndCause.MAX_DURATION, by=EndedBy.SYSTEM)
    assert hangup in call.wait(100.0)


def test_limits_are_the_calls_own() -> None:
    limits = CallLimits(ring_timeout_s=5.0, ring_margin_s=1.0, hangup_confirm_s=2.0)
    call = dialing(
        CallSetup(call_id=CallId("c"), direction=Direction.OUTBOUND, limits=limits)
    )
    assert call.machine.next_deadline() == 1006.0
    call.wait(6.0)
    assert call.machine.next_deadline() == 1008.0


def test_a_late_tick_lets_everything_that_is_due_take_effect() -> None:
    machine = CallMachine(OUTBOUND, now=1000.0)
    machine.start(now=1000.0)
    machine.tick(5000.0)
    assert machine.phase is CallPhase.ENDING
    machine.tick(9000.0)
    assert machine.is_over


def test_a_tick_before_anything_is_due_does_nothing() -> None:
    call = dialing()
    assert call.wait(1.0) == []


# -- streams ---------------------------------------------------------------------------


def test_an_answered_call_without_its_stream_is_hung_up() -> None:
    call = dialing()
    call.receive(Answered())
    assert call.machine.media is MediaPhase.CONNECTING
    assert Hangup(cause=EndCause.MEDIA_LOST, by=EndedBy.SYSTEM) in call.wait(10.0)


def test_a_call_without_streams_waits_for_none() -> None:
    call = connected(WITHOUT_STREAMS)
    assert call.machine.media is MediaPhase.NONE
    call.wait(100.0)
    assert call.machine.phase is CallPhase.ANSWERED


def test_a_lost_stream_may_come_back() -> None:
    call = connected()
    call.receive(stream_closed("stream-1"))
    assert call.machine.media is MediaPhase.CLOSED
    call.wait(1.9)
    call.receive(stream_opened("stream-2"))
    call.wait(10.0)
    assert call.machine.phase is CallPhase.ANSWERED
    assert call.machine.stream_id == "stream-2"


def test_a_lost_stream_that_stays_away_ends_the_call_once() -> None:
    call = connected()
    call.receive(stream_closed("stream-1"))
    call.wait(2.0)
    assert of_type(call.actions, Hangup) == [
        Hangup(cause=EndCause.MEDIA_LOST, by=EndedBy.SYSTEM)
    ]


def test_a_doubled_close_does_not_prolong_the_grace() -> None:
    call = connected()
    close = stream_closed("stream-1")
    call.receive(close)
    call.wait(1.0)
    assert call.receive(close) == [
        Ignored(event=close, why="it is not the stream that is open")
    ]
    assert call.machine.next_deadline() == 1002.0


def test_the_late_close_of_a_replaced_stream_does_nothing() -> None:
    call = connected()
    call.receive(stream_opened("stream-2"))
    late = stream_closed("stream-1")
    assert call.receive(late) == [
        Ignored(event=late, why="it is not the stream that is open")
    ]
    assert call.machine.media is MediaPhase.OPEN


def test_a_stream_that_closes_while_the_call_is_ending_starts_no_grace() -> None:
    call = connected()
    call.request(OPERATOR_ENDS)
    assert call.receive(stream_closed("stream-1")) == []
    assert call.machine.next_deadline() == 1015.0


# -- requests --------------------------------------------------------------------------

NEEDS_A_CONNECTION = (
    Say(utterance_id="say-1", text="Hi."),
    Ask(ask_id="ask-1", text="Well?"),
    SendDigits(digits=(Digit.ONE,)),
)


@pytest.mark.parametrize("command", NEEDS_A_CONNECTION)
@pytest.mark.parametrize("phase", list(CallPhase)[:3])
def test_nothing_can_be_said_before_the_answer(
    phase: CallPhase, command: Say | Ask | SendDigits
) -> None:
    with pytest.raises(NotConnected, match="Nobody has picked up yet"):
        call_in(phase).request(command)


@pytest.mark.parametrize("command", NEEDS_A_CONNECTION)
@pytest.mark.parametrize("phase", [CallPhase.ENDING, CallPhase.ENDED])
def test_nothing_can_be_said_after_the_end(
    phase: CallPhase, command: Say | Ask | SendDigits
) -> None:
    with pytest.raises(CallOver, match="This call has ended"):
        call_in(phase).request(command)


@pytest.mark.parametrize(
    "phase", [CallPhase.OFFERED, CallPhase.DIALING, CallPhase.RINGING]
)
def test_a_call_can_be_ended_before_the_answer(phase: CallPhase) -> None:
    call = call_in(phase)
    call.request(OPERATOR_ENDS)
    assert call.machine.phase is CallPhase.ENDING


def test_something_said_on_request_is_spoken() -> None:
    assert connected().request(Say(utterance_id="say-1", text="Hi.")) == [
        Speak(utterance_id="say-1", text="Hi.", kind=SpeechKind.SAY)
    ]


def test_keys_are_sent_on_request() -> None:
    digits = (Digit.ONE, Digit.POUND)
    assert connected().request(SendDigits(digits=digits)) == [SendKeys(digits=digits)]


def test_one_continue_at_a_time() -> None:
    call = connected()
    call.request(Ask(ask_id="ask-1", text="Well?"))
    with pytest.raises(TurnInProgress, match="waits already"):
        call.request(Ask(ask_id="ask-2", text="And?"))


@pytest.mark.parametrize("is_asked_to_end", [True, False])
def test_a_waiting_continue_fails_when_the_call_ends(*, is_asked_to_end: bool) -> None:
    call = connected()
    call.request(Ask(ask_id="ask-1", text="Well?"))
    if is_asked_to_end:
        call.request(OPERATOR_ENDS)
    call.receive(COMPLETED)
    assert of_type(call.actions, AskFailed) == [
        AskFailed(
            ask_id="ask-1", code=FailureCode.CALL_ENDED, detail="the call has ended"
        )
    ]
