"""The agent at the other end of the conversation, as the runtime sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voice_call.call.model import CallId, Direction, TranscriptEntry

__all__ = ["Agent", "AgentDelta", "AgentTurn", "EndCallRequested", "TextDelta"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTurn:
    """What the agent answers.

    Attributes:
        call_id: The call.
        reply_id: Unique; identifies this run of the agent.
        session_key: Which conversation memory to use.
        direction: Who placed the call.
        peer: The other side's number, E.164, or empty.
        heard: What the other side said, oldest first. Caller speech is user content:
            it never becomes part of a system prompt.
        history: The transcript before that.
        language: BCP 47 tag of the call.
        timeout_s: How long the agent may take, in seconds.
    """

    call_id: CallId
    reply_id: str
    session_key: str
    direction: Direction
    peer: str
    heard: tuple[str, ...]
    history: tuple[TranscriptEntry, ...]
    language: str
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """A piece of the reply, under the spoken-output contract."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCallRequested:
    """The agent wants to hang up once its words have been heard."""


AgentDelta = TextDelta | EndCallRequested


class Agent(Protocol):
    """Something that answers."""

    def reply(self, turn: AgentTurn) -> AsyncIterator[AgentDelta]:
        """Yield the reply as it comes; closing the iterator cancels the run.

        Raises:
            AgentError: The agent failed.
        """
        ...
