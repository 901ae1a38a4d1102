from __future__ import annotations

import pytest

from openclaw_gateway.config.key_paths import MISSING
from openclaw_gateway.config.migrations import migrate, read_migrations
from openclaw_gateway.errors import BadParams

MOVES = read_migrations(
    [
        {"from": "a.old", "to": "new"},
        {"from": "kind", "to": "kind", "map": {"log": "mock", "same": "same"}},
        {"from": "mapped", "to": "x.y", "map": {"v1": "v2"}},
    ]
)


@pytest.mark.parametrize(
    ("settings", "after"),
    [
        ({}, {}),
        ({"a": {"old": 0}}, {"a": {}, "new": 0}),
        ({"a": {"old": 1}, "new": 2}, {"a": {}, "new": 2}),
        ({"a": {"old": 1}, "new": None}, {"a": {}, "new": 1}),
        ({"a": {"old": 1}, "new": 0}, {"a": {}, "new": 0}),
        ({"kind": "log"}, {"kind": "mock"}),
        ({"kind": "other"}, {"kind": "other"}),
        ({"kind": "same"}, {"kind": "same"}),
        ({"kind": ["log"]}, {"kind": ["log"]}),
        ({"mapped": "v1"}, {"x": {"y": "v2"}}),
        ({"mapped": "v9"}, {"x": {"y": "v9"}}),
        ({"mapped": {"source": "env"}}, {"x": {"y": {"source": "env"}}}),
        ({"mapped": "v1", "x": 5}, {"mapped": "v1", "x": 5}),
    ],
)
def test_settings_move_once(settings, after):
    done = migrate(settings, MOVES)
    assert done.settings == after
    assert migrate(after, MOVES).changes == ()


def test_what_was_done_is_said():
    done = migrate({"a": {"old": 1}, "kind": "log"}, MOVES)
    assert done.notes == ("a.old is now new.", "kind had an old name of a value.")
    assert [(c.path, c.value is MISSING) for c in done.changes] == [
        (("new",), False),
        (("a", "old"), True),
        (("kind",), False),
    ]


@pytest.mark.parametrize(
    "raw",
    [
        {},
        ["x"],
        [{"from": "a"}],
        [{"from": "a", "to": 1}],
        [{"from": "a", "to": "b", "map": []}],
        [{"from": "a", "to": "b", "more": 1}],
        [{"from": "a..b", "to": "b"}],
    ],
)
def test_what_is_no_list_of_migrations(raw):
    with pytest.raises(BadParams):
        read_migrations(raw)
