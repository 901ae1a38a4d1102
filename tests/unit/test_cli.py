"""`openclaw voicecall …`: what is asked of the Gateway, and what is printed."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from voice_call.call.model import CallId, CallMode, Direction
from voice_call.call.setup import CallSetup
from voice_call.cli import app
from voice_call.runtime.journal import Journal
from voice_call.runtime.journal_codec import CallOpened
from voice_call.runtime.recovery import pack_setup
from voice_call.testing.gateway import AskedMethod, FakeGatewayClient, GatewayFault

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from click.testing import Result

    from voice_call.testing.gateway import Answer

CALLEE = "+15550100999"
PLACED = {"callId": "call-1", "initiated": True}
DONE = {"success": True}
RECORD = {"callId": "call-1", "state": "active", "to": CALLEE}
DOWN = GatewayFault("gateway_down", "No Gateway runs.")


def client_of(
    folder: Path, *, config: Mapping[str, Any] | None = None, **answers: Answer
) -> FakeGatewayClient:
    """Return a client that answers `voicecall.<name>` for ever in the same way."""
    return FakeGatewayClient(
        state_dir=folder,
        config=config,
        answers={f"voicecall.{name}": [each] for name, each in answers.items()},
    )


def run(client: FakeGatewayClient, *arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, obj=client)


def printed(result: Result) -> dict[str, Any]:
    """Return the one JSON object on standard output of a command that succeeded."""
    assert result.exit_code == 0, result.output
    value: dict[str, Any] = json.loads(result.stdout)
    assert result.stdout == json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    return value


def test_the_gateway_s_command_finds_the_group():
    (point,) = entry_points(group="openclaw.cli", name="voicecall")
    assert point.load() is app


# -- commands that ask the Gateway -----------------------------------------------------

COMMANDS: list[tuple[tuple[str, ...], AskedMethod, Mapping[str, Any]]] = [
    (
        ("call", "--message", "Hello."),
        AskedMethod(
            method="voicecall.initiate", params={"message": "Hello."}, timeout_s=60.0
        ),
        {"callId": "call-1"},
    ),
    (
        ("call", "-m", "Hello.", "-t", CALLEE, "--mode", "conversation"),
        AskedMethod(
            method="voicecall.initiate",
            params={"message": "Hello.", "to": CALLEE, "mode": "conversation"},
            timeout_s=60.0,
        ),
        {"callId": "call-1"},
    ),
    (
        ("start", "--to", CALLEE),
        AskedMethod(method="voicecall.start", params={"to": CALLEE}, timeout_s=60.0),
        {"callId": "call-1"},
    ),
    (
        ("start", "--to", CALLEE, "--message", "Hi.", "--mode", "notify"),
        AskedMethod(
            method="voicecall.start",
            params={"to": CALLEE, "message": "Hi.", "mode": "notify"},
            timeout_s=60.0,
        ),
        {"callId": "call-1"},
    ),
    (
        ("continue", "--call-id", "call-1", "--message", "When?"),
        AskedMethod(
            method="voicecall.continue",
            params={"callId": "call-1", "message": "When?"},
            timeout_s=240.0,
        ),
        {"success": True, "transcript": "Um zwölf."},
    ),
    (
        ("speak", "--call-id", "call-1", "--message", "Hi."),
        AskedMethod(
            method="voicecall.speak",
            params={"callId": "call-1", "message": "Hi."},
            timeout_s=10.0,
        ),
        DONE,
    ),
    (
        ("dtmf", "--call-id", "call-1", "--digits", "12#"),
        AskedMethod(
            method="voicecall.dtmf",
            params={"callId": "call-1", "digits": "12#"},
            timeout_s=10.0,
        ),
        DONE,
    ),
    (
        ("call-in", "--from", CALLEE, "--to", "+15550000000"),
        AskedMethod(
            method="voicecall.callIn",
            params={"from": CALLEE, "to": "+15550000000"},
            timeout_s=60.0,
        ),
        {"providerCallId": "mock-in-1"},
    ),
    (
        ("call-in",),
        AskedMethod(method="voicecall.callIn", params={}, timeout_s=60.0),
        {"providerCallId": "mock-in-1"},
    ),
    (
        ("end", "--call-id", "call-1"),
        AskedMethod(
            method="voicecall.end", params={"callId": "call-1"}, timeout_s=30.0
        ),
        DONE,
    ),
    (
        ("status", "--call-id", "call-1"),
        AskedMethod(
            method="voicecall.describe", params={"callId": "call-1"}, timeout_s=10.0
        ),
        RECORD,
    ),
]


@pytest.mark.parametrize(("arguments", "asked", "expected"), COMMANDS)
def test_a_command_asks_once_and_prints_one_json_object(
    tmp_path: Path,
    arguments: tuple[str, ...],
    asked: AskedMethod,
    expected: Mapping[str, Any],
) -> None:
    client = client_of(
        tmp_path,
        initiate=PLACED,
        start=PLACED,
        speak=DONE,
        dtmf=DONE,
        end=DONE,
        callIn={"providerCallId": "mock-in-1"},
        describe={"found": True, "call": RECORD},
        **{"continue": {"success": True, "transcript": "Um zwölf."}},
    )
    result = run(client, *arguments)
    assert printed(result) == expected
    assert client.calls == [asked]
    assert result.stderr == ""


@pytest.mark.parametrize(("arguments", "asked", "_expected"), COMMANDS)
def test_a_failure_reaches_the_host_as_it_is(
    tmp_path: Path,
    arguments: tuple[str, ...],
    asked: AskedMethod,
    _expected: Mapping[str, Any],
) -> None:
    fault = GatewayFault("gateway_timeout", "The Gateway did not answer in time.")
    client = FakeGatewayClient(state_dir=tmp_path, answers={asked.method: [fault]})
    result = run(client, *arguments)
    assert result.exception is fault
    assert result.exit_code != 0
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("call",),
        ("start",),
        ("continue", "--call-id", "x"),
        ("speak", "--message", "x"),
        ("dtmf", "--call-id", "x"),
        ("end",),
        ("demo",),
        ("dance",),
    ],
)
def test_a_wrong_command_line_is_told_and_nothing_asked(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    client = client_of(tmp_path)
    result = run(client, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert client.calls == []


# -- how long an answer is waited for --------------------------------------------------


def entry(config: object) -> dict[str, Any]:
    return {"plugins": {"entries": {"voice-call": {"config": config}}}}


@pytest.mark.parametrize(
    ("config", "timeout_s"),
    [
        ({}, 240.0),
        (entry({}), 240.0),
        (entry({"transcriptTimeoutMs": 30_000}), 90.0),
        (entry({"transcriptTimeoutMs": 2500}), 62.5),
        # What the Gateway would refuse is its to tell; the command just waits.
        (entry({"transcriptTimeoutMs": "soon"}), 240.0),
        (entry({"transcriptTimeoutMs": True}), 240.0),
        (entry({"transcriptTimeoutMs": -5}), 240.0),
        (entry({"transcriptTimeoutMs": None}), 240.0),
        (entry(None), 240.0),
        ({"plugins": None}, 240.0),
        ({"plugins": {"entries": []}}, 240.0),
        ({"plugins": {"entries": {"voice-call": True}}}, 240.0),
    ],
)
def test_continue_waits_as_long_as_the_plugin_does_and_a_minute_more(
    tmp_path: Path, config: Mapping[str, Any], timeout_s: float
) -> None:
    client = client_of(tmp_path, config=config, **{"continue": DONE})
    printed(run(client, "continue", "--call-id", "call-1", "--message", "When?"))
    assert client.calls[0].timeout_s == timeout_s


# -- status ----------------------------------------------------------------------------


def test_status_without_an_id_lists_the_live_calls(tmp_path: Path):
    client = client_of(tmp_path, describe={"found": True, "calls": [RECORD]})
    assert printed(run(client, "status")) == {"calls": [RECORD]}
    assert client.calls[0].params == {}


def test_status_of_an_unknown_call_is_no_success(tmp_path: Path):
    client = client_of(tmp_path, describe={"found": False})
    result = run(client, "status", "--call-id", "call-9")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"found": False}


async def write_open_call(path: Path) -> None:
    setup = CallSetup(call_id=CallId("call-1"), direction=Direction.OUTBOUND)
    journal = Journal.open(path)
    opened = CallOpened(
        call_id=setup.call_id,
        carrier="mock",
        direction=Direction.OUTBOUND,
        mode=CallMode.CONVERSATION,
        from_="+15550000000",
        to=CALLEE,
        session_key="k",
        opening=None,
        limits=pack_setup(setup),
    )
    await journal.append(setup.call_id, opened, at=1_700_000_000.0)
    await journal.close()


@pytest.mark.anyio
@pytest.mark.parametrize("store", [None, "elsewhere"])
async def test_without_a_gateway_status_reads_the_journal(
    tmp_path: Path, store: str | None
) -> None:
    folder = tmp_path / (store or "voice-calls")
    await write_open_call(folder / "calls.sqlite3")
    config = entry({"store": str(folder)}) if store else {}
    client = client_of(tmp_path, config=config, describe=DOWN)
    one = run(client, "status", "--call-id", "call-1")
    every = run(client, "status")
    unknown = run(client, "status", "--call-id", "call-9")
    assert printed(one)["to"] == CALLEE
    assert [each["callId"] for each in printed(every)["calls"]] == ["call-1"]
    assert (unknown.exit_code, json.loads(unknown.stdout)) == (1, {"found": False})
    assert one.stderr == "no Gateway runs; reading the journal\n"


def test_without_gateway_and_journal_nothing_is_found(tmp_path: Path):
    result = run(client_of(tmp_path, describe=DOWN), "status")
    assert (result.exit_code, json.loads(result.stdout)) == (1, {"found": False})


@pytest.mark.parametrize("command", ["call", "speak"])
def test_other_commands_fail_at_once_without_a_gateway(
    tmp_path: Path, command: str
) -> None:
    client = client_of(tmp_path, initiate=DOWN, speak=DOWN)
    options = () if command == "call" else ("--call-id", "call-1")
    result = run(client, command, "--message", "Hello.", *options)
    assert result.exception is DOWN
    assert len(client.calls) == 1


# -- demo ------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1])
def test_demo_ends_with_its_own_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    asked: list[tuple[object, Path]] = []

    def run_demo(client: object, out: Path) -> int:
        asked.append((client, out))
        return code

    monkeypatch.setattr("voice_call.demo.run_demo", run_demo)
    client = client_of(tmp_path)
    result = run(client, "demo", "--out", str(tmp_path / "out"))
    assert result.exit_code == code
    assert asked == [(client, tmp_path / "out")]
