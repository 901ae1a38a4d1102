"""Writing the journal: one batch, one transaction. Synchronous, used by one thread.

Dedupe keys are bounded, since a carrier repeats itself within minutes, not months: the
newest 10,000 of all calls and the newest 500 of each call are remembered.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from voice_call.call.actions import CallEnded
from voice_call.call.events import Answered, Dialed
from voice_call.call.model import CallId
from voice_call.errors import UnknownCall, VoiceCallError
from voice_call.runtime.journal_codec import CallOpened, encode
from voice_call.runtime.journal_schema import as_journal_error, connect, storable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voice_call.runtime.journal_codec import Journaled

__all__ = [
    "MAX_KEYS",
    "MAX_KEYS_PER_CALL",
    "JournalWriter",
    "Outcome",
    "Removal",
    "Write",
]

MAX_KEYS = 10_000
"""Dedupe keys remembered altogether."""
MAX_KEYS_PER_CALL = 500
"""Dedupe keys remembered of one call."""
_WAL_LIMIT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One entry to be written, in its written form already."""

    call_id: CallId
    at: float
    what: Journaled
    kind: str
    body: str
    dedupe_key: str | None
    carrier_call_id: str | None

    @classmethod
    def make(
        cls,
        call_id: CallId,
        what: Journaled,
        *,
        at: float,
        key: str | None,
        carrier_call_id: str | None,
    ) -> Write:
        """Return the entry ready to be stored."""
        kind, body = encode(what)
        return cls(
            call_id=CallId(storable(call_id)),
            at=at,
            what=what,
            kind=kind,
            body=body,
            dedupe_key=None if key is None else storable(key),
            carrier_call_id=carrier_call_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Calls to be removed: those that ended before a time, in seconds since 1970."""

    ended_before: float


Outcome = int | VoiceCallError
"""How many entries or calls were written or removed, or why none."""


class JournalWriter:
    """The only connection that writes."""

    def __init__(self, connection: sqlite3.Connection, *, path: Path | None) -> None:
        self._connection: sqlite3.Connection | None = connection
        self._path = path
        prepare(connection)

    def apply(self, jobs: Sequence[Write | Removal]) -> list[Outcome]:
        """Write a batch in one transaction; returns when it is durable.

        A job that cannot be done at all has its error as outcome and does not disturb
        the others. Where the disk refuses, nothing is written and every outcome is the
        same `JournalError`; a later batch may succeed again.
        """
        try:
            if self._connection is None:
                self._connection = connect(self._path)
                prepare(self._connection)
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._apply_one(self._connection, job) for job in jobs]
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            failure = as_journal_error(error, self._path)
            return [failure for _ in jobs]
        except BaseException:
            self._roll_back()
            raise
        return outcomes

    def close(self) -> None:
        """Release the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _roll_back(self) -> None:
        """Leave the connection usable, or give it up so that the next batch opens one."""
        if self._connection is None:
            return
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:  # a connection that cannot even roll back is useless
            if self._path is not None:
                self.close()

    def _apply_one(
        self, connection: sqlite3.Connection, job: Write | Removal
    ) -> Outcome:
        try:
            if isinstance(job, Removal):
                return _remove(connection, job)
            return _write(connection, job)
        except UnknownCall as error:
            return error


def prepare(connection: sqlite3.Connection) -> None:
    """Set a writing connection up.

    `synchronous=FULL` makes each commit wait for the disk. `NORMAL` would survive the
    death of the process as well, since the operating system has the pages by then, but
    not a power cut: up to half a minute of calls would be gone, and with them the
    knowledge that a number was dialled and is being paid for. The price is about 0.1 ms
    per commit on a solid-state disk (1 to 12 ms at worst, measured), it is paid outside
    the event loop, and everything that waits meanwhile shares the next commit.
    """
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")


def _write(connection: sqlite3.Connection, job: Write) -> int:
    key = job.dedupe_key
    if key is not None and _one(
        connection, "SELECT 1 FROM dedupe_keys WHERE dedupe_key = ?", key
    ):
        return 0
    if isinstance(job.what, CallOpened):
        call_no = _open_call(connection, job, job.what)
        if call_no is None:
            return 0
    else:
        call_no = _find_call(connection, job.call_id)
    connection.execute(
        "INSERT INTO entries (call_no, at, kind, body, dedupe_key) "
        "VALUES (?, ?, ?, ?, ?)",
        (call_no, job.at, job.kind, job.body, key),
    )
    if key is not None:
        _remember_key(connection, key, call_no)
    _update_call(connection, job, call_no)
    return 1


def _open_call(
    connection: sqlite3.Connection, job: Write, opened: CallOpened
) -> int | None:
    cursor = connection.execute(
        "INSERT OR IGNORE INTO calls (call_id, carrier, direction, mode, from_, to_, "
        "session_key, opened_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            job.call_id,
            storable(opened.carrier),
            opened.direction,
            opened.mode,
            storable(opened.from_),
            storable(opened.to),
            storable(opened.session_key),
            job.at,
        ),
    )
    return cursor.lastrowid if cursor.rowcount else None


def _find_call(connection: sqlite3.Connection, call_id: CallId) -> int:
    row = _one(connection, "SELECT call_no FROM calls WHERE call_id = ?", call_id)
    if row is None:
        raise UnknownCall(
            "The journal has no such call; its first entry must be `CallOpened`."
        )
    return int(row[0])


def _remember_key(connection: sqlite3.Connection, key: str, call_no: int) -> None:
    key_no = connection.execute(
        "INSERT INTO dedupe_keys (dedupe_key, call_no) VALUES (?, ?)", (key, call_no)
    ).lastrowid
    assert key_no is not None
    connection.execute(
        "DELETE FROM dedupe_keys WHERE key_no <= ?", (key_no - MAX_KEYS,)
    )
    connection.execute(
        "DELETE FROM dedupe_keys WHERE call_no = ?1 AND key_no <= (SELECT key_no "
        "FROM dedupe_keys WHERE call_no = ?1 ORDER BY key_no DESC LIMIT 1 OFFSET ?2)",
        (call_no, MAX_KEYS_PER_CALL),
    )


def _update_call(connection: sqlite3.Connection, job: Write, call_no: int) -> None:
    carrier_call_id = job.carrier_call_id
    match job.what:
        case Answered():
            connection.execute(
                "UPDATE calls SET answered_at = coalesce(answered_at, ?) "
                "WHERE call_no = ?",
                (job.at, call_no),
            )
        case CallEnded(ending=ending):
            connection.execute(
                "UPDATE calls SET ended_at = ?, ending = ? "
                "WHERE call_no = ? AND ended_at IS NULL",
                (job.at, msgspec.json.encode(ending).decode(), call_no),
            )
        case Dialed(carrier_call_id=named):
            carrier_call_id = carrier_call_id or named
        case CallOpened(carrier_call_id=named):
            carrier_call_id = carrier_call_id or named
        case _:
            pass
    if carrier_call_id:
        _add_alias(connection, storable(carrier_call_id), call_no)


def _add_alias(connection: sqlite3.Connection, alias: str, call_no: int) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO aliases (carrier_call_id, call_no) VALUES (?, ?)",
        (alias, call_no),
    )
    connection.execute(
        "UPDATE calls SET carrier_call_id = ? WHERE call_no = ?", (alias, call_no)
    )


def _remove(connection: sqlite3.Connection, job: Removal) -> int:
    return connection.execute(
        "DELETE FROM calls WHERE ended_at < ?", (job.ended_before,)
    ).rowcount


def _one(
    connection: sqlite3.Connection, statement: str, *values: Any
) -> tuple[Any, ...] | None:
    row: tuple[Any, ...] | None = connection.execute(statement, values).fetchone()
    return row
