"""The journal: every event of every call, durable before anybody is told.

Theory of operation. One thread owns the only writing connection. Whoever appends puts a
job into its queue; the thread takes everything that waits, writes it in one transaction
and reports back to the event loop (group commit). It never waits for a batch to fill up,
so a lone event costs one commit and a hundred at once cost one as well. Order in the
queue is order in the journal.

What is acknowledged survives `kill -9` and a power cut, see `journal_writer.prepare`.
What was refused by the disk was not written at all, so a carrier that is told to send
its event again sends it once.

A lock file beside the journal keeps a second Gateway out; it would take the first one's
live calls for left-overs of a crash.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from voice_call.errors import JournalError, JournalUnwritable, VoiceCallError
from voice_call.log import get_logger
from voice_call.runtime.journal_codec import (
    CallOpened,
    CallSummary,
    Journaled,
    JournalEntry,
)
from voice_call.runtime.journal_reader import JournalReader
from voice_call.runtime.journal_schema import as_journal_error, connect, migrate
from voice_call.runtime.journal_writer import JournalWriter, Outcome, Removal, Write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voice_call.call.model import CallId, CarrierCallId

__all__ = [
    "CallOpened",
    "CallSummary",
    "Journal",
    "JournalEntry",
    "JournalReader",
    "Journaled",
]

MAX_WAITING = 10_000
"""Entries that may wait for the disk; a stalled disk must not eat the memory."""
MAX_BATCH = 1_000
_PRIVATE = 0o600

_log = get_logger(__name__)


class _Job(NamedTuple):
    """Work for the writer thread, and who waits for it, if anybody."""

    work: Write | Removal
    future: asyncio.Future[int] | None


class Journal(JournalReader):
    """A journal open for writing; there is one per Gateway.

    Attributes:
        failures: How many entries of `append_soon` could not be written.
    """

    def __init__(
        self,
        writer: JournalWriter,
        reader: sqlite3.Connection,
        *,
        path: Path | None,
        lock_fd: int | None,
    ) -> None:
        super().__init__(reader, path=path)
        self.failures = 0
        self._writer = writer
        self._lock_fd = lock_fd
        self._is_closed = False
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        if path is not None:
            self._thread = threading.Thread(
                target=self._run, name="voice-call-journal", daemon=True
            )
            self._thread.start()

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Open or create a journal (folders mode 0700, file mode 0600).

        Raises:
            JournalUnwritable: The folder or file cannot be written, or another Gateway
                has it open.
            JournalCorrupt: The file is no journal, or damaged.
            JournalTooNew: A newer version of the plugin wrote it.
        """
        lock_fd = None
        try:
            _make_folder(path.parent)
            lock_fd = _lock(path)
            _make_private(path)
            writing = connect(path)
            try:
                migrate(writing)
                writer = JournalWriter(writing, path=path)
                reading = connect(path, is_read_only=True)
            except BaseException:
                writing.close()
                raise
        except (OSError, sqlite3.Error, JournalError) as error:
            if lock_fd is not None:
                os.close(lock_fd)
            if isinstance(error, JournalError):
                raise
            raise as_journal_error(error, path) from error
        return cls(writer, reading, path=path, lock_fd=lock_fd)

    @classmethod
    def in_memory(cls) -> Journal:
        """Return a journal that lives as long as the process and needs no thread.

        Every append is written before it returns, so tests in virtual time stay in
        order.
        """
        connection = connect(None)
        migrate(connection)
        return cls(
            JournalWriter(connection, path=None), connection, path=None, lock_fd=None
        )

    @staticmethod
    def open_reader(path: Path) -> JournalReader:
        """Open a journal for reading only, see `JournalReader.open_existing`."""
        return JournalReader.open_existing(path)

    async def append(
        self,
        call_id: CallId,
        what: Journaled,
        *,
        at: float,
        dedupe_key: str | None = None,
        carrier_call_id: CarrierCallId | None = None,
    ) -> bool:
        """Write an entry; returns when it is durable.

        A cancelled `append` may still be written.

        Args:
            call_id: Whose entry it is.
            what: The entry. The first of a call is `CallOpened`.
            at: When it happened, in seconds since 1970.
            dedupe_key: Identity of the event, the same when it is reported again.
            carrier_call_id: A further name of the call, to be found by from now on.

        Returns:
            False if the key, or the `CallOpened` of this call, was written before;
            then nothing is written.

        Raises:
            JournalUnwritable: The disk refused; a later `append` may succeed.
            UnknownCall: No `CallOpened` of this call was written.
        """
        write = Write.make(
            call_id, what, at=at, key=dedupe_key, carrier_call_id=carrier_call_id
        )
        return await self._submit(write) == 1

    def append_soon(
        self,
        call_id: CallId,
        what: Journaled,
        *,
        at: float,
        dedupe_key: str | None = None,
        carrier_call_id: CarrierCallId | None = None,
    ) -> None:
        """Write an entry without waiting, in order with all other appends.

        A failure is logged and counted in `failures`.
        """
        write = Write.make(
            call_id, what, at=at, key=dedupe_key, carrier_call_id=carrier_call_id
        )
        try:
            self._put(_Job(write, None))
        except JournalUnwritable as error:
            self._report_failure(write, error)

    async def remove_calls(self, *, ended_before: float) -> int:
        """Forget calls that ended before a time, in seconds since 1970.

        Returns:
            How many calls were removed.

        Raises:
            JournalUnwritable: The disk refused.
        """
        return await self._submit(Removal(ended_before=ended_before))

    async def close(self) -> None:
        """Write everything that waits, then release the files. Harmless if repeated."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
        self.close_reader()
        self._writer.close()
        if self._lock_fd is not None:
            os.close(self._lock_fd)

    async def _submit(self, work: Write | Removal) -> int:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._put(_Job(work, future))
        return await future

    def _put(self, job: _Job) -> None:
        if self._is_closed:
            raise JournalUnwritable("The journal is closed; the Gateway is stopping.")
        if self._thread is None:
            self._commit([job], self._settle)
        elif self._queue.qsize() >= MAX_WAITING:
            raise JournalUnwritable(
                f"{MAX_WAITING} entries wait for the disk already. Check the disk."
            )
        else:
            self._queue.put(job)

    def _run(self) -> None:
        """Be the writer thread: write batch after batch until told to stop."""
        is_running = True
        while is_running:
            batch = [self._queue.get()]
            while len(batch) < MAX_BATCH:
                try:
                    batch.append(self._queue.get_nowait())
                except Empty:
                    break
            is_running = None not in batch
            self._commit([job for job in batch if job is not None], self._settle_later)

    def _commit(
        self, jobs: list[_Job], settle: Callable[[list[tuple[_Job, Outcome]]], None]
    ) -> None:
        if not jobs:
            return
        try:
            outcomes = self._writer.apply([job.work for job in jobs])
        except Exception as error:  # noqa: BLE001 - the writer must outlive any fault
            _log.exception("journal writer failed")
            failure = JournalUnwritable(
                f"The journal could not be written ({type(error).__name__}); this is a "
                "fault of the program, see its log."
            )
            outcomes = [failure for _ in jobs]
        settle(list(zip(jobs, outcomes, strict=True)))

    def _settle_later(self, settled: list[tuple[_Job, Outcome]]) -> None:
        """Hand results from the writer thread to the event loops that wait for them."""
        by_loop: dict[asyncio.AbstractEventLoop | None, list[tuple[_Job, Outcome]]] = {}
        for job, outcome in settled:
            loop = None if job.future is None else job.future.get_loop()
            by_loop.setdefault(loop, []).append((job, outcome))
        for loop, results in by_loop.items():
            if loop is None:
                self._settle(results)
            else:
                with suppress(RuntimeError):  # the loop is closed, nobody waits there
                    loop.call_soon_threadsafe(self._settle, results)

    def _settle(self, settled: list[tuple[_Job, Outcome]]) -> None:
        for (work, future), outcome in settled:
            if future is None:
                if isinstance(outcome, VoiceCallError):
                    self._report_failure(work, outcome)
            elif future.done():
                continue
            elif isinstance(outcome, VoiceCallError):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    def _report_failure(self, work: Write | Removal, error: VoiceCallError) -> None:
        self.failures += 1
        _log.error(
            "journal entry lost",
            call_id=work.call_id if isinstance(work, Write) else None,
            kind=work.kind if isinstance(work, Write) else None,
            code=error.code,
            error=error,
        )


def _make_folder(folder: Path) -> None:
    missing = [folder, *folder.parents]
    for each in reversed(missing):
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)


def _lock(path: Path) -> int:
    lock_fd = os.open(
        path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR, _PRIVATE
    )
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock_fd)
        raise JournalUnwritable(
            f"Another Gateway has the journal {path} open. Stop it, or give this one "
            "another folder in the setting `store`."
        ) from error
    return lock_fd


def _make_private(path: Path) -> None:
    """Create the file, or take it back from other users: it holds transcripts."""
    file_fd = os.open(path, os.O_CREAT | os.O_RDWR, _PRIVATE)
    try:
        os.fchmod(file_fd, _PRIVATE)
    finally:
        os.close(file_fd)
