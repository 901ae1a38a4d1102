"""Cuts text into the pieces that are synthesised one by one. PURE.

A piece is a sentence, or a line. The very first one may be a clause, so that there is
something to hear while the rest is still being written, and what runs on without an end
is cut at a comma or a space. Where the text is cut does not depend on the portions in
which it arrives.
"""

from __future__ import annotations

import re

__all__ = ["SentenceSplitter"]

_CLOSERS = "\"'”’»)\\]"
_BOUNDARY = re.compile(
    rf"(?P<line>\n)"
    rf"|(?P<stop>[.!?…]++)[{_CLOSERS}]*+(?=\s)"
    rf"|(?P<wide>[。！？]++)[{_CLOSERS}」』）]*+(?=[\s\S])"
    rf"|(?P<clause>[,;:—–])(?=\s)"
)
_WORD_BEFORE = re.compile(r"[^\s(\"'“‘]*\Z")
_SPACES = re.compile(r"[^\S\n]+")

_FIRST_CLAUSE_CHARS = 24
_LONGEST_CHARS = 200
_SHORTEST_CUT_CHARS = 80
_LOOKAHEAD_CHARS = 4

_NEVER_LAST = frozenset(
    [
        "dr",
        "mr",
        "mrs",
        "ms",
        "mx",
        "prof",
        "rev",
        "gen",
        "col",
        "capt",
        "lt",
        "sgt",
        "hon",
        "gov",
        "sen",
        "rep",
        "st",
        "mt",
        "ft",
        "e.g",
        "i.e",
        "vs",
        "approx",
        "dept",
        "ext",
        "tel",
        "fig",
    ]
)
"""Abbreviations that something must follow."""

_SOMETIMES_LAST = frozenset(
    [
        "a.m",
        "p.m",
        "etc",
        "inc",
        "ltd",
        "co",
        "corp",
        "jr",
        "sr",
        "ave",
        "blvd",
        "rd",
        "no",
        "nr",
        "al",
        "u.s",
        "u.k",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
    ]
)
"""Abbreviations that end a sentence only where a capital letter follows."""


class SentenceSplitter:
    """Takes text in portions and gives back whole pieces of it.

    The pieces, joined, are the text but for white space, and for a tail or a very long
    run without any letter or digit, which nobody could speak.
    """

    def __init__(self) -> None:
        self._buffer = ""
        self._is_first = True

    def feed(self, text: str) -> list[str]:
        """Take the next portion and return the pieces that are complete."""
        text = _SPACES.sub(" ", text)
        if self._buffer.endswith(" "):
            text = text.removeprefix(" ")
        self._buffer += text
        return self._pieces()

    def finish(self) -> list[str]:
        """Return what is left, after the last portion."""
        self._buffer += "\n"
        pieces = self._pieces()
        self._buffer = ""
        return pieces

    def _pieces(self) -> list[str]:
        pieces = []
        while end := self._find_end():
            piece = self._buffer[:end].strip()
            self._buffer = self._buffer[end:].lstrip()
            if _has_words(piece):
                pieces.append(piece)
                self._is_first = False
        return pieces

    def _find_end(self) -> int:
        """Return where the first piece ends; 0 if more text is needed to know."""
        self._buffer = self._buffer.lstrip()
        for match in _BOUNDARY.finditer(self._buffer, 0, _LONGEST_CHARS):
            is_end = self._is_end(match)
            if is_end is None:
                return 0
            if is_end:
                return match.end()
        if len(self._buffer) < _LONGEST_CHARS + _LOOKAHEAD_CHARS:
            return self._find_last_end()
        return self._find_cut()

    def _find_last_end(self) -> int:
        """Return the end of the text where only the closing line break is in reach."""
        rest = self._buffer.find("\n", _LONGEST_CHARS - 1)
        return rest + 1 if rest >= 0 and _has_words(self._buffer[:rest]) else 0

    def _find_cut(self) -> int:
        """Return where to cut a run without an end."""
        run = self._buffer[:_LONGEST_CHARS]
        clauses = [match.end() for match in re.finditer(r"[,;:—–](?=\s)", run)]
        if clauses and clauses[-1] >= _SHORTEST_CUT_CHARS:
            return clauses[-1]
        space = max(run.rfind(" "), run.rfind("\n"))
        return space if space > 0 else _LONGEST_CHARS

    def _is_end(self, match: re.Match[str]) -> bool | None:
        """Return whether a piece ends here; None if only the next words can tell."""
        before = self._buffer[: match.start()]
        if not _has_words(before):
            return False
        if match["clause"]:
            return self._is_first and match.start() >= _FIRST_CLAUSE_CHARS
        if match["stop"] and match["stop"][-1] in ".…":
            return self._is_end_at_dot(before, match)
        return True

    def _is_end_at_dot(self, before: str, match: re.Match[str]) -> bool | None:
        word_match = _WORD_BEFORE.search(before)
        word = word_match[0] if word_match else ""
        if word.lower() in _NEVER_LAST or _is_initial(word):
            return False
        if word.isdecimal() and word == before.strip():
            return False  # the number of a list item
        is_open = word.lower() in _SOMETIMES_LAST or match["stop"] != "."
        if not is_open:
            return True
        after = self._buffer[match.end() :]
        if after.startswith("\n"):
            return True
        following = after.lstrip()[:1]
        if not following:
            return None
        return not (following.islower() or following.isdecimal())


def _is_initial(word: str) -> bool:
    return len(word) == 1 and word.isupper() and word != "I"


def _has_words(text: str) -> bool:
    return any(map(str.isalnum, text))
