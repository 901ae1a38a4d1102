"""The door for media streams: who may open a socket, and whose stream it then is.

Before anybody is known: the exact path, the carrier's signature where it signs
upgrades, and places, in all and for each client, for sockets that have still to say
whose they are. Then the first message must name a live call and show the secret that
this call's carrier was given. Nothing of a call is touched before that.

The same sessions run over two kinds of wire: `media_asgi.AsgiMedia` is an application
for any ASGI server, and `picows_protocol.uvicorn_protocol` is faster, for uvicorn: it
has no queue, and no task to wake for each frame.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from voice_call.errors import CallError, UnknownCall
from voice_call.exposure.proxies import ProxyRules
from voice_call.log import get_logger
from voice_call.server.media_session import CloseCode, MediaLimits, MediaSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from voice_call.call.model import CallId, CarrierCallId
    from voice_call.carriers.base import (
        CarrierSink,
        MediaLink,
        MediaListener,
        StreamCodec,
        StreamStarted,
    )
    from voice_call.clock import Clock
    from voice_call.config.sections import Streaming
    from voice_call.exposure.public_url import ArrivedRequest
    from voice_call.server.media_session import MediaWire
    from voice_call.server.stream_tickets import StreamTickets

__all__ = [
    "MediaSocketServer",
    "MediaSocketSettings",
    "choose_subprotocol",
    "media_settings",
]

_log = get_logger(__name__)

SUBPROTOCOL = "audio.drachtio.org"
"""What Plivo offers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSocketSettings:
    """How media sockets are served.

    Attributes:
        path: The one path that is served.
        max_sockets: Sockets in all, those that are being closed included.
        max_waiting: Sockets that have still to say whose they are.
        max_waiting_per_client: The same, of one client.
        proxies: Whose word counts on who the client is.
        limits: What each socket may use up.
    """

    path: str = "/voice/stream"
    max_sockets: int = 128
    max_waiting: int = 32
    max_waiting_per_client: int = 4
    proxies: ProxyRules = field(default_factory=ProxyRules)
    limits: MediaLimits = field(default_factory=MediaLimits)


def media_settings(
    streaming: Streaming, proxies: ProxyRules | None = None
) -> MediaSocketSettings:
    """Return what the configuration says about media sockets."""
    return MediaSocketSettings(
        path=streaming.stream_path,
        max_sockets=streaming.max_connections,
        max_waiting=streaming.max_pending_connections,
        max_waiting_per_client=streaming.max_pending_connections_per_ip,
        proxies=proxies or ProxyRules(),
        limits=MediaLimits(start_s=streaming.pre_start_timeout_ms / 1000),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visitor:
    """A socket that somebody opened.

    Attributes:
        client: Whose it is, for limits.
        url_token: The secret in the query of its URL, for carriers that cannot show
            it in the first message.
    """

    client: str
    url_token: str | None


class MediaSocketServer:
    """Takes a carrier's media streams.

    Args:
        codec: What the carrier's messages mean.
        sink: Binds streams to calls.
        tickets: The secrets that streams must show.
        call_of: Our id of a live call by the carrier's; raises `CallError`.
        clock: For secrets that expire.
        settings: Path and limits.
        verify_upgrade: Says whether an upgrade is the carrier's, where it signs them.
    """

    def __init__(
        self,
        codec: StreamCodec,
        sink: CarrierSink,
        tickets: StreamTickets,
        *,
        call_of: Callable[[CarrierCallId], CallId],
        clock: Clock,
        settings: MediaSocketSettings | None = None,
        verify_upgrade: Callable[[ArrivedRequest], bool] | None = None,
    ) -> None:
        self.settings = settings or MediaSocketSettings()
        self._codec = codec
        self._sink = sink
        self._tickets = tickets
        self._call_of = call_of
        self._clock = clock
        self._verify_upgrade = verify_upgrade
        self._visitors: dict[MediaSession, _Visitor] = {}
        self._waiting: dict[MediaSession, str] = {}
        """Sessions that have still to say whose they are, with their clients."""
        self._waiting_of: Counter[str] = Counter()
        self._is_closed = False
        self._all_gone = asyncio.Event()

    @property
    def open_sockets(self) -> int:
        """How many sockets there are."""
        return len(self._visitors)

    @property
    def waiting_sockets(self) -> int:
        """How many of them have still to say whose they are."""
        return len(self._waiting)

    async def close(self) -> None:
        """Close all sockets, and wait until they are gone; no more are taken."""
        self._is_closed = True
        for session in tuple(self._visitors):
            session.end(CloseCode.GOING_AWAY, "Shutting down")
        if self._visitors:
            await self._all_gone.wait()

    # -- from the wires ----------------------------------------------------------------

    def refusal(self, arrival: ArrivedRequest) -> HTTPStatus | None:
        """Return the status to refuse an upgrade with, None to take it."""
        if self._is_closed or len(self._visitors) >= self.settings.max_sockets:
            _log.warning("media upgrade refused", sockets=len(self._visitors))
            return HTTPStatus.SERVICE_UNAVAILABLE
        if self._verify_upgrade is None:
            return None
        try:
            is_genuine = self._verify_upgrade(arrival)
        except Exception:  # noqa: BLE001 - logged; what cannot be verified is refused
            _log.exception("media upgrade could not be verified")
            return HTTPStatus.INTERNAL_SERVER_ERROR
        if is_genuine:
            return None
        _log.warning("media upgrade refused", why="not genuine")
        return HTTPStatus.FORBIDDEN

    def enter(self, arrival: ArrivedRequest, wire: MediaWire) -> MediaSession:
        """Return the session of a socket that has just been upgraded.

        Where too many wait already, it is closed at once.
        """
        client = self._client_of(arrival)
        session = MediaSession(
            self._codec,
            self.settings.limits,
            wire=wire,
            bind=self._bind,
            on_over=self._stop_waiting,
        )
        self._all_gone.clear()
        self._visitors[session] = _Visitor(
            client=client, url_token=_url_token(arrival.query)
        )
        is_full = (
            len(self._waiting) >= self.settings.max_waiting
            or self._waiting_of[client] >= self.settings.max_waiting_per_client
        )
        self._waiting[session] = client
        self._waiting_of[client] += 1
        if is_full:
            session.end(CloseCode.TRY_AGAIN_LATER, "Too many pending connections")
        return session

    def leave(self, session: MediaSession) -> None:
        """The socket of a session is gone."""
        session.lost()
        self._visitors.pop(session, None)
        if not self._visitors:
            self._all_gone.set()

    # -- within ------------------------------------------------------------------------

    def _client_of(self, arrival: ArrivedRequest) -> str:
        forwarded = arrival.headers.get("x-forwarded-for")
        return self.settings.proxies.client_of(
            arrival.peer, [] if forwarded is None else [forwarded]
        )

    def _bind(self, started: StreamStarted, link: MediaLink) -> MediaListener:
        """Bind a stream whose secret is its call's.

        Raises:
            CallError: It is not, or there is no such live call.
        """
        assert isinstance(link, MediaSession)
        self._stop_waiting(link)
        token = started.token or self._visitors[link].url_token
        if token is None:
            raise UnknownCall("The stream showed no secret.")
        # First of all: a secret that was shown is used up, whoever showed it.
        owner = self._tickets.redeem(token, now=self._clock.now())
        if owner is None or owner != self._call_of(started.carrier_call_id):
            raise CallError("The stream's secret is not that of a live call.")
        return self._sink.open_stream(started, link)

    def _stop_waiting(self, session: MediaSession) -> None:
        client = self._waiting.pop(session, None)
        if client is None:
            return
        self._waiting_of[client] -= 1
        if not self._waiting_of[client]:
            del self._waiting_of[client]


def choose_subprotocol(offers: Iterable[str]) -> str | None:
    """Return the subprotocol to speak, out of `Sec-WebSocket-Protocol` values."""
    offered = {name.strip() for offer in offers for name in offer.split(",")}
    return SUBPROTOCOL if SUBPROTOCOL in offered else None


def _url_token(query: str) -> str | None:
    if not query:
        return None
    try:
        return parse_qs(query, max_num_fields=16).get("token", [None])[-1]
    except ValueError:
        return None
