"""Folders that plugins live in, beside the environment that the Gateway runs in.

Managed: `<state>/extensions/<id>/`, put there by `openclaw plugins install`: `site/`
(what pip would put into site-packages), `install.json`, and the manifest.
Linked: a folder of somebody who works on the plugin, named in `plugins.load.paths[]`;
its `pyproject.toml` has the entry points, and its code is in `src/` or beside it.

A place goes to the front of `sys.path` only when something of it is loaded.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openclaw_gateway.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from openclaw_gateway.config import Config

__all__ = [
    "CLI_GROUP",
    "PLUGIN_GROUP",
    "Place",
    "PlaceUnusable",
    "extensions_dir",
    "find_places",
    "read_linked",
]

PLUGIN_GROUP = "openclaw.plugins"
"""Entry-point group: the name is the plugin's id, the value the plugin object."""
CLI_GROUP = "openclaw.cli"
"""Entry-point group: the name is a command group of `openclaw`, the value its app."""
RECORD = "install.json"


class PlaceUnusable(GatewayError):
    """Raised when a folder holds no plugin that can be loaded."""

    code = "plugin_folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A folder with plugins.

    Attributes:
        kind: `managed` or `linked`.
        root: The folder.
        import_from: What `sys.path` needs.
        points: Entry points by group and name.
        source: What it was installed from, or the folder itself.
        version: Of the distribution, or empty.
        fault: Why it cannot be used, or empty.
    """

    kind: str
    root: Path
    import_from: Path
    points: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    source: str = ""
    version: str = ""
    fault: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        """The plugins in it; the folder's name where it cannot be used."""
        return (self.root.name,) if self.fault else tuple(self.points[PLUGIN_GROUP])

    def load(self, group: str, name: str) -> Any:
        """Import what an entry point names.

        Raises:
            PlaceUnusable: The folder is not what it should be.
        """
        if self.fault:
            raise PlaceUnusable(self.fault)
        path = str(self.import_from)
        if path not in sys.path:
            sys.path.insert(0, path)
        value = self.points[group][name]
        return EntryPoint(name=name, value=value, group=group).load()


def extensions_dir(state_dir: Path) -> Path:
    """Return where managed plugins live."""
    return state_dir / "extensions"


def find_places(config: Config) -> Iterator[Place]:
    """Yield all folders with plugins: linked ones first, so that they win."""
    for index, named in enumerate(_linked_paths(config)):
        folder = Path(named).expanduser()
        if not folder.is_absolute():
            folder = config.path.parent / folder
        try:
            yield read_linked(folder)
        except PlaceUnusable as error:
            fault = f"{error} It is named in plugins.load.paths[{index}]."
            yield Place(kind="linked", root=folder, import_from=folder, fault=fault)
    try:
        folders = sorted(extensions_dir(config.state_dir).iterdir())
    except OSError:
        return
    for folder in folders:
        if not folder.name.startswith(".") and (folder / RECORD).exists():
            yield _read_managed(folder)


def _linked_paths(config: Config) -> list[str]:
    try:
        paths = config.get("plugins.load.paths")
    except GatewayError:
        return []  # reported by the check of the configuration
    if not isinstance(paths, list):
        return []
    return [path for path in paths if isinstance(path, str) and path]


def read_linked(folder: Path) -> Place:
    """Return the plugins of a source folder.

    Raises:
        PlaceUnusable: It does not exist, or is no Python distribution with a plugin.
    """
    # Only linked folders need it.
    import tomllib  # noqa: PLC0415

    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        what = "has no pyproject.toml" if folder.is_dir() else "does not exist"
        raise PlaceUnusable(f"The folder {folder} {what}.") from None
    except (OSError, ValueError) as error:
        raise PlaceUnusable(
            f"The file {folder / 'pyproject.toml'} cannot be read: {error}."
        ) from None
    about = project.get("project", {})
    points = about.get("entry-points", {})
    if not points.get(PLUGIN_GROUP):
        raise PlaceUnusable(
            f"The folder {folder} names no plugin: its pyproject.toml has no table "
            f'[project.entry-points."{PLUGIN_GROUP}"].'
        )
    source = folder / "src"
    return Place(
        kind="linked",
        root=folder,
        import_from=source if source.is_dir() else folder,
        points={group: points.get(group, {}) for group in (PLUGIN_GROUP, CLI_GROUP)},
        source=str(folder),
        version=str(about.get("version", "")),
    )


def _read_managed(folder: Path) -> Place:
    site = folder / "site"
    try:
        record = json.loads((folder / RECORD).read_bytes())
        points = {g: dict(record["entryPoints"][g]) for g in (PLUGIN_GROUP, CLI_GROUP)}
        return Place(
            kind="managed",
            root=folder,
            import_from=site,
            points=points,
            source=str(record["source"]),
            version=str(record["version"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        fault = (
            f"The record {folder / RECORD} cannot be used; install the plugin again: "
            f"openclaw plugins install …"
        )
        return Place(kind="managed", root=folder, import_from=site, fault=fault)
