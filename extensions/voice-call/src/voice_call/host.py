"""What the plugin needs of the program that hosts it.

The Python Gateway hands the plugin an object with these members, and so does the bridge
of the Node.js OpenClaw over its pipe. That is why everything here is JSON-shaped: plain
mappings, strings and numbers.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Protocol

from voice_call.errors import AgentError
from voice_call.runtime.agent import EndCallRequested, TextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from voice_call.runtime.agent import AgentDelta, AgentTurn

__all__ = ["END_CALL_TOOL", "Host", "HostAgent"]

END_CALL_TOOL = "end_call"
"""The call-bound tool with which an agent hangs up after its last word."""


class Host(Protocol):
    """The hosting program, as the plugin sees it."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The subtree `plugins.entries.voice-call.config`, empty if absent."""
        ...

    @property
    def core_config(self) -> Mapping[str, Any]:
        """The whole configuration of the host."""
        ...

    @property
    def state_dir(self) -> Path:
        """Where state is kept."""
        ...

    def register_method(
        self,
        name: str,
        handler: Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]],
        *,
        scope: str,
    ) -> None:
        """Offer an RPC method to clients that have `scope`."""
        ...

    def register_tool(
        self,
        name: str,
        description: str,
        parameters: Mapping[str, Any],
        execute: Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]],
    ) -> None:
        """Offer a tool to agents; `parameters` is a JSON Schema."""
        ...

    def register_service(
        self,
        name: str,
        start: Callable[[], Awaitable[None]],
        stop: Callable[[float], Awaitable[None]],
    ) -> None:
        """Be started with the host, and stopped within a limit in seconds."""
        ...

    def run_agent(self, request: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """Run an agent for one turn.

        The request has `runId`, `sessionKey`, `message`, `model`, `systemPrompt`,
        `callTools`, `timeoutS`, `language`. Yields `{"type": "text", "delta": …}` and
        `{"type": "tool_call", "name": …, "arguments": {…}}`; raises where it fails.
        """
        ...


class HostAgent:
    """The host's agent behind the runtime's agent interface."""

    def __init__(
        self, host: Host, *, model: str | None, system_prompt: str | None
    ) -> None:
        self._host = host
        self._model = model
        self._system_prompt = system_prompt

    async def reply(self, turn: AgentTurn) -> AsyncIterator[AgentDelta]:
        """Yield the host's agent's words.

        Raises:
            AgentError: The agent failed.
        """
        request = {
            "runId": f"voice:{turn.call_id}:{turn.reply_id}",
            "sessionKey": turn.session_key,
            "message": "\n".join(turn.heard),
            "model": self._model,
            "systemPrompt": self._system_prompt,
            "callTools": [END_CALL_TOOL],
            "timeoutS": turn.timeout_s,
            "language": turn.language,
        }
        try:
            async with aclosing(self._host.run_agent(request)) as events:  # type: ignore[type-var]  # hosts yield from async generators
                async for event in events:
                    delta = _delta(event)
                    if delta is not None:
                        yield delta
        except AgentError:
            raise
        except Exception as fault:
            raise AgentError(f"The agent failed: {fault}") from fault


def _delta(event: Mapping[str, Any]) -> AgentDelta | None:
    if event.get("type") == "text":
        return TextDelta(text=str(event.get("delta") or ""))
    if event.get("type") == "tool_call" and event.get("name") == END_CALL_TOOL:
        return EndCallRequested()
    return None
