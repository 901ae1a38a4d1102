"""openclaw.json: where it lives and how it is read.

The file is JSON5. `OPENCLAW_CONFIG_PATH` names it, else it is `openclaw.json` in the
state directory (`OPENCLAW_STATE_DIR`, default `~/.openclaw`). A missing file is an empty
configuration. References to secrets (see `secrets`) are replaced only in the part that
is asked for, so a command that just dials the Gateway does not need the carrier's
secrets in its environment.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openclaw_gateway.config.secrets import Memory, is_reference, resolve
from openclaw_gateway.errors import ConfigInvalid, ConfigUnreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Config", "load_config", "parse_text", "read_text"]

_GONE: Any = object()
_POSITION = re.compile(r" near (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The configuration file, read but not yet interpreted.

    Attributes:
        raw: The parsed file, with references still in it.
        path: Where it was looked for.
        state_dir: Where the Gateway keeps what it must remember.
        environ: The environment, for references and for overrides.
        memory: Secrets that were fetched already.
    """

    raw: Mapping[str, Any]
    path: Path
    state_dir: Path
    environ: Mapping[str, str] = field(repr=False)
    memory: Memory = field(default_factory=dict, repr=False, compare=False)

    def get(self, key_path: str) -> Any:
        """Return the value at a dotted path with references replaced, or None.

        Raises:
            ConfigInvalid: A parent is not an object, or a reference leads nowhere.
        """
        value: Any = self.raw
        walked: list[str] = []
        for key in key_path.split("."):
            if not isinstance(value, dict):
                raise ConfigInvalid("must be an object.", key_path=".".join(walked))
            walked.append(key)
            value = value.get(key)
            if value is None:
                return None
        return resolve(value, key_path, self.environ, self.memory)

    def section(self, key_path: str) -> Mapping[str, Any]:
        """Return the object at a dotted path, empty if absent.

        Raises:
            ConfigInvalid: It is something else than an object.
        """
        value = self.get(key_path)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise ConfigInvalid("must be an object.", key_path=key_path)
        return value

    def whole(self) -> Mapping[str, Any]:
        """Return everything, with references replaced.

        Raises:
            ConfigInvalid: A reference leads nowhere.
        """
        resolved: dict[str, Any] = resolve(
            dict(self.raw), "", self.environ, self.memory
        )
        return resolved

    def for_plugin(self, plugin_id: str) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Return what a plugin may see of the whole, and what had to be left out.

        That is everything but the other plugins' settings. A reference that leads
        nowhere is left out instead of raised: it may be none of the plugin's business.

        Returns:
            The configuration, and one sentence for each value left out.
        """
        plugins = self.raw.get("plugins")
        entries = plugins.get("entries") if isinstance(plugins, dict) else None
        mine = dict(self.raw)
        if isinstance(plugins, dict) and isinstance(entries, dict):
            own = {key: value for key, value in entries.items() if key == plugin_id}
            mine["plugins"] = {**plugins, "entries": own}
        missing: list[str] = []
        seen: dict[str, Any] = {
            key: found
            for key, value in mine.items()
            if (found := self._available(value, key, missing)) is not _GONE
        }
        return seen, tuple(missing)

    def _available(self, value: Any, key_path: str, missing: list[str]) -> Any:
        if isinstance(value, dict) and not is_reference(value):
            return {
                key: found
                for key, item in value.items()
                if (found := self._available(item, f"{key_path}.{key}", missing))
                is not _GONE
            }
        try:
            return resolve(value, key_path, self.environ, self.memory)
        except ConfigInvalid as error:
            missing.append(str(error))
            return _GONE


def load_config(environ: Mapping[str, str] | None = None) -> Config:
    """Read the configuration file; a missing one is an empty configuration.

    Raises:
        ConfigUnreadable: The file cannot be read, or is not JSON5.
        ConfigInvalid: The file holds something else than an object.
    """
    env = os.environ if environ is None else environ
    state_dir = Path(env.get("OPENCLAW_STATE_DIR") or "~/.openclaw").expanduser()
    named = env.get("OPENCLAW_CONFIG_PATH")
    path = Path(named).expanduser() if named else state_dir / "openclaw.json"
    return Config(
        raw=parse_text(read_text(path), path),
        path=path,
        state_dir=state_dir,
        environ=env,
    )


def read_text(path: Path) -> str:
    """Return the text of a configuration file, nothing where there is none.

    Raises:
        ConfigUnreadable: It cannot be read, or is no text.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigUnreadable(
            f"The configuration file {path} cannot be read: {error.strerror}."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigUnreadable(
            f"The configuration file {path} is not UTF-8 text (byte {error.start})."
        ) from error


def parse_text(text: str, path: Path) -> Mapping[str, Any]:
    """Return what a configuration file says.

    Raises:
        ConfigUnreadable: It is not JSON5.
        ConfigInvalid: It holds something else than an object.
    """
    value = _parse(text, path)
    if not isinstance(value, dict):
        raise ConfigInvalid("the file must hold one object.", key_path=path.name)
    return value


def _parse(text: str, path: Path) -> Any:
    import pyjson5  # noqa: PLC0415 - commands without a file need no parser

    if not text.strip():
        return {}
    try:
        return pyjson5.decode(text)
    except pyjson5.Json5Exception as error:
        what = str(error.args[0]) if error.args else "syntax error"
        found = _POSITION.search(what)
        offset = int(found.group(1)) if found else 0
        if isinstance(error, pyjson5.Json5ExtraData):
            rest = text[offset:]
            offset += len(rest) - len(rest.lstrip())  # counted before the white space
        else:
            offset -= 1  # counted from one
        before = text[: max(offset, 0)]
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        raise ConfigUnreadable(
            f"The configuration file {path} is not valid JSON5 at line {line}, "
            f"column {column}: {_explain(error)}."
        ) from None


def _explain(error: Exception) -> str:
    match type(error).__name__:
        case "Json5EOF":
            return "what begins here is never closed"
        case "Json5ExtraData":
            return "nothing may follow the closing brace"
        case "Json5NestingTooDeep":
            return "nested too deeply"
        case _:
            return "this character is not expected here"
