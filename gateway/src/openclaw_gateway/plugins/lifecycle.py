"""How plugins live: found, loaded, registered, started, stopped.

A plugin that fails at any of these takes nothing else down: it is named, with the
reason, by `plugins.list` and `status`, and whatever it registered is answered with that
reason.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import structlog

from openclaw_gateway.errors import ConfigInvalid, NotYet, PluginDown
from openclaw_gateway.plugins.api import PluginApi
from openclaw_gateway.rpc.methods import Method

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from openclaw_gateway.config import Config
    from openclaw_gateway.metrics import Collect
    from openclaw_gateway.plugins.api import ServiceSpec, ToolSpec
    from openclaw_gateway.plugins.discovery import Candidate
    from openclaw_gateway.rpc.methods import Handler, MethodTable

__all__ = ["PluginHost", "PluginState"]

_log = structlog.get_logger(__name__)


RELOAD_LIMIT_S = 30.0
"""How long a plugin may take to accept new settings."""


class PluginState(StrEnum):
    """How far a plugin has come."""

    DISABLED = "disabled"
    REGISTERED = "registered"
    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(slots=True, kw_only=True)
class _Resident:
    """One plugin in the house; changes as it goes through its life."""

    id: str
    source: str
    kind: str
    version: str
    name: str
    state: PluginState
    api: PluginApi | None = None
    error: str | None = None
    error_code: str = PluginDown.code
    services: list[ServiceSpec] = field(default_factory=list)
    started: list[ServiceSpec] = field(default_factory=list)


class PluginHost:
    """Keeps the plugins of one Gateway.

    Args:
        config: The configuration.
        methods: Where their RPC methods go.
        broadcast: Tells clients.
        run_agent: Lets an agent answer.
        start_limit_s: How long one service may take to start, in seconds.
    """

    def __init__(
        self,
        *,
        config: Config,
        methods: MethodTable,
        broadcast: Callable[[str, Mapping[str, Any]], None],
        run_agent: Callable[[Mapping[str, Any]], AsyncIterator[Mapping[str, Any]]],
        start_limit_s: float = 120.0,
    ) -> None:
        self._config = config
        self._methods = methods
        self._broadcast = broadcast
        self._run_agent = run_agent
        self._start_limit_s = start_limit_s
        self._residents: dict[str, _Resident] = {}
        self.tools: dict[str, ToolSpec] = {}
        self.metrics: list[tuple[str, Collect]] = []

    # ---- life

    def register(self, candidates: Sequence[Candidate]) -> None:
        """Load and register every plugin that is not switched off.

        One that is in the house already is left alone.
        """
        for candidate in candidates:
            if candidate.id in self._residents:
                continue
            resident = _Resident(
                id=candidate.id,
                source=candidate.source,
                kind=candidate.kind,
                version=candidate.version,
                name=candidate.id,
                state=PluginState.DISABLED,
            )
            self._residents[candidate.id] = resident
            try:
                if self._is_enabled(candidate.id):
                    self._register(resident, candidate)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - contained: logged and named
                _log.exception("plugin failed to register", plugin=candidate.id)
                self._withdraw(candidate.id)
                _fail(resident, f"did not register: {_sentence(error)}")

    async def start(self) -> None:
        """Start all services, plugins side by side, those of one in order."""
        ready = [
            r for r in self._residents.values() if r.state is PluginState.REGISTERED
        ]
        for resident in ready:
            resident.state = PluginState.STARTING  # at once, so that nobody else does
        await asyncio.gather(*(self._start(resident) for resident in ready))

    async def stop(self, *, limit_s: float) -> None:
        """Stop all services, the last started first, within `limit_s` seconds."""
        await asyncio.gather(
            *(_stop(resident, limit_s) for resident in self._residents.values())
        )

    async def reload(self, config: Config, plugin_ids: Iterable[str]) -> list[str]:
        """Tell running plugins of their new settings.

        Returns:
            The ids of those that go on with their old settings until a restart.
        """
        self._config = config
        stale: list[str] = []
        for plugin_id in sorted(plugin_ids):
            resident = self._residents.get(plugin_id)
            if resident is None or resident.state is PluginState.DISABLED:
                continue  # nothing of it was ever started
            if not await self._reload(resident):
                stale.append(plugin_id)
        return stale

    def describe(self) -> list[dict[str, Any]]:
        """Return what people want to know about each plugin."""
        return [
            {
                "id": resident.id,
                "name": resident.name,
                "source": resident.source,
                "kind": resident.kind,
                "version": resident.version,
                "state": str(resident.state),
                "error": resident.error,
            }
            for resident in self._residents.values()
        ]

    # ---- what plugins ask for (the `Host` protocol)

    def add_method(
        self, name: str, handler: Handler, *, scope: str, owner: str, cancellable: bool
    ) -> None:
        """Offer an RPC method; it answers once its plugin runs.

        Raises:
            ValueError: The name is taken.
        """
        resident = self._residents[owner]

        async def guarded(params: Mapping[str, Any]) -> Mapping[str, Any]:
            _check_running(resident)
            return await handler(params)

        self._methods.add(
            Method(
                name=name,
                handler=guarded,
                scope=scope,
                owner=owner,
                is_cancelled_on_disconnect=cancellable,
            )
        )

    def add_tool(self, tool: ToolSpec) -> None:
        """Offer a tool to agents.

        Raises:
            ValueError: The name is taken.
        """
        if tool.name in self.tools:
            owner = self.tools[tool.name].owner
            raise ValueError(f"The tool {tool.name} is registered already by {owner}.")
        self.tools[tool.name] = tool

    def add_metrics(self, collect: Collect, *, owner: str) -> None:
        """Show numbers at /metrics."""
        self.metrics.append((owner, collect))

    def add_service(self, service: ServiceSpec, *, owner: str) -> None:
        """Start something with the Gateway."""
        self._residents[owner].services.append(service)

    def broadcast(self, event: str, payload: Mapping[str, Any]) -> None:
        """Tell clients."""
        self._broadcast(event, payload)

    def run_agent(self, request: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """Let an agent answer."""
        return self._run_agent(request)

    # ---- steps

    @property
    def _state_dir(self) -> Path:
        return self._config.state_dir

    def _is_enabled(self, plugin_id: str) -> bool:
        get = self._config.get
        if get("plugins.enabled") is False:
            return False
        if plugin_id in (get("plugins.deny") or ()):
            return False
        allowed = get("plugins.allow")
        if allowed and plugin_id not in allowed:
            return False
        return get(f"plugins.entries.{plugin_id}.enabled") is not False

    def _register(self, resident: _Resident, candidate: Candidate) -> None:
        plugin = candidate.load()
        if plugin.id != candidate.id:
            raise ConfigInvalid(
                f"the plugin calls itself {plugin.id}.",
                key_path=f"plugins.entries.{candidate.id}",
            )
        resident.name = plugin.name
        core_config, left_out = self._config.for_plugin(candidate.id)
        settings = self._section(f"{candidate.id}.config")
        for sentence in left_out:
            _log.warning("value left out", plugin=candidate.id, reason=sentence)
        resident.api = PluginApi(
            candidate.id,
            self,
            config=settings,
            core_config=core_config,
            state_dir=self._state_dir,
        )
        plugin.register(resident.api)
        resident.state = PluginState.REGISTERED

    def _section(self, path: str) -> Mapping[str, Any]:
        return self._config.section(f"plugins.entries.{path}")

    def _withdraw(self, plugin_id: str) -> None:
        """Take back what runs; its methods stay, to answer with the reason."""
        self.tools = {n: t for n, t in self.tools.items() if t.owner != plugin_id}
        self.metrics = [each for each in self.metrics if each[0] != plugin_id]
        self._residents[plugin_id].services.clear()

    async def _reload(self, resident: _Resident) -> bool:
        """Tell one plugin; says whether it took the new settings."""
        takers = [it.reload for it in resident.services if it.reload is not None]
        if resident.state is not PluginState.RUNNING or not takers:
            return False
        try:
            settings = self._section(f"{resident.id}.config")
            async with asyncio.timeout(RELOAD_LIMIT_S):
                for reload in takers:
                    await reload(settings)
        except Exception as error:  # noqa: BLE001 - contained: logged and named
            _log.error(
                "plugin refused its new settings",
                plugin=resident.id,
                reason=_sentence(error),
            )
            return False
        if resident.api is not None:
            resident.api.take_config(settings)
        _log.info("plugin took its new settings", plugin=resident.id)
        return True

    async def _start(self, resident: _Resident) -> None:
        try:
            for service in resident.services:
                await self._start_service(service)
                resident.started.append(service)
        except Exception as error:  # noqa: BLE001 - contained: logged and named
            code = getattr(error, "code", None)
            # A fault with a code was foreseen: its sentence says all there is to say.
            _log.error(
                "plugin failed to start",
                plugin=resident.id,
                error=_sentence(error),
                exc_info=None if isinstance(code, str) else error,
            )
            await _stop(resident, self._start_limit_s)
            _fail(resident, f"did not start: {_sentence(error)}")
            if isinstance(code, str):
                resident.error_code = code
        else:
            resident.state = PluginState.RUNNING

    async def _start_service(self, service: ServiceSpec) -> None:
        limit = asyncio.timeout(self._start_limit_s)
        try:
            async with limit:
                await service.start()
        except TimeoutError as error:
            if not limit.expired():
                raise  # the service's own
            raise PluginDown(
                f"{service.name} was not ready within {self._start_limit_s:g} seconds."
            ) from error


async def _stop(resident: _Resident, limit_s: float) -> None:
    while resident.started:
        service = resident.started.pop()
        try:
            # A second beyond the limit, for a service that keeps it exactly.
            async with asyncio.timeout(limit_s + 1.0):
                await service.stop(limit_s)
        except Exception:  # noqa: BLE001 - logged; the next one must stop too
            _log.exception("service failed to stop", service=service.name)
    if resident.state is PluginState.RUNNING:
        resident.state = PluginState.STOPPED


def _check_running(resident: _Resident) -> None:
    match resident.state:
        case PluginState.RUNNING:
            return
        case PluginState.REGISTERED | PluginState.STARTING:
            raise NotYet(f"The plugin {resident.id} is starting; try again shortly.")
        case PluginState.FAILED:
            raise PluginDown(
                f"The plugin {resident.id} {resident.error}", code=resident.error_code
            )
        case PluginState.DISABLED | PluginState.STOPPED:
            raise PluginDown(f"The plugin {resident.id} is not running.")


def _fail(resident: _Resident, error: str) -> None:
    resident.state = PluginState.FAILED
    resident.error = error


def _sentence(error: BaseException) -> str:
    """Say what went wrong; an error without words is named by its class."""
    return str(error) or type(error).__name__
