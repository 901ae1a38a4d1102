"""A peer that stands where the call manager stands, and remembers everything.

It takes a carrier's notices and streams. `RecordingListener` is one stream as the agent
sees it; its `link` sends towards the other side.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voice_call.carriers.base import (
    StreamAudio,
    StreamDigit,
    StreamMark,
    StreamStopped,
)
from voice_call.errors import UnknownCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_call.call.events import CallEvent
    from voice_call.carriers.base import (
        CarrierNotice,
        MediaLink,
        StreamEvent,
        StreamStarted,
    )
    from voice_call.clock import Clock

__all__ = ["RecordingListener", "RecordingSink"]


class RecordingListener:
    """One media stream, seen from the agent's side.

    Attributes:
        started: How the stream presented itself.
        link: Sends towards the other side.
        events: Everything received, each with its time, oldest first.
        failure: Raised by `receive` instead of recording, where set.
    """

    def __init__(
        self,
        started: StreamStarted,
        link: MediaLink,
        *,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self.started = started
        self.link = link
        self.events: list[tuple[float, StreamEvent]] = []
        self.failure: Exception | None = None
        self._clock = clock
        self._wake = wake

    def receive(self, event: StreamEvent) -> None:
        """Take one stream event."""
        if self.failure is not None:
            raise self.failure
        self.events.append((self._clock.now(), event))
        self._wake()

    @property
    def audio(self) -> bytes:
        """All audio received, µ-law."""
        return b"".join(
            event.payload for _, event in self.events if isinstance(event, StreamAudio)
        )

    @property
    def marks(self) -> list[str]:
        """Names of the marks that came back, oldest first."""
        return [e.name for _, e in self.events if isinstance(e, StreamMark)]

    @property
    def digits(self) -> str:
        """The keys that the other side pressed."""
        return "".join(e.digit for _, e in self.events if isinstance(e, StreamDigit))

    @property
    def is_stopped(self) -> bool:
        """Whether the stream has ended."""
        return any(isinstance(event, StreamStopped) for _, event in self.events)


class RecordingSink:
    """Takes the notices and streams of a carrier.

    Args:
        clock: Stamps what arrives.

    Attributes:
        notices: Every notice taken, each with its time, oldest first.
        streams: Every stream opened, oldest first.
        refuses_streams: Answer every stream with `UnknownCall`.
        failures: Raised by the next deliveries, one each, instead of taking the notice.
    """

    def __init__(self, clock: Clock) -> None:
        self.notices: list[tuple[float, CarrierNotice]] = []
        self.streams: list[RecordingListener] = []
        self.refuses_streams = False
        self.failures: list[Exception] = []
        self._clock = clock
        self._changed = asyncio.Event()

    async def deliver(self, notice: CarrierNotice) -> None:
        """Take a notice."""
        if self.failures:
            raise self.failures.pop(0)
        self.notices.append((self._clock.now(), notice))
        self._wake()

    def open_stream(self, started: StreamStarted, link: MediaLink) -> RecordingListener:
        """Take a stream.

        Raises:
            UnknownCall: `refuses_streams` is set.
        """
        if self.refuses_streams:
            raise UnknownCall("No live call belongs to this stream.")
        listener = RecordingListener(started, link, clock=self._clock, wake=self._wake)
        self.streams.append(listener)
        self._wake()
        return listener

    @property
    def events(self) -> list[CallEvent]:
        """The events of all notices, oldest first."""
        return [notice.event for _, notice in self.notices]

    async def wait_until(
        self, is_met: Callable[[], bool], *, within_s: float = 60.0
    ) -> None:
        """Wait until something is true of what has arrived.

        Raises:
            TimeoutError: It was not within `within_s`.
        """
        async with asyncio.timeout(within_s):
            while not is_met():
                self._changed.clear()
                await self._changed.wait()

    async def wait_event(
        self, event_type: type[CallEvent], *, within_s: float = 60.0
    ) -> CallEvent:
        """Wait for the first event of a type and return it.

        Raises:
            TimeoutError: None came within `within_s`.
        """

        def found() -> list[CallEvent]:
            return [event for event in self.events if isinstance(event, event_type)]

        await self.wait_until(lambda: bool(found()), within_s=within_s)
        return found()[0]

    async def wait_stream(self, *, within_s: float = 60.0) -> RecordingListener:
        """Wait for the next stream to be open and return the latest.

        Raises:
            TimeoutError: None was opened within `within_s`.
        """
        await self.wait_until(lambda: bool(self.streams), within_s=within_s)
        return self.streams[-1]

    def _wake(self) -> None:
        self._changed.set()
