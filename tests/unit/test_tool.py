"""The agent's tool: actions, answers, and that it never raises."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from voice_call.call.model import CallMode, Digit
from voice_call.errors import EngineMissing, VoiceCallError
from voice_call.operations import CallOperations
from voice_call.testing.carriers import ManualCarrier
from voice_call.testing.host import FakeHost
from voice_call.testing.offices import CALLEE, Office
from voice_call.tool import PARAMETERS, TOOL_NAME, register_tool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path
    from typing import Any

pytestmark = pytest.mark.anyio

REMEDY = "Embedded speech is not installed; run: pip install it."


class Phone:
    """The tool in an agent's hand, and the call centre behind it."""

    def __init__(
        self, office: Office[ManualCarrier], host: FakeHost, to: str | None
    ) -> None:
        self.office = office
        self.host = host
        self.fault: Exception | None = None
        """Why no call can be spoken on, if so."""
        self.calls = CallOperations(
            office.manager, default_to=to, default_mode=CallMode.NOTIFY
        )
        register_tool(host, status=self.status, others=self.ready)

    async def status(self) -> CallOperations:
        return self.calls

    async def ready(self) -> CallOperations:
        if self.fault is not None:
            raise self.fault
        return self.calls

    async def use(self, **arguments: Any) -> dict[str, Any]:
        """Use the tool, check the answer's shape, and return its details."""
        answer = await self.host.use_tool(TOOL_NAME, **arguments)
        (content,) = answer["content"]
        assert set(answer) == {"content", "details"}
        assert content["type"] == "text"
        assert json.loads(content["text"]) == answer["details"]
        details: dict[str, Any] = answer["details"]
        return details

    async def talking(self) -> str:
        placed = await self.use(
            action="initiate_call", to=CALLEE, message="Hi.", mode="conversation"
        )
        await asyncio.sleep(0.01)
        await self.office.network.pick_up(f"manual-{placed['callId']}")
        await asyncio.sleep(2.0)
        return str(placed["callId"])


@asynccontextmanager
async def phone(folder: Path, *, to: str | None = None) -> AsyncIterator[Phone]:
    async with Office(ManualCarrier()) as office:
        yield Phone(office, FakeHost(state_dir=folder), to)


# -- what is offered -------------------------------------------------------------------


async def test_the_tool_is_offered_with_all_its_actions(tmp_path: Path):
    async with phone(tmp_path) as it:
        (name,) = it.host.tools
        tool = it.host.tools[name]
        assert name == "voice_call"
        assert tool.parameters == PARAMETERS
        actions = tool.parameters["properties"]["action"]["enum"]
        assert actions == [
            "initiate_call",
            "continue_call",
            "speak_to_user",
            "send_dtmf",
            "end_call",
            "get_status",
        ]
        assert all(action in tool.description for action in actions)


# -- actions ---------------------------------------------------------------------------


async def test_initiate_call(tmp_path: Path):
    async with phone(tmp_path) as it:
        details = await it.use(action="initiate_call", to=CALLEE, message="Hello.")
        (call,) = it.office.manager.live()
        assert details == {"callId": call.opened.call_id, "initiated": True}
        assert call.opened.mode is CallMode.NOTIFY


async def test_initiate_call_falls_back_to_the_configured_number(tmp_path: Path):
    async with phone(tmp_path, to="+15550100777") as it:
        await it.use(action="initiate_call", message="Hello.")
        (call,) = it.office.manager.live()
        assert call.opened.to == "+15550100777"


async def test_continue_call(tmp_path: Path):
    async with phone(tmp_path) as it:
        call_id = await it.talking()
        it.office.stt.expect("At noon.")
        asking = asyncio.ensure_future(
            it.use(action="continue_call", callId=call_id, message="When?")
        )
        await asyncio.sleep(1.0)
        stream = it.office.network.open_stream(f"manual-{call_id}")
        await stream.speak(1.0)
        assert await asking == {"success": True, "transcript": "At noon."}


async def test_speak_to_user(tmp_path: Path):
    async with phone(tmp_path) as it:
        call_id = await it.talking()
        details = await it.use(
            action="speak_to_user", callId=call_id, message="One moment."
        )
        await asyncio.sleep(0.1)
        assert details == {"success": True}
        assert it.office.tts.spoken[-1] == "One moment."


async def test_send_dtmf(tmp_path: Path):
    async with phone(tmp_path) as it:
        call_id = await it.talking()
        details = await it.use(action="send_dtmf", callId=call_id, digits="1#")
        assert details == {"success": True}
        assert it.office.network.digits == [Digit.ONE, Digit.POUND]


async def test_end_call_and_get_status(tmp_path: Path):
    async with phone(tmp_path) as it:
        call_id = await it.talking()
        ended = await it.use(action="end_call", callId=call_id)
        details = await it.use(action="get_status", callId=f"manual-{call_id}")
        assert ended == {"success": True}
        assert details["found"] is True
        assert details["call"]["state"] == "hangup-bot"
        assert CALLEE not in str(details)


async def test_get_status_of_an_unknown_call(tmp_path: Path):
    async with phone(tmp_path) as it:
        details = await it.use(action="get_status", callId="no-such-call")
        assert details == {"found": False}


async def test_words_are_shown_as_they_are(tmp_path: Path):
    async with phone(tmp_path) as it:
        answer = await it.host.use_tool(TOOL_NAME, action="é")
        assert "\\u" not in answer["content"][0]["text"]


# -- the older form --------------------------------------------------------------------


async def test_the_older_form_places_a_call(tmp_path: Path):
    async with phone(tmp_path) as it:
        details = await it.use(mode="call", to=CALLEE, message="Hello.")
        (call,) = it.office.manager.live()
        assert details == {"callId": call.opened.call_id, "initiated": True}
        assert (call.opened.opening, call.opened.mode) == ("Hello.", CallMode.NOTIFY)


async def test_the_older_form_needs_no_message(tmp_path: Path):
    async with phone(tmp_path, to="+15550100777") as it:
        await it.use(mode="call")
        (call,) = it.office.manager.live()
        assert call.opened.to == "+15550100777"
        assert (call.opened.opening, call.opened.mode) == (None, CallMode.CONVERSATION)


async def test_the_older_form_needs_a_number(tmp_path: Path):
    async with phone(tmp_path) as it:
        details = await it.use(mode="call", message="Hello.")
        assert details["code"] == "parameter_required"
        assert details["error"].startswith("to required")


async def test_the_older_form_asks_for_a_status(tmp_path: Path):
    async with phone(tmp_path) as it:
        call_id = await it.talking()
        details = await it.use(mode="status", sid=f"manual-{call_id}")
        assert details["call"]["callId"] == call_id


@pytest.mark.parametrize("sid", [None, "", "  "])
async def test_the_older_form_needs_an_id_for_a_status(
    tmp_path: Path, sid: str | None
) -> None:
    async with phone(tmp_path) as it:
        details = await it.use(mode="status", sid=sid)
        assert details == {"error": "sid required", "code": "parameter_required"}


# -- never raises ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"action": None},
        {"action": "dance"},
        {"action": 7},
        {"action": ["get_status"]},
        {"action": {}},
        {"mode": "notify", "to": CALLEE, "message": "Hello."},
        {"mode": ["call"]},
    ],
)
async def test_an_action_that_is_none_is_named(
    tmp_path: Path, arguments: Mapping[str, Any]
) -> None:
    async with phone(tmp_path) as it:
        details = await it.use(**arguments)
        assert details["code"] == "unknown_action"
        assert details["error"].startswith("action required: one of initiate_call, ")
        assert it.office.manager.live() == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"action": "initiate_call", "to": CALLEE}, "message_required"),
        ({"action": "initiate_call", "message": "Hi."}, "parameter_required"),
        (
            {"action": "initiate_call", "to": CALLEE, "message": "x" * 100_000},
            "message_too_long",
        ),
        (
            {"action": "initiate_call", "to": "911", "message": "Hi."},
            "number_refused",
        ),
        (
            {"action": "initiate_call", "to": "5550100", "message": "Hi."},
            "invalid_number",
        ),
        ({"action": "continue_call", "message": "Hi."}, "parameter_required"),
        ({"action": "continue_call", "callId": "x", "message": "Hi."}, "unknown_call"),
        ({"action": "speak_to_user", "callId": "x", "message": "Hi."}, "unknown_call"),
        ({"action": "speak_to_user", "callId": 5, "message": "Hi."}, None),
        ({"action": "send_dtmf", "callId": "x", "digits": "1"}, "unknown_call"),
        ({"action": "end_call", "callId": "x"}, "unknown_call"),
    ],
)
async def test_a_refusal_is_an_answer(
    tmp_path: Path, arguments: Mapping[str, Any], code: str | None
) -> None:
    async with phone(tmp_path) as it:
        details = await it.use(**arguments)
        assert set(details) == {"error", "code"}
        assert details["code"] == (code or "parameter_required")


async def test_a_missing_engine_is_named_and_a_status_still_told(tmp_path: Path):
    async with phone(tmp_path) as it:
        call_id = await it.talking()
        it.fault = EngineMissing(REMEDY, engine="local")
        placing = await it.use(action="initiate_call", to=CALLEE, message="Hello.")
        older = await it.use(mode="call", to=CALLEE)
        status = await it.use(action="get_status", callId=call_id)
        ended = await it.use(action="end_call", callId=call_id)
        assert placing == older == {"error": REMEDY, "code": "engine_missing"}
        assert status["found"] is True
        assert ended == {"success": True}


async def test_a_defect_is_an_answer_without_its_words_and_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with phone(tmp_path) as it:
        it.fault = RuntimeError("token=secret")
        with caplog.at_level(logging.ERROR):
            details = await it.use(action="initiate_call", to=CALLEE, message="Hello.")
        assert details["code"] == VoiceCallError.code
        assert "secret" not in details["error"]
        assert "RuntimeError" in details["error"]
        assert any(record.exc_info for record in caplog.records)
