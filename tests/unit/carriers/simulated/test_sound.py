"""Tones, noise and echo: their levels and lengths."""

from __future__ import annotations

import pytest

from voice_call.carriers.simulated.sound import LineNoise, attenuate, mix, tone
from voice_call.media.audio import SILENT_FRAME
from voice_call.media.g711 import mean_level


@pytest.mark.parametrize(("level", "length_s"), [(-12.0, 0.4), (-30.0, 1.0)])
def test_a_tone_has_its_length_and_level(level: float, length_s: float) -> None:
    audio = tone(437, length_s, level_dbfs=level)
    assert len(audio) == 8000 * length_s
    assert mean_level(audio) == pytest.approx(level, abs=1)


def test_attenuation_takes_20_db_away() -> None:
    audio = tone(440, 0.5, level_dbfs=-10)
    assert mean_level(attenuate(audio)) == pytest.approx(-30, abs=1)


def test_a_mixture_with_silence_is_the_other_part() -> None:
    frame = tone(440, 0.02)
    assert mix(frame, SILENT_FRAME) == frame


def test_a_loud_mixture_is_clipped() -> None:
    loud = bytes([0x80]) * 160  # the largest positive sample
    assert mix(loud, loud) == loud


def test_silence_on_a_line_is_its_noise_and_speech_stays_clean() -> None:
    noise = LineNoise(level_dbfs=-50, is_mixed=False)
    frames = [noise.add(SILENT_FRAME, n) for n in range(100)]
    assert mean_level(b"".join(frames)) == pytest.approx(-50, abs=3)
    assert noise.add(SILENT_FRAME, 100) == frames[0]
    assert len(set(frames)) == 100
    assert noise.add(tone(440, 0.02), 3) == tone(440, 0.02)


def test_a_noisy_line_disturbs_speech_as_well() -> None:
    noise = LineNoise(level_dbfs=-30, is_mixed=True)
    assert noise.add(tone(440, 0.02), 0) != tone(440, 0.02)
