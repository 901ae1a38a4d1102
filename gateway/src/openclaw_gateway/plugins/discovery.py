"""Finds plugins: every installed distribution may name some as entry points."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from importlib.metadata import EntryPoint

__all__ = ["CLI_GROUP", "PLUGIN_GROUP", "Candidate", "find_commands", "find_plugins"]

PLUGIN_GROUP = "openclaw.plugins"
"""Entry-point group: the name is the plugin's id, the value the plugin object."""
CLI_GROUP = "openclaw.cli"
"""Entry-point group: the name is a command group of `openclaw`, the value its app."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A plugin that was found, but not imported yet.

    Attributes:
        id: Its id.
        source: The distribution it comes from.
        load: Imports it and returns the plugin object.
    """

    id: str
    source: str
    load: Callable[[], Any]

    @classmethod
    def of(cls, plugin: Any, *, source: str = "given") -> Candidate:
        """Wrap a plugin object that is there already."""
        return cls(id=plugin.id, source=source, load=lambda: plugin)


def find_plugins(points: Iterable[EntryPoint] | None = None) -> tuple[Candidate, ...]:
    """Return what is installed, by id; the first of two with the same id wins."""
    found: dict[str, Candidate] = {}
    for point in entry_points(group=PLUGIN_GROUP) if points is None else points:
        source = point.dist.name if point.dist else point.value
        candidate = Candidate(id=point.name, source=source, load=point.load)
        found.setdefault(point.name, candidate)
    return tuple(found[plugin_id] for plugin_id in sorted(found))


def find_commands(points: Iterable[EntryPoint] | None = None) -> dict[str, EntryPoint]:
    """Return the command groups that plugins add, by name, without importing them."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=CLI_GROUP) if points is None else points:
        found.setdefault(point.name, point)
    return dict(sorted(found.items()))
