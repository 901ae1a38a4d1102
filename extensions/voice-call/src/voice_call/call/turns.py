"""Who has the floor: the turn-taking of one call.

PURE. Voice activity, transcripts and the progress of the agent's own speech come in,
decisions come out. `docs/topics/turn-taking.md` shows the rules at work.

Theory of operation. Voice and words arrive apart: a voice detector is fast and
understands nothing, a recogniser understands and is late. So every decision has a quick
half made from voice and a sure half made from words.

*The end of a turn.* When the voice stops, the words so far are asked for at once, while
a deadline runs from the acoustic end. The words move the deadline: sooner after a
complete answer, later after a dangling word. Voice before the deadline continues the
same segment.

    caller   ▇▇▇▇▇▇▇▇▇▇▇                   ▇ would continue the segment
             │          │      │           │
      BeginSegment      │      words       EndSegment ─► final ─► CallerTurnEnded
                  RequestInterim   move the deadline

*Barge-in.* Voice over the agent's speech has to last before it is looked at, has to
contain words before it counts, and the words must be neither backchannels ("mm-hm") nor
the agent's own. Where no words become known, the agent only pauses, and goes on when
nothing follows.

    agent    ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇        (silent)
    caller        ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇
                  │   │              │
                  │   RequestInterim words ─► InterruptAgent, CallerTurnBegan
                  BeginSegment    no words for long ─► PauseAgent ─► either of the two

Segments are numbered here, from 1, one per `BeginSegment`. A recogniser that is told
where segments begin counts the same way; one that finds its own boundaries has its own
numbers, and its finals close the oldest open segment. In both cases one number of the
recogniser's makes at most one turn.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from voice_call.call.echo import SpokenMemory
from voice_call.call.endpointing import count_words_beyond, split_words
from voice_call.call.model import TurnPhase
from voice_call.call.turn_settings import TurnSettings
from voice_call.call.turn_signals import (
    AgentSentenceSent,
    AgentSpeechBegan,
    AgentSpeechFinished,
    BeginSegment,
    CallerTurnBegan,
    CallerTurnEnded,
    DropReason,
    EndSegment,
    InterruptAgent,
    PauseAgent,
    RequestInterim,
    ResumeAgent,
    TranscriptHeard,
    TurnAction,
    TurnDropped,
    TurnInput,
    VoiceBegan,
    VoiceEnded,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "AgentSentenceSent",
    "AgentSpeechBegan",
    "AgentSpeechFinished",
    "BeginSegment",
    "CallerTurnBegan",
    "CallerTurnEnded",
    "DropReason",
    "EndSegment",
    "InterruptAgent",
    "PauseAgent",
    "RequestInterim",
    "ResumeAgent",
    "TranscriptHeard",
    "TurnAction",
    "TurnDropped",
    "TurnInput",
    "TurnSettings",
    "TurnTaker",
    "VoiceBegan",
    "VoiceEnded",
]


_UTTERANCES_KNOWN_OVER = 16
"""Ids remembered, so that a late or doubled beginning does not start them again."""
_INTERIM_LEAST_S = 0.05
_SHORT_WORDS = 2
"""Up to so many words may be an answer that takes up the agent's own word."""
_TAIL_ECHO_WORDS = 4
"""After the agent's end, fewer words are taken for an answer, never for an echo."""


@dataclass(slots=True, kw_only=True)
class _Segment:
    """One stretch of the caller's speech; the mutable state of a turn in the making."""

    number: int
    voice_began_at: float
    voice_ended_at: float | None = None
    text: str = ""
    recogniser_number: int = 0
    is_turn: bool = False
    """CallerTurnBegan has been announced."""
    has_interrupted: bool = False
    is_unasked: bool = False
    """Words came without any voice activity."""
    final_due_at: float | None = None
    """Set once EndSegment has been asked for."""


@dataclass(slots=True, kw_only=True)
class _AgentSpeech:
    """What the agent is saying now."""

    utterance_id: str
    is_protected: bool
    began_at: float
    paused_at: float | None = None


class TurnTaker:
    """Decides who has the floor in one call.

    Inputs may come late, doubled, in any order, or not at all; none raises. After each
    call the driver carries out the actions in order and arms one timer at
    `next_deadline()`, which calls `tick`.

    Args:
        settings: How patient the agent is.
    """

    def __init__(self, settings: TurnSettings | None = None) -> None:
        self._settings = settings or TurnSettings()
        self._actions: list[TurnAction] = []
        self._segments: dict[int, _Segment] = {}
        self._segment_count = 0
        self._last_final = 0
        self._current: _Segment | None = None
        self._voice_since: float | None = None
        self._voice_ended_at = float("-inf")
        self._endpoint_at: float | None = None
        self._check_at: float | None = None
        self._agent: _AgentSpeech | None = None
        self._agent_ended_at = float("-inf")
        self._is_pause_spent = False
        self._protected_until = float("-inf")
        self._over: deque[str] = deque(maxlen=_UTTERANCES_KNOWN_OVER)
        self._spoken = SpokenMemory()
        self._held: list[tuple[_Segment, CallerTurnEnded]] = []
        self._is_agent_awaited = False

    # -- the outside -------------------------------------------------------------------

    @property
    def phase(self) -> TurnPhase:
        """Who has the floor."""
        if self._agent is not None:
            return TurnPhase.AGENT_SPEAKING
        if self._segments:
            return TurnPhase.CALLER_SPEAKING
        if self._is_agent_awaited:
            return TurnPhase.AWAITING_AGENT
        return TurnPhase.IDLE

    def receive(self, signal: TurnInput, *, now: float) -> tuple[TurnAction, ...]:
        """Take one input.

        Args:
            signal: What happened.
            now: Seconds since 1970; never less than in the call before.
        """
        match signal:
            case VoiceBegan(at=at):
                self._on_voice_began(min(at, now))
            case VoiceEnded(at=at):
                self._on_voice_ended(min(at, now))
            case TranscriptHeard():
                self._on_transcript(signal, now)
            case AgentSpeechBegan():
                self._on_agent_began(signal, now)
            case AgentSentenceSent(utterance_id=utterance_id, text=text):
                self._spoken.remember(utterance_id, text)
            case AgentSpeechFinished(utterance_id=utterance_id):
                self._on_agent_finished(utterance_id, now)
            case unreachable:
                assert_never(unreachable)
        return self._take_actions()

    def next_deadline(self) -> float | None:
        """Return when `tick` has something to do, or None."""
        return min((due for due, _ in self._deadlines()), default=None)

    def tick(self, now: float) -> tuple[TurnAction, ...]:
        """Do everything that has fallen due; nothing is due by `now` afterwards."""
        while True:
            due, act = min(
                self._deadlines(), key=lambda entry: entry[0], default=(now + 1, None)
            )
            if act is None or due > now:
                return self._take_actions()
            act(now)

    def _take_actions(self) -> tuple[TurnAction, ...]:
        actions = tuple(self._actions)
        self._actions.clear()
        return actions

    def _deadlines(self) -> Iterator[tuple[float, Callable[[float], None]]]:
        """Yield what is waited for: when, and what to do then."""
        if self._endpoint_at is not None:
            yield self._endpoint_at, self._end_segment
        if self._check_at is not None:
            yield self._check_at, self._check_voice
        if (pause_at := self._pause_at()) is not None:
            yield pause_at, self._pause
        if (resume_at := self._resume_at()) is not None:
            yield resume_at, self._resume
        for segment in self._segments.values():
            if segment.final_due_at is not None:
                yield segment.final_due_at, self._give_up_waiting

    # -- voice -------------------------------------------------------------------------

    def _on_voice_began(self, at: float) -> None:
        if self._voice_since is not None:
            return
        self._voice_since = at
        self._is_pause_spent = False
        self._check_at = at + self._settings.barge_in_min_duration_s
        if self._current is None:
            self._begin_segment(at)
        else:
            self._current.voice_ended_at = None
            self._endpoint_at = None

    def _begin_segment(self, at: float) -> None:
        self._current = self._add_segment(at)
        self._actions.append(BeginSegment(segment=self._current.number))

    def _add_segment(self, at: float) -> _Segment:
        self._segment_count += 1
        segment = _Segment(number=self._segment_count, voice_began_at=at)
        self._segments[segment.number] = segment
        return segment

    def _on_voice_ended(self, at: float) -> None:
        segment = self._current
        if self._voice_since is None or segment is None:
            return
        # A segment cut out of a longer voice may have begun after its acoustic end.
        at = max(at, self._voice_since, segment.voice_began_at)
        self._voice_ended_at = segment.voice_ended_at = at
        self._voice_since = self._check_at = None
        self._endpoint_at = at + self._settings.endpoint_s
        self._actions.append(RequestInterim(segment=segment.number))

    def _check_voice(self, now: float) -> None:
        """The voice has lasted: does it count, or interrupt?"""
        self._check_at = None
        segment = self._current
        assert segment is not None, "voice without a segment"
        if self._agent is None and not self._is_echo(segment, segment.text):
            self._give_floor(segment)
        elif self._can_interrupt() and not self._try_interrupting(segment, now):
            wait_s = max(self._settings.interim_every_s, _INTERIM_LEAST_S)
            self._check_at = now + wait_s
            self._actions.append(RequestInterim(segment=segment.number))

    def _end_segment(self, now: float) -> None:
        segment = self._current
        assert segment is not None, "an endpoint without a segment"
        self._current = self._endpoint_at = None
        segment.final_due_at = now + self._settings.final_timeout_s
        self._actions.append(EndSegment(segment=segment.number))

    # -- words -------------------------------------------------------------------------

    def _on_transcript(self, heard: TranscriptHeard, now: float) -> None:
        segment = self._segments.get(heard.segment)
        if heard.segment == self._last_final or (
            segment is None and heard.segment < self._last_final
        ):
            return
        if segment is None:
            segment = next(iter(self._segments.values()), None)
        if not heard.is_final:
            if segment is not None:
                self._on_interim(segment, heard, now)
            return
        self._last_final = max(self._last_final, heard.segment)
        if segment is None:
            if not split_words(heard.text):
                return
            segment = self._add_segment(now)
            segment.is_unasked = True
        self._settle(segment, heard.text, heard.confidence, now)

    def _on_interim(
        self, segment: _Segment, heard: TranscriptHeard, now: float
    ) -> None:
        segment.text = heard.text
        segment.recogniser_number = heard.segment
        if segment is not self._current:
            return
        if segment.voice_ended_at is not None:
            wait_s = self._settings.endpoint_after(heard.text)
            self._endpoint_at = segment.voice_ended_at + wait_s
        if self._can_interrupt():
            self._try_interrupting(segment, now)
        elif (
            self._agent is None
            and split_words(heard.text)
            and not self._is_echo(segment, heard.text)
        ):
            self._give_floor(segment)

    def _give_up_waiting(self, now: float) -> None:
        """The final transcript is overdue: go on with the words that are known."""
        for segment in tuple(self._segments.values()):
            if segment.final_due_at is not None and segment.final_due_at <= now:
                self._last_final = max(self._last_final, segment.recogniser_number)
                silent = DropReason.NO_TRANSCRIPT
                self._settle(segment, segment.text, None, now, if_empty=silent)

    def _settle(
        self,
        segment: _Segment,
        text: str,
        confidence: float | None,
        now: float,
        *,
        if_empty: DropReason = DropReason.NOTHING_SAID,
    ) -> None:
        """Close a segment: it becomes a turn, or is dropped."""
        if segment.voice_ended_at is None:
            segment.voice_ended_at = now
        del self._segments[segment.number]
        if segment.has_interrupted and not split_words(text):
            text = segment.text  # the agent fell silent for these words
        why = self._objection(segment, text) if split_words(text) else if_empty
        if why is None:
            self._end_turn(segment, text, confidence, now)
        else:
            self._actions.append(TurnDropped(segment=segment.number, why=why))
            self._resume(now)
        if segment is self._current:
            self._current = self._endpoint_at = None
            if self._voice_since is not None:
                # The recogniser has cut into a voice that goes on: a new segment.
                self._begin_segment(now)
                self._check_at = now + self._settings.barge_in_min_duration_s

    def _end_turn(
        self, segment: _Segment, text: str, confidence: float | None, now: float
    ) -> None:
        assert segment.voice_ended_at is not None
        turn = CallerTurnEnded(
            segment=segment.number,
            text=text,
            confidence=confidence,
            voice_began_at=segment.voice_began_at,
            voice_ended_at=segment.voice_ended_at,
        )
        if self._agent is not None and not self._settings.barge_in_enabled:
            self._held.append((segment, turn))
            return
        if self._can_interrupt() and self._overlaps_agent(segment):
            self._interrupt(segment, now)
        self._announce(segment, turn)

    def _announce(self, segment: _Segment, turn: CallerTurnEnded) -> None:
        self._give_floor(segment)
        self._actions.append(turn)
        self._is_agent_awaited = True

    def _give_floor(self, segment: _Segment) -> None:
        if not segment.is_turn:
            segment.is_turn = True
            self._actions.append(
                CallerTurnBegan(
                    segment=segment.number, voice_began_at=segment.voice_began_at
                )
            )

    def _objection(self, segment: _Segment, text: str) -> DropReason | None:
        """Return why these words make no turn, or None where they do."""
        if segment.has_interrupted:
            return None
        agent, ended_at = self._agent, segment.voice_ended_at
        assert ended_at is not None
        if ended_at <= self._protected_until or (agent and agent.is_protected):
            return DropReason.PROTECTED
        if self._is_echo(segment, text):
            return DropReason.ECHO
        if not self._overlaps_agent(segment):
            return None
        wants = count_words_beyond(split_words(text), self._settings.backchannels)
        if wants == 0:
            return DropReason.BACKCHANNEL
        if not self._settings.barge_in_enabled or segment.is_unasked:
            return None
        shortest = segment.voice_began_at + self._settings.barge_in_min_duration_s
        if ended_at < shortest or wants < self._settings.barge_in_min_words:
            return DropReason.TOO_LITTLE
        return None

    def _is_echo(self, segment: _Segment, text: str) -> bool:
        """Say whether these words are the agent's own, come back.

        The caller, too, takes up words of the agent ("Tuesday or Wednesday?"), so the
        fewer words there are and the later they come, the closer the match must be.
        """
        heard = split_words(text)
        is_over_agent = self._overlaps_agent(segment)
        began_at = segment.voice_began_at
        if not is_over_agent:
            if began_at > self._agent_ended_at + self._settings.echo_tail_s:
                return False
            if began_at > self._agent_ended_at and len(heard) < _TAIL_ECHO_WORDS:
                return False
            if len(heard) <= _SHORT_WORDS:
                return self._spoken.ends_with(heard)
        return self._spoken.similarity(heard) >= self._settings.echo_similarity

    # -- the agent ---------------------------------------------------------------------

    def _can_interrupt(self) -> bool:
        return (
            self._agent is not None
            and not self._agent.is_protected
            and self._settings.barge_in_enabled
        )

    def _overlaps_agent(self, segment: _Segment) -> bool:
        """Say whether the agent speaks, and spoke already during this voice."""
        return self._agent is not None and (
            segment.voice_ended_at is None
            or segment.voice_ended_at > self._agent.began_at
        )

    def _try_interrupting(self, segment: _Segment, now: float) -> bool:
        """Interrupt the agent if voice and known words suffice; say whether."""
        assert self._agent is not None
        until = now if segment.voice_ended_at is None else segment.voice_ended_at
        since = max(segment.voice_began_at, self._agent.began_at)
        words = split_words(segment.text)
        if (
            until < since + self._settings.barge_in_min_duration_s
            or count_words_beyond(words, self._settings.backchannels)
            < max(self._settings.barge_in_min_words, 1)
            or self._is_echo(segment, segment.text)
        ):
            return False
        self._interrupt(segment, now)
        self._give_floor(segment)
        return True

    def _interrupt(self, segment: _Segment, now: float) -> None:
        assert self._agent is not None
        self._actions.append(InterruptAgent(utterance_id=self._agent.utterance_id))
        segment.has_interrupted = True
        self._check_at = None
        self._leave_agent(now)

    def _pause_at(self) -> float | None:
        """Return when voice without known words pauses the agent, if it will."""
        agent, segment = self._agent, self._current
        if (
            agent is None
            or segment is None
            or self._voice_since is None
            or agent.paused_at is not None
            or self._is_pause_spent
            or not self._can_interrupt()
            or split_words(segment.text)
        ):
            return None
        since = max(self._voice_since, agent.began_at)
        return since + self._settings.barge_in_confirm_s

    def _pause(self, now: float) -> None:
        assert self._agent is not None
        self._agent.paused_at = now
        self._actions.append(PauseAgent(utterance_id=self._agent.utterance_id))

    def _resume_at(self) -> float | None:
        """Return when a paused agent goes on, if nothing else happens."""
        if self._agent is None or self._agent.paused_at is None:
            return None
        since = self._agent.paused_at
        if self._voice_since is None:
            since = max(since, self._voice_ended_at)
        return since + self._settings.false_interruption_s

    def _resume(self, now: float) -> None:  # noqa: ARG002 - a deadline's signature
        """Let a paused agent go on; does nothing to one that is not paused."""
        if self._agent is not None and self._agent.paused_at is not None:
            self._agent.paused_at = None
            self._is_pause_spent = True
            self._actions.append(ResumeAgent(utterance_id=self._agent.utterance_id))

    def _on_agent_began(self, began: AgentSpeechBegan, now: float) -> None:
        if began.utterance_id in self._over:
            return
        if self._agent is not None:
            if self._agent.utterance_id == began.utterance_id:
                return
            self._leave_agent(now)
        self._agent = _AgentSpeech(
            utterance_id=began.utterance_id,
            is_protected=began.is_protected,
            began_at=now,
        )
        self._is_agent_awaited = False
        self._is_pause_spent = False
        if self._voice_since is not None:
            self._check_at = now + self._settings.barge_in_min_duration_s

    def _on_agent_finished(self, utterance_id: str, now: float) -> None:
        if self._agent is None or self._agent.utterance_id != utterance_id:
            self._over.append(utterance_id)
            return
        self._leave_agent(now)
        if self._voice_since is not None:
            lasted_at = self._voice_since + self._settings.barge_in_min_duration_s
            self._check_at = max(now, lasted_at)
        for segment, turn in self._held:
            self._announce(segment, turn)
        self._held.clear()

    def _leave_agent(self, now: float) -> None:
        """Take it that the agent is silent from now on."""
        assert self._agent is not None
        if self._agent.is_protected:
            self._protected_until = now
        self._agent_ended_at = now
        self._over.append(self._agent.utterance_id)
        self._agent = None
