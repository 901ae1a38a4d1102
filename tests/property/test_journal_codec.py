"""Whatever can happen on a call can be written down and read again."""

from __future__ import annotations

import dataclasses
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_call.errors import JournalCorrupt, JournalTooNew
from voice_call.runtime.journal_codec import KINDS, decode, encode

TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
    ),
    max_leaves=6,
)


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for one field, from its annotation alone."""
    while hasattr(annotation, "__supertype__"):
        annotation = annotation.__supertype__
    if get_origin(annotation) in (UnionType, Union):
        return st.one_of(*(values_of(each) for each in get_args(annotation)))
    if get_origin(annotation) is tuple:
        return st.lists(values_of(get_args(annotation)[0]), max_size=4).map(tuple)
    if dataclasses.is_dataclass(annotation):
        return objects_of(annotation)  # type: ignore[arg-type]
    if get_origin(annotation) is not None:  # Mapping[str, Any]
        return st.dictionaries(TEXTS, JSON, max_size=4)
    if issubclass(annotation, Enum):
        return st.sampled_from(annotation)
    return {
        NoneType: st.none(),
        str: TEXTS,
        bool: st.booleans(),
        int: st.integers(-(2**53), 2**53),
        float: st.floats(allow_nan=False, allow_infinity=False),
    }[annotation]


def objects_of(kind: type[Any]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    fields = {
        field.name: values_of(hints[field.name]) for field in dataclasses.fields(kind)
    }
    return st.builds(kind, **fields)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_comes_back_equal(kind: type[Any]) -> None:
    @given(objects_of(kind))
    def check(what: Any) -> None:
        name, body = encode(what)
        assert name == kind.__name__
        assert decode(name, body) == what

    check()


@given(st.sampled_from(sorted(KINDS)) | TEXTS, TEXTS | JSON.map(repr))
def test_any_text_is_an_entry_or_a_documented_error(kind: str, body: str) -> None:
    try:
        what = decode(kind, body)
    except (JournalCorrupt, JournalTooNew):
        return
    assert type(what).__name__ == kind


@given(st.text())
def test_any_text_of_a_peer_can_be_written(text: str) -> None:
    spoke = KINDS["CallerSpoke"](utterance_id="u", text=text + "\ud800")
    assert decode(*encode(spoke)).utterance_id == "u"  # type: ignore[union-attr]
