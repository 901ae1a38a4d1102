from __future__ import annotations

from importlib.metadata import EntryPoint

from openclaw_gateway.plugins.discovery import find_commands, find_plugins


def point(name, value="json:dumps", group="openclaw.plugins"):
    return EntryPoint(name=name, value=value, group=group)


def test_plugins_are_found_in_order_of_their_ids():
    found = find_plugins([point("b"), point("a", "json:loads")])
    assert [(c.id, c.source) for c in found] == [
        ("a", "json:loads"),
        ("b", "json:dumps"),
    ]


def test_the_first_of_two_with_the_same_id_wins():
    found = find_plugins([point("a", "json:loads"), point("a", "json:dumps")])
    assert [c.source for c in found] == ["json:loads"]


def test_nothing_is_imported_until_it_is_loaded():
    (candidate,) = find_plugins([point("a", "no_such_module:plugin")])
    assert candidate.id == "a"


def test_loading_imports():
    import json

    (candidate,) = find_plugins([point("a", "json:loads")])
    assert candidate.load() is json.loads


def test_commands_are_found_without_importing():
    found = find_commands([point("talk", "no_such:app"), point("walk", "no_such:app")])
    assert list(found) == ["talk", "walk"]


def test_what_is_installed_is_found():
    assert "voice-call" in {candidate.id for candidate in find_plugins()}
    assert "voicecall" in find_commands()
