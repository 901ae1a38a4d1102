"""The fuzz targets run in the ordinary tests too, for a moment and without atheris."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[3] / "fuzz"


@pytest.mark.parametrize("name", ["fuzz_config", "fuzz_frames"])
def test_a_target_keeps_its_invariants(name, monkeypatch):
    monkeypatch.syspath_prepend(str(FUZZ))
    spec = importlib.util.spec_from_file_location(name, FUZZ / f"{name}.py")
    target = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(target)
    target.test_smoke()
