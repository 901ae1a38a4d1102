"""pip and uv do the same for us, without network."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from openclaw_gateway.plugins.packaging import Installer, InstallFailed

HELLO = Path(__file__).parents[2] / "examples" / "hello-plugin"
UV = Path(sys.executable).with_name("uv")


@pytest.fixture(params=["pip", "uv"])
def installer(request, monkeypatch, tmp_path):
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    if request.param == "uv":
        if not UV.exists():
            pytest.skip("uv is not in this environment")
        return Installer(command=(str(UV),), is_uv=True)
    if find_spec("pip") is None:
        pytest.skip("pip is not in this environment")
    command = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    return Installer(command=command, is_uv=False)


def test_a_folder_becomes_a_site(installer, tmp_path):
    wheel = installer.build_wheel(HELLO, tmp_path)
    assert wheel.name == "openclaw_hello-0.1.0-py3-none-any.whl"
    requirement = f"openclaw-hello @ {wheel.as_uri()}"
    assert installer.missing_for(requirement, name="openclaw-hello") == []
    site = tmp_path / "site"
    installer.unpack([str(wheel)], site)
    assert (site / "hello_plugin" / "plugin.py").exists()
    assert not (site / "typer").exists()


def test_what_is_missing_and_cannot_be_had(installer):
    with pytest.raises(InstallFailed, match="says: "):
        installer.missing_for("no-such-distribution-at-all==1.0", name=None)


def test_what_would_replace_something_is_refused(installer, tmp_path):
    site = make_wheel(tmp_path, "typer", "99.0")
    requirement = f"typer @ {site.as_uri()}"
    with pytest.raises(InstallFailed, match="another version of typer"):
        installer.missing_for(requirement, name="something-else")


def make_wheel(folder, name, version):
    import zipfile

    info = f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        wheel.writestr(f"{info}/METADATA", about)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def test_credentials_of_an_index_are_not_repeated(installer, monkeypatch):
    monkeypatch.delenv("UV_OFFLINE")
    monkeypatch.delenv("PIP_NO_INDEX")
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"):
        monkeypatch.setenv(name, "http://me:hush@127.0.0.1:9/simple")
    for name in ("PIP_RETRIES", "UV_HTTP_RETRIES"):
        monkeypatch.setenv(name, "0")
    with pytest.raises(InstallFailed) as caught:
        installer.missing_for("no-such-distribution-at-all", name=None)
    assert "hush" not in str(caught.value)
