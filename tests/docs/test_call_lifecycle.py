"""The page about the life of a call says what the table says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from voice_call.call.machine import TRANSITIONS
from voice_call.call.model import CallPhase, CallState
from voice_call.call.timers import CallTimer

if TYPE_CHECKING:
    from types import ModuleType

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "topics" / "call-lifecycle.md"
DRAWING = DOCS / "topics" / "call-lifecycle.svg"
STALE = "run `python docs/generate_call_lifecycle.py` and commit what it writes"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    path = DOCS / "generate_call_lifecycle.py"
    spec = importlib.util.spec_from_file_location("generate_call_lifecycle", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_fresh(generator: ModuleType) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert generator.page(text) == text, STALE


def test_the_drawing_is_fresh(generator: ModuleType) -> None:
    assert generator.svg() == DRAWING.read_text(encoding="utf-8"), STALE


def test_the_diagram_names_every_move_of_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    moves = re.findall(r"^    (\w+) --> (\w+): (.+)$", text, re.MULTILINE)
    shown = {
        (before, event, after)
        for before, after, label in moves
        for event in label.split(", ")
        if event[0].isupper()
    }
    assert shown == {
        (str(before), event.__name__, str(after))
        for before, row in TRANSITIONS.items()
        for event, after in row.items()
        if after is not before
    }


def test_the_drawing_names_every_phase_and_every_event_that_counts() -> None:
    words = " ".join(ET.parse(DRAWING).getroot().itertext())
    for phase in CallPhase:
        assert re.search(rf"\b{phase}\b", words)
    for row in TRANSITIONS.values():
        for event in row:
            assert re.search(rf"\b{event.__name__}\b", words)


@pytest.mark.parametrize("timer", CallTimer)
def test_every_timer_is_in_the_table(timer: CallTimer) -> None:
    assert f"| `{timer}` (" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("state", CallState)
def test_every_public_state_is_explained(state: CallState) -> None:
    assert f"`{state}` |" in PAGE.read_text(encoding="utf-8")
