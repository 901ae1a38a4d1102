"""What is wrong with a configuration: everything at once, each thing with its path."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openclaw_gateway.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ConfigProblems", "Problem", "near_name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        key_path: Where, from the root of the configuration file.
        message: What, and what to write instead. Never the value that stands there.
        is_fatal: Whether the Gateway does not start with it.
    """

    key_path: str
    message: str
    is_fatal: bool = True

    def __str__(self) -> str:
        return f"{self.key_path}: {self.message}"


class ConfigProblems(ConfigInvalid):
    """Raised for a configuration with one problem or many.

    Attributes:
        problems: All of them.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        first, *others = self.problems
        message = " ".join([first.message, *map(str, others)])
        super().__init__(message, key_path=first.key_path)


def near_name(name: str, known: Iterable[str]) -> str:
    """Return a hint such as `, perhaps port is meant`, or nothing."""
    names = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), names, n=1)
    return f", perhaps {names[near[0]]} is meant" if near else ""
