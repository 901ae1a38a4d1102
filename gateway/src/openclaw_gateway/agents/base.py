"""What an agent is: something that is told what was said, and streams an answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

__all__ = [
    "Agent",
    "AgentEvent",
    "AgentTurn",
    "Message",
    "Remember",
    "TextDelta",
    "ToolCall",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One thing that was said in a session.

    Attributes:
        role: `user` or `assistant`.
        text: The words.
    """

    role: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTurn:
    """What an agent answers.

    Attributes:
        run_id: Unique; identifies this run.
        session_key: Which conversation it belongs to.
        model: The part of the model's name after the slash.
        message: What was said. It is user content, never part of a system prompt.
        history: What was said before, oldest first.
        memory: What the agent kept from its last turn in this session.
        system_prompt: What the host wants the agent to know, or None.
        call_tools: Tools of the call that the agent may ask for by name.
        language: BCP 47 tag, or empty.
        now: Seconds since 1970-01-01 UTC.
    """

    run_id: str
    session_key: str
    model: str
    message: str
    history: tuple[Message, ...] = ()
    memory: Mapping[str, Any] = field(default_factory=dict)
    system_prompt: str | None = None
    call_tools: tuple[str, ...] = ()
    language: str = ""
    now: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """The agent asks for a tool of the call."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remember:
    """What the agent wants to find in `memory` at its next turn; JSON-shaped."""

    memory: Mapping[str, Any]


AgentEvent = TextDelta | ToolCall | Remember


class Agent(Protocol):
    """Something that answers."""

    def reply(self, turn: AgentTurn) -> AsyncIterator[AgentEvent]:
        """Yield the answer as it comes; closing the iterator cancels the run.

        Raises:
            AgentFailed: The agent cannot answer.
        """
        ...
