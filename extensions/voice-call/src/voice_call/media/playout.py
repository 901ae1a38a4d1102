"""What one call says: when each piece is sent, and what of it was really heard.

Theory of operation
-------------------
*Queue.* Utterances are played one after another, in the order in which they began.
Audio arrives in chunks of any length, usually faster than it is spoken; `advance` turns
it into messages of whole 20 ms frames. Only the very end of an utterance is padded, so
that the bytes sent do not depend on how the synthesiser cut them.

*Clock.* The carrier plays what it gets at its own steady pace and keeps the rest. The
playout clock follows it: `origin + audio sent since then` is the moment when everything
sent will have been played. The distance to that moment is the lead, and it never
exceeds `lead_s`: enough to bridge a stall of ours, little enough that a lost `clear`
leaves no long tail. All deadlines are absolute, so lateness is caught up and never adds
up. When the carrier's buffer has run dry the clock starts anew; in mid-utterance that
is an underrun and counted. After a dry buffer the first message is short, because the
listener waits for it; later ones are longer, because each message costs the same.

*Marks.* Behind every sentence and every utterance goes a mark, which the carrier
returns once all before it was played. That is the only proof of having been heard. In
between, the clock gives an estimate, which never passes a mark that is still out, and
which is cut at a word boundary, so that `heard` is always a prefix of what was said. A
mark that does not return is given up `mark_grace_s` after its audio should have ended;
its audio then counts as played, but not as proved.

*Clear.* A cleared carrier returns all marks at once, played or not. So each `ClearAudio`
forgets the marks that are out; names are never used twice, and a mark whose name is not
known means nothing.

*Barge-in.* `pause` clears the carrier and keeps what was not heard; then `resume` goes
on a little before the place that was reached, at the sentence's beginning or in a quiet
moment, or `interrupt` drops everything.

Every utterance that began ends exactly once, with `UtterancePlayed` or `UtteranceCut`.
Unknown ids and names are normal: synthesis and carriers answer late.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from voice_call.media.audio import (
    FRAME_BYTES,
    FRAME_S,
    SAMPLE_RATE_HZ,
    ClearAudio,
    SendAudio,
    SendMark,
)
from voice_call.media.utterance import Utterance

__all__ = [
    "Playout",
    "PlayoutSettings",
    "PlayoutStep",
    "UtteranceCut",
    "UtterancePlayed",
    "UtteranceStarted",
]

_TOLERANCE_S = 1e-5
"""Far below one sample, far above the rounding of seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayoutSettings:
    """How audio is sent.

    Attributes:
        first_message_s: Length of the message that ends a silence. One frame, so that
            the first sound waits for nothing else.
        message_s: Length of other messages. A message costs about the same whatever its
            length; beyond 100 ms there is little left to save.
        lead_s: The most that is sent ahead of the listener. Hides stalls of ours up to
            that length, and bounds what is heard after a `clear` that got lost.
        mark_grace_s: How long after its audio a mark may come back. Covers the way to
            the carrier and back with room to spare.

    Raises:
        ValueError: Not 0.02 ≤ first_message_s ≤ message_s ≤ lead_s, or a negative grace.
    """

    first_message_s: float = 0.02
    message_s: float = 0.06
    lead_s: float = 0.2
    mark_grace_s: float = 2.0

    def __post_init__(self) -> None:
        if not FRAME_S <= self.first_message_s <= self.message_s <= self.lead_s:
            raise ValueError("needed: 0.02 <= first_message_s <= message_s <= lead_s")
        if self.mark_grace_s < 0:
            raise ValueError("needed: 0 <= mark_grace_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceStarted:
    """The first audio of an utterance goes out; it is heard from `at` on."""

    utterance_id: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UtterancePlayed:
    """An utterance was played to its end.

    Attributes:
        utterance_id: Which.
        heard: All its words; empty where it had no audio.
        at: When, in seconds since 1970.
        is_proved: True where the carrier said so, False where its mark got lost and
            the clock has to be believed.
    """

    utterance_id: str
    heard: str
    at: float
    is_proved: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceCut:
    """An utterance was cut off or taken back; `heard` is what was heard of it."""

    utterance_id: str
    heard: str
    at: float


PlayoutStep = (
    SendAudio
    | SendMark
    | ClearAudio
    | UtteranceStarted
    | UtterancePlayed
    | UtteranceCut
)
"""What the caller of a playout has to carry out or to know, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """A mark that is out.

    Attributes:
        name: What it is called at the carrier.
        offset: Which byte of the stream it stands behind.
        plays_at: When the audio before it has been played, by the clock.
        utterance: Whose.
        is_end: The utterance is over with it.
    """

    name: str
    offset: int
    plays_at: float
    utterance: Utterance
    is_end: bool


class _PlayoutClock:
    """Knows how much of the stream has been played, if the carrier keeps pace."""

    def __init__(self) -> None:
        self.sent = 0  # bytes of the stream, ever
        self._origin = 0.0
        self._origin_sent = 0

    @property
    def dry_at(self) -> float:
        """When all that was sent will have been played."""
        return self._origin + (self.sent - self._origin_sent) / SAMPLE_RATE_HZ

    def restart(self, now: float) -> None:
        """Count from now on: the carrier has nothing to play."""
        self._origin = now
        self._origin_sent = self.sent

    def played(self, now: float) -> int:
        """Return how much of the stream has been played."""
        ahead = max(0.0, self.dry_at - now) * SAMPLE_RATE_HZ
        return self.sent - round(ahead)


class Playout:
    """The outbound audio of one media stream. Pure: time comes in as `now`.

    Filling (`begin`, `begin_sentence`, `append`, `finish`) only stores; call `advance`
    afterwards, or at `next_due`.
    """

    def __init__(self, settings: PlayoutSettings | None = None) -> None:
        self._settings = settings or PlayoutSettings()
        self._first_bytes = _whole_frames(self._settings.first_message_s)
        self._message_bytes = _whole_frames(self._settings.message_s)
        self._utterances: dict[str, Utterance] = {}
        self._marks: deque[_Mark] = deque()
        self._anchors: dict[str, int] = {}
        """Where in the stream an utterance's position 0 lies, since the last clear."""
        self._clock = _PlayoutClock()
        self._proved = 0  # bytes of the stream that are done with: played or cleared
        self._marks_made = 0
        self._now = 0.0
        self._is_paused = False
        self._underruns = 0

    # -- what it is doing --------------------------------------------------------------

    @property
    def is_active(self) -> bool:
        """Whether any utterance has begun and not ended."""
        return bool(self._utterances)

    @property
    def is_paused(self) -> bool:
        """Whether it holds back everything until `resume` or `interrupt`."""
        return self._is_paused

    @property
    def underruns(self) -> int:
        """How often the carrier ran dry in the middle of an utterance."""
        return self._underruns

    @property
    def backlog_s(self) -> float:
        """How much audio waits to be sent, in seconds."""
        waiting = sum(u.waiting for u in self._utterances.values())
        return waiting / SAMPLE_RATE_HZ

    def is_audible(self, now: float) -> bool:
        """Whether the other side hears us now, by the clock."""
        return self._clock.dry_at > now and self._clock.sent > self._proved

    def heard_position_s(self, now: float) -> float:
        """Return how much of the utterance in play was heard, in seconds."""
        self._listen(now)
        for utterance in self._utterances.values():
            return utterance.heard / SAMPLE_RATE_HZ
        return 0.0

    # -- filling -----------------------------------------------------------------------

    def begin(self, utterance_id: str) -> None:
        """Queue a new utterance.

        Raises:
            ValueError: It has begun already and not ended.
        """
        if utterance_id in self._utterances:
            raise ValueError(f"utterance {utterance_id} has begun already")
        self._utterances[utterance_id] = Utterance(utterance_id)

    def begin_sentence(self, utterance_id: str, text: str) -> None:
        """Say what the audio appended next says."""
        if utterance := self._open(utterance_id):
            utterance.begin_sentence(text)

    def append(self, utterance_id: str, audio: bytes) -> None:
        """Add µ-law audio of any length."""
        if utterance := self._open(utterance_id):
            utterance.append(audio)

    def finish(self, utterance_id: str) -> None:
        """Say that an utterance is complete."""
        if utterance := self._open(utterance_id):
            utterance.finish()

    def _open(self, utterance_id: str) -> Utterance | None:
        utterance = self._utterances.get(utterance_id)
        return None if utterance is None or utterance.is_finished else utterance

    # -- sending -----------------------------------------------------------------------

    def advance(self, now: float) -> tuple[PlayoutStep, ...]:
        """Return everything that is due by `now`, in order."""
        now = self._see(now)
        steps = self._give_up_marks(now)
        if not self._is_paused:
            self._send_due(now, steps)
        self._end_empty(now, steps)
        return tuple(steps)

    def next_due(self) -> float | None:
        """Return when `advance` has something to do, None if only news can change that.

        May lie in the past, which means at once.
        """
        dues = [self._next_send()]
        if self._marks:
            dues.append(self._deadline(self._marks[0]))
        return min((due for due in dues if due is not None), default=None)

    def _next_send(self) -> float | None:
        utterance = next(iter(self._utterances.values()), None)
        if utterance is not None and utterance.is_empty:
            return self._now
        utterance = None if self._is_paused else self._next_to_send()
        if utterance is None:
            return None
        if utterance.is_mark_due:
            return self._now
        size = utterance.next_size(self._message_limit(self._now))
        return self._room_at(size) if size else None

    def _next_to_send(self) -> Utterance | None:
        for utterance in self._utterances.values():
            if not utterance.is_end_marked and not utterance.is_empty:
                return utterance
        return None

    def _send_due(self, now: float, steps: list[PlayoutStep]) -> None:
        while utterance := self._next_to_send():
            if utterance.is_mark_due:
                steps.append(self._send_mark(utterance))
                continue
            size = utterance.next_size(self._message_limit(now))
            if not size or self._room_at(size) > now + _TOLERANCE_S:
                return
            if not utterance.has_started:
                at = max(now, self._clock.dry_at)
                steps.append(
                    UtteranceStarted(utterance_id=utterance.utterance_id, at=at)
                )
            steps.append(self._send_audio(utterance, size, now))

    def _message_limit(self, now: float) -> int:
        is_dry = self._clock.dry_at <= now
        return self._first_bytes if is_dry else self._message_bytes

    def _room_at(self, size: int) -> float:
        """Return when `size` more bytes keep within the lead."""
        return self._clock.dry_at + size / SAMPLE_RATE_HZ - self._settings.lead_s

    def _send_audio(self, utterance: Utterance, size: int, now: float) -> SendAudio:
        is_going_on = utterance.utterance_id in self._anchors
        if self._clock.dry_at < now:
            self._underruns += is_going_on
            self._clock.restart(now)
        if not is_going_on:
            anchor = self._clock.sent - utterance.sent
            self._anchors[utterance.utterance_id] = anchor
        self._clock.sent += size
        return SendAudio(payload=utterance.take(size))

    def _send_mark(self, utterance: Utterance) -> SendMark:
        utterance.take_mark()
        self._marks_made += 1
        mark = _Mark(
            name=f"m{self._marks_made}",
            offset=self._clock.sent,
            plays_at=self._clock.dry_at,
            utterance=utterance,
            is_end=utterance.is_end_marked,
        )
        self._marks.append(mark)
        return SendMark(name=mark.name)

    # -- hearing -----------------------------------------------------------------------

    def mark_returned(self, name: str, now: float) -> tuple[PlayoutStep, ...]:
        """Take a mark that came back. Unknown, doubled and late ones mean nothing.

        Marks come back in order, so one proves all that was sent before it.
        """
        now = self._see(now)
        steps: list[PlayoutStep] = []
        if any(mark.name == name for mark in self._marks):
            mark = self._marks[0]
            while mark.name != name:
                self._pass_mark(mark, now, steps, is_proved=True)
                mark = self._marks[0]
            self._pass_mark(mark, now, steps, is_proved=True)
            self._end_empty(now, steps)
        return tuple(steps)

    def _deadline(self, mark: _Mark) -> float:
        return mark.plays_at + self._settings.mark_grace_s

    def _give_up_marks(self, now: float) -> list[PlayoutStep]:
        steps: list[PlayoutStep] = []
        while self._marks and self._deadline(self._marks[0]) <= now:
            mark = self._marks[0]
            self._pass_mark(mark, mark.plays_at, steps, is_proved=False)
        return steps

    def _pass_mark(
        self, mark: _Mark, at: float, steps: list[PlayoutStep], *, is_proved: bool
    ) -> None:
        """Count everything before the first mark that is out as heard."""
        self._marks.popleft()
        self._proved = mark.offset
        utterance = mark.utterance
        position = mark.offset - self._anchors.get(utterance.utterance_id, mark.offset)
        utterance.hear(position)
        utterance.forget(position)
        if not mark.is_end:
            return
        self._drop(utterance)
        steps.append(
            UtterancePlayed(
                utterance_id=utterance.utterance_id,
                heard=utterance.heard_text(),
                at=at,
                is_proved=is_proved,
            )
        )

    def _listen(self, now: float) -> None:
        """Estimate what every utterance was heard of by now."""
        played = self._played(now)
        for utterance in self._utterances.values():
            anchor = self._anchors.get(utterance.utterance_id)
            if anchor is not None:
                utterance.hear(min(played - anchor, utterance.sent))

    def _played(self, now: float) -> int:
        played = self._clock.played(now)
        if self._marks:
            played = min(played, self._marks[0].offset)
        return max(played, self._proved)

    # -- barge-in ----------------------------------------------------------------------

    def pause(self, now: float) -> tuple[PlayoutStep, ...]:
        """Fall silent at once, but keep what was not heard."""
        now = self._see(now)
        self._is_paused = True
        return self._clear(now)

    def resume(self, now: float) -> tuple[PlayoutStep, ...]:
        """Go on after `pause`, from just before what was heard last."""
        self._is_paused = False
        return self.advance(now)

    def interrupt(self, now: float) -> tuple[PlayoutStep, ...]:
        """Fall silent at once and drop everything, also what only waited."""
        now = self._see(now)
        self._is_paused = False
        steps: list[PlayoutStep] = [*self._clear(now)]
        steps += [
            self._cut(utterance, now) for utterance in [*self._utterances.values()]
        ]
        return tuple(steps)

    def cancel(self, utterance_id: str, now: float) -> tuple[PlayoutStep, ...]:
        """Take back one utterance; others go on.

        Where its audio is at the carrier already, all is cleared there, and the others
        are sent again from where they were heard last.
        """
        now = self._see(now)
        utterance = self._utterances.get(utterance_id)
        if utterance is None:
            return ()
        self._listen(now)
        steps: list[PlayoutStep] = []
        if utterance_id in self._anchors:
            until = self._anchors[utterance_id] + utterance.sent
            if until > self._played(now):
                steps += self._clear(now)
            self._proved = max(self._proved, until)
        steps.append(self._cut(utterance, now))
        self._end_empty(now, steps)
        return tuple(steps)

    def _clear(self, now: float) -> tuple[PlayoutStep, ...]:
        """Take back what the carrier may still have, if anything."""
        if self._clock.sent <= self._proved:
            return ()
        self._listen(now)
        for utterance_id in self._anchors:
            self._utterances[utterance_id].rewind()
        self._anchors.clear()
        self._marks.clear()
        self._proved = self._clock.sent
        self._clock.restart(now)
        return (ClearAudio(),)

    # -- ending ------------------------------------------------------------------------

    def _cut(self, utterance: Utterance, now: float) -> UtteranceCut:
        self._drop(utterance)
        return UtteranceCut(
            utterance_id=utterance.utterance_id, heard=utterance.heard_text(), at=now
        )

    def _drop(self, utterance: Utterance) -> None:
        del self._utterances[utterance.utterance_id]
        self._anchors.pop(utterance.utterance_id, None)
        if any(mark.utterance is utterance for mark in self._marks):
            self._marks = deque(m for m in self._marks if m.utterance is not utterance)

    def _end_empty(self, now: float, steps: list[PlayoutStep]) -> None:
        """End utterances without audio once all before them have ended."""
        for utterance in [*self._utterances.values()]:
            if not utterance.is_empty:
                return
            self._drop(utterance)
            steps.append(
                UtterancePlayed(utterance_id=utterance.utterance_id, heard="", at=now)
            )

    def _see(self, now: float) -> float:
        self._now = max(self._now, now)
        return self._now


def _whole_frames(seconds: float) -> int:
    """Return the bytes of the whole frames that fit into `seconds`."""
    return int(seconds * SAMPLE_RATE_HZ + 0.5) // FRAME_BYTES * FRAME_BYTES
