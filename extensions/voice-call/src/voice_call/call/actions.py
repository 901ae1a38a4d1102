"""Everything a call asks of the world, and everything that can be asked of a call.

Both are frozen dataclasses in one union each: `CallAction` is carried out by the
session, `CallCommand` comes from tool, RPC and CLI. The results of actions come back as
events.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from voice_call.call.events import CallEvent
from voice_call.call.model import (
    CallPhase,
    Digit,
    EndCause,
    EndedBy,
    Ending,
    TranscriptEntry,
)

__all__ = [
    "AnswerCall",
    "Ask",
    "AskFailed",
    "AskResolved",
    "CallAction",
    "CallCommand",
    "CallEnded",
    "Dial",
    "End",
    "FailureCode",
    "Hangup",
    "Ignored",
    "Listen",
    "PhaseChanged",
    "RejectCall",
    "Say",
    "SendDigits",
    "SendKeys",
    "Speak",
    "SpeechKind",
    "StartReply",
    "TakeBack",
    "TranscriptAdded",
]


class SpeechKind(StrEnum):
    """Why the agent speaks."""

    OPENING = "opening"
    """The first message, or the greeting of an inbound call."""
    SAY = "say"
    """Asked for by `speak`."""
    PROMPT = "prompt"
    """Asked for by `continue`; an answer is awaited."""
    REPLY = "reply"
    """The agent's answer."""
    FILLER = "filler"
    """A short cue while the agent works; never part of the transcript."""
    APOLOGY = "apology"
    """The agent failed."""
    NOTICE = "notice"
    """A word about the call itself, for example that all lines are busy."""


class FailureCode(StrEnum):
    """Why an `Ask` got no answer; the names are error codes."""

    CALL_ENDED = "call_ended"
    TRANSCRIPT_TIMEOUT = "transcript_timeout"
    SPEECH_FAILED = "speech_failed"


# -- what a call asks of the world -----------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """Place the call at the carrier. Asked for once in a call's life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCall:
    """Pick up an inbound call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectCall:
    """Refuse an inbound call.

    Attributes:
        cause: `POLICY`, or `ALL_LINES_BUSY`.
        notice: What the caller should hear before, or None.
    """

    cause: EndCause
    notice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hangup:
    """End the call at the carrier."""

    cause: EndCause
    by: EndedBy


@dataclass(frozen=True, slots=True, kw_only=True)
class Speak:
    """Say a complete text.

    Attributes:
        utterance_id: Comes back in `AgentSpeechStarted` and `AgentSpeechEnded`.
        text: What to say, word for word.
        kind: Why.
        is_protected: True where the other side's speech must not interrupt it.
    """

    utterance_id: str
    text: str
    kind: SpeechKind
    is_protected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Listen for the other side (matters to carriers without media streams).

    Attributes:
        turn_token: Echoed with the answer where the carrier can.
    """

    turn_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartReply:
    """Let the agent answer; its words are spoken as they come.

    Attributes:
        reply_id: Also the id of the utterance that carries the reply.
        heard: What the other side said since the agent was last heard, oldest first.
    """

    reply_id: str
    heard: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeBack:
    """Stop an utterance: drop what is not yet heard, and cancel the agent's run.

    Attributes:
        utterance_id: A reply's id, or that of a `Speak`.
    """

    utterance_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SendKeys:
    """Send DTMF digits on the call."""

    digits: tuple[Digit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskResolved:
    """A `continue` has its answer."""

    ask_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskFailed:
    """A `continue` gets no answer."""

    ask_id: str
    code: FailureCode
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptAdded:
    """The transcript has grown by one entry."""

    entry: TranscriptEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseChanged:
    """The call has moved on."""

    before: CallPhase
    after: CallPhase


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """The call is over; asked for once, last of all."""

    ending: Ending


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """An event had no effect, and why; written to the journal, never lost."""

    event: CallEvent
    why: str


CallAction = (
    Dial
    | AnswerCall
    | RejectCall
    | Hangup
    | Speak
    | Listen
    | StartReply
    | TakeBack
    | SendKeys
    | AskResolved
    | AskFailed
    | TranscriptAdded
    | PhaseChanged
    | CallEnded
    | Ignored
)


# -- what can be asked of a call -------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Say something on the call."""

    utterance_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Say something and wait for the answer (`continue`).

    Attributes:
        ask_id: Also the utterance id of the prompt and the turn token of the listen.
        text: The prompt.
    """

    ask_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SendDigits:
    """Send DTMF digits on the call."""

    digits: tuple[Digit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """End the call."""

    by: EndedBy
    cause: EndCause


CallCommand = Say | Ask | SendDigits | End
