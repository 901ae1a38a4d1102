"""Call control for one call: carries out actions at the carrier, results are events.

Nothing here decides anything. A dial is sent exactly once; a dial without an answer may
have reached the carrier and is reported as such.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from voice_call.call.events import Dialed, DialFailed, HangupFailed
from voice_call.carriers.base import CarrierStatus
from voice_call.errors import CarrierError, CarrierUnreachable
from voice_call.log import get_logger

if TYPE_CHECKING:
    from voice_call.call.actions import RejectCall
    from voice_call.call.events import CallEvent
    from voice_call.call.model import CarrierCallId, Digit
    from voice_call.carriers.base import CallControl, CallRef, DialOrder, PlanStep

__all__ = ["EventReceiver", "Signalling"]

_log = get_logger(__name__)


class EventReceiver(Protocol):
    """Takes the results of call control; returns when they are durable."""

    async def __call__(
        self, event: CallEvent, *, carrier_call_id: CarrierCallId | None = None
    ) -> None:
        """Take one event."""
        ...


class Signalling:
    """Sends one call's commands to its carrier."""

    def __init__(self, control: CallControl, receive: EventReceiver) -> None:
        self._control = control
        self._receive = receive

    async def dial(self, order: DialOrder) -> None:
        """Place the call; sent once, whatever happens."""
        try:
            carrier_call_id = await self._control.dial(order)
        except CarrierError as fault:
            await self._receive(
                DialFailed(
                    code=fault.code,
                    detail=str(fault),
                    carrier_code=fault.carrier_code,
                    may_have_dialed=isinstance(fault, CarrierUnreachable),
                )
            )
        except Exception as fault:  # noqa: BLE001 - a carrier's code may break in any way
            _log.exception("dial broke down", call_id=order.call_id)
            await self._receive(
                DialFailed(
                    code="internal_error",
                    detail=f"the dial broke down ({type(fault).__name__})",
                    may_have_dialed=True,
                )
            )
        else:
            await self._receive(
                Dialed(carrier_call_id=carrier_call_id), carrier_call_id=carrier_call_id
            )

    async def answer(self, call: CallRef) -> None:
        """Pick up; where that fails, the call is ended by its own timers."""
        try:
            await self._control.answer(call)
        except CarrierError as fault:
            _log.error("answer failed", call_id=call.call_id, code=fault.code)

    async def reject(self, call: CallRef, action: RejectCall) -> None:
        """Refuse an inbound call; a failed refusal is tried again as a hang-up."""
        try:
            await self._control.reject(call, cause=action.cause, notice=action.notice)
        except CarrierError as fault:
            await self._receive(HangupFailed(code=fault.code, detail=str(fault)))

    async def hang_up(self, call: CallRef) -> None:
        """End the call."""
        try:
            await self._control.hang_up(call)
        except CarrierError as fault:
            _log.warning("hang-up failed", call_id=call.call_id, code=fault.code)
            await self._receive(HangupFailed(code=fault.code, detail=str(fault)))

    async def has_ended(self, call: CallRef) -> bool:
        """Return True where the carrier says, when asked, that a call is over."""
        try:
            status = await self._control.fetch_status(call)
        except CarrierError as fault:
            _log.warning("carrier did not say", call_id=call.call_id, code=fault.code)
            return False
        return status is CarrierStatus.ENDED

    async def act(self, call: CallRef, steps: tuple[PlanStep, ...]) -> None:
        """Make a call without a media stream take these steps now.

        Raises:
            CarrierError: The carrier did not take them.
        """
        await self._control.act(call, steps)

    async def send_digits(self, call: CallRef, digits: tuple[Digit, ...]) -> None:
        """Send DTMF digits.

        Raises:
            CarrierError: The carrier did not take them.
        """
        await self._control.send_digits(call, digits)
