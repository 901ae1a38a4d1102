"""What is read digit by digit, and what is left to the voice."""

from __future__ import annotations

import pytest

from voice_call.speech.local.digits import spell_digits


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("Call 555-0123.", "Call five five five, zero one two three."),
        (
            "+1 555 010 0123",
            "plus one, five five five, zero one zero, zero one two three",
        ),
        ("(555) 010-0123", "five five five, zero one zero, zero one two three"),
        ("555.010.0123", "five five five, zero one zero, zero one two three"),
        ("Order 74928, thanks", "Order seven four nine two eight, thanks"),
        ("Your code is 4821.", "Your code is four eight two one."),
        ("PIN: 007", "PIN: zero zero seven"),
        ("order number is 330", "order number is three three zero"),
        ("case #512", "case #five one two"),
        ("agent 007", "agent zero zero seven"),
        ("AB-1234", "A B, one two three four"),
        ("X7Y8Z9", "X seven Y eight Z nine"),
        (
            "4000 0000 0000 0002",
            (
                "four zero zero zero, zero zero zero zero, "
                "zero zero zero zero, zero zero zero two"
            ),
        ),
    ],
)
def test_spelled_digit_by_digit(text, spelled):
    """Phone numbers, codes and ids."""
    assert spell_digits(text) == spelled


@pytest.mark.parametrize(
    "text",
    [
        "at 3:15 pm or 10PM",
        "born 1985, on 2026-11-25 or 11/25/2026",
        "from 2020-2024",
        "$1234567 and €12345",
        "1,250,000 people, 123456.75 metres, 12345% more",
        "no 300 people here",
        "a number of 500 things",
        "COVID-19, MP3, 100KM, 4x4",
        "192.168.10.10000",
        "room 204",
        "",
    ],
)
def test_left_to_the_voice(text):
    """Times, dates, years, money and quantities."""
    assert spell_digits(text) == text
