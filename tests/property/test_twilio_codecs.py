"""Whatever Twilio, a caller or a forger sends: a value or the documented error."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from urllib.parse import quote, urlencode

from hypothesis import example, given
from hypothesis import strategies as st

from voice_call.call.model import StreamId
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
from voice_call.carriers.markup import element, render
from voice_call.carriers.twilio import make_carrier
from voice_call.carriers.twilio.signatures import sign, signed_text
from voice_call.carriers.twilio.streams import TwilioStreams
from voice_call.carriers.twilio.twiml import Callbacks, plan_document
from voice_call.carriers.twilio.voices import MAX_SAY_BYTES, split_text
from voice_call.carriers.twilio.webhooks import TwilioWebhooks
from voice_call.errors import RemoteProtocolError
from voice_call.media.audio import SendAudio, SendMark
from voice_call.testing.carrier_suite import check_stream_codec, check_webhook_codec

TOKEN = "token"
CODEC = TwilioWebhooks(TOKEN)
HOOK = "https://phone.example/voice/webhook?callId=c1"

any_text = st.text(st.characters(exclude_categories=()))
"""Control characters and lone surrogates too."""


def as_xml_reads(text: str) -> str:
    """What a parser may give back: forbidden characters as spaces."""
    return "".join(
        each
        if each in "\t\n\r"
        or "\x20" <= each <= "\ud7ff"
        or "\ue000" <= each <= "\ufffd"
        or each >= "\U00010000"
        else " "
        for each in text
    )


# -- markup ----------------------------------------------------------------------------


@given(any_text)
@example("</Say><Dial>+15550001234</Dial>")
@example('\x00\x0b\r\n]]>&"')
def test_any_text_is_one_text_node(text: str) -> None:
    root = ET.fromstring(render(element("Say", {"language": text}, text)))
    assert len(root) == 0
    assert (root.text or "") == as_xml_reads(text)
    assert root.get("language") == as_xml_reads(text)


# -- texts -----------------------------------------------------------------------------


@given(st.text(max_size=6000))
def test_pieces_are_the_text_and_none_is_too_long(text: str) -> None:
    pieces = split_text(text)
    assert "".join(pieces) == text
    sizes = [len(quote(piece, safe="", errors="replace")) for piece in pieces]
    assert max(sizes, default=0) <= MAX_SAY_BYTES


@given(any_text, st.integers(12, 60))
def test_pieces_are_never_empty(text: str, limit: int) -> None:
    pieces = split_text(text, limit=limit)
    assert "".join(pieces) == text
    assert all(pieces)


# -- TwiML -----------------------------------------------------------------------------

steps = st.lists(
    st.one_of(
        st.builds(
            SayText,
            text=any_text,
            voice=st.none() | any_text,
            language=st.sampled_from(["en-US", "de-DE"]),
        ),
        st.builds(
            GatherSpeech,
            turn_token=st.text(),
            url=st.just(HOOK),
            language=st.just("en-US"),
        ),
        st.builds(ConnectStream, url=st.just("wss://p.example/s"), token=any_text),
        st.builds(ReportPlayed, utterance_id=st.text(), url=st.just(HOOK)),
        st.builds(KeepWaiting, url=st.none() | st.just(HOOK), wait_s=st.floats(0, 600)),
        st.builds(EndCall, is_refusal=st.booleans()),
    ),
    max_size=5,
).map(tuple)


@given(steps)
def test_any_plan_is_valid_and_never_ends_a_call_by_itself(
    plan: tuple[PlanStep, ...],
) -> None:
    root = ET.fromstring(plan_document(plan, Callbacks(url=HOOK, call_id="c1")))
    assert root.tag == "Response"
    assert root[-1].tag in {"Redirect", "Hangup", "Reject"}
    ends = {each.tag for each in root} & {"Hangup", "Reject"}
    assert bool(ends) <= any(isinstance(step, EndCall) for step in plan)


@given(st.lists(st.text(" <&>\x00abc.", min_size=1), min_size=1, max_size=4))
def test_everything_said_is_said_in_order(texts: list[str]) -> None:
    plan = tuple(SayText(text=each, voice=None, language="en-US") for each in texts)
    root = ET.fromstring(plan_document(plan, Callbacks(url=HOOK)))
    said = [say.text for say in root.iter("Say")]
    assert said == [as_xml_reads(each) for each in texts if each.strip()]


# -- webhooks --------------------------------------------------------------------------

requests = st.builds(
    HttpRequest,
    method=st.sampled_from(["POST", "GET"]),
    url=st.one_of(any_text, st.text().map(lambda text: f"{HOOK}&{text}")),
    headers=st.fixed_dictionaries(
        {},
        optional={
            "content-type": st.sampled_from(
                ["application/x-www-form-urlencoded", "application/json", "", ";"]
            ),
            "x-twilio-signature": any_text,
        },
    ),
    body=st.one_of(
        st.binary(),
        st.dictionaries(
            st.sampled_from(
                ["CallSid", "CallStatus", "SpeechResult", "Digits", "AnsweredBy"]
            ),
            st.text(),
        ).map(lambda fields: urlencode(fields).encode()),
    ),
)


@given(requests)
def test_any_request_keeps_the_contract_of_codecs(request: HttpRequest) -> None:
    carrier = make_carrier(account_sid="AC1", auth_token=TOKEN)
    check_webhook_codec(carrier, request, now=0.0)
    check_stream_codec(carrier, request.body)


@given(requests)
def test_any_request_is_judged(request: HttpRequest) -> None:
    assert not CODEC.verify(request, now=0.0).is_genuine


@given(requests)
def test_any_request_is_read_or_refused(request: HttpRequest) -> None:
    try:
        notices = CODEC.decode(request, request_key="k")
    except RemoteProtocolError:
        return
    assert notices == CODEC.decode(request, request_key="k")
    assert all(notice.dedupe_key for notice in notices)
    assert len({notice.dedupe_key for notice in notices}) == len(notices)


@given(
    st.dictionaries(st.text(), st.text(), max_size=6),
    st.text(st.characters(codec="ascii", categories=["L", "N"])),
)
def test_what_is_signed_is_genuine_and_any_change_is_not(
    fields: dict[str, str], added: str
) -> None:
    signature = sign(TOKEN, signed_text(HOOK, fields.items()))

    def verdict(sent: dict[str, str]) -> bool:
        asked = HttpRequest(
            method="POST",
            url=HOOK,
            headers={"x-twilio-signature": signature},
            body=urlencode(sent).encode(),
        )
        return CODEC.verify(asked, now=0.0).is_genuine

    assert verdict(fields)
    assert not verdict({**fields, f"Zz{added}": "1"})


# -- streams ---------------------------------------------------------------------------


@given(
    st.one_of(
        st.binary(),
        st.recursive(
            st.none() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ).map(lambda value: str(value).encode("utf-8", "replace")),
    )
)
def test_any_message_is_an_event_nothing_or_the_documented_error(
    message: bytes,
) -> None:
    try:
        TwilioStreams().decode(message)
    except RemoteProtocolError:
        return


@given(st.binary(), st.text(), st.text())
def test_what_we_send_can_be_read_back(payload: bytes, name: str, sid: str) -> None:
    codec, stream = TwilioStreams(), StreamId(sid)
    media = codec.decode(codec.encode(SendAudio(payload=payload), stream_id=stream))
    mark = codec.decode(codec.encode(SendMark(name=name), stream_id=stream))
    assert getattr(media, "payload", b"") == payload
    assert getattr(mark, "name", None) == name
