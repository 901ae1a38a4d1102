"""`openclaw config …`, `doctor` and `completion`, as people and scripts use them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from openclaw_gateway import cli
from openclaw_gateway.commands.completion import render

HELLO = Path(__file__).parents[3] / "examples" / "hello-plugin"


class Home:
    def __init__(self, folder, capsys):
        self.folder = folder
        self.file = folder / "openclaw.json"
        self._capsys = capsys

    def run(self, *args):
        code = cli.main(args)
        out, err = self._capsys.readouterr()
        return code, json.loads(out) if out.strip() else None, err


@pytest.fixture
def home(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path))
    monkeypatch.delenv("OPENCLAW_CONFIG_PATH", raising=False)
    before = list(sys.path)
    yield Home(tmp_path, capsys)
    sys.path[:] = before


def test_file(home):
    assert home.run("config", "file") == (
        0,
        {"path": str(home.file), "exists": False, "stateDir": str(home.folder)},
        "",
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("true", True),
        ("{a: [1,],}", {"a": [1]}),
        ("'5'", "5"),
        ("null", None),
        ("plain words", "plain words"),
        ("loopback", "loopback"),
        ("+15550001111", "+15550001111"),
        ("", ""),
    ],
)
def test_a_value_is_json5_or_a_text(home, text, value):
    assert home.run("config", "set", "x.y", text)[0] == 0
    assert home.run("config", "get", "x.y") == (0, value, "")


def test_strict_values(home):
    code, _, err = home.run("config", "set", "--strict-json", "x", "plain words")
    assert (code, err) == (1, "error[invalid_params]: the value is not JSON5.\n")


def test_set_says_what_happened(home):
    home.file.write_text("{ // mine\n}")
    code, result, err = home.run("config", "set", "gateway.port", "5")
    assert code == 0
    assert result == {
        "path": "gateway.port",
        "changed": True,
        "backup": f"{home.file}.bak",
        "restart": True,
    }
    assert err == "A running Gateway must be restarted to take this.\n"
    assert "// mine" in home.file.read_text()


def test_set_of_a_plugins_setting_needs_no_restart(home):
    _, result, err = home.run("config", "set", "plugins.entries.a.config.b", "1")
    assert (result["restart"], err) == (False, "")


def test_lost_comments_are_said(home):
    home.file.write_text("{ // mine\n plugins: {load: {paths: ['/a']}}}")
    _, _, err = home.run("config", "set", "plugins.load.paths[1]", "/b")
    assert err.startswith("The file could not be changed in place and was written anew")
    assert f"its comments are in {home.file}.bak." in err


def test_what_would_stop_the_gateway_is_refused(home):
    code, _, err = home.run("config", "set", "gateway.prot", "5")
    assert code == 1
    assert err == (
        "error[config_invalid]: gateway.prot: unknown key, perhaps port is meant.\n"
    )


def test_get_of_what_is_not_set(home):
    home.file.write_text("{gateway: {port: 1}}")
    code, _, err = home.run("config", "get", "gateway.prot")
    assert (code, err) == (
        1,
        "error[config_invalid]: gateway.prot: is not set, perhaps port is meant.\n",
    )


def test_secrets_are_shown_only_when_asked(home):
    home.file.write_text("{gateway: {auth: {token: 'hush'}, port: 1}}")
    _, value, err = home.run("config", "get", "gateway")
    assert value == {"auth": {"token": "[hidden]"}, "port": 1}
    assert err == "Secrets are hidden; --reveal shows them.\n"
    assert home.run("config", "get", "gateway.auth.token")[1] == "[hidden]"
    assert home.run("config", "get", "gateway.auth.token", "--reveal")[1] == "hush"


def test_unset(home):
    home.file.write_text("{a: 1, b: 2}")
    assert home.run("config", "unset", "a")[1]["changed"] is True
    assert home.file.read_text() == "{b: 2}"
    code, _, err = home.run("config", "unset", "a")
    assert code == 1
    assert "a: is not set" in err


def test_validate_lists_everything_at_once(home):
    home.file.write_text(
        "{gateway: {prot: 1, port: 'x'}, gatway: 1, plugins: {load: {paths: ["
        + json.dumps(str(HELLO))
        + "]}, entries: {hello: {config: {greting: 'x', punctuation: '?'}}, helo: {}}}}"
    )
    code, result, err = home.run("config", "validate")
    assert (code, result["valid"]) == (1, False)
    assert [(it["severity"], it["path"]) for it in result["problems"]] == [
        ("error", "gateway.prot"),
        ("error", "gateway.port"),
        ("warning", "gatway"),
        ("error", "plugins.entries.hello.config.greting"),
        ("error", "plugins.entries.hello.config.punctuation"),
        ("warning", "plugins.entries.helo"),
    ]
    assert err.count("\n") == 6
    assert "greting: unknown key, perhaps greeting is meant." in err
    assert "helo: no such plugin is here, perhaps hello is meant." in err


def test_validate_of_a_good_file(home):
    home.file.write_text("{gateway: {port: 5}}")
    assert home.run("config", "validate")[:2] == (
        0,
        {"valid": True, "file": str(home.file), "problems": []},
    )


def test_a_missing_variable_of_a_plugin_is_a_problem_of_that_plugin(home):
    home.file.write_text(
        "{plugins: {entries: {'voice-call': {config: {fromNumber: '${NOPE_X}'}}}}}"
    )
    code, result, _ = home.run("config", "validate")
    assert code == 1
    assert result["problems"] == [
        {
            "severity": "error",
            "path": "plugins.entries.voice-call.config.fromNumber",
            "message": "the environment variable NOPE_X is not set.",
        }
    ]


LEGACY = """{
  // the carrier
  plugins: {entries: {'voice-call': {config: {
    provider: 'log', // old
    twilio: {from: '+15550001111', accountSid: 'AC1', authToken: '${TOKEN}'},
  }}}},
}
"""
TODAY = """{
  // the carrier
  plugins: {entries: {'voice-call': {config: {
    provider: "mock", // old
    twilio: {accountSid: 'AC1', authToken: '${TOKEN}'},
    fromNumber: "+15550001111"
  }}}},
}
"""


@pytest.mark.parametrize("command", [("config", "migrate"), ("doctor", "--fix")])
def test_old_names_are_carried_over_once(home, command):
    home.file.write_text(LEGACY)
    _, result, _ = home.run(*command)
    assert len(result["migrated"]) == 2
    assert home.file.read_text() == TODAY
    assert Path(result["backup"]).read_text() == LEGACY
    _, again, _ = home.run(*command)
    assert (again["migrated"], again["backup"]) == ([], None)
    assert home.file.read_text() == TODAY


def test_a_dry_run_changes_nothing(home):
    home.file.write_text(LEGACY)
    _, result, err = home.run("config", "migrate", "--dry-run")
    assert (result["changed"], result["backup"]) == (False, None)
    assert "twilio.from is now fromNumber." in err
    assert home.file.read_text() == LEGACY


def test_old_names_are_a_warning_of_validate(home):
    home.file.write_text(
        "{plugins: {entries: {'voice-call': {config: {provider: 'log'}}}}}"
    )
    code, result, _ = home.run("config", "validate")
    assert code == 0
    assert [it["severity"] for it in result["problems"]] == ["warning"]
    assert "Run: openclaw config migrate." in result["problems"][0]["message"]


def test_doctor_names_a_plugin_that_cannot_be_loaded(home):
    home.file.write_text("{plugins: {load: {paths: ['/no/such/folder']}}}")
    code, result, err = home.run("doctor")
    assert (code, result["ok"]) == (1, False)
    assert "error: plugin folder: The folder /no/such/folder does not exist." in err


def test_several_problems_are_one_line_each(home):
    home.file.write_text("{gateway: {prot: 1, port: 'x'}}")
    code, _, err = home.run("gateway", "run")
    assert code == 1
    assert err.splitlines() == [
        "error[config_invalid]: gateway.prot: unknown key, perhaps port is meant.",
        "error[config_invalid]: gateway.port: must be a whole number from 0 to 65535.",
    ]


TREE = {
    (): ("config", "gateway", "--help"),
    ("config",): ("get", "set", "--help"),
    ("config", "get"): ("--json", "--help"),
    ("gateway",): ("run", "--help"),
}


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        (["openclaw", ""], ["config", "gateway", "--help"]),
        (["openclaw", "co"], ["config"]),
        (["openclaw", "config", ""], ["get", "set", "--help"]),
        (["openclaw", "config", "get", "--j"], ["--json"]),
        (["openclaw", "config", "get", "x", "--"], ["--json", "--help"]),
    ],
)
def test_bash_completes(words, completions):
    array = " ".join(f"'{word}'" for word in words)
    asked = (
        f"{render('bash', TREE)}\nCOMP_WORDS=({array}); COMP_CWORD={len(words) - 1}\n"
        '_openclaw; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    ended = subprocess.run(
        ["bash", "-c", asked], capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == completions


def test_scripts_of_the_other_shells():
    assert render("zsh", TREE).startswith(
        "autoload -U +X bashcompinit && bashcompinit\n"
    )
    fish = render("fish", TREE)
    assert 'complete -c openclaw -n "__openclaw_at \'config\'" -f -a "get set"' in fish
    assert "complete -c openclaw -n \"__openclaw_at 'config get'\" -l json" in fish


def test_the_script_knows_the_groups_of_plugins(home, capsys):
    assert cli.main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert '"voicecall call") words="' in script
    assert '"plugins install") words="--link --help"' in script


def test_a_shell_that_is_not_known(home):
    code, _, err = home.run("completion", "csh")
    assert code == 2
    assert "must be bash, zsh, fish" in err
