"""The playout against a simulated carrier, in any order of events.

The carrier is the model: it plays what it gets at 8000 bytes a second, returns marks
when it reaches them, and returns all of them at once when it is cleared.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from voice_call.media.audio import ClearAudio, SendAudio, SendMark
from voice_call.media.playout import (
    Playout,
    UtteranceCut,
    UtterancePlayed,
    UtteranceStarted,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_call.media.playout import PlayoutStep

LEAD_S = 0.2


class SimulatedCarrier:
    """Plays what it gets, in real time."""

    def __init__(self) -> None:
        self.queue: deque[bytes | str] = deque()
        self.played = bytearray()
        self.returned: list[str] = []
        self.credit = 0.0

    def take(self, step: SendAudio | SendMark | ClearAudio) -> None:
        match step:
            case SendAudio(payload=payload):
                self.queue.append(payload)
            case SendMark(name=name):
                self.queue.append(name)
            case ClearAudio():
                self.returned += [m for m in self.queue if isinstance(m, str)]
                self.queue.clear()

    def play(self, seconds: float) -> None:
        self.credit += seconds * 8000
        while self.queue:
            head = self.queue[0]
            if isinstance(head, str):
                self.returned.append(head)
                self.queue.popleft()
                continue
            count = min(len(head), int(self.credit))
            if not count:
                return
            self.credit -= count
            self.played += head[:count]
            self.queue.popleft()
            if head[count:]:
                self.queue.appendleft(head[count:])
        self.credit = 0.0

    def buffered(self) -> int:
        return sum(len(item) for item in self.queue if isinstance(item, bytes))


class PlayoutAgainstCarrier(RuleBasedStateMachine):
    utterances = Bundle("utterances")

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_700_000_000.0
        self.playout = Playout()
        self.carrier = SimulatedCarrier()
        self.count = 0
        self.texts: dict[str, list[str]] = {}
        self.audio: dict[str, bytearray] = {}
        self.order: list[str] = []
        self.finished: set[str] = set()
        self.begun: list[str] = []
        self.ended: dict[str, UtterancePlayed | UtteranceCut] = {}
        self.lost: set[str] = set()
        self.was_disturbed = False
        self.rng = 0

    # -- the other end -----------------------------------------------------------------

    def carry_out(self, steps: Sequence[PlayoutStep]) -> None:
        for step in steps:
            match step:
                case SendAudio(payload=payload):
                    assert payload
                    assert len(payload) % 160 == 0
                    self.carrier.take(step)
                    assert self.carrier.buffered() <= LEAD_S * 8000 + 1
                case SendMark() | ClearAudio():
                    self.carrier.take(step)
                case UtteranceStarted(utterance_id=utterance_id):
                    assert utterance_id not in self.begun
                    self.begun.append(utterance_id)
                case UtterancePlayed() | UtteranceCut():
                    assert step.utterance_id not in self.ended
                    self.ended[step.utterance_id] = step
                    self.check_heard(step)

    def check_heard(self, step: UtterancePlayed | UtteranceCut) -> None:
        words = " ".join(self.texts[step.utterance_id]).split()
        heard = step.heard.split()
        assert heard == words[: len(heard)]
        if isinstance(step, UtterancePlayed):
            assert step.utterance_id in self.finished
            assert heard == words

    def new_audio(self, size: int) -> bytes:
        self.rng = (self.rng * 1103515245 + 12345) % 2**31
        return bytes((self.rng >> 8) + i * 7 & 0x7F for i in range(size))

    def open_id(self, utterance_id: str) -> bool:
        return utterance_id not in self.ended and utterance_id not in self.finished

    # -- what the session does ---------------------------------------------------------

    @rule(target=utterances)
    def begin(self) -> str:
        self.count += 1
        utterance_id = f"u{self.count}"
        self.playout.begin(utterance_id)
        self.order.append(utterance_id)
        self.texts[utterance_id] = []
        self.audio[utterance_id] = bytearray()
        return utterance_id

    @rule(
        utterance_id=utterances,
        words=st.integers(0, 8),
        sizes=st.lists(st.integers(1, 6000), min_size=1, max_size=4),
    )
    def say(self, utterance_id: str, words: int, sizes: list[int]) -> None:
        text = " ".join(f"w{len(self.texts[utterance_id])}.{i}" for i in range(words))
        self.playout.begin_sentence(utterance_id, text)
        if self.open_id(utterance_id):
            self.texts[utterance_id].append(text)
        self.append(utterance_id, sizes)

    @rule(utterance_id=utterances, sizes=st.lists(st.integers(0, 6000), max_size=3))
    def say_more(self, utterance_id: str, sizes: list[int]) -> None:
        if self.audio[utterance_id]:
            self.append(utterance_id, sizes)

    def append(self, utterance_id: str, sizes: list[int]) -> None:
        for size in sizes:
            audio = self.new_audio(size)
            self.playout.append(utterance_id, audio)
            if self.open_id(utterance_id):
                self.audio[utterance_id] += audio

    @rule(utterance_id=utterances)
    def finish(self, utterance_id: str) -> None:
        self.playout.finish(utterance_id)
        if utterance_id not in self.ended:
            self.finished.add(utterance_id)

    @rule()
    def interrupt(self) -> None:
        steps = self.playout.interrupt(self.now)
        self.was_disturbed = True
        assert not any(isinstance(step, SendAudio | SendMark) for step in steps)
        self.carry_out(steps)
        assert not self.playout.is_active
        assert set(self.order) == set(self.ended)
        assert not self.carrier.queue
        assert self.playout.advance(self.now) == ()

    @rule(utterance_id=utterances)
    def cancel(self, utterance_id: str) -> None:
        self.was_disturbed = True
        self.carry_out(self.playout.cancel(utterance_id, self.now))
        assert utterance_id in self.ended

    @rule()
    def pause(self) -> None:
        self.was_disturbed = True
        self.carry_out(self.playout.pause(self.now))
        assert not self.carrier.queue
        assert self.playout.advance(self.now) == ()

    @rule()
    def resume(self) -> None:
        self.carry_out(self.playout.resume(self.now))

    # -- time and the carrier ----------------------------------------------------------

    @rule(seconds=st.floats(0.0, 1.5))
    def let_time_pass(self, seconds: float) -> None:
        """Ticks of 20 ms: the carrier plays, we go on."""
        for _ in range(round(seconds / 0.02)):
            self.pass_time(0.02)

    @rule(seconds=st.floats(0.0, 0.7))
    def stall(self, seconds: float) -> None:
        self.pass_time(seconds)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.carrier.play(seconds)
        self.return_marks()
        self.carry_out(self.playout.advance(self.now))

    def return_marks(self) -> None:
        returned, self.carrier.returned = self.carrier.returned, []
        for name in returned:
            self.carry_out(self.playout.mark_returned(name, self.now))

    @precondition(lambda self: self.carrier.queue)
    @rule()
    def lose_marks(self) -> None:
        kept = [item for item in self.carrier.queue if isinstance(item, bytes)]
        self.carrier.queue = deque(kept)

    @rule(name=st.sampled_from(["", "m0", "m1", "m2", "m3", "nobody's"]))
    def repeat_a_mark_from_before(self, name: str) -> None:
        waiting = [item for item in self.carrier.queue if isinstance(item, str)]
        if name not in waiting and name not in self.carrier.returned:
            before = len(self.ended)
            self.playout.mark_returned("not " + name, self.now)
            assert len(self.ended) == before

    # -- what always holds -------------------------------------------------------------

    @invariant()
    def an_idle_playout_asks_for_nothing(self) -> None:
        if not self.playout.is_active:
            assert self.playout.next_due() is None

    @invariant()
    def it_never_asks_for_a_time_at_which_it_does_nothing(self) -> None:
        due = self.playout.next_due()
        if due is not None and due <= self.now:
            self.carry_out(self.playout.advance(self.now))
            assert self.playout.next_due() != due

    @invariant()
    def undisturbed_utterances_are_played_byte_by_byte(self) -> None:
        if self.was_disturbed:
            return
        expected = bytearray()
        for utterance_id in self.order:
            audio = bytes(self.audio[utterance_id])
            expected += audio
            if utterance_id not in self.finished:
                break
            expected += b"\xff" * (-len(audio) % 160)
        assert expected.startswith(self.carrier.played)

    def teardown(self) -> None:
        """Once everything is finished, everything ends, and by the clock alone."""
        self.carry_out(self.playout.resume(self.now))
        for utterance_id in self.order:
            self.finish(utterance_id)
        bound = self.now + 10 + sum(len(a) for a in self.audio.values()) / 8000
        while (due := self.playout.next_due()) is not None:
            assert due < bound
            self.now = max(self.now, due)
            for step in self.playout.advance(self.now):
                if not isinstance(step, SendAudio):
                    self.carry_out([step])
            assert self.playout.next_due() != due
        assert set(self.ended) == set(self.order)
        assert not self.playout.is_active
        if not self.was_disturbed:
            assert list(self.ended) == self.order


PlayoutAgainstCarrier.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None
)
TestPlayoutAgainstCarrier = PlayoutAgainstCarrier.TestCase
