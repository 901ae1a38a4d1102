"""Reading the journal: in the Gateway beside its writer, or from any other process.

Every read is answered from an index; none scans the journal.
"""

from __future__ import annotations

import threading
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec

from voice_call.call.model import CallId, CallMode, Direction, Ending
from voice_call.errors import JournalCorrupt
from voice_call.runtime.journal_codec import CallSummary, JournalEntry, decode
from voice_call.runtime.journal_schema import (
    connect,
    migrate,
    storable,
    translated_errors,
)

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

__all__ = ["JournalReader"]

_ENTRY = """
    SELECT entries.seq, calls.call_id, entries.at, entries.kind, entries.body,
           entries.dedupe_key
    FROM entries JOIN calls USING (call_no)
"""
_SUMMARY = """
    SELECT call_id, carrier, carrier_call_id, direction, mode, from_, to_, session_key,
           opened_at, answered_at, ended_at, ending
    FROM calls
"""


class JournalReader:
    """The reading half of a journal. Methods take well under a millisecond per call."""

    def __init__(self, connection: sqlite3.Connection, *, path: Path | None) -> None:
        self._connection = connection
        self._path = path
        self._lock = threading.Lock()

    @classmethod
    def open_existing(cls, path: Path) -> JournalReader:
        """Open a journal for reading only; nothing is created or changed.

        A journal that does not exist yet reads as an empty one.

        Raises:
            JournalCorrupt: The file is no journal, or damaged.
            JournalTooNew: A newer version of the plugin wrote it.
            JournalError: An older version wrote it; a running Gateway would migrate it.
        """
        is_there = path.exists()
        with translated_errors(path):
            connection = connect(path if is_there else None, is_read_only=is_there)
            try:
                migrate(connection, may_change=not is_there)
            except BaseException:
                connection.close()
                raise
        return cls(connection, path=path)

    def open_calls(self) -> list[list[JournalEntry]]:
        """Return the entries of every call that has not ended, oldest call first."""
        entries = self._entries(
            f"{_ENTRY} WHERE calls.ended_at IS NULL ORDER BY calls.call_no, entries.seq"
        )
        return [list(group) for _, group in groupby(entries, lambda e: e.call_id)]

    def entries(self, call_id: CallId) -> list[JournalEntry]:
        """Return everything about one call, in order; empty for an unknown call."""
        return self._entries(
            f"{_ENTRY} WHERE calls.call_id = ? ORDER BY entries.seq", storable(call_id)
        )

    def tail(self, after_seq: int = 0, limit: int = 100) -> list[JournalEntry]:
        """Return the oldest `limit` entries after position `after_seq`, of all calls."""
        return self._entries(
            f"{_ENTRY} WHERE entries.seq > ? ORDER BY entries.seq LIMIT ?",
            after_seq,
            limit,
        )

    def last_seq(self) -> int:
        """Return the position of the newest entry, 0 in an empty journal."""
        return int(self._rows("SELECT coalesce(max(seq), 0) FROM entries")[0][0])

    def find(self, call_or_carrier_id: str) -> CallId | None:
        """Return our id of a call, given ours or any that a carrier gave it."""
        rows = self._rows(
            "SELECT call_id FROM calls WHERE call_id = ?1 UNION ALL "
            "SELECT call_id FROM aliases JOIN calls USING (call_no) "
            "WHERE aliases.carrier_call_id = ?1",
            storable(call_or_carrier_id),
        )
        return CallId(rows[0][0]) if rows else None

    def calls(self, limit: int = 50, *, is_open: bool = False) -> list[CallSummary]:
        """Return the newest calls first, at most `limit`.

        Args:
            limit: How many.
            is_open: Only calls that have not ended.
        """
        condition = "WHERE ended_at IS NULL" if is_open else ""
        return self._summaries(
            f"{_SUMMARY} {condition} ORDER BY call_no DESC LIMIT ?", limit
        )

    def summary(self, call_id: CallId) -> CallSummary | None:
        """Return one call's line in the list of calls, None for an unknown call."""
        found = self._summaries(f"{_SUMMARY} WHERE call_id = ?", storable(call_id))
        return found[0] if found else None

    def close_reader(self) -> None:
        """Release the file. Reading is not possible afterwards."""
        with self._lock:
            self._connection.close()

    def _entries(self, statement: str, *values: Any) -> list[JournalEntry]:
        return [
            JournalEntry(
                seq=seq,
                call_id=CallId(call_id),
                at=at,
                what=decode(kind, body),
                dedupe_key=dedupe_key,
            )
            for seq, call_id, at, kind, body, dedupe_key in self._rows(
                statement, *values
            )
        ]

    def _summaries(self, statement: str, *values: Any) -> list[CallSummary]:
        return [_summary(row) for row in self._rows(statement, *values)]

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with translated_errors(self._path), self._lock:
            return self._connection.execute(statement, values).fetchall()


def _summary(row: tuple[Any, ...]) -> CallSummary:
    (call_id, carrier, carrier_call_id, direction, mode, *texts) = row[:8]
    opened_at, answered_at, ended_at, ending = row[8:]
    from_, to, session_key = texts
    try:
        return CallSummary(
            call_id=CallId(call_id),
            carrier=carrier,
            carrier_call_id=carrier_call_id,
            direction=Direction(direction),
            mode=CallMode(mode),
            from_=from_,
            to=to,
            session_key=session_key,
            opened_at=opened_at,
            answered_at=answered_at,
            ended_at=ended_at,
            ending=msgspec.json.decode(ending, type=Ending) if ending else None,
        )
    except (ValueError, TypeError) as error:
        raise JournalCorrupt(
            "The journal's list of calls is damaged. Move the journal's file away to "
            "start with an empty one."
        ) from error
