"""What a webhook reports, and which call it belongs to."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from voice_call.call.events import (
    AgentSpeechEnded,
    Answered,
    AnsweredBy,
    CallerSpoke,
    CallEvent,
    CarrierEnded,
    Dialed,
    DigitPressed,
    MachineDetected,
    Offered,
    Ringing,
    SpeechOutcome,
    StreamClosed,
)
from voice_call.call.model import (
    CarrierCallId,
    Digit,
    Direction,
    EndCause,
    EndedBy,
    StreamId,
)
from voice_call.carriers.base import CarrierNotice, HttpRequest
from voice_call.carriers.twilio.webhooks import TwilioWebhooks
from voice_call.errors import RemoteProtocolError

SID = "CA" + "0" * 32
CODEC = TwilioWebhooks("token")


def decode(query: str = "", /, **fields: str) -> list[CarrierNotice]:
    return CODEC.decode(post(query, CallSid=SID, **fields), request_key="key-1")


def post(query: str = "", /, **fields: str) -> HttpRequest:
    return HttpRequest(
        method="POST",
        url=f"https://phone.example/voice/webhook{query}",
        headers={"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
        body=urlencode(fields).encode(),
    )


def events(query: str = "", /, **fields: str) -> list[CallEvent]:
    return [notice.event for notice in decode(query, **fields)]


# -- the call's progress ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "status", "event"),
    [
        ("outbound-api", "initiated", Dialed(carrier_call_id=CarrierCallId(SID))),
        ("outbound-api", "ringing", Ringing()),
        ("outbound-dial", "in-progress", Answered()),
        ("inbound", "ringing", Offered()),
        ("inbound", "in-progress", Answered()),
        ("", "ringing", Ringing()),
    ],
)
def test_progress_becomes_an_event(
    direction: str, status: str, event: CallEvent
) -> None:
    assert events(Direction=direction, CallStatus=status) == [event]


@pytest.mark.parametrize(
    ("status", "cause", "by"),
    [
        ("completed", EndCause.NORMAL, EndedBy.CARRIER),
        ("busy", EndCause.BUSY, EndedBy.REMOTE),
        ("no-answer", EndCause.NO_ANSWER, EndedBy.CARRIER),
        ("failed", EndCause.FAILED, EndedBy.CARRIER),
        ("canceled", EndCause.CANCELLED, EndedBy.AGENT),
    ],
)
@pytest.mark.parametrize("direction", ["inbound", "outbound-api"])
def test_each_ending_keeps_the_carriers_word(
    direction: str, status: str, cause: EndCause, by: EndedBy
) -> None:
    assert events(Direction=direction, CallStatus=status) == [
        CarrierEnded(cause=cause, by=by, carrier_code=status)
    ]


@pytest.mark.parametrize(
    "status",
    [
        "",
        "queued",
        "Completed",
        " completed",
        "cancelled",
        "constructor",
        "__class__",
        "no_answer",
        "\x00",
    ],
)
def test_a_status_that_is_not_known_reports_nothing(status: str) -> None:
    assert events(Direction="outbound-api", CallStatus=status) == []


def test_an_inbound_call_that_is_initiated_is_not_our_dial() -> None:
    assert events(Direction="inbound", CallStatus="initiated") == []


def test_an_inbound_request_that_says_nothing_else_offers_a_call() -> None:
    assert events(Direction="inbound") == [Offered()]


def test_an_inbound_answer_without_a_status_offers_nothing() -> None:
    assert events(Direction="inbound", Digits="1") == [DigitPressed(digit=Digit.ONE)]


# -- whose call ------------------------------------------------------------------------


def test_a_notice_names_its_call_and_its_parties() -> None:
    (notice,) = decode(
        "?callId=ours",
        CallStatus="ringing",
        Direction="outbound-api",
        From="+15550000000",
        To="+15550001234",
    )
    assert notice.call_id == "ours"
    assert notice.carrier_call_id == SID
    assert notice.direction is Direction.OUTBOUND
    assert (notice.from_, notice.to) == ("+15550000000", "+15550001234")


@pytest.mark.parametrize("query", ["", "?callId=", f"?callId={SID}"])
def test_a_call_that_we_did_not_name_has_no_id_of_ours(query: str) -> None:
    (notice,) = decode(query, CallStatus="ringing", Direction="inbound")
    assert notice.call_id is None


@pytest.mark.parametrize("direction", ["", "Inbound", "trunking"])
def test_a_direction_that_is_not_known_makes_no_call(direction: str) -> None:
    (notice,) = decode(CallStatus="in-progress", Direction=direction)
    assert notice.direction is None


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("+15550001234", "+15550001234"),
        ("anonymous", ""),
        ("+266696687", ""),
        ("+7378742833", ""),
        ("sip:anna@example.com", ""),
        ("client:anna", ""),
        ("", ""),
    ],
)
def test_a_hidden_caller_has_no_number(value: str, number: str) -> None:
    (notice,) = decode(CallStatus="ringing", Direction="inbound", From=value)
    assert notice.from_ == number


def test_parties_that_are_not_named_are_unknown() -> None:
    (notice,) = decode(CallStatus="ringing")
    assert (notice.from_, notice.to) == (None, None)


# -- speech, keys, machines, streams ---------------------------------------------------


def test_speech_brings_its_turn_and_follows_the_progress() -> None:
    found = events(
        "?callId=ours&turnToken=turn-7",
        CallStatus="in-progress",
        SpeechResult="  Yes, please. ",
        Confidence="0.91",
    )
    assert found == [
        Answered(),
        CallerSpoke(
            utterance_id="key-1",
            text="Yes, please.",
            confidence=0.91,
            turn_token="turn-7",
        ),
    ]


def test_words_come_before_the_ending_that_is_reported_with_them() -> None:
    found = events(CallStatus="completed", SpeechResult="Goodbye")
    assert [type(event) for event in found] == [CallerSpoke, CarrierEnded]


@pytest.mark.parametrize("words", ["", "   ", "\n"])
def test_blank_speech_is_no_speech(words: str) -> None:
    assert events(SpeechResult=words) == []


@pytest.mark.parametrize(
    ("value", "confidence"),
    [
        ("0", 0.0),
        ("1", 1.0),
        ("", None),
        ("high", None),
        ("1.1", None),
        ("-0.1", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_a_confidence_is_a_share_or_unknown(
    value: str, confidence: float | None
) -> None:
    (event,) = events(SpeechResult="Yes", Confidence=value)
    assert isinstance(event, CallerSpoke)
    assert event.confidence == confidence


def test_each_key_is_an_event_of_its_own() -> None:
    notices = decode(Digits="1x*1")
    assert [notice.event for notice in notices] == [
        DigitPressed(digit=Digit.ONE),
        DigitPressed(digit=Digit.STAR),
        DigitPressed(digit=Digit.ONE),
    ]
    assert len({notice.dedupe_key for notice in notices}) == 3


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("human", AnsweredBy.HUMAN),
        ("machine_start", AnsweredBy.MACHINE_GREETING),
        ("machine_end_beep", AnsweredBy.MACHINE_BEEP),
        ("machine_end_silence", AnsweredBy.MACHINE_BEEP),
        ("machine_end_other", AnsweredBy.MACHINE_BEEP),
        ("fax", AnsweredBy.FAX),
        ("unknown", AnsweredBy.UNKNOWN),
    ],
)
def test_a_verdict_on_who_answered_is_reported(said: str, verdict: AnsweredBy) -> None:
    assert events("?type=amd", AnsweredBy=said) == [
        MachineDetected(answered_by=verdict)
    ]


@pytest.mark.parametrize("said", ["", "Human", "robot"])
def test_a_verdict_that_is_not_known_is_none(said: str) -> None:
    assert events("?type=amd", AnsweredBy=said) == []


def test_coming_back_after_the_words_proves_that_they_were_heard() -> None:
    assert events("?callId=ours&played=u-1.2") == [
        AgentSpeechEnded(utterance_id="u-1.2", outcome=SpeechOutcome.PLAYED, heard="")
    ]


@pytest.mark.parametrize("what", ["stream-stopped", "stream-error"])
def test_a_stream_that_is_over_is_reported(what: str) -> None:
    assert events("?type=stream", StreamSid="MZ1", StreamEvent=what) == [
        StreamClosed(stream_id=StreamId("MZ1"))
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"StreamSid": "MZ1", "StreamEvent": "stream-started"},
        {"StreamSid": "", "StreamEvent": "stream-stopped"},
        {"StreamEvent": "stream-stopped"},
    ],
)
def test_other_news_of_a_stream_say_nothing(fields: dict[str, str]) -> None:
    assert events("?type=stream", **fields) == []


# -- repetitions -----------------------------------------------------------------------


def test_an_event_that_happens_once_has_one_key_in_every_report() -> None:
    first = post("?callId=a", CallSid=SID, CallStatus="in-progress")
    second = post("?type=status", CallSid=SID, CallStatus="in-progress", Extra="1")
    (one,) = CODEC.decode(first, request_key="key-1")
    (other,) = CODEC.decode(second, request_key="key-2")
    assert one.dedupe_key == other.dedupe_key == f"twilio:{SID}:in-progress"


def test_what_was_said_twice_is_told_apart_by_its_request() -> None:
    asked = post(CallSid=SID, SpeechResult="Yes")
    (one,) = CODEC.decode(asked, request_key="key-1")
    (other,) = CODEC.decode(asked, request_key="key-2")
    assert (one.dedupe_key, other.dedupe_key) == ("key-1:speech", "key-2:speech")


def test_the_same_request_reports_the_same() -> None:
    assert decode(SpeechResult="Yes", Digits="12") == decode(
        SpeechResult="Yes", Digits="12"
    )


# -- what cannot be read ---------------------------------------------------------------


@pytest.mark.parametrize("sid", ["", "CA/../x", "CA 1", "x" * 65, "CA\n"])
def test_a_webhook_without_a_call_is_refused(sid: str) -> None:
    with pytest.raises(RemoteProtocolError, match="CallSid"):
        CODEC.decode(post(CallSid=sid, CallStatus="ringing"), request_key="k")


def test_a_body_that_is_no_form_is_refused() -> None:
    asked = HttpRequest(
        method="POST",
        url="https://phone.example/",
        headers={"content-type": "application/json"},
        body=b"{}",
    )
    with pytest.raises(RemoteProtocolError, match="form"):
        CODEC.decode(asked, request_key="k")


def test_a_get_has_its_fields_in_the_url() -> None:
    asked = HttpRequest(
        method="GET",
        url=f"https://phone.example/?CallSid={SID}&CallStatus=in-progress",
        headers={},
        body=b"",
    )
    (notice,) = CODEC.decode(asked, request_key="k")
    assert notice.event == Answered()
