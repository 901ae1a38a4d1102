"""The Gateway's process: what `openclaw gateway run` puts together.

Start: lock the state directory → register plugins → listen → start services → ready.
Stop: tell clients (`shutdown`) → stop services, which drain → end requests → close.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn

from openclaw_gateway import clock
from openclaw_gateway.agents.model_agent import ModelAgent
from openclaw_gateway.agents.models.providers import provider_ids, provider_settings
from openclaw_gateway.agents.receptionist import Receptionist
from openclaw_gateway.agents.runner import AgentRunner
from openclaw_gateway.agents.sessions import SessionStore
from openclaw_gateway.agents.settings import agent_settings
from openclaw_gateway.config import gateway_settings
from openclaw_gateway.config_watch import ConfigWatch
from openclaw_gateway.errors import PortTaken
from openclaw_gateway.http import AbortableWebSocket, HttpParts, build_app
from openclaw_gateway.logs import set_level
from openclaw_gateway.plugins.lifecycle import PluginHost
from openclaw_gateway.rpc.auth import READ, AuthPolicy
from openclaw_gateway.rpc.methods import Method, MethodTable
from openclaw_gateway.rpc.server import RpcServer
from openclaw_gateway.state import ensure_token, hold_lock

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from openclaw_gateway.agents.base import Agent
    from openclaw_gateway.config import Config, GatewaySettings
    from openclaw_gateway.plugins.discovery import Candidate
    from openclaw_gateway.rpc.connection import Limits
    from openclaw_gateway.rpc.methods import Handler

__all__ = ["Gateway", "run_gateway"]

_log = structlog.get_logger(__name__)

LAST_REQUESTS_S = 2.0
"""How long requests that still run may take when all services have stopped."""
CLOSE_S = 3
"""How long clients may take to say goodbye."""


class _Uvicorn(uvicorn.Server):
    """uvicorn without its own idea of signals: the Gateway drains first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone."""
        yield


class Gateway:
    """One Gateway.

    Args:
        config: The configuration.
        candidates: The plugins to load.
        limits: What a client may use up.

    Raises:
        ConfigInvalid: The `gateway` or `agents` section is wrong.
        ConfigUnreadable: The state directory cannot be written.
    """

    def __init__(
        self,
        config: Config,
        candidates: Sequence[Candidate],
        *,
        limits: Limits | None = None,
    ) -> None:
        self.config = config
        self.settings = gateway_settings(config)
        self.version = version("openclaw-gateway")
        self.is_ready = False
        self._candidates = candidates
        self._methods = MethodTable()
        secret = self.settings.secret
        if self.settings.auth_mode == "token" and not secret:
            secret = ensure_token(config.state_dir)
        self.rpc = RpcServer(
            methods=self._methods,
            policy=AuthPolicy(mode=self.settings.auth_mode, secret=secret),
            version=self.version,
            limits=limits,
        )
        self.runner = AgentRunner(
            providers=_providers(config),
            sessions=SessionStore(config.state_dir),
            agents=agent_settings(config),
            tools=lambda: self.plugins.tools,
        )
        self.plugins = PluginHost(
            config=config,
            methods=self._methods,
            broadcast=self.rpc.broadcast,
            run_agent=self.runner.run,
        )
        self._watch = ConfigWatch(
            config, reload_plugins=self.plugins.reload, set_level=set_level
        )
        self._uvicorn: _Uvicorn | None = None
        self._serving: asyncio.Task[None] | None = None
        self._warming: asyncio.Task[None] | None = None
        self._listener: socket.socket | None = None
        self.port = self.settings.port

    @property
    def url(self) -> str:
        """Where clients connect."""
        host = self.settings.host
        return f"ws://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def start(self) -> None:
        """Begin to listen, then start all services.

        Raises:
            PortTaken: Something else listens on the port.
        """
        self._add_core_methods()
        self.plugins.register(self._candidates)
        self._listener = _listen(self.settings)
        self.port = self._listener.getsockname()[1]
        self._uvicorn = _Uvicorn(self._uvicorn_config())
        self._serving = asyncio.create_task(
            self._uvicorn.serve(sockets=[self._listener]), name="uvicorn"
        )
        self.rpc.start()
        await self.plugins.start()
        self._watch.start()
        self.is_ready = True
        self._warming = asyncio.create_task(self.runner.warm(), name="warm-model")

    async def stop(self, *, reason: str, drain_s: float) -> None:
        """Stop everything; services may take `drain_s` seconds to drain."""
        self.is_ready = False
        await self._watch.stop()
        self.rpc.announce_shutdown(reason)
        await self.plugins.stop(limit_s=drain_s)
        await self.close()

    async def close(self) -> None:
        """End requests and connections, and stop listening."""
        self.is_ready = False
        await self._watch.stop()
        await self.rpc.close(limit_s=LAST_REQUESTS_S)
        self.runner.end_runs()
        if self._warming is not None:
            self._warming.cancel()
        if self._uvicorn is not None and self._serving is not None:
            self._uvicorn.should_exit = True
            await self._serving
        await self.runner.close()
        if self._listener is not None:
            self._listener.close()

    async def wait_failed(self) -> None:
        """Return if the listener ends by itself; it should not."""
        if self._serving is not None:
            await asyncio.wait([self._serving])

    def _uvicorn_config(self) -> uvicorn.Config:
        limits = self.rpc.limits
        endpoint = "gateway.http.endpoints.chatCompletions.enabled"
        parts = HttpParts(
            rpc=self.rpc,
            runner=self.runner,
            version=self.version,
            is_ready=lambda: self.is_ready,
            has_chat=self.config.get(endpoint) is True,
            plugin_metrics=lambda: self.plugins.metrics,
        )
        return uvicorn.Config(
            build_app(parts),
            http="httptools",
            ws=AbortableWebSocket,
            ws_max_size=limits.payload_bytes,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=CLOSE_S,
        )

    def _add_core_methods(self) -> None:
        core: dict[str, tuple[str, Handler]] = {
            "health": ("", self._health),
            "status": (READ, self._status),
            "plugins.list": (READ, self._list_plugins),
        }
        for name, (scope, handler) in core.items():
            self._methods.add(Method(name=name, handler=handler, scope=scope))

    async def _health(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"ok": self.is_ready, "ts": clock.now_ms()}

    async def _status(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "ok": self.is_ready,
            "version": self.version,
            "pid": os.getpid(),
            "url": self.url,
            "uptimeMs": int(self.rpc.uptime_s * 1000),
            "clients": self.rpc.client_count,
            "plugins": self.plugins.describe(),
            "restartNeeded": self._watch.restart_needed,
        }

    async def _list_plugins(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"plugins": self.plugins.describe()}


def run_gateway(
    config: Config, candidates: Sequence[Candidate], *, drain_s: float
) -> int:
    """Run a Gateway until SIGTERM or SIGINT; return the exit code.

    Raises:
        AlreadyRunning: Another Gateway uses the state directory.
        PortTaken: Something else listens on the port.
        ConfigInvalid: A setting of the Gateway is wrong.
        ConfigUnreadable: The state directory cannot be written.
    """
    with (
        hold_lock(config.state_dir),
        asyncio.Runner(loop_factory=_loop_factory()) as runner,
    ):
        return runner.run(_run(Gateway(config, candidates), drain_s))


async def _run(gateway: Gateway, drain_s: float) -> int:
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number)
    first_signal = asyncio.create_task(signals.get())
    starting = asyncio.create_task(gateway.start())
    await asyncio.wait([starting, first_signal], return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.wait([starting])
    else:
        await starting
        _say_ready(gateway)
        failed = asyncio.create_task(gateway.wait_failed())
        await asyncio.wait([first_signal, failed], return_when=asyncio.FIRST_COMPLETED)
        failed.cancel()
    code = 0 if first_signal.done() else 1
    stopping = asyncio.create_task(gateway.stop(reason="stopping", drain_s=drain_s))
    if not first_signal.done():
        first_signal.cancel()
    impatient = asyncio.create_task(signals.get())
    await asyncio.wait([stopping, impatient], return_when=asyncio.FIRST_COMPLETED)
    impatient.cancel()
    if not stopping.done():
        _log.warning("second signal: not waiting for services to drain")
        stopping.cancel()
        await gateway.close()
        return 1
    await stopping
    return code


def _say_ready(gateway: Gateway) -> None:
    plugins = gateway.plugins.describe()
    running = [p["id"] for p in plugins if p["state"] == "running"]
    for plugin in plugins:
        if plugin["error"]:
            line = f"openclaw gateway: plugin {plugin['id']} {plugin['error']}"
            print(line, file=sys.stderr)  # noqa: T201 - for people
    print(  # noqa: T201 - for people, and for programs that wait for it
        f"openclaw gateway ready on {gateway.url} "
        f"(pid {os.getpid()}, plugins: {', '.join(running) or 'none'})",
        file=sys.stderr,
        flush=True,
    )


def _loop_factory() -> Any:
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop


def _listen(settings: GatewaySettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"The Gateway cannot listen on {settings.host}:{settings.port} "
            f"({error.strerror}); stop what listens there, or set gateway.port."
        ) from error
    listener.setblocking(False)
    return listener


def _providers(config: Config) -> dict[str, Agent]:
    """Return who answers, by what stands before the slash of a model's name."""
    models: dict[str, Agent] = {
        name: ModelAgent(partial(provider_settings, config, name))
        for name in provider_ids(config)
    }
    return {**models, "builtin": Receptionist(config.state_dir)}
