"""How well speech was understood: the word error rate, blind to how numbers are written.

"Two thirty", "2:30" and "230" are the same three digits, so a recogniser is judged by
what it heard and not by how it writes. For English.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["WordErrors", "count_word_errors", "normalize_words"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WordErrors:
    """How far what was heard is from what was said.

    Attributes:
        edits: Words put in, left out or changed; as few as explain the difference.
        words: Words that were said.
    """

    edits: int
    words: int

    @property
    def rate(self) -> float:
        """Edits per word: 0.0 is perfect, 1.0 or more is nothing understood."""
        return self.edits / max(1, self.words)

    def __add__(self, other: WordErrors) -> WordErrors:
        return WordErrors(
            edits=self.edits + other.edits, words=self.words + other.words
        )


def count_word_errors(said: str, heard: str) -> WordErrors:
    """Compare two texts word by word after `normalize_words`."""
    expected, found = normalize_words(said), normalize_words(heard)
    row = list(range(len(found) + 1))
    for line, word in enumerate(expected, start=1):
        diagonal, row[0] = row[0], line
        for column, other in enumerate(found, start=1):
            changed = diagonal + (word != other)
            diagonal = row[column]
            row[column] = min(diagonal + 1, row[column - 1] + 1, changed)
    return WordErrors(edits=row[-1], words=len(expected))


_ONES = [
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
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ORDINALS = [
    "zeroth",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
]
_NUMBERS = {word: value for value, word in enumerate(_ONES)}
_NUMBERS |= {word: 10 * value for value, word in enumerate(_TENS, start=2)}
_NUMBERS |= {word: value for value, word in enumerate(_ORDINALS)}
_NUMBERS |= {f"{word[:-1]}ieth": 10 * n for n, word in enumerate(_TENS, start=2)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}

_REWRITES = (
    (r"[’‘]", "'"),
    (r"@", " at "),
    (r"\.(com|org|net)\b", r" dot \1"),
    (r"\$(\d[\d,]*)\.(\d\d)\b", r"\1 dollars and \2 cents"),
    (r"\$(\d[\d,]*)", r"\1 dollars"),
    (r"%", " percent"),
    (r"(?<=\d),(?=\d{3}\b)", ""),
    (r"\b(\d{1,2}):00\b", r"\1"),
    (r"(?<=\d)\.(?=\d)", " point "),
    (r"(\d)(?:st|nd|rd|th)\b", r"\1"),
    (r"\b([ap])\.?\s?m\b\.?", r"\1m"),
    (r"(\d)([ap]m)\b", r"\1 \2"),
    (r"\bmr\b\.?", "mister"),
    (r"\bdr\b\.?", "doctor"),
    (r"\bper cent\b", "percent"),
    (r"\bokay\b", "ok"),
    (r"\bgood[ -]bye\b", "goodbye"),
    (r"[^a-z0-9']+", " "),
)


def normalize_words(text: str) -> list[str]:
    """Return the words in lower case, with every number as single digits."""
    text = text.lower()
    for pattern, replacement in _REWRITES:
        text = re.sub(pattern, replacement, text)
    tokens = [token.strip("'") for token in text.split()]
    words: list[str] = []
    number = _Number()
    for token in filter(None, tokens):
        if number.take(token):
            continue
        words += number.take_digits()
        words.append(token)
    return words + number.take_digits()


class _Number:
    """Collects number words into a number: "nine hundred and five" into 905."""

    def __init__(self) -> None:
        self._digits = ""  # what is complete
        self._total = 0
        self._group = 0
        self._room = 0  # what may still be added: below 10 after "twenty"
        self._is_open = False

    def take(self, word: str) -> bool:
        """Take a word if it belongs to the number."""
        if word.isdecimal():
            self._close()
            self._digits += word
        elif word in _SCALES:
            self._scale(_SCALES[word])
        elif word in _NUMBERS:
            self._add(_NUMBERS[word])
        else:
            return word == "and" and self._room >= 100  # noqa: PLR2004 - "hundred and …"
        return True

    def take_digits(self) -> list[str]:
        """Return the digits of the number, and begin anew."""
        self._close()
        digits, self._digits = self._digits, ""
        return list(digits)

    def _add(self, value: int) -> None:
        if not self._is_open or value >= self._room or not value:
            self._close()
        self._is_open = True
        self._group += value
        self._room = 10 if value >= 20 and value % 10 == 0 else 1  # noqa: PLR2004 - "twenty" takes one more

    def _scale(self, scale: int) -> None:
        if not self._is_open and self._digits and len(self._digits) <= 3:  # noqa: PLR2004 - "5 hundred"
            self._group, self._digits = int(self._digits), ""
        self._is_open = True
        if scale == 100:  # noqa: PLR2004 - hundreds stay in their group
            self._group = max(1, self._group) * scale
        else:
            self._total += max(1, self._group) * scale
            self._group = 0
        self._room = scale

    def _close(self) -> None:
        if self._is_open:
            self._digits += str(self._total + self._group)
        self._total = self._group = self._room = 0
        self._is_open = False
