"""The far end's playout buffer: what is played, when marks come back, what clear drops.

PURE. It behaves as a carrier's does: audio queues up and plays at 160 bytes a frame,
a mark comes back when everything before it has been played, and a clear drops the queue
and gives all its marks back at once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import assert_never

from voice_call.media.audio import (
    FRAME_BYTES,
    SILENCE,
    ClearAudio,
    SendAudio,
    SendMark,
    StreamCommand,
)

__all__ = ["MAX_MARKS", "Played", "PlayoutBuffer"]

MAX_MARKS = 10_000
"""Marks that can wait at the same time; a mark beyond them is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One frame that has been played.

    Attributes:
        audio: 160 bytes, filled up with silence.
        voiced_bytes: How many of them came out of the buffer.
        marks: Names of the marks that have been reached.
    """

    audio: bytes
    voiced_bytes: int
    marks: tuple[str, ...]


class PlayoutBuffer:
    """Audio and marks that wait to be played.

    Attributes:
        dropped_bytes: Audio that found the buffer full and was lost.
        dropped_marks: Marks that found too many others waiting.
    """

    def __init__(self, *, capacity_bytes: int) -> None:
        self.dropped_bytes = 0
        self.dropped_marks = 0
        self._capacity_bytes = capacity_bytes
        self._queue: deque[bytes | str] = deque()
        self._depth_bytes = 0
        self._marks = 0

    @property
    def depth_bytes(self) -> int:
        """Bytes that have not been played yet."""
        return self._depth_bytes

    def push(self, command: StreamCommand) -> tuple[str, ...]:
        """Take a command; returns the marks that come back at once."""
        match command:
            case SendAudio(payload=payload):
                self._add(payload)
                return ()
            case SendMark(name=name):
                return self._mark(name)
            case ClearAudio():
                return self._clear()
            case _:
                assert_never(command)

    def play(self) -> Played:
        """Play one frame."""
        frame = bytearray()
        marks: list[str] = []
        while self._queue:
            entry = self._queue[0]
            if isinstance(entry, str):
                marks.append(entry)
                self._queue.popleft()
                continue
            room = FRAME_BYTES - len(frame)
            if not room:
                break
            self._queue.popleft()
            frame += entry[:room]
            if len(entry) > room:
                self._queue.appendleft(entry[room:])
        self._depth_bytes -= len(frame)
        self._marks -= len(marks)
        voiced_bytes = len(frame)
        frame += bytes([SILENCE]) * (FRAME_BYTES - voiced_bytes)
        return Played(audio=bytes(frame), voiced_bytes=voiced_bytes, marks=tuple(marks))

    def _add(self, payload: bytes) -> None:
        room = self._capacity_bytes - self._depth_bytes
        self.dropped_bytes += max(0, len(payload) - room)
        for start in range(0, min(len(payload), room), FRAME_BYTES):
            piece = payload[start : min(start + FRAME_BYTES, room)]
            self._queue.append(piece)
            self._depth_bytes += len(piece)

    def _mark(self, name: str) -> tuple[str, ...]:
        if not self._queue:
            return (name,)
        if self._marks >= MAX_MARKS:
            self.dropped_marks += 1
            return ()
        self._queue.append(name)
        self._marks += 1
        return ()

    def _clear(self) -> tuple[str, ...]:
        marks = tuple(entry for entry in self._queue if isinstance(entry, str))
        self._queue.clear()
        self._depth_bytes = 0
        self._marks = 0
        return marks
