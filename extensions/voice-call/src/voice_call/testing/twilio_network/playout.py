"""What a bidirectional stream has been given and not yet played. PURE.

Unbounded, as no limit is published. A mark comes back when playback has reached it; a
mark behind nothing comes back at once, and a clear gives back all that wait.
"""

from __future__ import annotations

from collections import deque

from voice_call.media.audio import FRAME_BYTES, SILENCE, SILENT_FRAME

__all__ = ["Playout"]


class Playout:
    """Audio and marks in the order in which they came."""

    def __init__(self) -> None:
        self._audio = bytearray()
        self._played_bytes = 0
        self._marks: deque[tuple[int, str]] = deque()

    @property
    def waiting_bytes(self) -> int:
        """How much audio has not been played yet."""
        return len(self._audio)

    def push(self, audio: bytes) -> None:
        """Queue µ-law audio of any length."""
        self._audio += audio

    def mark(self, name: str) -> tuple[str, ...]:
        """Queue a mark; return the marks that are due already."""
        self._marks.append((self._played_bytes + len(self._audio), name))
        return self._take_due()

    def clear(self) -> tuple[str, ...]:
        """Drop all audio; return every mark that was waiting."""
        self._audio.clear()
        return self._take_due(all_of_them=True)

    def play(self) -> tuple[bytes | None, tuple[str, ...]]:
        """Play one frame of 20 ms.

        Returns:
            The 160 bytes that are heard now, None where there is nothing, and the marks
            that the frame before has reached.
        """
        due = self._take_due()
        if not self._audio:
            return None, due
        frame = bytes(self._audio[:FRAME_BYTES])
        del self._audio[:FRAME_BYTES]
        self._played_bytes += len(frame)
        if len(frame) == FRAME_BYTES:
            return frame, due
        return frame + bytes([SILENCE]) * (len(SILENT_FRAME) - len(frame)), due

    def _take_due(self, *, all_of_them: bool = False) -> tuple[str, ...]:
        due = []
        while self._marks and (all_of_them or self._marks[0][0] <= self._played_bytes):
            due.append(self._marks.popleft()[1])
        return tuple(due)
