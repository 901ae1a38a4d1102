"""The journal's file: its tables, its versions, and what its failures mean.

The version stands in the table `meta`. `MIGRATIONS[n]` leads from version n to n + 1;
an entry of that list is never changed once it has been released.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from voice_call.errors import (
    JournalCorrupt,
    JournalError,
    JournalTooNew,
    JournalUnwritable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = [
    "MIGRATIONS",
    "as_journal_error",
    "connect",
    "migrate",
    "storable",
    "translated_errors",
]

_BUSY_TIMEOUT_S = 5.0
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE calls (
            call_no INTEGER PRIMARY KEY AUTOINCREMENT,
            call_id TEXT NOT NULL UNIQUE,
            carrier TEXT NOT NULL,
            carrier_call_id TEXT,
            direction TEXT NOT NULL,
            mode TEXT NOT NULL,
            from_ TEXT NOT NULL,
            to_ TEXT NOT NULL,
            session_key TEXT NOT NULL,
            opened_at REAL NOT NULL,
            answered_at REAL,
            ended_at REAL,
            ending TEXT
        )
        """,
        "CREATE INDEX open_calls ON calls (call_no) WHERE ended_at IS NULL",
        """
        CREATE TABLE entries (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            call_no INTEGER NOT NULL REFERENCES calls (call_no) ON DELETE CASCADE,
            at REAL NOT NULL,
            kind TEXT NOT NULL,
            body TEXT NOT NULL,
            dedupe_key TEXT
        )
        """,
        "CREATE INDEX entries_of_call ON entries (call_no, seq)",
        """
        CREATE TABLE aliases (
            carrier_call_id TEXT PRIMARY KEY,
            call_no INTEGER NOT NULL REFERENCES calls (call_no) ON DELETE CASCADE
        ) WITHOUT ROWID
        """,
        "CREATE INDEX aliases_of_call ON aliases (call_no)",
        """
        CREATE TABLE dedupe_keys (
            key_no INTEGER PRIMARY KEY AUTOINCREMENT,
            dedupe_key TEXT NOT NULL UNIQUE,
            call_no INTEGER NOT NULL REFERENCES calls (call_no) ON DELETE CASCADE
        )
        """,
        "CREATE INDEX dedupe_keys_of_call ON dedupe_keys (call_no, key_no)",
    ),
)


def connect(path: Path | None, *, is_read_only: bool = False) -> sqlite3.Connection:
    """Open the file in autocommit mode, for use by one thread at a time.

    Args:
        path: The file, None for a journal in memory.
        is_read_only: Create and change nothing.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    if path is None:
        target = ":memory:"
    else:
        target = f"{path.absolute().as_uri()}?mode={'ro' if is_read_only else 'rw'}"
    connection = sqlite3.connect(
        target,
        uri=path is not None,
        isolation_level=None,
        check_same_thread=False,
        timeout=_BUSY_TIMEOUT_S,
    )
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def migrate(
    connection: sqlite3.Connection,
    migrations: Sequence[Sequence[str]] = MIGRATIONS,
    *,
    may_change: bool = True,
) -> None:
    """Bring a journal to the newest version, all of it or nothing.

    Args:
        connection: In autocommit mode.
        migrations: What leads from each version to the next.
        may_change: False to check only.

    Raises:
        JournalTooNew: The file is of a version that this program does not know.
        JournalCorrupt: The file is a database, but not a journal.
        JournalError: The file is of an older version and must not be changed.
        sqlite3.Error: The file cannot be read or written.
    """
    version, newest = _read_version(connection), len(migrations)
    if version > newest:
        raise JournalTooNew(
            f"The journal is of version {version}, this program knows versions up to "
            f"{newest}. Install the newer program again."
        )
    if version == newest:
        return
    if not may_change:
        raise JournalError(
            f"The journal is of the older version {version}. Start the Gateway once, "
            "which brings it up to date."
        )
    connection.execute("BEGIN IMMEDIATE")
    try:
        if version == 0:
            connection.execute(
                "CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID"
            )
        for statement in (line for step in migrations[version:] for line in step):
            connection.execute(statement)
        connection.execute(
            "INSERT OR REPLACE INTO meta VALUES ('version', ?)", (newest,)
        )
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _read_version(connection: sqlite3.Connection) -> int:
    tables = {
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table'"
        )
    }
    if not tables:
        return 0
    if "meta" in tables:
        found = connection.execute("SELECT value FROM meta WHERE key = 'version'")
        for (value,) in found:
            if isinstance(value, int) and value > 0:
                return value
    raise JournalCorrupt(
        "The journal's file is a database of something else. Let the setting `store` "
        "name another folder."
    )


@contextmanager
def translated_errors(path: Path | None) -> Iterator[None]:
    """Turn what SQLite raises while reading into a `JournalError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise as_journal_error(error, path, doing="read") from error


def as_journal_error(
    error: Exception, path: Path | None, *, doing: str = "written"
) -> JournalError:
    """Return the error of ours that says what a failure means and what to do."""
    where = path or "in memory"
    if isinstance(error, JournalError):
        return error
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
        return JournalCorrupt(
            f"The journal {where} is damaged ({error}). Move the file away to start "
            "with an empty one; what it held can be read with SQLite's own `.recover`."
        )
    kind = JournalError if doing == "read" else JournalUnwritable
    return kind(
        f"The journal {where} cannot be {doing} ({error}). Check that the folder exists "
        "and belongs to this user, and that the disk is not full."
    )


def storable(text: str) -> str:
    """Return a text that SQLite can keep: lone surrogates become question marks."""
    return text.encode("utf-8", "replace").decode()
