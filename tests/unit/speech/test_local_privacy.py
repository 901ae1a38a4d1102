"""Embedded speech stays on the machine: its runtime must not report to its maker."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("onnxruntime", reason="needs the [local] extra")

LOAD = (
    "from voice_call.speech.local.models import load_library; "
    "load_library('onnxruntime')"
)


def test_loading_the_runtime_leaves_no_trace_of_a_device(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", LOAD],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        check=True,
    )
    assert list(tmp_path.rglob("*")) == []
