"""What is wrong with a configuration: everything at once, each with its path."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from voice_call.errors import ConfigError
from voice_call.phone_numbers import mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pydantic import ValidationError

__all__ = ["ConfigProblems", "Problem", "find_problems"]

_WORDS = {
    "model_type": "expected an object",
    "dict_type": "expected an object",
    "tuple_type": "expected a list",
    "is_instance_of": "expected a path",
}
"""Our words where pydantic speaks of Python."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        key_path: Where, from the root of the configuration file.
        message: What, and what to write instead. Never the value that stands there.
    """

    key_path: str
    message: str

    def __str__(self) -> str:
        return f"{self.key_path}: {self.message}"


class ConfigProblems(ConfigError):
    """Raised for a configuration with one problem or many.

    Attributes:
        problems: All of them.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        first, *others = self.problems
        message = "; ".join([first.message, *map(str, others)])
        super().__init__(message, key_path=first.key_path)


def find_problems(
    error: ValidationError, model: type[BaseModel], *, key_path: str
) -> list[Problem]:
    """Return what pydantic found, in our words, with a hint for misspelt keys."""
    return [
        _problem(each["type"], each["msg"], each["loc"], model, key_path)
        for each in error.errors(
            include_url=False, include_context=False, include_input=False
        )
    ]


def _problem(
    kind: str,
    message: str,
    location: Sequence[int | str],
    model: type[BaseModel],
    key_path: str,
) -> Problem:
    path = key_path + "".join(
        f"[{part}]" if isinstance(part, int) else f".{_shown(part)}"
        for part in location
    )
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(
            str(location[-1]), _known_keys(model, location[:-1]), n=1
        )
        hint = f", perhaps {near[0]} is meant" if near else ""
        return Problem(key_path=path, message=f"unknown key{hint}")
    text = _WORDS.get(kind) or message.removeprefix("Value error, ").rstrip(".")
    return Problem(key_path=path, message=text[:1].lower() + text[1:])


def _shown(key: str) -> str:
    return mask(key) if key.startswith("+") else key


def _known_keys(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    current = model
    is_map = False
    for part in location:
        if is_map:  # the key of a map, such as a number in `numbers`
            is_map = False
            continue
        annotation = next(
            (f.annotation for f in current.model_fields.values() if f.alias == part),
            None,
        )
        is_map = getattr(annotation, "__origin__", None) is dict
        current = next(_models(annotation), current)
    return [field.alias or name for name, field in current.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
