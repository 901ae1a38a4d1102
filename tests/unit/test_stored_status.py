"""Calls as the journal tells them while no Gateway runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from voice_call.call.actions import CallEnded
from voice_call.call.events import Answered, CarrierEnded, Dialed
from voice_call.call.model import (
    CallId,
    CallMode,
    CarrierCallId,
    Direction,
    EndCause,
    EndedBy,
    Ending,
)
from voice_call.call.setup import CallSetup
from voice_call.errors import ConfigError, JournalCorrupt
from voice_call.runtime.journal import Journal
from voice_call.runtime.journal_codec import CallOpened
from voice_call.runtime.recovery import pack_setup
from voice_call.stored_status import stored_status

if TYPE_CHECKING:
    from pathlib import Path

T = 1_700_000_000.0
T_MS = 1_700_000_000_000


async def write_call(
    journal: Journal, call_id: str, *, is_over: bool, limits: dict[str, Any] | None
) -> None:
    setup = CallSetup(
        call_id=CallId(call_id),
        direction=Direction.OUTBOUND,
        mode=CallMode.NOTIFY,
        opening="Your parcel is here.",
    )
    opened = CallOpened(
        call_id=CallId(call_id),
        carrier="mock",
        direction=Direction.OUTBOUND,
        mode=CallMode.NOTIFY,
        from_="+15550000000",
        to="+15550100999",
        session_key="voice:15550100999",
        opening="Your parcel is here.",
        limits=pack_setup(setup) if limits is None else limits,
    )
    await journal.append(opened.call_id, opened, at=T)
    carrier_call_id = CarrierCallId(f"mock-{call_id}")
    dialed = Dialed(carrier_call_id=carrier_call_id)
    await journal.append(
        opened.call_id, dialed, at=T + 1, carrier_call_id=carrier_call_id
    )
    await journal.append(opened.call_id, Answered(), at=T + 2)
    if is_over:
        ended = CarrierEnded(cause=EndCause.NORMAL, by=EndedBy.REMOTE)
        ending = Ending(cause=EndCause.NORMAL, by=EndedBy.REMOTE)
        await journal.append(opened.call_id, ended, at=T + 3)
        await journal.append(opened.call_id, CallEnded(ending=ending), at=T + 3)


async def write_journal(
    path: Path, *, over: str = "", live: str = "", damaged: str = ""
) -> None:
    journal = Journal.open(path)
    if over:
        await write_call(journal, over, is_over=True, limits=None)
    if live:
        await write_call(journal, live, is_over=False, limits=None)
    if damaged:
        await write_call(journal, damaged, is_over=True, limits={"no": "setup"})
    await journal.close()


def journal_in(state_dir: Path) -> Path:
    return state_dir / "voice-calls" / "calls.sqlite3"


def names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


@pytest.mark.parametrize("call_id", [None, "call-1"])
def test_without_a_journal_nothing_is_found_and_nothing_made(
    tmp_path: Path, call_id: str | None
) -> None:
    assert stored_status({}, tmp_path, call_id) == {"found": False}
    assert names_in(tmp_path) == []


@pytest.mark.anyio
@pytest.mark.parametrize("known", ["call-1", "mock-call-1"])
async def test_an_ended_call_is_told_in_full(tmp_path: Path, known: str) -> None:
    await write_journal(journal_in(tmp_path), over="call-1", live="call-2")
    assert stored_status({}, tmp_path, known) == {
        "found": True,
        "call": {
            "callId": "call-1",
            "provider": "mock",
            "providerCallId": "mock-call-1",
            "direction": "outbound",
            "state": "hangup-user",
            "startedAt": T_MS,
            "answeredAt": T_MS + 2000,
            "endedAt": T_MS + 3000,
            "endReason": "hangup-user",
            "ending": {
                "cause": "normal",
                "by": "remote",
                "carrierCode": None,
                "detail": None,
            },
            "from": "+15550000000",
            "to": "+15550100999",
            "sessionKey": "voice:15550100999",
            "transcript": [],
            "metadata": {"mode": "notify"},
        },
    }


@pytest.mark.anyio
async def test_without_an_id_those_that_were_live_are_told(tmp_path: Path):
    await write_journal(journal_in(tmp_path), over="call-1", live="call-2")
    status = stored_status({}, tmp_path, None)
    assert status["found"] is True
    assert [(each["callId"], each["state"]) for each in status["calls"]] == [
        ("call-2", "answered")
    ]


@pytest.mark.anyio
async def test_an_unknown_call_is_not_found(tmp_path: Path):
    await write_journal(journal_in(tmp_path), over="call-1")
    assert stored_status({}, tmp_path, "call-9") == {"found": False}


@pytest.mark.anyio
async def test_the_journal_is_looked_for_where_the_setting_says(tmp_path: Path):
    await write_journal(tmp_path / "elsewhere" / "calls.sqlite3", over="call-1")
    config = {"store": str(tmp_path / "elsewhere")}
    assert stored_status(config, tmp_path / "state", "call-1")["found"] is True


@pytest.mark.anyio
async def test_a_journal_that_a_gateway_writes_can_be_read(tmp_path: Path):
    await write_journal(journal_in(tmp_path), over="call-1")
    writing = Journal.open(journal_in(tmp_path))
    assert stored_status({}, tmp_path, "call-1")["found"] is True
    await writing.close()


def test_a_wrong_configuration_is_told(tmp_path: Path):
    with pytest.raises(ConfigError, match="store"):
        stored_status({"store": 7}, tmp_path, None)


def test_a_file_that_is_no_journal_is_told(tmp_path: Path):
    journal_in(tmp_path).parent.mkdir()
    journal_in(tmp_path).write_text("This is no journal at all. " * 100)
    with pytest.raises(JournalCorrupt):
        stored_status({}, tmp_path, None)


@pytest.mark.anyio
async def test_a_damaged_call_is_told(tmp_path: Path):
    await write_journal(journal_in(tmp_path), damaged="call-1")
    with pytest.raises(JournalCorrupt):
        stored_status({}, tmp_path, "call-1")
