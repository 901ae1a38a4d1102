"""`openclaw.plugin.json`: what a plugin says about itself without being imported.

    {
      "id": "hello",                     required
      "name": "Hello",
      "description": "…",
      "version": "0.1.0",
      "configSchema": {…},               JSON Schema of plugins.entries.<id>.config
      "configMigrations": [{"from": "greet", "to": "greeting", "map": {…}}]
    }

Keys that only other hosts read are left alone.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from openclaw_gateway.config.migrations import Migration, read_migrations
from openclaw_gateway.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["MANIFEST", "Manifest", "ManifestInvalid", "is_plugin_id", "read_manifest"]

MANIFEST = "openclaw.plugin.json"
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.IGNORECASE)


class ManifestInvalid(GatewayError):
    """Raised when a plugin's manifest cannot be used."""

    code = "plugin_manifest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a plugin says about itself.

    Attributes:
        id: As in `plugins.entries.<id>`.
        name: What people call it.
        description: One sentence.
        version: Its version, or empty.
        config_schema: JSON Schema of its settings.
        migrations: Settings that have moved.
    """

    id: str
    name: str
    description: str = ""
    version: str = ""
    config_schema: Mapping[str, Any] = field(default_factory=dict)
    migrations: tuple[Migration, ...] = ()


def is_plugin_id(text: str) -> bool:
    """Say whether a text can be an id; ids become names of folders."""
    return _ID.fullmatch(text) is not None and ".." not in text


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of a folder, or None where it has none.

    Raises:
        ManifestInvalid: It is no JSON, or says what a manifest cannot say.
    """
    path = folder / MANIFEST
    try:
        raw = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ManifestInvalid(f"The manifest {path} cannot be read: {error}.") from None
    try:
        return _read(raw)
    except GatewayError as error:
        raise ManifestInvalid(f"The manifest {path} is wrong: {error}") from None


def _read(raw: Any) -> Manifest:
    if not isinstance(raw, dict):
        raise ManifestInvalid("it must be an object.")
    plugin_id = raw.get("id")
    if not isinstance(plugin_id, str) or not is_plugin_id(plugin_id):
        raise ManifestInvalid("id must be a short name of letters, digits and dashes.")
    schema = raw.get("configSchema", {})
    if not isinstance(schema, dict):
        raise ManifestInvalid("configSchema must be an object.")
    return Manifest(
        id=plugin_id,
        name=_text(raw, "name") or plugin_id,
        description=_text(raw, "description"),
        version=_text(raw, "version"),
        config_schema=schema,
        migrations=read_migrations(raw.get("configMigrations", [])),
    )


def _text(raw: Mapping[str, Any], key: str) -> str:
    value = raw.get(key, "")
    if not isinstance(value, str):
        raise ManifestInvalid(f"{key} must be a text.")
    return value
