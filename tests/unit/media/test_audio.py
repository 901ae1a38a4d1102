"""The audio format's few numbers."""

from __future__ import annotations

import pytest

from voice_call.media.audio import SILENT_FRAME, duration_s


@pytest.mark.parametrize(
    ("audio", "seconds"), [(b"", 0.0), (SILENT_FRAME, 0.02), (b"\x00" * 8000, 1.0)]
)
def test_a_byte_lasts_an_eight_thousandth_of_a_second(
    audio: bytes, seconds: float
) -> None:
    assert duration_s(audio) == seconds
