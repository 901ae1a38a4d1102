"""Changes one value in a JSON5 text and leaves every other character alone. PURE.

A rewritten file would lose its comments, its order and its quoting. So the text is
scanned for where values begin and end, and only that span is replaced. The result is
parsed again and compared with what it should say; where the two differ, the caller
rewrites the file as a whole and says so.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyjson5

if TYPE_CHECKING:
    from openclaw_gateway.config.key_paths import KeyPath

__all__ = ["set_in_text", "unset_in_text"]

_BLANK = re.compile(r"(?:\s|\ufeff|//[^\n\r\u2028\u2029]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_WORD = re.compile(r"""[^\s,:\[\]{}/'"]+""")
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """One member of an object or item of a list; positions count characters."""

    key: str | int
    start: int
    value: _Node
    comma_before: int | None
    comma_after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    """A value: from `start` up to, not including, `end`."""

    start: int
    end: int
    kind: str
    members: tuple[_Member, ...] = field(default=())

    def find(self, key: str | int) -> _Member | None:
        """Return the member that counts: of two with one key, the last."""
        return next((m for m in reversed(self.members) if m.key == key), None)


class _Unsure(Exception):
    """Raised where the text is not understood well enough to be changed in place."""


def set_in_text(text: str, path: KeyPath, value: Any) -> str | None:
    """Return the text with a value set, or None where it must be rewritten."""
    try:
        node, depth = _scan(text), 0
        while depth < len(path):
            member = node.find(path[depth])
            if member is None:
                return _insert(text, node, path[depth:], value)
            node, depth = member.value, depth + 1
    except _Unsure:
        return None
    shown = _render(value, _indent_at(text, node.start))
    return text[: node.start] + shown + text[node.end :]


def unset_in_text(text: str, path: KeyPath) -> str | None:
    """Return the text without a value, or None where it must be rewritten."""
    try:
        node = _scan(text)
        member: _Member | None = None
        for step in path:
            member = node.find(step)
            if member is None:
                return None
            node = member.value
    except _Unsure:
        return None
    return None if member is None else _cut(text, member)


# ---- scanning


def _scan(text: str) -> _Node:
    return _value(text, _skip(text, 0))


def _skip(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _value(text: str, at: int) -> _Node:
    first = text[at : at + 1]
    if first in {"{", "["}:
        return _container(text, at)
    found = (_STRING if first in {"'", '"'} else _WORD).match(text, at)
    if not found:
        raise _Unsure
    return _Node(start=at, end=found.end(), kind="plain")


def _container(text: str, start: int) -> _Node:
    is_object = text[start] == "{"
    closing = "}" if is_object else "]"
    members: list[_Member] = []
    comma: int | None = None
    at = _skip(text, start + 1)
    while text[at : at + 1] != closing:
        begin = at
        key: str | int = len(members)
        if is_object:
            key, at = _key(text, at)
        value = _value(text, at)
        after = _skip(text, value.end)
        before, comma = comma, after if text[after : after + 1] == "," else None
        members.append(
            _Member(
                key=key,
                start=begin,
                value=value,
                comma_before=before,
                comma_after=comma,
            )
        )
        if comma is None and text[after : after + 1] != closing:
            raise _Unsure
        at = after if comma is None else _skip(text, comma + 1)
    kind = "object" if is_object else "list"
    return _Node(start=start, end=at + 1, kind=kind, members=tuple(members))


def _key(text: str, at: int) -> tuple[str, int]:
    is_quoted = text[at : at + 1] in {"'", '"'}
    found = (_STRING if is_quoted else _WORD).match(text, at)
    if not found:
        raise _Unsure
    colon = _skip(text, found.end())
    if text[colon : colon + 1] != ":":
        raise _Unsure
    key = found[0]
    if is_quoted or "\\" in key:
        (key,) = pyjson5.decode("{" + key + ": 0}")
    return key, _skip(text, colon + 1)


# ---- changing


def _insert(text: str, place: _Node, path: KeyPath, value: Any) -> str | None:
    """Add a member behind the last one of an object."""
    key, *rest = path
    if place.kind != "object" or any(isinstance(step, int) for step in path):
        return None
    for step in reversed(rest):
        value = {step: value}
    outer = _indent_at(text, place.start)
    is_block = "\n" in text[place.start : place.end] or not place.members
    indent = outer + "  "
    last = place.members[-1] if place.members else None
    if last is not None and is_block:
        indent = _indent_at(text, last.start)
    shown = f"{_show_key(text, last, str(key))}: {_render(value, indent)}"
    end = place.end - 1
    tail = len(text[:end].rstrip())
    if not is_block:
        lead = " " if last and last.comma_after is not None else ", "
        return text[:tail] + lead + shown + text[tail:]
    closing = "" if "\n" in text[tail:end] else f"\n{outer}"
    gap = text[tail:end] if not closing else ""
    new = f"\n{indent}{shown}{closing}{gap}"
    changed = text[:tail] + new + text[end:]
    if last is not None and last.comma_after is None:
        changed = changed[: last.value.end] + "," + changed[last.value.end :]
    return changed


def _show_key(text: str, neighbour: _Member | None, key: str) -> str:
    """Quote a key as its neighbours are; where there are none, always."""
    is_bare = neighbour is not None and text[neighbour.start] not in {"'", '"'}
    if is_bare and _NAME.fullmatch(key):
        return key
    return json.dumps(key, ensure_ascii=False)


def _cut(text: str, member: _Member) -> str:
    start, end = member.start, member.value.end
    if member.comma_after is not None:
        end = member.comma_after + 1
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    rest = text[end:] if line_end < 0 else text[end:line_end]
    if line_end >= 0 and not text[line_start:start].strip() and not rest.strip():
        start, end = line_start, line_end + 1
    elif member.comma_after is not None:
        end += len(text[end:]) - len(text[end:].lstrip(" "))
    changed = text[:start] + text[end:]
    if member.comma_after is None and member.comma_before is not None:
        before = member.comma_before
        changed = changed[:before] + changed[before + 1 :]
    return changed


def _indent_at(text: str, at: int) -> str:
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip())]


def _render(value: Any, indent: str) -> str:
    shown = json.dumps(value, indent=2, ensure_ascii=False)
    return shown.replace("\n", "\n" + indent)
