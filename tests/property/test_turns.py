"""Turn-taking under any sequence of inputs: late, doubled, shuffled, impossible."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from voice_call.call.model import TurnPhase
from voice_call.call.turns import (
    AgentSentenceSent,
    AgentSpeechBegan,
    AgentSpeechFinished,
    BeginSegment,
    CallerTurnBegan,
    CallerTurnEnded,
    EndSegment,
    InterruptAgent,
    PauseAgent,
    RequestInterim,
    ResumeAgent,
    TranscriptHeard,
    TurnAction,
    TurnDropped,
    TurnInput,
    TurnSettings,
    TurnTaker,
    VoiceBegan,
    VoiceEnded,
)

GREETING = "Hello, this is Anna from the bakery. How can I help you?"
TEXTS = st.sampled_from(
    [
        "",
        "...",
        "mm-hm",
        "yeah okay",
        "stop",
        "No, thank you.",
        "I'd like to book a",
        "five five five",
        "this is Anna from the bakery",
        "you",
        "what about Tuesday at seven then",
    ]
)
UTTERANCES = st.sampled_from(["u1", "u2", "u3", "u4"])
SEGMENTS = st.integers(min_value=0, max_value=8)
LAG_S = st.sampled_from([0.0, 0.1, 0.5, 5.0, -1.0])

INPUTS: st.SearchStrategy[TurnInput] = st.one_of(
    st.builds(VoiceBegan, at=st.floats(min_value=0, max_value=100)),
    st.builds(VoiceEnded, at=st.floats(min_value=0, max_value=100)),
    st.builds(
        TranscriptHeard,
        segment=SEGMENTS,
        text=st.one_of(TEXTS, st.text(max_size=20)),
        is_final=st.booleans(),
        confidence=st.none(),
    ),
    st.builds(AgentSpeechBegan, utterance_id=UTTERANCES, is_protected=st.booleans()),
    st.builds(AgentSentenceSent, utterance_id=UTTERANCES, text=st.just(GREETING)),
    st.builds(AgentSpeechFinished, utterance_id=UTTERANCES),
)


class Witness:
    """Reads the actions of one call and objects to what must never be."""

    def __init__(self) -> None:
        self.began: set[int] = set()
        self.ended: set[int] = set()
        self.turns: set[int] = set()
        self.closed: set[int] = set()
        self.protected: set[str] = set()
        self.over: set[str] = set()
        self.interrupted: set[str] = set()
        self.paused: str | None = None
        self.agent: str | None = None

    def hear(self, signal: TurnInput) -> None:
        match signal:
            case AgentSpeechBegan(utterance_id=utterance_id, is_protected=protected):
                if utterance_id not in self.over and utterance_id != self.agent:
                    self._leave()
                    self.agent = utterance_id
                    if protected:
                        self.protected.add(utterance_id)
            case AgentSpeechFinished(utterance_id=utterance_id):
                self.over.add(utterance_id)
                if utterance_id == self.agent:
                    self._leave()
            case _:
                pass

    def _leave(self) -> None:
        if self.agent is not None:
            self.over.add(self.agent)
        self.agent = self.paused = None

    def read(self, actions: tuple[TurnAction, ...]) -> None:
        for action in actions:
            self._read(action)

    def _read(self, action: TurnAction) -> None:
        match action:
            case BeginSegment(segment=segment):
                assert segment not in self.began
                self.began.add(segment)
            case RequestInterim(segment=segment):
                assert segment in self.began - self.closed - self.ended
            case EndSegment(segment=segment):
                assert segment in self.began - self.closed - self.ended
                self.closed.add(segment)
            case CallerTurnBegan(segment=segment):
                assert segment not in self.turns | self.ended
                self.turns.add(segment)
            case CallerTurnEnded(segment=segment, text=text):
                assert segment in self.turns
                assert segment not in self.ended
                assert any(character.isalnum() for character in text)
                assert action.voice_began_at <= action.voice_ended_at
                self.ended.add(segment)
            case TurnDropped(segment=segment):
                assert segment not in self.ended
                self.ended.add(segment)
            case PauseAgent(utterance_id=utterance_id):
                assert self.paused is None
                self._may_touch(utterance_id)
                self.paused = utterance_id
            case ResumeAgent(utterance_id=utterance_id):
                assert self.paused == utterance_id
                self.paused = None
            case InterruptAgent(utterance_id=utterance_id):
                self._may_touch(utterance_id)
                assert utterance_id not in self.interrupted
                self.interrupted.add(utterance_id)
                self._leave()

    def _may_touch(self, utterance_id: str) -> None:
        assert utterance_id == self.agent
        assert utterance_id not in self.protected


class TurnTaking(RuleBasedStateMachine):
    """One call: the driver ticks when it should, or comes late."""

    @initialize(barge_in=st.booleans(), least_words=st.integers(0, 2))
    def begin(self, *, barge_in: bool, least_words: int) -> None:
        self.now = 1000.0
        self.barge_in = barge_in
        self.taker = TurnTaker(
            TurnSettings(barge_in_enabled=barge_in, barge_in_min_words=least_words)
        )
        self.witness = Witness()
        self.utterances = 0

    def give(self, signal: TurnInput) -> None:
        self.witness.hear(signal)
        actions = self.taker.receive(signal, now=self.now)
        self.witness.read(actions)
        if not self.barge_in:
            assert not any(isinstance(a, PauseAgent | InterruptAgent) for a in actions)

    @rule(lag_s=LAG_S)
    def voice_begins(self, lag_s: float) -> None:
        self.give(VoiceBegan(at=self.now - lag_s))

    @rule(lag_s=LAG_S)
    def voice_ends(self, lag_s: float) -> None:
        self.give(VoiceEnded(at=self.now - lag_s))

    @rule(segment=SEGMENTS, text=TEXTS, is_final=st.booleans())
    def recogniser_speaks(self, *, segment: int, text: str, is_final: bool) -> None:
        self.give(TranscriptHeard(segment=segment, text=text, is_final=is_final))

    @rule(text=TEXTS, is_final=st.booleans())
    def recogniser_answers(self, *, text: str, is_final: bool) -> None:
        segment = max(self.witness.began - self.witness.ended, default=1)
        self.give(TranscriptHeard(segment=segment, text=text, is_final=is_final))

    @rule(is_protected=st.booleans())
    def agent_begins(self, *, is_protected: bool) -> None:
        self.utterances += 1
        utterance_id = f"u{self.utterances}"
        self.give(AgentSentenceSent(utterance_id=utterance_id, text=GREETING))
        self.give(
            AgentSpeechBegan(utterance_id=utterance_id, is_protected=is_protected)
        )

    @precondition(lambda self: self.utterances > 0)
    @rule(data=st.data())
    def agent_finishes(self, data: st.DataObject) -> None:
        recent = range(max(1, self.utterances - 3), self.utterances + 1)
        number = data.draw(st.sampled_from(recent))
        self.give(AgentSpeechFinished(utterance_id=f"u{number}"))

    @precondition(lambda self: self.utterances > 0)
    @rule()
    def agent_beginning_is_doubled(self) -> None:
        self.give(AgentSpeechBegan(utterance_id=f"u{self.utterances}"))

    @rule(wait_s=st.sampled_from([0.0, 0.02, 0.2, 0.4, 1.0, 2.0, 10.0]))
    def time_passes(self, wait_s: float) -> None:
        end = self.now + wait_s
        while (due := self.taker.next_deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self.tick()
        self.now = end
        self.tick()

    @rule(wait_s=st.sampled_from([0.2, 3.0, 60.0]))
    def the_driver_comes_late(self, wait_s: float) -> None:
        self.now += wait_s
        self.tick()

    def tick(self) -> None:
        self.witness.read(self.taker.tick(self.now))
        due = self.taker.next_deadline()
        assert due is None or due > self.now

    @invariant()
    def nothing_more_happens_at_the_same_moment(self) -> None:
        if hasattr(self, "taker"):
            self.tick()
            assert self.taker.tick(self.now) == ()

    def teardown(self) -> None:
        if not hasattr(self, "taker"):
            return
        self.give(VoiceEnded(at=self.now))
        self.give(AgentSpeechFinished(utterance_id=f"u{self.utterances}"))
        self.time_passes(60.0)
        assert self.witness.began <= self.witness.ended
        assert self.witness.turns <= self.witness.ended
        assert self.witness.paused is None
        assert self.taker.next_deadline() is None
        assert self.taker.phase in {TurnPhase.IDLE, TurnPhase.AWAITING_AGENT}


TurnTaking.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None
)
TestTurnTaking = TurnTaking.TestCase


@given(st.lists(st.tuples(INPUTS, st.sampled_from([0.0, 0.3, 2.0])), max_size=40))
@settings(max_examples=150, deadline=None)
def test_shuffled_and_doubled_inputs_never_raise(
    steps: list[tuple[TurnInput, float]],
) -> None:
    taker = TurnTaker()
    witness = Witness()
    now = 0.0
    for signal, wait_s in steps:
        now += wait_s
        witness.read(taker.tick(now))
        for _ in range(2):
            witness.hear(signal)
            witness.read(taker.receive(signal, now=now))


@given(st.lists(INPUTS, max_size=20))
@settings(max_examples=50, deadline=None)
def test_the_same_inputs_give_the_same_actions(signals: list[TurnInput]) -> None:
    one, other = TurnTaker(), TurnTaker()
    for at, signal in enumerate(signals):
        assert one.receive(signal, now=at) == other.receive(signal, now=at)
        assert one.tick(at) == other.tick(at)
        assert one.phase is other.phase
