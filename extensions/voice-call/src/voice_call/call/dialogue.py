"""Who says what, once a call is connected: opening, prompts, replies, keys.

The dialogue of ONE call, pure. It is a part of the call machine (`machine.py`), which
owns signalling and hands it the events that are about words. Rules:

- The opening is spoken exactly once, whichever comes first, the answer or the media
  stream; a failed or lost attempt is made up for, a heard one never repeated.
- One `continue` at a time. Its answer is what the other side says after the prompt has
  begun to play.
- Otherwise each turn of the caller starts one reply of the agent, and makes an older
  reply void. What was said and never answered is handed to the agent again.
- An agent that fails is apologised for; an agent that takes long is covered by a cue;
  an agent that wants to hang up waits until its last word was heard.
- A machine that picks up gets the opening after its beep, and nothing else.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, assert_never

from voice_call.call.actions import (
    Ask,
    AskFailed,
    AskResolved,
    CallAction,
    FailureCode,
    Ignored,
    Listen,
    Say,
    Speak,
    SpeechKind,
    StartReply,
    TakeBack,
    TranscriptAdded,
)
from voice_call.call.events import (
    AgentReplied,
    AgentSpeechEnded,
    AgentSpeechStarted,
    AnsweredBy,
    CallerSpoke,
    CallEvent,
    DigitPressed,
    MachineDetected,
    ReplyFailed,
    SpeechOutcome,
)
from voice_call.call.model import (
    CallMode,
    Digit,
    EndCause,
    EndedBy,
    Speaker,
    TranscriptEntry,
    TurnPhase,
)
from voice_call.call.timers import CallTimer, Timers

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_call.call.setup import CallSetup

__all__ = ["Dialogue", "DialogueTimer"]

DialogueTimer = Literal[
    CallTimer.NOTIFY_TAIL,
    CallTimer.TRANSCRIPT,
    CallTimer.DEAD_AIR,
    CallTimer.DIGITS,
    CallTimer.MACHINE_BEEP,
]
"""The deadlines that are about words."""

_OPENING_ID = "opening"
_OPENING_ATTEMPTS = 2
_FILLERS_PER_REPLY = 3
_FILLER_SPACING = 3
"""Cues come this many times further apart than the first one came late."""
_REMEMBERED_UTTERANCES = 64


@dataclass(slots=True, kw_only=True)
class _Utterance:
    """Something of ours that is queued or playing; changes as it plays."""

    kind: SpeechKind
    started_at: float | None = None
    is_taken_back: bool = False


@dataclass(slots=True, kw_only=True)
class _Ask:
    """A `continue` that waits; changes when its prompt begins to play."""

    ask_id: str
    is_prompted: bool = False


@dataclass(slots=True, kw_only=True)
class _Reply:
    """The agent's current reply; changes as it comes in."""

    reply_id: str
    covers: int
    fillers: int = 0
    has_started: bool = False
    was_heard: bool = False
    outcome: AgentReplied | None = None


class Dialogue:
    """The words of one call.

    Attributes:
        transcript: What was said so far, oldest first.
    """

    def __init__(
        self,
        setup: CallSetup,
        timers: Timers,
        emit: Callable[[CallAction], None],
        hang_up: Callable[[EndCause, EndedBy, float], None],
    ) -> None:
        """Take the call's setup, its timers, and two ways out.

        Args:
            setup: What is fixed about the call.
            timers: Shared with the call machine.
            emit: Takes what the dialogue asks of the world.
            hang_up: Ends the call: cause, by whom, now.
        """
        self.transcript: list[TranscriptEntry] = []
        self._setup = setup
        self._timers = timers
        self._emit = emit
        self._hang_up = hang_up
        self._is_open = False
        self._opening = setup.opening
        self._opening_attempts = 0
        self._held: list[Speak] = []
        self._speech: dict[str, _Utterance] = {}
        self._ask: _Ask | None = None
        self._reply: _Reply | None = None
        self._spoken = 0
        self._unanswered: list[str] = []
        self._recent: deque[str] = deque(maxlen=_REMEMBERED_UTTERANCES)
        self._keys: list[Digit] = []
        self._is_machine = False
        self._awaits_beep = False
        self._has_beeped = False

    # -- what the call looks like ------------------------------------------------------

    @property
    def turn(self) -> TurnPhase:
        """Who has the floor."""
        if any(each.started_at is not None for each in self._speech.values()):
            return TurnPhase.AGENT_SPEAKING
        if self._reply is not None:
            return TurnPhase.AWAITING_AGENT
        if self._ask is not None or self.transcript:
            return TurnPhase.CALLER_SPEAKING
        return TurnPhase.IDLE

    @property
    def is_asking(self) -> bool:
        """Return True while a `continue` waits."""
        return self._ask is not None

    # -- the line opens and closes -----------------------------------------------------

    def open(self, now: float) -> None:
        """The other side can hear us now."""
        self._is_open = True
        self._speak_opening(now)
        held, self._held = self._held, []
        for speak in held:
            self._emit(speak)
        if self._unanswered and self._reply is None:
            self._start_reply(now)  # the answer was lost with the last stream

    def interrupt_line(self) -> None:
        """The other side cannot hear us any more; it may come back."""
        self._is_open = False

    def close(self) -> None:
        """The call is over; whoever waits is told."""
        self._is_open = False
        self._fail_ask(FailureCode.CALL_ENDED, "the call has ended")

    # -- commands ----------------------------------------------------------------------

    def say(self, command: Say) -> None:
        """Say something, now or as soon as the line is open."""
        self._speak(command.utterance_id, command.text, SpeechKind.SAY)

    def ask(self, command: Ask) -> None:
        """Say something and wait for the answer."""
        self._ask = _Ask(ask_id=command.ask_id)
        self._drop_reply()
        self._unanswered.clear()
        self._speak(command.ask_id, command.text, SpeechKind.PROMPT)

    # -- events ------------------------------------------------------------------------

    def receive(
        self,
        event: (
            CallerSpoke
            | DigitPressed
            | MachineDetected
            | AgentSpeechStarted
            | AgentSpeechEnded
            | AgentReplied
            | ReplyFailed
        ),
        now: float,
    ) -> None:
        """Take one event that is about words."""
        match event:
            case CallerSpoke():
                self._on_caller_spoke(event, now)
            case DigitPressed():
                self._on_digit(event, now)
            case MachineDetected():
                self._on_machine(event, now)
            case AgentSpeechStarted():
                self._on_speech_started(event, now)
            case AgentSpeechEnded():
                self._on_speech_ended(event, now)
            case AgentReplied():
                self._on_replied(event, now)
            case ReplyFailed():
                self._on_reply_failed(event)
            case _:
                assert_never(event)

    def fire(self, timer: DialogueTimer, now: float) -> None:
        """One of the dialogue's own deadlines has passed."""
        match timer:
            case CallTimer.NOTIFY_TAIL:
                cause = EndCause.MACHINE if self._is_machine else EndCause.NORMAL
                self._hang_up(cause, EndedBy.SYSTEM, now)
            case CallTimer.TRANSCRIPT:
                wait_ms = round(self._setup.limits.transcript_timeout_s * 1000)
                self._fail_ask(
                    FailureCode.TRANSCRIPT_TIMEOUT,
                    f"nothing was said within {wait_ms} ms",
                )
            case CallTimer.DEAD_AIR:
                self._cover_dead_air(now)
            case CallTimer.DIGITS:
                self._take_keys(now)
            case CallTimer.MACHINE_BEEP:
                self._hang_up(EndCause.MACHINE, EndedBy.SYSTEM, now)
            case _:
                assert_never(timer)

    # -- the caller's turns ------------------------------------------------------------

    def _on_caller_spoke(self, event: CallerSpoke, now: float) -> None:
        if event.utterance_id in self._recent:
            self._ignore(event, "this utterance was reported before")
            return
        self._recent.append(event.utterance_id)
        token = event.turn_token
        if token is not None and self._ask is not None and token != self._ask.ask_id:
            self._ignore(event, "it answers an earlier turn")
            return
        began_at = now if event.began_at is None else event.began_at
        self._take_turn(event.text, event.text, began_at, now)

    def _on_digit(self, event: DigitPressed, now: float) -> None:
        if event.digit is Digit.POUND and self._keys:
            self._timers.disarm(CallTimer.DIGITS)
            self._take_keys(now)
            return
        self._keys.append(event.digit)
        self._timers.arm(CallTimer.DIGITS, now + self._setup.limits.digits_pause_s)

    def _take_keys(self, now: float) -> None:
        keys = "".join(self._keys)
        self._keys.clear()
        self._take_turn(f"[pressed {keys}]", keys, now, now)

    def _take_turn(self, text: str, answer: str, began_at: float, now: float) -> None:
        self._add_entry(TranscriptEntry(at=began_at, speaker=Speaker.CALLER, text=text))
        if self._ask is not None:
            if self._ask.is_prompted:
                self._emit(AskResolved(ask_id=self._ask.ask_id, text=answer))
                self._forget_ask()
            return
        if self._setup.mode is CallMode.NOTIFY or self._is_machine:
            return
        self._unanswered.append(text)
        self._start_reply(now)

    # -- `continue` --------------------------------------------------------------------

    def _fail_ask(self, code: FailureCode, detail: str) -> None:
        if self._ask is not None:
            self._emit(AskFailed(ask_id=self._ask.ask_id, code=code, detail=detail))
            self._forget_ask()

    def _forget_ask(self) -> None:
        self._ask = None
        self._timers.disarm(CallTimer.TRANSCRIPT)

    # -- the agent's replies -----------------------------------------------------------

    def _start_reply(self, now: float) -> None:
        self._drop_reply()
        self._spoken += 1
        reply = _Reply(reply_id=f"reply-{self._spoken}", covers=len(self._unanswered))
        self._reply = reply
        self._speech[reply.reply_id] = _Utterance(kind=SpeechKind.REPLY)
        self._emit(StartReply(reply_id=reply.reply_id, heard=tuple(self._unanswered)))
        self._expect_sound(now, self._setup.limits.dead_air_s)

    def _drop_reply(self) -> None:
        if self._reply is not None:
            self._emit(TakeBack(utterance_id=self._reply.reply_id))
            self._end_reply()

    def _end_reply(self) -> None:
        self._reply = None
        self._timers.disarm(CallTimer.DEAD_AIR)

    def _on_replied(self, event: AgentReplied, now: float) -> None:
        reply = self._reply
        if reply is None or reply.reply_id != event.reply_id:
            self._ignore(event, "the reply is void")
            return
        reply.outcome = event
        if not event.has_words:
            self._speech.pop(reply.reply_id, None)
            reply.was_heard = True
        self._settle_reply(reply, now)

    def _settle_reply(self, reply: _Reply, now: float) -> None:
        if reply.outcome is None or not reply.was_heard:
            return
        del self._unanswered[: reply.covers]
        self._end_reply()
        if reply.outcome.ends_call:
            self._hang_up(EndCause.NORMAL, EndedBy.AGENT, now)

    def _on_reply_failed(self, event: ReplyFailed) -> None:
        if self._reply is None or self._reply.reply_id != event.reply_id:
            self._ignore(event, "the reply is void")
            return
        self._drop_reply()
        self._apologise()

    def _apologise(self) -> None:
        self._unanswered.clear()
        self._spoken += 1
        self._speak(
            f"apology-{self._spoken}", self._setup.phrases.apology, SpeechKind.APOLOGY
        )

    def _expect_sound(self, now: float, wait_s: float) -> None:
        if wait_s > 0:
            self._timers.arm(CallTimer.DEAD_AIR, now + wait_s)

    def _cover_dead_air(self, now: float) -> None:
        reply = self._reply
        if reply is None or reply.has_started or reply.fillers >= _FILLERS_PER_REPLY:
            return
        if not self._is_open:  # a held cue would come too late
            self._expect_sound(now, self._setup.limits.dead_air_s)
            return
        reply.fillers += 1
        self._speak(
            f"{reply.reply_id}-filler-{reply.fillers}",
            self._setup.phrases.filler,
            SpeechKind.FILLER,
        )
        self._expect_sound(now, _FILLER_SPACING * self._setup.limits.dead_air_s)

    # -- our own speech ----------------------------------------------------------------

    def _speak(self, utterance_id: str, text: str, kind: SpeechKind) -> None:
        is_opening = kind is SpeechKind.OPENING
        speak = Speak(
            utterance_id=utterance_id,
            text=text,
            kind=kind,
            is_protected=is_opening and self._setup.is_outbound,
        )
        self._speech[utterance_id] = _Utterance(kind=kind)
        if self._is_open:
            self._emit(speak)
        else:
            self._held.append(speak)

    def _speak_opening(self, now: float) -> None:
        if (
            self._opening is None
            or self._awaits_beep
            or not self._is_open
            or _OPENING_ID in self._speech
        ):
            return
        if self._opening_attempts >= _OPENING_ATTEMPTS:
            self._give_up_opening(now)
            return
        self._speak(_OPENING_ID, self._opening, SpeechKind.OPENING)

    def _give_up_opening(self, now: float) -> None:
        self._opening = None
        if self._setup.mode is CallMode.NOTIFY or self._is_machine:
            self._hang_up(EndCause.ERROR, EndedBy.SYSTEM, now)

    def _on_speech_started(self, event: AgentSpeechStarted, now: float) -> None:
        utterance = self._speech.get(event.utterance_id)
        if utterance is None or utterance.started_at is not None:
            self._ignore(event, "no such speech is about to start")
            return
        utterance.started_at = now
        if self._ask is not None and self._ask.ask_id == event.utterance_id:
            self._ask.is_prompted = True
        if self._reply is not None and self._reply.reply_id == event.utterance_id:
            self._reply.has_started = True
            self._timers.disarm(CallTimer.DEAD_AIR)

    def _on_speech_ended(self, event: AgentSpeechEnded, now: float) -> None:
        utterance = self._speech.pop(event.utterance_id, None)
        if utterance is None:
            self._ignore(event, "no such speech is going on")
            return
        if event.heard and utterance.kind is not SpeechKind.FILLER:
            self._add_entry(
                TranscriptEntry(
                    at=now if utterance.started_at is None else utterance.started_at,
                    speaker=Speaker.AGENT,
                    text=event.heard,
                    is_cut=event.outcome is not SpeechOutcome.PLAYED,
                )
            )
        match utterance.kind:
            case SpeechKind.OPENING if utterance.is_taken_back:
                self._speak_opening(now)  # however far it came, a machine drowned it
            case SpeechKind.OPENING:
                self._after_opening(event.outcome, now)
            case SpeechKind.PROMPT:
                self._after_prompt(event, now)
            case SpeechKind.REPLY:
                self._after_reply(event, now)
            case SpeechKind.APOLOGY:
                if event.outcome is SpeechOutcome.FAILED:
                    self._hang_up(EndCause.ERROR, EndedBy.SYSTEM, now)
            case SpeechKind.SAY | SpeechKind.FILLER | SpeechKind.NOTICE:
                pass
            case _:
                assert_never(utterance.kind)

    def _after_opening(self, outcome: SpeechOutcome, now: float) -> None:
        if outcome in (SpeechOutcome.CANCELLED, SpeechOutcome.FAILED):
            self._opening_attempts += outcome is SpeechOutcome.FAILED
            self._speak_opening(now)
            return
        self._opening = None
        if self._setup.mode is CallMode.NOTIFY or self._is_machine:
            self._timers.arm(
                CallTimer.NOTIFY_TAIL, now + self._setup.limits.notify_tail_s
            )

    def _after_prompt(self, event: AgentSpeechEnded, now: float) -> None:
        if self._ask is None or self._ask.ask_id != event.utterance_id:
            return
        if event.outcome in (SpeechOutcome.PLAYED, SpeechOutcome.INTERRUPTED):
            self._ask.is_prompted = True
            self._emit(Listen(turn_token=self._ask.ask_id))
            self._timers.arm(
                CallTimer.TRANSCRIPT, now + self._setup.limits.transcript_timeout_s
            )
            return
        detail = event.detail or "the prompt could not be spoken"
        self._fail_ask(FailureCode.SPEECH_FAILED, detail)

    def _after_reply(self, event: AgentSpeechEnded, now: float) -> None:
        reply = self._reply
        if reply is None or reply.reply_id != event.utterance_id:
            return
        match event.outcome:
            case SpeechOutcome.PLAYED:
                reply.was_heard = True
                self._settle_reply(reply, now)
            case SpeechOutcome.INTERRUPTED:
                if event.heard:
                    del self._unanswered[: reply.covers]
                self._drop_reply()
            case SpeechOutcome.CANCELLED:
                self._drop_reply()
            case SpeechOutcome.FAILED:
                self._drop_reply()
                self._apologise()
            case _:
                assert_never(event.outcome)

    # -- machines ----------------------------------------------------------------------

    def _on_machine(self, event: MachineDetected, now: float) -> None:
        match event.answered_by:
            case AnsweredBy.HUMAN | AnsweredBy.UNKNOWN:
                return
            case AnsweredBy.FAX:
                self._hang_up(EndCause.MACHINE, EndedBy.SYSTEM, now)
            case AnsweredBy.MACHINE_GREETING:
                self._meet_machine(event, now, has_beeped=False)
            case AnsweredBy.MACHINE_BEEP:
                self._meet_machine(event, now, has_beeped=True)
            case _:
                assert_never(event.answered_by)

    def _meet_machine(
        self, event: MachineDetected, now: float, *, has_beeped: bool
    ) -> None:
        if self._has_beeped:
            self._ignore(event, "the machine has beeped already")
            return
        self._is_machine = True
        self._has_beeped = has_beeped
        self._drop_reply()
        if self._setup.opening is None:
            self._hang_up(EndCause.MACHINE, EndedBy.SYSTEM, now)
            return
        if not self._awaits_beep:
            # What was said so far, the machine's greeting has drowned.
            self._opening = self._setup.opening
            self._timers.disarm(CallTimer.NOTIFY_TAIL)
            if _OPENING_ID in self._speech:
                self._speech[_OPENING_ID].is_taken_back = True
                self._emit(TakeBack(utterance_id=_OPENING_ID))
        self._awaits_beep = not has_beeped
        if has_beeped:
            self._timers.disarm(CallTimer.MACHINE_BEEP)
            self._speak_opening(now)
        else:
            self._timers.arm(
                CallTimer.MACHINE_BEEP, now + self._setup.limits.machine_beep_s
            )

    # -- small things ------------------------------------------------------------------

    def _add_entry(self, entry: TranscriptEntry) -> None:
        self.transcript.append(entry)
        self._emit(TranscriptAdded(entry=entry))

    def _ignore(self, event: CallEvent, why: str) -> None:
        self._emit(Ignored(event=event, why=why))
