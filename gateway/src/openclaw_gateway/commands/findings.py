"""What `config validate`, `config migrate` and `doctor` find, in one shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openclaw_gateway.config.key_paths import MISSING, Change, find_value, show_path
from openclaw_gateway.config.migrations import migrate
from openclaw_gateway.config.schema import check
from openclaw_gateway.errors import ConfigInvalid, GatewayError
from openclaw_gateway.plugins.discovery import find_plugins
from openclaw_gateway.plugins.json_schema import find_schema_problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from openclaw_gateway.config import Config
    from openclaw_gateway.plugins.discovery import Candidate

__all__ = ["config_findings", "find_migrations", "plugin_findings"]


def config_findings(config: Config) -> list[dict[str, Any]]:
    """Return what is wrong with the file: the Gateway's sections, then the plugins'."""
    found = [
        _finding("error" if it.is_fatal else "warning", it.key_path, it.message)
        for it in check(config)
    ]
    candidates = {it.id: it for it in find_plugins(config=config)}
    for plugin_id in _entries(config):
        if plugin_id in candidates:
            found += plugin_findings(config, candidates[plugin_id])
        else:
            path = show_path(("plugins", "entries", plugin_id))
            hint = _near(plugin_id, candidates)
            found.append(_finding("warning", path, f"no such plugin is here{hint}."))
    return found


def plugin_findings(config: Config, candidate: Candidate) -> list[dict[str, Any]]:
    """Return what is wrong with one plugin's settings, by its manifest's schema."""
    path = ("plugins", "entries", candidate.id, "config")
    if find_value(config.raw, path) is MISSING:
        return []
    try:
        manifest = candidate.manifest()
        settings = config.section(f"plugins.entries.{candidate.id}.config")
    except ConfigInvalid as error:
        sentence = str(error).removeprefix(f"{error.key_path}: ")
        return [_finding("error", error.key_path, sentence)]
    except GatewayError as error:
        return [_finding("error", show_path(path[:3]), str(error))]
    if manifest is None:
        return []
    migrated = migrate(settings, manifest.migrations)
    found = [
        _finding("warning", show_path(path), f"{note} Run: openclaw config migrate.")
        for note in migrated.notes
    ]
    found += [
        _finding("error", it.key_path, it.message)
        for it in find_schema_problems(migrated.settings, manifest.config_schema, path)
    ]
    return found


def find_migrations(config: Config) -> tuple[list[Change], list[str]]:
    """Return the changes that bring all plugins' settings up to date, in words too.

    A plugin whose manifest cannot be used is passed over; `doctor` names it.
    """
    changes: list[Change] = []
    notes: list[str] = []
    for candidate, settings in _configured(config):
        try:
            manifest = candidate.manifest()
        except GatewayError:
            continue
        done = migrate(settings, manifest.migrations if manifest else ())
        root = ("plugins", "entries", candidate.id, "config")
        changes += [
            Change(path=(*root, *step.path), value=step.value) for step in done.changes
        ]
        notes += [f"{show_path(root)}: {note}" for note in done.notes]
    return changes, notes


def _configured(config: Config) -> Iterator[tuple[Candidate, Mapping[str, Any]]]:
    """Yield plugins with their settings as written, references unresolved."""
    for candidate in find_plugins(config=config):
        path = ("plugins", "entries", candidate.id, "config")
        settings = find_value(config.raw, path)
        if isinstance(settings, dict):
            yield candidate, settings


def _entries(config: Config) -> list[str]:
    entries = find_value(config.raw, ("plugins", "entries"))
    return sorted(entries) if isinstance(entries, dict) else []


def _near(name: str, known: Mapping[str, Any]) -> str:
    from openclaw_gateway.config.problems import near_name  # noqa: PLC0415

    return near_name(name, known)


def _finding(severity: str, path: str, message: str) -> dict[str, Any]:
    return {"severity": severity, "path": path, "message": message}
