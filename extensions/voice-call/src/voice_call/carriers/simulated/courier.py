"""Brings the notices of one call to the agent's side, one after another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voice_call.call.events import Answered, CarrierEnded, Offered, Ringing
from voice_call.carriers.base import CarrierNotice
from voice_call.errors import JournalError
from voice_call.log import get_logger

if TYPE_CHECKING:
    from voice_call.call.events import CallEvent
    from voice_call.carriers.base import CarrierSink
    from voice_call.carriers.simulated.facts import CallFacts

__all__ = ["Courier"]

_log = get_logger(__name__)

MAX_DELIVERIES = 5
_RETRY_AFTER_S = 1.0


class Courier:
    """Delivers notices in order; sends again what could not be stored.

    Args:
        facts: The call.
        sink: Who takes the notices.
        is_untidy: Deliver each notice twice, and the ringing after the answer.
    """

    def __init__(self, facts: CallFacts, sink: CarrierSink, *, is_untidy: bool) -> None:
        self._facts = facts
        self._sink = sink
        self._is_untidy = is_untidy
        self._held_back: CarrierNotice | None = None
        self._told = 0
        self._queue: asyncio.Queue[CarrierNotice | None] = asyncio.Queue()

    def tell(self, event: CallEvent) -> None:
        """Queue the notice of an event; nothing follows a `CarrierEnded`."""
        notice = self._notice(event)
        if self._is_untidy:
            self._tell_untidily(notice)
        else:
            self._queue.put_nowait(notice)
        if isinstance(event, CarrierEnded):
            self._queue.put_nowait(None)

    async def run(self) -> None:
        """Deliver until the end of the call has been delivered."""
        while (notice := await self._queue.get()) is not None:
            await self._deliver(notice)

    def _tell_untidily(self, notice: CarrierNotice) -> None:
        if isinstance(notice.event, Ringing):
            self._held_back = notice
            return
        self._queue.put_nowait(notice)
        if self._held_back is not None and isinstance(
            notice.event, Answered | CarrierEnded
        ):
            self._queue.put_nowait(self._held_back)
            self._queue.put_nowait(self._held_back)
            self._held_back = None
        self._queue.put_nowait(notice)

    def _notice(self, event: CallEvent) -> CarrierNotice:
        facts = self._facts
        self._told += 1
        is_offer = isinstance(event, Offered)
        return CarrierNotice(
            event=event,
            carrier_call_id=facts.carrier_call_id,
            call_id=facts.call_id,
            dedupe_key=f"{facts.carrier_call_id}:{self._told}",
            direction=facts.direction if is_offer else None,
            from_=facts.from_,
            to=facts.to,
        )

    async def _deliver(self, notice: CarrierNotice) -> None:
        for attempt in range(1, MAX_DELIVERIES + 1):
            try:
                await self._sink.deliver(notice)
            except JournalError as error:
                _log.warning("notice not stored", code=error.code, attempt=attempt)
                await asyncio.sleep(_RETRY_AFTER_S)
            except Exception:  # noqa: BLE001 - logged; the sink's own fault
                _log.exception("notice not taken", notice=type(notice.event).__name__)
                return
            else:
                return
        _log.error("notice lost", notice=type(notice.event).__name__)
