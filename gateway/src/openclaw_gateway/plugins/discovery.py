"""Finds plugins: in linked folders, in managed ones, and in the environment.

Of two with the same id the first in that order wins. Nothing is imported here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from openclaw_gateway.plugins.places import CLI_GROUP, PLUGIN_GROUP, find_places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from importlib.metadata import Distribution, EntryPoint

    from openclaw_gateway.config import Config
    from openclaw_gateway.plugins.manifest import Manifest

__all__ = ["CLI_GROUP", "PLUGIN_GROUP", "Candidate", "find_commands", "find_plugins"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A plugin that was found, but not imported yet.

    Attributes:
        id: Its id.
        source: The distribution or the folder it comes from.
        load: Imports it and returns the plugin object.
        kind: `linked`, `managed`, `environment` or `given`.
        version: Of the distribution, or empty.
        root: Where its manifest is looked for.
        distribution: The installed distribution, where it comes from the environment.
    """

    id: str
    source: str
    load: Callable[[], Any]
    kind: str = "given"
    version: str = ""
    root: Path | None = None
    distribution: Distribution | None = None

    @classmethod
    def of(cls, plugin: Any, *, source: str = "given") -> Candidate:
        """Wrap a plugin object that is there already."""
        return cls(id=plugin.id, source=source, load=lambda: plugin)

    def manifest(self) -> Manifest | None:
        """Return what the plugin says about itself, or None where it says nothing.

        Raises:
            ManifestInvalid: Its manifest cannot be used, or is another plugin's.
        """
        # Most commands and a Gateway that starts have no use for it.
        from openclaw_gateway.plugins.manifest import (  # noqa: PLC0415
            ManifestInvalid,
            read_manifest,
        )

        root = self.root
        if root is None and self.distribution is not None:
            root = _manifest_folder(self.distribution)
        found = read_manifest(root) if root is not None else None
        if found is not None and found.id != self.id:
            raise ManifestInvalid(
                f"The manifest in {root} is of {found.id}, not of {self.id}."
            )
        return found


def find_plugins(
    points: Iterable[EntryPoint] | None = None, *, config: Config | None = None
) -> tuple[Candidate, ...]:
    """Return what there is, by id.

    Args:
        points: Entry points of the environment; those of this process if None.
        config: Names the folders; only the environment is looked at if None.
    """
    found: dict[str, Candidate] = {}
    for place in find_places(config) if config is not None else ():
        for plugin_id in place.ids:
            candidate = Candidate(
                id=plugin_id,
                source=place.source or str(place.root),
                load=partial(place.load, PLUGIN_GROUP, plugin_id),
                kind=place.kind,
                version=place.version,
                root=place.root,
            )
            found.setdefault(plugin_id, candidate)
    for point in entry_points(group=PLUGIN_GROUP) if points is None else points:
        candidate = Candidate(
            id=point.name,
            source=point.dist.name if point.dist else point.value,
            load=point.load,
            kind="environment",
            version=point.dist.version if point.dist else "",
            distribution=point.dist,
        )
        found.setdefault(point.name, candidate)
    return tuple(found[plugin_id] for plugin_id in sorted(found))


def find_commands(
    points: Iterable[EntryPoint] | None = None, *, config: Config | None = None
) -> dict[str, Callable[[], Any]]:
    """Return the command groups that plugins add: name → what imports its app."""
    found: dict[str, Callable[[], Any]] = {}
    for place in find_places(config) if config is not None else ():
        if not place.fault:
            for name in place.points[CLI_GROUP]:
                found.setdefault(name, partial(place.load, CLI_GROUP, name))
    for point in entry_points(group=CLI_GROUP) if points is None else points:
        found.setdefault(point.name, point.load)
    return dict(sorted(found.items()))


def _manifest_folder(distribution: Distribution) -> Path | None:
    """Find the manifest among a distribution's files, or in the folder of a link."""
    origin = distribution.read_text("direct_url.json")
    if origin:
        about = json.loads(origin)
        if about.get("dir_info", {}).get("editable"):
            return Path(unquote(urlsplit(about["url"]).path))
    for file in distribution.files or ():
        if file.name == "openclaw.plugin.json":
            return Path(str(file.locate())).parent
    return None
