"""What the configuration says about the Gateway itself, and about how to reach it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from openclaw_gateway.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openclaw_gateway.config.file import Config

__all__ = ["DEFAULT_PORT", "AuthMode", "GatewaySettings", "gateway_settings"]

DEFAULT_PORT = 18789
LOOPBACK = "127.0.0.1"

AuthMode = str
"""`token`, `password` or `none`."""


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
