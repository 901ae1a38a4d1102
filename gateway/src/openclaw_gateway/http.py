"""The one port of the Gateway: WebSocket RPC on any path, and HTTP beside it.

GET  /healthz               200 as long as the process answers
GET  /readyz                200 once all services have been started, else 503
GET  /metrics               Prometheus; from this machine without a token
POST /tools/invoke          uses a tool, see `http_tools`
POST /v1/chat/completions   asks an agent, see `http_chat`; only where
GET  /v1/models             `gateway.http.endpoints.chatCompletions.enabled` is true
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from uvicorn.protocols.websockets.websockets_sansio_impl import (
    WebSocketsSansIOProtocol,
)

from openclaw_gateway.http_access import HttpDoor, HttpRefused, client_address
from openclaw_gateway.http_chat import ChatEndpoint
from openclaw_gateway.http_tools import ToolsEndpoint
from openclaw_gateway.metrics import MetricsPage, agent_families, family
from openclaw_gateway.rpc.auth import is_loopback
from openclaw_gateway.rpc.server import ABORT_EXTENSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from websockets.http11 import Request as Handshake

    from openclaw_gateway.agents.runner import AgentRunner
    from openclaw_gateway.metrics import Collect, Family
    from openclaw_gateway.rpc.server import RpcServer

__all__ = ["AbortableWebSocket", "HttpParts", "build_app"]


class AbortableWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, which also lets go of a peer that reads nothing."""

    def handle_connect(self, event: Handshake) -> None:
        """Offer the application a way to cut the connection."""
        super().handle_connect(event)
        scope: dict[str, Any] | None = getattr(self, "scope", None)
        if scope is not None:  # absent where the handshake was wrong
            scope["extensions"][ABORT_EXTENSION] = self.transport.abort

    def keepalive_timeout(self) -> None:
        """Cut a peer that answers no ping; what is unsent would never leave."""
        super().keepalive_timeout()
        self.transport.abort()


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpParts:
    """What the port is made of.

    Attributes:
        rpc: Takes WebSockets; its policy also decides about HTTP.
        runner: Lets agents answer, and knows which tools there are.
        version: The Gateway's.
        is_ready: Whether all services have been started.
        has_chat: Whether agents can be asked over HTTP.
        plugin_metrics: Returns the plugins' sources of metrics.
    """

    rpc: RpcServer
    runner: AgentRunner
    version: str
    is_ready: Callable[[], bool]
    has_chat: bool = False
    plugin_metrics: Callable[[], Iterable[tuple[str, Collect]]] = tuple


def build_app(parts: HttpParts) -> ASGIApp:
    """Return the ASGI application of the Gateway's port."""
    door = HttpDoor(parts.rpc.policy)
    tools = ToolsEndpoint(parts.runner, door)
    chat = ChatEndpoint(parts.runner, door)
    answers: Counter[tuple[str, ...]] = Counter()
    page = MetricsPage(
        lambda: [
            ("gateway", lambda: _gateway_families(parts, answers)),
            ("agents", lambda: agent_families(parts.runner.meter)),
            *parts.plugin_metrics(),
        ]
    )

    async def healthz(_: Request) -> Response:
        return JSONResponse({"ok": True})

    async def readyz(_: Request) -> Response:
        ready = parts.is_ready()
        return JSONResponse({"ok": ready}, status_code=200 if ready else 503)

    async def metrics(request: Request) -> Response:
        try:
            door.check_page(request)
            if not is_loopback(client_address(request)):
                await door.check(request)
        except HttpRefused as refused:
            return refused.response()
        body, content_type = page.render(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": content_type})

    routes = [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
        Route("/tools/invoke", tools.__call__, methods=["POST"]),
        WebSocketRoute("/{path:path}", parts.rpc.accept),
    ]
    if parts.has_chat:
        routes[:0] = [
            Route("/v1/chat/completions", chat.complete, methods=["POST"]),
            Route("/v1/models", chat.models),
        ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refuse})
    return _Counting(app, answers, {r.path for r in routes if isinstance(r, Route)})


class _Counting:
    """Counts HTTP answers by path and status; unknown paths are counted as one."""

    def __init__(
        self, app: ASGIApp, answers: Counter[tuple[str, ...]], paths: set[str]
    ) -> None:
        self._app = app
        self._answers = answers
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in self._paths else "other"

        async def count(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._answers[path, str(message["status"])] += 1
            await send(message)

        await self._app(scope, receive, count)


async def _refuse(_: Request, error: Exception) -> Response:
    """Answer unknown paths and methods in the same shape as everything else."""
    status = getattr(error, "status_code", 500)
    headers = getattr(error, "headers", None)
    kind = {404: "not_found", 405: "method_not_allowed"}.get(status, "http_error")
    detail = str(getattr(error, "detail", ""))
    return HttpRefused(status, kind, detail, headers=headers).response()


def _gateway_families(
    parts: HttpParts, answers: Mapping[tuple[str, ...], int]
) -> Iterable[Family]:
    yield family(
        "openclaw_gateway_ready",
        "gauge",
        "Whether all services have been started.",
        {(parts.version,): float(parts.is_ready())},
        labels=("version",),
    )
    yield family(
        "openclaw_gateway_uptime_seconds",
        "gauge",
        "How long the Gateway has been running.",
        {(): parts.rpc.uptime_s},
    )
    yield family(
        "openclaw_gateway_rpc_clients",
        "gauge",
        "Clients that are connected.",
        {(): parts.rpc.client_count},
    )
    yield family(
        "openclaw_gateway_http_answers",
        "counter",
        "Answers to HTTP requests.",
        answers,
        labels=("path", "status"),
    )
