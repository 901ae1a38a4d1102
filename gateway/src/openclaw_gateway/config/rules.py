"""What a value may be, as data, and the walk that compares a value with it. PURE."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, assert_never
from urllib.parse import urlsplit

from openclaw_gateway.config.key_paths import show_path
from openclaw_gateway.config.problems import Problem, near_name
from openclaw_gateway.config.secrets import has_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from openclaw_gateway.config.key_paths import KeyPath

__all__ = [
    "Anything",
    "Choice",
    "Flag",
    "ListOf",
    "MapOf",
    "Number",
    "Object",
    "Rule",
    "Text",
    "find_problems",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Anything:
    """Not our business."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """True or false."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text that is not empty; may hold references.

    Attributes:
        is_url: Whether it must be an http or https URL.
        is_model: Whether it must look like `provider/model`.
    """

    is_url: bool = False
    is_model: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of some texts."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A whole number from `low` to `high`; a text of digits counts as one."""

    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf:
    """A list whose items are all alike."""

    item: Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOf:
    """An object with any keys, whose values are all alike."""

    value: Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """An object with certain keys.

    Attributes:
        keys: What each of them may be.
        is_open: Whether other keys are none of our business.
        warns: Whether an unknown key only gives a warning.
        short: What may stand in its place as a single text, None for nothing.
    """

    keys: Mapping[str, Rule] = field(default_factory=dict)
    is_open: bool = False
    warns: bool = False
    short: Text | None = None


Rule = Anything | Flag | Text | Choice | Number | ListOf | MapOf | Object


def find_problems(value: Any, rule: Rule, path: KeyPath = ()) -> Iterator[Problem]:
    """Yield everything that is wrong with a value; null counts as absent."""
    if value is None:
        return
    match rule:
        case Anything():
            return
        case ListOf() | MapOf():
            yield from _member_problems(value, rule, path)
        case Object():
            yield from _object_problems(value, rule, path)
        case Flag() | Text() | Choice() | Number():
            if (fault := _fault(value, rule)) and not has_reference(value):
                yield _wrong(path, fault)
        case _:
            assert_never(rule)


def _member_problems(
    value: Any, rule: ListOf | MapOf, path: KeyPath
) -> Iterator[Problem]:
    if isinstance(rule, ListOf) and isinstance(value, list):
        for index, each in enumerate(value):
            yield from find_problems(each, rule.item, (*path, index))
    elif isinstance(rule, MapOf) and isinstance(value, dict):
        for key, each in value.items():
            yield from find_problems(each, rule.value, (*path, key))
    else:
        what = "a list" if isinstance(rule, ListOf) else "an object"
        yield _wrong(path, f"must be {what}.")


def _object_problems(value: Any, rule: Object, path: KeyPath) -> Iterator[Problem]:
    if isinstance(value, str) and rule.short is not None:
        yield from find_problems(value, rule.short, path)
        return
    if not isinstance(value, dict):
        yield _wrong(path, "must be an object.")
        return
    for key, each in value.items():
        if key in rule.keys:
            yield from find_problems(each, rule.keys[key], (*path, key))
        elif not rule.is_open:
            hint = near_name(key, rule.keys)
            yield Problem(
                key_path=show_path((*path, key)),
                message=f"unknown key{hint}.",
                is_fatal=not rule.warns,
            )


def _fault(value: Any, rule: Flag | Text | Choice | Number) -> str:
    """Return what is wrong with a plain value, or nothing."""
    match rule:
        case Flag():
            return "" if isinstance(value, bool) else "must be true or false."
        case Text():
            return _text_fault(value, rule)
        case Choice(names=names):
            if value in names:
                return ""
            shown = " or ".join(f'"{name}"' for name in names)
            hint = near_name(value, names) if isinstance(value, str) else ""
            return f"must be {shown}{hint}."
        case Number(low=low, high=high):
            number = int(value) if _is_digits(value) else value
            is_number = isinstance(number, int | float) and not isinstance(number, bool)
            if is_number and low <= number <= high and number == int(number):
                return ""
            return f"must be a whole number from {low} to {high}."
        case _:
            assert_never(rule)


def _is_digits(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdecimal()


def _text_fault(value: Any, rule: Text) -> str:
    if not isinstance(value, str) or not value:
        return "must be a text that is not empty."
    if rule.is_url and not _is_url(value):
        return "must be a URL such as https://api.example.com/v1."
    if rule.is_model:
        provider, _, name = value.partition("/")
        if not provider or not name:
            return 'must name a model as "provider/model".'
    return ""


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _wrong(path: KeyPath, message: str) -> Problem:
    return Problem(key_path=show_path(path) or "the file", message=message)
