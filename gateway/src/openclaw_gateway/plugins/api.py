"""What a plugin is, and what the Gateway hands to it.

A plugin is an object named by an entry point of the group `openclaw.plugins`:

    class Plugin(Protocol):
        id: str
        name: str
        def register(self, api: PluginApi) -> None: ...

`register` only declares; work begins when a service is started. Everything that crosses
this border is JSON-shaped, so that another host can offer the same over a pipe. Neither
side imports the other.

A handler fails by raising. An exception with the attributes `code: str` and
`is_request_fault: bool` reaches the client as it is; any other is a defect, is logged,
and reaches the client as `internal_error`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from openclaw_gateway.metrics import Collect
    from openclaw_gateway.rpc.methods import Handler

__all__ = ["Host", "Plugin", "PluginApi", "ServiceSpec", "ToolSpec"]

Reload = Callable[[Mapping[str, Any]], Awaitable[None]]
ToolBody = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class Plugin(Protocol):
    """What an entry point of the group `openclaw.plugins` names."""

    @property
    def id(self) -> str:
        """The plugin's id, as in `plugins.entries.<id>`."""
        ...

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def register(self, api: PluginApi) -> None:
        """Declare methods, tools and services; do nothing else."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool that agents may use.

    Attributes:
        name: Its name.
        description: What it is for, for the model.
        parameters: JSON Schema of its arguments.
        execute: Carries it out.
        owner: The plugin it comes from.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    execute: ToolBody
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """Something that runs as long as the Gateway does.

    Attributes:
        name: For logs.
        start: Begins the work, and returns once it is ready.
        stop: Ends it within the given number of seconds.
        reload: Takes a new configuration while it runs, or None where it cannot.
    """

    name: str
    start: Callable[[], Awaitable[None]]
    stop: Callable[[float], Awaitable[None]]
    reload: Reload | None = None


class Host(Protocol):
    """What the API object passes a plugin's wishes on to."""

    def add_method(
        self, name: str, handler: Handler, *, scope: str, owner: str, cancellable: bool
    ) -> None:
        """Offer an RPC method."""
        ...

    def add_tool(self, tool: ToolSpec) -> None:
        """Offer a tool to agents."""
        ...

    def add_service(self, service: ServiceSpec, *, owner: str) -> None:
        """Start something with the Gateway."""
        ...

    def add_metrics(self, collect: Collect, *, owner: str) -> None:
        """Show numbers at /metrics."""
        ...

    def broadcast(self, event: str, payload: Mapping[str, Any]) -> None:
        """Tell clients."""
        ...

    def run_agent(self, request: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """Let an agent answer."""
        ...


class PluginApi:
    """The Gateway, as one plugin sees it.

    Attributes:
        id: The plugin's own id.
        config: `plugins.entries.<id>.config`, empty if absent.
        core_config: The whole configuration, without the settings of other plugins and
            without values whose reference leads nowhere.
        state_dir: Where the Gateway keeps its state.
    """

    def __init__(
        self,
        plugin_id: str,
        host: Host,
        *,
        config: Mapping[str, Any],
        core_config: Mapping[str, Any],
        state_dir: Path,
    ) -> None:
        self.id = plugin_id
        self.config = config
        self.core_config = core_config
        self.state_dir = state_dir
        self._host = host

    def register_method(
        self,
        name: str,
        handler: Handler,
        *,
        scope: str,
        cancel_on_disconnect: bool = False,
    ) -> None:
        """Offer an RPC method.

        Args:
            name: Its name on the wire, for example `voicecall.status`.
            handler: Takes the parameters, returns the payload.
            scope: What a client must be allowed to do: `operator.read`,
                `operator.write` or `operator.admin`.
            cancel_on_disconnect: Whether a run ends when its client goes away.

        Raises:
            ValueError: The name is taken.
        """
        self._host.add_method(
            name,
            handler,
            scope=scope,
            owner=self.id,
            cancellable=cancel_on_disconnect,
        )

    def register_tool(
        self,
        name: str,
        description: str,
        parameters: Mapping[str, Any],
        execute: ToolBody,
    ) -> None:
        """Offer a tool to agents; `parameters` is the JSON Schema of its arguments.

        Raises:
            ValueError: The name is taken.
        """
        self._host.add_tool(
            ToolSpec(
                name=name,
                description=description,
                parameters=parameters,
                execute=execute,
                owner=self.id,
            )
        )

    def register_service(
        self,
        name: str,
        start: Callable[[], Awaitable[None]],
        stop: Callable[[float], Awaitable[None]],
        *,
        reload: Reload | None = None,
    ) -> None:
        """Run something as long as the Gateway does.

        Args:
            name: For logs.
            start: Begins the work, and returns once it is ready.
            stop: Ends it; gets the number of seconds it may take to drain.
            reload: Takes the plugin's new `config` while it runs, or raises and goes
                on with the old one. Without it, people are told to restart.
        """
        service = ServiceSpec(name=name, start=start, stop=stop, reload=reload)
        self._host.add_service(service, owner=self.id)

    def register_metrics(self, collect: Collect) -> None:
        """Show numbers at /metrics.

        Args:
            collect: Returns families of numbers each time somebody asks; see `metrics`
                for their shape. It must not wait for anything.
        """
        self._host.add_metrics(collect, owner=self.id)

    def take_config(self, config: Mapping[str, Any]) -> None:
        """Show a new configuration from now on; the Gateway calls it."""
        self.config = config

    def broadcast(self, event: str, payload: Mapping[str, Any]) -> None:
        """Tell connected clients that may read; returns at once.

        Raises:
            TypeError: The payload is not JSON-shaped.
        """
        self._host.broadcast(event, payload)

    def run_agent(self, request: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """Let the configured agent answer.

        Args:
            request: `runId`, `sessionKey`, `message`, and optionally `model`,
                `systemPrompt`, `callTools`, `timeoutS`, `language`.

        Returns:
            Events `{"type": "text", "delta": …}` and `{"type": "tool_call", "name": …,
            "arguments": {}}`. Closing the iterator cancels the run.

        Raises:
            AgentFailed: While iterating; its code is `agent_failed`.
        """
        return self._host.run_agent(request)
