from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_gateway.plugins.json_schema import find_schema_problems

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["must"],
    "$defs": {
        "level": {"type": "integer", "minimum": 1, "maximum": 3},
        "loop": {"$ref": "#/$defs/loop"},
        "tree": {"type": "object", "additionalProperties": {"$ref": "#/$defs/tree"}},
    },
    "properties": {
        "must": {},
        "text": {"type": "string", "minLength": 1, "maxLength": 3, "pattern": "^a"},
        "kind": {"enum": ["notify", "conversation", 1]},
        "const": {"const": True},
        "level": {"$ref": "#/$defs/level"},
        "loop": {"$ref": "#/$defs/loop"},
        "tree": {"$ref": "#/$defs/tree"},
        "share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "list": {"type": "array", "items": {"type": "boolean"}},
        "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "object": {
            "anyOf": [
                {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"port": {"type": "integer"}},
                },
                {"type": "null"},
            ]
        },
        "both": {"allOf": [{"type": "integer"}, {"minimum": 5}]},
        "map": {"patternProperties": {"^x-": True}, "additionalProperties": False},
        "never": False,
        "odd": {"pattern": "(", "$ref": "elsewhere.json"},
        "nowhere": {"$ref": "#/no/such"},
    },
}


def problems(**settings):
    settings = {"must": 1, **settings}
    return [str(it) for it in find_schema_problems(settings, SCHEMA, ("p",))]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"text": "abc"},
        {"kind": "notify"},
        {"kind": 1},
        {"const": True},
        {"level": 3.0},
        {"loop": 1},
        {"tree": {"a": {"b": {}}}},
        {"share": 0.5},
        {"list": [True, False]},
        {"either": None},
        {"object": {"port": 1}},
        {"both": 5},
        {"map": {"x-a": 1}},
        {"odd": "a"},
        {"nowhere": 1},
    ],
)
def test_what_is_right_passes(settings):
    assert problems(**settings) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"txet": "a"}, "p.txet: unknown key, perhaps text is meant."),
        ({"text": 1}, "p.text: must be a text."),
        ({"text": ""}, "p.text: must not be empty."),
        ({"text": "abcd"}, "p.text: is too long."),
        ({"text": "b"}, "p.text: must match ^a."),
        (
            {"kind": "notfy"},
            'p.kind: must be "notify" or "conversation" or 1, perhaps notify is meant.',
        ),
        ({"kind": True}, 'p.kind: must be "notify" or "conversation" or 1.'),
        ({"const": 1}, "p.const: must be True."),
        ({"level": 0}, "p.level: must be at least 1."),
        ({"level": 4}, "p.level: must be at most 3."),
        ({"level": 1.5}, "p.level: must be a whole number."),
        ({"level": True}, "p.level: must be a whole number."),
        ({"tree": {"a": {"b": 1}}}, "p.tree.a.b: must be an object."),
        ({"share": 0}, "p.share: must be more than 0."),
        ({"share": 1}, "p.share: must be less than 1."),
        ({"list": [True, 1]}, "p.list[1]: must be true or false."),
        ({"either": 1}, "p.either: must be a text or must be null."),
        ({"object": {"prt": 1}}, "p.object.prt: unknown key, perhaps port is meant."),
        ({"object": {"port": "x"}}, "p.object.port: must be a whole number."),
        ({"both": 4}, "p.both: must be at least 5."),
        ({"map": {"y": 1}}, "p.map.y: unknown key."),
        ({"never": 1}, "p.never: must not be there."),
    ],
)
def test_what_is_wrong_is_named(settings, said):
    assert problems(**settings) == [said]


def test_what_is_required_is_named():
    assert [str(it) for it in find_schema_problems({}, SCHEMA)] == [
        "must: is required."
    ]


values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(sorted(SCHEMA["properties"])), inner, max_size=3
        ),
    ),
    max_leaves=8,
)


@given(values)
def test_any_value_is_judged(value):
    for problem in find_schema_problems(value, SCHEMA):
        assert problem.message.endswith(".")
