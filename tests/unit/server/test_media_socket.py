"""Who may open a media socket, and whose stream it is, without a socket."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest

from voice_call.call.model import CallId, CarrierCallId, StreamId
from voice_call.carriers.base import StreamAudio, StreamStarted
from voice_call.config.sections import Streaming
from voice_call.errors import UnknownCall
from voice_call.exposure.proxies import ProxyRules, parse_network
from voice_call.exposure.public_url import ArrivedRequest
from voice_call.server.media_asgi import AsgiMedia
from voice_call.server.media_session import CloseCode, MediaLimits
from voice_call.server.media_socket import (
    MediaSocketServer,
    MediaSocketSettings,
    choose_subprotocol,
    media_settings,
)
from voice_call.server.stream_tickets import StreamTickets
from voice_call.testing.clock import VirtualClock
from voice_call.testing.sink import RecordingSink

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_call.carriers.base import StreamCommand, StreamEvent
    from voice_call.server.media_session import MediaSession

pytestmark = pytest.mark.anyio

CALL_ID = CallId("call-1")
TOO_MANY = (CloseCode.TRY_AGAIN_LATER, "Too many pending connections")
UNKNOWN = (CloseCode.POLICY_VIOLATION, "Unknown call")


class StartCodec:
    """`start <call> <token>` begins a stream; all else is audio."""

    def decode(self, message: bytes) -> StreamEvent | None:
        words = message.decode().split(" ")
        if words[0] != "start":
            return StreamAudio(payload=message)
        return StreamStarted(
            stream_id=StreamId("MZ1"),
            carrier_call_id=CarrierCallId(words[1]),
            token=words[2] if len(words) > 2 else None,
        )

    def encode(self, command: StreamCommand, *, stream_id: StreamId) -> bytes:
        return b""


class Wire:
    def __init__(self) -> None:
        self.closed: list[tuple[CloseCode, str]] = []

    def send(self, message: bytes) -> int:
        return 0

    def close(self, code: CloseCode, reason: str) -> None:
        self.closed.append((code, reason))


class Door:
    """A media server with one live call, `CA1`."""

    def __init__(
        self,
        settings: MediaSocketSettings | None = None,
        verify_upgrade: Callable[[ArrivedRequest], bool] | None = None,
    ) -> None:
        self.clock = VirtualClock()
        self.sink = RecordingSink(self.clock)
        self.tickets = StreamTickets(ttl_s=60)
        self.server = MediaSocketServer(
            StartCodec(),
            self.sink,
            self.tickets,
            call_of=self._call_of,
            clock=self.clock,
            settings=settings,
            verify_upgrade=verify_upgrade,
        )

    def _call_of(self, carrier_call_id: CarrierCallId) -> CallId:
        if carrier_call_id != "CA1":
            raise UnknownCall("No live call has this id.")
        return CALL_ID

    def issue(self, token: str, call_id: CallId = CALL_ID) -> None:
        self.tickets.issue(call_id, token=token, now=self.clock.now())

    def enter(self, **parts: Any) -> tuple[MediaSession, Wire]:
        wire = Wire()
        return self.server.enter(arrival(**parts), wire), wire


def arrival(
    peer: str = "198.51.100.7", query: str = "", **headers: str
) -> ArrivedRequest:
    return ArrivedRequest(
        peer=peer,
        local="127.0.0.1:3334",
        path="/voice/stream",
        query=query,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


# -- places ----------------------------------------------------------------------------


async def test_upgrade_is_taken_while_there_are_places() -> None:
    door = Door(MediaSocketSettings(max_sockets=2))
    first, _ = door.enter()
    assert door.server.refusal(arrival()) is None
    door.enter()
    assert door.server.refusal(arrival()) is HTTPStatus.SERVICE_UNAVAILABLE
    door.server.leave(first)
    assert door.server.refusal(arrival()) is None


async def test_socket_that_is_over_keeps_its_place_until_it_is_gone() -> None:
    door = Door(MediaSocketSettings(max_sockets=1))
    session, _ = door.enter()
    session.close()
    assert door.server.refusal(arrival()) is HTTPStatus.SERVICE_UNAVAILABLE


async def test_too_many_waiting_sockets_are_closed() -> None:
    door = Door(MediaSocketSettings(max_waiting=2))
    door.enter(peer="198.51.100.1")
    door.enter(peer="198.51.100.2")
    _, third = door.enter(peer="198.51.100.3")
    assert third.closed == [TOO_MANY]
    assert door.server.waiting_sockets == 2


async def test_too_many_waiting_sockets_of_one_client_are_closed() -> None:
    door = Door(MediaSocketSettings(max_waiting_per_client=1))
    door.enter(peer="198.51.100.1")
    _, second = door.enter(peer="198.51.100.1")
    _, other = door.enter(peer="198.51.100.2")
    assert second.closed == [TOO_MANY]
    assert other.closed == []


async def test_started_stream_waits_no_more() -> None:
    door = Door(MediaSocketSettings(max_waiting_per_client=1))
    door.issue("t0ken")
    session, _ = door.enter()
    session.receive(b"start CA1 t0ken")
    assert door.server.waiting_sockets == 0
    _, second = door.enter()
    assert second.closed == []


async def test_client_behind_our_proxy_is_whom_the_proxy_saw() -> None:
    proxies = ProxyRules(networks=(parse_network("10.0.0.1"),), trusts_headers=True)
    door = Door(MediaSocketSettings(max_waiting_per_client=1, proxies=proxies))
    _, first = door.enter(peer="10.0.0.1", x_forwarded_for="203.0.113.1")
    _, other = door.enter(peer="10.0.0.1", x_forwarded_for="203.0.113.2")
    _, again = door.enter(peer="10.0.0.1", x_forwarded_for="9.9.9.9, 203.0.113.2")
    assert (first.closed, other.closed, again.closed) == ([], [], [TOO_MANY])


async def test_strangers_cannot_choose_their_client() -> None:
    door = Door(MediaSocketSettings(max_waiting_per_client=1))
    door.enter(x_forwarded_for="203.0.113.1")
    _, second = door.enter(x_forwarded_for="203.0.113.2")
    assert second.closed == [TOO_MANY]


async def test_nothing_is_kept_of_clients_that_left() -> None:
    door = Door()
    for number in range(50):
        session, _ = door.enter(peer=f"198.51.100.{number}")
        door.server.leave(session)
    assert door.server.open_sockets == 0
    assert not door.server._waiting
    assert not door.server._waiting_of


# -- whose stream ----------------------------------------------------------------------


async def test_secret_of_the_call_opens_its_stream() -> None:
    door = Door()
    door.issue("t0ken")
    session, wire = door.enter()
    session.receive(b"start CA1 t0ken")
    session.receive(b"\x55\x55")
    assert wire.closed == []
    assert door.sink.streams[0].audio == b"\x55\x55"


@pytest.mark.parametrize(
    "message",
    [b"start CA1", b"start CA1 ", b"start CA1 wrong", b"start CA2 t0ken"],
)
async def test_other_starts_touch_no_call(message: bytes) -> None:
    door = Door()
    door.issue("t0ken")
    session, wire = door.enter()
    session.receive(message)
    assert wire.closed == [UNKNOWN]
    assert door.sink.streams == []


async def test_secret_of_another_call_is_refused_and_used_up() -> None:
    door = Door()
    door.issue("theirs", CallId("call-2"))
    session, wire = door.enter()
    session.receive(b"start CA1 theirs")
    assert wire.closed == [UNKNOWN]
    assert len(door.tickets) == 0


async def test_secret_is_refused_when_it_has_expired() -> None:
    door = Door(MediaSocketSettings(limits=MediaLimits(start_s=100)))
    door.issue("t0ken")
    session, wire = door.enter()
    await asyncio.sleep(60)
    session.receive(b"start CA1 t0ken")
    assert wire.closed == [UNKNOWN]


async def test_secret_cannot_be_used_by_two_sockets() -> None:
    door = Door()
    door.issue("t0ken")
    first, _ = door.enter()
    second, wire = door.enter()
    first.receive(b"start CA1 t0ken")
    second.receive(b"start CA1 t0ken")
    assert wire.closed == [UNKNOWN]
    assert len(door.sink.streams) == 1


@pytest.mark.parametrize(
    ("query", "is_good"),
    [
        ("token=t0ken", True),
        ("a=b&token=t0ken", True),
        ("token=t0%6ben", True),
        ("token=", False),
        ("Token=t0ken", False),
        ("t0ken", False),
        ("&".join("a=b" for _ in range(50)) + "&token=t0ken", False),
        ("token=%ff%fe", False),
    ],
)
async def test_secret_may_stand_in_the_query(query: str, is_good: bool) -> None:  # noqa: FBT001 - a table
    door = Door()
    door.issue("t0ken")
    session, _ = door.enter(query=query)
    session.receive(b"start CA1")
    assert (len(door.sink.streams) == 1) is is_good


async def test_secret_in_the_start_counts_first() -> None:
    door = Door()
    door.issue("t0ken")
    session, wire = door.enter(query="token=t0ken")
    session.receive(b"start CA1 wrong")
    assert wire.closed == [UNKNOWN]


# -- signed upgrades -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("is_genuine", "refusal"), [(True, None), (False, HTTPStatus.FORBIDDEN)]
)
async def test_upgrade_must_be_genuine_where_the_carrier_signs(
    is_genuine: bool,  # noqa: FBT001 - a table
    refusal: HTTPStatus | None,
) -> None:
    door = Door(verify_upgrade=lambda _: is_genuine)
    assert door.server.refusal(arrival()) is refusal


async def test_upgrade_that_cannot_be_verified_is_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def verify(_: ArrivedRequest) -> bool:
        raise RuntimeError("a verifier with a bug")

    door = Door(verify_upgrade=verify)
    with caplog.at_level(logging.ERROR):
        refusal = door.server.refusal(arrival())
    assert refusal is HTTPStatus.INTERNAL_SERVER_ERROR
    assert "could not be verified" in caplog.text


# -- the end ---------------------------------------------------------------------------


async def test_closing_waits_until_all_sockets_are_gone() -> None:
    door = Door()
    session, wire = door.enter()
    closing = asyncio.create_task(door.server.close())
    await asyncio.sleep(1)
    assert wire.closed == [(CloseCode.GOING_AWAY, "Shutting down")]
    assert not closing.done()
    door.server.leave(session)
    await closing


async def test_closed_server_takes_no_socket() -> None:
    door = Door()
    await door.server.close()
    assert door.server.refusal(arrival()) is HTTPStatus.SERVICE_UNAVAILABLE


# -- settings --------------------------------------------------------------------------


def test_settings_come_from_the_configuration() -> None:
    settings = media_settings(
        Streaming.model_validate(
            {
                "streamPath": "/media",
                "preStartTimeoutMs": 1500,
                "maxPendingConnections": 7,
                "maxPendingConnectionsPerIp": 3,
                "maxConnections": 9,
            }
        )
    )
    assert settings.path == "/media"
    assert settings.limits.start_s == 1.5
    assert settings.max_waiting == 7
    assert settings.max_waiting_per_client == 3
    assert settings.max_sockets == 9


def test_settings_default_to_the_documented_ones() -> None:
    assert media_settings(Streaming()) == MediaSocketSettings()


@pytest.mark.parametrize(
    ("offers", "chosen"),
    [
        ([], None),
        (["other"], None),
        (["audio.drachtio.org"], "audio.drachtio.org"),
        (["other, audio.drachtio.org"], "audio.drachtio.org"),
        (["other", "audio.drachtio.org"], "audio.drachtio.org"),
        (["audio.drachtio.org.evil"], None),
    ],
)
def test_subprotocol_is_plivos_or_none(offers: list[str], chosen: str | None) -> None:
    assert choose_subprotocol(offers) == chosen


# -- over ASGI -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extensions", "answer"),
    [
        ({}, [{"type": "websocket.close"}]),
        (
            {"websocket.http.response": {}},
            [
                {
                    "type": "websocket.http.response.start",
                    "status": 503,
                    "headers": [(b"content-type", b"text/plain")],
                },
                {
                    "type": "websocket.http.response.body",
                    "body": b"Service Unavailable",
                },
            ],
        ),
    ],
)
async def test_asgi_refusal_has_a_status_where_the_server_can_send_one(
    extensions: dict[str, Any], answer: list[dict[str, Any]]
) -> None:
    door = Door()
    await door.server.close()
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/voice/stream",
        "headers": [],
        "subprotocols": [],
        "extensions": extensions,
        "server": None,
        "client": None,
    }
    await AsgiMedia(door.server)(scope, receive, send)
    assert sent == answer
