"""Wheels that are no plugin, or not one plugin; and what stays when moving fails."""

from __future__ import annotations

import json
import zipfile

import pytest

from openclaw_gateway.errors import BadParams
from openclaw_gateway.plugins import packaging
from openclaw_gateway.plugins.install import install, uninstall
from openclaw_gateway.plugins.manifest import ManifestInvalid
from openclaw_gateway.plugins.packaging import InstallFailed, find_installer

CODE = "class P:\n    id = 'tiny'\n    def register(self, api): ...\nplugin = P()\n"
POINT = "[openclaw.plugins]\ntiny = tiny_of_wheel:plugin\n"


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return tmp_path / "state"


@pytest.fixture
def wheel(tmp_path):
    def wheel(points=POINT, *, manifest=None, version="1.0", code=CODE):
        info = f"tiny-{version}.dist-info"
        files = {
            "tiny_of_wheel.py": code,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n",
            f"{info}/entry_points.txt": points,
        }
        if manifest is not None:
            files["tiny_data/openclaw.plugin.json"] = json.dumps(manifest)
        files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in files)
        path = tmp_path / f"tiny-{version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return str(path)

    return wheel


def left(state):
    return sorted(it.name for it in (state / "extensions").iterdir())


def test_a_wheel_brings_its_manifest(state, wheel):
    done = install(wheel(manifest={"id": "tiny"}), state_dir=state)
    assert (done.id, done.version, done.dependencies) == ("tiny", "1.0", ())
    assert json.loads((done.path / "openclaw.plugin.json").read_text()) == {
        "id": "tiny"
    }


def test_a_newer_version_takes_the_place_of_an_older(state, wheel):
    install(wheel(), state_dir=state)
    assert install(wheel(version="2.0"), state_dir=state).version == "2.0"
    record = json.loads((state / "extensions" / "tiny" / "install.json").read_text())
    assert record["version"] == "2.0"
    assert left(state) == [".lock", "tiny"]


@pytest.mark.parametrize(
    ("points", "manifest", "said"),
    [
        ("[other.group]\na = b:c\n", None, "It is no plugin"),
        (POINT + "more = tiny_of_wheel:plugin\n", None, "must name one plugin"),
        ("[openclaw.plugins]\n..bad = tiny_of_wheel:plugin\n", None, "must name one"),
        (POINT, {"id": "other"}, "The manifest is of other"),
        (POINT, {"id": 5}, "id must be a short name"),
    ],
)
def test_a_wheel_that_cannot_be_a_plugin(state, wheel, points, manifest, said):
    with pytest.raises((InstallFailed, ManifestInvalid), match=said):
        install(wheel(points, manifest=manifest), state_dir=state)
    assert left(state) == [".lock"]


def test_what_a_killed_install_left_is_cleared(state, wheel):
    (state / "extensions" / ".installing-dead" / "site").mkdir(parents=True)
    (state / "extensions" / ".leaving-dead").mkdir()
    install(wheel(), state_dir=state)
    assert left(state) == [".lock", "tiny"]


def test_an_earlier_version_comes_back_when_moving_fails(state, wheel, monkeypatch):
    from pathlib import Path

    install(wheel(), state_dir=state)
    rename = Path.rename

    def fails_once(self, target):
        if self.name.startswith(".installing-"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails_once)
    with pytest.raises(InstallFailed, match="No space left on device"):
        install(wheel(version="2.0"), state_dir=state)
    assert left(state) == [".lock", "tiny"]
    record = json.loads((state / "extensions" / "tiny" / "install.json").read_text())
    assert record["version"] == "1.0"


@pytest.mark.parametrize("target", ["", "-r", "--target=/"])
def test_an_option_is_no_target(state, target):
    with pytest.raises(BadParams):
        install(target, state_dir=state)


@pytest.mark.parametrize("plugin_id", ["gone", "../..", "", ".lock"])
def test_what_is_not_there_is_not_removed(state, plugin_id):
    assert uninstall(plugin_id, state_dir=state) is False


def test_a_state_folder_that_cannot_be_written(tmp_path, wheel):
    (tmp_path / "file").write_text("")
    with pytest.raises(InstallFailed, match="cannot be written"):
        install(wheel(), state_dir=tmp_path / "file")


def test_without_pip_and_uv_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(packaging.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(packaging, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InstallFailed, match="ensurepip"):
        find_installer()
