"""Call control for one call: sent once, and what comes of it is an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voice_call.call.actions import RejectCall
from voice_call.call.events import CallEvent, Dialed, DialFailed, HangupFailed
from voice_call.call.model import CallId, CarrierCallId, Digit, EndCause
from voice_call.carriers.base import CallRef, CarrierStatus, DialOrder
from voice_call.errors import CarrierRefused, CarrierUnreachable
from voice_call.runtime.signalling import Signalling
from voice_call.testing.carriers import ManualCarrier

if TYPE_CHECKING:
    from voice_call.errors import CarrierError

pytestmark = pytest.mark.anyio

CALL = CallRef(call_id=CallId("call-1"), carrier_call_id=CarrierCallId("manual-call-1"))
ORDER = DialOrder(
    call_id=CallId("call-1"),
    to="+15550100999",
    from_="+15550100000",
    ring_timeout_s=30.0,
    max_duration_s=300.0,
)
REFUSED = CarrierRefused("Not this number.", carrier="manual", carrier_code="21211")
UNREACHABLE = CarrierUnreachable("No answer came.", carrier="manual")


class Signals:
    """A carrier, the signalling to it, and what came back."""

    def __init__(self) -> None:
        self.carrier = ManualCarrier()
        self.carrier.confirms = False
        self.results: list[tuple[CallEvent, CarrierCallId | None]] = []
        self.signalling = Signalling(self.carrier, self._receive)

    async def _receive(
        self, event: CallEvent, *, carrier_call_id: CarrierCallId | None = None
    ) -> None:
        self.results.append((event, carrier_call_id))


async def test_a_dial_names_the_call():
    it = Signals()
    await it.signalling.dial(ORDER)
    named = CarrierCallId("manual-call-1")
    assert it.results == [(Dialed(carrier_call_id=named), named)]
    assert it.carrier.dialed == [ORDER]


@pytest.mark.parametrize(
    ("fault", "failed"),
    [
        (
            REFUSED,
            DialFailed(
                code="carrier_refused",
                detail="Not this number.",
                carrier_code="21211",
                may_have_dialed=False,
            ),
        ),
        (
            UNREACHABLE,
            DialFailed(
                code="carrier_unreachable",
                detail="No answer came.",
                may_have_dialed=True,
            ),
        ),
        (
            ZeroDivisionError("+15550100999"),
            DialFailed(
                code="internal_error",
                detail="the dial broke down (ZeroDivisionError)",
                may_have_dialed=True,
            ),
        ),
    ],
)
async def test_a_dial_that_fails_is_reported_and_never_repeated(
    fault: Exception, failed: DialFailed
):
    it = Signals()
    it.carrier.faults["dial"] = [fault]
    await it.signalling.dial(ORDER)
    assert it.results == [(failed, None)]
    assert len(it.carrier.dialed) == 1


@pytest.mark.parametrize("fault", [REFUSED, UNREACHABLE])
async def test_an_answer_that_fails_is_left_to_the_timers_of_the_call(
    fault: CarrierError,
):
    it = Signals()
    it.carrier.faults["answer"] = [fault]
    await it.signalling.answer(CALL)
    await it.signalling.answer(CALL)
    assert it.carrier.answered == [CALL, CALL]
    assert it.results == []


async def test_a_refusal_says_why():
    it = Signals()
    action = RejectCall(cause=EndCause.ALL_LINES_BUSY, notice="All lines are busy.")
    await it.signalling.reject(CALL, action)
    assert it.carrier.rejected == [(EndCause.ALL_LINES_BUSY, "All lines are busy.")]
    assert it.results == []


@pytest.mark.parametrize("command", ["reject", "hang_up"])
async def test_a_hang_up_that_fails_is_reported(command: str):
    it = Signals()
    it.carrier.faults[command] = [UNREACHABLE]
    if command == "reject":
        await it.signalling.reject(CALL, RejectCall(cause=EndCause.POLICY))
    else:
        await it.signalling.hang_up(CALL)
    failed = HangupFailed(code="carrier_unreachable", detail="No answer came.")
    assert it.results == [(failed, None)]


async def test_a_hang_up_that_is_taken_says_nothing():
    it = Signals()
    await it.signalling.hang_up(CALL)
    assert it.carrier.hung_up == [CALL]
    assert it.results == []


async def test_keys_are_sent_and_a_refusal_is_raised():
    it = Signals()
    it.carrier.faults["send_digits"] = [REFUSED]
    with pytest.raises(CarrierRefused):
        await it.signalling.send_digits(CALL, (Digit.ONE,))
    await it.signalling.send_digits(CALL, (Digit.TWO,))
    assert it.carrier.digits == [Digit.TWO]


@pytest.mark.parametrize(
    ("status", "has_ended"),
    [
        (CarrierStatus.ENDED, True),
        (CarrierStatus.LIVE, False),
        (CarrierStatus.UNKNOWN, False),
    ],
)
async def test_a_carrier_is_asked_whether_a_call_is_over(status, has_ended):
    it = Signals()
    it.carrier.status = status
    assert await it.signalling.has_ended(CALL) is has_ended


async def test_a_carrier_that_does_not_say_has_not_said_that_it_is_over():
    it = Signals()
    it.carrier.faults["fetch_status"] = [UNREACHABLE]
    assert not await it.signalling.has_ended(CALL)
