"""The RPC methods: names, scopes, and which of them wait for speech engines."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from voice_call.call.model import CallMode, Digit
from voice_call.errors import EngineMissing, NotConnected, VoiceCallError
from voice_call.operations import CallOperations
from voice_call.rpc import METHODS, register_methods
from voice_call.testing.carriers import ManualCarrier
from voice_call.testing.host import FakeHost
from voice_call.testing.offices import CALLEE, Office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from typing import Any

pytestmark = pytest.mark.anyio

REMEDY = "Embedded speech is not installed; run: pip install it."


class Line:
    """The methods as a client calls them, and the call centre behind them."""

    def __init__(self, office: Office[ManualCarrier], host: FakeHost) -> None:
        self.office = office
        self.call = host.call
        self.methods = host.methods
        self.fault: VoiceCallError | None = None
        """Why no call can be spoken on, if so."""
        self.calls = CallOperations(
            office.manager, default_to="+15550100777", default_mode=CallMode.NOTIFY
        )
        register_methods(host, status=self.status, others=self.ready)

    async def status(self) -> CallOperations:
        return self.calls

    async def ready(self) -> CallOperations:
        if self.fault is not None:
            raise self.fault
        return self.calls

    async def talking(self) -> str:
        placed = await self.call("voicecall.start", to=CALLEE)
        await asyncio.sleep(0.01)
        await self.office.network.pick_up(f"manual-{placed['callId']}")
        return str(placed["callId"])


@asynccontextmanager
async def line(folder: Path) -> AsyncIterator[Line]:
    async with Office(ManualCarrier()) as office:
        it = Line(office, FakeHost(state_dir=folder))
        try:
            yield it
        finally:
            await it.calls.close()


async def test_every_method_has_its_scope(tmp_path: Path):
    async with line(tmp_path) as it:
        assert {name: each.scope for name, each in it.methods.items()} == {
            "voicecall.initiate": "operator.write",
            "voicecall.start": "operator.write",
            "voicecall.continue": "operator.write",
            "voicecall.continue.start": "operator.write",
            "voicecall.continue.result": "operator.write",
            "voicecall.speak": "operator.write",
            "voicecall.dtmf": "operator.write",
            "voicecall.callIn": "operator.write",
            "voicecall.end": "operator.write",
            "voicecall.status": "operator.read",
            "voicecall.describe": "operator.write",
        }
        assert len(it.methods) == len(METHODS)


async def test_initiate_without_to_calls_the_configured_number(tmp_path: Path):
    async with line(tmp_path) as it:
        result = await it.call("voicecall.initiate", message="Hello.")
        (call,) = it.office.manager.live()
        assert result == {"callId": call.opened.call_id, "initiated": True}
        assert call.opened.to == "+15550100777"


async def test_start(tmp_path: Path):
    async with line(tmp_path) as it:
        result = await it.call("voicecall.start", to=CALLEE)
        (call,) = it.office.manager.live()
        assert result == {"callId": call.opened.call_id, "initiated": True}


async def test_continue_at_once_and_in_two_steps(tmp_path: Path):
    async with line(tmp_path) as it:
        call_id = await it.talking()
        stream = it.office.network.open_stream(f"manual-{call_id}")
        it.office.stt.expect("At noon.", "Here.")
        asking = asyncio.ensure_future(
            it.call("voicecall.continue", callId=call_id, message="When?")
        )
        await asyncio.sleep(1.0)
        await stream.speak(1.0)
        assert await asking == {"success": True, "transcript": "At noon."}
        begun = await it.call(
            "voicecall.continue.start", callId=call_id, message="Where?"
        )
        await asyncio.sleep(1.0)
        await stream.speak(1.0)
        await asyncio.sleep(2.0)
        assert await it.call(
            "voicecall.continue.result", operationId=begun["operationId"]
        ) == {
            "operationId": begun["operationId"],
            "status": "completed",
            "result": {"success": True, "transcript": "Here."},
        }


async def test_speak_and_dtmf(tmp_path: Path):
    async with line(tmp_path) as it:
        call_id = await it.talking()
        spoken = await it.call("voicecall.speak", callId=call_id, message="Hi.")
        pressed = await it.call("voicecall.dtmf", callId=call_id, digits="7")
        await asyncio.sleep(0.1)
        assert spoken == pressed == {"success": True}
        assert it.office.tts.spoken == ["Hi."]
        assert it.office.network.digits == [Digit.SEVEN]


async def test_end_status_and_describe(tmp_path: Path):
    async with line(tmp_path) as it:
        call_id = await it.talking()
        assert await it.call("voicecall.end", callId=call_id) == {"success": True}
        status = await it.call("voicecall.status", sid=call_id)
        described = await it.call("voicecall.describe", callId=call_id)
        assert status["call"]["state"] == "hangup-bot"
        assert "to" not in status["call"]
        assert described["call"]["to"] == CALLEE
        assert await it.call("voicecall.status") == {"found": True, "calls": []}


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("initiate", {}, "message_required"),
        ("initiate", {"message": "x" * 100_000}, "message_too_long"),
        ("initiate", {"message": "Hi.", "to": "0049"}, "invalid_number"),
        ("initiate", {"message": "Hi.", "to": "112"}, "number_refused"),
        ("start", {"mode": "notify"}, "message_required"),
        ("start", {"to": 112}, "parameter_required"),
        ("continue", {"message": "Hi."}, "parameter_required"),
        ("continue.start", {"callId": "x", "message": "Hi."}, "unknown_call"),
        ("continue.result", {}, "parameter_required"),
        ("speak", {"callId": "x", "message": "Hi."}, "unknown_call"),
        ("dtmf", {"callId": "x", "digits": "1"}, "unknown_call"),
        ("end", {}, "parameter_required"),
        ("callIn", {"from": "+15550123456"}, "unsupported"),
    ],
)
async def test_a_fault_in_the_request_has_a_code_and_says_so(
    tmp_path: Path, method: str, params: dict[str, Any], code: str
) -> None:
    async with line(tmp_path) as it:
        with pytest.raises(VoiceCallError) as caught:
            await it.call(f"voicecall.{method}", **params)
        assert caught.value.code == code
        assert caught.value.is_request_fault


async def test_a_call_that_rings_cannot_be_spoken_on(tmp_path: Path):
    async with line(tmp_path) as it:
        placed = await it.call("voicecall.start", to=CALLEE)
        with pytest.raises(NotConnected):
            await it.call("voicecall.speak", callId=placed["callId"], message="Hi.")


async def test_without_speech_engines_only_placing_is_refused(tmp_path: Path):
    async with line(tmp_path) as it:
        call_id = await it.talking()
        it.fault = EngineMissing(REMEDY, engine="local")
        for method in ("voicecall.initiate", "voicecall.start", "voicecall.callIn"):
            with pytest.raises(EngineMissing, match="pip install"):
                await it.call(method, to=CALLEE, message="Hello.")
        status = await it.call("voicecall.status", callId=call_id)
        assert status["found"] is True
        assert await it.call("voicecall.end", callId=call_id) == {"success": True}
