"""The audio of calls in real time: one pace for all of them.

The pace is kept on absolute deadlines, so a late loop is caught up with and never slows
a call down.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voice_call.media.audio import FRAME_S, SILENT_FRAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_call.testing.twilio_network.callees import LineEnd
    from voice_call.testing.twilio_network.stream import MediaStream

__all__ = ["CallLine", "Pacer"]


class Pacer:
    """Moves every line on by 20 ms, every 20 ms, as long as one has an open stream.

    Args:
        moved: Called after each round.

    Attributes:
        worst_lag_s: How late a frame has been at most; tells a slow machine from a slow
            server.
    """

    def __init__(self, moved: Callable[[], None]) -> None:
        self._moved = moved
        self._lines: dict[CallLine, None] = {}
        self._task: asyncio.Task[None] | None = None
        self.worst_lag_s = 0.0

    def add(self, line: CallLine) -> None:
        """Begin to move a line on."""
        self._lines[line] = None
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def remove(self, line: CallLine) -> None:
        """Let a line rest."""
        self._lines.pop(line, None)

    async def stop(self) -> None:
        """Let all lines rest."""
        self._lines.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time()
        while self._lines:
            deadline += FRAME_S
            await asyncio.sleep(max(0.0, deadline - loop.time()))
            self.worst_lag_s = max(self.worst_lag_s, loop.time() - deadline)
            for line in tuple(self._lines):
                line.tick()
            self._moved()


class CallLine:
    """Carries audio between the callee's end and the streams of one call.

    Args:
        end: The callee's ear and mouth.
        pacer: Whoever moves it on.
        limit_bytes: How much of what the callee hears is kept.

    Attributes:
        heard: What the callee has heard, in real time while a stream is open; µ-law.
    """

    def __init__(self, end: LineEnd, pacer: Pacer, *, limit_bytes: int) -> None:
        self.end = end
        self.heard = bytearray()
        self._pacer = pacer
        self._limit_bytes = limit_bytes
        self._streams: list[MediaStream] = []

    def attach(self, stream: MediaStream) -> None:
        """Connect an open stream."""
        self._streams.append(stream)
        self._pacer.add(self)

    def detach(self, stream: MediaStream) -> None:
        """Disconnect a stream."""
        if stream in self._streams:
            self._streams.remove(stream)
        if not self._streams:
            self._pacer.remove(self)

    def tick(self) -> None:
        """Carry 20 ms of audio each way."""
        played = SILENT_FRAME
        for stream in tuple(self._streams):
            if stream.is_bidirectional:
                played = stream.play()
        if len(self.heard) < self._limit_bytes:
            self.heard += played
        self.end.on_audio(played)
        said = self.end.next_frame() or SILENT_FRAME
        for stream in tuple(self._streams):
            stream.send_frames(said, played)
