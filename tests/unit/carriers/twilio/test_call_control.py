"""What Twilio's REST API is asked for, and what its answers mean."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import httpx
import pytest

from voice_call.call.model import CallId, CarrierCallId, Digit, EndCause
from voice_call.carriers.base import (
    CallRef,
    Capabilities,
    Carrier,
    CarrierStatus,
    DialOrder,
    EndCall,
    GatherSpeech,
    KeepWaiting,
    ReportPlayed,
    SayText,
)
from voice_call.carriers.twilio import make_carrier
from voice_call.errors import (
    CarrierRefused,
    CarrierUnreachable,
    ConfigError,
    Unsupported,
)
from voice_call.testing.carrier_suite import check_abilities_agree

if TYPE_CHECKING:
    from typing import Any

pytestmark = pytest.mark.anyio

ACCOUNT = "AC" + "a" * 32
SID = "CA" + "b" * 32
BASE = f"/2010-04-01/Accounts/{ACCOUNT}/Calls"
HOOK = "https://phone.example/voice/webhook"
CALL = CallRef(call_id=CallId("c1"), carrier_call_id=CarrierCallId(SID))


class Peer(httpx.AsyncBaseTransport):
    """Twilio's REST API following a script; without one, everything succeeds."""

    def __init__(self, *steps: httpx.Response | Exception) -> None:
        self.steps = list(steps)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if not self.steps:
            return httpx.Response(201, json={"sid": SID, "status": "queued"})
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    @property
    def lines(self) -> list[str]:
        return [f"{each.method} {each.url.path}" for each in self.requests]

    def form(self, position: int = -1) -> list[tuple[str, str]]:
        return parse_qsl(self.requests[position].content.decode())


def twilio(peer: Peer, **changes: Any) -> Carrier:
    settings: dict[str, Any] = {
        "account_sid": ACCOUNT,
        "auth_token": "s3cret",
        "transport": peer,
        **changes,
    }
    return make_carrier(**settings)


def order(**changes: Any) -> DialOrder:
    settings: dict[str, Any] = {
        "call_id": CallId("c1"),
        "to": "+15550001234",
        "from_": "+15550000000",
        "ring_timeout_s": 29.2,
        "max_duration_s": 300.0,
        "webhook_url": HOOK,
        **changes,
    }
    return DialOrder(**settings)


def error(status: int, code: int, message: str = "no") -> httpx.Response:
    return httpx.Response(status, json={"code": code, "message": message})


# -- dial ------------------------------------------------------------------------------


async def test_a_conversation_is_asked_for_at_the_webhook() -> None:
    peer = Peer()
    assert await twilio(peer).control.dial(order()) == SID
    assert peer.lines == [f"POST {BASE}.json"]
    assert peer.form() == [
        ("To", "+15550001234"),
        ("From", "+15550000000"),
        ("Url", f"{HOOK}?callId=c1"),
        ("Method", "POST"),
        ("Timeout", "30"),
        ("TimeLimit", "300"),
        ("StatusCallback", f"{HOOK}?callId=c1&type=status"),
        ("StatusCallbackMethod", "POST"),
        ("StatusCallbackEvent", "initiated"),
        ("StatusCallbackEvent", "ringing"),
        ("StatusCallbackEvent", "answered"),
        ("StatusCallbackEvent", "completed"),
    ]


async def test_a_dial_without_a_url_uses_the_one_of_the_account() -> None:
    peer = Peer()
    await twilio(peer, webhook_url=HOOK).control.dial(order(webhook_url=None))
    names = dict(peer.form())
    assert names["Url"] == f"{HOOK}?callId=c1"
    assert names["StatusCallback"] == f"{HOOK}?callId=c1&type=status"


async def test_a_message_goes_inline_even_without_a_webhook() -> None:
    peer = Peer()
    await twilio(peer).control.dial(order(notify_text="Hi & bye", webhook_url=None))
    assert peer.form() == [
        ("To", "+15550001234"),
        ("From", "+15550000000"),
        (
            "Twiml",
            (
                '<?xml version="1.0" encoding="UTF-8"?><Response>'
                '<Say voice="Polly.Joanna" language="en-US">Hi &amp; bye</Say>'
                '<Pause length="1"/><Hangup/></Response>'
            ),
        ),
        ("Timeout", "30"),
        ("TimeLimit", "300"),
    ]


async def test_a_message_uses_the_voice_of_the_account() -> None:
    peer = Peer()
    german = twilio(peer, voice="Polly.Vicki", language="de-DE")
    await german.control.dial(order(notify_text="Hallo"))
    assert 'voice="Polly.Vicki" language="de-DE"' in dict(peer.form())["Twiml"]


async def test_a_message_too_long_for_inline_is_asked_for_at_the_webhook() -> None:
    peer = Peer()
    await twilio(peer).control.dial(order(notify_text="word " * 800))
    names = dict(peer.form())
    assert names["Url"] == f"{HOOK}?callId=c1"
    assert "Twiml" not in names


@pytest.mark.parametrize("text", [None, "word " * 800])
async def test_without_a_url_to_ask_at_nothing_is_dialled(text: str | None) -> None:
    peer = Peer()
    with pytest.raises(CarrierRefused, match="publicUrl"):
        await twilio(peer).control.dial(order(webhook_url=None, notify_text=text))
    assert peer.requests == []


async def test_machines_are_detected_while_the_call_goes_on() -> None:
    peer = Peer()
    await twilio(peer).control.dial(order(machine_detection=True))
    assert peer.form()[-4:] == [
        ("MachineDetection", "DetectMessageEnd"),
        ("AsyncAmd", "true"),
        ("AsyncAmdStatusCallback", f"{HOOK}?callId=c1&type=amd"),
        ("AsyncAmdStatusCallbackMethod", "POST"),
    ]


@pytest.mark.parametrize(
    ("ring_s", "duration_s", "rings", "lasts"),
    [(0.0, 0.2, "1", "1"), (9e9, 9e9, "600", "86400"), (30.0, 300.0, "30", "300")],
)
async def test_limits_stay_within_twilios(
    ring_s: float, duration_s: float, rings: str, lasts: str
) -> None:
    peer = Peer()
    await twilio(peer).control.dial(
        order(ring_timeout_s=ring_s, max_duration_s=duration_s)
    )
    names = dict(peer.form())
    assert (names["Timeout"], names["TimeLimit"]) == (rings, lasts)


async def test_a_refused_dial_has_twilios_code_and_no_number() -> None:
    peer = Peer(error(400, 21211, "The number +15550001234 is not valid"))
    with pytest.raises(CarrierRefused) as caught:
        await twilio(peer).control.dial(order())
    assert str(caught.value) == (
        "twilio refused (400, code 21211). The number …1234 is not valid"
    )
    assert caught.value.carrier_code == "21211"


@pytest.mark.parametrize(
    "step",
    [
        httpx.ReadTimeout("late"),
        httpx.Response(500),
        httpx.Response(201, json={}),
        httpx.Response(201, json={"sid": "../x"}),
        httpx.Response(201, content=b"<html>"),
    ],
)
async def test_a_dial_that_may_have_been_placed_is_sent_once(
    step: httpx.Response | Exception,
) -> None:
    peer = Peer(step)
    with pytest.raises(CarrierUnreachable) as caught:
        await twilio(peer).control.dial(order())
    assert len(peer.requests) == 1
    assert not caught.value.retryable


async def test_a_dial_that_came_too_soon_is_sent_again() -> None:
    peer = Peer(error(429, 20429))
    assert await twilio(peer).control.dial(order()) == SID
    assert len(peer.requests) == 2


# -- hosts and identities --------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "origin"),
    [
        ({}, "https://api.twilio.com"),
        ({"region": "us1"}, "https://api.twilio.com"),
        ({"region": "ie1"}, "https://api.dublin.ie1.twilio.com"),
        ({"region": "au1"}, "https://api.sydney.au1.twilio.com"),
        (
            {"region": "ie1", "api_base_url": "http://127.0.0.1:9/"},
            "http://127.0.0.1:9",
        ),
    ],
)
async def test_a_region_has_its_host(changes: dict[str, str], origin: str) -> None:
    peer = Peer()
    await twilio(peer, **changes).control.dial(order())
    (request,) = peer.requests
    assert str(request.url) == f"{origin}{BASE}.json"


async def test_an_unknown_region_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match=r"twilio\.region"):
        twilio(Peer(), region="us2.evil.example/")


@pytest.mark.parametrize("sid", ["", "AC/../x", "AC?x", "AC x"])
async def test_an_account_that_cannot_be_one_is_a_wrong_setting(sid: str) -> None:
    with pytest.raises(ConfigError, match=r"twilio\.accountSid"):
        twilio(Peer(), account_sid=sid)


@pytest.mark.parametrize("sid", ["", "../Calls", "CA1?x=1", "CA1#", "CA\n"])
async def test_an_id_that_could_change_the_path_is_never_sent(sid: str) -> None:
    peer = Peer()
    call = CallRef(call_id=CallId("c1"), carrier_call_id=CarrierCallId(sid))
    with pytest.raises(CarrierRefused, match="not one of Twilio's"):
        await twilio(peer).control.fetch_status(call)
    assert peer.requests == []


# -- hang-up and status ----------------------------------------------------------------


@pytest.mark.parametrize("answer", [httpx.Response(200, json={}), error(404, 20404)])
async def test_a_hang_up_completes_the_call(answer: httpx.Response) -> None:
    peer = Peer(answer)
    await twilio(peer).control.hang_up(CALL)
    assert peer.lines == [f"POST {BASE}/{SID}.json"]
    assert peer.form() == [("Status", "completed")]


async def test_a_hang_up_of_an_ended_call_is_harmless() -> None:
    peer = Peer(error(400, 21220), httpx.Response(200, json={"status": "completed"}))
    await twilio(peer).control.hang_up(CALL)
    assert [line.split()[0] for line in peer.lines] == ["POST", "GET"]


async def test_a_call_that_rings_is_cancelled() -> None:
    ringing = httpx.Response(200, json={"status": "ringing"})
    peer = Peer(error(400, 21220), ringing, httpx.Response(200, json={}))
    await twilio(peer).control.hang_up(CALL)
    assert peer.form() == [("Status", "canceled")]


async def test_a_hang_up_that_is_refused_says_so() -> None:
    refusal = error(401, 20003, "Authenticate")
    peer = Peer(refusal, httpx.Response(200, json={"status": "ringing"}), refusal)
    with pytest.raises(CarrierRefused, match="20003"):
        await twilio(peer).control.hang_up(CALL)


async def test_a_hang_up_without_an_answer_is_sent_again() -> None:
    peer = Peer(httpx.ReadTimeout("late"), httpx.Response(200, json={}))
    await twilio(peer).control.hang_up(CALL)
    assert len(peer.requests) == 2


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (httpx.Response(200, json={"status": "in-progress"}), CarrierStatus.LIVE),
        (httpx.Response(200, json={"status": "queued"}), CarrierStatus.LIVE),
        (httpx.Response(200, json={"status": "busy"}), CarrierStatus.ENDED),
        (httpx.Response(200, json={"status": "canceled"}), CarrierStatus.ENDED),
        (error(404, 20404), CarrierStatus.ENDED),
        (httpx.Response(200, json={"status": "odd"}), CarrierStatus.UNKNOWN),
        (httpx.Response(200, json={"status": None}), CarrierStatus.UNKNOWN),
        (httpx.Response(200, content=b"?"), CarrierStatus.UNKNOWN),
    ],
)
async def test_a_status_is_read(answer: httpx.Response, status: CarrierStatus) -> None:
    peer = Peer(answer)
    assert await twilio(peer).control.fetch_status(CALL) is status
    assert peer.lines == [f"GET {BASE}/{SID}.json"]


# -- inbound calls ---------------------------------------------------------------------


async def test_an_inbound_call_is_picked_up_by_the_answer_to_its_webhook() -> None:
    peer = Peer()
    await twilio(peer).control.answer(CALL)
    assert peer.requests == []  # without a URL there is nothing to ask for either


@pytest.mark.parametrize("answer", [httpx.Response(200, json={}), error(404, 20404)])
async def test_the_end_of_an_inbound_call_is_to_be_reported(
    answer: httpx.Response,
) -> None:
    peer = Peer(answer)
    await twilio(peer, webhook_url=HOOK).control.answer(CALL)
    assert peer.lines == [f"POST {BASE}/{SID}.json"]
    ((url_name, url), method) = peer.form()
    assert url_name == "StatusCallback"
    assert url.startswith(f"{HOOK}?")
    assert {"callId=c1", "type=status"} <= set(url.partition("?")[2].split("&"))
    assert method == ("StatusCallbackMethod", "POST")


@pytest.mark.parametrize(
    ("cause", "notice", "verbs"),
    [
        (EndCause.POLICY, None, '<Reject reason="rejected"/>'),
        (EndCause.ALL_LINES_BUSY, None, '<Reject reason="busy"/>'),
        (
            EndCause.ALL_LINES_BUSY,
            "All lines are busy.",
            (
                '<Say voice="Polly.Joanna" language="en-US">All lines are busy.</Say>'
                '<Pause length="1"/><Hangup/>'
            ),
        ),
    ],
)
async def test_an_inbound_call_is_refused(
    cause: EndCause, notice: str | None, verbs: str
) -> None:
    peer = Peer()
    await twilio(peer).control.reject(CALL, cause=cause, notice=notice)
    assert peer.form() == [
        (
            "Twiml",
            f'<?xml version="1.0" encoding="UTF-8"?><Response>{verbs}</Response>',
        )
    ]


async def test_a_refusal_that_twilio_does_not_take_is_a_hang_up() -> None:
    peer = Peer(error(400, 21220), httpx.Response(200, json={}))
    await twilio(peer).control.reject(CALL, cause=EndCause.POLICY, notice=None)
    assert peer.form() == [("Status", "completed")]


# -- live calls without a stream -------------------------------------------------------


def without_streams(peer: Peer, **changes: Any) -> Carrier:
    return twilio(peer, has_streams=False, **changes)


SAY = SayText(text="Hi", voice=None, language="en-US")


async def test_steps_are_taken_at_once() -> None:
    peer = Peer()
    played = ReportPlayed(utterance_id="u-1", url=f"{HOOK}?callId=c1")
    await without_streams(peer).control.act(CALL, (SAY, played))
    ((name, document),) = peer.form()
    assert name == "Twiml"
    assert f"{HOOK}?callId=c1&amp;played=u-1&amp;round=" in document
    assert peer.lines == [f"POST {BASE}/{SID}.json"]


@pytest.mark.parametrize(
    "step",
    [
        GatherSpeech(turn_token="t", url=HOOK, language="en-US"),
        KeepWaiting(url=HOOK),
    ],
)
async def test_steps_of_one_call_never_ask_the_same_twice(
    step: GatherSpeech | KeepWaiting,
) -> None:
    peer = Peer()
    control = without_streams(peer).control
    await control.act(CALL, (step,))
    await control.act(CALL, (step,))
    assert peer.form(0) != peer.form(1)


async def test_steps_without_a_url_use_the_one_that_is_known() -> None:
    peer = Peer()
    carrier = without_streams(peer, webhook_url=HOOK)
    await carrier.control.act(CALL, (SAY, EndCall()))
    await carrier.control.act(CALL, (KeepWaiting(),))
    assert f"{HOOK}?callId=c1&amp;round=" in dict(peer.form())["Twiml"]


async def test_a_dial_tells_the_url_to_the_calls_after_it() -> None:
    peer = Peer()
    control = without_streams(peer).control
    with pytest.raises(CarrierRefused, match="publicUrl"):
        await control.act(CALL, (KeepWaiting(),))
    await control.dial(order())
    await control.act(CALL, (KeepWaiting(),))
    assert f"{HOOK}?callId=c1&amp;round=" in dict(peer.form())["Twiml"]


async def test_a_call_that_is_not_connected_yet_is_told_again() -> None:
    peer = Peer(error(400, 21220), error(400, 21220))
    await without_streams(peer, webhook_url=HOOK).control.act(CALL, (SAY,))
    assert len(peer.requests) == 3


async def test_a_call_that_is_over_takes_no_steps() -> None:
    peer = Peer(*[error(400, 21220) for _ in range(3)])
    with pytest.raises(CarrierRefused, match="21220"):
        await without_streams(peer, webhook_url=HOOK).control.act(CALL, (SAY,))
    assert len(peer.requests) == 3


async def test_steps_that_are_refused_for_another_reason_are_not_sent_again() -> None:
    peer = Peer(error(400, 21218))
    with pytest.raises(CarrierRefused, match="21218"):
        await without_streams(peer, webhook_url=HOOK).control.act(CALL, (SAY,))
    assert len(peer.requests) == 1


async def test_keys_are_sent_where_there_is_no_stream() -> None:
    peer = Peer()
    control = without_streams(peer, webhook_url=HOOK).control
    await control.send_digits(CALL, (Digit.FOUR, Digit.POUND))
    assert '<Play digits="4#"/><Redirect' in dict(peer.form())["Twiml"]


async def test_keys_that_would_end_a_stream_are_refused() -> None:
    peer = Peer()
    carrier = twilio(peer, webhook_url=HOOK)
    with pytest.raises(Unsupported, match="end the stream"):
        await carrier.control.send_digits(CALL, (Digit.ONE,))
    assert peer.requests == []


# -- abilities -------------------------------------------------------------------------


@pytest.mark.parametrize("has_streams", [True, False])
async def test_abilities_follow_from_streaming(has_streams: bool) -> None:  # noqa: FBT001 - a table of one column
    carrier = twilio(Peer(), has_streams=has_streams)
    able = carrier.capabilities
    assert able == Capabilities(
        streams_audio=has_streams,
        marks_playout=has_streams,
        clears_playout=has_streams,
        speaks_text=True,
        recognises_speech=True,
        sends_digits=not has_streams,
        detects_machines=True,
        transfers=False,
        dial_is_idempotent=False,
    )
    assert (carrier.streams is not None) is has_streams
    check_abilities_agree(carrier)


async def test_the_carrier_judges_the_opening_of_a_media_socket() -> None:
    verify = twilio(Peer()).verify_upgrade
    assert verify is not None
    # HMAC-SHA1 of wss://phone.example/voice/stream with the key s3cret, by openssl.
    headers = {"x-twilio-signature": "8VlUGk7xZMoU43DAUTcrS3D5MHY="}
    assert verify("wss://phone.example/voice/stream", headers)
    assert not verify("wss://phone.example/voice/other", headers)
    assert not verify("wss://phone.example/voice/stream", {})


async def test_closing_may_be_repeated() -> None:
    carrier = twilio(Peer())
    await carrier.control.hang_up(CALL)
    await carrier.control.close()
    await carrier.control.close()
