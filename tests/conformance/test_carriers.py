"""One contract for every carrier, and proof that its checks catch what breaks it."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from voice_call.call.model import CallId
from voice_call.carriers.base import Carrier, ConnectStream, HttpRequest, Verdict
from voice_call.carriers.simulated import SimulatedNetwork
from voice_call.carriers.twilio import make_carrier
from voice_call.clock import SystemClock
from voice_call.exposure.public_url import UrlRules
from voice_call.server.listener import WebhookServer
from voice_call.server.media_socket import MediaSocketServer, MediaSocketSettings
from voice_call.server.settings import ServerSettings
from voice_call.server.stream_tickets import StreamTickets
from voice_call.testing.carrier_suite import (
    CALL_CHECKS,
    CarrierUnderTest,
    check_abilities_agree,
    check_stream_codec,
    check_webhook_codec,
)
from voice_call.testing.clock import ManualClock, VirtualClock
from voice_call.testing.sink import RecordingSink
from voice_call.testing.twilio_network import (
    Behaviour,
    Callee,
    Timing,
    Tunnel,
    TwilioNetwork,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from voice_call.carriers.base import CarrierNotice


SID, TOKEN = "AC" + "0" * 32, "not-a-secret"
PUBLIC = "https://phone.example.com"


def carriers() -> list[Carrier]:
    return [
        SimulatedNetwork(ManualClock()).carrier,
        make_carrier(account_sid=SID, auth_token=TOKEN),
        make_carrier(account_sid=SID, auth_token=TOKEN, has_streams=False),
    ]


EVERY_CARRIER = pytest.mark.parametrize(
    "carrier", carriers(), ids=["simulated", "twilio", "twilio-without-streams"]
)
BODIES = [b"", b"{}", b"[]", b"\xff\xfe", b"a=b&c=d", b"[" * 5000, b'{"event": 5}']


@EVERY_CARRIER
def test_abilities_agree(carrier: Carrier) -> None:
    check_abilities_agree(carrier)


@EVERY_CARRIER
@pytest.mark.parametrize("body", BODIES)
def test_any_webhook_is_judged(carrier: Carrier, body: bytes) -> None:
    request = HttpRequest(
        method="POST", url="https://phone.example/hook?callId=1", headers={}, body=body
    )
    check_webhook_codec(carrier, request, now=1_700_000_000.0)


@EVERY_CARRIER
@pytest.mark.parametrize("message", BODIES)
def test_any_stream_message_is_understood_or_refused(
    carrier: Carrier, message: bytes
) -> None:
    check_stream_codec(carrier, message)


@pytest.mark.anyio
@pytest.mark.parametrize("check", CALL_CHECKS, ids=lambda check: check.__name__)
async def test_calls_on_the_simulated_carrier(
    check: Callable[[CarrierUnderTest], Awaitable[None]],
) -> None:
    clock = VirtualClock()
    network, sink = SimulatedNetwork(clock), RecordingSink(clock)
    network.connect(sink)
    under_test = CarrierUnderTest(
        carrier=network.carrier,
        sink=sink,
        answering_number="+15550100000",
        busy_number="+15550100010",
        refused_number="+15550100031",
        hang_up_remote=network.hang_up,
    )
    try:
        await check(under_test)
    finally:
        await network.close()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [("asyncio", {})], ids=["real-time"])
@pytest.mark.parametrize("check", CALL_CHECKS, ids=lambda check: check.__name__)
async def test_calls_on_twilio(
    check: Callable[[CarrierUnderTest], Awaitable[None]],
) -> None:
    async with twilio() as under_test:
        await check(under_test)


@asynccontextmanager
async def twilio() -> AsyncIterator[CarrierUnderTest]:
    """Run Twilio's simulator, and our server that it calls, on loopback."""
    port = free_port()
    network = TwilioNetwork(
        SID,
        TOKEN,
        tunnels=[Tunnel(public=PUBLIC, local=f"http://127.0.0.1:{port}")],
        callees={
            "+15550100000": Callee(ring_s=0.02),
            "+15550100010": Callee(behaviour=Behaviour.BUSY, ring_s=0.02),
        },
        timing=Timing(dial_s=0.02),
    )
    carrier = make_carrier(
        account_sid=SID,
        auth_token=TOKEN,
        api_base_url=await network.start(),
        webhook_url=f"{PUBLIC}/voice/webhook",
    )
    sink = RecordingSink(SystemClock())
    server = serve(carrier, sink, port)
    await server.start()
    try:
        yield CarrierUnderTest(
            carrier=carrier,
            sink=sink,
            answering_number="+15550100000",
            busy_number="+15550100010",
            refused_number="+1555",  # too short for Twilio: error 21211
            hang_up_remote=lambda sid: next(
                call for call in network.calls if call.sid == sid
            ).hang_up(),
        )
    finally:
        await network.stop()
        await server.stop(1.0)
        await carrier.control.close()


def serve(carrier: Carrier, sink: RecordingSink, port: int) -> WebhookServer:
    """Return a server that lets every call open its stream."""
    clock, tickets = SystemClock(), StreamTickets()
    assert carrier.streams is not None

    def connect(*_: Any) -> tuple[ConnectStream]:
        tickets.issue(CallId("contract"), token="contract-token", now=clock.now())
        return (
            ConnectStream(
                url="wss://phone.example.com/voice/stream", token="contract-token"
            ),
        )

    return WebhookServer(
        ServerSettings(port=port, urls=UrlRules(public_url=f"{PUBLIC}/voice/webhook")),
        carrier,
        sink,
        connect,
        clock,
        media=MediaSocketServer(
            carrier.streams,
            sink,
            tickets,
            call_of=lambda _: CallId("contract"),
            clock=clock,
            settings=MediaSocketSettings(),
        ),
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# -- the checks themselves -------------------------------------------------------------


def test_contradicting_abilities_are_caught() -> None:
    carrier = carriers()[0]
    no_stream = replace(carrier.capabilities, streams_audio=False)
    with pytest.raises(AssertionError, match="Marks need a media stream"):
        check_abilities_agree(replace(carrier, capabilities=no_stream))


class KeylessWebhooks:
    """Says genuine without a key, as a server then cannot tell repetitions."""

    required_headers: tuple[tuple[str, ...], ...] = ((),)

    def verify(self, request: HttpRequest, *, now: float) -> Verdict:
        return Verdict(is_genuine=True)

    def decode(self, request: HttpRequest, *, request_key: str) -> list[CarrierNotice]:
        return []


def test_a_genuine_request_without_a_key_is_caught() -> None:
    carrier = carriers()[0]
    broken: Any = KeylessWebhooks()
    request = HttpRequest(method="POST", url="https://a.example/", headers={}, body=b"")
    with pytest.raises(AssertionError, match="has a key"):
        check_webhook_codec(replace(carrier, webhooks=broken), request, now=0.0)


@pytest.mark.anyio
async def test_a_dial_that_is_not_refused_is_caught() -> None:
    clock = VirtualClock()
    network, sink = SimulatedNetwork(clock), RecordingSink(clock)
    network.connect(sink)
    check = next(c for c in CALL_CHECKS if "refused" in getattr(c, "__name__", ""))
    with pytest.raises(AssertionError, match="raises CarrierError"):
        await check(
            CarrierUnderTest(
                carrier=network.carrier,
                sink=sink,
                answering_number="+15550100000",
                busy_number="+15550100010",
                refused_number="+15550100000",
                hang_up_remote=network.hang_up,
            )
        )
    await network.close()
