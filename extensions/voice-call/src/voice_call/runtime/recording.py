"""A call as a stereo WAV file: the other side on the left, the agent on the right.

Theory of operation. Sound is laid down by the time at which it was heard, so what the
two said at the same moment stands at the same place in the file. Each side has a short
window of µ-law bytes; a window begins where the file ends. Sound leaves the windows
for the file once nothing can change it any more:

- The agent's sound is sent ahead of its time and may be taken back (barge-in), so it
  waits until its time has passed. What proves that time passes is the caller's sound:
  it comes in real time. Where a carrier sends nothing while the caller is silent, the
  agent's own sound proves it, less the longest stretch that is ever sent ahead.
- The caller's sound may come late by a network's delay, so the newest `HOLD_S` seconds
  wait as well.

Files are written on the event loop, on purpose: one write a second, 32 kB into the
operating system's cache, takes some tens of microseconds. A thread would cost more in
hand-overs, and would need its own queue, its own bound, and its own order at the end.

Each write renews the sizes in the header, so that a file whose process died is a valid
WAV file that lacks the last seconds. Silence longer than the windows is skipped over
in the file, which reads as zeros and needs neither memory nor, mostly, disk.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from voice_call.media.audio import SAMPLE_RATE_HZ, SILENCE
from voice_call.media.g711 import decode_ulaw

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["StereoRecording"]

HOLD_S = 2.0
"""How long sound waits after it was heard, for late sound and late barge-ins."""
AHEAD_S = 60.0
"""The longest stretch that the agent's sound may be ahead of its time."""
LIMIT_S = 24 * 3600.0
"""The longest recording, in seconds (2.8 GB; the format ends at 4 GB)."""

_HOLD = int(HOLD_S * SAMPLE_RATE_HZ)
_AHEAD = int(AHEAD_S * SAMPLE_RATE_HZ)
_BLOCK = SAMPLE_RATE_HZ
"""Samples of one write: one second."""
_FRAME_BYTES = 4
"""One sample of both sides."""
_HEADER_BYTES = 44


class StereoRecording:
    """The recording of one call: 16-bit PCM, 8 kHz, stereo, readable by its owner only.

    Times are seconds since 1970, in any order: late, early, doubled and overlapping
    sound is normal, and the last word on a sample wins as long as it is in memory.

    Args:
        path: The file; must not exist yet, so that no recording is ever overwritten.
        began_at: The time of the first sample; earlier sound is left out.

    Raises:
        OSError: The file exists already, or the disk refuses. Also from every method
            but `agent_cut`; the recording is closed then, and ignores what follows.
    """

    def __init__(self, path: Path, *, began_at: float) -> None:
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
        self._file = os.fdopen(os.open(path, flags, 0o600), "r+b")
        self._began_at = began_at
        self._written = 0
        # Frames of the caller come in bursts and with jitter, so they are strung
        # together as long as a network plausibly explains their times. The agent's
        # times are computed, and off by rounding at most.
        self._caller = _Lane(late_s=0.06, early_s=0.5)
        self._agent = _Lane(late_s=0.002, early_s=0.002)
        self._write(0)

    def caller(self, audio: bytes, at: float) -> None:
        """Add sound of the other side.

        Args:
            audio: µ-law, 8 kHz, any length.
            at: When its last sample was heard: when the frame came in.
        """
        if not self._file.closed:
            start = self._sample(at) - len(audio)
            self._settle(start - _HOLD)
            self._caller.lay(audio, start, written=self._written)

    def agent(self, audio: bytes, at: float) -> None:
        """Add sound of the agent, which may be ahead of its time.

        Args:
            audio: µ-law, 8 kHz, any length.
            at: When its first sample will be heard, by the playout clock.
        """
        if not self._file.closed:
            start = self._sample(at)
            self._settle(start - _AHEAD)
            self._agent.lay(audio, start, written=self._written)

    def agent_cut(self, at: float) -> None:
        """Take back the agent's sound after `at`: it was sent, but never played."""
        self._agent.cut(max(0, self._sample(at) - self._written))

    def close(self, *, at: float | None = None) -> None:
        """Write what is left and end the file; again does nothing.

        Args:
            at: When the call ended; sound of the agent after it was never heard. By
                default everything that was not taken back counts as heard.
        """
        if self._file.closed:
            return
        if at is not None:
            self.agent_cut(at)
        self._write(self._written + self._held())
        self._file.close()

    def _sample(self, at: float) -> int:
        seconds = min(max(at - self._began_at, -LIMIT_S), LIMIT_S)
        return round(seconds * SAMPLE_RATE_HZ)

    def _held(self) -> int:
        return max(len(self._caller.window), len(self._agent.window))

    def _settle(self, until: int) -> None:
        """Write what stands before sample `until`, once that is a second or more."""
        if until - self._written >= _BLOCK:
            self._write(until)

    def _write(self, until: int) -> None:
        try:
            while self._written < until and (held := self._held()):
                self._write_block(min(_BLOCK, until - self._written, held))
            self._written = max(self._written, until)
            self._write_header()
        except OSError:
            with suppress(OSError):  # it could not be written, so nor can the rest
                self._file.close()
            raise

    def _write_block(self, samples: int) -> None:
        frames = bytearray(samples * _FRAME_BYTES)
        for offset, lane in ((0, self._caller), (2, self._agent)):
            pcm = decode_ulaw(lane.take(samples))
            frames[offset::_FRAME_BYTES] = pcm[0::2]
            frames[offset + 1 :: _FRAME_BYTES] = pcm[1::2]
        self._file.seek(_HEADER_BYTES + self._written * _FRAME_BYTES)
        self._file.write(frames)
        self._written += samples

    def _write_header(self) -> None:
        """Make the file a valid one of the length so far; a hole reads as silence."""
        data_bytes = self._written * _FRAME_BYTES
        self._file.seek(0)
        self._file.write(
            struct.pack(
                "<4sI4s4sIHHIIHH4sI",
                b"RIFF",
                _HEADER_BYTES - 8 + data_bytes,
                b"WAVE",
                b"fmt ",
                16,
                1,  # PCM
                2,
                SAMPLE_RATE_HZ,
                SAMPLE_RATE_HZ * _FRAME_BYTES,
                _FRAME_BYTES,
                16,
                b"data",
                data_bytes,
            )
        )
        self._file.truncate(_HEADER_BYTES + data_bytes)


class _Lane:
    """One side's sound that is not in the file yet.

    Attributes:
        window: µ-law, from the sample at which the file ends.

    Args:
        late_s: Sound this much later than the last sound's end still joins it.
        early_s: Sound this much earlier still joins it, rather than replacing it.
    """

    def __init__(self, *, late_s: float, early_s: float) -> None:
        self.window = bytearray()
        self._late = int(late_s * SAMPLE_RATE_HZ)
        self._early = int(early_s * SAMPLE_RATE_HZ)
        self._end: int | None = None
        self._gap_end = 0
        self._gap = 0

    def lay(self, audio: bytes, start: int, *, written: int) -> None:
        """Lay sound down at sample `start`; what is in the file already stays."""
        if self._end is not None:
            start = self._joined(start, self._end, written)
        self._end = start + len(audio)
        begin = start - written
        if begin < 0:
            audio = audio[-begin:]
            begin = 0
        self.window += bytes([SILENCE]) * (begin - len(self.window))
        self.window[begin : begin + len(audio)] = audio

    def cut(self, index: int) -> None:
        """Drop everything from `index` of the window on."""
        del self.window[index:]
        self._end = None
        self._gap = 0

    def take(self, samples: int) -> bytes:
        """Remove the oldest samples, silence where there are none."""
        taken = bytes(self.window[:samples])
        del self.window[:samples]
        return taken.ljust(samples, bytes([SILENCE]))

    def _joined(self, start: int, end: int, written: int) -> int:
        late = start - end
        if late > self._late:
            self._gap_end, self._gap = start, late
            return start
        if late < -self._early:
            return start
        if late < -self._late:
            return end - self._close_gap(-late, written)
        return end

    def _close_gap(self, early: int, written: int) -> int:
        """Shorten the last gap, returns by how much.

        Sound that comes too early after a gap shows that the gap was a stalled
        network, whose sound comes all at once when it is over.
        """
        shift = max(0, min(early, self._gap, self._gap_end - written))
        begin = self._gap_end - written
        del self.window[begin - shift : begin]
        self._gap -= shift
        self._gap_end -= shift
        return shift
