from __future__ import annotations

import pytest

from openclaw_gateway.config import gateway_settings, load_config
from openclaw_gateway.errors import ConfigInvalid, ConfigUnreadable


@pytest.fixture
def load(tmp_path):
    def load(text=None, **environ):
        path = tmp_path / "openclaw.json"
        if isinstance(text, bytes):
            path.write_bytes(text)
        elif text is not None:
            path.write_text(text, encoding="utf-8")
        return load_config({"OPENCLAW_STATE_DIR": str(tmp_path)} | environ)

    return load


def test_a_missing_file_is_an_empty_configuration(load):
    assert load().whole() == {}


def test_an_empty_file_is_an_empty_configuration(load):
    assert load("\n").whole() == {}


def test_json5_is_read(load):
    config = load("{ // a comment\n gateway: { port: 1234, }, }")
    assert config.get("gateway.port") == 1234


def test_the_file_can_be_named(load, tmp_path):
    other = tmp_path / "other.json"
    other.write_text("{gateway: {port: 1}}", encoding="utf-8")
    config = load("{}", OPENCLAW_CONFIG_PATH=str(other))
    assert config.path == other
    assert config.get("gateway.port") == 1


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("{a: 1,\n b: }", "line 2, column 5: this character is not expected here."),
        ("{a: 1,", "line 1, column 1: what begins here is never closed."),
        ("{a: 1}\n}", "line 2, column 1: nothing may follow the closing brace."),
        ("[" * 100_000, "nested too deeply."),
    ],
)
def test_a_broken_file_is_one_sentence_with_the_place(load, text, where):
    with pytest.raises(ConfigUnreadable) as caught:
        load(text)
    assert str(caught.value).endswith(where)
    assert "is not valid JSON5 at line" in str(caught.value)


def test_a_file_that_is_no_text_is_unreadable(load):
    with pytest.raises(ConfigUnreadable, match=r"not UTF-8 text \(byte 1\)"):
        load(b"{\xff}")


def test_a_folder_in_its_place_is_unreadable(load, tmp_path):
    (tmp_path / "openclaw.json").mkdir()
    with pytest.raises(ConfigUnreadable, match="cannot be read: Is a directory"):
        load()


def test_the_file_must_hold_an_object(load):
    with pytest.raises(ConfigInvalid, match="must hold one object"):
        load("[]")


def test_variables_are_replaced_wherever_a_string_is(load):
    config = load('{a: {b: ["x-${ONE}", 2, {c: "${TWO}${ONE}"}]}}', ONE="1", TWO="2")
    assert config.whole() == {"a": {"b": ["x-1", 2, {"c": "21"}]}}


def test_an_escaped_variable_stays(load):
    assert load('{a: "$${ONE}"}', ONE="1").get("a") == "${ONE}"


def test_a_missing_variable_names_itself_and_its_place(load):
    with pytest.raises(ConfigInvalid) as caught:
        load('{a: {b: ["${NOPE}"]}}').whole()
    assert str(caught.value) == ("a.b[0]: the environment variable NOPE is not set.")


def test_only_what_is_asked_for_is_replaced(load):
    config = load('{gateway: {port: 5}, secret: "${NOPE}"}')
    assert config.get("gateway.port") == 5


def test_a_parent_that_is_no_object_is_named(load):
    with pytest.raises(ConfigInvalid, match=r"^gateway: must be an object"):
        load("{gateway: 3}").get("gateway.port")


def test_a_section_must_be_an_object(load):
    assert load("{}").section("a.b") == {}
    with pytest.raises(ConfigInvalid, match=r"^a: must be an object"):
        load("{a: []}").section("a")


def test_the_defaults_are_loopback_with_a_token(load):
    settings = gateway_settings(load())
    assert (settings.host, settings.port) == ("127.0.0.1", 18789)
    assert (settings.auth_mode, settings.secret) == ("token", "")
    assert settings.is_loopback


@pytest.mark.parametrize(
    ("auth", "environ", "outcome"),
    [
        ('{token: "t"}', {}, ("token", "t")),
        ('{token: "t"}', {"OPENCLAW_GATEWAY_TOKEN": "e"}, ("token", "e")),
        ('{password: "p"}', {}, ("password", "p")),
        ('{password: "p", token: "t"}', {}, ("token", "t")),
        ('{mode: "token", password: "p"}', {}, ("token", "")),
        ('{mode: "password", password: "p", token: "t"}', {}, ("password", "p")),
        (
            '{mode: "password"}',
            {"OPENCLAW_GATEWAY_PASSWORD": "e"},
            ("password", "e"),
        ),
        ('{mode: "none", token: "t"}', {}, ("none", "")),
    ],
)
def test_how_clients_prove_themselves(load, auth, environ, outcome):
    settings = gateway_settings(load("{gateway: {auth: " + auth + "}}", **environ))
    assert (settings.auth_mode, settings.secret) == outcome


@pytest.mark.parametrize(
    ("text", "environ", "key_path"),
    [
        ("{gateway: {port: 70000}}", {}, "gateway.port"),
        ("{gateway: {port: 1.5}}", {}, "gateway.port"),
        ("{gateway: {port: true}}", {}, "gateway.port"),
        ('{gateway: {port: "x"}}', {}, "gateway.port"),
        ("{}", {"OPENCLAW_GATEWAY_PORT": "x"}, "OPENCLAW_GATEWAY_PORT"),
        ('{gateway: {bind: "moon"}}', {}, "gateway.bind"),
        ('{gateway: {bind: "custom"}}', {}, "gateway.customBindHost"),
        ('{gateway: {auth: {mode: "magic"}}}', {}, "gateway.auth.mode"),
        ('{gateway: {auth: {mode: "password"}}}', {}, "gateway.auth.password"),
        ("{gateway: {auth: {token: 5}}}", {}, "gateway.auth.token"),
        ('{gateway: {bind: "lan"}}', {}, "gateway.bind"),
        ('{gateway: {bind: "lan", auth: {mode: "none"}}}', {}, "gateway.bind"),
    ],
)
def test_a_wrong_setting_is_named(load, text, environ, key_path):
    with pytest.raises(ConfigInvalid) as caught:
        gateway_settings(load(text, **environ))
    assert caught.value.key_path == key_path


def test_beyond_this_machine_with_a_token(load):
    config = load('{gateway: {bind: "lan", auth: {token: "t"}}}')
    assert gateway_settings(config).host == "0.0.0.0"


def test_a_custom_address(load):
    config = load('{gateway: {bind: "custom", customBindHost: "::1"}}')
    assert gateway_settings(config).host == "::1"


def test_the_port_of_the_environment_wins(load):
    config = load("{gateway: {port: 1}}", OPENCLAW_GATEWAY_PORT="2")
    assert gateway_settings(config).port == 2


def test_the_token_is_not_shown(load):
    config = load(OPENCLAW_GATEWAY_TOKEN="hush")
    assert "hush" not in repr(gateway_settings(config)) + repr(config)
