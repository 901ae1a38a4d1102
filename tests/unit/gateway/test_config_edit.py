"""Edits of the file: atomic, with backups, and never one that stops the Gateway."""

from __future__ import annotations

import threading

import pytest

from openclaw_gateway.config.edit import edit_file
from openclaw_gateway.config.key_paths import MISSING, Change
from openclaw_gateway.config.problems import ConfigProblems
from openclaw_gateway.errors import ConfigInvalid, ConfigUnreadable


@pytest.fixture
def file(tmp_path):
    return tmp_path / "openclaw.json"


def put(file, *path, value):
    return edit_file(file, [Change(path=path, value=value)])


def names(file):
    return sorted(it.name for it in file.parent.iterdir())


def test_a_missing_file_is_made_for_its_owner_only(file):
    edited = put(file, "gateway", "port", value=5)
    assert file.read_text() == '{\n  "gateway": {\n    "port": 5\n  }\n}\n'
    assert file.stat().st_mode & 0o777 == 0o600
    assert (edited.backup, edited.kept_comments, edited.is_changed) == (
        None,
        True,
        True,
    )


def test_comments_stay(file):
    file.write_text("{ // why\n  gateway: {port: 1},\n}\n")
    assert put(file, "gateway", "port", value=2).kept_comments
    assert file.read_text() == "{ // why\n  gateway: {port: 2},\n}\n"


def test_the_earlier_version_is_kept(file):
    file.write_text("{x: 1}")
    edited = put(file, "x", value=2)
    assert edited.backup == file.with_name("openclaw.json.bak")
    assert edited.backup.read_text() == "{x: 1}"


def test_five_versions_are_kept(file):
    for number in range(8):
        put(file, "x", value=number)
    assert names(file) == [
        "openclaw.json",
        "openclaw.json.bak",
        *(f"openclaw.json.bak.{n}" for n in range(1, 5)),
        "openclaw.json.lock",
    ]
    assert '"x": 6' in file.with_name("openclaw.json.bak").read_text()
    assert '"x": 2' in file.with_name("openclaw.json.bak.4").read_text()


def test_no_change_writes_nothing(file):
    file.write_text("{x: {a: 1}}")
    edited = put(file, "x", value={"a": 1})
    assert not edited.is_changed
    assert names(file) == ["openclaw.json", "openclaw.json.lock"]


def test_true_is_not_one(file):
    file.write_text("{x: 1}")
    assert put(file, "x", value=True).is_changed
    assert file.read_text() == "{x: true}"


def test_removing_what_is_not_there_changes_nothing(file):
    file.write_text("{x: 1}")
    assert not put(file, "y", value=MISSING).is_changed


def test_several_changes_are_one_edit(file):
    file.write_text("{x: 1, y: 2}")
    changes = [
        Change(path=("z",), value=1),
        Change(path=("x",), value=MISSING),
    ]
    assert edit_file(file, changes).after == {"y": 2, "z": 1}
    assert file.read_text() == "{y: 2, z: 1}"


def test_a_file_that_is_too_unusual_is_written_anew(file):
    file.write_text("{ // note\n plugins: {load: {paths: ['/a']}}}")
    edited = put(file, "plugins", "load", "paths", 1, value="/b")
    assert not edited.kept_comments
    assert "note" in edited.backup.read_text()
    assert edited.after == {"plugins": {"load": {"paths": ["/a", "/b"]}}}


def test_what_the_gateway_would_refuse_is_not_written(file):
    file.write_text("{}")
    with pytest.raises(
        ConfigProblems, match=r"gateway\.prot: unknown key, perhaps port"
    ):
        put(file, "gateway", "prot", value=1)
    assert file.read_text() == "{}"


def test_a_problem_that_was_there_hinders_no_other_change(file):
    file.write_text("{gateway: {prot: 1}}")
    put(file, "gateway", "port", value=1)
    assert file.read_text() == "{gateway: {prot: 1, port: 1}}"


def test_a_parent_that_is_no_object(file):
    file.write_text("{x: 1}")
    with pytest.raises(ConfigInvalid, match="x: must be an object"):
        put(file, "x", "y", value=1)


def test_a_broken_file_is_left_alone(file):
    file.write_text("{x: ")
    with pytest.raises(ConfigUnreadable):
        put(file, "x", value=1)
    assert file.read_text() == "{x: "


def test_a_link_stays_a_link_and_the_mode_stays(file, tmp_path):
    real = tmp_path / "dotfiles" / "real.json"
    real.parent.mkdir()
    real.write_text("{}")
    real.chmod(0o640)
    file.symlink_to(real)
    put(file, "x", value=1)
    assert file.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert '"x": 1' in real.read_text()


def test_a_folder_in_its_place_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigUnreadable, match=r"cannot be (read|written): "):
        put(tmp_path / "file" / "openclaw.json", "x", value=1)


def test_lines_end_as_they_did(file):
    file.write_bytes(b"{\r\n  x: 1,\r\n  y: 2\r\n}\r\n")
    put(file, "x", value=3)
    assert file.read_bytes() == b"{\r\n  x: 3,\r\n  y: 2\r\n}\r\n"


def test_edits_side_by_side_lose_nothing(file):
    threads = [
        threading.Thread(target=put, args=(file, f"k{n}"), kwargs={"value": n})
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert put(file, "k0", value=0).after == {f"k{n}": n for n in range(8)}
    assert not [name for name in names(file) if name.startswith(".")]
