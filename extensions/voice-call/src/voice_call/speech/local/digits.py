"""How numbers that are read digit by digit reach the synthesiser. PURE.

The embedded voice reads `555-0123` as "five hundred fifty five, one twenty three".
Phone numbers, codes and ids are therefore written out here; times, dates, money,
years and quantities are left to the voice, which reads them well.
"""

from __future__ import annotations

import re

__all__ = ["spell_digits"]

_WORDS = dict(
    zip(
        "0123456789",
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
        ],
        strict=True,
    )
)

# Not inside a longer word or amount: $1234567, 1,234,567, 12.345678, 1234567%.
_BEFORE = r"(?<![\w$€£.,:/])"
_AFTER = r"(?![\w%€£])(?![.,:/]\d)"

_PHONE = re.compile(
    rf"{_BEFORE}(?:"
    r"\+\d[\d\-. ()]{5,22}\d"  # +1 555 010 0123
    r"|\(\d{3}\)[ ]?\d{3}[-. ]\d{4}"  # (555) 010-0123
    r"|\d{3}[-. ]\d{3}[-. ]\d{4}"  # 555-010-0123
    r"|\d{3}-\d{4}"  # 555-0123
    r"|\d{4}(?:[- ]\d{4}){2,3}"  # a card number
    rf"){_AFTER}"
)
_LONG = re.compile(rf"{_BEFORE}(?:\d{{5,}}|0\d+){_AFTER}")
_NAMED = re.compile(
    r"(\b(?:code|pin|passcode|password|extension|ext|id|zip|number|no\.|account|"
    r"reference|ref|confirmation|order|ticket|case|invoice|booking)(?!\w)\.?"
    r"(?:\s+(?:is|was|number|code|id))?\s*[:#]?\s*|#)"
    rf"(\d{{3,}}(?:-\d+)*){_AFTER}",
    re.IGNORECASE,
)
_MIXED = re.compile(
    rf"{_BEFORE}(?=[A-Z0-9\-]*\d[A-Z0-9\-]*\d)(?=[A-Z0-9\-]*[A-Z])"
    r"(?!\d+[A-Z]{1,3}\b)"  # 10PM, 100KM
    r"[A-Z]{0,3}\d+(?:-?[A-Z]{1,3}-?\d+|-\d+|-?[A-Z]{1,3})*"
    rf"{_AFTER}|{_BEFORE}[A-Z]{{1,3}}-\d{{2,}}{_AFTER}"
)


def spell_digits(text: str) -> str:
    """Return the text with phone numbers, codes and ids written digit by digit."""
    text = _PHONE.sub(lambda match: _spell(match[0]), text)
    text = _NAMED.sub(lambda match: match[1] + _spell(match[2]), text)
    text = _MIXED.sub(lambda match: _spell(match[0]), text)
    return _LONG.sub(lambda match: _spell(match[0]), text)


def _spell(number: str) -> str:
    """Return the characters as words; a comma stands where the digits are grouped."""
    groups = re.findall(r"[0-9A-Za-z]+", number)
    spelled = (" ".join(_WORDS.get(char, char) for char in group) for group in groups)
    plus = "plus " if number.startswith("+") else ""
    return plus + ", ".join(spelled)
