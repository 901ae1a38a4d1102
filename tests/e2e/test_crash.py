"""`kill -9` at any moment: nothing acknowledged is lost, nothing is dialled again."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from e2e.gateway_process import GatewayProcess, pause
from voice_call.call.actions import Say
from voice_call.call.events import Dialed
from voice_call.runtime.journal_codec import CallOpened
from voice_call.runtime.journal_reader import JournalReader

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 20
MESSAGE = "This message is long enough to be playing whenever the process is killed."


@pytest.mark.speech
@pytest.mark.timeout(400)
def test_killed_at_twenty_random_moments(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path, {"drainSeconds": 0})
    moments = random.Random(20261125)
    acknowledged: list[str] = []
    spoken: list[str] = []
    for _ in range(KILLS):
        gateway.start()
        known = calls_in(gateway)
        # The one line there is must be free again, and nothing may ring by itself.
        placed = gateway.call(
            "voicecall.initiate",
            {"to": "+15550100000", "message": MESSAGE, "mode": "conversation"},
            timeout_s=5,
        )
        assert calls_in(gateway) - known == {placed["callId"]}
        acknowledged.append(placed["callId"])
        pause(moments.uniform(0.0, 1.6))
        if gateway.describe(placed["callId"])["state"] in ("active", "speaking"):
            gateway.call(
                "voicecall.speak", {"callId": placed["callId"], "message": "x"}
            )
            spoken.append(placed["callId"])
        gateway.kill()
    gateway.start()
    try:
        ended = [gateway.wait_for(each, "completed")["ending"] for each in acknowledged]
        assert {each["cause"] for each in ended} == {"lost"}
        assert gateway.call("voicecall.describe", {})["calls"] == []
    finally:
        gateway.stop()
    check_journal(gateway, acknowledged, spoken)


def calls_in(gateway: GatewayProcess) -> set[str]:
    reader = JournalReader.open_existing(gateway.journal)
    try:
        return {each.call_id for each in reader.calls(limit=1000)}
    finally:
        reader.close_reader()


def check_journal(
    gateway: GatewayProcess, acknowledged: list[str], spoken: list[str]
) -> None:
    reader = JournalReader.open_existing(gateway.journal)
    try:
        entries = reader.tail(0, limit=100_000)
    finally:
        reader.close_reader()
    opened = Counter(
        each.call_id for each in entries if isinstance(each.what, CallOpened)
    )
    dialed = Counter(each.call_id for each in entries if isinstance(each.what, Dialed))
    said = Counter(each.call_id for each in entries if isinstance(each.what, Say))
    assert set(opened) == set(acknowledged)
    assert set(opened.values()) == {1}
    assert max(dialed.values()) == 1
    assert set(said) == set(spoken)
