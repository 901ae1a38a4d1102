"""Phone numbers: one written form, masked in logs, matched exactly, some never dialled."""

from __future__ import annotations

import pytest

from voice_call.errors import InvalidNumber
from voice_call.phone_numbers import (
    is_allowed,
    is_emergency,
    is_same,
    mask,
    parse_e164,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+15550001234", "+15550001234"),
        ("+1 (555) 000-1234", "+15550001234"),
        ("+1.555.000.1234", "+15550001234"),
        (" +15550001234 ", "+15550001234"),
        ("+12", "+12"),
        ("+123456789012345", "+123456789012345"),
    ],
)
def test_separators_are_dropped(text: str, number: str) -> None:
    assert parse_e164(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "+1",
        "15550001234",
        "0015550001234",
        "+05550001234",
        "+1234567890123456",
        "+1555000123x",
        "+1555/0001234",
        "+1555\t0001234",
        "+15550001234\n",
        "+1555000١٢٣٤",
        "++15550001234",
        "+1555000+1234",
        "tel:+15550001234",
        "anonymous",
        "sip:anna@example.com",
    ],
)
def test_nothing_is_guessed(text: str) -> None:
    with pytest.raises(InvalidNumber, match=r"for example \+15550001234"):
        parse_e164(text)


def test_the_error_does_not_repeat_the_number() -> None:
    with pytest.raises(InvalidNumber) as raised:
        parse_e164("15559998888")
    assert "9998888" not in str(raised.value)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+15550001234", "…1234"),
        ("+1 555 000 12-34", "…1234"),
        ("1234", "…"),
        ("anonymous", "…"),
        ("", ""),
    ],
)
def test_a_log_shows_the_last_four_digits_only(number: str, shown: str) -> None:
    assert mask(number) == shown


@pytest.mark.parametrize(
    "number",
    [
        "112",
        "911",
        "999",
        "000",
        "110",
        "113",
        "115",
        "117",
        "118",
        "119",
        "190",
        "+911",
        "+1911",
        "+44999",
        "+44112",
        "+44 112",
        "+49-110",
        "+61000",
        "+81119",
        "+3315",
        "+358112",
        "0044112",
        "00112",
        "9-1-1",
    ],
)
def test_emergency_numbers_are_known(number: str) -> None:
    assert is_emergency(number)


@pytest.mark.parametrize(
    "number",
    [
        "",
        "+",
        "+15550001234",
        "+15550000911",
        "+15559110000",
        "+4415550112",
        "+6834000",
        "anonymous",
    ],
)
def test_ordinary_numbers_are_not_emergencies(number: str) -> None:
    assert not is_emergency(number)


def test_numbers_are_the_same_however_they_are_written() -> None:
    assert is_same("+1 555 000 1234", "+1(555)000-1234")


@pytest.mark.parametrize(
    ("caller", "entry"),
    [
        ("", ""),
        ("+", "+"),
        ("anonymous", "anonymous"),
        ("restricted", "+15550001234"),
        ("15550001234", "+15550001234"),
        ("+99915550001234", "+15550001234"),
        ("+5550001234", "+15550001234"),
        ("+1234", "+15550001234"),
        ("+15550001235", "+15550001234"),
    ],
)
def test_nothing_but_the_whole_number_matches(caller: str, entry: str) -> None:
    assert not is_same(caller, entry)


def test_an_allow_list_admits_exactly_its_entries() -> None:
    allowed = ["+15550001234", "", "+1 555 000 9999"]
    assert is_allowed("+15550001234", allowed)
    assert is_allowed("+15550009999", allowed)
    assert not is_allowed("+15550001111", allowed)
    assert not is_allowed("", allowed)
    assert not is_allowed(None, allowed)
    assert not is_allowed("+15550001234", [])
