"""Phone numbers in E.164 form: parsing, masking, comparing, and what is never dialled.

PURE. E.164 (ITU-T Rec. E.164, 11/2010): a country code that does not begin with zero,
at most 15 digits altogether, written with a leading plus sign.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NewType

from voice_call.errors import InvalidNumber

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "E164",
    "SAMPLE_NUMBER",
    "is_allowed",
    "is_emergency",
    "is_same",
    "mask",
    "parse_e164",
]

E164 = NewType("E164", str)
"""A number in E.164 form, `+` and 2 to 15 digits."""

SAMPLE_NUMBER = "+15550001234"
"""The number shown in messages; 555 numbers belong to nobody."""

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_SEPARATORS = str.maketrans("", "", " -.()")
_VISIBLE_DIGITS = 4

_EMERGENCY_CODES = frozenset(
    {
        "112",  # European Union (Directive 2018/1972, Art. 109), GSM phones everywhere
        "911",  # United States, Canada and most of the North American plan; Argentina
        "999",  # United Kingdom, Ireland, Hong Kong, Malaysia, Singapore, Kenya …
        "000",  # Australia
        "111",  # New Zealand
        "110",  # Germany, China, Japan, Norway: police
        "113",  # Norway, Italy, Vietnam: ambulance or police
        "114",  # Vietnam fire, Germany text emergency, Mauritius
        "115",  # Italy fire, Vietnam, Iran ambulance
        "117",  # Switzerland, Cambodia police
        "118",  # Switzerland fire, Italy ambulance, Indonesia
        "119",  # Japan, South Korea, Taiwan, Sri Lanka, China: fire and ambulance
        "120",  # China ambulance
        "15",  # France ambulance, Pakistan police
        "17",  # France police
        "18",  # France fire
        "100",  # India, Greece, Israel police
        "101",  # Israel, Russia, Ukraine, Belgium
        "102",  # Israel, Russia, Ukraine
        "103",  # Russia, Ukraine ambulance
        "108",  # India ambulance
        "122",  # China traffic, Egypt police, Austria fire
        "133",  # Austria, Chile police
        "144",  # Austria, Switzerland ambulance
        "155",  # Turkey police, Czechia ambulance
        "158",  # Czechia, Slovakia police
        "190",  # Brazil police, Tunisia
        "191",  # Thailand police
        "192",  # Brazil ambulance
        "193",  # Brazil fire
        "197",  # Tunisia police
        "061",  # Spain ambulance
        "066",  # Mexico, until 911 replaced it
        "988",  # United States suicide and crisis line
    }
)
"""Emergency numbers of the world in their national form.

Collected from the public lists of the ITU (Operational Bulletin, national numbering
plans), the European Commission's 112 pages and the carriers' own emergency-calling
pages, which say that programmable voice accounts cannot serve such calls: the location
of the caller would be wrong and help would not arrive.
"""

_COUNTRY_CODE_LENGTHS = (1, 2, 3)
"""Digits of a country code (E.164 §6.2.1). No subscriber's number has as few digits as a
country code with an emergency number, so the prefix need not be a code in use."""


def parse_e164(text: str) -> E164:
    """Return the number in E.164 form.

    Spaces, dashes, dots and parentheses are separators and are dropped; nothing else
    is guessed: no missing plus sign, no `00`, no extension.

    Raises:
        InvalidNumber: It is not such a number. The message does not repeat it.
    """
    number = text.translate(_SEPARATORS)
    if _E164.fullmatch(number) is None:
        raise InvalidNumber(
            "The number is not in E.164 form: write a plus sign, the country code and "
            f"the number, for example {SAMPLE_NUMBER}."
        )
    return E164(number)


def mask(number: str) -> str:
    """Return a number for the log: its last four digits, all of it hidden if shorter.

    >>> mask("+15550001234")
    '…1234'
    """
    digits = [character for character in number if character.isdigit()]
    if len(digits) <= _VISIBLE_DIGITS:
        return "…" if number else ""
    return "…" + "".join(digits[-_VISIBLE_DIGITS:])


def is_emergency(number: str) -> bool:
    """Say whether dialling this would reach, or try to reach, an emergency service.

    True for an emergency number in national form (`112`, `999`) and for one behind a
    country code (`+1911`, `+44 112`), with or without separators.
    """
    digits = number.translate(_SEPARATORS)
    if digits in _EMERGENCY_CODES:  # before the next line, which shortens 000
        return True
    digits = digits.removeprefix("00").removeprefix("+")
    return digits in _EMERGENCY_CODES or any(
        digits[length:] in _EMERGENCY_CODES for length in _COUNTRY_CODE_LENGTHS
    )


def is_same(one: str, other: str) -> bool:
    """Say whether two texts are the same E.164 number, written differently perhaps.

    Exact equality of all digits; no suffix ever matches. Withheld, empty or malformed
    numbers equal nothing, not even themselves.
    """
    try:
        return parse_e164(one) == parse_e164(other)
    except InvalidNumber:
        return False


def is_allowed(caller: str | None, allowed: Iterable[str]) -> bool:
    """Say whether a caller is on an allow list."""
    return caller is not None and any(is_same(caller, entry) for entry in allowed)
