"""Versions of the journal's tables: all the way forward, or not at all."""

from __future__ import annotations

import sqlite3

import pytest

from voice_call.errors import JournalCorrupt, JournalError, JournalTooNew
from voice_call.runtime.journal_schema import (
    MIGRATIONS,
    as_journal_error,
    connect,
    migrate,
)

FIRST = ("CREATE TABLE notes (line TEXT)", "INSERT INTO notes VALUES ('old')")
SECOND = (
    "ALTER TABLE notes ADD COLUMN size INTEGER",
    "UPDATE notes SET size = length(line)",
)
BROKEN = ("INSERT INTO notes VALUES ('half', 4)", "INSERT INTO nowhere VALUES (1)")


def version(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
    return int(row[0])


def test_an_empty_file_gets_the_newest_tables() -> None:
    connection = connect(None)
    migrate(connection)
    assert version(connection) == len(MIGRATIONS)
    tables = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    )
    assert {name for (name,) in tables} == {
        "aliases",
        "calls",
        "dedupe_keys",
        "entries",
        "meta",
    }


def test_an_older_file_keeps_its_rows_on_the_way_to_the_next_version() -> None:
    connection = connect(None)
    migrate(connection, [FIRST])
    assert version(connection) == 1
    migrate(connection, [FIRST, SECOND])
    assert version(connection) == 2
    assert connection.execute("SELECT line, size FROM notes").fetchall() == [("old", 3)]


def test_migrating_twice_changes_nothing() -> None:
    connection = connect(None)
    migrate(connection, [FIRST])
    migrate(connection, [FIRST])
    assert connection.execute("SELECT line FROM notes").fetchall() == [("old",)]


def test_a_migration_that_fails_leaves_the_file_as_it_was() -> None:
    connection = connect(None)
    migrate(connection, [FIRST])
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, [FIRST, SECOND, BROKEN])
    assert version(connection) == 1
    assert connection.execute("SELECT * FROM notes").fetchall() == [("old",)]
    assert not connection.in_transaction


def test_a_newer_file_is_refused() -> None:
    connection = connect(None)
    migrate(connection, [FIRST, SECOND])
    with pytest.raises(
        JournalTooNew, match="version 2, this program knows versions up to 1"
    ):
        migrate(connection, [FIRST])


def test_an_older_file_is_refused_where_nothing_may_change() -> None:
    connection = connect(None)
    migrate(connection, [FIRST])
    with pytest.raises(JournalError, match="older version 1"):
        migrate(connection, [FIRST, SECOND], may_change=False)


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE songs (title TEXT)"],
        ["CREATE TABLE meta (key TEXT, value TEXT)"],
        [
            "CREATE TABLE meta (key TEXT, value NOT NULL)",
            "INSERT INTO meta VALUES ('version', 'three')",
        ],
    ],
)
def test_a_database_of_something_else_is_not_touched(statements: list[str]) -> None:
    connection = connect(None)
    for statement in statements:
        connection.execute(statement)
    with pytest.raises(JournalCorrupt, match="something else"):
        migrate(connection)


def test_an_error_of_ours_is_not_wrapped_again() -> None:
    error = JournalTooNew("x")
    assert as_journal_error(error, None) is error
