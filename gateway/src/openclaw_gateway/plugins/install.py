"""`openclaw plugins install` and `uninstall`: the managed folder of one plugin.

A plugin is put together in a hidden folder, tried in a process of its own, and only
then moved to `<state>/extensions/<id>`. A failed install leaves nothing behind, and an
earlier version stays until the new one is in its place.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING

from openclaw_gateway import clock
from openclaw_gateway.errors import BadParams
from openclaw_gateway.plugins.manifest import MANIFEST, is_plugin_id, read_manifest
from openclaw_gateway.plugins.packaging import InstallFailed, find_installer
from openclaw_gateway.plugins.places import (
    CLI_GROUP,
    PLUGIN_GROUP,
    RECORD,
    extensions_dir,
    read_linked,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openclaw_gateway.plugins.packaging import Installer

__all__ = ["InstallFailed", "Installed", "install", "uninstall"]

TRIAL_LIMIT_S = 120.0
_EXTRAS = re.compile(r"(?P<path>.+?)(?P<extras>\[[A-Za-z0-9._,\s-]+\])?")
_TRIAL = """
import sys
sys.path.insert(0, sys.argv[1])
from importlib.metadata import EntryPoint
point = EntryPoint(name=sys.argv[2], value=sys.argv[3], group="openclaw.plugins")
plugin = point.load()
if plugin.id != sys.argv[2]:
    raise SystemExit(f"The plugin calls itself {plugin.id}.")
if not callable(getattr(plugin, "register", None)):
    raise SystemExit("The plugin has no register().")
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A plugin that is in its place.

    Attributes:
        id: Its id.
        version: Of its distribution.
        path: Its managed folder.
        dependencies: What was put beside it, because the environment lacks it.
    """

    id: str
    version: str
    path: Path
    dependencies: tuple[str, ...]


def install(target: str, *, state_dir: Path) -> Installed:
    """Install a plugin from a folder, a wheel or a package index.

    Args:
        target: A folder or a wheel if there is one of that name, else a requirement
            such as `openclaw-voice-call` or `openclaw-voice-call[local]==0.1.0`.
        state_dir: Where the Gateway keeps its state.

    Raises:
        BadParams: The target cannot be one.
        InstallFailed: It could not be installed; nothing changed.
        PlaceUnusable: The folder holds no plugin.
        ManifestInvalid: The plugin's manifest cannot be used.
    """
    if not target or target.startswith("-"):
        raise BadParams("Name a folder or a package to install.")
    with _exclusive(state_dir) as home:
        staging = home / f".installing-{secrets.token_hex(6)}"
        try:
            staging.mkdir()
            return _install(target, staging, home)
        except OSError as error:
            raise InstallFailed(
                f"{home} cannot be written: {error.strerror}."
            ) from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def uninstall(plugin_id: str, *, state_dir: Path) -> bool:
    """Remove a managed plugin; its settings stay. Returns whether there was one."""
    if not is_plugin_id(plugin_id):
        return False
    with _exclusive(state_dir) as home:
        if not (home / plugin_id / RECORD).exists():
            return False
        leaving = home / f".leaving-{secrets.token_hex(6)}"
        (home / plugin_id).rename(leaving)
        shutil.rmtree(leaving, ignore_errors=True)
    return True


def _install(target: str, staging: Path, home: Path) -> Installed:
    found = _EXTRAS.fullmatch(target)
    path = Path(found["path"] if found else target).expanduser()
    extras = (found["extras"] or "") if found else ""
    installer = find_installer()
    site = staging / "site"
    if path.is_dir():
        read_linked(path)  # says in our words what is no plugin
        wheel = installer.build_wheel(path.resolve(), staging)
    elif path.suffix == ".whl" and path.is_file():
        wheel = path.resolve()
    elif os.sep in target or target.startswith("."):
        raise BadParams(f"There is no folder {target}.")
    else:
        installer.unpack([target], site)
        return _finish(target, target, installer, staging, home)
    installer.unpack([str(wheel)], site)
    requirement = f"{_plugin_distribution(site).name}{extras} @ {wheel.as_uri()}"
    if path.is_dir() and (path / MANIFEST).exists():
        shutil.copy2(path / MANIFEST, staging / MANIFEST)
    return _finish(str(path.resolve()), requirement, installer, staging, home)


def _finish(
    source: str, requirement: str, installer: Installer, staging: Path, home: Path
) -> Installed:
    """Add what is missing, try the plugin, and move it to its place."""
    site = staging / "site"
    distribution = _plugin_distribution(site)
    plugin_id, value = _entry_point(distribution)
    missing = installer.missing_for(requirement, name=distribution.name)
    if missing:
        installer.unpack(missing, site)
    _keep_manifest(distribution, plugin_id, staging)
    _try(site, plugin_id, value)
    points = {
        group: {p.name: p.value for p in distribution.entry_points.select(group=group)}
        for group in (PLUGIN_GROUP, CLI_GROUP)
    }
    version = distribution.version  # read now: its files are about to move
    record = {
        "id": plugin_id,
        "distribution": distribution.name,
        "version": version,
        "source": source,
        "installedAtMs": clock.now_ms(),
        "dependencies": missing,
        "entryPoints": points,
    }
    for wheel in staging.glob("*.whl"):
        wheel.unlink()
    (staging / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    place = home / plugin_id
    _swap(staging, place, home)
    return Installed(
        id=plugin_id,
        version=version,
        path=place,
        dependencies=tuple(missing),
    )


def _plugin_distribution(site: Path) -> Distribution:
    for found in distributions(path=[str(site)]):
        if found.entry_points.select(group=PLUGIN_GROUP):
            return found
    raise InstallFailed(
        f"It is no plugin: it has no entry point of the group {PLUGIN_GROUP}."
    )


def _entry_point(distribution: Distribution) -> tuple[str, str]:
    points = list(distribution.entry_points.select(group=PLUGIN_GROUP))
    if len(points) != 1 or not is_plugin_id(points[0].name):
        raise InstallFailed(
            f"{distribution.name} must name one plugin; it names "
            f"{', '.join(point.name for point in points)}."
        )
    return points[0].name, points[0].value


def _keep_manifest(distribution: Distribution, plugin_id: str, staging: Path) -> None:
    """Take the manifest out of the wheel, unless the folder had one."""
    for file in distribution.files or ():
        if file.name == MANIFEST and not (staging / MANIFEST).exists():
            shutil.copy2(str(file.locate()), staging / MANIFEST)
    manifest = read_manifest(staging)
    if manifest is not None and manifest.id != plugin_id:
        raise InstallFailed(
            f"The manifest is of {manifest.id}, but the entry point is {plugin_id}."
        )


def _try(site: Path, plugin_id: str, value: str) -> None:
    """Import the plugin once, in a process of its own."""
    try:
        ended = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", _TRIAL, str(site), plugin_id, value],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=TRIAL_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InstallFailed("Importing the plugin does not end.") from None
    if ended.returncode:
        said = ended.stderr.strip().splitlines() or ["no reason given"]
        raise InstallFailed(f"The plugin cannot be loaded: {said[-1]}")


def _swap(staging: Path, place: Path, home: Path) -> None:
    earlier = home / f".leaving-{secrets.token_hex(6)}"
    if place.exists():
        place.rename(earlier)
    try:
        staging.rename(place)
    except OSError:
        if earlier.exists():
            earlier.rename(place)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


@contextlib.contextmanager
def _exclusive(state_dir: Path) -> Iterator[Path]:
    """Keep other installs away, and clear what a killed one left."""
    home = extensions_dir(state_dir)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(home / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise InstallFailed(f"{home} cannot be written: {error.strerror}.") from error
    with os.fdopen(handle):
        fcntl.flock(handle, fcntl.LOCK_EX)
        for stale in (*home.glob(".installing-*"), *home.glob(".leaving-*")):
            shutil.rmtree(stale, ignore_errors=True)
        yield home
