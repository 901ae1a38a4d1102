"""Which changes of openclaw.json a running Gateway takes, and which need a restart. PURE.

Hot: `plugins.entries.<id>.config` (where the plugin takes new settings while it runs)
and `logging.level`. Without meaning for a running Gateway: `gateway.reload`, and the
sections that only other programs read. Everything else needs a restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openclaw_gateway.config.key_paths import show_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from openclaw_gateway.config.key_paths import KeyPath

__all__ = ["Differences", "compare", "needs_restart"]

_READ_ONCE = frozenset({"gateway", "plugins", "agents", "models", "messages"})
"""The sections that matter to a running Gateway, or to plugins, as they start."""
_ABSENT: Any = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """What is different in a new configuration.

    Attributes:
        plugins: Those whose settings differ.
        level: Whether `logging.level` differs.
        restart: Paths of everything that only a restart takes.
    """

    plugins: frozenset[str]
    level: bool
    restart: frozenset[str]

    @property
    def is_empty(self) -> bool:
        """Whether nothing matters."""
        return not (self.plugins or self.level or self.restart)


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> Differences:
    """Sort the differences of two configurations."""
    plugins: set[str] = set()
    restart: set[str] = set()
    level = False
    for path in _changed(before, after, ()):
        match path:
            case ("plugins", "entries", str(plugin_id), "config", *_):
                plugins.add(plugin_id)
            case ("logging", *rest):
                level = level or rest[:1] in ([], ["level"])
            case ("gateway", "reload", *_):
                pass
            case (section, *_) if section in _READ_ONCE:
                restart.add(show_path(path))
            case _:
                pass
    return Differences(
        plugins=frozenset(plugins), level=level, restart=frozenset(restart)
    )


def needs_restart(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> frozenset[str]:
    """Return the paths that only a restart takes, whatever the plugins can do."""
    return compare(before, after).restart


def _changed(before: Any, after: Any, path: KeyPath) -> Iterator[KeyPath]:
    if _is_object(before) and _is_object(after):
        old = {} if before is _ABSENT else before
        new = {} if after is _ABSENT else after
        for key in sorted({*old, *new}):
            yield from _changed(
                old.get(key, _ABSENT), new.get(key, _ABSENT), (*path, key)
            )
    elif before is not after and before != after:
        yield path


def _is_object(value: Any) -> bool:
    return value is _ABSENT or isinstance(value, dict)
