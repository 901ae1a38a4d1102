"""A tiny XML writer for what carriers are told: TwiML and Plivo XML.

PURE. Whatever a text holds, it comes out as one text node of a valid document: markup is
escaped, and a character that XML 1.0 cannot hold becomes a space, so that the words on
either side of it stay apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Element", "element", "render"]

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Not a `Char` of XML 1.0 (5th edition, §2.2): control characters, lone surrogates."""

_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTE = _IN_TEXT | str.maketrans(
    # A parser turns bare white space of an attribute into blanks (§3.3.3).
    {'"': "&quot;", "'": "&#39;", "\t": "&#9;", "\n": "&#10;"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One element.

    Attributes:
        name: A name of ours, never remote input.
        attributes: Values of any text, in the order in which they are written.
        children: Elements and texts.
    """

    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    children: tuple[Element | str, ...] = ()


def element(
    name: str, attributes: Mapping[str, str] | None = None, *children: Element | str
) -> Element:
    """Return an element, written in one line."""
    return Element(name=name, attributes=attributes or {}, children=children)


def render(root: Element) -> str:
    """Return the document with this root, with its declaration; it is to be UTF-8."""
    return '<?xml version="1.0" encoding="UTF-8"?>' + _render(root)


def _render(node: Element | str) -> str:
    if isinstance(node, str):
        return _FORBIDDEN.sub(" ", node).translate(_IN_TEXT)
    attributes = "".join(
        f' {name}="{_FORBIDDEN.sub(" ", value).translate(_IN_ATTRIBUTE)}"'
        for name, value in node.attributes.items()
    )
    if not node.children:
        return f"<{node.name}{attributes}/>"
    inside = "".join(map(_render, node.children))
    return f"<{node.name}{attributes}>{inside}</{node.name}>"
