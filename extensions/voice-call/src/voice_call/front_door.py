"""The one port through which a carrier reaches us: webhooks and media streams."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from voice_call.config import KEY_PATH
from voice_call.errors import ConfigError
from voice_call.log import get_logger
from voice_call.runtime.spoken_path import StreamDoor
from voice_call.server.listener import WebhookServer
from voice_call.server.media_socket import MediaSocketServer, media_settings
from voice_call.server.settings import server_settings
from voice_call.server.stream_tickets import StreamTickets

if TYPE_CHECKING:
    from voice_call.call.model import CallId
    from voice_call.carriers.base import Carrier
    from voice_call.clock import Clock
    from voice_call.config import VoiceCallConfig
    from voice_call.exposure.public_url import ArrivedRequest
    from voice_call.runtime.manager import CallManager
    from voice_call.server.settings import ServerSettings

__all__ = ["FrontDoor", "public_webhook_url", "stream_url"]

_log = get_logger(__name__)
_TOKEN_BYTES = 32


def public_webhook_url(config: VoiceCallConfig) -> str | None:
    """Return where the carrier reaches us, None on the mock carrier.

    Raises:
        ConfigError: A real carrier has no way to reach us.
    """
    if config.provider in (None, "mock"):
        return None
    if config.public_url is None:
        raise ConfigError(
            f"{config.provider} has to reach this machine; set the public URL that "
            "leads to serve.bind, serve.port and serve.path.",
            key_path=f"{KEY_PATH}.publicUrl",
        )
    return config.public_url


def stream_url(webhook_url: str, path: str) -> str:
    """Return the URL of the media socket beside the webhook: same host, own path."""
    parts = urlsplit(webhook_url)
    scheme = "ws" if parts.scheme == "http" else "wss"
    return f"{scheme}://{parts.netloc}{path}"


class FrontDoor:
    """Serves a carrier's webhooks and media streams.

    Attributes:
        streams: Where media streams connect, None where there are none.
    """

    def __init__(self, config: VoiceCallConfig, carrier: Carrier, clock: Clock) -> None:
        """Take the settings; nothing is opened yet.

        Raises:
            ConfigError: What is set must not, or cannot, be served.
        """
        self._config = config
        self._carrier = carrier
        self._clock = clock
        self._settings: ServerSettings | None = (
            None if carrier.webhooks is None else server_settings(config)
        )
        self._tickets = StreamTickets()
        self._server: WebhookServer | None = None
        self.streams = self._make_streams()

    def _make_streams(self) -> StreamDoor | None:
        webhook_url = public_webhook_url(self._config)
        if self._carrier.streams is None or webhook_url is None:
            return None
        url = stream_url(webhook_url, self._config.streaming.stream_path)
        return StreamDoor(url=url, issue=self._issue)

    def _issue(self, call_id: CallId) -> str:
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._tickets.issue(call_id, token=token, now=self._clock.now())
        return token

    def claim(self, manager: CallManager) -> None:
        """Take the port for this manager; what comes waits until `open`.

        Raises:
            VoiceCallError: The port or address cannot be had.
        """
        if self._settings is None:
            return
        self._server = WebhookServer(
            self._settings,
            self._carrier,
            manager,
            lambda carrier_call_id, _: manager.plan(carrier_call_id),
            self._clock,
            media=self._make_media(self._settings, manager),
        )
        self._server.bind()

    async def open(self) -> None:
        """Hand what comes to the manager."""
        if self._server is not None:
            _log.info("webhooks are served", url=await self._server.start())

    def _make_media(
        self, settings: ServerSettings, manager: CallManager
    ) -> MediaSocketServer | None:
        if self._carrier.streams is None:
            return None
        return MediaSocketServer(
            self._carrier.streams,
            manager,
            self._tickets,
            call_of=lambda name: manager.session(name).opened.call_id,
            clock=self._clock,
            settings=media_settings(self._config.streaming, settings.urls.proxies),
            verify_upgrade=self._is_genuine if self._verifies_upgrades else None,
        )

    @property
    def _verifies_upgrades(self) -> bool:
        return (
            self._carrier.verify_upgrade is not None
            and not self._config.skip_signature_verification
        )

    def _is_genuine(self, arrival: ArrivedRequest) -> bool:
        verify, streams = self._carrier.verify_upgrade, self.streams
        if verify is None or streams is None:
            return False
        return verify(streams.url, arrival.headers)

    async def close(self, limit_s: float) -> None:
        """Stop listening, within `limit_s` seconds."""
        if self._server is not None:
            await self._server.stop(limit_s)
