"""Paths into the configuration, as people write them: `a.b[0]["x.y"]`. PURE.

A dot begins a key, `[0]` counts in a list, and a key that itself has dots or brackets
stands in brackets and quotes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openclaw_gateway.errors import BadParams, ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "MISSING",
    "Change",
    "KeyPath",
    "find_value",
    "parse_path",
    "show_path",
    "with_value",
    "without_value",
]

KeyPath = tuple[str | int, ...]

MISSING: Any = object()
"""What `find_value` returns where nothing is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One value to be set or removed.

    Attributes:
        path: Where.
        value: What shall stand there; `MISSING` removes what does.
    """

    path: KeyPath
    value: Any


_STEP = re.compile(
    r"""(?:^|\.)(?P<name>[^.\[\]"']+)|\[(?P<index>\d{1,6})\]|\[(?P<quoted>"(?:[^"\\]|\\.)*")\]"""
)
_PLAIN = re.compile(r"""[^.\[\]"']+""")


def parse_path(text: str) -> KeyPath:
    """Return the steps of a path.

    Raises:
        BadParams: It is no path.
    """
    steps: list[str | int] = []
    position = 0
    while position < len(text) and text[0] != ".":
        found = _STEP.match(text, position)
        if found is None:
            break
        position = found.end()
        if found["name"] is not None:
            steps.append(found["name"])
        elif found["index"] is not None:
            steps.append(int(found["index"]))
        else:
            steps.append(_unquote(found["quoted"]))
    if position < len(text) or not steps or isinstance(steps[0], int):
        raise BadParams(
            f"{text!r} is no path; write for example gateway.port or "
            'plugins.load.paths[0] or a["key.with.dots"].'
        )
    return tuple(steps)


def _unquote(quoted: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError as error:
        raise BadParams(f"{quoted} is no quoted key: {error}.") from error


def show_path(path: KeyPath) -> str:
    """Return the path as people write it."""
    shown = ""
    for step in path:
        if isinstance(step, int):
            shown += f"[{step}]"
        elif _PLAIN.fullmatch(step):
            shown += f".{step}" if shown else step
        else:
            shown += f"[{json.dumps(step, ensure_ascii=False)}]"
    return shown


def find_value(root: Any, path: KeyPath) -> Any:
    """Return what stands at the path, or `MISSING`."""
    value = root
    for step in path:
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return MISSING
        elif not isinstance(value, dict) or step not in value:
            return MISSING
        value = value[step]
    return value


def with_value(root: Mapping[str, Any], path: KeyPath, value: Any) -> dict[str, Any]:
    """Return a copy in which the value stands at the path; what it needs is made.

    Raises:
        ConfigInvalid: A parent is something else than an object or a list, or a list
            is too short.
    """
    changed: dict[str, Any] = _set(dict(root), path, value, done=())
    return changed


def _set(place: Any, path: KeyPath, value: Any, *, done: KeyPath) -> Any:
    if not path:
        return value
    step, *rest = path
    below = tuple(rest)
    here = (*done, step)
    if isinstance(step, int):
        items = [] if place is MISSING else place
        if not isinstance(items, list):
            raise ConfigInvalid("must be a list.", key_path=show_path(done))
        if step > len(items):
            raise ConfigInvalid(
                f"the list ends at {len(items)}; append there.",
                key_path=show_path(done),
            )
        old = items[step] if step < len(items) else MISSING
        return [*items[:step], _set(old, below, value, done=here), *items[step + 1 :]]
    members = {} if place is MISSING else place
    if not isinstance(members, dict):
        raise ConfigInvalid("must be an object.", key_path=show_path(done))
    old = members.get(step, MISSING)
    return {**members, step: _set(old, below, value, done=here)}


def without_value(root: Mapping[str, Any], path: KeyPath) -> dict[str, Any]:
    """Return a copy without what stands at the path; it must be there."""
    *parents, last = path
    parent = find_value(root, tuple(parents))
    if isinstance(parent, list):
        rest: Any = [item for index, item in enumerate(parent) if index != last]
    else:
        rest = {key: item for key, item in parent.items() if key != last}
    return with_value(root, tuple(parents), rest) if parents else rest
