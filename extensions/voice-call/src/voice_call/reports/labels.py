"""Text in pictures: how wide it is, how to shorten it, and where to put it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING
from unicodedata import combining, east_asian_width
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Label", "PlacedLabel", "fit", "place", "text_width", "xml_text"]

GAP_PX = 10.0
"""The least space between two labels of one row."""

LEAST_PX = 32.0
"""Words with less room than this tell nothing, and are left out."""

_WIDE = "WMmw@%&—…"
_NARROW = "iljtfrI.,:;'’!|()[] "


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Words that belong to a point in the picture and run to the right of it.

    Attributes:
        x: Where they begin, in pixels.
        text: The words.
        max_width: At most this wide, in pixels.
        tail: Stays at the end, however short the words become.
    """

    x: float
    text: str
    max_width: float
    tail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedLabel:
    """A label with its place.

    Attributes:
        x: Where it begins, in pixels.
        row: Counted from 0, which is nearest to what it belongs to.
        text: The words, shortened to fit.
    """

    x: float
    row: int
    text: str


def text_width(text: str, *, size_px: float) -> float:
    """Return about how wide a text is in a sans-serif face; rather more than less."""
    return sum(map(_character_width, text)) * size_px


def fit(text: str, *, width: float, size_px: float) -> str:
    """Return the text on one line, ended by an ellipsis where it is too wide."""
    line = " ".join(text.split())
    if text_width(line, size_px=size_px) <= width:
        return line
    room = width / size_px - _character_width("…")
    kept = bisect_right(tuple(accumulate(map(_character_width, line))), room)
    last_space = line.rfind(" ", 0, kept)
    if line[kept] != " " and last_space * 2 > kept:
        kept = last_space  # half a word is worse than none
    shortened = line[:kept].rstrip(" ,.;:-–—")
    return f"{shortened}…" if shortened else ""


def place(
    labels: Sequence[Label], *, size_px: float, max_rows: int
) -> tuple[PlacedLabel, ...]:
    """Place labels, given from left to right, so that nothing crosses anything.

    Each label hangs on a vertical line at its `x`. A label that runs over the line of
    a later one therefore goes into a row further out. Where that would need too many
    rows, the label is shortened to the space before the next one, or left out.
    """
    placed: list[PlacedLabel] = []
    for label in reversed(labels):
        text = _fit_label(label, width=label.max_width, size_px=size_px)
        end = label.x + text_width(text, size_px=size_px) + GAP_PX
        row = max((one.row + 1 for one in placed if one.x < end), default=0)
        if row >= max_rows:
            space = min(one.x for one in placed) - label.x - GAP_PX
            text = _fit_label(label, width=space, size_px=size_px)
            row = 0
        if text:
            placed.append(PlacedLabel(x=label.x, row=row, text=text))
    return tuple(reversed(placed))


def _fit_label(label: Label, *, width: float, size_px: float) -> str:
    room = width - text_width(label.tail, size_px=size_px)
    if room < LEAST_PX:
        return ""
    words = fit(label.text, width=room, size_px=size_px)
    return f"{words}{label.tail}" if words else ""


def xml_text(text: str) -> str:
    """Return text that is safe inside XML; what XML 1.0 cannot hold is left out."""
    return escape("".join(filter(_is_xml, text)), {'"': "&quot;"})


def _character_width(character: str) -> float:
    if combining(character):
        return 0.0
    if east_asian_width(character) in "WF":
        return 1.05
    if character in _WIDE or character.isupper():
        return 0.85 if character in _WIDE else 0.7
    return 0.36 if character in _NARROW else 0.6


def _is_xml(character: str) -> bool:
    """Whether XML 1.0 allows it (section 2.2, Char)."""
    return character in "\t\n\r" or (
        " " <= character <= "\ud7ff"
        or "\ue000" <= character <= "\ufffd"
        or character >= "\U00010000"
    )
