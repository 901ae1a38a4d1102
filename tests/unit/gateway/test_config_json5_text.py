"""One value changes; every other character stays."""

from __future__ import annotations

import json

import pyjson5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_gateway.config.json5_text import set_in_text, unset_in_text
from openclaw_gateway.config.key_paths import (
    MISSING,
    find_value,
    with_value,
    without_value,
)

FILE = """\
// my gateway
{
  gateway: {
    port: 18789, // the usual
    auth: { token: 'x' }, /* keep */
  },
  "list": [1, 2],
}
"""


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (("gateway", "port"), 5, "18789", "5"),
        (("gateway", "auth", "token"), "y", "'x'", '"y"'),
        (("list", 1), {"a": 1}, "2]", '{\n    "a": 1\n  }]'),
        (("gateway", "auth", "mode"), "token", "'x' }", "'x', mode: \"token\" }"),
        (("list",), None, "[1, 2]", "null"),
    ],
)
def test_a_value_is_set_in_place(path, value, old, new):
    assert set_in_text(FILE, path, value) == FILE.replace(old, new)


def test_a_new_key_is_added_below_the_last_one():
    assert set_in_text(FILE, ("gateway", "bind"), "lan") == FILE.replace(
        "/* keep */\n", '/* keep */\n    bind: "lan"\n'
    )


def test_parents_are_made():
    assert set_in_text("{}", ("a", "b"), 1) == '{\n  "a": {\n    "b": 1\n  }\n}'


def test_a_comma_goes_before_the_comment_of_the_last_value():
    text = '{\n  "a": 1 // one\n}'
    assert set_in_text(text, ("b",), 2) == '{\n  "a": 1, // one\n  "b": 2\n}'


def test_a_key_that_is_no_name_is_quoted():
    assert set_in_text("{a: 1}", ("x-y",), 2) == '{a: 1, "x-y": 2}'


@pytest.mark.parametrize(
    ("text", "path", "after"),
    [
        ("{\n  a: 1,\n  b: 2, // two\n}", ("a",), "{\n  b: 2, // two\n}"),
        ('{\n  "a": 1,\n  "b": 2\n}', ("b",), '{\n  "a": 1\n}'),
        ("{a: 1, b: 2, c: 3}", ("b",), "{a: 1, c: 3}"),
        ("{a: 1}", ("a",), "{}"),
        ("{a: [1, 2, 3]}", ("a", 1), "{a: [1, 3]}"),
    ],
)
def test_a_value_is_removed(text, path, after):
    assert unset_in_text(text, path) == after


@pytest.mark.parametrize(
    "text", ["", "{a 1}", "{a: }", "{a: 1 b: 2}", "{: 1}", "{a: 1"]
)
def test_what_is_not_understood_is_left_to_the_caller(text):
    assert set_in_text(text, ("b",), 1) is None
    assert unset_in_text(text, ("b",)) is None


def test_what_is_not_there_cannot_be_removed():
    assert unset_in_text("{a: 1}", ("b",)) is None


def test_a_list_that_would_grow_is_left_to_the_caller():
    assert set_in_text("{a: [1]}", ("a", 1), 2) is None


def test_of_a_doubled_key_the_last_counts():
    assert set_in_text("{a: 1, a: 2}", ("a",), 3) == "{a: 1, a: 3}"


names = st.sampled_from(["a", "b", "c-d", "e.f", "port"])
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5))
objects = st.dictionaries(
    names,
    st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)
        ),
        max_leaves=6,
    ),
    max_size=4,
)
layouts = st.sampled_from([None, 0, 2])


@given(objects, st.lists(names, min_size=1, max_size=3), leaves, layouts, st.booleans())
def test_the_text_says_what_the_data_say(root, path, value, indent, is_removal):
    text = "// top\n" + json.dumps(root, indent=indent) + " // end\n"
    path = tuple(path)
    if is_removal:
        changed = unset_in_text(text, path)
        found = find_value(root, path) is not MISSING
        expected = without_value(root, path) if found else None
    else:
        changed = set_in_text(text, path, value)
        expected = None if changed is None else with_value(root, path, value)
    if expected is not None:
        assert pyjson5.decode(changed) == expected
        assert changed.startswith("// top\n")
        assert changed.endswith(" // end\n")
