from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_gateway.config.key_paths import (
    MISSING,
    find_value,
    parse_path,
    show_path,
    with_value,
    without_value,
)
from openclaw_gateway.errors import BadParams, ConfigInvalid


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("a.b", ("a", "b")),
        ("plugins.entries.voice-call", ("plugins", "entries", "voice-call")),
        ("a[0].b", ("a", 0, "b")),
        ("a[0][1]", ("a", 0, 1)),
        ("numbers.+15550001111.agentId", ("numbers", "+15550001111", "agentId")),
        ('a["x.y"].b', ("a", "x.y", "b")),
        ('["x"]', ("x",)),
        ('a["\\"]"]', ("a", '"]')),
    ],
)
def test_paths(text, path):
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "a[", "a[x]", "[0]", "a]b", 'a["x]', "a[-1]"]
)
def test_what_is_no_path(text):
    with pytest.raises(BadParams, match="is no path"):
        parse_path(text)


def test_a_quoted_key_with_a_wrong_escape():
    with pytest.raises(BadParams, match="is no quoted key"):
        parse_path('a["\\x"]')


keys = st.one_of(st.text(min_size=1), st.integers(0, 999_999))


@given(st.text(min_size=1), st.lists(keys, max_size=4))
def test_what_is_shown_can_be_read(first, rest):
    path = (first, *rest)
    assert parse_path(show_path(path)) == path


ROOT = {"a": {"b": [1, {"c": None}]}, "n": 1}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("a", "b", 0), 1),
        (("a", "b", 1, "c"), None),
        (("a", "x"), MISSING),
        (("a", "b", 2), MISSING),
        (("a", 0), MISSING),
        (("n", "x"), MISSING),
    ],
)
def test_finding(path, value):
    assert find_value(ROOT, path) is value or find_value(ROOT, path) == value


@pytest.mark.parametrize(
    ("path", "after"),
    [
        (("a", "b", 0), {"a": {"b": [9, {"c": None}]}, "n": 1}),
        (("a", "b", 2), {"a": {"b": [1, {"c": None}, 9]}, "n": 1}),
        (("x", "y"), {**ROOT, "x": {"y": 9}}),
        (("x", 0), {**ROOT, "x": [9]}),
    ],
)
def test_setting_leaves_the_original_alone(path, after):
    assert with_value(ROOT, path, 9) == after
    assert ROOT["a"]["b"][0] == 1


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (("n", "x"), "n: must be an object."),
        (("a", 0), "a: must be a list."),
        (("a", "b", 5), "a.b: the list ends at 2; append there."),
    ],
)
def test_setting_where_it_cannot_be(path, said):
    with pytest.raises(ConfigInvalid) as caught:
        with_value(ROOT, path, 9)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("path", "after"),
    [
        (("n",), {"a": ROOT["a"]}),
        (("a", "b", 0), {"a": {"b": [{"c": None}]}, "n": 1}),
        (("a", "b", 1, "c"), {"a": {"b": [1, {}]}, "n": 1}),
    ],
)
def test_removing(path, after):
    assert without_value(ROOT, path) == after
