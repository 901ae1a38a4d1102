"""Text in pictures."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_call.reports.labels import (
    GAP_PX,
    Label,
    PlacedLabel,
    fit,
    place,
    text_width,
    xml_text,
)

SIZE_PX = 12


def label(x: float, text: str, *, tail: str = "") -> Label:
    return Label(x=x, text=text, max_width=200, tail=tail)


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        pytest.param("Hello there", 200, "Hello there", id="fits"),
        pytest.param(" two\nlines ", 200, "two lines", id="one line"),
        pytest.param("Hello, my friends", 80, "Hello, my…", id="between words"),
        pytest.param("Hello, my friends", 90, "Hello, my…", id="no half word"),
        pytest.param("Incomprehensibilities", 60, "Incomp…", id="one long word"),
        pytest.param("Hello, you", 45, "Hello…", id="no comma before the ellipsis"),
        pytest.param("Hello", 5, "", id="no room at all"),
        pytest.param("日本語のテキスト", 60, "日本語…", id="wide characters"),
    ],
)
def test_text_is_shortened_to_fit(text: str, width: float, shown: str) -> None:
    """An ellipsis says that there is more."""
    assert fit(text, width=width, size_px=SIZE_PX) == shown


def test_combining_marks_take_no_room() -> None:
    """An accent stands above its letter."""
    assert text_width("e\u0301", size_px=10) == text_width("e", size_px=10)


def test_labels_with_room_share_a_row() -> None:
    """The nearest row is the best."""
    assert place([label(0, "one"), label(100, "two")], size_px=SIZE_PX, max_rows=3) == (
        PlacedLabel(x=0, row=0, text="one"),
        PlacedLabel(x=100, row=0, text="two"),
    )


def test_a_label_over_the_line_of_a_later_one_moves_out() -> None:
    """So no line crosses words."""
    placed = place(
        [label(0, "a long sentence"), label(40, "another one"), label(80, "end")],
        size_px=SIZE_PX,
        max_rows=3,
    )

    assert [(one.row, one.text) for one in placed] == [
        (2, "a long sentence"),
        (1, "another one"),
        (0, "end"),
    ]


def test_without_rows_a_label_is_shortened() -> None:
    """It ends before the next one begins."""
    placed = place(
        [label(0, "a long sentence"), label(60, "end")], size_px=SIZE_PX, max_rows=1
    )

    assert [(one.row, one.text) for one in placed] == [(0, "a long…"), (0, "end")]


def test_without_room_a_label_is_left_out() -> None:
    """Rather than shown as a letter or two."""
    placed = place(
        [label(0, "a long sentence"), label(20, "end")], size_px=SIZE_PX, max_rows=1
    )

    assert [one.text for one in placed] == ["end"]


def test_a_tail_stays_at_the_end() -> None:
    """Shortening keeps the mark of an interrupted line."""
    placed = place(
        [Label(x=0, text="I have a table at six", max_width=90, tail=" —")],
        size_px=SIZE_PX,
        max_rows=1,
    )

    assert [one.text for one in placed] == ["I have a… —"]


def test_no_words_no_label() -> None:
    """A mark alone is no label."""
    assert place([label(0, "", tail=" —")], size_px=SIZE_PX, max_rows=1) == ()


texts = st.text(alphabet="abc WM.", max_size=40)


@given(st.lists(st.tuples(st.floats(min_value=0, max_value=900), texts), max_size=25))
def test_labels_never_touch(points: list[tuple[float, str]]) -> None:
    """Neither two labels of a row, nor a label and the line of a label further out."""
    labels = [label(x, text) for x, text in sorted(points)]

    placed = place(labels, size_px=SIZE_PX, max_rows=3)

    for index, one in enumerate(placed):
        end = one.x + text_width(one.text, size_px=SIZE_PX)
        for later in placed[index + 1 :]:
            assert one.row > later.row or end <= later.x - GAP_PX + 1e-6
    assert all(one.row < 3 for one in placed)


@given(st.text())
def test_any_text_is_safe_in_xml(text: str) -> None:
    """What comes back is what went in, less what XML cannot hold."""
    element = ET.fromstring(f'<a b="{xml_text(text)}">{xml_text(text)}</a>')

    shown = (element.text or "").replace("\r", "\n")
    kept = [one for one in text if one.isprintable()]
    assert [one for one in shown if one.isprintable()] == kept


def test_characters_that_xml_cannot_hold_are_left_out() -> None:
    """Control characters and half surrogates."""
    assert xml_text("a\x00b\x1bc\ud800d\ufffee\U0001f600") == "abcde\U0001f600"
