"""Carries settings from older names to today's, as data. PURE.

A plugin names its migrations in its manifest, `configMigrations`: a list of objects
with `from` and `to` (paths below the plugin's `config`) and optionally `map` (old value
→ new value). What stands at the new name already wins; the old name is removed either
way, so that a second run finds nothing to do. Where `from` and `to` are the same, only
values named in `map` are replaced.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from openclaw_gateway.config.key_paths import (
    MISSING,
    Change,
    find_value,
    parse_path,
    show_path,
    with_value,
    without_value,
)
from openclaw_gateway.errors import BadParams, ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from openclaw_gateway.config.key_paths import KeyPath

__all__ = ["Migrated", "Migration", "migrate", "read_migrations"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One setting that has moved, or one value that has another name now.

    Attributes:
        old: Where it was.
        new: Where it is.
        values: Old value → new value; others are carried as they are.
    """

    old: KeyPath
    new: KeyPath
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """What migrations do to one plugin's settings.

    Attributes:
        settings: The settings in today's names.
        changes: The same, as changes relative to the settings.
        notes: One sentence for each setting that was moved.
    """

    settings: Mapping[str, Any]
    changes: tuple[Change, ...]
    notes: tuple[str, ...]


def read_migrations(raw: Any) -> tuple[Migration, ...]:
    """Read the list of a manifest.

    Raises:
        BadParams: It is no such list.
    """
    if not isinstance(raw, list):
        raise BadParams("configMigrations must be a list.")
    return tuple(_read(each) for each in raw)


def _read(raw: Any) -> Migration:
    if not isinstance(raw, dict) or not raw.keys() <= {"from", "to", "map"}:
        raise BadParams("a migration is an object with from, to and perhaps map.")
    old, new, values = raw.get("from"), raw.get("to"), raw.get("map", {})
    if not (isinstance(old, str) and isinstance(new, str) and isinstance(values, dict)):
        raise BadParams("from and to of a migration are texts, map is an object.")
    return Migration(old=parse_path(old), new=parse_path(new), values=values)


def migrate(settings: Mapping[str, Any], migrations: Iterable[Migration]) -> Migrated:
    """Apply migrations; what cannot be carried stays, for the plugin to report."""
    now = settings
    changes: list[Change] = []
    notes: list[str] = []
    for migration in migrations:
        value = find_value(now, migration.old)
        if value is MISSING:
            continue
        steps = _steps(now, migration, value)
        try:
            for step in steps:
                now = _apply(now, step)
        except ConfigInvalid:
            continue
        changes += steps
        if steps:
            notes.append(_note(migration))
    return Migrated(settings=now, changes=tuple(changes), notes=tuple(notes))


def _steps(
    now: Mapping[str, Any], migration: Migration, value: Any
) -> tuple[Change, ...]:
    mapped = migration.values.get(value, value) if isinstance(value, str) else value
    if migration.old == migration.new:
        same = isinstance(value, str) and mapped == value
        is_named = isinstance(value, str) and value in migration.values
        if same or not is_named:
            return ()
        return (Change(path=migration.new, value=mapped),)
    removal = Change(path=migration.old, value=MISSING)
    if find_value(now, migration.new) not in (MISSING, None):
        return (removal,)
    return (Change(path=migration.new, value=mapped), removal)


def _apply(now: Mapping[str, Any], step: Change) -> Mapping[str, Any]:
    if step.value is MISSING:
        return without_value(now, step.path)
    return with_value(now, step.path, step.value)


def _note(migration: Migration) -> str:
    old, new = show_path(migration.old), show_path(migration.new)
    if old == new:
        return f"{old} had an old name of a value."
    return f"{old} is now {new}."
