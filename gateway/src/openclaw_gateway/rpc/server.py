"""All clients of one Gateway: who is connected, and what everybody is told."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from openclaw_gateway import clock
from openclaw_gateway.rpc.auth import READ, is_loopback, is_scope_granted
from openclaw_gateway.rpc.connection import Connection, Limits
from openclaw_gateway.rpc.frames import PROTOCOL_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.websockets import WebSocket

    from openclaw_gateway.rpc.auth import AuthPolicy
    from openclaw_gateway.rpc.methods import MethodTable

__all__ = ["ABORT_EXTENSION", "RpcServer"]

_log = structlog.get_logger(__name__)

ABORT_EXTENSION = "openclaw.abort"
"""Key of the ASGI extension that cuts a connection without waiting for its peer."""

CORE_EVENTS = ("connect.challenge", "shutdown", "tick")


class RpcServer:
    """Accepts clients, answers their requests, and tells them what happens.

    Args:
        methods: What clients can ask for.
        policy: Who may connect.
        version: What the server calls itself in `hello-ok`.
        limits: What a client may use up.
    """

    def __init__(
        self,
        *,
        methods: MethodTable,
        policy: AuthPolicy,
        version: str,
        limits: Limits | None = None,
    ) -> None:
        self.methods = methods
        self.policy = policy
        self.limits = limits or Limits()
        self._version = version
        self._started_at = clock.now_s()
        self._open: set[Connection] = set()
        self._admitted: set[Connection] = set()
        self._runs: set[asyncio.Task[None]] = set()
        self._ticker: asyncio.Task[None] | None = None
        self._is_closing = False

    @property
    def uptime_s(self) -> float:
        """Seconds since the server was made."""
        return clock.now_s() - self._started_at

    @property
    def client_count(self) -> int:
        """How many clients have shaken hands."""
        return len(self._admitted)

    def start(self) -> None:
        """Begin to tick."""
        self._ticker = asyncio.create_task(self._tick(), name="rpc-tick")

    async def accept(self, socket: WebSocket) -> None:
        """Serve one WebSocket until it closes."""
        why_not = self._refuse(socket)
        if why_not:
            _log.warning("connection refused", reason=why_not)
            await socket.close()  # before `accept` this is an HTTP 403
            return
        abort: Callable[[], None] = socket.scope["extensions"][ABORT_EXTENSION]
        connection = Connection(socket, self, abort=abort)
        self._open.add(connection)
        try:
            await connection.serve()
        finally:
            self._open.discard(connection)
            self._admitted.discard(connection)

    def hello(self, connection: Connection) -> dict[str, Any]:
        """Return the payload of `hello-ok`."""
        limits = self.limits
        hello: dict[str, Any] = {
            "type": "hello-ok",
            "protocol": connection.protocol,
            "server": {"version": self._version, "connId": connection.conn_id},
            "features": {"methods": self.methods.names, "events": list(CORE_EVENTS)},
            "snapshot": {
                "presence": [],
                "health": {},
                "stateVersion": {"presence": 0, "health": 0},
                "uptimeMs": int(self.uptime_s * 1000),
            },
            "policy": {
                "maxPayload": limits.payload_bytes,
                "maxBufferedBytes": limits.buffered_bytes,
                "tickIntervalMs": int(limits.tick_s * 1000),
            },
        }
        if connection.protocol >= PROTOCOL_MAX:
            hello["auth"] = {
                "role": connection.role,
                "scopes": list(connection.scopes),
            }
        return hello

    def admit(self, connection: Connection) -> None:
        """Count a connection as authenticated."""
        if self._is_closing:
            connection.close(1012, "service restart")
            return
        self._admitted.add(connection)

    def keep(self, run: asyncio.Task[None]) -> None:
        """Let a request outlive its connection."""
        self._runs.add(run)
        run.add_done_callback(self._runs.discard)

    def broadcast(self, event: str, payload: Mapping[str, Any]) -> None:
        """Tell every client that may read.

        Raises:
            TypeError: The payload is not JSON-shaped.
        """
        for connection in tuple(self._admitted):
            if is_scope_granted(READ, connection.scopes):
                connection.send_event(event, payload)

    def announce_shutdown(self, reason: str) -> None:
        """Tell every client that the Gateway is about to stop."""
        for connection in tuple(self._admitted):
            connection.send_event("shutdown", {"reason": reason})

    async def close(self, *, limit_s: float) -> None:
        """Let running requests end within `limit_s` seconds, then send all away."""
        self._is_closing = True
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        if self._runs:
            await asyncio.wait(self._runs, timeout=limit_s)
        for run in tuple(self._runs):
            run.cancel()
        for connection in tuple(self._open):
            connection.close(1012, "service restart")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self.limits.tick_s)
            for connection in tuple(self._admitted):
                connection.send_event("tick", {"ts": clock.now_ms()})

    def _refuse(self, socket: WebSocket) -> str:
        """Return why a connection is not even listened to, or nothing.

        A browser names the page that connects; only pages of this very Gateway may.
        Without authentication the Host must be this machine, or any page on the web
        could reach the Gateway through a name that points here.
        """
        if self._is_closing:
            return "stopping"
        waiting = len(self._open) - len(self._admitted)
        if len(self._open) >= self.limits.connections:
            return "too many connections"
        if waiting >= self.limits.handshakes:
            return "too many unfinished handshakes"
        host = socket.headers.get("host", "")
        origin = socket.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return "foreign origin"
        name = urlsplit(f"//{host}").hostname or ""
        if self.policy.mode == "none" and name != "localhost" and not is_loopback(name):
            return "foreign host"
        return ""
