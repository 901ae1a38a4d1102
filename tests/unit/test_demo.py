"""The demo: its Gateway, what it prints, and when it counts as having gone well."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from voice_call import demo
from voice_call.demo import DemoFailed, run_demo
from voice_call.testing.gateway import FakeGatewayClient, GatewayFault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from voice_call.testing.gateway import Answer

T_MS = 1_700_000_000_000
DOWN = GatewayFault("gateway_down", "No Gateway runs.")
STARTING = GatewayFault("plugin_starting", "The plugin is starting.")
PATIENT = "#!/bin/sh\necho started\nexec sleep 60\n"
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
BROKEN = "#!/bin/sh\necho no port >&2\nexit 1\n"


def entry(at_s: float, speaker: str, text: str, **more: object) -> dict[str, Any]:
    return {
        "timestamp": T_MS + round(at_s * 1000),
        "speaker": speaker,
        "text": text,
        **more,
    }


TALK = [
    entry(1.0, "bot", "Hello."),
    entry(3.0, "user", "What time is it?"),
    entry(5.0, "bot", "It is", isCut=True),
    entry(6.0, "user", "Sorry?"),
    entry(8.0, "bot", "It is noon."),
    entry(65.25, "user", "Goodbye."),
]


def record(state: str, *, lines: int = 0, **more: object) -> dict[str, Any]:
    return {
        "callId": "call-1",
        "state": state,
        "startedAt": T_MS - 2000,
        "transcript": TALK[:lines],
        **more,
    }


ENDED = record(
    "hangup-bot",
    lines=6,
    answeredAt=T_MS,
    endedAt=T_MS + 66_040,
    endReason="hangup-bot",
    ending={"cause": "normal", "by": "agent", "carrierCode": None, "detail": None},
)
REPORT = {
    "latencies": [
        {
            "turn": 1,
            "transcriptMs": 250,
            "firstTextMs": 12,
            "firstAudioMs": 90,
            "firstFrameMs": 3,
            "totalMs": 855,
        },
        {"turn": 2, "transcriptMs": 240, "firstTextMs": None},
    ]
}


def found(call: Mapping[str, Any]) -> dict[str, Any]:
    return {"found": True, "call": call}


def client_of(
    folder: Path,
    *,
    status: Sequence[Answer] = ({"found": True, "calls": []},),
    describe: Sequence[Answer] = (found(ENDED),),
) -> FakeGatewayClient:
    return FakeGatewayClient(
        state_dir=folder,
        answers={
            "voicecall.status": status,
            "voicecall.initiate": [{"callId": "call-1", "initiated": True}],
            "voicecall.describe": describe,
        },
    )


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll without pauses, and put the environment back afterwards."""
    monkeypatch.setattr(demo, "_POLL_S", 0.0)
    for name in ("OPENCLAW_CONFIG_PATH", "OPENCLAW_STATE_DIR"):
        monkeypatch.setenv(name, "")


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Say what runs in place of a real Gateway."""

    def use(script: str) -> None:
        program = tmp_path / "openclaw"
        program.write_text(script, encoding="utf-8")
        program.chmod(0o700)
        monkeypatch.setattr(demo, "_openclaw", lambda: str(program))

    use(PATIENT)
    return use


def leave_report(out: Path) -> None:
    folder = out / "calls" / "call-1"
    folder.mkdir(parents=True)
    (folder / "timeline.svg").write_text("<svg/>")
    (folder / "transcript.json").write_text(json.dumps(REPORT))


# -- a whole demo ----------------------------------------------------------------------


@pytest.mark.usefixtures("gateway")
def test_a_demo_shows_the_call_and_its_latencies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_report(tmp_path)
    talking = record("speaking", lines=2, answeredAt=T_MS)
    client = client_of(
        tmp_path,
        status=[DOWN, STARTING, {"found": True, "calls": []}],
        describe=[
            found(record("initiated")),
            found(record("ringing")),
            found(record("ringing")),
            found(record("answered", answeredAt=T_MS)),
            found(talking),
            found(ENDED),
        ],
    )
    assert run_demo(client, tmp_path) == 0
    assert capsys.readouterr().out == (
        f"""\
Starting a Gateway with the Voice Call plugin on the mock carrier …
Calling the simulated callee +15550100001 …

[00:00.0]  … ringing
[00:00.0]  … answered
[00:01.0]  agent   Hello.
[00:03.0]  callee  What time is it?
[00:05.0]  agent   It is —
[00:06.0]  callee  Sorry?
[00:08.0]  agent   It is noon.
[01:05.2]  callee  Goodbye.

Duration  66.0 s
Ended     hangup-bot (normal, by agent)

Latency by turn, in ms
  end of speech → transcript      250    240
  → first agent text               12      –
  → first audio                    90      –
  → first frame                     3      –
  silence heard                   855      –

{tmp_path}/calls/call-1/recording.wav
{tmp_path}/calls/call-1/transcript.json
{tmp_path}/calls/call-1/transcript.md
{tmp_path}/calls/call-1/timeline.svg
"""
    )


@pytest.mark.usefixtures("gateway")
def test_a_first_call_may_wait_for_engines_that_load(tmp_path: Path) -> None:
    leave_report(tmp_path)
    client = client_of(tmp_path)
    run_demo(client, tmp_path)
    (placing,) = (c for c in client.calls if c.method == "voicecall.initiate")
    assert placing.timeout_s == 60.0
    assert placing.params["mode"] == "conversation"


@pytest.mark.usefixtures("gateway")
def test_the_gateway_s_own_output_goes_to_a_file(tmp_path: Path) -> None:
    leave_report(tmp_path)
    run_demo(client_of(tmp_path), tmp_path)
    assert (tmp_path / "gateway.log").exists()


@pytest.mark.usefixtures("gateway")
def test_the_gateway_is_told_its_configuration(tmp_path: Path) -> None:
    leave_report(tmp_path)
    run_demo(client_of(tmp_path), tmp_path)
    state = tmp_path / "state"
    assert os.environ["OPENCLAW_CONFIG_PATH"] == str(state / "openclaw.json")
    assert os.environ["OPENCLAW_STATE_DIR"] == str(state)


@pytest.mark.usefixtures("gateway")
def test_what_an_earlier_demo_left_is_cleared(tmp_path: Path) -> None:
    leave_report(tmp_path)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "old").write_text("x")
    run_demo(client_of(tmp_path), tmp_path)
    assert [each.name for each in (tmp_path / "state").iterdir()] == ["openclaw.json"]


@pytest.mark.usefixtures("gateway")
def test_a_relative_folder_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    leave_report(tmp_path / "out")
    run_demo(client_of(tmp_path), Path("out"))
    assert os.environ["OPENCLAW_STATE_DIR"] == str(tmp_path / "out" / "state")


@pytest.mark.usefixtures("gateway")
def test_a_call_that_goes_wrong_is_no_success(tmp_path: Path) -> None:
    leave_report(tmp_path)
    client = client_of(tmp_path, describe=[found({**ENDED, "state": "error"})])
    assert run_demo(client, tmp_path) == 1


# -- what can go wrong -----------------------------------------------------------------


def test_a_gateway_that_does_not_run_is_told(
    tmp_path: Path, gateway: Callable[[str], None]
) -> None:
    gateway(BROKEN)
    with pytest.raises(DemoFailed, match=r"did not start; see .*gateway\.log"):
        run_demo(client_of(tmp_path, status=[DOWN]), tmp_path)
    assert "no port" in (tmp_path / "gateway.log").read_text()


@pytest.mark.usefixtures("gateway")
def test_a_gateway_that_never_gets_ready_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "_START_LIMIT_S", 0.05)
    with pytest.raises(DemoFailed, match="did not start"):
        run_demo(client_of(tmp_path, status=[STARTING]), tmp_path)


@pytest.mark.usefixtures("gateway")
def test_a_plugin_that_cannot_run_is_told_in_its_own_words(tmp_path: Path) -> None:
    fault = GatewayFault("engine_missing", "Run: pip install it.")
    with pytest.raises(DemoFailed, match=r"^Run: pip install it\. See .*gateway\.log"):
        run_demo(client_of(tmp_path, status=[fault]), tmp_path)


@pytest.mark.usefixtures("gateway")
def test_a_call_that_does_not_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "_CALL_LIMIT_S", 0.05)
    client = client_of(tmp_path, describe=[found(record("ringing"))])
    with pytest.raises(DemoFailed, match="did not end"):
        run_demo(client, tmp_path)


@pytest.mark.usefixtures("gateway")
def test_a_call_that_nobody_answers_is_told(tmp_path: Path) -> None:
    unanswered = record("no-answer", endedAt=T_MS, endReason="no-answer")
    client = client_of(tmp_path, describe=[found(unanswered)])
    with pytest.raises(DemoFailed, match=r"did not answer \(no-answer\)"):
        run_demo(client, tmp_path)


@pytest.mark.usefixtures("gateway")
def test_a_call_without_a_report_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "_START_LIMIT_S", 0.05)
    with pytest.raises(DemoFailed, match="left no report"):
        run_demo(client_of(tmp_path), tmp_path)


def test_a_gateway_that_will_not_stop_is_stopped_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "_STOP_LIMIT_S", 0.1)
    command = ["/bin/sh", "-c", STUBBORN]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        demo._stop(process)
        assert process.returncode == -signal.SIGKILL


# -- its parts -------------------------------------------------------------------------


def test_the_configuration_keeps_its_token_to_itself(tmp_path: Path) -> None:
    path = demo._write_config(tmp_path, tmp_path / "out")
    config = json.loads(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(config["gateway"]["auth"]["token"]) >= 32
    assert config["gateway"]["auth"]["mode"] == "token"
    assert 1024 <= config["gateway"]["port"] <= 65_535
    assert config["plugins"]["entries"]["voice-call"] == {
        "enabled": True,
        "config": {
            "provider": "mock",
            "toNumber": "+15550100001",
            "recording": {"enabled": True, "path": str(tmp_path / "out" / "calls")},
        },
    }


def test_every_demo_has_a_token_of_its_own(tmp_path: Path) -> None:
    tokens = {
        json.loads(demo._write_config(tmp_path, tmp_path).read_text())["gateway"][
            "auth"
        ]["token"]
        for _ in range(3)
    }
    assert len(tokens) == 3


def test_the_command_beside_this_python_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = tmp_path / "openclaw"
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "")
    assert demo._openclaw() == "openclaw"
    beside.touch()
    assert demo._openclaw() == str(beside)


@pytest.mark.parametrize(
    ("at_s", "shown"),
    [
        (None, "[00:00.0]"),
        (-1.0, "[00:00.0]"),
        (0.0, "[00:00.0]"),
        (9.94, "[00:09.9]"),
        (59.94, "[00:59.9]"),
        (59.96, "[01:00.0]"),
        (125.5, "[02:05.5]"),
    ],
)
def test_times_count_from_the_answer(at_s: float | None, shown: str) -> None:
    at_ms = None if at_s is None else T_MS + round(at_s * 1000)
    assert demo._offset(record("active", answeredAt=T_MS), at_ms) == shown


def test_before_the_answer_times_count_from_the_dial() -> None:
    assert demo._offset(record("ringing"), T_MS) == "[00:02.0]"


@pytest.mark.parametrize(
    ("state", "speakers", "is_well"),
    [
        ("hangup-bot", "bububu", True),
        ("hangup-bot", "bubububu", True),
        ("hangup-bot", "bubub", False),
        ("hangup-bot", "ububu", False),
        ("hangup-user", "bububu", False),
        ("timeout", "bububu", False),
        ("hangup-bot", "", False),
    ],
)
def test_it_went_well_with_three_turns_each_and_the_agent_s_good_bye(
    state: str, speakers: str, *, is_well: bool
) -> None:
    names = {"b": "bot", "u": "user"}
    lines = [entry(0.0, names[each], "x") for each in speakers]
    assert demo._went_well({"state": state, "transcript": lines}) is is_well


def test_a_call_without_turns_has_an_empty_table() -> None:
    lines = demo._latency_table({"latencies": []}).splitlines()
    assert lines[0] == "Latency by turn, in ms"
    assert lines[1].strip() == "end of speech → transcript"
    assert len(lines) == 6
