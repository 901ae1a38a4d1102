"""Everything that can happen to a call.

Frozen dataclasses in one union. Whatever comes from outside becomes one of these, is
written to the journal, and only then reaches the machine. Late, doubled and impossible
events are normal input: the machine answers them with `Ignored`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from voice_call.call.model import (
    CarrierCallId,
    Digit,
    EndCause,
    EndedBy,
    StreamId,
)

__all__ = [
    "AgentReplied",
    "AgentSpeechEnded",
    "AgentSpeechStarted",
    "Answered",
    "AnsweredBy",
    "CallEvent",
    "CallerSpoke",
    "CarrierEnded",
    "DialFailed",
    "Dialed",
    "DigitPressed",
    "HangupFailed",
    "MachineDetected",
    "Offered",
    "ReplyFailed",
    "Ringing",
    "SpeechOutcome",
    "StreamClosed",
    "StreamOpened",
]


class AnsweredBy(StrEnum):
    """The verdict of answering-machine detection (AMD)."""

    HUMAN = "human"
    MACHINE_GREETING = "machine_greeting"
    """A machine answered; its greeting still plays."""
    MACHINE_BEEP = "machine_beep"
    """The machine's greeting is over; a message can be left now."""
    FAX = "fax"
    UNKNOWN = "unknown"


class SpeechOutcome(StrEnum):
    """How one utterance of the agent ended."""

    PLAYED = "played"
    """The carrier proved that all of it was played."""
    INTERRUPTED = "interrupted"
    """The other side barged in; `heard` says how far it came."""
    CANCELLED = "cancelled"
    """We took it back, or the call ended under it."""
    FAILED = "failed"
    """The speech engine or the stream failed."""


# -- signalling, from the carrier ------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """An inbound call is offered to us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialed:
    """The carrier accepted our dial."""

    carrier_call_id: CarrierCallId


@dataclass(frozen=True, slots=True, kw_only=True)
class DialFailed:
    """The carrier refused our dial, or never answered the request.

    Attributes:
        code: Our stable error code.
        detail: One sentence; no secrets, no numbers.
        carrier_code: The carrier's own code, verbatim.
        may_have_dialed: True where the request may have reached the carrier. Such a
            dial is never sent again.
    """

    code: str
    detail: str
    carrier_code: str | None = None
    may_have_dialed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ringing:
    """The other side's phone rings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Somebody, or something, picked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineDetected:
    """Answering-machine detection has a verdict."""

    answered_by: AnsweredBy


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitPressed:
    """The other side pressed a key."""

    digit: Digit


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierEnded:
    """The carrier says that the call is over.

    Attributes:
        cause: Why, in our words.
        by: Who, as far as the carrier knows.
        carrier_code: The carrier's own word or number, verbatim.
    """

    cause: EndCause
    by: EndedBy
    carrier_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HangupFailed:
    """The carrier did not take our hang-up; it is asked again."""

    code: str
    detail: str


# -- media -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOpened:
    """A media stream of this call is open."""

    stream_id: StreamId


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamClosed:
    """A media stream of this call is gone."""

    stream_id: StreamId


# -- speech ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerSpoke:
    """The other side said something; its turn is over.

    Attributes:
        utterance_id: Unique within the call; the same id again is a repetition.
        text: The final transcript, never blank.
        confidence: 0..1, if the recogniser gives one.
        turn_token: Which listen action this answers, where the carrier echoes one.
        began_at: When the voice began, in seconds since 1970, if known.
    """

    utterance_id: str
    text: str
    confidence: float | None = None
    turn_token: str | None = None
    began_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpeechStarted:
    """The first frame of an utterance of ours has been sent."""

    utterance_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpeechEnded:
    """An utterance of ours is over.

    Attributes:
        utterance_id: Which.
        outcome: How it ended.
        heard: The words that the carrier's marks prove to have been played.
        detail: Why, where it failed.
    """

    utterance_id: str
    outcome: SpeechOutcome
    heard: str
    detail: str | None = None


# -- the agent -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReplied:
    """The agent's reply is complete; its speech may still be playing.

    Attributes:
        reply_id: Which reply.
        has_words: False where there is nothing to say.
        ends_call: True where the agent wants to hang up after its words.
    """

    reply_id: str
    has_words: bool
    ends_call: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyFailed:
    """The agent failed or took too long."""

    reply_id: str
    detail: str


CallEvent = (
    Offered
    | Dialed
    | DialFailed
    | Ringing
    | Answered
    | MachineDetected
    | DigitPressed
    | CarrierEnded
    | HangupFailed
    | StreamOpened
    | StreamClosed
    | CallerSpoke
    | AgentSpeechStarted
    | AgentSpeechEnded
    | AgentReplied
    | ReplyFailed
)
