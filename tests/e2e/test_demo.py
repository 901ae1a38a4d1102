"""The demo as a newcomer runs it: one command, a whole call, files that hold it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import wave
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from e2e.gateway_process import OPENCLAW

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.speech, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def demo(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[subprocess.CompletedProcess[str], Path]:
    home = tmp_path_factory.mktemp("home")
    done = subprocess.run(
        [OPENCLAW, "voicecall", "demo", "--out", str(home / "out")],
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    return done, home / "out"


def folder(out: Path) -> Path:
    return next((out / "calls").iterdir())


def test_it_ends_well_and_shows_the_call(
    demo: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, out = demo
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    spoken = [
        line for line in lines if re.match(r"\[\d\d:\d\d\.\d\]  (agent|callee)", line)
    ]
    assert sum("agent " in line for line in spoken) >= 3
    assert sum("callee" in line for line in spoken) >= 3
    assert any(line.endswith("—") for line in spoken), "nobody barged in"
    assert "Ended     hangup-bot (normal, by agent)" in lines
    for name in ("recording.wav", "transcript.json", "transcript.md", "timeline.svg"):
        assert str(folder(out) / name) in lines
        assert (folder(out) / name).stat().st_size > 0


def test_its_latency_parts_add_up(
    demo: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    report = json.loads((folder(demo[1]) / "transcript.json").read_text())
    assert len(report["latencies"]) >= 3
    for turn in report["latencies"]:
        parts = ("transcriptMs", "firstTextMs", "firstAudioMs", "firstFrameMs")
        assert abs(sum(turn[each] for each in parts) - turn["totalMs"]) <= 2


def test_its_recording_is_stereo_and_as_long_as_the_call(
    demo: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    report = json.loads((folder(demo[1]) / "transcript.json").read_text())
    with wave.open(str(folder(demo[1]) / "recording.wav")) as recording:
        assert (recording.getnchannels(), recording.getframerate()) == (2, 8000)
        seconds = recording.getnframes() / 8000
    assert abs(seconds - report["durationS"]) < 1.0


def test_its_picture_is_a_picture(
    demo: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    root = ET.fromstring((folder(demo[1]) / "timeline.svg").read_text())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "barge-in" in "".join(root.itertext())
