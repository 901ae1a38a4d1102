"""One contract for every carrier, and proof that its checks catch what breaks it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from voice_call.carriers.base import Carrier, HttpRequest, Verdict
from voice_call.carriers.simulated import SimulatedNetwork
from voice_call.testing.carrier_suite import (
    CALL_CHECKS,
    CarrierUnderTest,
    check_abilities_agree,
    check_stream_codec,
    check_webhook_codec,
)
from voice_call.testing.clock import ManualClock, VirtualClock
from voice_call.testing.sink import RecordingSink

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from voice_call.carriers.base import CarrierNotice


def carriers() -> list[Carrier]:
    return [SimulatedNetwork(ManualClock()).carrier]


EVERY_CARRIER = pytest.mark.parametrize("carrier", carriers(), ids=lambda c: c.name)
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


# -- the checks themselves -------------------------------------------------------------


def test_contradicting_abilities_are_caught() -> None:
    (carrier,) = carriers()
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
    (carrier,) = carriers()
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
