"""Phone numbers under any text."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from voice_call.errors import InvalidNumber
from voice_call.phone_numbers import is_emergency, is_same, mask, parse_e164

NUMBERS = st.from_regex(r"\+[1-9][0-9]{1,14}", fullmatch=True)


@given(st.text() | st.text("+0123456789 -.()"))
def test_any_text_is_a_number_in_e164_form_or_refused(text: str) -> None:
    try:
        number = parse_e164(text)
    except InvalidNumber:
        return
    assert re.fullmatch(r"\+[1-9][0-9]{1,14}", number)


@given(NUMBERS, st.lists(st.tuples(st.integers(0, 20), st.sampled_from(" -.()"))))
def test_separators_anywhere_do_not_matter(
    number: str, separators: list[tuple[int, str]]
) -> None:
    text = number
    for place, separator in separators:
        text = text[:place] + separator + text[place:]
    assert parse_e164(text) == number
    assert is_same(text, number)


@given(NUMBERS, NUMBERS)
def test_different_numbers_never_match(one: str, other: str) -> None:
    assert is_same(one, other) == (one == other)


@given(st.text())
def test_a_mask_shows_at_most_four_digits(text: str) -> None:
    assert sum(character.isdigit() for character in mask(text)) <= 4


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_a_number_of_ordinary_length_is_no_emergency(number: str) -> None:
    assert not is_emergency(number)
