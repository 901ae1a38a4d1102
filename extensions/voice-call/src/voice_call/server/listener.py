"""The socket, and uvicorn behind it, within a process that is not uvicorn's."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import socket
from typing import TYPE_CHECKING

import uvicorn

from voice_call.errors import ConfigError, VoiceCallError
from voice_call.server.app import Planner, WebhookApp
from voice_call.server.connection import BoundedHttp, WaitingRoom
from voice_call.server.picows_protocol import uvicorn_protocol
from voice_call.server.request_reading import shown_host

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.types import ASGIApp

    from voice_call.carriers.base import Carrier, CarrierSink
    from voice_call.clock import Clock
    from voice_call.server.media_socket import MediaSocketServer
    from voice_call.server.settings import ServerSettings

__all__ = ["PortTaken", "WebhookServer"]

_BACKLOG = 256


class PortTaken(VoiceCallError):
    """Raised when something else listens on the port of the webhook server."""

    code = "port_taken"


class WebhookServer:
    """Takes a carrier's webhooks over HTTP.

    Args:
        settings: Where to listen, limits, and what decides the public URL.
        carrier: Whose webhooks; it must have a webhook codec.
        sink: Takes what webhooks report.
        planner: Says what the carrier is to do next with a call.
        clock: For signatures with a time in them, and for replays.
        media: Takes media streams on the same port, if any.
    """

    def __init__(
        self,
        settings: ServerSettings,
        carrier: Carrier,
        sink: CarrierSink,
        planner: Planner,
        clock: Clock,
        *,
        media: MediaSocketServer | None = None,
    ) -> None:
        assert carrier.webhooks is not None, "this carrier has no webhooks"
        self._settings = settings
        self._app = WebhookApp(
            settings,
            carrier_name=carrier.name,
            codec=carrier.webhooks,
            sink=sink,
            planner=planner,
            clock=clock,
        )
        self._media = media
        self._socket: socket.socket | None = None
        self._uvicorn: _Uvicorn | None = None
        self._serving: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()

    def bind(self) -> str:
        """Take the port, and return the local URL; requests wait until `start`.

        Harmless when repeated.

        Raises:
            PortTaken: Something else has it.
            ConfigError: It is not an address of this machine, or not ours to take.
        """
        if self._socket is None:
            self._socket = _listen(self._settings)
        host, port = self._socket.getsockname()[:2]
        return f"http://{shown_host(host)}:{port}{self._settings.path}"

    async def start(self) -> str:
        """Serve, and return the local URL. Harmless when repeated.

        Raises:
            PortTaken: Something else has the port.
            ConfigError: As `bind`.
        """
        async with self._changing:
            url = self.bind()
            if self._serving is None:
                assert self._socket is not None
                self._uvicorn = _Uvicorn(_uvicorn_config(self._app, self._media))
                self._serving = asyncio.get_running_loop().create_task(
                    self._uvicorn.serve(sockets=[self._socket]), name="webhook server"
                )
                await self._uvicorn.is_serving.wait()
            return url

    async def stop(self, limit_s: float) -> None:
        """Let requests in progress end within `limit_s` seconds; release the port.

        Harmless when repeated, or without `start`.
        """
        async with self._changing:
            if self._media is not None:
                await self._media.close()
            serving, self._serving = self._serving, None
            if serving is not None and self._uvicorn is not None:
                self._uvicorn.request_stop(limit_s)
                await asyncio.gather(serving, return_exceptions=True)
                self._uvicorn.cut_connections()
            if self._socket is not None:
                self._socket.close()
                self._socket = None


class _Uvicorn(uvicorn.Server):
    """uvicorn, started and stopped by its host: signals are none of its business."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_serving = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.is_serving.set()

    def request_stop(self, limit_s: float) -> None:
        """Ask for the end, within whole seconds, which is how uvicorn counts."""
        self.config.timeout_graceful_shutdown = math.ceil(limit_s)
        self.should_exit = True

    def cut_connections(self) -> None:
        """End what did not end by itself."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def _uvicorn_config(app: ASGIApp, media: MediaSocketServer | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=BoundedHttp.sharing(WaitingRoom()),
        ws="none" if media is None else uvicorn_protocol(media),
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        # Whom to believe about forwarded addresses is decided by our own settings.
        proxy_headers=False,
        backlog=_BACKLOG,
    )


def _listen(settings: ServerSettings) -> socket.socket:
    host = settings.bind.strip().removeprefix("[").removesuffix("]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as fault:
        raise _cannot_listen(settings, fault) from fault
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as fault:
        listener.close()
        raise _cannot_listen(settings, fault) from fault
    return listener


def _cannot_listen(settings: ServerSettings, fault: OSError) -> VoiceCallError:
    if fault.errno == errno.EADDRINUSE:
        return PortTaken(
            f"Port {settings.port} on {settings.bind} is in use; stop what listens "
            f"there, or set {settings.key_path}.port to another one."
        )
    key = "port" if fault.errno in (errno.EACCES, errno.EPERM) else "bind"
    return ConfigError(
        f"cannot listen on {settings.bind}:{settings.port} ({fault.strerror}).",
        key_path=f"{settings.key_path}.{key}",
    )
