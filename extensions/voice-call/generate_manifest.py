"""Write `openclaw.plugin.json`, which hosts read before they load the plugin.

`python extensions/voice-call/generate_manifest.py` rewrites it. Its `configSchema` comes
from the settings themselves, so it can never say something else than they do.
"""
# ruff: noqa: INP001 - a script beside a package, not in it

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from voice_call.config import VoiceCallConfig
from voice_call.plugin import plugin

HERE = Path(__file__).parent
MANIFEST = HERE / "openclaw.plugin.json"

MIGRATIONS = [
    {"from": "provider", "to": "provider", "map": {"log": "mock"}},
    {"from": "twilio.from", "to": "fromNumber"},
    {
        "from": "tunnel.allowNgrokFreeTier",
        "to": "tunnel.allowNgrokFreeTierLoopbackBypass",
    },
    {
        "from": "streaming.sttProvider",
        "to": "streaming.provider",
        "map": {"openai-realtime": "openai"},
    },
    {"from": "streaming.sttModel", "to": "streaming.providers.openai.model"},
    {"from": "streaming.openaiApiKey", "to": "streaming.providers.openai.apiKey"},
]
"""Names of OpenClaw's first voice-call plugins, and what they are called since."""

SECRET_REFERENCE = {
    "type": "object",
    "required": ["source"],
    "properties": {"source": {"enum": ["env", "file", "exec"]}},
}


def manifest() -> dict[str, Any]:
    """Return the manifest as it should be."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))
    return {
        "id": plugin.id,
        "name": plugin.name,
        "description": project["project"]["description"],
        "version": project["project"]["version"],
        "activation": {"onStartup": True},
        "contracts": {"tools": ["voice_call"]},
        "configMigrations": MIGRATIONS,
        "configSchema": config_schema(),
    }


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema of `plugins.entries.voice-call.config`."""
    schema = VoiceCallConfig.model_json_schema(by_alias=True, mode="validation")
    schema.pop("required")  # what is missing is filled in from the state directory
    tidied: dict[str, Any] = _tidy(schema)
    return tidied


def _tidy(node: Any, *, are_names: bool = False) -> Any:
    """Drop titles and empty defaults; let a secret also be a reference."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    if are_names:
        return {name: _tidy(item) for name, item in node.items()}
    if node.get("format") == "password":
        secret = {"type": "string", "minLength": 1}
        return {"anyOf": [secret, SECRET_REFERENCE]}
    return {
        key: _tidy(item, are_names=key in ("properties", "$defs"))
        for key, item in node.items()
        if key != "title" and not (key == "default" and item is None)
    }


def render() -> str:
    """Return the text of the file."""
    return json.dumps(manifest(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    MANIFEST.write_text(render(), encoding="utf-8")
