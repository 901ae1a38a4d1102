"""Everything that is wrong with the Gateway's own sections, at once."""

from __future__ import annotations

import pytest

from openclaw_gateway.config import load_config
from openclaw_gateway.config.problems import ConfigProblems
from openclaw_gateway.config.schema import check, check_file, require_valid


def load(tmp_path, text, **environ):
    (tmp_path / "openclaw.json").write_text(text, encoding="utf-8")
    return load_config({"OPENCLAW_STATE_DIR": str(tmp_path)} | environ)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"gateway": 3}, "gateway: must be an object."),
        ({"gateway": {"prot": 1}}, "gateway.prot: unknown key, perhaps port is meant."),
        ({"gateway": {"zzz": 1}}, "gateway.zzz: unknown key."),
        (
            {"gateway": {"port": 70_000}},
            "gateway.port: must be a whole number from 0 to 65535.",
        ),
        (
            {"gateway": {"port": "80x"}},
            "gateway.port: must be a whole number from 0 to 65535.",
        ),
        (
            {"gateway": {"bind": "loopbak"}},
            (
                'gateway.bind: must be "loopback" or "lan" or "custom", '
                "perhaps loopback is meant."
            ),
        ),
        (
            {"gateway": {"auth": {"tokn": "x"}}},
            "gateway.auth.tokn: unknown key, perhaps token is meant.",
        ),
        (
            {"gateway": {"auth": {"token": ""}}},
            "gateway.auth.token: must be a text that is not empty.",
        ),
        ({"plugins": {"enabled": 1}}, "plugins.enabled: must be true or false."),
        ({"plugins": {"load": {"paths": "x"}}}, "plugins.load.paths: must be a list."),
        (
            {"plugins": {"load": {"paths": [1]}}},
            "plugins.load.paths[0]: must be a text that is not empty.",
        ),
        (
            {"plugins": {"entries": {"a": {"enable": True}}}},
            "plugins.entries.a.enable: unknown key, perhaps enabled is meant.",
        ),
        (
            {"plugins": {"entries": {"a": {"config": []}}}},
            "plugins.entries.a.config: must be an object.",
        ),
        (
            {"models": {"providers": {"x": {"baseUrl": "nope"}}}},
            (
                "models.providers.x.baseUrl: must be a URL such as "
                "https://api.example.com/v1."
            ),
        ),
        (
            {"models": {"providers": {"x": {"baseUrl": "http://a:x"}}}},
            (
                "models.providers.x.baseUrl: must be a URL such as "
                "https://api.example.com/v1."
            ),
        ),
        ({"models": {"providers": []}}, "models.providers: must be an object."),
        (
            {"agents": {"defaults": {"model": {"primary": "gpt"}}}},
            'agents.defaults.model.primary: must name a model as "provider/model".',
        ),
    ],
)
def test_a_problem_has_its_path_and_a_remedy(raw, said):
    assert [str(it) for it in check_file(raw)] == [said]


@pytest.mark.parametrize(
    "raw",
    [
        {"agents": {"defaults": {"model": "builtin/receptionist"}}},
        {},
        {"gateway": None},
        {"gateway": {"port": "18789", "mode": "local", "controlUi": {}}},
        {"gateway": {"port": "${PORT}", "bind": "${BIND}"}},
        {"gateway": {"auth": {"token": {"source": "env", "id": "X"}}}},
        {"gateway": {"http": {"endpoints": {"chatCompletions": {"enabled": True}}}}},
        {"plugins": {"entries": {"a": {"enabled": False, "config": {"any": 1}}}}},
        {"models": {"providers": {"x": {"api": "y", "models": [{"id": "m"}]}}}},
        {"channels": {"telegram": {"botToken": "x"}}, "agents": {"list": []}},
        {"messages": {"tts": {"provider": "openai"}}},
    ],
)
def test_what_is_right_passes(raw):
    assert check_file(raw) == []


def test_a_model_by_its_short_name_must_be_one():
    (problem,) = check_file({"agents": {"defaults": {"model": "receptionist"}}})
    assert problem.key_path == "agents.defaults.model"


def test_an_unknown_section_is_a_warning():
    (problem,) = check_file({"gatway": {}})
    assert str(problem) == "gatway: unknown key, perhaps gateway is meant."
    assert not problem.is_fatal


def test_all_problems_come_at_once(tmp_path):
    config = load(tmp_path, "{gateway: {port: -1, bnd: 1}, plugins: {enabled: 'no'}}")
    with pytest.raises(ConfigProblems) as caught:
        require_valid(config)
    assert [it.key_path for it in caught.value.problems] == [
        "gateway.port",
        "gateway.bnd",
        "plugins.enabled",
    ]
    assert str(caught.value).count("gateway.port") == 1
    assert caught.value.code == "config_invalid"


def test_what_only_the_whole_tells_is_a_problem_too(tmp_path):
    config = load(tmp_path, "{gateway: {bind: 'lan'}, gatway: 1}")
    assert [(it.key_path, it.is_fatal) for it in check(config)] == [
        ("gatway", False),
        ("gateway.bind", True),
    ]


def test_a_reference_of_the_gateway_is_followed(tmp_path):
    text = "{gateway: {auth: {token: '${NOPE}'}}}"
    (problem,) = check(load(tmp_path, text))
    assert str(problem) == (
        "gateway.auth.token: the environment variable NOPE is not set."
    )
    assert check(load(tmp_path, text, NOPE="x")) == []


def test_warnings_let_the_gateway_run(tmp_path):
    (warning,) = require_valid(load(tmp_path, "{gatway: 1}"))
    assert warning.key_path == "gatway"


def test_a_plugin_sees_its_own_settings_and_what_can_be_resolved(tmp_path):
    text = """{
      messages: {tts: {apiKey: '${NOPE}', voice: 'v'}, list: [1, '${NOPE}']},
      plugins: {entries: {
        mine: {config: {a: '${ONE}'}},
        other: {config: {b: '${NOPE}'}},
      }},
    }"""
    seen, left_out = load(tmp_path, text, ONE="1").for_plugin("mine")
    assert seen == {
        "messages": {"tts": {"voice": "v"}},
        "plugins": {"entries": {"mine": {"config": {"a": "1"}}}},
    }
    assert left_out == (
        "messages.tts.apiKey: the environment variable NOPE is not set.",
        "messages.list[1]: the environment variable NOPE is not set.",
    )
