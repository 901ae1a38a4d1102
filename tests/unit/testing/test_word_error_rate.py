"""Word errors are counted by what was heard, not by how numbers are written."""

from __future__ import annotations

import pytest

from voice_call.testing.word_error_rate import (
    WordErrors,
    count_word_errors,
    normalize_words,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("two thirty", "2 3 0"),
        ("2:30", "2 3 0"),
        ("3:00 or three", "3 or 3"),
        ("nineteen eighty five", "1 9 8 5"),
        ("seven four nine two eight", "7 4 9 2 8"),
        ("555-0123", "5 5 5 0 1 2 3"),
        ("twenty twenty", "2 0 2 0"),
        ("$23.50", "2 3 dollars and 5 0 cents"),
        ("twenty three dollars and fifty cents", "2 3 dollars and 5 0 cents"),
        ("$1,200", "1 2 0 0 dollars"),
        ("one thousand two hundred", "1 2 0 0"),
        ("one hundred and five and two", "1 0 5 and 2"),
        ("hundred", "1 0 0"),
        ("5 hundred", "5 0 0"),
        ("three hundred thousand forty", "3 0 0 0 4 0"),
        ("March third, 21st, twentieth", "march 3 2 1 2 0"),
        ("3.5% or three point five per cent", "3 point 5 percent or 3 point 5 percent"),
        ("at 3 p.m. or 3PM", "at 3 pm or 3 pm"),
        ("Mr. O’Neil's 'word'", "mister o'neil's word"),
        ("Okay, good bye", "ok goodbye"),
        ("john@example.com", "john at example dot com"),
        ("", ""),
    ],
)
def test_normal_form(text, words):
    """Numbers become single digits, everything else lower-case words."""
    assert normalize_words(text) == words.split()


@pytest.mark.parametrize(
    ("said", "heard", "edits", "words"),
    [
        ("a b c d", "a b c d", 0, 4),
        ("a b c d", "a x d", 2, 4),
        ("a b", "a q b q", 2, 2),
        ("a b", "", 2, 2),
        ("", "a", 1, 0),
        ("Four fifteen, please.", "4:15 please", 0, 4),
    ],
)
def test_edits(said, heard, edits, words):
    """As few edits as explain the difference."""
    assert count_word_errors(said, heard) == WordErrors(edits=edits, words=words)


def test_rates_add_up():
    """Several utterances are judged together, by their words."""
    total = WordErrors(edits=1, words=4) + WordErrors(edits=0, words=6)
    assert total.rate == 0.1
    assert WordErrors(edits=1, words=0).rate == 1.0
