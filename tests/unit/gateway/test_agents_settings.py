"""What the configuration says about agents and about their models."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw_gateway.agents.models.providers import (
    ModelInfo,
    provider_ids,
    provider_settings,
)
from openclaw_gateway.agents.settings import agent_settings
from openclaw_gateway.agents.tools import ToolPolicy
from openclaw_gateway.config import Config
from openclaw_gateway.errors import AgentFailed, ConfigInvalid


def config_of(raw, **environ):
    folder = Path("nowhere")
    return Config(
        raw=raw, path=folder / "openclaw.json", state_dir=folder, environ=environ
    )


def settings_of(**agents):
    return agent_settings(config_of({"agents": agents}))


def test_without_a_word_there_is_the_receptionist():
    settings = agent_settings(config_of({}))
    assert settings.default.id == "main"
    assert settings.default.model == "builtin/receptionist"
    assert settings.default.tools == ToolPolicy()
    assert settings.default.voice_thinking == "off"


def test_an_agent_says_only_what_differs():
    settings = settings_of(
        defaults={
            "model": {"primary": "a/one", "fallbacks": ["b/two/x"]},
            "systemPrompt": "Be brief.",
            "timeoutSeconds": 30,
        },
        list=[
            {"id": "main"},
            {
                "id": "sales",
                "default": True,
                "model": "c/three",
                "voiceThinking": "low",
                "thinkingDefault": "high",
                "tools": {"allow": ["voice_call"]},
            },
        ],
    )
    main, sales = settings.profiles["main"], settings.default
    assert (main.model, main.fallbacks) == ("a/one", ("b/two/x",))
    assert (main.thinking, main.tools.allow) == (None, None)
    assert (sales.id, sales.model, sales.fallbacks) == ("sales", "c/three", ())
    assert (sales.system_prompt, sales.timeout_s) == ("Be brief.", 30.0)
    assert (sales.voice_thinking, sales.thinking) == ("low", "high")
    assert sales.tools == ToolPolicy(allow=("voice_call",))


def test_the_first_of_a_list_is_the_default():
    assert settings_of(list=[{"id": "b"}, {"id": "a"}]).default_id == "b"


def test_common_tools_hold_for_agents_that_say_nothing():
    raw = {
        "tools": {"allow": ["a"], "deny": ["b"]},
        "agents": {"list": [{"id": "x"}, {"id": "y", "tools": {"allow": []}}]},
    }
    settings = agent_settings(config_of(raw))
    assert settings.profiles["x"].tools == ToolPolicy(allow=("a",), deny=("b",))
    assert settings.profiles["y"].tools == ToolPolicy(allow=(), deny=("b",))


@pytest.mark.parametrize(
    ("agent_id", "key", "found"),
    [
        (None, "voice:1", "main"),
        ("", "", "main"),
        ("sales", "voice:1", "sales"),
        (None, "agent:sales:voice:1", "sales"),
        ("main", "agent:sales:voice:1", "main"),
        ("nobody", "", None),
        (None, "agent:nobody:1", None),
    ],
)
def test_an_agent_is_found_by_name_or_by_session(agent_id, key, found):
    settings = settings_of(list=[{"id": "main"}, {"id": "sales"}])
    profile = settings.find(agent_id, key)
    assert (profile and profile.id) == found


@pytest.mark.parametrize(
    ("agents", "path"),
    [
        ({"list": {}}, "agents.list"),
        ({"list": [3]}, "agents.list[0]"),
        ({"list": [{"id": "../up"}]}, "agents.list[0].id"),
        ({"list": [{"id": "a"}, {"id": "a"}]}, "agents.list[1].id"),
        ({"defaults": {"model": "plain"}}, "agents.defaults.model.primary"),
        ({"defaults": {"model": {"primary": 3}}}, "agents.defaults.model.primary"),
        ({"defaults": {"model": {"fallbacks": 3}}}, "agents.defaults.model.fallbacks"),
        (
            {"defaults": {"model": {"fallbacks": ["x"]}}},
            "agents.defaults.model.fallbacks[0]",
        ),
        ({"defaults": {"systemPrompt": 3}}, "agents.defaults.systemPrompt"),
        ({"defaults": {"tools": []}}, "agents.defaults.tools"),
        ({"defaults": {"tools": {"allow": "x"}}}, "agents.defaults.tools.allow"),
        ({"defaults": {"tools": {"deny": [3]}}}, "agents.defaults.tools.deny"),
        ({"defaults": {"thinkingDefault": "hard"}}, "agents.defaults.thinkingDefault"),
        ({"defaults": {"timeoutSeconds": True}}, "agents.defaults.timeoutSeconds"),
    ],
)
def test_what_is_wrong_is_named(agents, path):
    with pytest.raises(ConfigInvalid) as caught:
        settings_of(**agents)
    assert caught.value.key_path == path


@pytest.mark.parametrize(
    ("allow", "deny", "allowed", "of_call"),
    [
        (None, (), True, True),
        ((), (), False, False),
        (("voice_*",), (), True, True),
        (("other",), (), False, True),
        (None, ("voice_call",), False, False),
        (("*",), ("v*",), False, False),
    ],
)
def test_tool_policies(allow, deny, allowed, of_call):
    policy = ToolPolicy(allow=allow, deny=deny)
    assert policy.allows("voice_call") is allowed
    assert policy.allows_of_call("voice_call") is of_call


# ---- providers


def provider_of(name, entry=None, **environ):
    providers = {name: entry} if entry is not None else {}
    return provider_settings(
        config_of({"models": {"providers": providers}}, **environ), name
    )


def test_vendors_need_no_entry():
    openai = provider_of("openai", OPENAI_API_KEY="k")
    assert (openai.api, openai.base_url) == (
        "openai-completions",
        "https://api.openai.com/v1",
    )
    assert openai.api_key == "k"
    anthropic = provider_of("anthropic", ANTHROPIC_API_KEY="k")
    assert (anthropic.api, anthropic.base_url) == (
        "anthropic-messages",
        "https://api.anthropic.com",
    )


def test_the_environment_gives_the_place():
    url = "http://127.0.0.1:1/v1"
    assert provider_of("openai", OPENAI_BASE_URL=url).base_url == url
    origin = "http://127.0.0.1:1"
    assert provider_of("anthropic", ANTHROPIC_BASE_URL=origin).base_url == origin


def test_the_file_wins_over_the_environment():
    entry = {"baseUrl": "http://127.0.0.1:2/v1", "apiKey": "${MINE}"}
    settings = provider_of(
        "openai",
        entry,
        MINE="from file",
        OPENAI_BASE_URL="http://127.0.0.1:1/v1",
        OPENAI_API_KEY="from environment",
    )
    assert settings.base_url == "http://127.0.0.1:2/v1"
    assert settings.api_key == "from file"


def test_a_server_of_ones_own_needs_no_key():
    entry = {
        "baseUrl": "http://127.0.0.1:11434/v1",
        "headers": {"x-a": 1},
        "models": [
            {"id": "q", "contextWindow": 100, "maxTokens": 10, "reasoning": True},
            {"id": "r", "maxTokens": 0},
        ],
    }
    settings = provider_of("ollama", entry)
    assert settings.api == "openai-completions"
    assert settings.api_key
    assert settings.headers == {"x-a": "1"}
    assert settings.model("q") == ModelInfo(
        context_window=100, max_tokens=10, is_reasoning=True
    )
    assert settings.model("r") == settings.model("unlisted") == ModelInfo()


def test_an_anthropic_origin_may_be_written_with_its_version():
    entry = {"baseUrl": "http://127.0.0.1:1/v1/", "api": "anthropic-messages"}
    assert provider_of("mine", entry).base_url == "http://127.0.0.1:1"


def test_nothing_secret_is_shown():
    entry = {"baseUrl": "http://u:p@127.0.0.1:1/v1", "apiKey": "very-secret"}
    settings = provider_of("mine", entry)
    assert "very-secret" not in repr(settings)
    assert settings.place == "http://127.0.0.1:1/v1"


@pytest.mark.parametrize(
    ("name", "entry", "words"),
    [
        (
            "openai",
            None,
            "models.providers.openai.apiKey: must be set, or OPENAI_API_KEY",
        ),
        ("mine", {}, "models.providers.mine.baseUrl: must be set"),
        ("openai", {"apiKey": "${GONE}"}, "GONE"),
        ("openai", {"apiKey": 3}, "models.providers.openai.apiKey: must be a text"),
        ("openai", {"api": "x", "apiKey": "k"}, "models.providers.openai.api: must be"),
        ("openai", {"models": 3, "apiKey": "k"}, "models.providers.openai.models"),
        ("openai", {"models": [{}], "apiKey": "k"}, r"openai.models\[0\]"),
    ],
)
def test_what_is_wrong_with_a_provider_is_said_when_it_is_needed(name, entry, words):
    with pytest.raises(AgentFailed, match=words):
        provider_of(name, entry)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:1", "ftp://x/v1", "http://[::1/v1", "http://x:99999", "http://"]
)
def test_a_place_that_is_no_url_is_named_by_its_source(url):
    with pytest.raises(AgentFailed, match="OPENAI_BASE_URL: must be an http"):
        provider_of("openai", OPENAI_BASE_URL=url)
    with pytest.raises(AgentFailed, match=r"mine\.baseUrl: must be an http"):
        provider_of("mine", {"baseUrl": url})


def test_the_names_before_the_slash():
    assert provider_ids(config_of({})) == ("anthropic", "openai")
    raw = {"models": {"providers": {"ollama": {}, "openai": {}}}}
    assert provider_ids(config_of(raw)) == ("anthropic", "ollama", "openai")
