"""The sections of openclaw.json that are the Gateway's own, and what may stand there.

Keys that OpenClaw knows and this Gateway does not use are accepted, so that one file can
serve both. The sections `agents`, `models` and `messages` stay open: providers and
plugins read their own keys there. `plugins.entries.<id>.config` is the plugin's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from openclaw_gateway.config.gateway import gateway_settings
from openclaw_gateway.config.problems import ConfigProblems, Problem
from openclaw_gateway.config.rules import (
    Anything,
    Choice,
    Flag,
    ListOf,
    MapOf,
    Number,
    Object,
    Text,
    find_problems,
)
from openclaw_gateway.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from openclaw_gateway.config.file import Config

__all__ = ["ROOT", "check", "check_file", "require_valid"]

_FOREIGN = Anything()
"""A key of OpenClaw's that has no effect here."""

_GATEWAY = Object(
    keys={
        "port": Number(low=0, high=65_535),
        "bind": Choice(names=("loopback", "lan", "custom")),
        "customBindHost": Text(),
        "auth": Object(
            keys={
                "mode": Choice(names=("token", "password", "none")),
                "token": Text(),
                "password": Text(),
                "allowTailscale": _FOREIGN,
                "rateLimit": _FOREIGN,
                "trustedProxy": _FOREIGN,
            }
        ),
        "http": Object(
            keys={
                "endpoints": MapOf(value=Object(keys={"enabled": Flag()}, is_open=True))
            },
            is_open=True,
        ),
        "reload": Object(
            keys={"mode": Choice(names=("hot", "off")), "debounceMs": _FOREIGN}
        ),
        **dict.fromkeys(
            (
                "mode",
                "controlUi",
                "tailscale",
                "remote",
                "tls",
                "nodes",
                "push",
                "tools",
                "trustedProxies",
                "allowRealIpFallback",
                "channelHealthCheckMinutes",
            ),
            _FOREIGN,
        ),
    }
)

_PLUGINS = Object(
    keys={
        "enabled": Flag(),
        "allow": ListOf(item=Text()),
        "deny": ListOf(item=Text()),
        "load": Object(keys={"paths": ListOf(item=Text())}),
        "entries": MapOf(
            value=Object(
                keys={
                    "enabled": Flag(),
                    "config": Object(is_open=True),
                    "hooks": _FOREIGN,
                    "subagent": _FOREIGN,
                    "env": _FOREIGN,
                    "apiKey": _FOREIGN,
                }
            )
        ),
        "slots": _FOREIGN,
        "installs": _FOREIGN,
        "bundledDiscovery": _FOREIGN,
    }
)

_MODELS = Object(
    keys={
        "providers": MapOf(
            value=Object(
                keys={
                    "baseUrl": Text(is_url=True),
                    "apiKey": Text(),
                    "models": ListOf(item=Object(keys={"id": Text()}, is_open=True)),
                },
                is_open=True,
            )
        )
    },
    is_open=True,
)

ROOT = Object(
    keys={
        "gateway": _GATEWAY,
        "plugins": _PLUGINS,
        "models": _MODELS,
        "agents": Object(
            keys={
                "defaults": Object(
                    keys={
                        "model": Object(
                            keys={"primary": Text(is_model=True)},
                            is_open=True,
                            short=Text(is_model=True),
                        )
                    },
                    is_open=True,
                )
            },
            is_open=True,
        ),
        "logging": Object(
            keys={"level": Choice(names=("debug", "info", "warning", "error"))},
            is_open=True,
        ),
        "messages": Object(keys={"tts": Object(is_open=True)}, is_open=True),
        **dict.fromkeys(
            (
                "$schema",
                "acp",
                "approvals",
                "audio",
                "auth",
                "bindings",
                "broadcast",
                "browser",
                "canvasHost",
                "channels",
                "cli",
                "commands",
                "cron",
                "diagnostics",
                "discovery",
                "env",
                "hooks",
                "mcp",
                "media",
                "memory",
                "meta",
                "nodeHost",
                "secrets",
                "session",
                "skills",
                "talk",
                "tools",
                "ui",
                "update",
                "web",
                "wizard",
            ),
            _FOREIGN,
        ),
    },
    warns=True,
)


def check_file(raw: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with a file, whatever the environment holds. PURE."""
    return list(find_problems(dict(raw), ROOT))


def check(config: Config) -> list[Problem]:
    """Return what is wrong with the Gateway's own sections, all of it.

    References that the Gateway itself needs are followed.
    """
    problems = check_file(config.raw)
    try:
        gateway_settings(config)
    except ConfigInvalid as error:
        known = {problem.key_path for problem in problems if problem.is_fatal}
        if error.key_path not in known:
            sentence = str(error).removeprefix(f"{error.key_path}: ")
            problems.append(Problem(key_path=error.key_path, message=sentence))
    return problems


def require_valid(config: Config) -> list[Problem]:
    """Return the warnings of a configuration that the Gateway can run with.

    Raises:
        ConfigProblems: It cannot; tells everything that is wrong.
    """
    problems = check(config)
    fatal = [problem for problem in problems if problem.is_fatal]
    if fatal:
        raise ConfigProblems(fatal)
    return problems
