"""Twilio's own SDK (MIT, 9.13.0) and we agree on signatures, both ways."""

from __future__ import annotations

import hashlib
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from voice_call.carriers.base import HttpRequest
from voice_call.carriers.twilio.signatures import sign, signed_text
from voice_call.carriers.twilio.webhooks import TwilioWebhooks

TOKEN = "test-auth-token"
JUDGE = RequestValidator(TOKEN)
CODEC = TwilioWebhooks(TOKEN)

URLS = [
    "https://phone.example/voice/webhook",
    "https://phone.example/voice/webhook?callId=a%20b&turnToken=1",
    "https://phone.example:8443/voice/webhook?callId=abc",
    "https://phone.example:443/voice/webhook",
    "http://phone.example/voice/webhook",
    "http://phone.example:3334",
    "https://phone.example/",
]
FIELDS: list[dict[str, str]] = [
    {},
    {"CallSid": "CA1", "CallStatus": "ringing", "From": "+15550001234"},
    {"SpeechResult": "Grüße & 世界 = 100 %", "Confidence": "0.9", "Empty": ""},
    {"b": "1", "B": "2", "a": "3", "_": "4"},
]

EVERY_REQUEST = pytest.mark.parametrize(
    ("url", "fields"), [(url, fields) for url in URLS for fields in FIELDS]
)


def form(url: str, fields: dict[str, str], signature: str) -> HttpRequest:
    return HttpRequest(
        method="POST",
        url=url,
        headers={
            "content-type": "application/x-www-form-urlencoded",
            "x-twilio-signature": signature,
        },
        body=urlencode(fields).encode(),
    )


def strip_port(url: str) -> str:
    return url.replace(":8443", "").replace(":443", "").replace(":3334", "")


@EVERY_REQUEST
def test_the_sdk_accepts_what_we_sign(url: str, fields: dict[str, str]) -> None:
    assert JUDGE.validate(url, fields, sign(TOKEN, signed_text(url, fields.items())))


@EVERY_REQUEST
def test_we_accept_what_the_sdk_signs(url: str, fields: dict[str, str]) -> None:
    signature = JUDGE.compute_signature(url, fields)
    assert CODEC.verify(form(url, fields, signature), now=0.0).is_genuine


@EVERY_REQUEST
def test_we_accept_what_the_sdk_signs_without_the_port(
    url: str, fields: dict[str, str]
) -> None:
    signature = JUDGE.compute_signature(strip_port(url), fields)
    assert JUDGE.validate(url, fields, signature)
    assert CODEC.verify(form(url, fields, signature), now=0.0).is_genuine


def test_both_refuse_a_changed_field() -> None:
    signature = JUDGE.compute_signature(URLS[0], FIELDS[1])
    changed = {**FIELDS[1], "From": "+15550009999"}
    assert not JUDGE.validate(URLS[0], changed, signature)
    assert not CODEC.verify(form(URLS[0], changed, signature), now=0.0).is_genuine


@pytest.mark.parametrize(
    "body", [b"{}", '{"words": "Grüße"}'.encode(), b"", b"plain text"]
)
def test_both_judge_another_body_by_its_hash(body: bytes) -> None:
    digest = hashlib.sha256(body).hexdigest()
    url = f"https://phone.example/hook?bodySHA256={digest}"
    signature = JUDGE.compute_signature(url, {})
    asked = HttpRequest(
        method="POST",
        url=url,
        headers={
            "content-type": "application/json",
            "x-twilio-signature": signature,
        },
        body=body,
    )
    assert JUDGE.validate(url, body.decode(), signature)
    assert CODEC.verify(asked, now=0.0).is_genuine


def test_the_sdk_signs_an_upgrade_as_we_judge_it() -> None:
    signature = JUDGE.compute_signature("wss://phone.example/voice/stream", {})
    assert CODEC.verify_upgrade("https://phone.example/voice/stream?x=1", signature)
