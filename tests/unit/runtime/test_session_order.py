"""The order of what one call writes down, and why replay gives the same call again."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from voice_call.call.actions import End
from voice_call.call.events import Answered, CarrierEnded
from voice_call.call.model import CallState, EndCause, EndedBy
from voice_call.call.setup import CallLimits
from voice_call.errors import JournalUnwritable
from voice_call.runtime.recovery import rebuild
from voice_call.testing.carriers import ManualCarrier, ManualStream
from voice_call.testing.journals import MoodyJournal
from voice_call.testing.offices import Office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from voice_call.runtime.session import CallSession

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def office(**settings: Any) -> AsyncIterator[Office[ManualCarrier]]:
    async with Office(ManualCarrier(), **settings) as it:
        yield it


async def connected(
    it: Office[ManualCarrier], message: str | None
) -> tuple[CallSession, ManualStream]:
    session = await it.place(message)
    stream = await it.network.pick_up(f"manual-{session.opened.call_id}")
    return session, stream


def written(it: Office[ManualCarrier], session: CallSession) -> list[str]:
    entries = it.journal.entries(session.opened.call_id)
    return [type(entry.what).__name__ for entry in entries]


async def test_own_events_wait_behind_what_is_being_written():
    async with office(journal=MoodyJournal.in_memory()) as it:
        session = await it.place()
        carrier_id = f"manual-{session.opened.call_id}"
        it.journal.delay_s = 0.5  # type: ignore[attr-defined]
        answering = asyncio.create_task(it.network.report(carrier_id, Answered()))
        await asyncio.sleep(0.1)
        it.network.open_stream(carrier_id)
        assert "StreamOpened" not in written(it, session)
        await answering
        kinds = written(it, session)
        assert kinds.index("Answered") < kinds.index("StreamOpened")


async def test_own_events_do_not_wait_for_ever_behind_a_refusing_disk():
    journal = MoodyJournal.in_memory()
    async with office(journal=journal) as it:
        session = await it.place()
        carrier_id = f"manual-{session.opened.call_id}"
        journal.delay_s, journal.refusals = 0.5, 1
        answering = asyncio.create_task(it.network.report(carrier_id, Answered()))
        await asyncio.sleep(0.1)
        it.network.open_stream(carrier_id)
        with pytest.raises(JournalUnwritable):
            await answering
        assert "StreamOpened" in written(it, session)
        assert session.machine.state is not CallState.INITIATED


async def test_what_a_command_causes_is_written_after_the_command():
    async with office() as it:
        session, _ = await connected(it, "A rather long opening, word after word.")
        await asyncio.sleep(1)
        await session.command(End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL))
        await session.wait_closed()
        kinds = written(it, session)
        assert kinds.index("End") < kinds.index("AgentSpeechEnded")


async def test_commands_and_news_take_effect_in_the_order_of_the_journal():
    journal = MoodyJournal.in_memory()
    async with office(journal=journal) as it:
        session, _ = await connected(it, None)
        journal.delay_s = 0.5
        busy = CarrierEnded(cause=EndCause.NORMAL, by=EndedBy.REMOTE)
        ending = asyncio.create_task(
            it.network.report(f"manual-{session.opened.call_id}", busy)
        )
        await asyncio.sleep(0.1)
        await session.command(End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL))
        await ending
        await session.wait_closed()
        replayed = rebuild(it.journal.entries(session.opened.call_id)).machine
        assert session.machine.ending == replayed.ending


async def test_the_last_words_are_written_before_the_end_that_cut_them():
    async with office() as it:
        session, _ = await connected(it, "A rather long opening, word after word.")
        await asyncio.sleep(1)
        await it.network.hang_up_remote(f"manual-{session.opened.call_id}")
        await session.wait_closed()
        (entry,) = session.machine.transcript
        assert entry.is_cut
        replayed = rebuild(it.journal.entries(session.opened.call_id)).machine
        assert replayed.transcript == session.machine.transcript


async def test_a_deadline_waits_behind_what_is_being_written():
    journal = MoodyJournal.in_memory()
    async with office(
        journal=journal, limits=CallLimits(ring_timeout_s=5.0, ring_margin_s=0.0)
    ) as it:
        session = await it.place()
        await asyncio.sleep(4.5)
        journal.delay_s = 1.0
        await it.network.report(f"manual-{session.opened.call_id}", Answered())
        journal.delay_s = 0.0
        assert session.machine.state is CallState.ANSWERED
        await asyncio.sleep(1)
        assert session.machine.state is CallState.ANSWERED


async def test_the_last_entry_of_a_call_is_its_end():
    async with office() as it:
        session, _ = await connected(it, "Hello there.")
        await it.network.hang_up_remote(f"manual-{session.opened.call_id}")
        await session.wait_closed()
        assert written(it, session)[-1] == "CallEnded"
