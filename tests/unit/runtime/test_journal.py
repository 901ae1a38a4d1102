"""The journal: durable, in order, each event once, bounded, and clear when it fails."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from typing import TYPE_CHECKING

import pytest

from voice_call.call.actions import CallEnded, End, Ignored
from voice_call.call.events import Answered, Dialed, DigitPressed, Ringing
from voice_call.call.model import (
    CallId,
    CallMode,
    CarrierCallId,
    Digit,
    Direction,
    EndCause,
    EndedBy,
    Ending,
)
from voice_call.errors import (
    JournalCorrupt,
    JournalError,
    JournalTooNew,
    JournalUnwritable,
    UnknownCall,
)
from voice_call.runtime import journal as journal_module
from voice_call.runtime.journal import CallOpened, CallSummary, Journal, JournalEntry
from voice_call.runtime.journal_writer import JournalWriter, Write

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

ENDING = Ending(cause=EndCause.NORMAL, by=EndedBy.REMOTE, carrier_code="completed")


def opened(call_id: str, *, carrier_call_id: str | None = None) -> CallOpened:
    return CallOpened(
        call_id=CallId(call_id),
        carrier="mock",
        direction=Direction.OUTBOUND,
        mode=CallMode.NOTIFY,
        from_="+15550000000",
        to="+15550001234",
        session_key="voice:15550001234",
        opening="Hello",
        limits={"ring_timeout_s": 30.0},
        carrier_call_id=None
        if carrier_call_id is None
        else CarrierCallId(carrier_call_id),
    )


async def open_call(journal: Journal, call_id: str, *, at: float = 1.0) -> CallId:
    assert await journal.append(CallId(call_id), opened(call_id), at=at)
    return CallId(call_id)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "voice-calls" / "calls.sqlite3"


# -- writing and reading ---------------------------------------------------------------


async def test_entries_come_back_as_they_were_written(path: Path) -> None:
    journal = Journal.open(path)
    call = await open_call(journal, "one")
    await journal.append(call, Ringing(), at=2.0, dedupe_key="ring-1")
    await journal.append(call, Ignored(event=Answered(), why="late"), at=3.5)
    assert journal.entries(call) == [
        JournalEntry(seq=1, call_id=call, at=1.0, what=opened("one")),
        JournalEntry(seq=2, call_id=call, at=2.0, what=Ringing(), dedupe_key="ring-1"),
        JournalEntry(
            seq=3, call_id=call, at=3.5, what=Ignored(event=Answered(), why="late")
        ),
    ]
    await journal.close()


async def test_entries_survive_a_restart(path: Path) -> None:
    journal = Journal.open(path)
    call = await open_call(journal, "one")
    await journal.append(call, DigitPressed(digit=Digit.STAR), at=2.0)
    await journal.close()
    again = Journal.open(path)
    assert [entry.what for entry in again.entries(call)] == [
        opened("one"),
        DigitPressed(digit=Digit.STAR),
    ]
    await again.close()


async def test_appends_keep_their_order_however_they_are_made(path: Path) -> None:
    journal = Journal.open(path)
    call = await open_call(journal, "one")
    for number in range(0, 100, 2):
        journal.append_soon(call, Ringing(), at=float(number))
        await journal.append(call, Ringing(), at=float(number + 1))
    assert [entry.at for entry in journal.entries(call)[1:]] == [
        float(number) for number in range(100)
    ]
    await journal.close()


async def test_close_writes_what_still_waits(path: Path) -> None:
    journal = Journal.open(path)
    call = await open_call(journal, "one")
    for number in range(50):
        journal.append_soon(call, Ringing(), at=float(number))
    await journal.close()
    assert len(Journal.open_reader(path).entries(call)) == 51


async def test_many_appends_at_once_share_commits(path: Path) -> None:
    journal = Journal.open(path)
    call = await open_call(journal, "one")
    commits: list[int] = []
    apply = journal._writer.apply
    journal._writer.apply = lambda jobs: (commits.append(len(jobs)), apply(jobs))[1]  # type: ignore[method-assign]
    await asyncio.gather(
        *(journal.append(call, Ringing(), at=float(n)) for n in range(400))
    )
    assert sum(commits) == 400
    assert len(commits) < 200
    await journal.close()


async def test_text_that_is_no_unicode_is_kept_with_question_marks(path: Path) -> None:
    journal = Journal.open(path)
    call = await open_call(journal, "one")
    assert await journal.append(
        call,
        Dialed(carrier_call_id=CarrierCallId("CA\ud800")),
        at=2.0,
        dedupe_key="key\udfff",
    )
    assert journal.entries(call)[1].what == Dialed(carrier_call_id=CarrierCallId("CA?"))
    assert journal.find("CA\ud800") == call
    await journal.close()


async def test_an_entry_of_an_unknown_call_is_refused_and_harms_no_other(
    path: Path,
) -> None:
    journal = Journal.open(path)
    call = await open_call(journal, "one")
    good, bad = await asyncio.gather(
        journal.append(call, Ringing(), at=2.0),
        journal.append(CallId("nobody"), Ringing(), at=2.0),
        return_exceptions=True,
    )
    assert good is True
    assert isinstance(bad, UnknownCall)
    await journal.close()


async def test_an_awaiter_that_was_cancelled_disturbs_nobody(path: Path) -> None:
    journal = Journal.open(path)
    call = await open_call(journal, "one")
    waiting = asyncio.ensure_future(journal.append(call, Ringing(), at=2.0))
    await asyncio.sleep(0)
    waiting.cancel()
    assert await journal.append(call, Answered(), at=3.0)
    await journal.close()


# -- each event once -------------------------------------------------------------------


async def test_a_repeated_key_writes_nothing(path: Path) -> None:
    journal = Journal.open(path)
    call = await open_call(journal, "one")
    assert await journal.append(call, Ringing(), at=2.0, dedupe_key="k") is True
    assert await journal.append(call, Answered(), at=3.0, dedupe_key="k") is False
    assert len(journal.entries(call)) == 2
    await journal.close()


async def test_keys_are_remembered_across_a_restart(path: Path) -> None:
    journal = Journal.open(path)
    call = await open_call(journal, "one")
    await journal.append(call, Ringing(), at=2.0, dedupe_key="k")
    await journal.close()
    again = Journal.open(path)
    assert await again.append(call, Ringing(), at=2.0, dedupe_key="k") is False
    await again.close()


async def test_a_call_is_opened_once() -> None:
    journal = Journal.in_memory()
    await open_call(journal, "one")
    assert await journal.append(CallId("one"), opened("one"), at=2.0) is False
    assert len(journal.entries(CallId("one"))) == 1


async def test_of_one_call_the_newest_keys_are_remembered() -> None:
    journal = Journal.in_memory()
    call = await open_call(journal, "one")
    for number in range(501):
        await journal.append(call, Ringing(), at=2.0, dedupe_key=f"k{number}")
    assert await journal.append(call, Ringing(), at=3.0, dedupe_key="k1") is False
    assert await journal.append(call, Ringing(), at=3.0, dedupe_key="k500") is False
    assert await journal.append(call, Ringing(), at=3.0, dedupe_key="k0") is True


async def test_of_all_calls_the_newest_keys_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("voice_call.runtime.journal_writer.MAX_KEYS", 20)
    journal = Journal.in_memory()
    for number in range(21):
        call = await open_call(journal, f"call-{number}")
        await journal.append(call, Ringing(), at=2.0, dedupe_key=f"k{number}")
    count = journal._rows("SELECT count(*) FROM dedupe_keys")
    assert count == [(20,)]
    assert await journal.append(call, Ringing(), at=3.0, dedupe_key="k1") is False
    assert await journal.append(call, Ringing(), at=3.0, dedupe_key="k0") is True


# -- calls and their names -------------------------------------------------------------


async def test_a_call_is_found_by_every_name_it_ever_had() -> None:
    journal = Journal.in_memory()
    call = CallId("one")
    await journal.append(call, opened("one", carrier_call_id="request-1"), at=1.0)
    await journal.append(call, Dialed(carrier_call_id=CarrierCallId("uuid-1")), at=2.0)
    await journal.append(
        call, Ringing(), at=3.0, carrier_call_id=CarrierCallId("uuid-2")
    )
    assert [journal.find(n) for n in ("one", "request-1", "uuid-1", "uuid-2")] == [
        call
    ] * 4
    assert journal.find("uuid-3") is None
    summary = journal.summary(call)
    assert summary is not None
    assert summary.carrier_call_id == "uuid-2"


async def test_the_list_of_calls_says_how_far_each_came_newest_first() -> None:
    journal = Journal.in_memory()
    first = await open_call(journal, "first", at=1.0)
    await journal.append(first, Answered(), at=2.0)
    await journal.append(first, Answered(), at=3.0)
    await journal.append(first, CallEnded(ending=ENDING), at=4.0)
    second = await open_call(journal, "second", at=5.0)
    one, two = journal.calls()
    assert (one.call_id, one.answered_at, one.ended_at, one.ending) == (
        second,
        None,
        None,
        None,
    )
    assert two == CallSummary(
        call_id=first,
        carrier="mock",
        carrier_call_id=None,
        direction=Direction.OUTBOUND,
        mode=CallMode.NOTIFY,
        from_="+15550000000",
        to="+15550001234",
        session_key="voice:15550001234",
        opened_at=1.0,
        answered_at=2.0,
        ended_at=4.0,
        ending=ENDING,
    )
    assert [call.call_id for call in journal.calls(limit=1)] == [second]
    assert [call.call_id for call in journal.calls(is_open=True)] == [second]
    assert journal.summary(CallId("third")) is None


async def test_the_first_end_of_a_call_counts() -> None:
    journal = Journal.in_memory()
    call = await open_call(journal, "one")
    await journal.append(call, CallEnded(ending=ENDING), at=4.0)
    late = Ending(cause=EndCause.BUSY, by=EndedBy.CARRIER)
    await journal.append(call, CallEnded(ending=late), at=9.0)
    (summary,) = journal.calls()
    assert (summary.ended_at, summary.ending) == (4.0, ENDING)


async def test_open_calls_are_those_without_an_end() -> None:
    journal = Journal.in_memory()
    for name in ("a", "b", "c"):
        await open_call(journal, name)
    end = End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL)
    await journal.append(CallId("c"), end, at=2.0)
    await journal.append(CallId("a"), Ringing(), at=3.0)
    await journal.append(CallId("b"), CallEnded(ending=ENDING), at=4.0)
    assert [[entry.what for entry in call] for call in journal.open_calls()] == [
        [opened("a"), Ringing()],
        [opened("c"), end],
    ]


async def test_tail_goes_on_where_it_stopped() -> None:
    journal = Journal.in_memory()
    call = await open_call(journal, "one")
    for number in range(5):
        await journal.append(call, Ringing(), at=float(number))
    first = journal.tail(0, 4)
    rest = journal.tail(first[-1].seq, 4)
    assert [entry.seq for entry in first] == [1, 2, 3, 4]
    assert [entry.seq for entry in rest] == [5, 6]
    assert journal.tail(6, 4) == []
    assert journal.last_seq() == 6


async def test_removing_old_calls_takes_everything_of_them_and_no_open_call() -> None:
    journal = Journal.in_memory()
    for name, ended_at in (("old", 10.0), ("new", 20.0)):
        call = CallId(name)
        await journal.append(call, opened(name, carrier_call_id=f"CA-{name}"), at=1.0)
        await journal.append(call, Ringing(), at=2.0, dedupe_key=f"k-{name}")
        await journal.append(call, CallEnded(ending=ENDING), at=ended_at)
    await open_call(journal, "live")
    assert await journal.remove_calls(ended_before=15.0) == 1
    assert [call.call_id for call in journal.calls()] == ["live", "new"]
    assert journal.entries(CallId("old")) == []
    assert journal.find("CA-old") is None
    assert journal.find("CA-new") == "new"


# -- files -----------------------------------------------------------------------------


async def test_folders_and_file_belong_to_this_user_alone(path: Path) -> None:
    journal = Journal.open(path)
    await open_call(journal, "one")
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}
    assert modes == {
        "calls.sqlite3": 0o600,
        "calls.sqlite3-shm": 0o600,
        "calls.sqlite3-wal": 0o600,
        "calls.sqlite3.lock": 0o600,
    }
    for folder in (path.parent, path.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    await journal.close()


def test_a_file_that_others_could_read_is_taken_back(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.touch(0o644)
    asyncio.run(Journal.open(path).close())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_second_gateway_is_kept_out_until_the_first_is_gone(path: Path) -> None:
    journal = Journal.open(path)
    with pytest.raises(JournalUnwritable, match="Another Gateway"):
        Journal.open(path)
    await journal.close()
    await Journal.open(path).close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalUnwritable, match="Check that the folder"):
        Journal.open(tmp_path / "file" / "calls.sqlite3")


@pytest.mark.parametrize("opener", [Journal.open, Journal.open_reader])
def test_a_file_that_is_no_journal_is_corrupt(opener: object, path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(JournalCorrupt, match="Move the file away"):
        opener(path)  # type: ignore[operator]


@pytest.mark.parametrize("opener", [Journal.open, Journal.open_reader])
def test_a_journal_of_a_newer_version_is_left_alone(opener: object, path: Path) -> None:
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL)")
        connection.execute("INSERT INTO meta VALUES ('version', 99)")
    connection.close()
    with pytest.raises(JournalTooNew, match="version 99"):
        opener(path)  # type: ignore[operator]


async def test_a_damaged_entry_says_so(path: Path) -> None:
    journal = Journal.open(path)
    call = await open_call(journal, "one")
    await journal.close()
    for statement in (
        "UPDATE entries SET body = '{'",
        "UPDATE calls SET direction = 'sideways'",
    ):
        with sqlite3.connect(path) as connection:
            connection.execute(statement)
        connection.close()
    reader = Journal.open_reader(path)
    with pytest.raises(JournalCorrupt, match="damaged entry of kind CallOpened"):
        reader.entries(call)
    with pytest.raises(JournalCorrupt, match="list of calls"):
        reader.calls()
    reader.close_reader()


# -- reading from elsewhere ------------------------------------------------------------


async def test_a_reader_sees_what_a_live_gateway_writes(path: Path) -> None:
    journal = Journal.open(path)
    await open_call(journal, "one")
    reader = Journal.open_reader(path)
    await open_call(journal, "two")
    assert [call.call_id for call in reader.calls()] == ["two", "one"]
    reader.close_reader()
    await journal.close()


def test_a_reader_of_nothing_creates_nothing(path: Path) -> None:
    reader = Journal.open_reader(path)
    assert reader.calls() == []
    assert not path.parent.exists()


def test_a_reader_asks_for_a_gateway_to_migrate(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.touch()
    with pytest.raises(JournalError, match="Start the Gateway once"):
        Journal.open_reader(path)
    assert path.read_bytes() == b""


def test_reading_after_the_end_is_a_journal_error(path: Path) -> None:
    reader = Journal.open_reader(path)
    reader.close_reader()
    with pytest.raises(JournalError, match="cannot be read"):
        reader.calls()


# -- when the disk refuses -------------------------------------------------------------


def refuse_writes(journal: Journal, *, refuse: bool) -> None:
    connection = journal._writer._connection
    assert connection is not None
    connection.execute(f"PRAGMA query_only = {int(refuse)}")


async def test_a_refused_write_is_told_and_the_next_one_succeeds(path: Path) -> None:
    journal = Journal.open(path)
    call = await open_call(journal, "one")
    refuse_writes(journal, refuse=True)
    with pytest.raises(JournalUnwritable, match="disk is not full"):
        await journal.append(call, Ringing(), at=2.0, dedupe_key="k")
    refuse_writes(journal, refuse=False)
    assert await journal.append(call, Ringing(), at=2.0, dedupe_key="k") is True
    assert len(journal.entries(call)) == 2
    await journal.close()


async def test_a_batch_is_written_whole_or_not_at_all(path: Path) -> None:
    journal = Journal.open(path)
    call = await open_call(journal, "one")
    connection = journal._writer._connection
    assert connection is not None
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")  # a full disk
    long = [
        Dialed(carrier_call_id=CarrierCallId(f"{number}" * 3000)) for number in range(9)
    ]
    results = await asyncio.gather(
        *(journal.append(call, each, at=2.0) for each in long), return_exceptions=True
    )
    written = sum(result is True for result in results)
    assert written < 9
    assert all(r is True or isinstance(r, JournalUnwritable) for r in results)
    assert len(journal.entries(call)) == 1 + written
    connection.execute("PRAGMA max_page_count = 100000")
    assert await journal.append(call, Ringing(), at=3.0)
    await journal.close()


async def test_a_lost_entry_without_an_awaiter_is_counted_and_logged(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal.open(path)
    call = await open_call(journal, "one")
    refuse_writes(journal, refuse=True)
    journal.append_soon(call, Ringing(), at=2.0)
    with pytest.raises(JournalUnwritable):
        await journal.append(call, Ringing(), at=3.0)
    assert journal.failures == 1
    assert "journal entry lost" in caplog.text
    assert "kind=Ringing" in caplog.text
    refuse_writes(journal, refuse=False)
    await journal.close()


async def test_a_connection_that_broke_is_opened_anew(path: Path) -> None:
    journal = Journal.open(path)
    call = await open_call(journal, "one")
    connection = journal._writer._connection
    assert connection is not None
    connection.close()
    with pytest.raises(JournalUnwritable):
        await journal.append(call, Ringing(), at=2.0)
    assert await journal.append(call, Ringing(), at=3.0)
    await journal.close()


async def test_a_stalled_disk_does_not_eat_the_memory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal.open(path)
    call = await open_call(journal, "one")
    monkeypatch.setattr(journal_module, "MAX_WAITING", 0)
    with pytest.raises(JournalUnwritable, match="wait for the disk"):
        await journal.append(call, Ringing(), at=2.0)
    journal.append_soon(call, Ringing(), at=2.0)
    assert journal.failures == 1
    await journal.close()


async def test_after_close_nothing_is_accepted_and_closing_again_is_harmless(
    path: Path,
) -> None:
    journal = Journal.open(path)
    call = await open_call(journal, "one")
    await journal.close()
    await journal.close()
    with pytest.raises(JournalUnwritable, match="closed"):
        await journal.append(call, Ringing(), at=2.0)


async def test_a_fault_of_the_program_does_not_kill_the_writer(path: Path) -> None:
    journal = Journal.open(path)
    call = await open_call(journal, "one")
    apply = journal._writer.apply
    journal._writer.apply = lambda _jobs: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    with pytest.raises(JournalUnwritable, match="ZeroDivisionError"):
        await journal.append(call, Ringing(), at=2.0)
    journal._writer.apply = apply  # type: ignore[method-assign]
    assert await journal.append(call, Ringing(), at=3.0)
    await journal.close()


def test_a_writer_leaves_no_transaction_behind_a_fault(path: Path) -> None:
    path.parent.mkdir(parents=True)
    connection = journal_module.connect(None)
    journal_module.migrate(connection)
    writer = JournalWriter(connection, path=None)
    good = Write.make(
        CallId("one"), opened("one"), at=1.0, key=None, carrier_call_id=None
    )
    with pytest.raises(AttributeError):
        writer.apply([good, None])  # type: ignore[list-item]
    assert not connection.in_transaction
    assert writer.apply([good]) == [1]
    writer.close()


# -- in memory -------------------------------------------------------------------------


async def test_a_journal_in_memory_needs_no_thread_and_no_wait() -> None:
    journal = Journal.in_memory()
    call = await open_call(journal, "one")
    journal.append_soon(call, Ringing(), at=2.0)
    assert len(journal.entries(call)) == 2
    journal.append_soon(CallId("nobody"), Ringing(), at=2.0)
    assert journal.failures == 1
    await journal.close()
