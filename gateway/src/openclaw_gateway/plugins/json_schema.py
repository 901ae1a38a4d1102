"""Compares settings with the JSON Schema of a manifest, and names every difference. PURE.

The part of JSON Schema that describes settings: types, properties, items, `enum`,
`const`, bounds, lengths, patterns, `anyOf`, `oneOf`, `allOf` and local `$ref`. Other
keywords are not looked at: the plugin itself has the last word when it starts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from openclaw_gateway.config.key_paths import show_path
from openclaw_gateway.config.problems import Problem, near_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from openclaw_gateway.config.key_paths import KeyPath

__all__ = ["find_schema_problems"]

MAX_DEPTH = 64

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "integer": (int, float),
    "number": (int, float),
}
_WORDS = {
    "object": "an object",
    "array": "a list",
    "string": "a text",
    "boolean": "true or false",
    "null": "null",
    "integer": "a whole number",
    "number": "a number",
}
_BOUNDS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "minimum": (lambda value, bound: value >= bound, "must be at least {}."),
    "maximum": (lambda value, bound: value <= bound, "must be at most {}."),
    "exclusiveMinimum": (lambda value, bound: value > bound, "must be more than {}."),
    "exclusiveMaximum": (lambda value, bound: value < bound, "must be less than {}."),
}


def find_schema_problems(
    value: Any, schema: Mapping[str, Any], path: KeyPath = ()
) -> Iterator[Problem]:
    """Yield what is wrong with a value."""
    yield from _Walk(schema).problems(value, schema, path, 0)


class _Walk:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def problems(
        self, value: Any, schema: Any, path: KeyPath, depth: int
    ) -> Iterator[Problem]:
        if schema is False:
            yield _problem(path, "must not be there.")
        if not isinstance(schema, dict) or depth > MAX_DEPTH:
            return
        yield from self._combined(value, schema, path, depth)
        if fault := _plain_fault(value, schema):
            yield _problem(path, fault)
        elif isinstance(value, dict):
            yield from self._members(value, schema, path, depth)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from self.problems(
                    item, schema.get("items"), (*path, index), depth + 1
                )

    def _combined(
        self, value: Any, schema: Mapping[str, Any], path: KeyPath, depth: int
    ) -> Iterator[Problem]:
        if "$ref" in schema:
            target = self._resolved(schema["$ref"])
            yield from self.problems(value, target, path, depth + 1)
        for each in schema.get("allOf", ()):
            yield from self.problems(value, each, path, depth + 1)
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                yield from self._best(value, schema[keyword], path, depth)

    def _best(
        self, value: Any, choices: Any, path: KeyPath, depth: int
    ) -> Iterator[Problem]:
        """Yield the problems of the choice that was meant: the deepest one."""
        tried = [list(self.problems(value, it, path, depth + 1)) for it in choices]
        if not tried or any(not problems for problems in tried):
            return
        here = show_path(path)
        deep = [p for p in tried if all(problem.key_path != here for problem in p)]
        if len(deep) == 1 or len(tried) == 1:
            yield from (deep or tried)[0]
            return
        faults = dict.fromkeys(problems[0].message for problems in tried)
        yield _problem(path, " or ".join(it.rstrip(".") for it in faults) + ".")

    def _members(
        self, value: Mapping[str, Any], schema: Any, path: KeyPath, depth: int
    ) -> Iterator[Problem]:
        known = schema.get("properties", {})
        others = schema.get("additionalProperties", True)
        for key in schema.get("required", ()):
            if key not in value:
                yield _problem((*path, key), "is required.")
        for key, item in value.items():
            if key in known:
                yield from self.problems(item, known[key], (*path, key), depth + 1)
            elif _matches_pattern(key, schema):
                continue
            elif others is False:
                hint = near_name(key, known)
                yield _problem((*path, key), f"unknown key{hint}.")
            else:
                yield from self.problems(item, others, (*path, key), depth + 1)

    def _resolved(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return True
        place: Any = self._root
        for step in reference[2:].split("/"):
            if not isinstance(place, dict):
                return True
            place = place.get(step.replace("~1", "/").replace("~0", "~"), True)
        return place


def _matches_pattern(key: str, schema: Mapping[str, Any]) -> bool:
    return any(_search(it, key) for it in schema.get("patternProperties", {}))


def _search(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return True  # another dialect than Python's: not ours to judge


def _plain_fault(value: Any, schema: Mapping[str, Any]) -> str:
    """Return what is wrong with the value itself, whatever is in it."""
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is_a(value, kind) for kind in kinds):
        return f"must be {' or '.join(_WORDS.get(kind, kind) for kind in kinds)}."
    choices = [schema["const"]] if "const" in schema else schema.get("enum")
    if choices is not None and not any(_is_same(value, it) for it in choices):
        shown = " or ".join(
            f'"{it}"' if isinstance(it, str) else str(it) for it in choices
        )
        hint = near_name(value, map(str, choices)) if isinstance(value, str) else ""
        return f"must be {shown}{hint}."
    if isinstance(value, str):
        return _text_fault(value, schema)
    if isinstance(value, int | float) and not isinstance(value, bool):
        for keyword, (holds, words) in _BOUNDS.items():
            if keyword in schema and not holds(value, schema[keyword]):
                return words.format(schema[keyword])
    return ""


def _text_fault(value: str, schema: Mapping[str, Any]) -> str:
    if len(value) < schema.get("minLength", 0):
        return "must not be empty." if not value else "is too short."
    if len(value) > schema.get("maxLength", len(value)):
        return "is too long."
    if "pattern" in schema and not _search(schema["pattern"], value):
        return f"must match {schema['pattern']}."
    return ""


def _is_a(value: Any, kind: str) -> bool:
    if kind in {"integer", "number"} and isinstance(value, bool):
        return False
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(kind, (object,)))


def _is_same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _problem(path: KeyPath, message: str) -> Problem:
    return Problem(key_path=show_path(path), message=message)
