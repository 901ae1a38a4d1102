"""Manifests, and plugins in folders: what is found, what wins, what is named as broken."""

from __future__ import annotations

import json
import sys

import pytest

from openclaw_gateway.config import load_config
from openclaw_gateway.plugins.discovery import find_commands, find_plugins
from openclaw_gateway.plugins.manifest import ManifestInvalid, read_manifest
from openclaw_gateway.plugins.places import PlaceUnusable, find_places, read_linked

PROJECT = """
[project]
name = "openclaw-tiny"
version = "1.2"

[project.entry-points."openclaw.plugins"]
tiny = "tiny_of_folders:plugin"

[project.entry-points."openclaw.cli"]
tiny = "tiny_of_folders:app"
"""


@pytest.fixture
def clean_imports():
    before = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = before[0]
    for name in set(sys.modules) - before[1]:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "tiny"
    (folder / "src").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "src" / "tiny_of_folders.py").write_text(
        "plugin = object()\napp = 'app'\n"
    )
    return folder


def config(tmp_path, *paths):
    text = json.dumps({"plugins": {"load": {"paths": [str(path) for path in paths]}}})
    state = tmp_path / "state"
    state.mkdir(exist_ok=True)
    (state / "openclaw.json").write_text(text)
    return load_config({"OPENCLAW_STATE_DIR": str(state)})


def test_a_linked_folder_is_found_and_loaded(tmp_path, folder, clean_imports):
    found = {it.id: it for it in find_plugins((), config=config(tmp_path, folder))}
    tiny = found["tiny"]
    assert (tiny.kind, tiny.version, tiny.root) == ("linked", "1.2", folder)
    assert "tiny_of_folders" not in sys.modules
    assert tiny.load() is tiny.load()
    assert sys.path.count(str(folder / "src")) == 1


def test_its_commands_are_found_too(tmp_path, folder, clean_imports):
    assert find_commands((), config=config(tmp_path, folder))["tiny"]() == "app"


def test_a_folder_named_twice_is_one_plugin(tmp_path, folder):
    found = find_plugins((), config=config(tmp_path, folder, folder))
    assert [it.id for it in found] == ["tiny"]


def test_a_path_may_be_relative_to_the_configuration(tmp_path, folder):
    found = find_plugins((), config=config(tmp_path, "../tiny"))
    assert [it.id for it in found] == ["tiny"]


def test_a_folder_that_is_gone_is_named(tmp_path):
    (gone,) = find_plugins((), config=config(tmp_path, tmp_path / "gone"))
    with pytest.raises(PlaceUnusable) as caught:
        gone.load()
    assert str(caught.value) == (
        f"The folder {tmp_path / 'gone'} does not exist. "
        "It is named in plugins.load.paths[0]."
    )
    assert gone.id == "gone"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "has no pyproject.toml"),
        ("[project", "cannot be read"),
        ("[project]\nname='x'", "names no plugin"),
    ],
)
def test_a_folder_without_a_plugin(tmp_path, text, said):
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(PlaceUnusable, match=said):
        read_linked(tmp_path)


def put_managed(tmp_path, name, record):
    place = tmp_path / "state" / "extensions" / name
    (place / "site").mkdir(parents=True)
    (place / "install.json").write_text(record)
    return place


RECORD = {
    "version": "2.0",
    "source": "tiny==2.0",
    "entryPoints": {
        "openclaw.plugins": {"tiny": "tiny_managed:plugin"},
        "openclaw.cli": {},
    },
}


def test_a_managed_plugin_is_found(tmp_path):
    put_managed(tmp_path, "tiny", json.dumps(RECORD))
    put_managed(tmp_path, ".installing-1", json.dumps(RECORD))
    (tiny,) = find_plugins((), config=config(tmp_path))
    assert (tiny.kind, tiny.version, tiny.source) == ("managed", "2.0", "tiny==2.0")


def test_a_linked_folder_wins_over_a_managed_one(tmp_path, folder):
    put_managed(tmp_path, "tiny", json.dumps(RECORD))
    (tiny,) = find_plugins((), config=config(tmp_path, folder))
    assert tiny.kind == "linked"


def test_what_is_installed_on_purpose_wins_over_the_environment(tmp_path):
    record = RECORD["entryPoints"] | {"openclaw.plugins": {"voice-call": "x:y"}}
    put_managed(tmp_path, "voice-call", json.dumps(RECORD | {"entryPoints": record}))
    found = {it.id: it for it in find_plugins(config=config(tmp_path))}
    assert found["voice-call"].kind == "managed"


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"entryPoints": {}}'])
def test_a_broken_record_is_named(tmp_path, record):
    put_managed(tmp_path, "tiny", record)
    (tiny,) = find_plugins((), config=config(tmp_path))
    with pytest.raises(PlaceUnusable, match="install the plugin again"):
        tiny.load()


@pytest.mark.parametrize("paths", ["'x'", "{}", "['${NOPE}']", "[1, '']"])
def test_wrong_paths_are_left_to_the_check_of_the_file(tmp_path, paths):
    (tmp_path / "openclaw.json").write_text("{plugins: {load: {paths: " + paths + "}}}")
    loaded = load_config({"OPENCLAW_STATE_DIR": str(tmp_path)})
    assert list(find_places(loaded)) == []


def test_a_manifest(tmp_path):
    (tmp_path / "openclaw.plugin.json").write_text(
        '{"id": "a.b-c", "configSchema": {"type": "object"}, "other": 1,'
        ' "configMigrations": [{"from": "x", "to": "y"}]}'
    )
    manifest = read_manifest(tmp_path)
    assert (manifest.id, manifest.name, manifest.version) == ("a.b-c", "a.b-c", "")
    assert manifest.migrations[0].new == ("y",)


def test_a_folder_without_a_manifest(tmp_path):
    assert read_manifest(tmp_path) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"id": 1}',
        '{"id": "../x"}',
        '{"id": "a..b"}',
        '{"id": "a/b"}',
        '{"id": "a", "name": 1}',
        '{"id": "a", "configSchema": []}',
        '{"id": "a", "configMigrations": [{}]}',
    ],
)
def test_a_manifest_that_cannot_be_used(tmp_path, text):
    (tmp_path / "openclaw.plugin.json").write_text(text)
    with pytest.raises(ManifestInvalid, match=r"openclaw\.plugin\.json"):
        read_manifest(tmp_path)


def test_a_manifest_of_another_plugin_is_refused(tmp_path, folder):
    (folder / "openclaw.plugin.json").write_text('{"id": "other"}')
    (tiny,) = find_plugins((), config=config(tmp_path, folder))
    with pytest.raises(ManifestInvalid, match="is of other, not of tiny"):
        tiny.manifest()


def test_the_manifest_of_an_editable_distribution_is_found():
    found = {it.id: it for it in find_plugins()}
    manifest = found["voice-call"].manifest()
    assert manifest is None or manifest.id == "voice-call"
