"""Any text becomes one text node of a valid document."""

from __future__ import annotations

import pytest

from voice_call.carriers.markup import element, render

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'


def test_an_empty_element_closes_itself() -> None:
    assert render(element("Response")) == f"{DECLARATION}<Response/>"


def test_children_are_written_in_order() -> None:
    document = element(
        "Response", None, element("Say", {"language": "en-US"}, "Hi"), element("Hangup")
    )
    assert render(document) == (
        f'{DECLARATION}<Response><Say language="en-US">Hi</Say><Hangup/></Response>'
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Tom & Ann", "Tom &amp; Ann"),
        ("</Say><Dial>", "&lt;/Say&gt;&lt;Dial&gt;"),
        ("]]>", "]]&gt;"),
        ("a\x00b\x1bc", "a b c"),
        ("lone \ud800 surrogate", "lone   surrogate"),
        ("\ufffe\uffff", "  "),
        ("one\r\ntwo\tthree", "one&#13;\ntwo\tthree"),
        ("“quoted” 'plain'", "“quoted” 'plain'"),
        ("\N{GRINNING FACE}", "\N{GRINNING FACE}"),
    ],
)
def test_text_is_escaped(text: str, written: str) -> None:
    assert render(element("Say", None, text)) == f"{DECLARATION}<Say>{written}</Say>"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ('"', "&quot;"),
        ("'", "&#39;"),
        ("a&b", "a&amp;b"),
        ("a\tb\nc", "a&#9;b&#10;c"),
        ("a\x07b", "a b"),
    ],
)
def test_attributes_are_escaped(value: str, written: str) -> None:
    assert render(element("Play", {"digits": value})) == (
        f'{DECLARATION}<Play digits="{written}"/>'
    )
