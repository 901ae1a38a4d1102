"""What one call leaves behind, and that a bad disk does not harm it."""

from __future__ import annotations

import json
import wave
from typing import TYPE_CHECKING

import pytest

from voice_call.call.events import Answered, CallerSpoke, CarrierEnded
from voice_call.call.machine import CallMachine
from voice_call.call.model import (
    CallId,
    CallMode,
    Direction,
    EndCause,
    EndedBy,
    Speaker,
)
from voice_call.call.setup import CallSetup
from voice_call.reports.latency import TurnLatency
from voice_call.reports.transcript import Moment, MomentKind, SpeechSpan
from voice_call.runtime.chronicle import Chronicle
from voice_call.runtime.journal_codec import CallOpened
from voice_call.testing.speech import tone

if TYPE_CHECKING:
    from pathlib import Path

OPENED = CallOpened(
    call_id=CallId("call-1"),
    carrier="manual",
    direction=Direction.OUTBOUND,
    mode=CallMode.CONVERSATION,
    from_="+15550100000",
    to="+15550100999",
    session_key="main",
)


def ended_call(words: str = "Good morning.") -> CallMachine:
    setup = CallSetup(call_id=OPENED.call_id, direction=Direction.OUTBOUND)
    machine = CallMachine(setup, now=100.0)
    machine.start(now=100.0)
    machine.receive(Answered(), now=101.0)
    machine.receive(CallerSpoke(utterance_id="u", text=words), now=103.0)
    machine.receive(CarrierEnded(cause=EndCause.NORMAL, by=EndedBy.REMOTE), now=110.0)
    return machine


def record_a_second(chronicle: Chronicle) -> None:
    chronicle.stream_opened(101.0)
    chronicle.caller_audio(tone(1.0), 102.0)
    chronicle.agent_audio(tone(1.0), 102.0)


# -- files -----------------------------------------------------------------------------


def test_a_call_leaves_recording_transcript_and_timeline(tmp_path: Path):
    chronicle = Chronicle(folder=tmp_path / "calls" / "call-1")
    record_a_second(chronicle)
    chronicle.close(OPENED, ended_call())
    files = sorted((tmp_path / "calls" / "call-1").iterdir())
    assert [path.name for path in files] == [
        "recording.wav",
        "timeline.svg",
        "transcript.json",
        "transcript.md",
    ]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    report = json.loads((tmp_path / "calls/call-1/transcript.json").read_text())
    assert report["callId"] == "call-1"
    assert "Good morning." in (tmp_path / "calls/call-1/transcript.md").read_text()
    with wave.open(str(tmp_path / "calls/call-1/recording.wav")) as recording:
        assert recording.getnchannels() == 2
        assert recording.getnframes() == 16_000


def test_nothing_is_left_where_nothing_is_to_be_kept(tmp_path: Path):
    chronicle = Chronicle(folder=None)
    record_a_second(chronicle)
    chronicle.agent_audio_cleared(102.5)
    chronicle.close(OPENED, ended_call())
    assert list(tmp_path.iterdir()) == []


def test_a_call_without_a_stream_leaves_no_recording(tmp_path: Path):
    chronicle = Chronicle(folder=tmp_path / "call-1")
    chronicle.close(OPENED, ended_call())
    assert not (tmp_path / "call-1" / "recording.wav").exists()
    assert (tmp_path / "call-1" / "transcript.md").exists()


def test_a_stream_that_comes_back_is_recorded_in_the_same_file(tmp_path: Path):
    chronicle = Chronicle(folder=tmp_path)
    record_a_second(chronicle)
    chronicle.stream_opened(105.0)
    chronicle.close(OPENED, ended_call())
    assert sorted(path.name for path in tmp_path.glob("*.wav")) == ["recording.wav"]


def test_a_call_that_outlived_its_process_gets_further_parts(tmp_path: Path):
    for _ in range(3):
        chronicle = Chronicle(folder=tmp_path)
        record_a_second(chronicle)
        chronicle.close(OPENED, ended_call())
    assert sorted(path.name for path in tmp_path.glob("*.wav")) == [
        "recording-2.wav",
        "recording-3.wav",
        "recording.wav",
    ]


def test_audio_that_was_taken_back_is_not_recorded(tmp_path: Path):
    chronicle = Chronicle(folder=tmp_path)
    chronicle.stream_opened(101.0)
    chronicle.agent_audio(tone(2.0), 101.0)
    chronicle.agent_audio_cleared(102.0)
    chronicle.close(OPENED, ended_call())
    with wave.open(str(tmp_path / "recording.wav")) as recording:
        assert recording.getnframes() == 8000


def test_words_that_no_file_can_keep_are_written_with_replacements(tmp_path: Path):
    chronicle = Chronicle(folder=tmp_path)
    chronicle.close(OPENED, ended_call("Good \ud800 morning."))
    assert "Good ? morning." in (tmp_path / "transcript.md").read_text()
    assert (tmp_path / "timeline.svg").exists()


# -- a disk that refuses ---------------------------------------------------------------


def test_a_folder_that_cannot_be_made_harms_nobody(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    chronicle = Chronicle(folder=tmp_path / "file" / "call-1")
    record_a_second(chronicle)
    chronicle.close(OPENED, ended_call())
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize("who", ["caller_audio", "agent_audio"])
def test_a_recording_that_cannot_be_written_is_given_up(tmp_path: Path, who: str):
    chronicle = Chronicle(folder=tmp_path)
    chronicle.stream_opened(101.0)
    recording = chronicle._recording
    assert recording is not None
    descriptor = recording._file.fileno()
    with open("/dev/full", "r+b", buffering=0) as full:  # noqa: PTH123 - a device
        import os

        os.dup2(full.fileno(), descriptor)
    for second in range(200):
        getattr(chronicle, who)(tone(1.0), 101.0 + second)
    assert chronicle._recording is None
    chronicle.close(OPENED, ended_call())
    assert (tmp_path / "transcript.md").exists()


# -- who spoke when --------------------------------------------------------------------


def test_a_turn_and_its_reply_are_measured():
    chronicle = Chronicle(folder=None)
    chronicle.caller_spoke("Hi.", began_at=1.0, ended_at=2.0, transcript_at=2.5)
    chronicle.reply_began("reply-1")
    chronicle.first_text("reply-1", 3.0)
    chronicle.first_text("reply-1", 3.3)
    chronicle.first_audio("reply-1", 3.5)
    chronicle.agent_began("reply-1", 3.6)
    chronicle.agent_ended("reply-1", at=5.0, heard="Hello.", is_cut=True)
    assert chronicle.latencies == [
        TurnLatency(
            turn=1,
            speech_ended_at=2.0,
            transcript_at=2.5,
            first_text_at=3.0,
            first_audio_at=3.5,
            first_frame_at=3.6,
        )
    ]
    assert chronicle.spans == [
        SpeechSpan(speaker=Speaker.CALLER, began_at=1.0, ended_at=2.0, text="Hi."),
        SpeechSpan(
            speaker=Speaker.AGENT,
            began_at=3.6,
            ended_at=5.0,
            text="Hello.",
            is_cut=True,
        ),
    ]


def test_a_reply_to_nobody_is_not_measured():
    chronicle = Chronicle(folder=None)
    chronicle.reply_began("reply-1")
    chronicle.first_text("reply-1", 3.0)
    assert chronicle.latencies == []


@pytest.mark.parametrize(("begins", "heard"), [(False, "Hello."), (True, "")])
def test_speech_that_was_not_heard_has_no_span(begins: bool, heard: str):  # noqa: FBT001 - a table
    chronicle = Chronicle(folder=None)
    if begins:
        chronicle.agent_began("s", 3.6)
    chronicle.agent_ended("s", at=5.0, heard=heard, is_cut=True)
    assert chronicle.spans == []


def test_a_report_tells_the_whole_call():
    chronicle = Chronicle(folder=None)
    chronicle.note(MomentKind.BARGE_IN, 104.0)
    chronicle.note(MomentKind.KEY, 105.0, "5")
    machine = ended_call()
    report = chronicle.report(OPENED, machine)
    assert (report.started_at, report.answered_at, report.ended_at) == (100, 101, 110)
    assert report.entries == machine.transcript
    assert report.ending == machine.ending
    assert report.moments == (
        Moment(at=104.0, kind=MomentKind.BARGE_IN, text=""),
        Moment(at=105.0, kind=MomentKind.KEY, text="5"),
    )
