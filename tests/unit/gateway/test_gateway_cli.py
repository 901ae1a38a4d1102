"""The dispatcher: what it loads, what it reports, with which exit code."""

from __future__ import annotations

import pytest

from openclaw_gateway import cli
from openclaw_gateway.cli_context import CommandContext
from openclaw_gateway.errors import ConfigInvalid, GatewayDown
from openclaw_gateway.rpc.client import find_address

HINT = "(OPENCLAW_DEBUG=1 shows where)"

GROUP = """
import sys
from typing import Annotated
import typer

app = typer.Typer(no_args_is_help=True, add_completion=False)

class Refused(Exception):
    code = "bad_luck"
    is_request_fault = True

@app.command()
def show(ctx: typer.Context, name: str = "all") -> None:
    print(name, type(ctx.obj).__name__, ctx.obj.state_dir.name)

@app.command()
def fail(how: Annotated[str, typer.Argument()]) -> None:
    if how == "coded":
        raise Refused("Throw the dice\\n again.")
    if how == "defect":
        raise ZeroDivisionError("by zero")
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "abort":
        raise typer.Abort
    if how == "exit":
        raise typer.Exit(7)
    if how == "pipe":
        raise BrokenPipeError

@app.command()
def config(ctx: typer.Context) -> None:
    print(ctx.obj.config)
"""


@pytest.fixture
def dice(tmp_path, monkeypatch):
    """An installed plugin that adds the command groups `dice` and `gone`."""
    site = tmp_path / "site"
    info = site / "dice-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "dice_of_a_test.py").write_text(GROUP, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dice\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[openclaw.cli]\ndice = dice_of_a_test:app\ngone = no_such_module:app\n"
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path / "state"))


def run(capsys, *args):
    code = cli.main(args)
    out, err = capsys.readouterr()
    return code, out, err


def test_a_command_of_a_plugin_gets_the_context(dice, capsys):
    code, out, err = run(capsys, "dice", "show", "--name", "one")
    assert (code, out, err) == (0, "one CommandContext state\n", "")


@pytest.mark.parametrize(
    ("how", "code", "err"),
    [
        ("coded", 1, "error[bad_luck]: Throw the dice again.\n"),
        (
            "defect",
            1,
            f"error[internal_error]: ZeroDivisionError: by zero {HINT}\n",
        ),
        ("interrupt", 130, ""),
        ("abort", 1, "Aborted.\n"),
        ("exit", 7, ""),
    ],
)
def test_a_failure_is_one_line_and_an_exit_code(dice, capsys, how, code, err):
    ended = run(capsys, "dice", "fail", how)
    assert (ended[0], ended[1], ended[2].lstrip("\n")) == (code, "", err)


def test_a_defect_shows_its_trace_when_asked(dice, monkeypatch):
    monkeypatch.setenv("OPENCLAW_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli.main(["dice", "fail", "defect"])


@pytest.mark.parametrize(
    "args",
    [("dice", "show", "--nope"), ("dice", "nope"), ("gateway", "nope"), ("nope",)],
)
def test_a_wrong_command_line_is_exit_code_two(dice, capsys, args):
    code, out, err = run(capsys, *args)
    assert (code, out) == (2, "")
    assert "o such" in err


def test_a_group_that_cannot_be_imported_says_so(dice, capsys):
    code, _, err = run(capsys, "gone", "show")
    assert code == 1
    assert err.startswith("error[internal_error]: ModuleNotFoundError: No module")


@pytest.mark.parametrize("args", [(), ("--help",)])
def test_help_lists_groups_without_importing_them(dice, capsys, args):
    _, out, _ = run(capsys, *args)
    assert "Command groups of installed plugins: dice, gone, voicecall." in out
    assert "gateway" in out
    assert "plugins" in out


def test_wrong_parameters_never_reach_the_gateway(dice, capsys):
    code, _, err = run(capsys, "gateway", "call", "m", "--params", "[1]")
    assert (code, err) == (
        1,
        "error[invalid_params]: --params must be one JSON object.\n",
    )
    code, _, err = run(capsys, "gateway", "call", "m", "--params", "{")
    assert err.startswith("error[invalid_params]: --params is not JSON: ")


def test_a_log_level_that_does_not_exist(dice, capsys):
    code, _, err = run(capsys, "gateway", "run", "--log-level", "loud")
    assert code == 2
    assert "must be debug, info, warning or error" in err


def test_the_context_reads_the_configuration_on_first_use(tmp_path):
    environ = {"OPENCLAW_STATE_DIR": str(tmp_path), "WORD": "w"}
    context = CommandContext(environ=environ)
    (tmp_path / "openclaw.json").write_text('{a: "${WORD}"}', encoding="utf-8")
    assert context.config == {"a": "w"}
    assert context.state_dir == tmp_path


def test_the_context_needs_no_other_variables_to_dial(tmp_path):
    (tmp_path / "openclaw.json").write_text('{a: "${NOPE}"}', encoding="utf-8")
    context = CommandContext(
        url="ws://127.0.0.1:1", environ={"OPENCLAW_STATE_DIR": str(tmp_path)}
    )
    with pytest.raises(GatewayDown):
        context.call("health", {}, timeout_s=1)
    with pytest.raises(GatewayDown):
        next(context.events())
    with pytest.raises(ConfigInvalid):
        _ = context.config


@pytest.fixture
def dial(tmp_path):
    def dial(text="{}", *, url="", token="", **environ):
        (tmp_path / "openclaw.json").write_text(text, encoding="utf-8")
        (tmp_path / "gateway.token").write_text("generated\n", encoding="utf-8")
        environ["OPENCLAW_STATE_DIR"] = str(tmp_path)
        config = CommandContext(environ=environ).loaded
        address = find_address(config, url=url, token=token)
        return address.url, address.mode, address.secret

    return dial


@pytest.mark.parametrize(
    ("text", "arguments", "environ", "outcome"),
    [
        ("{}", {}, {}, ("ws://127.0.0.1:18789", "token", "generated")),
        (
            '{gateway: {bind: "lan", port: 5, auth: {token: "t"}}}',
            {},
            {},
            ("ws://127.0.0.1:5", "token", "t"),
        ),
        (
            '{gateway: {bind: "custom", customBindHost: "::1", auth: {token: "t"}}}',
            {},
            {},
            ("ws://[::1]:18789", "token", "t"),
        ),
        (
            '{gateway: {auth: {password: "p"}}}',
            {},
            {},
            ("ws://127.0.0.1:18789", "password", "p"),
        ),
        (
            '{gateway: {auth: {password: "p"}}}',
            {"token": "t"},
            {},
            ("ws://127.0.0.1:18789", "token", "t"),
        ),
        (
            "{}",
            {},
            {"OPENCLAW_GATEWAY_URL": "wss://far.example"},
            ("wss://far.example", "token", ""),
        ),
        (
            "{}",
            {"url": "ws://localhost:9"},
            {"OPENCLAW_GATEWAY_URL": "wss://far.example"},
            ("ws://localhost:9", "token", "generated"),
        ),
        (
            "{}",
            {"url": "wss://far.example"},
            {"OPENCLAW_GATEWAY_TOKEN": "e"},
            ("wss://far.example", "token", "e"),
        ),
    ],
)
def test_where_the_gateway_is_and_what_it_is_told(
    dial, text, arguments, environ, outcome
):
    assert dial(text, **arguments, **environ) == outcome


@pytest.mark.parametrize("url", ["http://a", "ws://", "ws://a:x", "ws://a:0", "nope"])
def test_what_is_no_address_is_refused(dial, url):
    with pytest.raises(ConfigInvalid, match="must look like"):
        dial(url=url)
