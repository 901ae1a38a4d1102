"""Killed in the middle of work, the journal has kept everything it acknowledged."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from voice_call.call.model import CallId
from voice_call.runtime.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 3
LINES_BEFORE_THE_KILL = 200

WRITER = """
import asyncio, sys
from pathlib import Path
from voice_call.call.events import Ringing
from voice_call.call.model import CallMode, Direction
from voice_call.runtime.journal import CallOpened, Journal

async def writes(journal, call, lane):
    number = 0
    while True:
        key = f"{call}-{lane}-{number}"
        await journal.append(call, Ringing(), at=1.0, dedupe_key=key)
        print(key, flush=True)
        number += 1

async def main():
    journal, call = Journal.open(Path(sys.argv[1])), sys.argv[2]
    await journal.append(call, CallOpened(call_id=call, carrier="mock",
        direction=Direction.INBOUND, mode=CallMode.CONVERSATION, from_="", to="",
        session_key="s"), at=1.0)
    await asyncio.gather(*(writes(journal, call, lane) for lane in range(4)))

asyncio.run(main())
"""


def acknowledged_before_kill(path: Path, call_id: str) -> set[str]:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), call_id],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(LINES_BEFORE_THE_KILL)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    return {line.strip() for line in lines if line.endswith("\n")}


def test_kill_9_loses_no_acknowledged_entry(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite3"
    for number in range(ROUNDS):
        call = CallId(f"call-{number}")
        acknowledged = acknowledged_before_kill(path, call)
        assert len(acknowledged) >= LINES_BEFORE_THE_KILL
        journal = Journal.open(path)
        kept = {entry.dedupe_key for entry in journal.entries(call)}
        assert acknowledged <= kept
        assert len(journal.open_calls()) == number + 1
        asyncio.run(journal.close())
