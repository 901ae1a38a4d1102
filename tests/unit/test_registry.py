"""Short names of engines."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from voice_call.errors import ConfigError
from voice_call.registry import (
    SPEECH_TO_TEXT,
    TEXT_TO_SPEECH,
    VOICE_DETECTORS,
    resolve,
)
from voice_call.speech.base import Transcript
from voice_call.testing.speech import EnergyVoiceDetector, ToneTextToSpeech


@pytest.mark.parametrize(
    ("table", "members"),
    [
        (TEXT_TO_SPEECH, ("capabilities", "close", "name", "synthesize", "warm_up")),
        (SPEECH_TO_TEXT, ("capabilities", "close", "name", "open", "warm_up")),
        (VOICE_DETECTORS, ("close", "open", "warm_up")),
    ],
)
def test_every_name_stands_for_an_engine(
    table: dict[str, str], members: tuple[str, ...]
) -> None:
    assert "local" in table
    for name in table:
        engine = resolve(table, name, key_path="speech")()
        assert [each for each in members if not hasattr(engine, each)] == []


def test_a_name_is_resolved_to_its_class():
    assert resolve(TEXT_TO_SPEECH, "tone", key_path="x") is ToneTextToSpeech
    assert resolve(VOICE_DETECTORS, "energy", key_path="x") is EnergyVoiceDetector


@pytest.mark.anyio
async def test_the_silent_recogniser_understands_nothing():
    heard: list[object] = []
    engine = resolve(SPEECH_TO_TEXT, "silent", key_path="x")()
    recognition = engine.open(heard.append, language="en-US")
    recognition.begin_segment()
    recognition.end_segment()
    await asyncio.sleep(0.1)
    assert engine.name == "silent"
    assert heard == [Transcript(segment=1, text="", is_final=True, confidence=1.0)]


def test_a_name_that_is_not_known_is_told_with_those_that_are():
    with pytest.raises(ConfigError) as caught:
        resolve({"b": "m:B", "a": "m:A"}, "c", key_path="plugins.speech.tts")
    assert caught.value.key_path == "plugins.speech.tts"
    assert str(caught.value) == (
        "plugins.speech.tts: 'c' is not known; choose one of a, b."
    )


def test_an_engine_that_nobody_chose_is_not_imported():
    program = (
        "import sys, voice_call.registry; "
        "print([n for n in sys.modules if n.startswith('voice_call.speech')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
