"""A host for the plugin, without a Gateway around it.

It keeps what the plugin registers, and lets a test be the host's clients: it starts the
services, calls methods, and uses tools. Whatever crosses this border is passed through
JSON, as a real host does, so that a result that is not JSON-shaped fails here.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
    from pathlib import Path

    Handler = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
    AgentStep = Mapping[str, Any] | float | Exception

__all__ = ["FakeHost", "OfferedMethod", "OfferedService", "OfferedTool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedMethod:
    """An RPC method that the plugin offers."""

    handler: Handler
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedTool:
    """A tool that the plugin offers."""

    description: str
    parameters: Mapping[str, Any]
    execute: Handler


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedService:
    """Something that the plugin wants to be started with the host."""

    start: Callable[[], Awaitable[None]]
    stop: Callable[[float], Awaitable[None]]


class FakeHost:
    """A host whose agents follow a script.

    A reply of an agent is a list of steps: a mapping is yielded as an event, a number is
    waited for in seconds, an exception is raised. After the end of the script an agent
    says "All right.".

    Attributes:
        config: The plugin's own configuration.
        core_config: The whole configuration of the host.
        state_dir: Where state is kept.
        methods: What was registered, by name.
        tools: What was registered, by name.
        services: What was registered, by name.
        requests: What agents were asked, oldest first.
        cancelled: Run ids of the replies that were not taken to their end.
    """

    def __init__(
        self,
        *,
        state_dir: Path,
        config: Mapping[str, Any] | None = None,
        core_config: Mapping[str, Any] | None = None,
        replies: Iterable[Iterable[AgentStep]] = (),
    ) -> None:
        self.config = config or {}
        self.core_config = core_config or {}
        self.state_dir = state_dir
        self.methods: dict[str, OfferedMethod] = {}
        self.tools: dict[str, OfferedTool] = {}
        self.services: dict[str, OfferedService] = {}
        self.requests: list[Mapping[str, Any]] = []
        self.cancelled: list[str] = []
        self._replies = deque(tuple(reply) for reply in replies)

    # -- what the plugin sees ----------------------------------------------------------

    def register_method(self, name: str, handler: Handler, *, scope: str) -> None:
        """Keep an RPC method.

        Raises:
            ValueError: The name is taken.
        """
        method = OfferedMethod(handler=handler, scope=scope)
        _keep(self.methods, name, method)

    def register_tool(
        self,
        name: str,
        description: str,
        parameters: Mapping[str, Any],
        execute: Handler,
    ) -> None:
        """Keep a tool.

        Raises:
            ValueError: The name is taken.
        """
        tool = OfferedTool(
            description=description, parameters=_as_json(parameters), execute=execute
        )
        _keep(self.tools, name, tool)

    def register_service(
        self,
        name: str,
        start: Callable[[], Awaitable[None]],
        stop: Callable[[float], Awaitable[None]],
    ) -> None:
        """Keep a service.

        Raises:
            ValueError: The name is taken.
        """
        _keep(self.services, name, OfferedService(start=start, stop=stop))

    async def run_agent(
        self, request: Mapping[str, Any]
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the next reply of the script.

        Raises:
            Exception: As the script says.
        """
        self.requests.append(_as_json(request))
        default = ({"type": "text", "delta": "All right."},)
        steps = self._replies.popleft() if self._replies else default
        try:
            for step in steps:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, int | float):
                    await asyncio.sleep(step)
                else:
                    yield _as_json(step)
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled.append(str(request["runId"]))
            raise

    # -- what clients of the host do ---------------------------------------------------

    async def start(self) -> None:
        """Start every service.

        Raises:
            Exception: As the plugin raises it.
        """
        for service in self.services.values():
            await service.start()

    async def stop(self, limit_s: float = 0.0) -> None:
        """Stop every service, the last one first."""
        for service in reversed(self.services.values()):
            await service.stop(limit_s)

    async def call(self, method: str, /, **params: Any) -> dict[str, Any]:
        """Call an RPC method.

        Raises:
            Exception: As the plugin raises it.
        """
        return _as_json(await self.methods[method].handler(_as_json(params)))

    async def use_tool(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """Let an agent use a tool, and return the whole answer."""
        return _as_json(await self.tools[tool].execute(_as_json(arguments)))


def _keep(table: dict[str, Any], name: str, what: Any) -> None:
    if name in table:
        raise ValueError(f"{name} is registered already.")
    table[name] = what


def _as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(value))
    return copy
