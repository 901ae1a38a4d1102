"""What an agent is: something that is told what was said, and streams an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = [
    "VOICE",
    "Agent",
    "AgentEvent",
    "AgentTurn",
    "Message",
    "Remember",
    "TextDelta",
    "Tool",
    "ToolAnswered",
    "ToolBody",
    "ToolCall",
    "ToolRequest",
    "ToolsRequested",
    "UsageReported",
]

VOICE = "voice"
"""The `source` of words that were heard on a call."""

ToolBody = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """Something that a model may ask for.

    Attributes:
        name: Its name.
        description: What it is for, for the model.
        parameters: JSON Schema of its arguments.
        execute: Carries it out; None where whoever asked for the run does.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    execute: ToolBody | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRequest:
    """A model asks for a tool.

    Attributes:
        id: Unique within the session; the answer names it.
        name: The tool.
        arguments: JSON text, as the model wrote it; perhaps not valid.
    """

    id: str
    name: str
    arguments: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One thing that was said in a session.

    Attributes:
        role: `user`, `assistant` or `tool`.
        text: The words, or what a tool answered.
        source: Where a user's words come from: `voice`, or empty.
        tool_requests: What an assistant asked for in the same breath.
        request_id: Of a tool's answer: the request that it answers.
    """

    role: str
    text: str
    source: str = ""
    tool_requests: tuple[ToolRequest, ...] = ()
    request_id: str = ""


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
        tools: The Gateway's tools that this agent may use.
        source: Where the message comes from: `voice`, or empty.
        thinking: How hard a model shall think: `off`, `minimal`, `low`, `medium`,
            `high`, or None for the model's own default.
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
    tools: tuple[Tool, ...] = ()
    source: str = ""
    thinking: str | None = None
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
class ToolsRequested:
    """The agent has asked for tools; the session notes it before they run."""

    requests: tuple[ToolRequest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolAnswered:
    """A tool has answered the agent."""

    request: ToolRequest
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReported:
    """How many tokens one request to a model took."""

    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Remember:
    """What the agent wants to find in `memory` at its next turn; JSON-shaped."""

    memory: Mapping[str, Any]


AgentEvent = (
    TextDelta | ToolCall | ToolsRequested | ToolAnswered | UsageReported | Remember
)


class Agent(Protocol):
    """Something that answers."""

    def reply(self, turn: AgentTurn) -> AsyncIterator[AgentEvent]:
        """Yield the answer as it comes; closing the iterator cancels the run.

        Raises:
            AgentFailed: The agent cannot answer.
        """
        ...
