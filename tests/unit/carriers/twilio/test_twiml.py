"""What Twilio is told, word for word."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from urllib.parse import urlencode

import pytest

from voice_call.call.model import Digit
from voice_call.carriers.base import (
    ConnectStream,
    EndCall,
    GatherSpeech,
    HttpRequest,
    KeepWaiting,
    PlanStep,
    ReportPlayed,
    SayText,
)
from voice_call.carriers.twilio.twiml import (
    Callbacks,
    keys_document,
    notice_document,
    query_of,
    with_query,
)
from voice_call.carriers.twilio.webhooks import TwilioWebhooks

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
HOOK = "https://phone.example/voice/webhook"
SAY = SayText(text="Hi", voice=None, language="en-US")
SAID = '<Say voice="Polly.Joanna" language="en-US">Hi</Say>'
LISTEN = GatherSpeech(turn_token="t 7", url=f"{HOOK}?callId=c1", language="en-GB")


def respond(
    *steps: PlanStep, query: str = "?callId=c1", status: str = "in-progress"
) -> str:
    request = HttpRequest(
        method="POST",
        url=HOOK + query,
        headers={"content-type": "application/x-www-form-urlencoded"},
        body=urlencode({"CallSid": "CA1", "CallStatus": status}).encode(),
    )
    response = TwilioWebhooks("token").respond(request, steps)
    assert response.status == 200
    assert response.headers == {"content-type": "application/xml"}
    return response.body.decode()


def document(*verbs: str) -> str:
    return f"{DECLARATION}<Response>{''.join(verbs)}</Response>"


def redirect(query: str) -> str:
    return f'<Redirect method="POST">{HOOK}?{query}</Redirect>'


NEXT = redirect("callId=c1&amp;round=0-1")


# -- one step --------------------------------------------------------------------------


def test_a_stream_is_connected_and_asked_after_when_it_ends() -> None:
    step = ConnectStream(url="wss://phone.example/voice/stream", token="s&cret")
    assert respond(step) == document(
        '<Connect><Stream url="wss://phone.example/voice/stream"',
        f' statusCallback="{HOOK}?callId=c1&amp;type=stream"',
        ' statusCallbackMethod="POST">',
        '<Parameter name="token" value="s&amp;cret"/></Stream></Connect>',
        NEXT,
    )


def test_the_url_of_a_stream_has_no_query() -> None:
    step = ConnectStream(url="wss://phone.example/voice/stream?token=x", token="y")
    stream = ET.fromstring(respond(step)).find("Connect/Stream")
    assert stream is not None
    assert stream.get("url") == "wss://phone.example/voice/stream"


def test_words_are_said_and_the_call_goes_on() -> None:
    assert respond(SAY) == document(SAID, '<Pause length="30"/>', NEXT)


def test_words_without_sound_are_not_said() -> None:
    silent = SayText(text=" \n", voice=None, language="en-US")
    assert respond(silent) == document('<Pause length="1"/>', NEXT)


def test_listening_reports_to_its_turn_and_is_repeated_in_silence() -> None:
    assert respond(LISTEN) == document(
        '<Gather input="dtmf speech"',
        f' action="{HOOK}?callId=c1&amp;turnToken=t+7&amp;round=0-1" method="POST"',
        ' timeout="5" speechTimeout="1" language="en-GB"/>',
        redirect("callId=c1&amp;turnToken=t+7&amp;round=0-1"),
    )


def test_waiting_asks_again() -> None:
    assert respond(KeepWaiting()) == document('<Pause length="30"/>', NEXT)


def test_waiting_may_be_short_and_ask_elsewhere() -> None:
    step = KeepWaiting(url="https://phone.example/other?callId=c9", wait_s=0.2)
    assert respond(step) == document(
        '<Pause length="1"/>',
        '<Redirect method="POST">',
        "https://phone.example/other?callId=c9&amp;round=0-1</Redirect>",
    )


def test_a_hang_up() -> None:
    assert respond(EndCall()) == document("<Hangup/>")


def test_a_refusal() -> None:
    assert respond(EndCall(is_refusal=True)) == document("<Reject/>")


# -- several steps ---------------------------------------------------------------------


def test_a_refusal_after_words_is_a_hang_up() -> None:
    assert respond(SAY, EndCall(is_refusal=True)) == document(SAID, "<Hangup/>")


def test_words_before_listening_can_be_interrupted() -> None:
    root = ET.fromstring(respond(SAY, LISTEN))
    assert [each.tag for each in root] == ["Gather", "Redirect"]
    assert [each.text for each in root.iter("Say")] == ["Hi"]


def test_words_before_a_stream_and_a_wait_are_said_first() -> None:
    step = ConnectStream(url="wss://phone.example/s", token="t")
    assert [each.tag for each in ET.fromstring(respond(SAY, step))] == [
        "Say",
        "Connect",
        "Redirect",
    ]
    assert respond(SAY, KeepWaiting()) == document(SAID, '<Pause length="30"/>', NEXT)


def test_words_after_a_wait_are_said_too() -> None:
    assert [each.tag for each in ET.fromstring(respond(KeepWaiting(), SAY))] == [
        "Pause",
        "Say",
        "Pause",
        "Redirect",
    ]


def test_heard_words_are_reported_by_coming_back() -> None:
    step = ReportPlayed(utterance_id="u 1.2", url=f"{HOOK}?callId=c1")
    assert respond(SAY, step, LISTEN) == document(
        SAID, redirect("callId=c1&amp;played=u+1.2&amp;round=0-1")
    )


# -- which request is answered ---------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "status", "directs"),
    [
        ("", "ringing", True),
        ("?callId=c1&type=odd", "in-progress", True),
        ("?type=status", "in-progress", False),
        ("", "completed", False),
    ],
)
def test_a_request_for_instructions_is_told_from_a_report(
    query: str,
    status: str,
    directs: bool,  # noqa: FBT001 - a column of the table
) -> None:
    request = HttpRequest(
        method="POST",
        url=HOOK + query,
        headers={},
        body=urlencode({"CallSid": "CA1", "CallStatus": status}).encode(),
    )
    assert TwilioWebhooks("token").directs_call(request) is directs


@pytest.mark.parametrize("kind", ["status", "amd", "stream"])
def test_a_report_is_only_acknowledged(kind: str) -> None:
    answer = respond(SAY, EndCall(), query=f"?callId=c1&type={kind}")
    assert answer == f"{DECLARATION}<Response/>"


@pytest.mark.parametrize("status", ["completed", "busy", "failed", "no-answer"])
def test_a_call_that_is_over_is_only_acknowledged(status: str) -> None:
    assert respond(KeepWaiting(), status=status) == f"{DECLARATION}<Response/>"


@pytest.mark.parametrize("status", ["ringing", "in-progress", "", "odd"])
def test_a_live_call_never_gets_an_empty_document(status: str) -> None:
    assert respond(status=status) == document('<Pause length="1"/>', NEXT)


@pytest.mark.parametrize(
    ("query", "following"),
    [
        ("?callId=c1&round=0-1", "callId=c1&amp;round=0-2"),
        ("?callId=c1&turnToken=t&round=9f-41", "callId=c1&amp;round=9f-42"),
        ("?callId=c1&played=u&type=odd", "callId=c1&amp;round=0-1"),
        ("?callId=c1&round=x", "callId=c1&amp;round=0-1"),
        ("?tenant=a+b&callId=c1", "tenant=a+b&amp;callId=c1&amp;round=0-1"),
        ("", "round=0-1"),
    ],
)
def test_each_request_for_instructions_differs_from_the_one_before(
    query: str, following: str
) -> None:
    assert respond(query=query) == document('<Pause length="1"/>', redirect(following))


def test_listening_takes_our_id_from_the_request() -> None:
    step = GatherSpeech(turn_token="t", url=HOOK, language="en-US")
    gather = ET.fromstring(respond(step)).find("Gather")
    assert gather is not None
    assert gather.get("action") == f"{HOOK}?callId=c1&turnToken=t&round=0-1"


# -- documents of call control ---------------------------------------------------------


def test_a_notice_is_said_to_its_end() -> None:
    assert notice_document("Hi", voice="onyx", language="en-US") == document(
        '<Say voice="Polly.Brian" language="en-US">Hi</Say>',
        '<Pause length="1"/><Hangup/>',
    )


def test_a_language_without_a_voice_of_ours_leaves_the_choice_to_twilio() -> None:
    assert notice_document("Hallo", voice=None, language="de-DE") == document(
        '<Say language="de-DE">Hallo</Say><Pause length="1"/><Hangup/>'
    )


def test_keys_are_played_and_the_call_goes_on() -> None:
    callbacks = Callbacks(url=HOOK, call_id="c1", series="ab")
    digits = (Digit.ONE, Digit.POUND, Digit.STAR)
    assert keys_document(digits, callbacks) == document(
        '<Play digits="1#*"/>', redirect("callId=c1&amp;round=ab-1")
    )


# -- URLs ------------------------------------------------------------------------------


def test_the_last_of_repeated_query_names_counts() -> None:
    assert query_of("https://h/p?a=1&a=2&b=") == {"a": "2", "b": ""}


def test_what_is_no_url_has_no_query() -> None:
    assert query_of("https://[bad?a=1") == {}


def test_a_query_is_changed_in_place() -> None:
    assert with_query("https://h/p?a=1&b=2#f", b=None, c="x y") == (
        "https://h/p?a=1&c=x+y"
    )
