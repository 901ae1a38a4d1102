"""Which requests are Twilio's, and what a request is known by."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

import pytest

from voice_call.carriers.base import HttpRequest
from voice_call.carriers.twilio.signatures import sign, signed_text
from voice_call.carriers.twilio.webhooks import TwilioWebhooks

TOKEN = "test-auth-token"
URL = "https://example.com/voice/webhook?callId=abc"
FIELDS = [("CallSid", "CS123"), ("CallStatus", "completed"), ("From", "+15550000000")]
SIGNATURE = "vonREHy+OojVJW0au8iM4cqoW3E="
FORM = "application/x-www-form-urlencoded"
NOW = 1_700_000_000.0

CODEC = TwilioWebhooks(TOKEN)


def request(
    url: str = URL,
    fields: list[tuple[str, str]] | None = None,
    *,
    signature: str = SIGNATURE,
    **headers: str,
) -> HttpRequest:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpRequest(
        method="POST",
        url=url,
        headers={"content-type": FORM, "x-twilio-signature": signature, **names},
        body=urlencode(FIELDS if fields is None else fields).encode(),
    )


def signature_of(url: str, fields: list[tuple[str, str]] | None = None) -> str:
    return sign(TOKEN, signed_text(url, FIELDS if fields is None else fields))


def is_genuine(asked: HttpRequest) -> bool:
    return CODEC.verify(asked, now=NOW).is_genuine


def key(asked: HttpRequest) -> str:
    verdict = CODEC.verify(asked, now=NOW)
    assert verdict.request_key is not None
    return verdict.request_key


def test_the_signature_header_is_required() -> None:
    assert CODEC.required_headers == (("x-twilio-signature",),)


# -- the signature ---------------------------------------------------------------------


def test_a_known_signature_holds() -> None:
    verdict = CODEC.verify(request(), now=NOW)
    assert (verdict.is_genuine, verdict.reason) == (True, None)


@pytest.mark.parametrize(
    "forged",
    [
        request(signature="74RZDuLzZfxSRs6jisS2SKbvl/U="),
        request(signature="vonREHy+OojVJW0au8iM4cqoW3E"),
        request(signature="VONREHy+OojVJW0au8iM4cqoW3E="),
        request(signature="ümläut"),
        request(signature="\udcff"),
        request(url="https://example.com/voice/webhook?callId=abd"),
        request(url="https://evil.example/voice/webhook?callId=abc"),
        request(fields=[*FIELDS, ("Digits", "1")]),
        request(fields=FIELDS[:-1]),
        request(fields=[*FIELDS[:-1], ("From", "+15550000001")]),
    ],
    ids=range(10),
)
def test_what_is_not_signed_so_is_refused(forged: HttpRequest) -> None:
    verdict = CODEC.verify(forged, now=NOW)
    assert not verdict.is_genuine
    assert verdict.request_key is None
    assert "does not match" in str(verdict.reason)


def test_a_missing_signature_is_refused() -> None:
    verdict = CODEC.verify(request(signature=""), now=NOW)
    assert verdict.reason == "X-Twilio-Signature is missing."


def test_another_token_refuses() -> None:
    assert not TwilioWebhooks("other").verify(request(), now=NOW).is_genuine


def test_a_request_signed_without_the_port_that_was_called_holds() -> None:
    called = "https://example.com:8443/voice/webhook?callId=abc"
    assert is_genuine(request(url=called))


def test_a_request_signed_with_the_default_port_holds() -> None:
    signed = "https://example.com:443/voice/webhook?callId=abc"
    assert is_genuine(request(signature=signature_of(signed)))


def test_an_alternative_spelling_of_the_url_holds() -> None:
    public = "https://phone.example:8443/voice/webhook?callId=abc"
    seen = request(
        url="https://phone.example/voice/webhook?callId=abc",
        signature=signature_of(public),
    )
    assert not is_genuine(seen)
    assert is_genuine(replace(seen, url_alternatives=(public,)))


@pytest.mark.parametrize(
    "fields",
    [
        [("a", "1"), ("a", "2"), ("a", "1")],
        [("Empty", "")],
        [("Words", "Grüße, 世界 & more = + %")],
        [],
    ],
)
def test_odd_fields_are_signed_too(fields: list[tuple[str, str]]) -> None:
    assert is_genuine(request(fields=fields, signature=signature_of(URL, fields)))


def test_a_form_needs_no_content_type() -> None:
    bare = replace(request(), headers={"x-twilio-signature": SIGNATURE})
    assert is_genuine(bare)


def test_a_get_is_signed_by_its_url_alone() -> None:
    asked = replace(
        request(signature=signature_of(URL, [])), method="GET", body=b"ignored=1"
    )
    assert is_genuine(asked)


def test_settings_of_the_signature_do_not_choose_another_judge() -> None:
    settings = "key=SK1,algorithm=HMAC_SHA256"
    asked = request(x_twilio_webhooks_signature_settings=settings)
    assert is_genuine(asked)
    forged = request(
        signature="x" * 43 + "=", x_twilio_webhooks_signature_settings=settings
    )
    assert not is_genuine(forged)


# -- bodies that are no forms ----------------------------------------------------------

JSON_BODY = b'{"event": "x"}'
JSON_HASH = "af422e6c80c31f5749e02344f8eb01b0373a71f10a60abb06118d36965113cb1"


def json_request(body: bytes, stated: str) -> HttpRequest:
    url = f"https://example.com/hook?bodySHA256={stated}"
    headers = {
        "content-type": "application/json",
        "x-twilio-signature": signature_of(url, []),
    }
    return HttpRequest(method="POST", url=url, headers=headers, body=body)


@pytest.mark.parametrize("stated", [JSON_HASH, JSON_HASH.upper()])
def test_a_json_body_is_judged_by_its_hash(stated: str) -> None:
    assert is_genuine(json_request(JSON_BODY, stated))


def test_a_json_body_of_another_hash_is_refused() -> None:
    verdict = CODEC.verify(json_request(JSON_BODY + b" ", JSON_HASH), now=NOW)
    assert verdict.reason == "The body is not what bodySHA256 in the URL says."


@pytest.mark.parametrize("url", ["https://example.com/hook", "https://[bad"])
def test_a_json_body_without_its_hash_is_refused(url: str) -> None:
    headers = {
        "content-type": "application/json",
        "x-twilio-signature": signature_of(url, []),
    }
    asked = HttpRequest(method="POST", url=url, headers=headers, body=JSON_BODY)
    assert not is_genuine(asked)


# -- the key ---------------------------------------------------------------------------


def test_the_same_request_has_the_same_key() -> None:
    assert key(request()) == key(request())
    assert key(request()).startswith("twilio:req:")


@pytest.mark.parametrize(
    "again",
    [
        request(i_twilio_idempotency_token="another"),
        request(user_agent="changed"),
        request(fields=list(reversed(FIELDS))),
        request(fields=[*FIELDS, FIELDS[0]]),
        request(fields=[("CallSidCS123CallStatus", "completed"), FIELDS[2]]),
        request(url="https://example.com:8443/voice/webhook?callId=abc"),
    ],
    ids=["idempotency", "agent", "order", "doubled", "resplit", "port"],
)
def test_what_is_not_signed_does_not_change_the_key(again: HttpRequest) -> None:
    assert key(again) == key(request())


def test_another_request_has_another_key() -> None:
    fields = [*FIELDS, ("SequenceNumber", "2")]
    other = request(fields=fields, signature=signature_of(URL, fields))
    assert key(other) != key(request())


# -- the opening of a media socket -----------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "wss://example.com/voice/stream",
        "https://example.com/voice/stream",
        "wss://example.com/voice/stream?token=dropped",
        "wss://example.com:8443/voice/stream",
    ],
)
def test_an_upgrade_is_judged_by_its_socket_url(url: str) -> None:
    signed = sign(TOKEN, "wss://example.com/voice/stream")
    assert CODEC.verify_upgrade(url, signed)
    assert not CODEC.verify_upgrade(url, sign(TOKEN, "wss://example.com/other"))


def test_an_upgrade_without_a_path_is_signed_with_a_slash() -> None:
    signed = sign(TOKEN, "wss://example.com/")
    assert CODEC.verify_upgrade("wss://example.com", signed)
