"""The engines without models do what they say, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from voice_call.errors import SpeechError
from voice_call.media.audio import SILENT_FRAME, duration_s
from voice_call.media.g711 import mean_level
from voice_call.speech.base import RecognitionFailed, Transcript, Voice
from voice_call.testing.speech import (
    EnergyVoiceDetector,
    ScriptedSpeechToText,
    ToneTextToSpeech,
    tone,
)

pytestmark = pytest.mark.anyio


def test_a_tone_has_its_length_and_level():
    """Half a second at half scale: -6 dBFS peak, -9 dBFS RMS."""
    audio = tone(0.5, level=0.5)
    assert duration_s(audio) == 0.5
    assert mean_level(audio) == pytest.approx(-9, abs=0.5)


async def test_tone_speech_lasts_as_long_as_its_letters():
    """Seven letters and a digit are 480 ms, whatever the punctuation."""
    engine = ToneTextToSpeech()
    await engine.warm_up()
    chunks = [c async for c in engine.synthesize("Hi, there 1!", voice=Voice())]
    assert [duration_s(chunk) for chunk in chunks] == pytest.approx([0.2, 0.2, 0.08])
    assert engine.spoken == ["Hi, there 1!"]
    await engine.close()


async def test_tone_speech_takes_its_time():
    """The delay passes before the first audio, on the loop's clock."""
    engine = ToneTextToSpeech(delay_s=1.5)
    loop = asyncio.get_running_loop()
    start = loop.time()
    await anext(engine.synthesize("Hi", voice=Voice(speed=2.0)))
    assert loop.time() - start == pytest.approx(1.5)


async def test_tone_speech_fails_as_told():
    """A failing synthesiser, and a text without words."""
    engine = ToneTextToSpeech()
    with pytest.raises(SpeechError, match="no words"):
        await anext(engine.synthesize("...", voice=Voice()))
    engine.failing = True
    with pytest.raises(SpeechError, match="as told"):
        await anext(engine.synthesize("Hi", voice=Voice()))


def test_the_peers_say_what_they_can_do():
    """Names and capabilities are those of the protocols."""
    assert ToneTextToSpeech().name == "tone"
    assert ToneTextToSpeech().capabilities.streams_audio
    assert ScriptedSpeechToText().name == "scripted"
    assert not ScriptedSpeechToText().capabilities.finds_endpoints


async def test_scripted_recognition_reads_its_script():
    """A line for each segment, half of it as an interim, nothing after the end."""
    engine, heard = ScriptedSpeechToText(["one two three"]), []
    await engine.warm_up()
    engine.expect("four")
    listener = engine.open(heard.append, language="en-US")
    listener.end_segment()
    listener.request_interim()
    assert listener.begin_segment() == 1
    listener.push(SILENT_FRAME)
    listener.request_interim()
    assert listener.begin_segment() == 2
    listener.end_segment()
    assert listener.begin_segment() == 3
    listener.end_segment()
    await asyncio.sleep(0.01)
    assert [(t.segment, t.text, t.is_final) for t in heard] == [
        (1, "one two", False),
        (1, "one two three", True),
        (2, "four", True),
        (3, "", True),
    ]
    assert engine.opened == ["en-US"]
    assert listener.heard_s == 0.02
    await engine.close()


async def test_scripted_recognition_answers_late():
    """Answers wait for the delay, and a closed recognition gives none."""
    engine, heard, never = ScriptedSpeechToText(["a", "b"], delay_s=2.0), [], []
    first = engine.open(heard.append, language="en")
    second = engine.open(never.append, language="en")
    for listener in (first, second):
        listener.begin_segment()
        listener.end_segment()
    await asyncio.sleep(1.9)
    assert heard == []
    await second.close()
    await asyncio.sleep(0.2)
    final = Transcript(segment=1, text="a", is_final=True, confidence=1.0)
    assert heard == [final]
    assert never == []


async def test_scripted_recognition_breaks_down_as_told():
    """Every open recognition reports the failure."""
    engine, heard = ScriptedSpeechToText(), []
    engine.open(heard.append, language="en")
    engine.fail()
    await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    detail = "The script fails as told."
    assert heard == [RecognitionFailed(code="speech_failed", detail=detail)]


async def test_energy_detector_hears_what_is_loud():
    """Probability rises from 0 to 1 over 20 dB around the threshold."""
    detector, heard = EnergyVoiceDetector(voice_dbfs=-30.0), []
    await detector.warm_up()
    probe = detector.open(lambda probability, at: heard.append((probability, at)))
    probe.push(tone(0.02, level=0.5) + SILENT_FRAME, at=10.04)
    probe.push(tone(0.02, level=10 ** (-27 / 20)), at=10.06)
    assert heard == []  # never from within push
    await asyncio.sleep(0)
    assert heard[:2] == [(1.0, pytest.approx(10.02)), (0.0, pytest.approx(10.04))]
    assert heard[2] == (pytest.approx(0.5, abs=0.05), 10.06)
    probe.push(SILENT_FRAME, at=10.08)
    probe.close()
    await asyncio.sleep(0)
    assert len(heard) == 3
    await detector.close()
