"""What the words themselves say about a turn: is it over, and does it mean anything?

PURE. Silence alone is a poor judge. After "I'd like to book a" nobody is finished,
after "no, thank you" nobody goes on, and a caller who dictates a number breathes
between its groups. These rules only ever shorten or lengthen a wait, so a wrong guess
costs half a second and never a word.

The lists are English. Other languages get `NEUTRAL`, which knows digits and
punctuation only; `TextRules` of your own fit in the same place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = [
    "BACKCHANNELS",
    "ENGLISH",
    "NEUTRAL",
    "TextRules",
    "TurnEnding",
    "count_words_beyond",
    "judge_ending",
    "rules_for",
    "split_words",
]

_WORD = re.compile(r"\d+(?:[:.,]\d+)+|[^\W_]+(?:['’-][^\W_]+)*")
"""A time or an amount is one word, and so is one with apostrophes or hyphens."""
_OPEN_PUNCTUATION = (",", "…", "...", "-", "–", "—", ":")

_FEWEST_DICTATED = 3
"""Fewer digits than this are an amount or a time, not a number being dictated."""
_WHOLE_NUMBER_DIGITS = 10
"""From here on a dictated number is taken to be complete (a national number)."""
_LOCAL_NUMBER_DIGITS = 7
_GROUP_ENDS = frozenset({3, 6, 8, 12})
"""Digits after which numbers written in groups go on: 555-123-…, 4000 0000 0000 …"""


class TurnEnding(StrEnum):
    """How finished a turn sounds, judged by its words."""

    PLAIN = "plain"
    """Nothing special; the normal silence decides."""
    DANGLING = "dangling"
    """It ends in a word that wants another, or inside a group of digits."""
    CLOSED = "closed"
    """A whole answer that nothing usually follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRules:
    """The words of one language that say how finished a turn is; all in lower case.

    Attributes:
        dangling: Words that want another word after them.
        closed: Words and phrases that make a complete answer, alone or in a row.
        digits: Names of single digits.
    """

    dangling: frozenset[str]
    closed: frozenset[str]
    digits: frozenset[str]


BACKCHANNELS = frozenset(
    {
        *("mm", "mmm", "mhm", "mmhm", "mm-hm", "mm-hmm", "mhmm", "hm", "hmm", "uh-huh"),
        *("mm hm", "mm hmm", "uh huh", "uh", "um", "ah", "oh", "er", "aha", "huh"),
        *("yeah", "yep", "yup", "yes", "ok", "okay", "right", "alright", "all right"),
        *("sure", "i see", "got it", "good", "great", "cool", "fine", "exactly"),
    }
)
"""What a listener says to show that he listens, without wanting the floor."""

ENGLISH = TextRules(
    dangling=frozenset(
        {
            *("a", "an", "the", "my", "your", "his", "her", "their", "our", "its"),
            *("of", "for", "to", "from", "with", "at", "by", "in", "on", "into"),
            *("about", "between", "under", "until", "since", "around", "per", "than"),
            *("and", "or", "but", "because", "so", "if", "when", "while", "though"),
            *("that", "which", "who", "whose", "whether", "where", "as", "like"),
            *("is", "are", "was", "were", "be", "i'm", "it's", "we're", "he's"),
            *("she's", "they're", "that's", "there's", "i'd", "i'll", "we'd", "we'll"),
            *("would", "could", "should", "will", "can", "may", "might", "must"),
            *("have", "has", "had", "i've", "we've", "going"),
            *("i", "we", "he", "she", "they", "very", "really", "maybe"),
            *("um", "uh", "er", "erm", "plus", "number", "double"),
        }
    ),
    closed=frozenset(
        {
            *("yes", "yeah", "yep", "yup", "no", "nope", "nah", "ok", "okay", "sure"),
            *("please", "thanks", "thank you", "thanks a lot", "thank you very much"),
            *("bye", "bye bye", "bye-bye", "goodbye", "good bye", "see you"),
            *("have a nice day", "have a good day", "you too", "correct", "right"),
            *("that's right", "that's correct", "that is right", "that is correct"),
            *("that's all", "that is all", "that's it", "that is it", "nothing else"),
            *("of course", "absolutely", "exactly", "no problem", "never mind"),
            *("it is", "it isn't", "i do", "i don't", "i am", "i'm not", "i will"),
            *("i did", "i didn't", "i have", "i haven't", "not really", "hello", "hi"),
        }
    ),
    digits=frozenset(
        {
            *("zero", "oh", "one", "two", "three", "four", "five"),
            *("six", "seven", "eight", "nine"),
        }
    ),
)
"""The rules for English."""

NEUTRAL = TextRules(dangling=frozenset(), closed=frozenset(), digits=frozenset())
"""The rules for a language without word lists."""


def rules_for(language: str) -> TextRules:
    """Return the rules for a BCP 47 tag, for example `en-US`."""
    primary = language.replace("_", "-").partition("-")[0].lower()
    return ENGLISH if primary == "en" else NEUTRAL


def split_words(text: str) -> tuple[str, ...]:
    """Return the words of a transcript, in lower case and without punctuation."""
    return tuple(
        word.replace("’", "'") for word in _WORD.findall(text.replace("‑", "-").lower())
    )


def count_words_beyond(words: Sequence[str], phrases: Collection[str]) -> int:
    """Return how many words remain once all these phrases are taken out."""
    longest = max((phrase.count(" ") + 1 for phrase in phrases), default=0)
    position = remaining = 0
    while position < len(words):
        for length in range(min(longest, len(words) - position), 0, -1):
            if " ".join(words[position : position + length]) in phrases:
                position += length
                break
        else:
            position += 1
            remaining += 1
    return remaining


def judge_ending(text: str, rules: TextRules) -> TurnEnding:
    """Say how finished a turn sounds.

    Args:
        text: What was understood so far, as the recogniser wrote it.
        rules: The language's rules.
    """
    words = split_words(text)
    if not words:
        return TurnEnding.PLAIN
    if _ends_inside_number(words, rules.digits):
        return TurnEnding.DANGLING
    if count_words_beyond(words, rules.closed) == 0:
        return TurnEnding.CLOSED
    written = text.rstrip()
    if written.endswith("?"):
        return TurnEnding.PLAIN
    if written.endswith(_OPEN_PUNCTUATION) or words[-1] in rules.dangling:
        return TurnEnding.DANGLING
    return TurnEnding.PLAIN


def _ends_inside_number(words: Sequence[str], digit_names: frozenset[str]) -> bool:
    """Say whether the last words are digits of a number that probably goes on."""
    groups: list[int] = []
    for word in reversed(words):
        digits = word.replace("-", "")
        if word in digit_names:
            groups.append(1)
        elif digits.isdecimal():
            groups.extend(len(part) for part in word.split("-"))
        else:
            break
    total = sum(groups)
    if total < _FEWEST_DICTATED:
        return False
    if max(groups) == 1:
        return total < _WHOLE_NUMBER_DIGITS and total != _LOCAL_NUMBER_DIGITS
    return total in _GROUP_ENDS
