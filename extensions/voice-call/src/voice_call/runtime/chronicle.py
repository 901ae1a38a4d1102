"""What one call leaves behind: who spoke when, how long the caller waited, the sound.

A chronicle only watches. Whatever goes wrong here must not touch the call, so a
recording that cannot be written is reported once and then left alone.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from voice_call.call.model import Speaker
from voice_call.log import get_logger
from voice_call.reports.latency import TurnLatency
from voice_call.reports.timeline import render_svg
from voice_call.reports.transcript import (
    CallReport,
    Moment,
    MomentKind,
    SpeechSpan,
    to_json,
    to_markdown,
)
from voice_call.runtime.recording import StereoRecording

if TYPE_CHECKING:
    from pathlib import Path

    from voice_call.call.machine import CallMachine
    from voice_call.runtime.journal_codec import CallOpened

__all__ = ["Chronicle"]

_log = get_logger(__name__)


class Chronicle:
    """Watches one call.

    Attributes:
        latencies: One entry a turn of the caller, oldest first.
        spans: Who spoke when, in order of their ends.
        moments: Things of note.
        folder: Where the call's files are written, None for nowhere.
    """

    def __init__(self, *, folder: Path | None) -> None:
        self.latencies: list[TurnLatency] = []
        self.spans: list[SpeechSpan] = []
        self.moments: list[Moment] = []
        self.folder = folder
        self._recording: StereoRecording | None = None
        self._turn_of: dict[str, int] = {}
        self._began: dict[str, float] = {}

    # -- sound -------------------------------------------------------------------------

    def stream_opened(self, at: float) -> None:
        """Audio flows from now on."""
        if self.folder is None or self._recording is not None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._recording = StereoRecording(_free_path(self.folder), began_at=at)
        except OSError as fault:
            self._give_up_recording(fault)

    def caller_audio(self, audio: bytes, at: float) -> None:
        """The caller was heard, ending at `at`."""
        if self._recording is not None:
            try:
                self._recording.caller(audio, at)
            except OSError as fault:
                self._give_up_recording(fault)

    def agent_audio(self, audio: bytes, at: float) -> None:
        """Our audio will be heard from `at` on."""
        if self._recording is not None:
            try:
                self._recording.agent(audio, at)
            except OSError as fault:
                self._give_up_recording(fault)

    def agent_audio_cleared(self, at: float) -> None:
        """What would be heard of us after `at` was taken back."""
        if self._recording is not None:
            self._recording.agent_cut(at)

    def _give_up_recording(self, fault: OSError) -> None:
        self._recording = None
        _log.warning("recording stopped: the disk refused", error=fault.strerror)

    # -- speech ------------------------------------------------------------------------

    def caller_spoke(
        self, text: str, *, began_at: float, ended_at: float, transcript_at: float
    ) -> None:
        """A turn of the caller is complete."""
        self.spans.append(
            SpeechSpan(
                speaker=Speaker.CALLER, began_at=began_at, ended_at=ended_at, text=text
            )
        )
        self.latencies.append(
            TurnLatency(
                turn=len(self.latencies) + 1,
                speech_ended_at=ended_at,
                transcript_at=transcript_at,
            )
        )

    def reply_began(self, reply_id: str) -> None:
        """The agent works on the caller's last turn."""
        if self.latencies:
            self._turn_of[reply_id] = len(self.latencies) - 1

    def first_text(self, reply_id: str, at: float) -> None:
        """The agent's first text came."""
        self._measure(reply_id, first_text_at=at)

    def first_audio(self, reply_id: str, at: float) -> None:
        """The first audio of the reply was synthesised."""
        self._measure(reply_id, first_audio_at=at)

    def agent_began(self, utterance_id: str, at: float) -> None:
        """The first frame of an utterance was sent."""
        self._began[utterance_id] = at
        self._measure(utterance_id, first_frame_at=at)

    def agent_ended(
        self, utterance_id: str, *, at: float, heard: str, is_cut: bool
    ) -> None:
        """An utterance of ours is over."""
        began_at = self._began.pop(utterance_id, None)
        if began_at is not None and heard:
            self.spans.append(
                SpeechSpan(
                    speaker=Speaker.AGENT,
                    began_at=began_at,
                    ended_at=at,
                    text=heard,
                    is_cut=is_cut,
                )
            )

    def note(self, kind: MomentKind, at: float, text: str = "") -> None:
        """Something of note happened."""
        self.moments.append(Moment(at=at, kind=kind, text=text))

    def _measure(self, reply_id: str, **times: float) -> None:
        index = self._turn_of.get(reply_id)
        if index is None:
            return
        known = self.latencies[index]
        news = {name: at for name, at in times.items() if getattr(known, name) is None}
        self.latencies[index] = replace(known, **news)  # type: ignore[arg-type]  # only times are passed

    # -- the end -----------------------------------------------------------------------

    def report(self, opened: CallOpened, machine: CallMachine) -> CallReport:
        """Return the call as a report."""
        return CallReport(
            call_id=opened.call_id,
            carrier=opened.carrier,
            direction=opened.direction,
            from_=opened.from_,
            to=opened.to,
            state=machine.state,
            started_at=machine.started_at,
            answered_at=machine.answered_at,
            ended_at=machine.ended_at,
            ending=machine.ending,
            entries=machine.transcript,
            latencies=tuple(self.latencies),
            spans=tuple(self.spans),
            moments=tuple(self.moments),
        )

    def close(self, opened: CallOpened, machine: CallMachine) -> None:
        """Finish the recording and write the reports."""
        if self.folder is None:
            return
        report = self.report(opened, machine)
        texts = {
            "transcript.json": json.dumps(
                to_json(report), indent=2, ensure_ascii=False
            ),
            "transcript.md": to_markdown(report),
            "timeline.svg": render_svg(report),
        }
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._recording is not None:
                self._recording.close(at=machine.ended_at)
            for name, text in texts.items():
                path = self.folder / name
                # A peer can smuggle lone surrogates into a text; no file can keep them.
                path.write_text(
                    text.rstrip() + "\n", encoding="utf-8", errors="replace"
                )
                path.chmod(0o600)
        except OSError as fault:
            _log.warning(
                "call report incomplete: the disk refused", error=fault.strerror
            )


def _free_path(folder: Path) -> Path:
    """Return where to record; a call that outlived its process has a part already."""
    path, part = folder / "recording.wav", 1
    while path.exists():
        part += 1
        path = folder / f"recording-{part}.wav"
    return path
