"""Calls rebuilt from the journal, and taken up again after a restart."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from voice_call.call.actions import Ask, End, Say
from voice_call.call.events import (
    AgentSpeechEnded,
    AgentSpeechStarted,
    Answered,
    CallerSpoke,
    CarrierEnded,
    Dialed,
    Offered,
    Ringing,
    SpeechOutcome,
    StreamOpened,
)
from voice_call.call.model import (
    CallId,
    CallMode,
    CallPhase,
    CallState,
    CarrierCallId,
    Direction,
    EndCause,
    EndedBy,
    StreamId,
    TranscriptEntry,
)
from voice_call.call.setup import CallLimits, CallSetup
from voice_call.carriers.base import CarrierNotice, CarrierStatus
from voice_call.errors import CarrierUnreachable, JournalCorrupt
from voice_call.runtime.agent import EndCallRequested
from voice_call.runtime.journal import CallOpened, Journal, JournalEntry
from voice_call.runtime.recovery import pack_setup, rebuild
from voice_call.testing.agents import ScriptedAgent
from voice_call.testing.carriers import ManualCarrier
from voice_call.testing.clock import EPOCH_S
from voice_call.testing.offices import Office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path
    from typing import Any

    from voice_call.call.machine import CallMachine
    from voice_call.runtime.journal import Journaled
    from voice_call.runtime.session import CallSession

pytestmark = pytest.mark.anyio

CALL_ID = CallId("call-1")
SETUP = CallSetup(
    call_id=CALL_ID,
    direction=Direction.OUTBOUND,
    opening="Hello.",
    limits=CallLimits(ring_timeout_s=20.0),
)
OPENED = CallOpened(
    call_id=CALL_ID,
    carrier="manual",
    direction=Direction.OUTBOUND,
    mode=CallMode.CONVERSATION,
    from_="+15550100000",
    to="+15550100999",
    session_key="main",
    opening="Hello.",
    limits=pack_setup(SETUP),
)


def entries_of(*what: tuple[float, Journaled]) -> list[JournalEntry]:
    return [
        JournalEntry(seq=seq, call_id=CALL_ID, at=EPOCH_S + at, what=each)
        for seq, (at, each) in enumerate(what, start=1)
    ]


@asynccontextmanager
async def office(**settings: Any) -> AsyncIterator[Office[ManualCarrier]]:
    async with Office(ManualCarrier(), **settings) as it:
        yield it


# -- rebuilding ------------------------------------------------------------------------


def test_a_call_has_the_setup_it_was_opened_with():
    rebuilt = rebuild(entries_of((0.0, OPENED)))
    assert rebuilt.machine.setup == SETUP
    assert rebuilt.machine.state is CallState.INITIATED
    assert rebuilt.machine.started_at == EPOCH_S
    assert rebuilt.facts.carrier_call_id is None


def test_events_take_effect_at_their_own_times():
    machine = rebuild(
        entries_of(
            (0.0, OPENED),
            (0.5, Dialed(carrier_call_id=CarrierCallId("c"))),
            (1.0, Ringing()),
            (4.0, Answered()),
        )
    ).machine
    assert machine.state is CallState.ANSWERED
    assert machine.answered_at == EPOCH_S + 4.0


def test_deadlines_between_two_entries_take_effect():
    machine = rebuild(
        entries_of((0.0, OPENED), (1.0, Ringing()), (35.0, Answered()))
    ).machine
    assert machine.phase is CallPhase.ENDING  # after 20 s, and 10 s of margin


def test_deadlines_after_the_last_entry_are_left_alone():
    machine = rebuild(entries_of((0.0, OPENED), (1.0, Ringing()))).machine
    assert machine.phase is CallPhase.RINGING
    assert machine.next_deadline() == EPOCH_S + 30.0


def test_a_command_that_was_refused_is_refused_again():
    say = Say(utterance_id="s", text="Too early.")
    machine = rebuild(entries_of((0.0, OPENED), (1.0, say))).machine
    assert machine.state is CallState.INITIATED


def test_a_dial_that_succeeded_too_late_still_names_the_call():
    rebuilt = rebuild(
        entries_of(
            (0.0, OPENED),
            (1.0, CarrierEnded(cause=EndCause.BUSY, by=EndedBy.REMOTE)),
            (2.0, Dialed(carrier_call_id=CarrierCallId("c"))),
        )
    )
    assert rebuilt.machine.state is CallState.BUSY
    assert rebuilt.facts.carrier_call_id == "c"


@pytest.mark.parametrize(
    "entries", [[], entries_of((0.0, Offered()))], ids=["nothing", "no opening"]
)
def test_a_call_without_a_beginning_is_corrupt(entries: Sequence[JournalEntry]):
    with pytest.raises(JournalCorrupt, match="no beginning"):
        rebuild(entries)


def test_a_call_with_an_unreadable_setup_is_corrupt():
    opened = CallOpened(
        call_id=CALL_ID,
        carrier="manual",
        direction=Direction.OUTBOUND,
        mode=CallMode.CONVERSATION,
        from_="",
        to="",
        session_key="main",
        limits={"call_id": 5},
    )
    with pytest.raises(JournalCorrupt, match="unreadable"):
        rebuild(entries_of((0.0, opened)))


def test_what_was_being_said_is_known():
    stream_id = StreamId("s")
    entries = entries_of(
        (0.0, OPENED),
        (1.0, Answered()),
        (1.1, StreamOpened(stream_id=stream_id)),
        (1.2, AgentSpeechStarted(utterance_id="opening")),
        (1.5, Say(utterance_id="say", text="And this.")),
        (2.0, CallerSpoke(utterance_id="u", text="Hi.")),
        (
            2.5,
            AgentSpeechEnded(
                utterance_id="opening", outcome=SpeechOutcome.PLAYED, heard="Hello."
            ),
        ),
    )
    assert rebuild(entries[:2]).speaking == ()
    assert rebuild(entries[:3]).speaking == ("opening",)
    assert rebuild(entries[:6]).speaking == ("opening", "say", "reply-1")
    assert rebuild(entries).speaking == ("say", "reply-1")


# -- any prefix ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A live call at one moment."""

    at: float
    entries: int
    state: CallState
    phase: CallPhase
    transcript: tuple[TranscriptEntry, ...]


async def watch(it: Office[ManualCarrier], session: CallSession) -> list[Look]:
    looks: list[Look] = []
    while not session.machine.is_over:
        await asyncio.sleep(0.007)
        looks.append(
            Look(
                at=it.clock.now(),
                entries=len(it.journal.entries(session.opened.call_id)),
                state=session.machine.state,
                phase=session.machine.phase,
                transcript=session.machine.transcript,
            )
        )
    return looks


async def hold_a_rich_call(it: Office[ManualCarrier], session: CallSession) -> None:
    """Opening, replies, a barge-in, a question, a lost stream, a goodbye."""
    stream = await it.network.pick_up(f"manual-{session.opened.call_id}")
    it.stt.expect("Tell me.", "Stop it please now.", "At noon.", "Bye.")
    await asyncio.sleep(3)
    await stream.speak(1.0)
    await it.wait_until(lambda: bool(it.agent.finished))
    await asyncio.sleep(1)
    await stream.speak(1.5)
    await asyncio.sleep(5)
    asking = asyncio.create_task(session.ask(Ask(ask_id="q", text="When?")))
    await asyncio.sleep(1)
    await stream.speak(1.0)
    await asking
    stream.stop()
    await asyncio.sleep(1)
    stream = it.network.open_stream(f"manual-{session.opened.call_id}")
    await session.command(Say(utterance_id="s", text="Here I am again."))
    await asyncio.sleep(3)
    await stream.speak(1.0)


async def test_every_prefix_of_the_journal_gives_the_call_as_it_was():
    agent = ScriptedAgent(
        ["This is the first sentence. ", "This is the second sentence. ", "And more."],
        [0.5, "All right."],
        [2.5, "Goodbye.", EndCallRequested()],
    )
    async with office(agent=agent) as it:
        session = await it.place("Hello there.")
        watching = asyncio.create_task(watch(it, session))
        await hold_a_rich_call(it, session)
        await session.wait_closed()
        looks = await watching
        entries = it.journal.entries(session.opened.call_id)
        for look in looks:
            machine = rebuild(entries[: look.entries]).machine
            catch_up(machine, look.at)
            assert machine.state is look.state, look
            assert machine.phase is look.phase, look
            assert machine.transcript == look.transcript, look
        assert len({look.entries for look in looks}) > 15
        assert {look.state for look in looks} >= {
            CallState.SPEAKING,
            CallState.LISTENING,
            CallState.HANGUP_BOT,
        }


def catch_up(machine: CallMachine, now: float) -> None:
    while (due := machine.next_deadline()) is not None and due <= now:
        machine.tick(due)


# -- taking up -------------------------------------------------------------------------


async def test_nothing_is_ever_dialed_by_a_recovery():
    async with office() as it:
        it.network.delays["dial"] = 100.0
        await it.place()  # the process dies while it dials
        await it.place()
        it.restart()
        it.network.dialed.clear()
        await it.manager.recover()
        await asyncio.sleep(1)
        assert it.network.dialed == []
        assert it.manager.live() == []
        assert it.journal.open_calls() == []


async def test_calls_that_the_carrier_does_not_know_are_lost_and_free_their_places():
    async with office(max_calls=2) as it:
        sessions = [await it.place(), await it.place()]
        it.restart()
        it.network.status = CarrierStatus.ENDED
        it.network.delays["fetch_status"] = 2.0
        began = it.clock.now()
        await it.manager.recover()
        await asyncio.sleep(0.01)
        assert it.clock.now() - began < 5.0
        assert it.manager.live() == []
        for each in sessions:
            told = it.manager.describe(each.opened.call_id)
            assert told.machine.state is CallState.COMPLETED
            assert told.machine.ending is not None
            assert told.machine.ending.cause is EndCause.LOST
        await it.place()


async def test_a_call_that_was_being_ended_keeps_its_cause():
    async with office() as it:
        it.network.confirms = False
        session = await it.place()
        await session.command(End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL))
        it.restart()
        it.network.status = CarrierStatus.ENDED
        await it.manager.recover()
        await asyncio.sleep(0.01)
        told = it.manager.describe(session.opened.call_id)
        assert told.machine.state is CallState.HANGUP_BOT


async def test_a_live_call_goes_on_with_what_is_left_of_its_time():
    async with office(limits=CallLimits(max_duration_s=60.0)) as it:
        session = await it.place(None)
        carrier_id = f"manual-{session.opened.call_id}"
        await it.network.pick_up(carrier_id)
        answered = it.clock.now()
        await asyncio.sleep(40)
        it.restart()
        await it.manager.recover()
        again = it.manager.session(carrier_id)
        it.network.open_stream(carrier_id)
        await again.wait_closed()
        assert it.clock.now() - answered == pytest.approx(60.0, abs=0.1)
        assert again.machine.state is CallState.TIMEOUT


async def test_a_live_call_whose_stream_does_not_come_back_ends():
    async with office() as it:
        session = await it.place(None)
        await it.network.pick_up(f"manual-{session.opened.call_id}")
        it.restart()
        await it.manager.recover()
        (again,) = it.manager.live()
        began = it.clock.now()
        await again.wait_closed()
        assert it.clock.now() - began == pytest.approx(2.0, abs=0.1)
        assert again.machine.state is CallState.ERROR


async def after_a_crash(
    it: Office[ManualCarrier], entries: Sequence[JournalEntry]
) -> CallSession:
    """Recover a call from what a dead process has left in its journal."""
    for entry in entries:
        await it.journal.append(entry.call_id, entry.what, at=entry.at)
    await it.manager.recover()
    (session,) = it.manager.live()
    return session


async def test_a_message_cut_by_a_crash_is_said_again_and_the_call_ends():
    message = "A rather long message."
    async with office() as it:
        session = await it.place(message, mode=CallMode.NOTIFY)
        await it.network.pick_up(f"manual-{session.opened.call_id}")
        await asyncio.sleep(0.5)
        entries = it.journal.entries(session.opened.call_id)
    async with office() as it:
        again = await after_a_crash(it, entries)
        it.network.open_stream(f"manual-{session.opened.call_id}")
        await again.wait_closed()
        assert it.tts.spoken == [message]
        assert again.machine.state is CallState.COMPLETED
        assert [each.text for each in again.machine.transcript] == [message]
        assert it.clock.now() - again.machine.started_at < 10.0


async def test_a_caller_whose_answer_was_cut_by_a_crash_is_answered():
    async with office(agent=ScriptedAgent([5.0, "Never said."])) as it:
        session = await it.place(None)
        stream = await it.network.pick_up(f"manual-{session.opened.call_id}")
        it.stt.expect("What time is it?")
        await stream.speak(1.0)
        await it.wait_until(lambda: bool(it.agent.turns))
        entries = it.journal.entries(session.opened.call_id)
    async with office(agent=ScriptedAgent(["It is noon."])) as it:
        again = await after_a_crash(it, entries)
        it.network.open_stream(f"manual-{session.opened.call_id}")
        await asyncio.sleep(5)
        assert it.agent.turns[0].heard == ("What time is it?",)
        assert [each.text for each in again.machine.transcript] == [
            "What time is it?",
            "It is noon.",
        ]


async def test_a_call_that_rang_for_too_long_meanwhile_is_hung_up():
    async with office() as it:
        session = await it.place()
        it.manager.session(session.opened.call_id)._alarm.cancel()
        it.restart()
        await asyncio.sleep(100)
        await it.manager.recover()
        await asyncio.sleep(0.1)
        told = it.manager.describe(session.opened.call_id)
        assert told.machine.state is CallState.NO_ANSWER
        assert len(it.network.hung_up) == 1


@pytest.mark.parametrize(
    "fault", [CarrierUnreachable("No.", carrier="manual"), ZeroDivisionError()]
)
async def test_a_call_stays_where_the_carrier_cannot_tell(fault: Exception):
    async with office() as it:
        session = await it.place()
        it.restart()
        it.network.faults["fetch_status"] = [fault]
        await it.manager.recover()
        (again,) = it.manager.live()
        assert again.opened == session.opened
        await it.network.pick_up(f"manual-{session.opened.call_id}")
        assert again.machine.state is CallState.ACTIVE


async def test_a_call_whose_end_was_not_written_down_is_closed():
    async with office() as it:
        session = await it.place()
        carrier_id = f"manual-{session.opened.call_id}"
        await it.journal.append(
            session.opened.call_id,
            CarrierEnded(cause=EndCause.BUSY, by=EndedBy.REMOTE),
            at=it.clock.now(),
        )
        it.restart()
        await it.manager.recover()
        await asyncio.sleep(0.01)
        assert it.manager.live() == []
        assert it.journal.open_calls() == []
        assert it.manager.describe(carrier_id).machine.state is CallState.BUSY


async def test_a_recovered_call_is_known_under_its_newest_name_and_the_older_ones():
    async with office() as it:
        session = await it.place()
        call_id = session.opened.call_id
        await it.manager.deliver(
            CarrierNotice(
                event=Ringing(), carrier_call_id=CarrierCallId("new"), call_id=call_id
            )
        )
        it.restart()
        await it.manager.recover()
        again = it.manager.session("new")
        assert it.manager.session(f"manual-{call_id}") is again
        assert [ref.carrier_call_id for ref in it.network.asked] == ["new"]
        await it.network.report(f"manual-{call_id}", Answered())
        assert again.machine.state is CallState.ANSWERED
        assert again.carrier_call_id == "new"


async def test_news_that_were_taken_before_the_restart_are_not_taken_again():
    async with office() as it:
        session = await it.place()
        carrier_id = f"manual-{session.opened.call_id}"
        await it.network.report(carrier_id, Answered(), key="a")
        it.restart()
        await it.manager.recover()
        before = len(it.journal.entries(session.opened.call_id))
        await it.network.report(carrier_id, Answered(), key="a")
        assert len(it.journal.entries(session.opened.call_id)) == before


async def test_a_refused_inbound_call_is_refused_after_a_restart_too():
    async with office() as it:
        it.network.confirms = False
        await it.manager.drain(0.0)  # a draining office takes nobody
        carrier_id = await it.network.offer()
        await asyncio.sleep(0.01)
        it.restart()
        await it.manager.recover()
        assert it.manager.session(carrier_id).machine.phase is CallPhase.ENDING
        await it.network.hang_up_remote(carrier_id)
        await asyncio.sleep(0.01)
        assert it.manager.describe(carrier_id).machine.state is CallState.BUSY


async def test_calls_survive_in_a_journal_on_disk(tmp_path: Path):
    path = tmp_path / "calls.db"
    events = (Dialed(carrier_call_id=CarrierCallId("c")), Ringing(), Answered())
    journal = Journal.open(path)
    for at, what in enumerate((OPENED, *events)):
        await journal.append(CALL_ID, what, at=EPOCH_S + at)
    await journal.close()

    journal = Journal.open(path)
    (entries,) = journal.open_calls()
    rebuilt = rebuild(entries)
    await journal.close()
    assert rebuilt.opened == OPENED
    assert rebuilt.machine.state is CallState.ANSWERED
    assert rebuilt.facts.carrier_call_id == "c"


async def test_one_damaged_call_keeps_nothing_else_from_going_on():
    journal = Journal.in_memory()
    for call_id in ("damaged", "sound"):
        opened = CallOpened(
            call_id=CallId(call_id),
            carrier="manual",
            direction=Direction.OUTBOUND,
            mode=CallMode.NOTIFY,
            from_="+15550000000",
            to="+15550001234",
            session_key="voice:1",
            limits=pack_setup(
                CallSetup(call_id=CallId(call_id), direction=Direction.OUTBOUND)
            )
            if call_id == "sound"
            else {"call_id": 7},
        )
        await journal.append(CallId(call_id), opened, at=EPOCH_S)
    async with office(journal=journal) as it:
        await it.manager.recover()
        await asyncio.sleep(1)
        assert [each.opened.call_id for each in it.manager.live()] == []
        assert it.manager.describe("sound").machine.is_over
