"""The one port of the Gateway: WebSocket RPC on any path, and HTTP beside it.

GET /healthz   200 as long as the process answers
GET /readyz    200 once all services have been started, else 503
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from uvicorn.protocols.websockets.websockets_sansio_impl import (
    WebSocketsSansIOProtocol,
)

from openclaw_gateway.rpc.server import ABORT_EXTENSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from websockets.http11 import Request as Handshake

    from openclaw_gateway.rpc.server import RpcServer

__all__ = ["AbortableWebSocket", "build_app"]


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


def build_app(server: RpcServer, *, is_ready: Callable[[], bool]) -> Starlette:
    """Return the ASGI application of the Gateway's port."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"ok": True})

    async def readyz(_: Request) -> Response:
        ready = is_ready()
        return JSONResponse({"ok": ready}, status_code=200 if ready else 503)

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            WebSocketRoute("/{path:path}", server.accept),
        ]
    )
