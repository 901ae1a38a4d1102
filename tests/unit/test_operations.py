"""What can be asked about calls: parameters in, results and stable codes out."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from voice_call import operations as module
from voice_call.call.events import Ringing
from voice_call.call.model import CallMode, Digit
from voice_call.call.setup import CallLimits
from voice_call.errors import (
    CallOver,
    CarrierRefused,
    InvalidNumber,
    LimitReached,
    MessageRequired,
    MessageTooLong,
    NotConnected,
    NumberRefused,
    ShuttingDown,
    TurnInProgress,
    UnknownCall,
    VoiceCallError,
)
from voice_call.operations import CallOperations, ParameterRequired
from voice_call.testing.carriers import ManualCarrier, ManualStream
from voice_call.testing.offices import CALLEE, Office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

pytestmark = pytest.mark.anyio

TOO_LONG = "word " * 20_000  # 100,000 characters


class Desk:
    """Operations, and the call centre behind them."""

    def __init__(
        self,
        office: Office[ManualCarrier],
        *,
        default_to: str | None = None,
        default_mode: CallMode = CallMode.NOTIFY,
    ) -> None:
        self.office = office
        self.calls = CallOperations(
            office.manager, default_to=default_to, default_mode=default_mode
        )

    async def placed(self, message: str = "Hello there.") -> str:
        """Return the id of a call that is being dialled."""
        result = await self.calls.initiate(
            {"to": CALLEE, "message": message, "mode": "conversation"}
        )
        await asyncio.sleep(0.01)
        call_id: str = result["callId"]
        return call_id

    async def talking(self) -> tuple[str, ManualStream]:
        """Return a call that is connected, once its opening has been heard."""
        call_id = await self.placed()
        stream = await self.office.network.pick_up(f"manual-{call_id}")
        await asyncio.sleep(2.0)
        return call_id, stream

    async def ended(self) -> str:
        call_id, _ = await self.talking()
        await self.calls.end({"callId": call_id})
        return call_id

    def state(self, call_id: str) -> str:
        return self.office.manager.describe(call_id).machine.state.value

    def mode(self, call_id: str) -> CallMode:
        return self.office.manager.session(call_id).opened.mode


@asynccontextmanager
async def desk(
    *,
    default_to: str | None = None,
    default_mode: CallMode = CallMode.NOTIFY,
    **settings: Any,
) -> AsyncIterator[Desk]:
    async with Office(ManualCarrier(), **settings) as office:
        it = Desk(office, default_to=default_to, default_mode=default_mode)
        try:
            yield it
        finally:
            await it.calls.close()


# -- placing ---------------------------------------------------------------------------


async def test_initiate_dials_and_returns_the_call_id():
    async with desk() as it:
        result = await it.calls.initiate({"to": CALLEE, "message": "Hello."})
        await asyncio.sleep(0.01)
        (dial,) = it.office.network.dialed
        assert result == {"callId": dial.call_id, "initiated": True}
        assert dial.to == CALLEE


async def test_initiate_without_to_calls_the_default_number():
    async with desk(default_to="+15550100777") as it:
        await it.calls.initiate({"message": "Hello."})
        await asyncio.sleep(0.01)
        assert it.office.network.dialed[0].to == "+15550100777"


async def test_start_needs_no_message():
    async with desk() as it:
        result = await it.calls.start({"to": CALLEE})
        session = it.office.manager.session(result["callId"])
        assert session.opened.opening is None
        assert session.opened.mode is CallMode.CONVERSATION


async def test_texts_are_trimmed():
    async with desk() as it:
        result = await it.calls.start({"to": f" {CALLEE} ", "message": " Hello. \n"})
        opened = it.office.manager.session(result["callId"]).opened
        assert (opened.to, opened.opening) == (CALLEE, "Hello.")


async def test_a_session_key_of_the_caller_s_choice_is_used():
    async with desk() as it:
        named = await it.calls.start({"to": CALLEE, "sessionKey": "project:7"})
        opened = it.office.manager.session(named["callId"]).opened
        assert opened.session_key == "project:7"


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (None, CallMode.NOTIFY),
        ("notify", CallMode.NOTIFY),
        ("conversation", CallMode.CONVERSATION),
        ("shout", CallMode.NOTIFY),
        (7, CallMode.NOTIFY),
        (["notify"], CallMode.NOTIFY),
        ({"mode": "notify"}, CallMode.NOTIFY),
    ],
)
async def test_a_mode_that_is_none_falls_back_to_the_default(
    named: object, expected: CallMode
) -> None:
    async with desk() as it:
        result = await it.calls.initiate(
            {"to": CALLEE, "message": "Hello.", "mode": named}
        )
        assert it.mode(result["callId"]) is expected


@pytest.mark.parametrize(
    ("params", "fault", "code"),
    [
        ({"to": CALLEE}, MessageRequired, "message_required"),
        ({"to": CALLEE, "message": " \n"}, MessageRequired, "message_required"),
        ({"to": CALLEE, "message": 5}, ParameterRequired, "parameter_required"),
        ({"message": "Hello."}, ParameterRequired, "parameter_required"),
        ({"message": "Hello.", "to": ["x"]}, ParameterRequired, "parameter_required"),
        ({"message": "Hello.", "to": "5550100999"}, InvalidNumber, "invalid_number"),
        ({"message": "Hello.", "to": "+0123"}, InvalidNumber, "invalid_number"),
        ({"message": "Hello.", "to": "112"}, NumberRefused, "number_refused"),
        ({"message": "Hello.", "to": "911"}, NumberRefused, "number_refused"),
        ({"message": "Hello.", "to": "+1 911"}, NumberRefused, "number_refused"),
        ({"message": TOO_LONG, "to": CALLEE}, MessageTooLong, "message_too_long"),
    ],
)
async def test_what_cannot_be_placed_is_not_dialled(
    params: dict[str, Any], fault: type[VoiceCallError], code: str
) -> None:
    async with desk() as it:
        with pytest.raises(fault) as caught:
            await it.calls.initiate(params)
        assert caught.value.code == code
        assert it.office.network.dialed == []
        assert it.office.manager.live() == []


async def test_a_long_message_is_refused_by_start_and_not_repeated():
    async with desk() as it:
        with pytest.raises(MessageTooLong) as caught:
            await it.calls.start({"to": CALLEE, "message": TOO_LONG})
        assert len(str(caught.value)) < 200
        assert "20000" in str(caught.value)


async def test_a_notify_call_needs_something_to_say():
    async with desk() as it:
        with pytest.raises(MessageRequired):
            await it.calls.start({"to": CALLEE, "mode": "notify"})


async def test_one_call_more_than_allowed_is_refused_with_the_limit():
    async with desk(max_calls=1) as it:
        await it.placed()
        with pytest.raises(LimitReached, match=r"\(1\)") as caught:
            await it.calls.initiate({"to": CALLEE, "message": "Hello."})
        assert caught.value.code == "limit_reached"
        assert len(it.office.network.dialed) == 1


async def test_nothing_is_placed_while_the_gateway_stops():
    async with desk() as it:
        await it.office.manager.drain(0.0)
        with pytest.raises(ShuttingDown) as caught:
            await it.calls.initiate({"to": CALLEE, "message": "Hello."})
        assert caught.value.code == "shutting_down"


# -- asking ----------------------------------------------------------------------------


async def test_continue_returns_what_the_other_side_answers():
    async with desk() as it:
        call_id, stream = await it.talking()
        it.office.stt.expect("At seven, please.")
        asked = asyncio.ensure_future(
            it.calls.ask({"callId": call_id, "message": "When?"})
        )
        await asyncio.sleep(1.0)
        await stream.speak(1.0)
        assert await asked == {"success": True, "transcript": "At seven, please."}


async def test_a_second_question_is_refused_and_the_first_goes_on():
    async with desk() as it:
        call_id, stream = await it.talking()
        it.office.stt.expect("Yes.")
        question = {"callId": call_id, "message": "Are you there?"}
        first = asyncio.ensure_future(it.calls.ask(question))
        await asyncio.sleep(0.1)
        with pytest.raises(TurnInProgress) as caught:
            await it.calls.ask(question)
        assert caught.value.code == "turn_in_progress"
        await asyncio.sleep(1.0)
        await stream.speak(1.0)
        assert (await first)["transcript"] == "Yes."


async def test_a_question_in_two_steps():
    async with desk() as it:
        call_id, stream = await it.talking()
        it.office.stt.expect("Blue.")
        begun = await it.calls.ask_start({"callId": call_id, "message": "Colour?"})
        operation = begun["operationId"]
        assert begun == {"operationId": operation, "status": "pending"}
        assert await it.calls.ask_result({"operationId": operation}) == begun
        await asyncio.sleep(1.0)
        await stream.speak(1.0)
        await asyncio.sleep(2.0)
        done = {
            "operationId": operation,
            "status": "completed",
            "result": {"success": True, "transcript": "Blue."},
        }
        assert await it.calls.ask_result({"operationId": operation}) == done
        assert await it.calls.ask_result({"operationId": operation}) == done


async def test_a_question_that_fails_later_tells_why_when_asked_after():
    async with desk(limits=CallLimits(transcript_timeout_s=5.0)) as it:
        call_id, _ = await it.talking()
        begun = await it.calls.ask_start({"callId": call_id, "message": "Hello?"})
        await asyncio.sleep(30.0)
        result = await it.calls.ask_result({"operationId": begun["operationId"]})
        assert result["status"] == "failed"
        assert result["error"]["code"] == "transcript_timeout"
        assert result["error"]["message"].startswith("No answer came")


async def test_a_question_that_fails_at_once_is_refused_at_once():
    async with desk() as it:
        call_id, _ = await it.talking()
        with pytest.raises(MessageRequired):
            await it.calls.ask_start({"callId": call_id})


async def test_a_question_ends_with_its_call():
    async with desk() as it:
        call_id, _ = await it.talking()
        begun = await it.calls.ask_start({"callId": call_id, "message": "Hello?"})
        await it.calls.end({"callId": call_id})
        result = await it.calls.ask_result({"operationId": begun["operationId"]})
        assert result["error"]["code"] == "call_ended"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "parameter_required"),
        ({"operationId": "never-begun"}, "unknown_call"),
    ],
)
async def test_an_operation_that_was_never_begun(
    params: dict[str, Any], code: str
) -> None:
    async with desk() as it:
        with pytest.raises(VoiceCallError) as caught:
            await it.calls.ask_result(params)
        assert caught.value.code == code


async def test_the_oldest_operations_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_KEPT_OPERATIONS", 1)
    async with desk() as it:
        first, _ = await it.talking()
        second, _ = await it.talking()
        forgotten = await it.calls.ask_start({"callId": first, "message": "One?"})
        kept = await it.calls.ask_start({"callId": second, "message": "Two?"})
        with pytest.raises(UnknownCall):
            await it.calls.ask_result({"operationId": forgotten["operationId"]})
        result = await it.calls.ask_result({"operationId": kept["operationId"]})
        assert result["status"] == "pending"


# -- speaking and keys -----------------------------------------------------------------


async def test_speak_is_spoken():
    async with desk() as it:
        call_id, _ = await it.talking()
        result = await it.calls.speak({"callId": call_id, "message": "One moment."})
        await asyncio.sleep(1.0)
        assert result == {"success": True}
        assert it.office.tts.spoken == ["Hello there.", "One moment."]


async def test_a_call_is_found_by_the_carrier_s_id():
    async with desk() as it:
        call_id, _ = await it.talking()
        result = await it.calls.speak({"callId": f"manual-{call_id}", "message": "Hi."})
        assert result == {"success": True}


@pytest.mark.parametrize("digits", ["1A*#", "1a*#"])
async def test_digits_are_sent(digits: str) -> None:
    async with desk() as it:
        call_id, _ = await it.talking()
        result = await it.calls.send_digits({"callId": call_id, "digits": digits})
        assert result == {"success": True}
        assert it.office.network.digits == [Digit.ONE, Digit.A, Digit.STAR, Digit.POUND]


@pytest.mark.parametrize("digits", [None, "", 12, "12w3", "one", "1 2", "１"])
async def test_what_are_no_digits_is_refused(digits: object) -> None:
    async with desk() as it:
        call_id, _ = await it.talking()
        with pytest.raises(ParameterRequired, match=r"^digits "):
            await it.calls.send_digits({"callId": call_id, "digits": digits})
        assert it.office.network.digits == []


async def test_keys_that_the_carrier_refuses():
    async with desk() as it:
        call_id, _ = await it.talking()
        it.office.network.faults["send_digits"] = [
            CarrierRefused("The carrier takes no keys.", carrier="manual")
        ]
        with pytest.raises(CarrierRefused):
            await it.calls.send_digits({"callId": call_id, "digits": "1"})


# -- what needs a connected call -------------------------------------------------------

NEEDS_A_CALL = [
    ("ask", {"message": "Hello?"}),
    ("ask_start", {"message": "Hello?"}),
    ("speak", {"message": "Hello."}),
    ("send_digits", {"digits": "1"}),
]


@pytest.mark.parametrize(("operation", "params"), NEEDS_A_CALL)
async def test_without_a_call_id(operation: str, params: dict[str, Any]) -> None:
    async with desk() as it:
        with pytest.raises(ParameterRequired, match="callId required"):
            await getattr(it.calls, operation)(params)


@pytest.mark.parametrize(("operation", "params"), [*NEEDS_A_CALL, ("end", {})])
async def test_a_call_that_never_was(operation: str, params: dict[str, Any]) -> None:
    async with desk() as it:
        with pytest.raises(UnknownCall) as caught:
            await getattr(it.calls, operation)({"callId": "no-such-call", **params})
        assert caught.value.code == "unknown_call"


@pytest.mark.parametrize(("operation", "params"), NEEDS_A_CALL)
async def test_a_call_that_nobody_has_picked_up(
    operation: str, params: dict[str, Any]
) -> None:
    async with desk() as it:
        call_id = await it.placed()
        await it.office.network.report(f"manual-{call_id}", Ringing())
        with pytest.raises(NotConnected) as caught:
            await getattr(it.calls, operation)({"callId": call_id, **params})
        assert caught.value.code == "not_connected"


@pytest.mark.parametrize(("operation", "params"), NEEDS_A_CALL)
async def test_a_call_that_has_ended(operation: str, params: dict[str, Any]) -> None:
    async with desk() as it:
        call_id = await it.ended()
        with pytest.raises(CallOver) as caught:
            await getattr(it.calls, operation)({"callId": call_id, **params})
        assert caught.value.code == "call_ended"


async def test_a_call_of_an_earlier_process_that_is_not_live():
    """Open in the journal, but not taken up: there is nobody to be spoken to."""
    async with desk() as it:
        call_id, _ = await it.talking()
        calls = CallOperations(
            it.office.restart(), default_to=None, default_mode=CallMode.NOTIFY
        )
        with pytest.raises(UnknownCall):
            await calls.speak({"callId": call_id, "message": "Hello."})


@pytest.mark.parametrize("operation", ["ask", "speak"])
@pytest.mark.parametrize(
    ("message", "fault"), [("  ", MessageRequired), (TOO_LONG, MessageTooLong)]
)
async def test_what_cannot_be_said(
    operation: str, message: str, fault: type[VoiceCallError]
) -> None:
    async with desk() as it:
        call_id, _ = await it.talking()
        with pytest.raises(fault):
            await getattr(it.calls, operation)({"callId": call_id, "message": message})


# -- ending ----------------------------------------------------------------------------


async def test_end_returns_once_the_call_is_over():
    async with desk() as it:
        call_id, _ = await it.talking()
        assert await it.calls.end({"callId": call_id}) == {"success": True}
        assert it.office.manager.live() == []
        assert it.state(call_id) == "hangup-bot"
        assert len(it.office.network.hung_up) == 1


async def test_to_end_an_ended_call_is_success():
    async with desk() as it:
        call_id = await it.ended()
        assert await it.calls.end({"callId": call_id}) == {"success": True}
        assert len(it.office.network.hung_up) == 1


async def test_end_before_anybody_picks_up():
    async with desk() as it:
        call_id = await it.placed()
        assert await it.calls.end({"callId": call_id}) == {"success": True}
        assert it.state(call_id) == "hangup-bot"


# -- looking ---------------------------------------------------------------------------


async def test_status_tells_neither_numbers_nor_words():
    async with desk() as it:
        call_id, _ = await it.talking()
        result = await it.calls.status({"callId": call_id})
        assert result["found"] is True
        assert set(result["call"]) == {
            "callId",
            "provider",
            "direction",
            "state",
            "startedAt",
            "answeredAt",
            "providerCallId",
        }
        shown = json.dumps(result)
        assert CALLEE not in shown
        assert "Hello" not in shown


async def test_describe_tells_numbers_and_words():
    async with desk() as it:
        call_id, _ = await it.talking()
        call = (await it.calls.describe({"callId": call_id}))["call"]
        assert (call["from"], call["to"]) == ("+15550100000", CALLEE)
        assert [each["text"] for each in call["transcript"]] == ["Hello there."]


@pytest.mark.parametrize("operation", ["status", "describe"])
@pytest.mark.parametrize("name", ["callId", "sid"])
async def test_an_ended_call_is_found_by_any_id(operation: str, name: str) -> None:
    async with desk() as it:
        call_id = await it.ended()
        for known in (call_id, f"manual-{call_id}"):
            result = await getattr(it.calls, operation)({name: known})
            assert result["found"] is True
            assert result["call"]["callId"] == call_id
            assert result["call"]["endReason"] == "hangup-bot"


@pytest.mark.parametrize("operation", ["status", "describe"])
async def test_an_unknown_call_is_not_found(operation: str) -> None:
    async with desk() as it:
        result = await getattr(it.calls, operation)({"callId": "no-such-call"})
        assert result == {"found": False}


@pytest.mark.parametrize("operation", ["status", "describe"])
async def test_without_an_id_all_live_calls_are_told(operation: str) -> None:
    async with desk() as it:
        assert await getattr(it.calls, operation)({}) == {"found": True, "calls": []}
        await it.ended()
        first, second = await it.placed(), await it.placed()
        result = await getattr(it.calls, operation)({})
        assert [each["callId"] for each in result["calls"]] == [first, second]


# -- closing ---------------------------------------------------------------------------


async def test_closing_forgets_the_questions_that_wait():
    async with desk() as it:
        call_id, _ = await it.talking()
        begun = await it.calls.ask_start({"callId": call_id, "message": "Hello?"})
        await it.calls.close()
        with pytest.raises(UnknownCall):
            await it.calls.ask_result({"operationId": begun["operationId"]})
