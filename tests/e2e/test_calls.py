"""Calls through the real command line and a real Gateway process on the mock carrier."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from e2e.gateway_process import GatewayProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.speech, pytest.mark.timeout(180)]

SILENT, PRESSER, KEYPAD = "+15550100000", "+15550100004", "+15550100003"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    plugin = {
        "maxConcurrentCalls": 4,
        "drainSeconds": 0,
        "transcriptTimeoutMs": 2500,
        "inboundPolicy": "allowlist",
        "allowFrom": [SILENT],
        "maxInboundCalls": 1,
        "inboundGreeting": "Good day.",
    }
    with GatewayProcess(tmp_path_factory.mktemp("gateway"), plugin) as running:
        yield running


def place(gateway: GatewayProcess, to: str, mode: str = "conversation") -> str:
    done = gateway.cli(
        "voicecall", "call", "--to", to, "--message", "Hello.", "--mode", mode
    )
    assert done.returncode == 0, done.stderr
    call_id: str = json.loads(done.stdout)["callId"]
    return call_id


def fails(gateway: GatewayProcess, code: str, *arguments: str) -> str:
    """Run a command that must fail with a code and one sentence."""
    done = gateway.cli("voicecall", *arguments)
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.startswith(f"error[{code}]: "), done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


def test_notify_says_the_message_and_hangs_up(gateway: GatewayProcess) -> None:
    call_id = place(gateway, SILENT, "notify")
    record = gateway.wait_for(call_id, "completed")
    assert [each["text"] for each in record["transcript"]] == ["Hello."]
    assert record["ending"]["by"] == "system"


def test_a_conversation_by_command_line(gateway: GatewayProcess) -> None:
    call_id = place(gateway, PRESSER)
    gateway.wait_for(call_id, "active", "speaking", "listening")
    answer = gateway.cli(
        "voicecall", "continue", "--call-id", call_id, "--message", "Press a key."
    )
    # The presser presses 1, 2 and # once, after the agent has finished talking.
    result: dict[str, Any] = json.loads(answer.stdout) if answer.stdout else {}
    if answer.returncode == 0:
        assert result == {"success": True, "transcript": "12"}
    else:
        assert answer.stderr.startswith("error[transcript_timeout]")
    spoken = gateway.cli(
        "voicecall", "speak", "--call-id", call_id, "--message", "Thank you."
    )
    assert json.loads(spoken.stdout) == {"success": True}
    ended = gateway.cli("voicecall", "end", "--call-id", call_id)
    assert json.loads(ended.stdout) == {"success": True}
    status = gateway.cli("voicecall", "status", "--call-id", call_id)
    record = json.loads(status.stdout)
    assert (record["state"], record["endReason"]) == ("hangup-bot", "hangup-bot")


def test_keys_travel_both_ways(gateway: GatewayProcess) -> None:
    call_id = place(gateway, KEYPAD)
    gateway.wait_for(call_id, "listening")
    pressed = gateway.cli("voicecall", "dtmf", "--call-id", call_id, "--digits", "42#")
    assert json.loads(pressed.stdout) == {"success": True}
    limit = 100
    while limit and not any(
        each["text"] == "[pressed 42]"
        for each in gateway.describe(call_id)["transcript"]
    ):
        limit -= 1
    assert limit
    gateway.call("voicecall.end", {"callId": call_id})


@pytest.mark.parametrize(
    ("number", "state", "cause"),
    [
        ("+15550100010", "busy", "busy"),
        ("+15550100012", "busy", "rejected"),
        ("+15550100031", "failed", "failed"),
    ],
)
def test_calls_that_nobody_takes(
    gateway: GatewayProcess, number: str, state: str, cause: str
) -> None:
    record = gateway.wait_for(place(gateway, number), state)
    assert record["ending"]["cause"] == cause


def test_bad_numbers_and_messages(gateway: GatewayProcess) -> None:
    fails(gateway, "invalid_number", "call", "--to", "12", "--message", "x")
    fails(gateway, "number_refused", "call", "--to", "+1911", "--message", "x")
    fails(gateway, "message_required", "call", "--to", SILENT, "--message", "  ")
    fails(gateway, "message_too_long", "call", "--to", SILENT, "-m", "x" * 100_000)
    fails(gateway, "parameter_required", "call", "--message", "x")


def test_unknown_and_ended_calls(gateway: GatewayProcess) -> None:
    for command in ("speak", "continue"):
        fails(gateway, "unknown_call", command, "--call-id", "nobody", "-m", "x")
    fails(gateway, "unknown_call", "end", "--call-id", "nobody")
    missing = gateway.cli("voicecall", "status", "--call-id", "nobody")
    assert (missing.returncode, json.loads(missing.stdout)) == (1, {"found": False})
    call_id = place(gateway, "+15550100010")
    gateway.wait_for(call_id, "busy")
    fails(gateway, "call_ended", "continue", "--call-id", call_id, "-m", "x")
    fails(gateway, "call_ended", "speak", "--call-id", call_id, "-m", "x")


def test_two_questions_at_once(gateway: GatewayProcess) -> None:
    call_id = place(gateway, SILENT)
    gateway.wait_for(call_id, "listening")
    ask = ("voicecall", "continue", "--call-id", call_id, "--message", "Who is there?")
    with ThreadPoolExecutor(2) as pool:
        both = [
            each.result() for each in [pool.submit(gateway.cli, *ask) for _ in "12"]
        ]
    codes = sorted(each.stderr.partition("]")[0] for each in both)
    assert codes == ["error[transcript_timeout", "error[turn_in_progress"]
    gateway.call("voicecall.end", {"callId": call_id})


def call_in(gateway: GatewayProcess, from_: str) -> str:
    done = gateway.cli("voicecall", "call-in", "--from", from_)
    assert done.returncode == 0, done.stderr
    carrier_call_id: str = json.loads(done.stdout)["providerCallId"]
    return carrier_call_id


def test_inbound_calls_are_greeted_or_refused(gateway: GatewayProcess) -> None:
    taken = call_in(gateway, SILENT)
    record = gateway.wait_for(taken, "listening")
    assert [each["text"] for each in record["transcript"]] == ["Good day."]
    stranger = gateway.wait_for(call_in(gateway, PRESSER), "hangup-bot")
    assert stranger["ending"]["cause"] == "policy"
    second = gateway.wait_for(call_in(gateway, SILENT), "busy")
    assert second["ending"]["cause"] == "all_lines_busy"
    ended = gateway.cli("voicecall", "end", "--call-id", taken)
    assert json.loads(ended.stdout) == {"success": True}


def test_no_line_is_free(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, {"drainSeconds": 0}) as gateway:
        place(gateway, SILENT)
        sentence = fails(gateway, "limit_reached", "call", "--to", SILENT, "-m", "x")
        assert "maxConcurrentCalls" in sentence


def test_status_without_a_gateway_reads_the_journal(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path, {"drainSeconds": 0})
    with gateway:
        call_id = place(gateway, "+15550100010")
        gateway.wait_for(call_id, "busy")
    status = gateway.cli("voicecall", "status", "--call-id", call_id)
    assert json.loads(status.stdout)["state"] == "busy"
    fails(gateway, "gateway_down", "call", "--to", SILENT, "-m", "x")
