"""A journal with a slow or unwilling disk."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voice_call.errors import JournalUnwritable
from voice_call.runtime.journal import Journal

if TYPE_CHECKING:
    from voice_call.call.model import CallId, CarrierCallId
    from voice_call.runtime.journal import Journaled

__all__ = ["MoodyJournal"]


class MoodyJournal(Journal):
    """A journal that takes its time, or refuses.

    The order of entries is that of the appends, as with a real disk.

    Attributes:
        delay_s: Seconds until an entry is durable, for those who wait for it.
        refusals: So many of the next awaited appends are refused.
    """

    delay_s = 0.0
    refusals = 0

    async def append(
        self,
        call_id: CallId,
        what: Journaled,
        *,
        at: float,
        dedupe_key: str | None = None,
        carrier_call_id: CarrierCallId | None = None,
    ) -> bool:
        """Write an entry, or refuse; see `Journal.append`.

        Raises:
            JournalUnwritable: As told by `refusals`.
        """
        is_refused = self.refusals > 0
        self.refusals -= is_refused
        is_new = not is_refused and await super().append(
            call_id,
            what,
            at=at,
            dedupe_key=dedupe_key,
            carrier_call_id=carrier_call_id,
        )
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if is_refused:
            raise JournalUnwritable("The disk refuses, as told.")
        return is_new
