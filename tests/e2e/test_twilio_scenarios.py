"""Everything that can befall a call over Twilio, each scenario named after its case.

`case_N` is a documented behaviour, `report_N` what users of such lines suffered from, and
`advisory_…` an attack that was published. `stream` and `verbs` are the two ways of
talking: over a media stream, and through Twilio's own verbs.
"""

from __future__ import annotations

import asyncio
import gc
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from e2e.twilio_desk import (
    CALLEE,
    END_CALL,
    FAST,
    OURS,
    PUBLIC,
    SID,
    STREAMING,
    TOKEN,
    WEBHOOK,
    Desk,
    Telephone,
    host_for,
    transcript,
    twilio,
    words,
)
from voice_call.errors import (
    CallOver,
    JournalUnwritable,
    TurnInProgress,
    Unsupported,
)
from voice_call.testing.twilio_network import (
    Behaviour,
    Callee,
    CallStatus,
    Keys,
    RestFault,
    RestFaultKind,
    Speech,
    WebhookFault,
    WebhookKind,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

WAYS = pytest.mark.parametrize("way", [{}, STREAMING], ids=["verbs", "stream"])
CONVERSATION = {"outbound": {"defaultMode": "conversation"}}
OPEN = {"inboundPolicy": "open", "inboundGreeting": "Good day."}


def frames_of(call: Any) -> int:
    """Return how many messages with audio of ours a call's streams got."""
    return sum(
        '"event":"media"' in message.replace(" ", "")
        for stream in call.streams
        for message in stream.received
    )


def kinds_of(call: Any) -> list[str]:
    return [json.loads(each)["event"] for each in call.streams[-1].received]


# -- the opening -----------------------------------------------------------------------


@pytest.mark.parametrize("delayed", ["in-progress", "ringing", "initiated"])
async def test_report_4_news_that_the_stream_overtakes_change_nothing(
    tmp_path: Path, delayed: str
) -> None:
    async with twilio(tmp_path, **STREAMING) as desk:
        late = WebhookFault(kind=WebhookKind.STATUS, call_status=delayed, delay_s=0.7)
        desk.network.spoil(late)
        call_id = await desk.place()
        assert await desk.said(call_id) == [("bot", "Hello there.")]
        await asyncio.sleep(0.8)
        record = await desk.record(call_id)
        assert transcript(record) == [("bot", "Hello there.")]
        assert record["state"] == "listening"
        assert len(desk.call.streams) == 1


async def test_report_4_the_answer_comes_before_the_stream(tmp_path: Path) -> None:
    async with twilio(tmp_path, **STREAMING) as desk:
        slow = WebhookFault(kind=WebhookKind.VOICE, delay_s=0.5)
        desk.network.spoil(slow)
        call_id = await desk.place()
        await desk.until(call_id, lambda record: record["state"] == "answered")
        assert await desk.said(call_id) == [("bot", "Hello there.")]
        assert (
            len(desk.network.requests) == 1
        )  # the dial: a live stream is told nothing


@WAYS
async def test_case_20_the_opening_is_heard_once(tmp_path: Path, way: Any) -> None:
    async with twilio(tmp_path, **way) as desk:
        call_id = await desk.place("The garden is ready.", mode="notify")
        record = await desk.over(call_id)
        assert transcript(record) == [("bot", "The garden is ready.")]
        assert (record["state"], desk.network.errors) == ("completed", [])


@WAYS
@pytest.mark.parametrize("status", ["initiated", "ringing", "in-progress", "completed"])
async def test_case_10_a_status_that_comes_three_times_counts_once(
    tmp_path: Path, way: Any, status: str
) -> None:
    async with twilio(tmp_path, **way) as desk:
        desk.network.spoil(
            WebhookFault(kind=WebhookKind.STATUS, call_status=status, copies=3)
        )
        record = await desk.over(await desk.place(mode="notify"))
        assert transcript(record) == [("bot", "Hello there.")]
        assert record["state"] == "completed"


async def test_report_29_two_equal_answer_webhooks_open_one_stream(
    tmp_path: Path,
) -> None:
    async with twilio(tmp_path, **STREAMING) as desk:
        desk.network.spoil(WebhookFault(kind=WebhookKind.VOICE, copies=2))
        call_id = await desk.place()
        assert await desk.said(call_id) == [("bot", "Hello there.")]
        # The network obeys the second answer: whichever it is, the call has one stream.
        answer = desk.network.webhooks_of(WebhookKind.VOICE)[0]
        bodies = [attempt.body for attempt in answer.attempts]
        assert ["<Stream" in body for body in bodies] == [True, False]
        assert len(desk.call.streams) == 1
        assert desk.tickets == 0


async def test_advisory_oc_87497_a_replayed_webhook_gets_no_token(
    tmp_path: Path,
) -> None:
    async with twilio(tmp_path, **STREAMING) as desk:
        await desk.said(await desk.place())
        (answer,) = desk.network.webhooks_of(WebhookKind.VOICE)
        for token in ("another-token", None):
            again = await desk.resend(answer, **{"I-Twilio-Idempotency-Token": token})
            assert again.status_code == 200
            assert "<Stream" not in again.text
            assert "<Pause" in again.text  # the live call is not ended by it either
        assert desk.tickets == 0


# -- streams that are lost -------------------------------------------------------------


async def test_case_64_a_stream_that_comes_back_in_time_goes_on(
    tmp_path: Path,
) -> None:
    async with twilio(tmp_path, **STREAMING) as desk:
        call_id = await desk.place()
        await desk.said(call_id)
        assert desk.call.stream is not None
        desk.call.stream.drop()  # Twilio goes on with the TwiML, which asks again
        await desk.network.wait_until(lambda: len(desk.call.streams) == 2)
        await desk.network.wait_until(lambda: desk.call.stream is not None)
        await asyncio.sleep(2.2)
        await desk.host.call("voicecall.speak", callId=call_id, message="Again.")
        said = await desk.said(call_id, 2)
        assert said == [("bot", "Hello there."), ("bot", "Again.")]


async def test_case_64_a_stream_that_does_not_come_back_ends_the_call_once(
    tmp_path: Path,
) -> None:
    async with twilio(tmp_path, **STREAMING) as desk:
        call_id = await desk.place()
        await desk.said(call_id)
        desk.network.spoil(WebhookFault(kind=WebhookKind.VOICE, delay_s=6.0, times=3))
        assert desk.call.stream is not None
        desk.call.stream.drop()
        record = await desk.over(call_id)
        assert record["ending"]["cause"] == "media_lost"
        hang_ups = [
            r for r in desk.network.requests if ("Status", "completed") in r.form
        ]
        assert len(hang_ups) == 1


async def test_case_64_an_opening_that_a_lost_stream_cut_is_said_again(
    tmp_path: Path,
) -> None:
    message = "This opening is long enough to be cut in the middle of it."
    async with twilio(tmp_path, **STREAMING) as desk:
        call_id = await desk.place(message, mode="notify")
        await desk.network.wait_until(
            lambda: bool(desk.network.calls) and frames_of(desk.call) > 20
        )
        assert desk.call.stream is not None
        desk.call.stream.drop()
        record = await desk.over(call_id)
        assert transcript(record)[-1] == ("bot", message)
        assert record["state"] == "completed"


async def test_case_54_the_late_end_of_a_replaced_stream_does_nothing(
    tmp_path: Path,
) -> None:
    async with twilio(tmp_path, **STREAMING) as desk:
        call_id = await desk.place()
        await desk.said(call_id)
        desk.network.spoil(WebhookFault(kind=WebhookKind.STREAM, delay_s=1.0))
        assert desk.call.stream is not None
        desk.call.stream.drop()
        await desk.network.wait_until(lambda: len(desk.call.streams) == 2)
        await asyncio.sleep(3.5)
        assert (await desk.record(call_id))["state"] == "listening"


# -- calls that nobody takes -----------------------------------------------------------


@WAYS
@pytest.mark.parametrize(
    ("behaviour", "state", "code"),
    [
        (Behaviour.BUSY, "busy", "busy"),
        (Behaviour.UNREACHABLE, "failed", "failed"),
        (Behaviour.NO_ANSWER, "no-answer", "no-answer"),
    ],
)
async def test_report_68_a_call_that_fails_says_so_in_the_carriers_words(
    tmp_path: Path, way: Any, behaviour: Behaviour, state: str, code: str
) -> None:
    callee = Callee(behaviour=behaviour, ring_s=0.02)
    async with twilio(tmp_path, callee=callee, ringTimeoutMs=1000, **way) as desk:
        record = await desk.over(await desk.place())
        assert record["state"] == state
        assert record["ending"]["carrierCode"] == code
        assert record["transcript"] == []
        assert desk.dials()[0]["Timeout"] == "1"
        await desk.over(await desk.place())  # the one line is free again


@WAYS
async def test_report_68_a_call_that_is_given_up_while_it_rings_is_cancelled(
    tmp_path: Path, way: Any
) -> None:
    async with twilio(tmp_path, callee=Callee(ring_s=30.0), **way) as desk:
        call_id = await desk.place()
        await desk.until(call_id, lambda record: record["state"] == "ringing")
        await desk.host.call("voicecall.end", callId=call_id)
        record = await desk.over(call_id)
        assert desk.call.status is CallStatus.CANCELED
        assert record["ending"]["carrierCode"] == "canceled"


async def test_case_40_a_call_whose_end_is_never_reported_ends_by_its_ring_limit(
    tmp_path: Path,
) -> None:
    callee = Callee(behaviour=Behaviour.NO_ANSWER)
    async with twilio(tmp_path, callee=callee, ringTimeoutMs=1000) as desk:
        desk.network.spoil(WebhookFault(kind=WebhookKind.STATUS, is_lost=True, times=9))
        call_id = await desk.place()
        record = await desk.until(call_id, lambda record: "endedAt" in record)
        assert record["state"] == "no-answer"


@WAYS
async def test_report_23_the_longest_call(tmp_path: Path, way: Any) -> None:
    async with twilio(tmp_path, maxDurationSeconds=2, **way) as desk:
        record = await desk.over(await desk.place())
        assert desk.dials()[0]["TimeLimit"] == "2"
        assert record["state"] in ("timeout", "completed")  # whoever counts faster
        assert 1.5 < (record["endedAt"] - record["answeredAt"]) / 1000 < 3.5


# -- answering machines ----------------------------------------------------------------


@WAYS
async def test_report_68_a_machine_gets_the_message_after_its_beep(
    tmp_path: Path, way: Any
) -> None:
    callee = Callee(ring_s=0.02, is_machine=True, detection_s=0.6)
    async with twilio(tmp_path, callee=callee, **way) as desk:
        desk.detect_machines()
        record = await desk.over(await desk.place("Call me back.", mode="notify"))
        assert record["state"] == "voicemail"
        assert transcript(record)[-1] == ("bot", "Call me back.")
        if not way:
            heard = desk.call.heard_texts[-1]
            assert (heard.text, heard.is_complete) == ("Call me back.", True)


async def test_a_person_hears_the_message_at_once(tmp_path: Path) -> None:
    callee = Callee(ring_s=0.02, is_machine=False, detection_s=0.3)
    async with twilio(tmp_path, callee=callee, **STREAMING) as desk:
        desk.detect_machines()
        record = await desk.over(await desk.place(mode="notify"))
        assert record["state"] == "completed"
        assert transcript(record) == [("bot", "Hello there.")]


# -- talking ---------------------------------------------------------------------------


@WAYS
async def test_report_19_a_long_message_is_heard_completely(
    tmp_path: Path, way: Any
) -> None:
    length = 120 if way else 4500  # a stream plays in real time
    text = " ".join(f"word{n}" for n in range(1000))[:length].strip()
    timing = FAST if way else type(FAST)(dial_s=0.02, seconds_per_character=0.0005)
    async with twilio(tmp_path, timing=timing, **way) as desk:
        record = await desk.over(await desk.place(text, mode="notify"))
        assert " ".join(entry[1] for entry in transcript(record)) == text
        assert record["state"] == "completed"
        if not way:
            assert desk.call.heard == text
            assert "Url" in desk.dials()[0]


async def test_report_63_notify_without_a_reachable_webhook(tmp_path: Path) -> None:
    callee = Callee(ring_s=0.02)
    async with twilio(tmp_path, callee=callee, is_reachable=False) as desk:
        await desk.place("The garden is ready.", mode="notify")
        await desk.network.wait_until(lambda: bool(desk.network.calls))
        await desk.network.wait_ended(desk.call)
        assert desk.call.heard == "The garden is ready."
        assert desk.call.status is CallStatus.COMPLETED


async def test_case_26_continue_with_the_carriers_voice(tmp_path: Path) -> None:
    callee = Callee(ring_s=0.02)
    async with twilio(tmp_path, callee=callee, **CONVERSATION) as desk:
        call_id = await desk.place()
        await desk.said(call_id)
        asked = asyncio.create_task(
            desk.host.call("voicecall.continue", callId=call_id, message="Which day?")
        )
        await desk.network.wait_until(lambda: "Which day?" in desk.call.heard)
        await desk.network.wait_until(lambda: desk.call.ear is not None)
        desk.call.say("On Monday.")
        assert await asked == {"success": True, "transcript": "On Monday."}
        assert await desk.said(call_id, 3) == [
            ("bot", "Hello there."),
            ("bot", "Which day?"),
            ("user", "On Monday."),
        ]


async def test_case_28_an_answer_to_an_earlier_listening_does_not_count(
    tmp_path: Path,
) -> None:
    async with twilio(tmp_path, **CONVERSATION) as desk:
        call_id = await desk.place()
        await desk.said(call_id)
        await desk.network.wait_until(lambda: desk.call.ear is not None)
        early = desk.network.webhooks_of(WebhookKind.VOICE)[-1]
        asked = asyncio.create_task(
            desk.host.call("voicecall.continue", callId=call_id, message="Which day?")
        )
        await desk.network.wait_until(lambda: "Which day?" in desk.call.heard)
        await desk.network.wait_until(lambda: desk.call.ear is not None)
        await send_speech(desk, early.url, "Too late.", token="listen-1")
        await asyncio.sleep(0.3)
        assert not asked.done()
        desk.call.say("On Monday.")
        assert (await asked)["transcript"] == "On Monday."
        assert ("user", "Too late.") not in await desk.said(call_id, 3)


async def send_speech(desk: Desk, url: str, text: str, *, token: str) -> None:
    """Send a correctly signed answer to a listening."""
    from voice_call.carriers.twilio.twiml import with_query
    from voice_call.testing.twilio_network.signature import sign_webhook

    url = with_query(url, turnToken=token, round="late-1", played=None)
    params = {"CallSid": desk.call.sid, "CallStatus": "in-progress"}
    params |= {"Direction": "outbound-api", "SpeechResult": text, "Confidence": "0.9"}
    signature = sign_webhook(url, params.items(), auth_token=TOKEN)
    async with httpx.AsyncClient() as client:
        answer = await client.post(
            url.replace(PUBLIC, f"http://127.0.0.1:{desk.port}"),
            data=params,
            headers={"X-Twilio-Signature": signature},
        )
    assert answer.status_code == 200, answer.text


async def test_case_27_one_continue_at_a_time(tmp_path: Path) -> None:
    async with twilio(tmp_path) as desk:
        call_id = await desk.place()
        await desk.said(call_id)
        first = asyncio.create_task(
            desk.host.call("voicecall.continue", callId=call_id, message="Which day?")
        )
        await asyncio.sleep(0.1)
        with pytest.raises(TurnInProgress):
            await desk.host.call("voicecall.continue", callId=call_id, message="And?")
        await desk.host.call("voicecall.end", callId=call_id)
        with pytest.raises(CallOver):  # case 31
            await first


async def test_case_26_continue_on_a_stream(tmp_path: Path) -> None:
    telephone = Telephone()
    callee = Callee(ring_s=0.02, end=lambda: telephone)
    async with twilio(tmp_path, callee=callee, **STREAMING) as desk:
        call_id = await desk.place()
        await desk.said(call_id)
        desk.ears.expect("On Monday.")
        asked = asyncio.create_task(
            desk.host.call("voicecall.continue", callId=call_id, message="Which day?")
        )
        await desk.said(call_id, 2)
        telephone.speak(0.8)
        assert await asked == {"success": True, "transcript": "On Monday."}


async def test_report_15_five_turns_with_the_carriers_voice(tmp_path: Path) -> None:
    turns = 5
    callee = Callee(
        ring_s=0.02,
        replies=tuple(
            Speech(text=f"Question {n}.", after_s=0.02) for n in range(turns)
        ),
    )
    replies: list[Any] = [[words(f"Answer {n}.")] for n in range(turns - 1)]
    replies.append([words("Goodbye."), END_CALL])
    async with twilio(tmp_path, callee=callee, replies=replies) as desk:
        record = await desk.over(await desk.place())
        assert transcript(record) == [
            ("bot", "Hello there."),
            *[
                line
                for n in range(turns)
                for line in (
                    ("user", f"Question {n}."),
                    ("bot", f"Answer {n}." if n < turns - 1 else "Goodbye."),
                )
            ],
        ]
        assert record["state"] == "hangup-bot"
        assert desk.network.errors == []


async def test_case_65_turns_on_a_stream(tmp_path: Path) -> None:
    telephone = Telephone()
    callee = Callee(ring_s=0.02, end=lambda: telephone)
    replies = [[words("It is nine.")], [words("Goodbye."), END_CALL]]
    async with twilio(tmp_path, callee=callee, replies=replies, **STREAMING) as desk:
        call_id = await desk.place("Hello.")
        await desk.said(call_id)
        desk.ears.expect("What time is it?", "Thank you.")
        telephone.speak(0.8)
        await desk.said(call_id, 3)
        telephone.speak(0.8)
        record = await desk.over(call_id)
        assert transcript(record) == [
            ("bot", "Hello."),
            ("user", "What time is it?"),
            ("bot", "It is nine."),
            ("user", "Thank you."),
            ("bot", "Goodbye."),
        ]
        assert record["state"] == "hangup-bot"


@WAYS
async def test_report_25_an_agent_that_fails_is_apologised_for(
    tmp_path: Path, way: Any
) -> None:
    telephone = Telephone()
    callee = Callee(
        ring_s=0.02,
        end=lambda: telephone,
        replies=(Speech(text="Well?", after_s=0.02),),
    )
    replies = [[RuntimeError("no")]]
    async with twilio(tmp_path, callee=callee, replies=replies, **way) as desk:
        call_id = await desk.place("Hello.")
        await desk.said(call_id)
        if way:
            desk.ears.expect("Well?")
            telephone.speak(0.8)
        said = await desk.said(call_id, 3)
        assert said[2] == (
            "bot",
            "I am sorry, something went wrong. Could you say that again?",
        )


@WAYS
async def test_speak(tmp_path: Path, way: Any) -> None:
    async with twilio(tmp_path, **way) as desk:
        call_id = await desk.place("Hello.")
        await desk.said(call_id)
        for text in ("One.", "Two.", "<&'\" Three."):
            await desk.host.call("voicecall.speak", callId=call_id, message=text)
        assert await desk.said(call_id, 4) == [
            ("bot", "Hello."),
            ("bot", "One."),
            ("bot", "Two."),
            ("bot", "<&'\" Three."),
        ]
        assert desk.network.errors == []


async def test_report_28_barge_in_sends_clear_first(tmp_path: Path) -> None:
    telephone = Telephone()
    callee = Callee(ring_s=0.02, end=lambda: telephone)
    long = "This is a very long answer, which nobody wants to hear to its end at all."
    replies = [[words(long)], [words("Yes?")]]
    async with twilio(tmp_path, callee=callee, replies=replies, **STREAMING) as desk:
        call_id = await desk.place("Hello.")
        await desk.said(call_id)
        desk.ears.expect("Tell me all.", "Stop it please.")
        telephone.speak(0.8)
        await desk.until(call_id, lambda record: record["state"] == "speaking")
        await asyncio.sleep(0.3)
        telephone.speak(1.0)
        said = await desk.said(call_id, 5)
        assert said[2] == ("bot", said[2][1])
        assert len(said[2][1]) < len(long)
        assert said[3:] == [("user", "Stop it please."), ("bot", "Yes?")]
        kinds = kinds_of(desk.call)
        cleared = kinds.index("clear")
        assert kinds[cleared + 1 :].count("media") < 60  # "Yes?", and nothing old
        assert desk.network.errors == []


# -- keys ------------------------------------------------------------------------------


@WAYS
async def test_report_50_keys_that_the_callee_presses(tmp_path: Path, way: Any) -> None:
    callee = Callee(ring_s=0.02, replies=(Keys(digits="42#", after_s=0.02),))
    replies = [[words("Forty-two."), END_CALL]]
    async with twilio(tmp_path, callee=callee, replies=replies, **way) as desk:
        call_id = await desk.place("Hello.")
        await desk.said(call_id)
        if way:
            desk.call.press("42#")
        record = await desk.over(call_id)
        assert transcript(record)[1:] == [
            ("user", "[pressed 42]"),
            ("bot", "Forty-two."),
        ]


async def test_report_50_keys_are_sent_without_a_stream(tmp_path: Path) -> None:
    async with twilio(tmp_path) as desk:
        call_id = await desk.place()
        await desk.said(call_id)
        await desk.host.call("voicecall.dtmf", callId=call_id, digits="12#")
        await desk.network.wait_until(lambda: desk.call.heard_digits == "12#")
        await desk.host.call("voicecall.speak", callId=call_id, message="Still here.")
        assert (await desk.said(call_id, 2))[1] == ("bot", "Still here.")


async def test_report_50_keys_are_refused_while_a_stream_is_live(
    tmp_path: Path,
) -> None:
    async with twilio(tmp_path, **STREAMING) as desk:
        call_id = await desk.place()
        await desk.said(call_id)
        with pytest.raises(Unsupported, match="would end the stream"):
            await desk.host.call("voicecall.dtmf", callId=call_id, digits="1")
        assert desk.call.stream is not None
        assert desk.call.heard_digits == ""


# -- inbound ---------------------------------------------------------------------------


@WAYS
@pytest.mark.parametrize(
    ("policy", "caller"),
    [
        ({"inboundPolicy": "disabled"}, CALLEE),
        ({"inboundPolicy": "allowlist", "allowFrom": [OURS]}, CALLEE),
        ({"inboundPolicy": "allowlist", "allowFrom": [CALLEE]}, ""),
        ({"inboundPolicy": "allowlist", "allowFrom": [CALLEE]}, "anonymous"),
        ({"inboundPolicy": "allowlist", "allowFrom": [CALLEE]}, "+266696687"),
        ({"inboundPolicy": "allowlist", "allowFrom": [CALLEE]}, "+999" + CALLEE[1:]),
    ],
    ids=["disabled", "other", "empty", "anonymous", "withheld", "suffix"],
)
async def test_report_3_and_32_a_refused_caller_is_rejected_and_recorded(
    tmp_path: Path, way: Any, policy: Any, caller: str
) -> None:
    async with twilio(tmp_path, **policy, **way) as desk:
        call = desk.network.call_in(caller, OURS, WEBHOOK)
        await desk.network.wait_ended(call, timeout_s=1.0)
        assert call.answered_at is None
        async with asyncio.timeout(1.5):
            record = await desk.over(call.sid)
        assert record["ending"]["cause"] == "policy"
        assert record["transcript"] == []


@WAYS
async def test_report_33_the_greeting_is_heard_once(tmp_path: Path, way: Any) -> None:
    async with twilio(tmp_path, **OPEN, **way) as desk:
        call = desk.network.call_in("anonymous", OURS, WEBHOOK)
        await desk.network.wait_until(lambda: call.answered_at is not None)
        assert await desk.said(call.sid) == [("bot", "Good day.")]
        record = await desk.record(call.sid)
        assert record["from"] == ""
        assert record["sessionKey"] == f"voice:call:{record['callId']}"
        call.hang_up()
        await desk.network.wait_ended(call)
        await asyncio.sleep(0.1)


@WAYS
async def test_case_51_two_callers_at_once(tmp_path: Path, way: Any) -> None:
    async with twilio(tmp_path, **OPEN, **way) as desk:
        calls = [
            desk.network.call_in(f"+1555010030{n}", OURS, WEBHOOK) for n in range(2)
        ]
        for call in calls:
            assert await desk.said(call.sid) == [("bot", "Good day.")]
        for call in calls:
            await desk.host.call("voicecall.end", callId=call.sid)
            assert (await desk.over(call.sid))["state"] == "hangup-bot"


async def test_case_51_a_caller_beyond_the_limit_hears_why(tmp_path: Path) -> None:
    async with twilio(tmp_path, maxInboundCalls=1, **OPEN) as desk:
        first = desk.network.call_in("+15550100301", OURS, WEBHOOK)
        await desk.said(first.sid)
        second = desk.network.call_in("+15550100302", OURS, WEBHOOK)
        await desk.network.wait_ended(second)
        record = await desk.over(second.sid)
        assert record["ending"]["cause"] == "all_lines_busy"
        assert (await desk.record(first.sid))["state"] == "listening"


@WAYS
async def test_report_18_the_caller_hangs_up_without_a_status_callback(
    tmp_path: Path, way: Any
) -> None:
    async with twilio(tmp_path, maxDurationSeconds=600, **OPEN, **way) as desk:
        call = desk.network.call_in(CALLEE, OURS, WEBHOOK)
        await desk.said(call.sid)
        call.hang_up()
        record = await desk.over(call.sid)
        assert record["state"] == "completed"


# -- the journal -----------------------------------------------------------------------


async def test_report_56_a_report_that_cannot_be_written_is_asked_for_again(
    tmp_path: Path,
) -> None:
    async with twilio(tmp_path) as desk:
        call_id = await desk.place()
        await desk.said(call_id)
        journal: Any = desk.runtime._journal
        append, failures = journal.append, [1]

        async def fail_once(*args: Any, **more: Any) -> Any:
            if failures:
                failures.pop()
                raise JournalUnwritable("The disk is full.")
            return await append(*args, **more)

        await desk.network.wait_until(lambda: desk.call.ear is not None)
        journal.append = fail_once
        desk.call.hang_up()
        await desk.network.wait_until(lambda: not failures)
        report = await failed_delivery(desk)
        assert report.status == 503
        last = desk.network.webhooks_of(WebhookKind.STATUS)[-1]
        if len(last.attempts) == 1:  # Twilio has no more tries of its own
            assert (await desk.resend(last)).status_code == 200
        assert (await desk.over(call_id))["state"] == "completed"


async def failed_delivery(desk: Desk) -> Any:
    def failed() -> list[Any]:
        return [
            attempt
            for webhook in desk.network.webhooks
            for attempt in webhook.attempts
            if attempt.status == 503
        ]

    await desk.network.wait_until(lambda: bool(failed()))
    return failed()[0]


# -- strangers -------------------------------------------------------------------------


@WAYS
async def test_advisory_cve_2026_26319_unsigned_and_wrongly_signed_webhooks(
    tmp_path: Path, way: Any
) -> None:
    async with twilio(tmp_path, **way) as desk:
        call_id = await desk.place()
        await desk.said(call_id)
        sample = desk.network.webhooks_of(WebhookKind.STATUS)[-1]
        for signature in (None, "x", sample.headers["X-Twilio-Signature"][::-1]):
            refused = await desk.resend(sample, **{"X-Twilio-Signature": signature})
            assert refused.status_code == 401
            assert "<" not in refused.text
        sample.params["CallStatus"] = "completed"  # what was signed is something else
        assert (await desk.resend(sample)).status_code == 401
        assert (await desk.record(call_id))["state"] == "listening"


@pytest.mark.parametrize("kind", ["missing", "wrong", "used"])
async def test_advisory_oc_134753_a_stream_needs_a_token_that_is_good_once(
    tmp_path: Path, kind: str
) -> None:
    async with twilio(tmp_path, **STREAMING) as desk:
        call_id = await desk.place()
        await desk.said(call_id)
        live = desk.call.stream
        assert live is not None
        token = live.order.parameters["token"]
        other = {"missing": {}, "wrong": {"token": "x" * 43}, "used": {"token": token}}
        code = await open_stream(desk, other[kind])
        assert code == 1008
        await asyncio.sleep(0.1)
        assert live.is_open
        assert (await desk.record(call_id))["state"] == "listening"


async def test_advisory_oc_134753_the_token_of_a_call_that_is_over(
    tmp_path: Path,
) -> None:
    async with twilio(tmp_path, **STREAMING) as desk:
        call_id = await desk.place(mode="notify")
        await desk.over(call_id)
        token = desk.call.streams[0].order.parameters["token"]
        assert await open_stream(desk, {"token": token}) == 1008


async def open_stream(desk: Desk, parameters: dict[str, str]) -> int:
    """Open a media stream of the newest call as a stranger; returns the close code."""
    from websockets.asyncio.client import connect

    from voice_call.testing.twilio_network.signature import sign_upgrade

    url = f"wss://{PUBLIC.removeprefix('https://')}/voice/stream"
    headers = {"X-Twilio-Signature": sign_upgrade(url, auth_token=TOKEN)}
    start = {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": "MZ" + "f" * 32,
        "start": {
            "accountSid": SID,
            "streamSid": "MZ" + "f" * 32,
            "callSid": desk.call.sid,
            "tracks": ["inbound"],
            "mediaFormat": {
                "encoding": "audio/x-mulaw",
                "sampleRate": 8000,
                "channels": 1,
            },
            "customParameters": parameters,
        },
    }
    address = f"ws://127.0.0.1:{desk.port}/voice/stream"
    async with connect(address, additional_headers=headers) as socket:
        await socket.send(json.dumps({"event": "connected", "protocol": "Call"}))
        await socket.send(json.dumps(start))
        await asyncio.wait_for(socket.wait_closed(), 5)
        assert socket.close_code is not None
        return socket.close_code


# -- Twilio's REST door ----------------------------------------------------------------


async def test_report_64_an_error_of_the_carrier_is_shown(tmp_path: Path) -> None:
    async with twilio(tmp_path) as desk:
        desk.network.spoil(RestFault(method="POST", status=400, code=21219))
        record = await desk.over(await desk.place())
        assert record["state"] == "failed"
        assert record["ending"]["carrierCode"] == "21219"
        assert "twilio refused (400, code 21219)" in record["ending"]["detail"]
        assert CALLEE not in json.dumps(record["ending"])


async def test_a_dial_that_is_told_to_wait_is_sent_again(tmp_path: Path) -> None:
    async with twilio(tmp_path) as desk:
        desk.network.spoil(RestFault(method="POST", status=429, retry_after_s=1))
        record = await desk.over(await desk.place(mode="notify"))
        assert record["state"] == "completed"
        assert (len(desk.dials()), len(desk.network.calls)) == (2, 1)


@pytest.mark.parametrize("kind", [RestFaultKind.ERROR, RestFaultKind.LOST_ANSWER])
async def test_report_24_a_dial_without_an_answer_is_not_sent_again(
    tmp_path: Path, kind: RestFaultKind
) -> None:
    async with twilio(tmp_path) as desk:
        rest: Any = desk.runtime._carrier.control
        impatient = replace(rest._rest.limits, answer_s=0.5)
        object.__setattr__(rest._rest, "limits", impatient)  # of this client alone
        desk.network.spoil(RestFault(kind=kind, method="POST", status=500, times=1))
        call_id = await desk.place(mode="notify")
        await asyncio.sleep(1.5)
        assert len(desk.dials()) == 1
        if kind is RestFaultKind.LOST_ANSWER:  # its own news tell that it was placed
            assert (await desk.over(call_id))["state"] == "completed"
            assert len(desk.network.calls) == 1


# -- a new process ---------------------------------------------------------------------


async def test_report_5_a_call_goes_on_in_a_new_process(tmp_path: Path) -> None:
    async with twilio(tmp_path) as desk:
        call_id = await desk.place()
        await desk.said(call_id)
        await kill(desk.runtime)
        async with restarted(desk, tmp_path):
            await desk.host.call("voicecall.speak", callId=call_id, message="Back.")
            said = await desk.said(call_id, 2)
            assert said == [("bot", "Hello there."), ("bot", "Back.")]
            assert len(desk.dials()) == 1


async def test_report_5_a_stream_that_lost_its_server_costs_the_call(
    tmp_path: Path,
) -> None:
    async with twilio(tmp_path, **STREAMING) as desk:
        call_id = await desk.place()
        await desk.said(call_id)
        await kill(desk.runtime)  # Twilio asks at once what to do, and nobody answers
        await desk.network.wait_ended(desk.call)
        async with restarted(desk, tmp_path, **STREAMING):
            assert (await desk.over(call_id))["ending"]["cause"] == "lost"
            assert len(desk.dials()) == 1
            await desk.over(await desk.place(mode="notify"))  # the line is free


@WAYS
async def test_report_5_a_call_that_ended_meanwhile_has_ended(
    tmp_path: Path, way: Any
) -> None:
    async with twilio(tmp_path, **way) as desk:
        call_id = await desk.place()
        await desk.said(call_id)
        await kill(desk.runtime)
        desk.call.hang_up()
        await desk.network.wait_ended(desk.call)
        async with restarted(desk, tmp_path, **way):
            assert (await desk.over(call_id))["ending"]["cause"] == "lost"
            assert len(desk.dials()) == 1


@asynccontextmanager
async def restarted(desk: Desk, folder: Path, **config: Any) -> AsyncIterator[None]:
    """Run the plugin again on what a killed one left behind."""
    base_url = desk.host.config["twilio"]["apiBaseUrl"]
    desk.host = host_for(folder, base_url, desk.port, **config)
    await desk.host.start()
    try:
        yield
    finally:
        await desk.host.stop()


async def kill(runtime: Any) -> None:
    """Let a process vanish: no goodbye to any call, only the port and files are free."""
    runtime._manager._sessions.clear()
    runtime._manager._by_carrier.clear()
    await runtime._door.close(0.0)
    await runtime._journal.close()


# -- many calls ------------------------------------------------------------------------


def leftovers(desk: Desk) -> dict[str, int]:
    runtime: Any = desk.runtime
    return {
        "calls": len(runtime._manager.live()),
        "names": len(runtime._manager._by_carrier),
        "deliveries": len(runtime._manager._deliveries),
        "tickets": desk.tickets,
    }


NOTHING = {"calls": 0, "names": 0, "deliveries": 0, "tickets": 0}


@pytest.mark.timeout(120)
async def test_report_18_fifty_calls_in_a_row_leave_nothing_behind(
    tmp_path: Path,
) -> None:
    timing = type(FAST)(dial_s=0.0, seconds_per_character=0.0)
    async with twilio(tmp_path, callee=Callee(ring_s=0.0), timing=timing) as desk:
        await desk.over(await desk.place("Hi.", mode="notify"))
        before = len(asyncio.all_tasks())
        for _ in range(49):
            call_id = await desk.place("Hi.", mode="conversation")
            await desk.until(call_id, lambda r: "answeredAt" in r)
            await desk.host.call("voicecall.end", callId=call_id)
            await desk.over(call_id)
        await asyncio.sleep(0.3)
        gc.collect()
        assert len(desk.dials()) == 50
        assert leftovers(desk) == NOTHING
        assert len(asyncio.all_tasks()) <= before + 2


@WAYS
async def test_report_18_twenty_calls_at_once_leave_nothing_behind(
    tmp_path: Path, way: Any
) -> None:
    if way:  # all streams come from one address, as behind a tunnel
        way = {"streaming": {"enabled": True, "maxPendingConnectionsPerIp": 20}}
    async with twilio(tmp_path, maxConcurrentCalls=20, **way) as desk:
        before = len(asyncio.all_tasks())
        placed = await asyncio.gather(
            *(desk.place("Hi there.", mode="notify") for _ in range(20))
        )
        for call_id in placed:
            record = await desk.over(call_id)
            assert record["state"] == "completed"
            assert transcript(record) == [("bot", "Hi there.")]
        await asyncio.sleep(0.5)
        assert leftovers(desk) == NOTHING
        assert len(asyncio.all_tasks()) <= before + 4  # connections kept for the next
        assert desk.network.errors == []
