"""What turn-taking hears, and what it decides.

PURE. The inputs and actions of `voice_call.call.turns`, frozen dataclasses in one union
each. All times are seconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from voice_call.media.vad import VoiceBegan, VoiceEnded

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
    "VoiceBegan",
    "VoiceEnded",
]


# -- inputs ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptHeard:
    """The recogniser reports words; see `voice_call.speech.base.Transcript`."""

    segment: int
    text: str
    is_final: bool
    confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpeechBegan:
    """The first frame of an utterance of the agent has been sent.

    Attributes:
        utterance_id: Which.
        is_protected: True where nothing the caller says may interrupt it.
    """

    utterance_id: str
    is_protected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSentenceSent:
    """A sentence of the agent is on its way; remembered to recognise its echo."""

    utterance_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpeechFinished:
    """An utterance of the agent is over, played or not. A pause of it is over too."""

    utterance_id: str


TurnInput = (
    VoiceBegan
    | VoiceEnded
    | TranscriptHeard
    | AgentSpeechBegan
    | AgentSentenceSent
    | AgentSpeechFinished
)


# -- actions ---------------------------------------------------------------------------


class DropReason(StrEnum):
    """Why a segment made no turn."""

    NOTHING_SAID = "nothing_said"
    NO_TRANSCRIPT = "no_transcript"
    """The recogniser never answered."""
    TOO_LITTLE = "too_little"
    """Shorter, or fewer words, than it takes to interrupt the agent."""
    BACKCHANNEL = "backchannel"
    ECHO = "echo"
    PROTECTED = "protected"
    """Said before or during speech of the agent that must not be interrupted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginSegment:
    """Tell the recogniser that voice has begun."""

    segment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestInterim:
    """Ask the recogniser for the words so far."""

    segment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSegment:
    """Tell the recogniser that the segment is over.

    Not asked for where the recogniser's own final has closed the segment before.
    """

    segment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseAgent:
    """Hold the agent's speech for a moment; it may go on."""

    utterance_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeAgent:
    """Let the agent's speech go on: it was no interruption."""

    utterance_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InterruptAgent:
    """Stop the agent's speech for good, paused or not."""

    utterance_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerTurnBegan:
    """The caller has the floor; a `CallerTurnEnded` or `TurnDropped` follows."""

    segment: int
    voice_began_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerTurnEnded:
    """The caller said something and is done.

    Attributes:
        segment: Unique within the call.
        text: The final transcript; has at least one word.
        confidence: 0..1, if the recogniser gives one.
        voice_began_at: Seconds since 1970.
        voice_ended_at: Seconds since 1970, the acoustic end.
    """

    segment: int
    text: str
    confidence: float | None
    voice_began_at: float
    voice_ended_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnDropped:
    """A segment made no turn, and why."""

    segment: int
    why: DropReason


TurnAction = (
    BeginSegment
    | RequestInterim
    | EndSegment
    | PauseAgent
    | ResumeAgent
    | InterruptAgent
    | CallerTurnBegan
    | CallerTurnEnded
    | TurnDropped
)
