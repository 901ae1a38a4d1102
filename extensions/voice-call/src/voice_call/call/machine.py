"""The life of ONE call, sans-I/O.

`CallMachine` takes events (what happened) and commands (what somebody wants) together
with the time, and answers with actions (what the world should do). It reads no clock,
opens no socket and knows no carrier. The same inputs at the same times give the same
call again, which is how a call is rebuilt from the journal.

How far a call is, is data: `TRANSITIONS` says which event moves it where. An event that
has no place in the table for the present phase is answered with `Ignored`; nothing
remote ever raises. `ended` is absorbing and announced once. What the two sides say is
the business of `Dialogue`.

Ending has two steps. When we want out, the phase becomes `ending`, a `Hangup` action
goes out and is repeated until the carrier confirms, within `hangup_confirm_s`; the cause
we had in mind stays the cause. When the carrier says that the call is over, it is over.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, assert_never

from voice_call.call.actions import (
    AnswerCall,
    Ask,
    CallAction,
    CallCommand,
    CallEnded,
    Dial,
    End,
    Hangup,
    Ignored,
    PhaseChanged,
    RejectCall,
    Say,
    SendDigits,
    SendKeys,
)
from voice_call.call.dialogue import Dialogue
from voice_call.call.events import (
    AgentReplied,
    AgentSpeechEnded,
    AgentSpeechStarted,
    Answered,
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
    StreamClosed,
    StreamOpened,
)
from voice_call.call.model import (
    CallPhase,
    CallState,
    CarrierCallId,
    EndCause,
    EndedBy,
    Ending,
    MediaPhase,
    StreamId,
    TranscriptEntry,
    flat_state,
)
from voice_call.call.timers import CallTimer, Timers
from voice_call.errors import CallOver, NotConnected, TurnInProgress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_call.call.setup import CallSetup

__all__ = ["TRANSITIONS", "CallMachine"]

_CONVERSATION: Mapping[type[CallEvent], CallPhase] = dict.fromkeys(
    (
        StreamOpened,
        StreamClosed,
        MachineDetected,
        DigitPressed,
        CallerSpoke,
        AgentSpeechStarted,
        AgentSpeechEnded,
        AgentReplied,
        ReplyFailed,
    ),
    CallPhase.ANSWERED,
)

TRANSITIONS: Mapping[CallPhase, Mapping[type[CallEvent], CallPhase]] = MappingProxyType(
    {
        CallPhase.OFFERED: {
            Offered: CallPhase.OFFERED,
            Ringing: CallPhase.OFFERED,
            Answered: CallPhase.ANSWERED,
            # A stream proves that the call was answered, whatever is still under way.
            StreamOpened: CallPhase.ANSWERED,
            CarrierEnded: CallPhase.ENDED,
        },
        CallPhase.DIALING: {
            Dialed: CallPhase.DIALING,
            DialFailed: CallPhase.ENDED,
            Ringing: CallPhase.RINGING,
            Answered: CallPhase.ANSWERED,
            StreamOpened: CallPhase.ANSWERED,
            CarrierEnded: CallPhase.ENDED,
        },
        CallPhase.RINGING: {
            # The carrier's webhook can overtake the answer to our own request.
            Dialed: CallPhase.RINGING,
            Answered: CallPhase.ANSWERED,
            StreamOpened: CallPhase.ANSWERED,
            CarrierEnded: CallPhase.ENDED,
        },
        CallPhase.ANSWERED: {
            Dialed: CallPhase.ANSWERED,
            CarrierEnded: CallPhase.ENDED,
            **_CONVERSATION,
        },
        CallPhase.ENDING: {
            # A dial that succeeds after we gave up must be hung up again.
            Dialed: CallPhase.ENDING,
            DialFailed: CallPhase.ENDED,
            HangupFailed: CallPhase.ENDING,
            AgentSpeechEnded: CallPhase.ENDING,
            StreamClosed: CallPhase.ENDING,
            CarrierEnded: CallPhase.ENDED,
        },
        CallPhase.ENDED: {},
    }
)
"""From each phase, which event leads where; what is not listed has no effect."""


class CallMachine:
    """One call.

    Attributes:
        setup: What was fixed before it began.
        phase: How far it is.
        media: Whether its audio flows.
        carrier_call_id: The carrier's newest id of it, None until known.
        stream_id: The media stream that counts now, if any.
        started_at: When it began, in seconds since 1970.
        answered_at: When it was answered, or None.
        ended_at: When it ended, or None.
        ending: How it ended, None while it lives.
    """

    def __init__(self, setup: CallSetup, *, now: float) -> None:
        self.setup = setup
        self.phase = CallPhase.DIALING if setup.is_outbound else CallPhase.OFFERED
        self.media = MediaPhase.NONE
        self.carrier_call_id: CarrierCallId | None = None
        self.stream_id: StreamId | None = None
        self.started_at = now
        self.answered_at: float | None = None
        self.ended_at: float | None = None
        self.ending: Ending | None = None
        self._timers = Timers()
        self._out: list[CallAction] = []
        self._dialogue = Dialogue(setup, self._timers, self._out.append, self._hang_up)
        self._wanted: Ending | None = None
        self._dial_doubt: DialFailed | None = None
        self._is_started = False

    # -- what the call looks like ------------------------------------------------------

    @property
    def state(self) -> CallState:
        """The flat public state."""
        return flat_state(self.phase, self.media, self._dialogue.turn, self.ending)

    @property
    def transcript(self) -> tuple[TranscriptEntry, ...]:
        """What was said so far, oldest first."""
        return tuple(self._dialogue.transcript)

    @property
    def is_over(self) -> bool:
        """Return True once the call has ended."""
        return self.phase is CallPhase.ENDED

    @property
    def is_ending(self) -> bool:
        """Return True once the call has ended, or is about to."""
        return self.phase in (CallPhase.ENDING, CallPhase.ENDED)

    def next_deadline(self) -> float | None:
        """Return when `tick` has something to do next, None if never."""
        return self._timers.next()

    def require_connected(self) -> None:
        """Make sure that somebody is there to be spoken to.

        Raises:
            CallOver: The call has ended, or is about to.
            NotConnected: Nobody has picked up yet.
        """
        if self.is_ending:
            raise CallOver("This call has ended; place a new one.")
        if self.phase is not CallPhase.ANSWERED:
            raise NotConnected("Nobody has picked up yet; try again when they have.")

    # -- inputs ------------------------------------------------------------------------

    def start(self, *, now: float) -> tuple[CallAction, ...]:
        """Begin an outbound call; an inbound one begins with `Offered`.

        Dials once: starting again, or after the call was given up, does nothing.
        """
        is_due = self.phase is CallPhase.DIALING and not self._is_started
        self._is_started = True
        if is_due:
            self._arm_ring(now)
            self._out.append(Dial())
        return self._drain()

    def receive(self, event: CallEvent, *, now: float) -> tuple[CallAction, ...]:
        """Take one event. Never raises, whatever the order of events."""
        after = TRANSITIONS[self.phase].get(type(event))
        if after is None:
            self._ignore(event, f"it has no meaning while the call is {self.phase}")
        elif isinstance(event, DialFailed) and event.may_have_dialed:
            # The call may be ringing all the same: its news, or a timer, decide.
            self._dial_doubt = event
        else:
            self._effect(event, now)
            self._move(after, now)
        return self._drain()

    def request(self, command: CallCommand, *, now: float) -> tuple[CallAction, ...]:
        """Take one command.

        Raises:
            CallOver: The call has ended, or is about to.
            NotConnected: Nobody has picked up yet.
            TurnInProgress: A `continue` waits already.
        """
        if isinstance(command, End):
            self._hang_up(command.cause, command.by, now)
            return self._drain()
        self.require_connected()
        match command:
            case Say():
                self._dialogue.say(command)
            case Ask():
                if self._dialogue.is_asking:
                    raise TurnInProgress(
                        "This call waits already for an answer; "
                        "wait for it before you continue."
                    )
                self._dialogue.ask(command)
            case SendDigits():
                self._out.append(SendKeys(digits=command.digits))
            case _:
                assert_never(command)
        return self._drain()

    def tick(self, now: float) -> tuple[CallAction, ...]:
        """Let every deadline that has passed take effect."""
        while (timer := self._timers.pop_due(now)) is not None:
            self._fire(timer, now)
        return self._drain()

    # -- effects of events -------------------------------------------------------------

    def _effect(self, event: CallEvent, now: float) -> None:
        match event:
            case Offered():
                self._on_offered(now)
            case Dialed():
                self.carrier_call_id = event.carrier_call_id
                self._repeat_hangup()
            case DialFailed():
                self._end(
                    Ending(
                        cause=EndCause.FAILED,
                        by=EndedBy.CARRIER,
                        carrier_code=event.carrier_code,
                        detail=event.detail,
                    ),
                    now,
                )
            case CarrierEnded():
                self._end(
                    Ending(
                        cause=event.cause, by=event.by, carrier_code=event.carrier_code
                    ),
                    now,
                )
            case HangupFailed():
                self._timers.arm(
                    CallTimer.HANGUP_RETRY, now + self.setup.limits.hangup_retry_s
                )
            case StreamOpened():
                self._on_stream_opened(event, now)
            case StreamClosed():
                self._on_stream_closed(event, now)
            case Ringing() | Answered():
                pass  # the transition itself is the effect
            case _:
                self._dialogue.receive(event, now)

    def _on_offered(self, now: float) -> None:
        refusal = self.setup.refusal
        if refusal is None:
            self._arm_ring(now)
            self._out.append(AnswerCall())
            return
        self._want(Ending(cause=refusal.cause, by=EndedBy.SYSTEM), now)
        self._out.append(RejectCall(cause=refusal.cause, notice=refusal.notice))

    def _on_stream_opened(self, event: StreamOpened, now: float) -> None:
        self.stream_id = event.stream_id
        self.media = MediaPhase.OPEN
        self._timers.disarm(CallTimer.STREAM_GRACE, CallTimer.STREAM_WAIT)
        if self.phase is CallPhase.ANSWERED:
            self._dialogue.open(now)

    def _on_stream_closed(self, event: StreamClosed, now: float) -> None:
        if event.stream_id != self.stream_id or self.media is not MediaPhase.OPEN:
            self._ignore(event, "it is not the stream that is open")
            return
        self.media = MediaPhase.CLOSED
        self._dialogue.interrupt_line()
        if self.phase is CallPhase.ANSWERED:
            self._timers.arm(
                CallTimer.STREAM_GRACE, now + self.setup.limits.stream_grace_s
            )

    # -- phases ------------------------------------------------------------------------

    def _move(self, after: CallPhase, now: float) -> None:
        """Change the phase, unless the event's own effect has gone further already."""
        before = self.phase
        if after is before or before in (CallPhase.ENDED, CallPhase.ENDING):
            return
        self._set_phase(after)
        if after is CallPhase.ANSWERED:
            self._on_answered(now)

    def _set_phase(self, after: CallPhase) -> None:
        before, self.phase = self.phase, after
        self._out.append(PhaseChanged(before=before, after=after))

    def _on_answered(self, now: float) -> None:
        limits, refusal = self.setup.limits, self.setup.refusal
        self.answered_at = now
        self._timers.disarm(CallTimer.RING)
        if refusal is not None:  # answered by someone else, or news out of order
            self._hang_up(refusal.cause, EndedBy.SYSTEM, now)
            return
        self._timers.arm(CallTimer.MAX_DURATION, now + limits.max_duration_s)
        if not self.setup.has_streams or self.media is MediaPhase.OPEN:
            self._dialogue.open(now)
            return
        self.media = MediaPhase.CONNECTING
        self._timers.arm(CallTimer.STREAM_WAIT, now + limits.stream_wait_s)

    # -- ending ------------------------------------------------------------------------

    def _hang_up(self, cause: EndCause, by: EndedBy, now: float) -> None:
        """Want the call to end; harmless where it is ending or has ended."""
        if self.is_ending:
            return
        self._want(Ending(cause=cause, by=by), now)
        self._out.append(Hangup(cause=cause, by=by))

    def _repeat_hangup(self) -> None:
        """Ask the carrier once more, where we want the call to end."""
        if self._wanted is not None:
            self._out.append(Hangup(cause=self._wanted.cause, by=self._wanted.by))

    def _want(self, ending: Ending, now: float) -> None:
        self._wanted = ending
        self._timers.clear()
        self._timers.arm(
            CallTimer.HANGUP_CONFIRM, now + self.setup.limits.hangup_confirm_s
        )
        self._dialogue.close()
        self._set_phase(CallPhase.ENDING)

    def _end(self, ending: Ending, now: float) -> None:
        if self._wanted is not None:
            ending = Ending(
                cause=self._wanted.cause,
                by=self._wanted.by,
                carrier_code=ending.carrier_code,
                detail=self._wanted.detail or ending.detail,
            )
        self.ending = ending
        self.ended_at = now
        self.media = (
            MediaPhase.NONE if self.media is MediaPhase.NONE else MediaPhase.CLOSED
        )
        self._timers.clear()
        self._dialogue.close()
        self._set_phase(CallPhase.ENDED)
        self._out.append(CallEnded(ending=ending))

    # -- deadlines ---------------------------------------------------------------------

    def _fire(self, timer: CallTimer, now: float) -> None:
        match timer:
            case CallTimer.RING:
                self._on_ring_timeout(now)
            case CallTimer.MAX_DURATION:
                self._hang_up(EndCause.MAX_DURATION, EndedBy.SYSTEM, now)
            case CallTimer.STREAM_WAIT | CallTimer.STREAM_GRACE:
                self._hang_up(EndCause.MEDIA_LOST, EndedBy.SYSTEM, now)
            case CallTimer.HANGUP_RETRY:
                self._repeat_hangup()
            case CallTimer.HANGUP_CONFIRM:
                self._end(
                    Ending(
                        cause=EndCause.ERROR,
                        by=EndedBy.SYSTEM,
                        detail="the carrier never confirmed the hang-up",
                    ),
                    now,
                )
            case _:
                self._dialogue.fire(timer, now)

    def _on_ring_timeout(self, now: float) -> None:
        doubt = self._dial_doubt
        if doubt is None or self.phase is not CallPhase.DIALING:
            self._hang_up(EndCause.NO_ANSWER, EndedBy.SYSTEM, now)
            return
        self._end(
            Ending(
                cause=EndCause.FAILED,
                by=EndedBy.CARRIER,
                carrier_code=doubt.carrier_code,
                detail=doubt.detail,
            ),
            now,
        )

    # -- small things ------------------------------------------------------------------

    def _arm_ring(self, now: float) -> None:
        limits = self.setup.limits
        self._timers.arm(
            CallTimer.RING, now + limits.ring_timeout_s + limits.ring_margin_s
        )

    def _ignore(self, event: CallEvent, why: str) -> None:
        self._out.append(Ignored(event=event, why=why))

    def _drain(self) -> tuple[CallAction, ...]:
        actions = tuple(self._out)
        self._out.clear()
        return actions
