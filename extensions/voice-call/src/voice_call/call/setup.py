"""What is fixed about a call before it begins."""

from __future__ import annotations

from dataclasses import dataclass, field

from voice_call.call.model import CallId, CallMode, Direction, EndCause

__all__ = ["CallLimits", "CallSetup", "Phrases", "Refusal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """How long a call may wait for things, all in seconds.

    Attributes:
        ring_timeout_s: For an answer, counted from the dial (`ringTimeoutMs`).
        ring_margin_s: On top of that, because the carrier counts the ringing itself
            and its own word for a call that nobody took is better than ours.
        max_duration_s: From the answer to a forced end (`maxDurationSeconds`).
        transcript_timeout_s: For the answer to a `continue`, counted from the moment
            its prompt was heard (`transcriptTimeoutMs`).
        notify_tail_s: From the last word of a one-shot message to the hang-up
            (`outbound.notifyHangupDelaySec`), so that the line does not snap shut.
        stream_wait_s: From the answer to the first media stream.
        stream_grace_s: For a lost stream to come back: networks hiccup, and carriers
            reconnect within a second or two.
        dead_air_s: From the end of the caller's turn to a short cue while the agent
            still works (`deadAirSeconds`); 0 switches the cue off.
        digits_pause_s: After the last key, before the keys count as complete.
        machine_beep_s: For a machine's greeting to end before we give up.
        hangup_retry_s: Between two attempts to hang up.
        hangup_confirm_s: For the carrier's word that a call is over, before it counts
            as over without it.
    """

    ring_timeout_s: float = 30.0
    ring_margin_s: float = 10.0
    max_duration_s: float = 300.0
    transcript_timeout_s: float = 180.0
    notify_tail_s: float = 3.0
    stream_wait_s: float = 10.0
    stream_grace_s: float = 2.0
    dead_air_s: float = 2.0
    digits_pause_s: float = 1.5
    machine_beep_s: float = 40.0
    hangup_retry_s: float = 2.0
    hangup_confirm_s: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """Sentences that the call itself says, in the call's language.

    Attributes:
        filler: Said while the agent takes long.
        apology: Said when the agent or its voice failed.
    """

    filler: str = "One moment, please."
    apology: str = "I am sorry, something went wrong. Could you say that again?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an inbound call is not taken.

    Attributes:
        cause: `POLICY` or `ALL_LINES_BUSY`.
        notice: What the caller hears first, or None.
    """

    cause: EndCause
    notice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSetup:
    """Everything the machine of a call needs to know in advance.

    Attributes:
        call_id: Our id.
        direction: Who placed it.
        mode: What an outbound call is for; inbound calls are conversations.
        opening: The first message, or the greeting; None where nobody speaks first.
        has_streams: True where audio comes and goes over a media stream.
        refusal: Set where an inbound call must not be taken.
        limits: How long to wait for things.
        phrases: What the call itself says.
    """

    call_id: CallId
    direction: Direction
    mode: CallMode = CallMode.CONVERSATION
    opening: str | None = None
    has_streams: bool = True
    refusal: Refusal | None = None
    limits: CallLimits = field(default_factory=CallLimits)
    phrases: Phrases = field(default_factory=Phrases)

    @property
    def is_outbound(self) -> bool:
        """Return True where we placed the call."""
        return self.direction is Direction.OUTBOUND
