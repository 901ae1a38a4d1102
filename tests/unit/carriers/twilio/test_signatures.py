"""What Twilio signs, and in which spellings of a URL."""

from __future__ import annotations

import pytest

from voice_call.carriers.twilio.signatures import (
    sign,
    signed_text,
    upgrade_url,
    url_variants,
)


def test_fields_are_sorted_and_repeated_values_count_once() -> None:
    fields = [("b", "2"), ("a", "z"), ("B", "1"), ("a", "y"), ("a", "z"), ("c", "")]
    assert signed_text("https://h.example/p", fields) == (
        "https://h.example/pB1ayazb2c"
    )


@pytest.mark.parametrize(
    ("url", "signature"),
    [
        (
            "https://example.com/voice/webhook?callId=abc",
            "vonREHy+OojVJW0au8iM4cqoW3E=",
        ),
        ("https://example.com/voice/webhook", "74RZDuLzZfxSRs6jisS2SKbvl/U="),
    ],
)
def test_a_known_request_has_its_known_signature(url: str, signature: str) -> None:
    fields = [
        ("CallSid", "CS123"),
        ("CallStatus", "completed"),
        ("From", "+15550000000"),
    ]
    assert sign("test-auth-token", signed_text(url, fields)) == signature


@pytest.mark.parametrize(
    ("url", "variants"),
    [
        (
            "https://h.example/p?q=1",
            ("https://h.example/p?q=1", "https://h.example:443/p?q=1"),
        ),
        (
            "https://h.example:8443/p",
            ("https://h.example:8443/p", "https://h.example/p"),
        ),
        ("http://h.example", ("http://h.example", "http://h.example:80")),
        (
            "https://user:pw@h.example:8443/p",
            ("https://user:pw@h.example:8443/p", "https://user:pw@h.example/p"),
        ),
        ("https://[::1]:9/p", ("https://[::1]:9/p", "https://[::1]/p")),
        ("https://[::1]/p", ("https://[::1]/p", "https://[::1]:443/p")),
        ("wss://h.example/", ("wss://h.example/", "wss://h.example:443/")),
        ("https://h?x", ("https://h?x", "https://h:443?x")),
        ("no url", ("no url",)),
    ],
)
def test_a_url_may_be_signed_with_or_without_its_port(
    url: str, variants: tuple[str, ...]
) -> None:
    assert url_variants(url) == variants


@pytest.mark.parametrize(
    ("url", "signed"),
    [
        ("wss://h.example", "wss://h.example/"),
        ("wss://h.example/", "wss://h.example/"),
        ("https://h.example/voice/stream", "wss://h.example/voice/stream"),
        ("http://h.example:8080/s?token=1#f", "ws://h.example:8080/s"),
        ("wss://h.example?token=1", "wss://h.example/"),
        ("no url", "no url"),
    ],
)
def test_an_upgrade_is_signed_without_query_and_with_a_path(
    url: str, signed: str
) -> None:
    assert upgrade_url(url) == signed
