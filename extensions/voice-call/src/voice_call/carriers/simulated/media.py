"""The media stream of one simulated call, as both ends see it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voice_call.carriers.base import (
    StreamAudio,
    StreamDigit,
    StreamMark,
    StreamStopped,
)
from voice_call.carriers.simulated.line import PlayoutBuffer
from voice_call.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_call.call.model import Digit
    from voice_call.carriers.base import MediaListener, StreamCommand, StreamEvent

__all__ = ["SimulatedLine"]

_log = get_logger(__name__)


class SimulatedLine:
    """A live stream: a `MediaLink` for the agent, a playout buffer for the callee.

    Args:
        capacity_bytes: Of the playout buffer.
        on_closed: Called once after the agent's side has closed the stream. As with the
            carriers whose call consists of its stream, the call is over then.
        on_failed: Called, with the error current, when the listener fails.

    Attributes:
        listener: Who takes the stream's events; set once the stream is bound.
    """

    def __init__(
        self,
        *,
        capacity_bytes: int,
        on_closed: Callable[[], None],
        on_failed: Callable[[], None],
    ) -> None:
        self.listener: MediaListener | None = None
        self._buffer = PlayoutBuffer(capacity_bytes=capacity_bytes)
        self._is_open = True
        self._on_closed = on_closed
        self._on_failed = on_failed
        self._loop = asyncio.get_running_loop()

    # -- the agent's side --------------------------------------------------------------

    def send(self, command: StreamCommand) -> None:
        """Take a command of the agent; dropped silently when the stream is gone."""
        if not self._is_open:
            return
        for name in self._buffer.push(command):
            self._loop.call_soon(self._report, StreamMark(name=name))

    def close(self) -> None:
        """Close the stream from the agent's side; the call ends."""
        if self._is_open:
            self._loop.call_soon(self._on_closed)
            self.stop()

    # -- the callee's side -------------------------------------------------------------

    def play(self) -> bytes:
        """Play one frame, give back the marks it reached, and return its audio."""
        played = self._buffer.play()
        for name in played.marks:
            self._report(StreamMark(name=name))
        return played.audio

    def deliver(self, frame: bytes) -> None:
        """Carry one frame of the callee to the agent."""
        self._report(StreamAudio(payload=frame))

    def press(self, digit: Digit) -> None:
        """Carry a key of the callee to the agent."""
        self._report(StreamDigit(digit=digit))

    def stop(self) -> None:
        """End the stream; the agent's side is told so, last of all."""
        if not self._is_open:
            return
        self._is_open = False
        lost_bytes = self._buffer.dropped_bytes
        if lost_bytes:
            _log.warning("playout buffer was full", lost_bytes=lost_bytes)
        self._loop.call_soon(self._tell, StreamStopped())

    def _report(self, event: StreamEvent) -> None:
        if self._is_open:
            self._tell(event)

    def _tell(self, event: StreamEvent) -> None:
        if self.listener is None:
            return
        try:
            self.listener.receive(event)
        except Exception:  # noqa: BLE001 - logged; ends this call alone
            self._on_failed()
