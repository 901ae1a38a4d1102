"""openclaw.json: where it lives, how it is read, and what it says about the Gateway.

The file is JSON5. `OPENCLAW_CONFIG_PATH` names it, else it is `openclaw.json` in the
state directory (`OPENCLAW_STATE_DIR`, default `~/.openclaw`). A missing file is an empty
configuration. `${NAME}` in any string is replaced by the environment variable NAME
(`$${NAME}` stays as `${NAME}`); only the part that is asked for is replaced, so a command
that just dials the Gateway does not need the carrier's secrets in its environment.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openclaw_gateway.errors import ConfigInvalid, ConfigUnreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DEFAULT_PORT",
    "AuthMode",
    "Config",
    "GatewaySettings",
    "gateway_settings",
    "load_config",
]

DEFAULT_PORT = 18789
LOOPBACK = "127.0.0.1"

AuthMode = str
"""`token`, `password` or `none`."""

_REFERENCE = re.compile(r"(\$?)\$\{([A-Z_][A-Z0-9_]*)\}")
_POSITION = re.compile(r" near (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The configuration file, read but not yet interpreted.

    Attributes:
        raw: The parsed file, with `${NAME}` still in it.
        path: Where it was looked for.
        state_dir: Where the Gateway keeps what it must remember.
        environ: The environment, for `${NAME}` and for overrides.
    """

    raw: Mapping[str, Any]
    path: Path
    state_dir: Path
    environ: Mapping[str, str] = field(repr=False)

    def get(self, key_path: str) -> Any:
        """Return the value at a dotted path with variables replaced, or None.

        Raises:
            ConfigInvalid: A parent is not an object, or a variable is not set.
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
        return _resolve(value, key_path, self.environ)

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
        """Return everything, with variables replaced.

        Raises:
            ConfigInvalid: A variable is not set.
        """
        resolved: dict[str, Any] = _resolve(dict(self.raw), "", self.environ)
        return resolved


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """What the Gateway and its clients need to know about each other.

    Attributes:
        host: Address to listen on.
        port: TCP port; zero lets the system choose.
        auth_mode: How clients prove who they are.
        secret: The configured token or password, or empty.
    """

    host: str
    port: int
    auth_mode: AuthMode
    secret: str = field(repr=False)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return self.host in {LOOPBACK, "::1", "localhost"}


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
    return Config(raw=_read(path), path=path, state_dir=state_dir, environ=env)


def gateway_settings(config: Config) -> GatewaySettings:
    """Interpret the `gateway` section and its environment overrides.

    Raises:
        ConfigInvalid: A setting is out of range, or the Gateway would be open to
            other machines without a configured token or password.
    """
    env = config.environ
    mode, secret = _auth(config)
    settings = GatewaySettings(
        host=_host(config), port=_port(config, env), auth_mode=mode, secret=secret
    )
    if not settings.is_loopback and not settings.secret:
        raise ConfigInvalid(
            "the Gateway listens beyond this machine only with a configured token; "
            "set gateway.auth.token, or bind to loopback.",
            key_path="gateway.bind",
        )
    return settings


def _read(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigUnreadable(
            f"The configuration file {path} cannot be read: {error.strerror}."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigUnreadable(
            f"The configuration file {path} is not UTF-8 text (byte {error.start})."
        ) from error
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


def _resolve(value: Any, key_path: str, env: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: _substitute(found, key_path, env), value)
    if isinstance(value, dict):
        prefix = f"{key_path}." if key_path else ""
        return {k: _resolve(v, f"{prefix}{k}", env) for k, v in value.items()}
    if isinstance(value, list):
        return [_resolve(v, f"{key_path}[{i}]", env) for i, v in enumerate(value)]
    return value


def _substitute(found: re.Match[str], key_path: str, env: Mapping[str, str]) -> str:
    escaped, name = found.groups()
    if escaped:
        return found.group(0)[1:]
    if name not in env:
        raise ConfigInvalid(
            f"the environment variable {name} is not set.", key_path=key_path
        )
    return env[name]


def _port(config: Config, env: Mapping[str, str]) -> int:
    override = env.get("OPENCLAW_GATEWAY_PORT")
    key_path = "OPENCLAW_GATEWAY_PORT" if override else "gateway.port"
    value: Any = override or config.get("gateway.port")
    if value is None:
        return DEFAULT_PORT
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and value == int(value) and 0 <= value <= 65535:  # noqa: PLR2004 - TCP's range
        return int(value)
    raise ConfigInvalid("must be a port number, 0 to 65535.", key_path=key_path)


def _host(config: Config) -> str:
    match config.get("gateway.bind"):
        case None | "loopback":
            return LOOPBACK
        case "lan":
            return "0.0.0.0"  # noqa: S104 - asked for; refused without a token
        case "custom":
            host = config.get("gateway.customBindHost")
            if isinstance(host, str) and host:
                return host
            raise ConfigInvalid(
                'names the address when gateway.bind is "custom".',
                key_path="gateway.customBindHost",
            )
        case _:
            raise ConfigInvalid(
                'must be "loopback", "lan" or "custom".', key_path="gateway.bind"
            )


def _auth(config: Config) -> tuple[AuthMode, str]:
    token = config.environ.get("OPENCLAW_GATEWAY_TOKEN") or _text(config, "token")
    password = config.environ.get("OPENCLAW_GATEWAY_PASSWORD") or _text(
        config, "password"
    )
    match config.get("gateway.auth.mode"):
        case None:
            if password and not token:
                return "password", password
            return "token", token
        case "token":
            return "token", token
        case "password":
            if not password:
                raise ConfigInvalid(
                    'must be set when gateway.auth.mode is "password".',
                    key_path="gateway.auth.password",
                )
            return "password", password
        case "none":
            return "none", ""
        case _:
            raise ConfigInvalid(
                'must be "token", "password" or "none".', key_path="gateway.auth.mode"
            )


def _text(config: Config, key: str) -> str:
    value = config.get(f"gateway.auth.{key}")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ConfigInvalid("must be a string.", key_path=f"gateway.auth.{key}")
    return value
