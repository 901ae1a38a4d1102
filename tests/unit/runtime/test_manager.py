"""All calls: placed, taken, refused, found, drained; and none harms another."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import asynccontextmanager
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from voice_call.call.actions import End, Ignored
from voice_call.call.events import (
    Answered,
    CarrierEnded,
    Offered,
    Ringing,
)
from voice_call.call.model import (
    CallMode,
    CallState,
    CarrierCallId,
    Direction,
    EndCause,
    EndedBy,
)
from voice_call.call.policy import InboundPolicy, InboundRules
from voice_call.call.setup import CallLimits
from voice_call.carriers.base import CarrierNotice
from voice_call.carriers.simulated import SimulatedNetwork
from voice_call.errors import (
    CarrierUnreachable,
    InvalidNumber,
    JournalUnwritable,
    LimitReached,
    MessageRequired,
    MessageTooLong,
    NumberRefused,
    ShuttingDown,
    UnknownCall,
)
from voice_call.runtime.manager import PlaceOrder, check_message
from voice_call.testing.carriers import ManualCarrier
from voice_call.testing.clock import VirtualClock
from voice_call.testing.journals import MoodyJournal
from voice_call.testing.offices import CALLEE, Office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from voice_call.errors import CallError
    from voice_call.runtime.session import CallSession

pytestmark = pytest.mark.anyio

ORDER = PlaceOrder(to=CALLEE, message="Hello.", mode=CallMode.CONVERSATION)


@asynccontextmanager
async def office(**settings: Any) -> AsyncIterator[Office[ManualCarrier]]:
    async with Office(ManualCarrier(), **settings) as it:
        yield it


@asynccontextmanager
async def simulated(**settings: Any) -> AsyncIterator[Office[SimulatedNetwork]]:
    async with Office(SimulatedNetwork(VirtualClock()), **settings) as it:
        yield it


# -- messages --------------------------------------------------------------------------


def test_a_message_is_stripped():
    assert check_message("  Hello.\n") == "Hello."


@pytest.mark.parametrize("message", [None, "", " \n\t"])
def test_an_empty_message_is_refused(message: str | None):
    with pytest.raises(MessageRequired, match="message required"):
        check_message(message)


def test_a_message_over_the_limit_is_refused():
    assert check_message("a" * 20_000) == "a" * 20_000
    with pytest.raises(MessageTooLong, match="20001"):
        check_message("a" * 20_001)


# -- placing ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "error"),
    [
        ("nobody", InvalidNumber),
        ("", InvalidNumber),
        ("911", NumberRefused),
    ],
)
async def test_a_number_that_must_not_be_dialed_is_not(to: str, error: type[CallError]):
    async with office() as it:
        with pytest.raises(error):
            await it.manager.place(
                PlaceOrder(to=to, message="Hello.", mode=CallMode.CONVERSATION)
            )
        assert it.network.dialed == []
        assert it.journal.last_seq() == 0


async def test_a_one_shot_call_needs_a_message():
    async with office() as it:
        with pytest.raises(MessageRequired):
            await it.manager.place(
                PlaceOrder(to=CALLEE, message=None, mode=CallMode.NOTIFY)
            )
        assert it.manager.live() == []


@pytest.mark.parametrize(
    ("asked_for", "used"), [(None, "voice:15550100999"), ("mine", "mine")]
)
async def test_a_call_uses_the_conversation_that_was_asked_for(
    asked_for: str | None, used: str
):
    async with office() as it:
        session = await it.manager.place(
            PlaceOrder(
                to=CALLEE,
                message="Hello.",
                mode=CallMode.CONVERSATION,
                session_key=asked_for,
            )
        )
        assert session.facts.session_key == used


async def test_two_placements_at_the_same_time_cannot_both_have_the_last_place():
    journal = MoodyJournal.in_memory()
    async with office(journal=journal, max_calls=1) as it:
        journal.delay_s = 0.1
        results = await asyncio.gather(
            it.manager.place(ORDER), it.manager.place(ORDER), return_exceptions=True
        )
        await asyncio.sleep(0.5)
        assert [type(each).__name__ for each in results] == [
            "CallSession",
            "LimitReached",
        ]
        assert len(it.network.dialed) == 1


async def test_a_place_is_free_again_once_a_call_has_ended():
    async with office(max_calls=1) as it:
        session = await it.place()
        with pytest.raises(LimitReached, match="maxConcurrentCalls"):
            await it.place()
        await it.network.hang_up_remote(f"manual-{session.opened.call_id}")
        await session.wait_closed()
        await it.place()


async def test_a_call_that_cannot_be_written_down_leaves_nothing_and_is_not_dialed():
    journal = MoodyJournal.in_memory()
    async with office(journal=journal, max_calls=1) as it:
        journal.refusals = 1
        with pytest.raises(JournalUnwritable):
            await it.place()
        assert it.manager.live() == []
        assert it.network.dialed == []
        assert journal.last_seq() == 0
        await it.place()
        assert len(it.network.dialed) == 1


# -- finding ---------------------------------------------------------------------------


async def test_a_live_call_is_found_by_both_its_ids():
    async with office() as it:
        session = await it.place()
        call_id = session.opened.call_id
        assert it.manager.session(call_id) is session
        assert it.manager.session(f"manual-{call_id}") is session
        assert it.manager.describe(call_id) is session


async def test_an_ended_call_is_described_from_the_journal():
    async with office() as it:
        session = await it.place()
        call_id = session.opened.call_id
        await it.network.hang_up_remote(f"manual-{call_id}")
        await session.wait_closed()
        with pytest.raises(UnknownCall):
            it.manager.session(call_id)
        for name in (call_id, f"manual-{call_id}"):
            told = it.manager.describe(name)
            assert told.machine.state is CallState.HANGUP_USER
            assert told.facts.carrier_call_id == f"manual-{call_id}"
            assert told.facts == session.facts


async def test_a_call_that_never_was_is_unknown():
    async with office() as it:
        with pytest.raises(UnknownCall):
            it.manager.describe("nothing")


# -- inbound ---------------------------------------------------------------------------


async def test_an_inbound_call_is_answered_and_greeted():
    async with office() as it:
        carrier_id = await it.network.offer("+15550109999")
        await asyncio.sleep(0.01)
        session = it.manager.session(carrier_id)
        assert [ref.carrier_call_id for ref in it.network.answered] == [carrier_id]
        await it.network.pick_up(carrier_id)
        await asyncio.sleep(5)
        assert it.tts.spoken == ["Hello, how can I help?"]
        assert session.facts.session_key == "voice:15550109999"


@pytest.mark.parametrize(
    ("policy", "caller", "is_taken"),
    [
        (InboundPolicy.DISABLED, "+15550109999", False),
        (InboundPolicy.ALLOWLIST, "+15550109999", True),
        (InboundPolicy.ALLOWLIST, "+15550109998", False),
        (InboundPolicy.ALLOWLIST, "", False),
        (InboundPolicy.PAIRING, "+15550109999", True),
        (InboundPolicy.PAIRING, "+15550109998", False),
        (InboundPolicy.OPEN, "", True),
    ],
)
async def test_the_policy_decides_who_may_call(
    policy: InboundPolicy, caller: str, *, is_taken: bool
):
    rules = InboundRules(policy=policy, allow_from=("+15550109999",))
    async with office(inbound=rules) as it:
        await it.network.offer(caller)
        await asyncio.sleep(0.01)
        assert len(it.network.answered) == is_taken
        assert len(it.network.rejected) == (not is_taken)


async def test_a_refused_call_takes_no_place_and_is_recorded():
    rules = InboundRules(
        policy=InboundPolicy.ALLOWLIST, allow_from=("+15550109999",), max_calls=1
    )
    async with office(inbound=rules) as it:
        it.network.confirms = False
        refused = await it.network.offer("+15550109998")
        await asyncio.sleep(0.01)
        assert it.network.rejected == [(EndCause.POLICY, None)]
        await it.network.offer("+15550109999")
        await asyncio.sleep(0.01)
        assert len(it.network.answered) == 1
        await it.network.hang_up_remote(refused)
        await asyncio.sleep(0.01)
        assert it.manager.describe(refused).machine.state is CallState.HANGUP_BOT


async def test_one_caller_too_many_hears_that_all_lines_are_busy():
    rules = InboundRules(policy=InboundPolicy.OPEN, max_calls=1)
    async with office(inbound=rules) as it:
        first = await it.network.offer()
        second = await it.network.offer()
        await asyncio.sleep(0.01)
        assert it.network.rejected == [
            (EndCause.ALL_LINES_BUSY, "All lines are busy. Please call again later.")
        ]
        assert it.manager.describe(second).machine.state is CallState.BUSY
        await it.network.hang_up_remote(first)
        await asyncio.sleep(0.01)
        await it.network.offer()
        await asyncio.sleep(0.01)
        assert len(it.network.answered) == 2


async def test_a_failed_refusal_becomes_a_hang_up():
    rules = InboundRules(policy=InboundPolicy.DISABLED)
    async with office(inbound=rules) as it:
        it.network.faults["reject"] = [CarrierUnreachable("No.", carrier="manual")]
        carrier_id = await it.network.offer()
        await asyncio.sleep(3)
        assert len(it.network.hung_up) == 1
        assert it.manager.describe(carrier_id).machine.state is CallState.HANGUP_BOT


async def test_outbound_and_inbound_calls_have_places_of_their_own():
    rules = InboundRules(policy=InboundPolicy.OPEN, max_calls=1)
    async with office(inbound=rules, max_calls=1) as it:
        await it.network.offer()
        await it.place()
        assert len(it.manager.live()) == 2


@pytest.mark.parametrize("delay_s", [0.0, 0.2])
async def test_an_offer_that_comes_twice_is_one_call(delay_s: float):
    journal = MoodyJournal.in_memory()
    async with office(journal=journal) as it:
        journal.delay_s = delay_s
        notice = CarrierNotice(
            event=Offered(),
            carrier_call_id=CarrierCallId("in-1"),
            dedupe_key="in-1-offered",
            direction=Direction.INBOUND,
            from_="+15550109999",
        )
        await asyncio.gather(it.manager.deliver(notice), it.manager.deliver(notice))
        await asyncio.sleep(0.1)
        assert len(it.manager.live()) == 1
        assert len(it.network.answered) == 1


# -- notices ---------------------------------------------------------------------------


async def test_news_of_an_ended_call_changes_nothing_and_is_kept():
    async with office() as it:
        session = await it.place()
        carrier_id = f"manual-{session.opened.call_id}"
        await it.network.hang_up_remote(carrier_id)
        await session.wait_closed()
        before = it.manager.describe(carrier_id).machine
        await it.network.report(carrier_id, Answered(), key="late")
        await it.network.report(carrier_id, Answered(), key="late")
        after = it.manager.describe(carrier_id).machine
        assert (after.state, after.ending) == (before.state, before.ending)
        kept = [entry.what for entry in it.journal.entries(session.opened.call_id)]
        assert kept[-1] == Ignored(event=Answered(), why="the call has ended")
        assert len([each for each in kept if isinstance(each, Ignored)]) == 1
        assert it.manager.live() == []


async def test_a_late_offer_of_an_ended_call_does_not_begin_it_again():
    async with office() as it:
        carrier_id = await it.network.offer()
        await it.network.hang_up_remote(carrier_id)
        await asyncio.sleep(0.1)
        await it.network.report(
            carrier_id, Ringing(), direction=Direction.INBOUND, from_="+15550109999"
        )
        assert it.manager.live() == []
        assert len(it.journal.calls()) == 1


@pytest.mark.parametrize("direction", [None, Direction.OUTBOUND])
async def test_news_of_no_call_is_dropped(direction: Direction | None):
    async with office() as it:
        await it.network.report("nobody", Answered(), direction=direction)
        assert it.manager.live() == []
        assert it.journal.last_seq() == 0


async def test_an_end_alone_makes_no_call():
    async with office() as it:
        await it.network.report(
            "nobody",
            CarrierEnded(cause=EndCause.NORMAL, by=EndedBy.REMOTE),
            direction=Direction.INBOUND,
        )
        assert it.journal.last_seq() == 0


async def test_a_notice_that_cannot_be_written_is_processed_once_when_it_comes_again():
    journal = MoodyJournal.in_memory()
    async with office(journal=journal) as it:
        session = await it.place()
        carrier_id = f"manual-{session.opened.call_id}"
        journal.refusals = 1
        with pytest.raises(JournalUnwritable):
            await it.network.report(carrier_id, Answered(), key="a")
        assert session.machine.state is CallState.INITIATED
        await it.network.report(carrier_id, Answered(), key="a")
        assert session.machine.state is CallState.ANSWERED
        kinds = [type(e.what).__name__ for e in journal.entries(session.opened.call_id)]
        assert kinds.count("Answered") == 1


async def test_an_offer_that_cannot_be_written_is_taken_when_it_comes_again():
    journal = MoodyJournal.in_memory()
    rules = InboundRules(policy=InboundPolicy.OPEN, max_calls=1)
    async with office(journal=journal, inbound=rules) as it:
        journal.refusals = 1
        with pytest.raises(JournalUnwritable):
            await it.network.offer()
        assert it.manager.live() == []
        await it.network.offer()
        await asyncio.sleep(0.01)
        assert len(it.network.answered) == 1


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_news_in_any_order_and_twice_end_in_the_same_call(order: tuple[int, ...]):
    news = (
        Ringing(),
        Answered(),
        CarrierEnded(cause=EndCause.NORMAL, by=EndedBy.REMOTE),
    )
    async with office(max_calls=1) as it:
        session = await it.place()
        carrier_id = f"manual-{session.opened.call_id}"
        for number in order:
            for _ in range(2):
                await it.network.report(carrier_id, news[number], key=f"k{number}")
        await session.wait_closed()
        assert session.machine.state is CallState.HANGUP_USER
        assert it.manager.live() == []
        told = it.manager.describe(carrier_id)
        assert told.machine.ending == session.machine.ending
        keys = [e.dedupe_key for e in it.journal.entries(session.opened.call_id)]
        assert sorted(key for key in keys if key) == ["k0", "k1", "k2"]


# -- names -----------------------------------------------------------------------------


async def test_a_call_is_found_under_every_id_that_the_carrier_gives_it():
    async with office() as it:
        session = await it.place()
        call_id = session.opened.call_id
        await it.manager.deliver(
            CarrierNotice(
                event=Ringing(), carrier_call_id=CarrierCallId("new"), call_id=call_id
            )
        )
        assert it.manager.session("new") is session
        assert it.manager.session(f"manual-{call_id}") is session
        assert session.carrier_call_id == "new"
        await session.command(End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL))
        await session.wait_closed()
        assert [ref.carrier_call_id for ref in it.network.hung_up] == ["new"]
        assert it.manager.describe("new").facts.carrier_call_id == "new"


async def test_an_answer_to_the_dial_that_comes_after_the_end_leaves_no_name():
    async with office() as it:
        it.network.delays["dial"] = 1.0
        session = await it.manager.place(ORDER)
        name = f"manual-{session.opened.call_id}"
        ended = CarrierEnded(cause=EndCause.NORMAL, by=EndedBy.REMOTE)
        await it.manager.deliver(
            CarrierNotice(
                event=ended,
                carrier_call_id=CarrierCallId(name),
                call_id=session.opened.call_id,
            )
        )
        await asyncio.sleep(3.0)
        assert it.manager.live() == []
        assert it.manager._by_carrier == {}


async def test_news_that_overtake_the_answer_to_the_dial_name_the_call():
    async with office() as it:
        it.network.delays["dial"] = 1.0
        session = await it.place()
        call_id = session.opened.call_id
        await it.manager.deliver(
            CarrierNotice(
                event=Ringing(), carrier_call_id=CarrierCallId("new"), call_id=call_id
            )
        )
        await asyncio.sleep(2)
        assert session.carrier_call_id == "new"
        assert it.manager.session(f"manual-{call_id}") is session


async def test_news_under_an_older_id_do_not_bring_it_back():
    async with office() as it:
        session = await it.place()
        call_id = session.opened.call_id
        await it.manager.deliver(
            CarrierNotice(
                event=Ringing(), carrier_call_id=CarrierCallId("new"), call_id=call_id
            )
        )
        await it.network.report(f"manual-{call_id}", Answered())
        assert session.machine.state is CallState.ANSWERED
        assert session.carrier_call_id == "new"


# -- draining --------------------------------------------------------------------------


async def test_a_drain_lets_live_calls_end_and_refuses_new_ones():
    async with office() as it:
        session = await it.place("Goodbye.", mode=CallMode.NOTIFY)
        draining = asyncio.create_task(it.manager.drain(60.0))
        await asyncio.sleep(0.1)
        with pytest.raises(ShuttingDown):
            await it.place()
        await it.network.offer()
        await asyncio.sleep(0.01)
        assert it.network.rejected == [(EndCause.ALL_LINES_BUSY, None)]
        await it.network.pick_up(f"manual-{session.opened.call_id}")
        await draining
        assert session.machine.state is CallState.COMPLETED
        assert it.clock.now() - session.machine.started_at < 10


async def test_a_drain_ends_the_rest_after_its_limit():
    async with office() as it:
        session = await it.place()
        await it.network.pick_up(f"manual-{session.opened.call_id}")
        began = it.clock.now()
        await it.manager.drain(20.0)
        assert it.clock.now() - began == pytest.approx(20.0, abs=0.1)
        assert session.machine.state is CallState.HANGUP_BOT
        assert it.manager.live() == []


async def test_a_drain_gives_up_calls_that_do_not_end():
    async with office() as it:
        it.network.confirms = False
        session = await it.place()
        await it.network.pick_up(f"manual-{session.opened.call_id}")
        began = it.clock.now()
        await it.manager.drain(1.0)
        assert it.clock.now() - began == pytest.approx(6.0, abs=0.1)
        assert it.manager.live() == [session]
        await it.manager.drain(0.0)  # harmless while it is ending
        await session.wait_closed()


async def test_a_drain_ends_every_call_though_the_disk_refuses():
    journal = MoodyJournal.in_memory()
    async with office(journal=journal) as it:
        sessions = [await it.place() for _ in range(3)]
        journal.refusals = 1
        await it.manager.drain(0.0)
        assert len(it.network.hung_up) == 3
        assert all(each.machine.is_over for each in sessions)


# -- the simulated network -------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "state"),
    [
        ("+15550100000", CallState.COMPLETED),
        ("+15550100001", CallState.COMPLETED),
        ("+15550100002", CallState.COMPLETED),
        ("+15550100003", CallState.COMPLETED),
        ("+15550100004", CallState.COMPLETED),
        ("+15550100005", CallState.COMPLETED),
        ("+15550100006", CallState.COMPLETED),
        ("+15550100010", CallState.BUSY),
        ("+15550100011", CallState.NO_ANSWER),
        ("+15550100012", CallState.BUSY),
        ("+15550100013", CallState.VOICEMAIL),
        ("+15550100020", CallState.HANGUP_USER),
        ("+15550100021", CallState.COMPLETED),
        ("+15550100022", CallState.COMPLETED),
        ("+15550100023", CallState.COMPLETED),
        ("+15550100024", CallState.ERROR),
        ("+15550100025", CallState.COMPLETED),
        ("+15550100030", CallState.COMPLETED),
        ("+15550100031", CallState.FAILED),
        ("+15550100032", CallState.FAILED),
        ("+15550100033", CallState.FAILED),
    ],
)
async def test_every_magic_number_ends_as_it_should_and_frees_its_place(
    number: str, state: CallState
):
    message = "This is a message that takes a few seconds to say, so listen."
    async with simulated(max_calls=1) as it:
        session = await it.place(message, to=number, mode=CallMode.NOTIFY)
        async with asyncio.timeout(120):
            await session.wait_closed()
        assert session.machine.state is state
        assert it.manager.live() == []
        assert it.journal.open_calls() == []
        ended = it.manager.describe(session.opened.call_id)
        assert ended.machine.transcript == session.machine.transcript
        assert ended.machine.ending == session.machine.ending


async def test_a_message_is_heard_once_on_an_untidy_line():
    async with simulated() as it:
        session = await it.place(
            "Dinner is ready.", to="+15550100025", mode=CallMode.NOTIFY
        )
        await session.wait_closed()
        assert it.tts.spoken == ["Dinner is ready."]
        assert [e.text for e in session.machine.transcript] == ["Dinner is ready."]


async def test_a_message_cut_by_a_lost_stream_is_heard_whole_on_the_next():
    message = "This is a message that takes a few seconds to say, so listen."
    async with simulated() as it:
        session = await it.place(message, to="+15550100022", mode=CallMode.NOTIFY)
        await session.wait_closed()
        cut, whole = session.machine.transcript
        assert cut.is_cut
        assert message.startswith(cut.text)
        assert (whole.text, whole.is_cut) == (message, False)


async def test_keys_pressed_by_the_other_side_are_a_turn():
    async with simulated() as it:
        session = await it.place("Press keys.", to="+15550100004")
        await it.wait_until(lambda: bool(it.agent.turns))
        assert it.agent.turns[0].heard == ("[pressed 12]",)
        await session.command(End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL))
        await session.wait_closed()


async def test_two_hundred_calls_leave_nothing_behind():
    async with simulated(limits=CallLimits(notify_tail_s=0.0)) as it:
        before = asyncio.all_tasks()
        numbers = ("+15550100000", "+15550100010", "+15550100025", "+15550100031")
        sessions: list[weakref.ref[CallSession]] = []
        for index in range(200):
            session = await it.place("Hi.", to=numbers[index % 4], mode=CallMode.NOTIFY)
            sessions.append(weakref.ref(session))
            await session.wait_closed()
            await asyncio.sleep(0.1)
        await asyncio.sleep(30)
        left = asyncio.all_tasks() - before
        assert it.manager.live() == []
        assert it.manager._by_carrier == {}
        assert it.ticker._dues == {}
        assert all(each._report is None for each in it.stt._open)
        assert it.journal.open_calls() == []
        assert left == set()
        loop = asyncio.get_running_loop()
        assert [t for t in loop._scheduled if not t.cancelled()] == []  # type: ignore[attr-defined]
        del session
        gc.collect()
        assert [each for each in sessions if each() is not None] == []


async def test_a_call_whose_agent_and_voice_break_does_not_harm_another():
    async with office() as it:
        broken, good = await it.place(None), await it.place(None)
        bad_line = await it.network.pick_up(f"manual-{broken.opened.call_id}")
        good_line = await it.network.pick_up(f"manual-{good.opened.call_id}")
        it.agent.expect(RuntimeError("broken"))
        it.stt.expect("Hello?")
        it.tts.failing = True
        await bad_line.speak(1.0)
        await broken.wait_closed()
        assert broken.machine.state is CallState.ERROR
        it.tts.failing = False
        it.stt.expect("And me?")
        await good_line.speak(1.0)
        await asyncio.sleep(5)
        assert good.machine.transcript[-1].text == "All right."
        assert it.manager.live() == [good]


async def test_news_take_effect_though_who_brought_them_does_not_wait():
    journal = MoodyJournal.in_memory()
    async with office(journal=journal) as it:
        session = await it.place()
        journal.delay_s = 0.5
        bringing = asyncio.create_task(
            it.network.report(f"manual-{session.opened.call_id}", Answered(), key="a")
        )
        await asyncio.sleep(0.1)
        bringing.cancel()
        await asyncio.sleep(1)
        assert bringing.cancelled()
        assert session.machine.state is CallState.ANSWERED


async def test_news_that_nobody_waits_for_may_fail():
    journal = MoodyJournal.in_memory()
    async with office(journal=journal) as it:
        session = await it.place()
        journal.delay_s, journal.refusals = 0.5, 1
        bringing = asyncio.create_task(
            it.network.report(f"manual-{session.opened.call_id}", Answered(), key="a")
        )
        await asyncio.sleep(0.1)
        bringing.cancel()
        await asyncio.sleep(1)
        assert session.machine.state is CallState.INITIATED
