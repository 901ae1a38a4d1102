"""One re-armable timer on the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_call.clock import Clock

__all__ = ["Alarm"]


class Alarm:
    """Calls back once its time has come; setting it again replaces the time."""

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._handle: asyncio.TimerHandle | None = None
        self._at: float | None = None

    def set(self, at: float | None) -> None:
        """Ring at time `at`, in seconds since 1970; None switches the alarm off."""
        if at == self._at:
            return
        self.cancel()
        if at is None:
            return
        self._at = at
        delay_s = max(0.0, at - self._clock.now())
        self._handle = asyncio.get_running_loop().call_later(delay_s, self._fire)

    def cancel(self) -> None:
        """Switch the alarm off."""
        self._at = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._at = None
        self._handle = None
        self._ring()
