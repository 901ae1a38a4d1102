"""What the configuration says about agents: `agents.defaults` and `agents.list`.

    agents: {
      defaults: {model: {primary: "openai/gpt-5.4", fallbacks: []}, systemPrompt: "…",
                 thinkingDefault: "low", voiceThinking: "off", timeoutSeconds: 600,
                 tools: {allow: ["voice_call"], deny: []}},
      list: [{id: "main", default: true, …the same keys…}],
    }

`model` may also be a plain text. The top-level `tools.allow` and `tools.deny` hold for
agents that say nothing of their own. Without a list there is one agent, `main`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from openclaw_gateway.agents.tools import ToolPolicy
from openclaw_gateway.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openclaw_gateway.config import Config

__all__ = ["DEFAULT_MODEL", "AgentProfile", "AgentSettings", "agent_settings"]

DEFAULT_MODEL = "builtin/receptionist"
DEFAULT_AGENT = "main"
DEFAULT_TIMEOUT_S = 600.0
THINKING = ("off", "minimal", "low", "medium", "high")

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SESSION = re.compile(r"agent:([^:]+):")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentProfile:
    """One agent.

    Attributes:
        id: Its name; also of the folder with its sessions.
        model: `provider/model`.
        fallbacks: Models that are asked where one fails before its first word.
        system_prompt: What it is told about itself, or None.
        tools: What it may use.
        thinking: How hard it thinks; None leaves it to the model.
        voice_thinking: The same on calls.
        timeout_s: How long a run may take, in seconds.
    """

    id: str = DEFAULT_AGENT
    model: str = DEFAULT_MODEL
    fallbacks: tuple[str, ...] = ()
    system_prompt: str | None = None
    tools: ToolPolicy = field(default_factory=ToolPolicy)
    thinking: str | None = None
    voice_thinking: str | None = "off"
    timeout_s: float = DEFAULT_TIMEOUT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """All agents; there is at least one.

    Attributes:
        profiles: By id.
        default_id: Which one answers where none is named.
    """

    profiles: Mapping[str, AgentProfile]
    default_id: str = DEFAULT_AGENT

    @classmethod
    def single(cls, profile: AgentProfile) -> AgentSettings:
        """Return settings with one agent."""
        return cls(profiles={profile.id: profile}, default_id=profile.id)

    @property
    def default(self) -> AgentProfile:
        """The agent that answers where none is named."""
        return self.profiles[self.default_id]

    def find(self, agent_id: str | None, session_key: str = "") -> AgentProfile | None:
        """Return the agent that is named, by its id or by `agent:<id>:…`, or None."""
        if not agent_id:
            named = _SESSION.match(session_key)
            agent_id = named[1] if named else self.default_id
        return self.profiles.get(agent_id)


def agent_settings(config: Config) -> AgentSettings:
    """Interpret the `agents` section.

    Raises:
        ConfigInvalid: A setting is wrong; names its key path.
    """
    defaults = config.section("agents.defaults")
    shared = _profile(
        defaults,
        AgentProfile(tools=_policy(config.get("tools"), "tools", ToolPolicy())),
        "agents.defaults",
    )
    entries = config.get("agents.list")
    if entries is None or entries == []:
        return AgentSettings.single(shared)
    if not isinstance(entries, list):
        raise ConfigInvalid("must be a list.", key_path="agents.list")
    profiles: dict[str, AgentProfile] = {}
    default_id = ""
    for index, entry in enumerate(entries):
        path = f"agents.list[{index}]"
        if not isinstance(entry, dict):
            raise ConfigInvalid("must be an object.", key_path=path)
        agent_id = entry.get("id")
        if not isinstance(agent_id, str) or not _ID.fullmatch(agent_id):
            raise ConfigInvalid(
                "must be a name of letters, digits, _ and -.", key_path=f"{path}.id"
            )
        if agent_id in profiles:
            raise ConfigInvalid("is taken already.", key_path=f"{path}.id")
        profiles[agent_id] = _profile(entry, shared, path, agent_id=agent_id)
        if entry.get("default") is True and not default_id:
            default_id = agent_id
    return AgentSettings(
        profiles=profiles, default_id=default_id or next(iter(profiles))
    )


def _profile(
    entry: Mapping[str, Any],
    base: AgentProfile,
    path: str,
    *,
    agent_id: str = DEFAULT_AGENT,
) -> AgentProfile:
    model, fallbacks = _model(entry.get("model"), f"{path}.model", base)
    prompt = entry.get("systemPrompt", base.system_prompt)
    if prompt is not None and not isinstance(prompt, str):
        raise ConfigInvalid("must be a text.", key_path=f"{path}.systemPrompt")
    return AgentProfile(
        id=agent_id,
        model=model,
        fallbacks=fallbacks,
        system_prompt=prompt,
        tools=_policy(entry.get("tools"), f"{path}.tools", base.tools),
        thinking=_thinking(entry, "thinkingDefault", path, base.thinking),
        voice_thinking=_thinking(entry, "voiceThinking", path, base.voice_thinking),
        timeout_s=_seconds(entry.get("timeoutSeconds"), path, base.timeout_s),
    )


def _model(value: Any, path: str, base: AgentProfile) -> tuple[str, tuple[str, ...]]:
    if value is None:
        return base.model, base.fallbacks
    if not isinstance(value, dict):
        return _model_name(value, f"{path}.primary"), ()
    primary = value.get("primary")
    fallbacks = value.get("fallbacks") or []
    if not isinstance(fallbacks, list):
        raise ConfigInvalid("must be a list.", key_path=f"{path}.fallbacks")
    return (
        base.model if primary is None else _model_name(primary, f"{path}.primary"),
        tuple(
            _model_name(name, f"{path}.fallbacks[{index}]")
            for index, name in enumerate(fallbacks)
        ),
    )


def _model_name(value: Any, path: str) -> str:
    if isinstance(value, str):
        provider, slash, name = value.partition("/")
        if provider and slash and name:
            return value
    raise ConfigInvalid('must be a name like "provider/model".', key_path=path)


def _policy(value: Any, path: str, base: ToolPolicy) -> ToolPolicy:
    if value is None:
        return base
    if not isinstance(value, dict):
        raise ConfigInvalid("must be an object.", key_path=path)
    allow = _names(value.get("allow"), f"{path}.allow")
    deny = _names(value.get("deny"), f"{path}.deny")
    return ToolPolicy(
        allow=base.allow if allow is None else allow,
        deny=base.deny if deny is None else deny,
    )


def _names(value: Any, path: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ConfigInvalid("must be a list of names.", key_path=path)
    return tuple(value)


def _thinking(
    entry: Mapping[str, Any], key: str, path: str, base: str | None
) -> str | None:
    value = entry.get(key)
    if value is None:
        return base
    if value not in THINKING:
        raise ConfigInvalid(
            f"must be one of {', '.join(THINKING)}.", key_path=f"{path}.{key}"
        )
    return str(value)


def _seconds(value: Any, path: str, base: float) -> float:
    if value is None:
        return base
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise ConfigInvalid(
            "must be a positive number of seconds.", key_path=f"{path}.timeoutSeconds"
        )
    return float(value)
