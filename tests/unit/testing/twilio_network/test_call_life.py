"""The life of calls, and what is reported of it, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from twilio.request_validator import RequestValidator

from unit.testing.twilio_network.office import (
    ALICE,
    BOB,
    PUBLIC,
    TOKEN,
    Office,
    response,
)
from voice_call.testing.twilio_network import (
    Behaviour,
    Callee,
    CallStatus,
    Timing,
    Tunnel,
    WebhookFault,
    WebhookKind,
)

pytestmark = pytest.mark.anyio

STATUS = f"{PUBLIC}/status"
ALL_EVENTS = ["initiated", "ringing", "answered", "completed"]
REPORT_ALL = {"StatusCallback": STATUS, "StatusCallbackEvent": ALL_EVENTS}
HANG_UP = response("<Hangup/>")
LONG = response('<Pause length="600"/>')


@pytest.mark.parametrize(
    ("callee", "states", "status"),
    [
        (
            Callee(),
            ["initiated", "ringing", "in-progress", "completed"],
            CallStatus.COMPLETED,
        ),
        (
            Callee(behaviour=Behaviour.BUSY),
            ["initiated", "ringing", "busy"],
            CallStatus.BUSY,
        ),
        (
            Callee(behaviour=Behaviour.NO_ANSWER),
            ["initiated", "ringing", "no-answer"],
            CallStatus.NO_ANSWER,
        ),
        (
            Callee(ring_s=90),
            ["initiated", "ringing", "no-answer"],
            CallStatus.NO_ANSWER,
        ),
        (
            Callee(behaviour=Behaviour.UNREACHABLE),
            ["initiated", "failed"],
            CallStatus.FAILED,
        ),
    ],
)
async def test_a_callee_decides_what_is_reported(
    callee: Callee, states: list[str], status: CallStatus
) -> None:
    async with Office(callees={BOB: callee}) as office:
        call = await office.dial(Twiml=HANG_UP, **REPORT_ALL)
        await office.network.wait_ended(call, timeout_s=100)
        assert call.status is status
        forms = office.application.forms("/status")
        assert [form["CallStatus"] for form in forms] == states
        numbers = [int(form["SequenceNumber"]) for form in forms]
        assert numbers == list(range(len(states)))
        assert "CallDuration" in forms[-1]
        assert "CallDuration" not in forms[0]


async def test_the_end_alone_is_reported_by_itself() -> None:
    async with Office() as office:
        call = await office.dial(Twiml=HANG_UP, StatusCallback=STATUS)
        await office.network.wait_ended(call)
        (form,) = office.application.forms("/status")
        assert form["CallStatus"] == "completed"


async def test_a_ring_timeout_is_kept() -> None:
    async with Office(other_callee=Callee(behaviour=Behaviour.NO_ANSWER)) as office:
        call = await office.dial(Twiml=HANG_UP, Timeout="12")
        await office.network.wait_ended(call, timeout_s=100)
        assert call.ended_at - call.dialed_at == pytest.approx(12.05)


async def test_a_time_limit_ends_a_call() -> None:
    async with Office() as office:
        call = await office.dial(Twiml=LONG, TimeLimit="30")
        await office.network.wait_ended(call, timeout_s=100)
        assert call.duration_s == pytest.approx(30)


async def test_a_time_limit_can_be_set_later() -> None:
    async with Office() as office:
        call = await office.dial(Twiml=LONG)
        await office.network.wait_until(lambda: call.answered_at is not None)
        await office.rest.post(f"/Calls/{call.sid}.json", data={"TimeLimit": "5"})
        await office.network.wait_ended(call, timeout_s=100)
        assert call.duration_s == pytest.approx(5)


@pytest.mark.parametrize("status", ["canceled", "completed"])
async def test_a_ringing_call_can_be_cancelled(status: str) -> None:
    async with Office(other_callee=Callee(ring_s=30)) as office:
        call = await office.dial(Twiml=LONG, **REPORT_ALL)
        await office.network.wait_until(lambda: call.status is CallStatus.RINGING)
        await office.rest.post(f"/Calls/{call.sid}.json", data={"Status": status})
        await office.network.wait_ended(call)
        assert call.status is CallStatus.CANCELED
        assert office.application.forms("/status")[-1]["CallStatus"] == "canceled"


async def test_a_cancel_leaves_a_connected_call_alone() -> None:
    async with Office() as office:
        call = await office.dial(Twiml=LONG)
        await office.network.wait_until(lambda: call.answered_at is not None)
        await office.rest.post(f"/Calls/{call.sid}.json", data={"Status": "canceled"})
        assert call.status is CallStatus.IN_PROGRESS


async def test_a_redirect_replaces_what_runs() -> None:
    async with Office() as office:
        office.application.at("/new", response("<Say>New</Say>"))
        call = await office.dial(Twiml=response("<Say>" + "Old. " * 100 + "</Say>"))
        await office.network.wait_until(lambda: call.answered_at is not None)
        await asyncio.sleep(1.0)
        change = {"Url": f"{PUBLIC}/new", "StatusCallback": STATUS}
        await office.rest.post(f"/Calls/{call.sid}.json", data=change)
        await office.network.wait_ended(call)
        assert call.heard_texts[-1].text == "New"
        assert not call.heard_texts[0].is_complete
        assert len(office.application.forms("/status")) == 1


async def test_keys_are_dialled_after_the_answer() -> None:
    async with Office() as office:
        call = await office.dial(Twiml=HANG_UP, SendDigits="1w2#")
        await office.network.wait_ended(call)
        assert call.heard_digits == "12#"


async def test_calls_are_dialled_one_a_second_where_asked_for() -> None:
    async with Office(calls_per_second=1) as office:
        calls = [await office.dial(Twiml=HANG_UP) for _ in range(3)]
        await office.network.wait_ended(calls[-1])
        begun = [call.dialed_at - calls[0].dialed_at for call in calls]
        assert begun == pytest.approx([0, 1, 2])


# -- answering-machine detection ---------------------------------------------------------


@pytest.mark.parametrize(
    ("is_machine", "order", "verdict"),
    [
        (False, {"MachineDetection": "Enable"}, "human"),
        (True, {"MachineDetection": "Enable"}, "machine_start"),
        (True, {"MachineDetection": "DetectMessageEnd"}, "machine_end_beep"),
        (None, {"MachineDetection": "Enable"}, "unknown"),
    ],
)
async def test_detection_comes_before_the_twiml(
    is_machine: bool | None,  # noqa: FBT001 - a table
    order: dict[str, str],
    verdict: str,
) -> None:
    async with Office(other_callee=Callee(is_machine=is_machine)) as office:
        office.application.at("/voice", HANG_UP)
        call = await office.dial(Url=f"{PUBLIC}/voice", **order)
        await office.network.wait_ended(call)
        (form,) = office.application.forms("/voice")
        assert form["AnsweredBy"] == verdict
        assert call.duration_s == pytest.approx(2.0)
        answer = await office.rest.get(f"/Calls/{call.sid}.json")
        assert answer.json()["answered_by"] == verdict


async def test_detection_takes_no_longer_than_allowed() -> None:
    callee = Callee(is_machine=True, detection_s=20)
    async with Office(other_callee=callee) as office:
        order = {"MachineDetection": "Enable", "MachineDetectionTimeout": "5"}
        call = await office.dial(Twiml=HANG_UP, **order)
        await office.network.wait_ended(call)
        assert call.answered_by == "unknown"
        assert call.duration_s == pytest.approx(5)


async def test_detection_can_run_beside_the_call() -> None:
    async with Office(other_callee=Callee(is_machine=True)) as office:
        order = {"MachineDetection": "Enable", "AsyncAmd": "true"}
        order |= {"AsyncAmdStatusCallback": f"{PUBLIC}/amd"}
        call = await office.dial(
            Twiml=response("<Say>" + "Hello. " * 30 + "</Say>"), **order
        )
        await office.network.wait_ended(call, timeout_s=30)
        (form,) = office.application.forms("/amd")
        assert form["AnsweredBy"] == "machine_start"
        assert form["MachineDetectionDuration"] == "2000"
        assert call.heard_texts[0].started_at == pytest.approx(call.answered_at)


async def test_nobody_is_told_of_a_call_that_ended_first() -> None:
    async with Office() as office:
        order = {"MachineDetection": "Enable", "AsyncAmd": "true"}
        order |= {"AsyncAmdStatusCallback": f"{PUBLIC}/amd"}
        call = await office.dial(Twiml=HANG_UP, **order)
        await office.network.wait_ended(call)
        await office.network.wait_until(lambda: not office.network._wiring.tasks)
        assert office.application.forms("/amd") == []


async def test_digits_switch_detection_off() -> None:
    async with Office() as office:
        call = await office.dial(
            Twiml=HANG_UP, MachineDetection="Enable", SendDigits="1"
        )
        await office.network.wait_ended(call)
        assert call.answered_by is None


# -- recordings --------------------------------------------------------------------------


async def test_a_recording_is_reported_when_it_is_finished() -> None:
    async with Office() as office:
        order = {"Record": "true", "RecordingStatusCallback": f"{PUBLIC}/recorded"}
        call = await office.dial(Twiml=response('<Pause length="7"/>'), **order)
        await office.network.wait_ended(call, timeout_s=30)
        await office.network.wait_until(
            lambda: bool(office.network.webhooks_of(WebhookKind.RECORDING, call))
        )
        (form,) = office.application.forms("/recorded")
        assert (form["RecordingStatus"], form["RecordingDuration"]) == (
            "completed",
            "7",
        )


async def test_a_recording_can_be_paused_and_fetched() -> None:
    async with Office() as office:
        call = await office.dial(Twiml=LONG, Record="true")
        await office.network.wait_until(lambda: call.answered_at is not None)
        path = f"/Calls/{call.sid}/Recordings/{call.recordings[0].sid}.json"
        await office.rest.post(path, data={"Status": "paused"})
        assert (await office.rest.get(path)).json()["status"] == "paused"
        answer = await office.rest.post(path, data={"Status": "erased"})
        assert answer.json()["code"] == 20001


# -- webhooks ----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_webhooks_are_signed_for_the_public_url(method: str) -> None:
    async with Office() as office:
        url = f"{PUBLIC}/voice?id=7"
        office.application.at("/voice", HANG_UP)
        call = office.network.call_in(ALICE, BOB, url, method=method)
        await office.network.wait_ended(call)
        (webhook,) = office.network.webhooks
        (hook,) = office.application.hooks
        assert hook.method == method
        assert hook.headers["host"] == "agent.example.com"
        assert hook.url.startswith("http://127.0.0.1:3334/voice?id=7")
        form = hook.form if method == "POST" else {}
        signature = hook.headers["x-twilio-signature"]
        assert RequestValidator(TOKEN).validate(webhook.url, form, signature)
        assert webhook.params["CallSid"] == call.sid
        assert webhook.attempts[0].status == 200


async def test_a_refused_connection_is_tried_again_with_the_same_token() -> None:
    async with Office() as office:
        office.application.at(
            "/voice", httpx.ConnectError("refused"), response("<Say>Hi</Say>")
        )
        call = office.network.call_in(ALICE, BOB, f"{PUBLIC}/voice")
        await office.network.wait_ended(call)
        assert call.heard == "Hi"
        tokens = [
            hook.headers["i-twilio-idempotency-token"]
            for hook in office.application.hooks
        ]
        assert len(tokens) == 2
        assert len(set(tokens)) == 1


@pytest.mark.parametrize(
    ("fragment", "tries"),
    [("", 1), ("#rp=5xx", 2), ("#rp=5xx&rc=4", 5), ("#rp=all&rc=0", 1)],
)
async def test_a_fragment_decides_about_further_tries(
    fragment: str, tries: int
) -> None:
    async with Office() as office:
        office.application.at("/voice", (500, "text/xml", ""))
        call = office.network.call_in(ALICE, BOB, f"{PUBLIC}/voice{fragment}")
        await office.network.wait_ended(call)
        (webhook,) = office.network.webhooks
        assert len(webhook.attempts) == tries
        assert "#" not in webhook.url


async def test_a_url_outside_every_tunnel_is_a_bad_host() -> None:
    async with Office() as office:
        call = office.network.call_in(ALICE, BOB, "https://other.example.com/")
        await office.network.wait_ended(call)
        assert office.codes == [11210]


async def test_a_proxy_can_rewrite_the_host() -> None:
    tunnel = Tunnel(public=PUBLIC, local="http://127.0.0.1:3334", keeps_host=False)
    async with Office(tunnel=tunnel) as office:
        await office.run(HANG_UP)
        headers = office.application.hooks[0].headers
        assert headers["host"] == "127.0.0.1:3334"
        assert headers["x-forwarded-host"] == "agent.example.com"


async def test_a_status_callback_can_come_twice_late_or_never() -> None:
    async with Office() as office:
        network = office.network
        network.spoil(WebhookFault(call_status="ringing", copies=2))
        network.spoil(WebhookFault(call_status="in-progress", delay_s=5))
        network.spoil(WebhookFault(call_status="initiated", is_lost=True))
        call = await office.dial(Twiml=HANG_UP, **REPORT_ALL)
        await network.wait_until(lambda: len(network.webhooks) == 4)
        forms = office.application.forms("/status")
        assert [form["CallStatus"] for form in forms] == [
            "ringing",
            "ringing",
            "completed",
            "in-progress",
        ]
        assert call.status is CallStatus.COMPLETED
        assert office.codes == []


async def test_a_lost_question_ends_the_call() -> None:
    async with Office() as office:
        office.network.spoil(WebhookFault(kind=WebhookKind.VOICE, is_lost=True))
        await office.run(HANG_UP)
        assert office.codes == [11205]
        assert office.application.hooks == []


async def test_a_failing_status_callback_is_logged() -> None:
    async with Office() as office:
        office.application.at("/status", (500, "text/plain", ""))
        call = await office.dial(Twiml=HANG_UP, StatusCallback=STATUS)
        await office.network.wait_ended(call)
        assert office.codes == [11200]


async def test_a_wait_gives_up() -> None:
    async with Office(timing=Timing(dial_s=1.0)) as office:
        call: Any = await office.dial(Twiml=LONG)
        with pytest.raises(TimeoutError):
            await office.network.wait_ended(call, timeout_s=3)
        with pytest.raises(TimeoutError):
            await office.network.wait_until(lambda: False, timeout_s=3)


async def test_a_stop_breaks_calls_off() -> None:
    async with Office() as office:
        call = await office.dial(Twiml=LONG)
        await office.network.wait_until(lambda: call.answered_at is not None)
    assert call.status is CallStatus.IN_PROGRESS
    assert call.script.cancelled()


async def test_a_condition_that_fails_fails_the_wait() -> None:
    async with Office() as office:
        call = await office.dial(Twiml=HANG_UP)
        with pytest.raises(ZeroDivisionError):
            await office.network.wait_until(lambda: 1 / (call.answered_at is None) > 1)


async def test_faults_can_be_forgotten() -> None:
    async with Office() as office:
        office.network.spoil(WebhookFault(kind=WebhookKind.VOICE, is_lost=True))
        office.network.heal()
        await office.run(HANG_UP)
        assert office.codes == []
