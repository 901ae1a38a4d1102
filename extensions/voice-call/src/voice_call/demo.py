"""`openclaw voicecall demo`: a whole spoken call that a newcomer can hear.

A Gateway of its own is started as a second process, on loopback, with the Voice Call
plugin on the mock carrier. It rings a simulated callee; two embedded voices talk and
recognise each other over 20 ms frames in real time. This process only watches over RPC
and prints.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from voice_call.carriers.simulated.numbers import MAGIC_NUMBERS
from voice_call.errors import VoiceCallError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_call.gateway_client import GatewayClient

__all__ = ["DemoFailed", "run_demo"]

_DEMO_NUMBER = next(each.number for each in MAGIC_NUMBERS if each.persona == "demo")
_TURNS_EACH_WAY = 3
_START_LIMIT_S = 60.0
_CALL_LIMIT_S = 150.0
_NOT_YET = ("gateway_down", "plugin_starting")
_POLL_S = 0.15
_STOP_LIMIT_S = 30.0
_RPC_TIMEOUT_S = 10.0
_PLACE_TIMEOUT_S = 60.0
"""The speech engines may still be loading."""
_OPENING = "Hello, this is the receptionist of the demo office. How can I help you?"
_NAMES = {"bot": "agent ", "user": "callee"}
_PARTS = (
    ("transcriptMs", "end of speech → transcript"),
    ("firstTextMs", "→ first agent text"),
    ("firstAudioMs", "→ first audio"),
    ("firstFrameMs", "→ first frame"),
    ("totalMs", "silence heard"),
)


class DemoFailed(VoiceCallError):
    """Raised when the demo's Gateway or call did not do what it should."""

    code = "demo_failed"


def run_demo(client: GatewayClient, out: Path) -> int:
    """Hold the call, print what happens, return the exit code.

    Raises:
        DemoFailed: With the sentence that says where to look.
    """
    out = out.absolute()
    state = out / "state"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True, mode=0o700)
    config = _write_config(state, out)
    os.environ["OPENCLAW_CONFIG_PATH"] = str(config)
    os.environ["OPENCLAW_STATE_DIR"] = str(state)
    _say("Starting a Gateway with the Voice Call plugin on the mock carrier …")
    log_path = out / "gateway.log"
    with log_path.open("wb") as log:
        command = [_openclaw(), "gateway", "run"]
        gateway = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - our own program
    try:
        return _hold_call(client, gateway, out)
    finally:
        _stop(gateway)


def _write_config(state: Path, out: Path) -> Path:
    config = {
        "gateway": {
            "port": _free_port(),
            "auth": {"mode": "token", "token": secrets.token_urlsafe(24)},
        },
        "plugins": {
            "entries": {
                "voice-call": {
                    "enabled": True,
                    "config": {
                        "provider": "mock",
                        "toNumber": _DEMO_NUMBER,
                        "recording": {"enabled": True, "path": str(out / "calls")},
                    },
                }
            }
        },
    }
    path = state / "openclaw.json"
    path.write_text(json.dumps(config, indent=2), encoding="utf-8")
    path.chmod(0o600)
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _openclaw() -> str:
    beside = Path(sys.executable).with_name("openclaw")
    return str(beside) if beside.exists() else (shutil.which("openclaw") or "openclaw")


def _stop(gateway: subprocess.Popen[bytes]) -> None:
    gateway.terminate()
    try:
        gateway.wait(timeout=_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        gateway.kill()
        gateway.wait()


# -- the call --------------------------------------------------------------------------


def _hold_call(
    client: GatewayClient, gateway: subprocess.Popen[bytes], out: Path
) -> int:
    _wait_until_ready(client, gateway, out)
    placed = client.call(
        "voicecall.initiate",
        {"message": _OPENING, "mode": "conversation"},
        timeout_s=_PLACE_TIMEOUT_S,
    )
    call_id = str(placed["callId"])
    _say(f"Calling the simulated callee {_DEMO_NUMBER} …\n")
    record = _follow(client, call_id, out)
    if "answeredAt" not in record:
        raise DemoFailed(
            f"The callee did not answer ({record['endReason']}); "
            f"see {out / 'gateway.log'}."
        )
    folder = out / "calls" / call_id
    report = _await_report(folder / "transcript.json", out)
    _print_summary(record, report, folder)
    return 0 if _went_well(record) else 1


def _wait_until_ready(
    client: GatewayClient, gateway: subprocess.Popen[bytes], out: Path
) -> None:
    limit = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < limit:
        if gateway.poll() is not None:
            break
        try:
            client.call("voicecall.status", {}, timeout_s=_RPC_TIMEOUT_S)
        except Exception as fault:
            if getattr(fault, "code", None) not in _NOT_YET:
                raise DemoFailed(f"{fault} See {out / 'gateway.log'}.") from fault
            _pause()
        else:
            return
    raise DemoFailed(f"The Gateway did not start; see {out / 'gateway.log'}.")


def _follow(client: GatewayClient, call_id: str, out: Path) -> Mapping[str, Any]:
    """Print the transcript as it grows; return the record of the ended call."""
    printed, state = 0, ""
    limit = time.monotonic() + _CALL_LIMIT_S
    while time.monotonic() < limit:
        answer = client.call(
            "voicecall.describe", {"callId": call_id}, timeout_s=_RPC_TIMEOUT_S
        )
        record: Mapping[str, Any] = answer["call"]
        if record["state"] != state and record["state"] in ("ringing", "answered"):
            _say(f"{_offset(record, None)}  … {record['state']}")
        state = record["state"]
        for entry in record["transcript"][printed:]:
            cut = " —" if entry.get("isCut") else ""
            who = _NAMES[entry["speaker"]]
            _say(f"{_offset(record, entry['timestamp'])}  {who}  {entry['text']}{cut}")
            printed += 1
        if "endedAt" in record:
            return record
        _pause()
    raise DemoFailed(f"The call did not end; see {out / 'gateway.log'}.")


def _offset(record: Mapping[str, Any], at_ms: int | None) -> str:
    zero = record.get("answeredAt", record["startedAt"])
    tenths = 0 if at_ms is None else round(max(0, at_ms - zero) / 100)
    minutes, tenths = divmod(tenths, 600)
    return f"[{minutes:02d}:{tenths / 10:04.1f}]"


def _await_report(path: Path, out: Path) -> Mapping[str, Any]:
    limit = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < limit:
        if path.exists() and path.with_name("timeline.svg").exists():
            report: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return report
        _pause()
    raise DemoFailed(f"The call left no report; see {out / 'gateway.log'}.")


def _went_well(record: Mapping[str, Any]) -> bool:
    speakers = [entry["speaker"] for entry in record["transcript"]]
    return (
        record["state"] == "hangup-bot"
        and speakers.count("bot") >= _TURNS_EACH_WAY
        and speakers.count("user") >= _TURNS_EACH_WAY
    )


# -- what is printed -------------------------------------------------------------------


def _print_summary(
    record: Mapping[str, Any], report: Mapping[str, Any], folder: Path
) -> None:
    ending = record["ending"]
    seconds = (record["endedAt"] - record["answeredAt"]) / 1000
    _say("")
    _say(f"Duration  {seconds:.1f} s")
    _say(f"Ended     {record['endReason']} ({ending['cause']}, by {ending['by']})")
    _say("")
    _say(_latency_table(report))
    _say("")
    for name in ("recording.wav", "transcript.json", "transcript.md", "timeline.svg"):
        _say(f"{folder / name}")


def _latency_table(report: Mapping[str, Any]) -> str:
    lines = ["Latency by turn, in ms"]
    turns = report["latencies"]
    for key, label in _PARTS:
        cells = "".join(f"{_cell(turn.get(key)):>7}" for turn in turns)
        lines.append(f"  {label:<28}{cells}")
    return "\n".join(lines)


def _cell(value: object) -> str:
    return "–" if value is None else str(value)


def _say(line: str) -> None:
    typer.echo(line)


def _pause() -> None:
    threading.Event().wait(_POLL_S)
