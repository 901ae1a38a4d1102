"""Whatever happens to a call, in whatever order, its promises hold.

A session with no manners drives one machine: events that are late, doubled, shuffled or
impossible, commands at any time, time that stands still or leaps. After each input the
promises of a call are checked; at the end the call is brought down by ticks alone.
"""

from __future__ import annotations

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

from voice_call.call.actions import (
    Ask,
    AskFailed,
    AskResolved,
    CallAction,
    CallCommand,
    CallEnded,
    Dial,
    End,
    Hangup,
    Ignored,
    PhaseChanged,
    Say,
    SendDigits,
    Speak,
    StartReply,
    TakeBack,
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
    CallMode,
    CallPhase,
    CallState,
    CarrierCallId,
    Digit,
    Direction,
    EndCause,
    EndedBy,
    StreamId,
)
from voice_call.call.setup import CallLimits, CallSetup, Refusal
from voice_call.errors import CallError

EVER = 100_000.0
"""Longer than every limit of a call together, in seconds."""

SETUPS = st.builds(
    CallSetup,
    call_id=st.just(CallId("call-1")),
    direction=st.sampled_from(Direction),
    mode=st.sampled_from(CallMode),
    opening=st.sampled_from([None, "Hello."]),
    has_streams=st.booleans(),
    refusal=st.sampled_from([None, None, None, Refusal(cause=EndCause.POLICY)]),
    limits=st.sampled_from([CallLimits(), CallLimits(stream_grace_s=20.0)]),
)

STREAM_IDS = st.sampled_from(["stream-1", "stream-2", "stream-3"]).map(StreamId)
REPLY_IDS = st.integers(1, 8).map("reply-{}".format)
SPEECH_IDS = st.one_of(
    REPLY_IDS,
    st.sampled_from(["opening", "say-1", "reply-1-filler-1", "nothing"]),
    st.integers(1, 8).map("ask-{}".format),
    st.integers(1, 8).map("apology-{}".format),
)
NEWS: st.SearchStrategy[CallEvent] = st.one_of(
    st.just(Offered()),
    st.just(Ringing()),
    st.just(Answered()),
    st.builds(Dialed, carrier_call_id=st.sampled_from(["A", "B"]).map(CarrierCallId)),
    st.builds(
        DialFailed,
        code=st.just("carrier_unreachable"),
        detail=st.just("no answer"),
        may_have_dialed=st.booleans(),
    ),
    st.builds(MachineDetected, answered_by=st.sampled_from(AnsweredBy)),
    st.builds(DigitPressed, digit=st.sampled_from(Digit)),
    st.just(HangupFailed(code="carrier_unreachable", detail="no answer")),
    st.builds(StreamOpened, stream_id=STREAM_IDS),
    st.builds(StreamClosed, stream_id=STREAM_IDS),
    st.builds(
        CallerSpoke,
        utterance_id=st.integers(1, 12).map("u-{}".format),
        text=st.sampled_from(["Yes.", "No."]),
        turn_token=st.sampled_from([None, "ask-1", "ask-2"]),
    ),
    st.builds(AgentSpeechStarted, utterance_id=SPEECH_IDS),
    st.builds(
        AgentSpeechEnded,
        utterance_id=SPEECH_IDS,
        outcome=st.sampled_from(SpeechOutcome),
        heard=st.sampled_from(["", "Hello."]),
    ),
    st.builds(
        AgentReplied,
        reply_id=REPLY_IDS,
        has_words=st.booleans(),
        ends_call=st.booleans(),
    ),
    st.builds(ReplyFailed, reply_id=REPLY_IDS, detail=st.just("too late")),
)
"""Everything that can be reported of a call, but not its end."""

ENDINGS = st.builds(
    CarrierEnded, cause=st.sampled_from(EndCause), by=st.sampled_from(EndedBy)
)
STEPS_S = st.sampled_from([0.0, 0.5, 1.5, 2.0, 3.0, 10.0, 15.0, 40.0, 300.0])

Input = tuple[float, CallEvent | CallCommand | None]
"""When, and what; None for a tick."""


def feed(machine: CallMachine, what: Input) -> tuple[CallAction, ...] | None:
    """Give one input to a machine; None where a command is refused."""
    now, value = what
    if value is None:
        return machine.tick(now)
    if isinstance(value, (Say, Ask, SendDigits, End)):
        try:
            return machine.request(value, now=now)
        except CallError:
            return None
    return machine.receive(value, now=now)


class AnyCall(RuleBasedStateMachine):
    """A call, driven by a session with no manners."""

    @initialize(setup=SETUPS, is_put_through=st.booleans())
    def begin(self, setup: CallSetup, *, is_put_through: bool) -> None:
        self.setup = setup
        self.now = 1000.0
        self.machine = CallMachine(setup, now=self.now)
        self.inputs: list[Input] = []
        self.results: list[tuple[CallAction, ...] | None] = []
        self.asks: list[str] = []
        self.final_state: CallState | None = None
        self.started = self.machine.start(now=self.now)
        if is_put_through:
            self.the_call_is_put_through([Offered(), Ringing(), Answered()])

    # -- what can happen ---------------------------------------------------------------

    @rule(event=NEWS)
    def something_happens(self, event: CallEvent) -> None:
        self.step(event)

    @rule(event=NEWS)
    def something_happens_twice(self, event: CallEvent) -> None:
        self.step(event)
        self.step(event)

    @rule(events=st.permutations([Offered(), Ringing(), Answered()]))
    def the_call_is_put_through(self, events: list[CallEvent]) -> None:
        for event in events:
            self.step(event)
        self.step(StreamOpened(stream_id=StreamId("stream-1")))

    @rule(turn=st.integers(1, 100), outcome=st.sampled_from(SpeechOutcome))
    def a_turn_is_answered(self, turn: int, outcome: SpeechOutcome) -> None:
        self.step(CallerSpoke(utterance_id=f"turn-{turn}", text="And now?"))
        replies = [each for each in self.actions() if isinstance(each, StartReply)]
        if replies:
            reply_id = replies[-1].reply_id
            self.step(AgentSpeechStarted(utterance_id=reply_id))
            self.step(AgentReplied(reply_id=reply_id, has_words=True, ends_call=False))
            self.step(
                AgentSpeechEnded(utterance_id=reply_id, outcome=outcome, heard="Now.")
            )

    @rule(turn=st.integers(101, 200))
    def the_caller_goes_on_and_the_reply_comes_late(self, turn: int) -> None:
        late = self.current_reply()
        self.step(CallerSpoke(utterance_id=f"turn-{turn}", text="And then?"))
        if late is not None:
            self.step(AgentReplied(reply_id=late, has_words=False, ends_call=True))

    @rule(turn=st.integers(201, 300), seconds=st.sampled_from([0.5, 2.0, 3.0]))
    def the_line_is_lost_for_a_while(self, turn: int, seconds: float) -> None:
        if self.machine.stream_id is not None:
            self.step(StreamClosed(stream_id=self.machine.stream_id))
            self.now += seconds
            self.step(None)
            self.step(CallerSpoke(utterance_id=f"turn-{turn}", text="Are you there?"))
            self.step(StreamOpened(stream_id=StreamId("stream-2")))

    @rule(outcome=st.sampled_from([None, SpeechOutcome.PLAYED, SpeechOutcome.FAILED]))
    def somebody_asks(self, outcome: SpeechOutcome | None) -> None:
        ask_id = f"ask-{len(self.inputs)}"
        if self.step(Ask(ask_id=ask_id, text="Well?")) is not None:
            self.asks.append(ask_id)
            if outcome is not None:
                self.step(AgentSpeechStarted(utterance_id=ask_id))
                self.step(
                    AgentSpeechEnded(utterance_id=ask_id, outcome=outcome, heard="?")
                )

    @rule()
    def somebody_wants_to_say_something(self) -> None:
        self.step(Say(utterance_id="say-1", text="Hi."))
        self.step(SendDigits(digits=(Digit.ONE,)))

    @precondition(lambda self: len(self.inputs) > 10)
    @rule()
    def somebody_ends_the_call(self) -> None:
        self.step(End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL))

    @precondition(lambda self: len(self.inputs) > 10)
    @rule(event=ENDINGS)
    def the_carrier_ends_the_call(self, event: CarrierEnded) -> None:
        self.somebody_asks(outcome=None)
        self.step(event)

    @rule()
    def somebody_starts_it_again(self) -> None:
        assert self.machine.start(now=self.now) == ()

    @rule(seconds=STEPS_S)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.step(None)

    @rule()
    def the_next_deadline_comes(self) -> None:
        due = self.machine.next_deadline()
        if due is not None:
            self.now = max(self.now, due)
            self.step(None)

    # -- what must hold ----------------------------------------------------------------

    def one_dial_at_most_and_only_for_our_own_calls(self) -> None:
        dials = [each for each in self.actions() if isinstance(each, Dial)]
        assert len(dials) == (1 if self.setup.is_outbound else 0)
        assert dials == [each for each in self.started if isinstance(each, Dial)]

    def the_end_is_absorbing_and_announced_once_and_last(self) -> None:
        ended = [each for each in self.actions() if isinstance(each, CallEnded)]
        assert len(ended) == (1 if self.machine.is_over else 0)
        assert (self.machine.ending is not None) == self.machine.is_over
        if not self.machine.is_over:
            return
        assert self.machine.next_deadline() is None
        assert ended[0].ending == self.machine.ending
        self.final_state = self.final_state or self.machine.state
        assert self.machine.state is self.final_state
        after = self.actions()[self.actions().index(ended[0]) + 1 :]
        assert all(isinstance(each, Ignored) for each in after)

    def phases_move_only_along_the_table(self) -> None:
        moves = [each for each in self.actions() if isinstance(each, PhaseChanged)]
        for move in moves:
            is_in_table = move.after in TRANSITIONS[move.before].values()
            is_our_wish = move.after in (CallPhase.ENDING, CallPhase.ENDED)
            assert is_in_table or is_our_wish
        for first, second in itertools.pairwise(moves):
            assert first.after is second.before

    def a_void_reply_is_never_heard_of_again(self) -> None:
        void: set[str] = set()
        for action in self.actions():
            if isinstance(action, TakeBack) and action.utterance_id != "opening":
                assert action.utterance_id not in void
                void.add(action.utterance_id)
            elif isinstance(action, StartReply):
                assert action.reply_id not in void
            elif isinstance(action, Speak):
                assert action.utterance_id.split("-filler")[0] not in void

    def every_ask_is_settled_at_most_once_and_by_the_end(self) -> None:
        settled = [
            each.ask_id
            for each in self.actions()
            if isinstance(each, (AskResolved, AskFailed))
        ]
        assert len(settled) == len(set(settled))
        assert set(settled) <= set(self.asks)
        if self.machine.phase in (CallPhase.ENDING, CallPhase.ENDED):
            assert set(settled) == set(self.asks)

    def a_call_that_has_begun_always_has_a_deadline(self) -> None:
        if self.has_begun() and not self.machine.is_over:
            assert self.machine.next_deadline() is not None

    def has_begun(self) -> bool:
        return self.setup.is_outbound or any(
            isinstance(value, (Offered, Answered, StreamOpened, End))
            for _, value in self.inputs
        )

    def teardown(self) -> None:
        if not hasattr(self, "machine"):
            return
        self.same_inputs_give_the_same_call()
        self.comes_down_by_ticks_alone()

    def same_inputs_give_the_same_call(self) -> None:
        again = CallMachine(self.setup, now=1000.0)
        assert again.start(now=1000.0) == self.started
        assert [feed(again, each) for each in self.inputs] == self.results
        assert again.state is self.machine.state
        assert again.transcript == self.machine.transcript
        assert again.next_deadline() == self.machine.next_deadline()

    def comes_down_by_ticks_alone(self) -> None:
        for _ in range(50):
            due = self.machine.next_deadline()
            if due is None:
                break
            self.now = max(self.now, due)
            self.step(None)
        if self.has_begun():
            assert self.machine.is_over
            assert self.now < EVER

    # -- the session -------------------------------------------------------------------

    def step(
        self, value: CallEvent | CallCommand | None
    ) -> tuple[CallAction, ...] | None:
        what = (self.now, value)
        was_connected = self.machine.phase is CallPhase.ANSWERED
        is_void = (
            isinstance(value, (AgentReplied, ReplyFailed))
            and value.reply_id != self.current_reply()
        )
        actions = feed(self.machine, what)
        self.inputs.append(what)
        self.results.append(actions)
        if was_connected and self.machine.phase is CallPhase.ENDING:
            assert any(isinstance(each, Hangup) for each in actions or ())
        if is_void:
            assert [type(each) for each in actions or ()] == [Ignored]
        self.check()
        return actions

    def check(self) -> None:
        self.one_dial_at_most_and_only_for_our_own_calls()
        self.the_end_is_absorbing_and_announced_once_and_last()
        self.phases_move_only_along_the_table()
        self.a_void_reply_is_never_heard_of_again()
        self.every_ask_is_settled_at_most_once_and_by_the_end()
        self.a_call_that_has_begun_always_has_a_deadline()

    def current_reply(self) -> str | None:
        current: str | None = None
        for action in self.actions():
            if isinstance(action, StartReply):
                current = action.reply_id
            elif isinstance(action, TakeBack) and action.utterance_id == current:
                current = None
        return current

    def actions(self) -> list[CallAction]:
        return [each for batch in (self.started, *self.results) for each in batch or ()]


TestAnyCall = AnyCall.TestCase
TestAnyCall.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
