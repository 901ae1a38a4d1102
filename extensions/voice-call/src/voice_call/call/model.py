"""The nouns of a call.

Three axes, not one enum: how far the call is (`CallPhase`), whether its audio flows
(`MediaPhase`), and who has the floor (`TurnPhase`). How a call ended is data. The flat
`CallState` that RPC, tool and CLI show is derived in `flat_state`, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType, assert_never

__all__ = [
    "CallId",
    "CallMode",
    "CallPhase",
    "CallState",
    "CarrierCallId",
    "Digit",
    "Direction",
    "EndCause",
    "EndedBy",
    "Ending",
    "MediaPhase",
    "Speaker",
    "StreamId",
    "TranscriptEntry",
    "TurnPhase",
    "flat_state",
]

CallId = NewType("CallId", str)
"""Our id of a call: a UUIDv4."""

CarrierCallId = NewType("CarrierCallId", str)
"""The carrier's id of a call: CallSid, call_control_id, CallUUID."""

StreamId = NewType("StreamId", str)
"""The id of one media stream; a call may have several, one after another."""


class Direction(StrEnum):
    """Who placed the call."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class CallMode(StrEnum):
    """What an outbound call is for."""

    NOTIFY = "notify"
    """Say the message, then hang up."""
    CONVERSATION = "conversation"
    """Say the message, then let the agent hold the conversation."""


class CallPhase(StrEnum):
    """How far a call is."""

    OFFERED = "offered"
    """Inbound, not answered yet."""
    DIALING = "dialing"
    """Outbound, handed or about to be handed to the carrier."""
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDING = "ending"
    """We asked the carrier to hang up and wait for its word."""
    ENDED = "ended"
    """Absorbing; announced once."""


class MediaPhase(StrEnum):
    """Whether audio flows."""

    NONE = "none"
    CONNECTING = "connecting"
    OPEN = "open"
    CLOSED = "closed"
    """The stream was lost and may come back within its grace."""


class TurnPhase(StrEnum):
    """Who has the floor."""

    IDLE = "idle"
    CALLER_SPEAKING = "caller_speaking"
    AWAITING_AGENT = "awaiting_agent"
    AGENT_SPEAKING = "agent_speaking"


class EndCause(StrEnum):
    """Why a call ended."""

    NORMAL = "normal"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    MACHINE = "machine"
    MAX_DURATION = "max_duration"
    SILENCE = "silence"
    MEDIA_LOST = "media_lost"
    POLICY = "policy"
    ALL_LINES_BUSY = "all_lines_busy"
    FAILED = "failed"
    """The carrier could not place or keep the call."""
    ERROR = "error"
    """Something of ours failed."""
    LOST = "lost"
    """After a restart the carrier did not know the call any more."""


class EndedBy(StrEnum):
    """Who ended a call."""

    REMOTE = "remote"
    """The person at the other end."""
    AGENT = "agent"
    """The agent, in the conversation."""
    OPERATOR = "operator"
    """Somebody through tool, RPC or CLI."""
    CARRIER = "carrier"
    SYSTEM = "system"
    """A limit, a timer or a fault of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a call ended.

    Attributes:
        cause: Why.
        by: Who.
        carrier_code: The carrier's own word for it, verbatim, if it gave one.
        detail: One sentence for people; no secrets, no numbers, no caller's words.
    """

    cause: EndCause
    by: EndedBy
    carrier_code: str | None = None
    detail: str | None = None


class Speaker(StrEnum):
    """Who said something, in the words of the public record."""

    AGENT = "bot"
    CALLER = "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptEntry:
    """One utterance in a call's transcript.

    Attributes:
        at: When it began, in seconds since 1970.
        speaker: Who spoke.
        text: What was said; for the agent, what was heard of it.
        is_cut: True where the agent was interrupted before it had said everything.
    """

    at: float
    speaker: Speaker
    text: str
    is_cut: bool = False


class Digit(StrEnum):
    """A DTMF key (ITU-T Q.23)."""

    ZERO = "0"
    ONE = "1"
    TWO = "2"
    THREE = "3"
    FOUR = "4"
    FIVE = "5"
    SIX = "6"
    SEVEN = "7"
    EIGHT = "8"
    NINE = "9"
    STAR = "*"
    POUND = "#"
    A = "A"
    B = "B"
    C = "C"
    D = "D"


class CallState(StrEnum):
    """The flat state that RPC, tool and CLI show."""

    INITIATED = "initiated"
    RINGING = "ringing"
    ANSWERED = "answered"
    ACTIVE = "active"
    SPEAKING = "speaking"
    LISTENING = "listening"
    COMPLETED = "completed"
    HANGUP_USER = "hangup-user"
    HANGUP_BOT = "hangup-bot"
    TIMEOUT = "timeout"
    ERROR = "error"
    FAILED = "failed"
    NO_ANSWER = "no-answer"
    BUSY = "busy"
    VOICEMAIL = "voicemail"


def flat_state(
    phase: CallPhase,
    media: MediaPhase,
    turn: TurnPhase,
    ending: Ending | None,
) -> CallState:
    """Return the one public word for where a call stands."""
    if ending is not None:
        return _ended_state(ending)
    match phase:
        case CallPhase.OFFERED | CallPhase.DIALING:
            return CallState.INITIATED
        case CallPhase.RINGING:
            return CallState.RINGING
        case CallPhase.ANSWERED | CallPhase.ENDING | CallPhase.ENDED:
            return _connected_state(media, turn)
        case _:
            assert_never(phase)


def _connected_state(media: MediaPhase, turn: TurnPhase) -> CallState:
    match turn:
        case TurnPhase.AGENT_SPEAKING:
            return CallState.SPEAKING
        case TurnPhase.CALLER_SPEAKING | TurnPhase.AWAITING_AGENT:
            return CallState.LISTENING
        case TurnPhase.IDLE:
            return CallState.ACTIVE if media is MediaPhase.OPEN else CallState.ANSWERED
        case _:
            assert_never(turn)


_BY_CAUSE: dict[EndCause, CallState] = {
    EndCause.BUSY: CallState.BUSY,
    EndCause.REJECTED: CallState.BUSY,
    EndCause.NO_ANSWER: CallState.NO_ANSWER,
    EndCause.CANCELLED: CallState.HANGUP_BOT,
    EndCause.MACHINE: CallState.VOICEMAIL,
    EndCause.MAX_DURATION: CallState.TIMEOUT,
    EndCause.SILENCE: CallState.TIMEOUT,
    EndCause.MEDIA_LOST: CallState.ERROR,
    EndCause.POLICY: CallState.HANGUP_BOT,
    EndCause.ALL_LINES_BUSY: CallState.BUSY,
    EndCause.FAILED: CallState.FAILED,
    EndCause.ERROR: CallState.ERROR,
    EndCause.LOST: CallState.COMPLETED,
}


def _ended_state(ending: Ending) -> CallState:
    if ending.cause is not EndCause.NORMAL:
        return _BY_CAUSE[ending.cause]
    match ending.by:
        case EndedBy.REMOTE:
            return CallState.HANGUP_USER
        case EndedBy.AGENT | EndedBy.OPERATOR:
            return CallState.HANGUP_BOT
        case EndedBy.CARRIER | EndedBy.SYSTEM:
            return CallState.COMPLETED
        case _:
            assert_never(ending.by)
