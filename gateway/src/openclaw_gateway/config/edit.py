"""Changes openclaw.json: one change at a time, never half written, always with a backup.

A change is made in the text of the file, so that comments, order and quoting of
everything else stay. Where the text is too unusual for that, the file is written anew as
plain JSON: its comments are then only in the backup, and `Edited.kept_comments` says so.
Before each change the file is copied to `<name>.bak`; older copies become `.bak.1` to
`.bak.4`. A symbolic link stays a link.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openclaw_gateway.config.file import parse_text, read_text
from openclaw_gateway.config.json5_text import set_in_text, unset_in_text
from openclaw_gateway.config.key_paths import (
    MISSING,
    Change,
    find_value,
    with_value,
    without_value,
)
from openclaw_gateway.config.problems import ConfigProblems
from openclaw_gateway.config.schema import check_file
from openclaw_gateway.errors import ConfigInvalid, ConfigUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["BACKUPS", "Edited", "edit_file"]

BACKUPS = 5
"""How many earlier versions are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """What an edit did.

    Attributes:
        before: What the file said.
        after: What it says now.
        backup: Where the earlier version is; None where there was no file, or where
            nothing changed.
        kept_comments: Whether everything that was not touched stayed as it was.
    """

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    backup: Path | None
    kept_comments: bool

    @property
    def is_changed(self) -> bool:
        """Whether the file says something else now."""
        return not _is_same(self.before, self.after)


def edit_file(path: Path, changes: Sequence[Change]) -> Edited:
    """Make changes to a configuration file, all or none.

    Raises:
        ConfigUnreadable: The file cannot be read or written, or is not JSON5.
        ConfigInvalid: A parent of a changed value is something else than an object.
        ConfigProblems: The Gateway would not accept the result; nothing is written.
    """
    path = Path(os.path.realpath(path))
    with _exclusive(path):
        text = read_text(path)
        before = parse_text(text, path)
        after, changed = _apply(text, before, changes, path)
        if _is_same(after, before):
            return Edited(before=before, after=after, backup=None, kept_comments=True)
        _refuse_new_problems(before, after)
        kept = changed is not None or not text.strip()
        if changed is None:
            changed = json.dumps(after, indent=2, ensure_ascii=False) + "\n"
        backup = _back_up(path)
        _replace(path, changed)
    return Edited(before=before, after=after, backup=backup, kept_comments=kept)


def _apply(
    text: str, before: Mapping[str, Any], changes: Sequence[Change], path: Path
) -> tuple[Mapping[str, Any], str | None]:
    """Return what the file shall say, and its text unless that must be written anew."""
    after = before
    changed: str | None = text
    for change in changes:
        if change.value is MISSING:
            if find_value(after, change.path) is MISSING:
                continue
            after = without_value(after, change.path)
            changed = changed and unset_in_text(changed, change.path)
        elif not _is_same(find_value(after, change.path), change.value):
            after = with_value(after, change.path, change.value)
            changed = changed and set_in_text(changed, change.path, change.value)
    if changed:
        with contextlib.suppress(ConfigUnreadable, ConfigInvalid):
            if _is_same(parse_text(changed, path), after):
                return after, changed
    return after, None


def _is_same(one: Any, other: Any) -> bool:
    """Compare as JSON does: 1 is not true, and the order of keys means nothing."""
    if one is MISSING or other is MISSING:
        return one is other
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _refuse_new_problems(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    known = set(check_file(before))
    new = [it for it in check_file(after) if it.is_fatal and it not in known]
    if new:
        raise ConfigProblems(new)


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Keep other edits of the file away."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(
            path.with_name(f"{path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600
        )
    except OSError as error:
        raise _unwritable(path, error) from error
    with os.fdopen(handle):
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _back_up(path: Path) -> Path | None:
    """Copy the file beside itself; older copies move one place."""
    names = [path.with_name(f"{path.name}.bak")]
    names += [path.with_name(f"{path.name}.bak.{n}") for n in range(1, BACKUPS)]
    try:
        if not path.exists():
            return None
        for older, newer in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
            if newer.exists():
                newer.replace(older)
        shutil.copy2(path, names[0])
        names[0].chmod(0o600)
    except OSError as error:
        raise _unwritable(path, error) from error
    return names[0]


def _replace(path: Path, text: str) -> None:
    """Write the whole file beside the old one, then put it in its place."""
    fresh = ""
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
        handle, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fchmod(handle, mode)
            os.fsync(handle)
        Path(fresh).replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if fresh:
            Path(fresh).unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> ConfigUnreadable:
    return ConfigUnreadable(
        f"The configuration file {path} cannot be written: {error.strerror}."
    )
