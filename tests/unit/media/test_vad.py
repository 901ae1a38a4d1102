"""Edges of voice from probabilities, and which frames are worth asking about."""

from __future__ import annotations

import math
import struct

import pytest

from voice_call.media.audio import SILENT_FRAME
from voice_call.media.g711 import encode_ulaw
from voice_call.media.vad import (
    EnergyGate,
    EnergyGateSettings,
    VoiceBegan,
    VoiceEdge,
    VoiceEnded,
    VoiceGate,
    VoiceGateSettings,
)

WINDOW_S = 0.032


def edges(
    gate: VoiceGate, probabilities: list[float], *, since: float = 0.0
) -> list[VoiceEdge]:
    """Feed windows that follow each other from `since` on; return the edges."""
    found = [
        gate.receive(probability, at=since + (index + 1) * WINDOW_S)
        for index, probability in enumerate(probabilities)
    ]
    return [edge for edge in found if edge is not None]


def began(at: float) -> VoiceBegan:
    return VoiceBegan(at=pytest.approx(at))


def ended(at: float) -> VoiceEnded:
    return VoiceEnded(at=pytest.approx(at))


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ([0.0] * 20, []),
        ([0.1, 0.9, 0.1, 0.9, 0.1], []),
        ([0.49, 0.49, 0.49], []),
        ([0.5, 0.5], [began(0.0)]),
        ([0.1, 0.9, 0.9], [began(0.032)]),
        ([0.9, 0.1, 0.9, 0.9], [began(0.064)]),
        ([0.9, 0.9, 0.1, 0.1, 0.1], [began(0.0)]),
        ([0.9, 0.9, 0.1, 0.1, 0.1, 0.1], [began(0.0), ended(0.064)]),
        ([0.9, 0.9, 0.4, 0.4, 0.1, 0.1, 0.1, 0.1], [began(0.0), ended(0.128)]),
        ([0.9, 0.9, 0.1, 0.1, 0.1, 0.35, 0.1, 0.1, 0.1], [began(0.0)]),
    ],
)
def test_edges_lie_where_voice_really_began_and_ended(
    probabilities: list[float], expected: list[VoiceEdge]
) -> None:
    assert edges(VoiceGate(), probabilities) == expected


def test_voice_can_begin_again_after_it_ended() -> None:
    gate = VoiceGate()
    words = [0.9] * 4 + [0.0] * 4
    assert edges(gate, words + words) == [
        began(0.0),
        ended(0.128),
        began(0.256),
        ended(0.384),
    ]


def test_the_gate_says_whether_there_is_voice() -> None:
    gate = VoiceGate()
    assert not gate.is_open
    edges(gate, [0.9, 0.9])
    assert gate.is_open
    edges(gate, [0.0] * 4, since=0.064)
    assert not gate.is_open


def test_a_gap_between_windows_breaks_a_row() -> None:
    gate = VoiceGate()
    assert gate.receive(0.9, at=10.0) is None
    assert gate.receive(0.9, at=10.5) is None
    assert gate.receive(0.9, at=10.532) == began(10.468)


def test_quiet_windows_do_not_begin_voice() -> None:
    gate = VoiceGate()
    for at in (0.032, 0.064, 0.096):
        assert gate.receive(0.99, at=at, level_dbfs=-50.1) is None


def test_quiet_windows_go_on_with_voice() -> None:
    gate = VoiceGate()
    gate.receive(0.9, at=0.032, level_dbfs=-20.0)
    assert gate.receive(0.9, at=0.064, level_dbfs=-50.0) == began(0.0)
    for at in (0.096, 0.128, 0.16, 0.192, 0.224):
        assert gate.receive(0.9, at=at, level_dbfs=-70.0) is None


def test_its_thresholds_can_be_set() -> None:
    gate = VoiceGate(
        VoiceGateSettings(
            start_probability=0.8,
            start_windows=1,
            end_probability=0.7,
            release_s=0.064,
        )
    )
    assert edges(gate, [0.7, 0.8, 0.6, 0.6]) == [began(0.032), ended(0.064)]


# -- the energy gate -------------------------------------------------------------------


def tone(rms_dbfs: float) -> bytes:
    peak = 32767 * 10 ** ((rms_dbfs + 3.01) / 20)
    wave = [round(peak * math.sin(2 * math.pi * i / 16)) for i in range(160)]
    return encode_ulaw(struct.pack("<160h", *wave))


def worth(gate: EnergyGate, frame: bytes, count: int) -> int:
    return sum(gate.is_worth_detecting(frame) for _ in range(count))


def test_an_idle_line_is_never_worth_detecting() -> None:
    assert worth(EnergyGate(), SILENT_FRAME, 500) == 0


def test_a_faint_hum_is_never_worth_detecting() -> None:
    assert worth(EnergyGate(), tone(-56.0), 500) == 0


def test_speech_is_worth_detecting_from_its_first_frame() -> None:
    gate = EnergyGate()
    worth(gate, SILENT_FRAME, 50)
    assert gate.is_worth_detecting(tone(-25.0))


def test_the_tail_after_speech_is_worth_detecting() -> None:
    gate = EnergyGate()
    worth(gate, tone(-20.0), 10)
    assert worth(gate, SILENT_FRAME, 100) == 20


def test_steady_noise_stops_being_worth_detecting() -> None:
    gate = EnergyGate()
    worth(gate, tone(-45.0), 50 * 20)
    assert worth(gate, tone(-45.0), 50) == 0


def test_speech_above_steady_noise_is_worth_detecting() -> None:
    gate = EnergyGate()
    worth(gate, tone(-45.0), 50 * 20)
    assert gate.is_worth_detecting(tone(-35.0))


def test_ten_seconds_of_speech_stay_worth_detecting() -> None:
    assert worth(EnergyGate(), tone(-20.0), 500) == 500


def test_loud_speech_is_worth_detecting_whatever_the_noise() -> None:
    gate = EnergyGate()
    assert worth(gate, tone(-29.0), 50 * 60) == 3000


def test_the_noise_floor_falls_back_at_once() -> None:
    gate = EnergyGate()
    worth(gate, tone(-45.0), 50 * 20)
    worth(gate, SILENT_FRAME, 1)
    assert gate.is_worth_detecting(tone(-48.0))


def test_it_tells_the_level_of_the_last_frame() -> None:
    gate = EnergyGate()
    assert gate.level_dbfs == -96.0
    gate.is_worth_detecting(tone(-20.0))
    assert gate.level_dbfs == pytest.approx(-20.0, abs=1.0)


def test_its_hangover_can_be_set() -> None:
    gate = EnergyGate(EnergyGateSettings(hangover_s=0.1))
    worth(gate, tone(-20.0), 1)
    assert worth(gate, SILENT_FRAME, 50) == 5
