"""Plain text on its way to be spoken: without markup, and without planning. PURE."""

from __future__ import annotations

import re
import unicodedata
from enum import Enum, auto
from typing import assert_never

__all__ = ["Prose", "strip_markup"]

# -- where text may be released --------------------------------------------------------

_CUT = re.compile(
    r"(?P<sentence>[.!?…][\"'*_)\]”’`]*+\s|[。！？])|(?P<line>\n)|(?P<clause>[,;]\s)"
)
_FIRST_CLAUSE_CHARS = 24
_LONGEST_CHARS = 400
_LONGEST_WORD_CHARS = 800

# -- planning --------------------------------------------------------------------------

_LABEL = re.compile(
    r"[\s*_#>\-]*(?:my |internal )?(?:thinking process|chain of thought|"
    r"(?:reasoning|analysis|thinking|thoughts?|thought process|internal monologue|"
    r"planning)[*_]*\s*:)",
    re.IGNORECASE,
)
_ANSWER_LABEL = re.compile(
    r"[\s*_#>\-]*(?:final answer|answer|final response|response|reply|spoken response|"
    r"spoken)[*_]*\s*:[*_]*\s*",
    re.IGNORECASE,
)
_ABOUT_THE_USER = re.compile(
    r"[\s*_#>\-]*(?:(?:okay|ok|alright|so|hmm|well|now|first)\b[\s,.]*)*"
    r"(?:the|this) (?:user|caller|human)(?:['’]s\b| (?:is|has|was|wants|asks|"
    r"asked|says|said|needs|seems|would|just|might|may|probably|wishes|is asking)\b)",
    re.IGNORECASE,
)
_INTENTION = re.compile(
    r"\b(?:I should|I need to|I will|I['’]ll|I must|I have to|I can|let me|we should|"
    r"we need to)\b",
    re.IGNORECASE,
)
_ABOUT_THE_REPLY = re.compile(
    r"[\s*_#>\-]*(?:(?:okay|ok|alright|so|hmm|well|now|first)\b[\s,.]*)*"
    r"(?:I|we) (?:should|need to) (?:respond|reply|answer|output|produce|"
    r"follow the|return)\b",
    re.IGNORECASE,
)
_LONGEST_PLAN_CHARS = 1500


class _Stage(Enum):
    OPENING = auto()  # at the start of a paragraph
    WEIGHING = auto()  # in a first paragraph that may be planning
    DROPPING = auto()  # in a paragraph that is planning
    SPEAKING = auto()


class Prose:
    """Takes plain text in portions; gives out what may be spoken.

    Text is given out sentence by sentence, so that what turns out to be an announcement
    ("Here is the JSON:") can still be dropped, and markup is whole when it is removed.
    """

    def __init__(self) -> None:
        self._held = ""
        self._weighed = ""
        self._stage = _Stage.OPENING
        self._is_line_start = True
        self._has_spoken = False

    def feed(self, text: str) -> str:
        """Take more text and return what is complete, without markup."""
        self._held += text
        released = ""
        while cut := self._find_cut():
            segment, self._held = self._held[:cut], self._held[cut:]
            released += self._release(segment)
        return released

    def finish(self) -> str:
        """Return what is left."""
        held, self._held = self._held, ""
        released = self._release(held) if held else ""
        return released + self._weigh()

    def drop_held(self) -> None:
        """Forget what has not been given out yet."""
        self._held = self._weighed = ""
        self._stage = _Stage.OPENING

    def _find_cut(self) -> int:
        for match in _CUT.finditer(self._held, 0, _LONGEST_CHARS):
            if match["sentence"]:
                return match.end()
            if match["clause"] and match.start() >= _FIRST_CLAUSE_CHARS:
                return match.end()
            is_announcement = self._held[: match.start()].rstrip().endswith((":", "："))
            if match["line"] and not is_announcement:
                return match.end()
        if len(self._held) <= _LONGEST_CHARS:
            return 0
        spaces = re.finditer(r"\s", self._held[:_LONGEST_CHARS])
        if ends := [match.end() for match in spaces]:
            return ends[-1]
        space = re.search(r"\s", self._held[:_LONGEST_WORD_CHARS])
        if space:
            return space.end()
        return _LONGEST_WORD_CHARS if len(self._held) >= _LONGEST_WORD_CHARS else 0

    def _release(self, segment: str) -> str:
        ends_paragraph = self._is_line_start and segment.isspace() and "\n" in segment
        if self._stage is _Stage.OPENING and not segment.isspace():
            segment = self._open(segment)
        released = ""
        match self._stage:
            case _Stage.WEIGHING:
                self._weighed += segment
                if ends_paragraph or len(self._weighed) > _LONGEST_PLAN_CHARS:
                    released = self._weigh()
            case _Stage.SPEAKING:
                released = strip_markup(segment, is_line_start=self._is_line_start)
            case _Stage.DROPPING:
                if _ANSWER_LABEL.match(segment):
                    self._stage = _Stage.SPEAKING
                    released = strip_markup(_without_label(segment), is_line_start=True)
            case _Stage.OPENING:
                released = " "
            case _:
                assert_never(self._stage)
        if ends_paragraph:
            self._stage = _Stage.OPENING
        self._has_spoken = self._has_spoken or not (not released or released.isspace())
        self._is_line_start = segment.endswith("\n")
        return released

    def _open(self, segment: str) -> str:
        """Decide what a paragraph is by its beginning; returns it without a label."""
        if _LABEL.match(segment) or (
            not self._has_spoken and _ABOUT_THE_REPLY.match(segment)
        ):
            self._stage = _Stage.DROPPING
        elif not self._has_spoken and _ABOUT_THE_USER.match(segment):
            self._stage = _Stage.WEIGHING
        else:
            self._stage = _Stage.SPEAKING
            return segment if self._has_spoken else _without_label(segment)
        return segment

    def _weigh(self) -> str:
        """Return the paragraph that was held back, unless it is planning."""
        weighed, self._weighed = self._weighed, ""
        if self._stage is not _Stage.WEIGHING:
            return ""
        if _INTENTION.search(weighed):
            self._stage = _Stage.DROPPING
            return ""
        self._stage = _Stage.SPEAKING
        return strip_markup(weighed, is_line_start=True)


def _without_label(segment: str) -> str:
    return (
        _ANSWER_LABEL.sub("", segment, count=1)
        if _ANSWER_LABEL.match(segment)
        else segment
    )


# -- markup ----------------------------------------------------------------------------

_DIRECTIVE = re.compile(r"\[\[[^\[\]]*\]\]|【[^【】]*】|(?<=\S)\[\^?\d+\]")
_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\([^()\s]*(?:\s+\"[^\"\n]*\")?\)")
_URL = re.compile(
    r"(?:[a-z][a-z0-9+.\-]*://|www\.)(?:[^\s/@<>\"']*@)?(?:www\.)?"
    r"([^\s/?#<>\"'()\[\],;]*[^\s/?#<>\"'()\[\],;.:!])(?:[/?#][^\s<>\"'()\[\]]*(?<![.,!?;:]))?",
    re.IGNORECASE,
)
_RULE = re.compile(r"[ \t]*[|:=_*~\-][ \t|:=_*~\-]+\Z")
_LINE_START = re.compile(
    r"[ \t]*(?:>[ \t]?)*(?P<mark>#{1,6}[ \t]+|[-*+•‣▪◦][ \t]+(?:\[[ xX]\][ \t]+)?)?"
)
_EDGE_UNDERSCORE = re.compile(r"(?<!\w)_+|_+(?!\w)")
_ESCAPED_SPACE = re.compile(r"\\[nrt]")
_NEVER_SPOKEN = dict.fromkeys(map(ord, "{}[]<>*`~\\\ufe0e\ufe0f\u20e3"))
_SPOKEN_AS_SPACE = dict.fromkeys(map(ord, "|_"), " ")
_SILENT_CATEGORIES = frozenset({"So", "Cs", "Co", "Cn", "Cc", "Cf"})
_KEPT = frozenset("°\n\t\u200c")
_SKIN_TONES = range(0x1F3FB, 0x1F400)


def strip_markup(text: str, *, is_line_start: bool) -> str:
    """Return the text as it is spoken, with white space collapsed.

    Links become their text, addresses their host name; emphasis, headings, bullets,
    tables, emoji and control characters go.
    """
    text = _ESCAPED_SPACE.sub(" ", text)
    text = _DIRECTIVE.sub("", text)
    text = _LINK.sub(r"\1", text)
    text = _URL.sub(r"\1", text)
    lines = text.split("\n")
    last = len(lines) - 1
    text = "\n".join(
        _strip_line(line, is_whole=index < last) if index or is_line_start else line
        for index, line in enumerate(lines)
    )
    text = _EDGE_UNDERSCORE.sub("", text.translate(_NEVER_SPOKEN))
    text = "".join(filter(_is_speakable, text.translate(_SPOKEN_AS_SPACE)))
    return re.sub(r"\s+", " ", text)


def _strip_line(line: str, *, is_whole: bool) -> str:
    """Return a line without what makes it a heading, a list item or a rule."""
    if _RULE.match(line):
        return ""
    match = _LINE_START.match(line)
    mark = match["mark"] if match else None
    rest = line[match.end() :] if match else line
    if mark and is_whole and rest.rstrip()[-1:].isalnum():
        return rest.rstrip() + ("." if mark.startswith("#") else ",")
    return rest


def _is_speakable(char: str) -> bool:
    if char in _KEPT:
        return True
    if ord(char) in _SKIN_TONES:
        return False
    return unicodedata.category(char) not in _SILENT_CATEGORIES
