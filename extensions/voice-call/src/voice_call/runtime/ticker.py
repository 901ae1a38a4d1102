"""One timer that moves the playout of all calls on.

A timer or a task per call would wake the event loop for every message of every call;
one shared tick sends the messages of all calls that are due together, for a third to a
half of the cost. Ticks lie on an absolute grid, so a late one does not delay those that
follow, and where nobody is due for a while there is no tick at all.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from voice_call.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_call.clock import Clock

    Due = Callable[[float], float | None]

__all__ = ["Ticker"]

_log = get_logger(__name__)

_AT_ONCE = 0.0
_EARLY_S = 5e-6
"""A timer this early counts as on time: the rounding between two clocks."""


class Ticker:
    """Runs callbacks when they are due, to the next tick.

    Not thread-safe: use it on one event loop.
    """

    def __init__(self, clock: Clock, period_s: float = 0.02) -> None:
        self._clock = clock
        self._period_s = period_s
        self._origin = clock.now()
        self._dues: dict[Due, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = math.inf
        self._is_closed = False

    def add(self, due: Due) -> None:
        """Run `due(now)` at once, that is in the loop's next round.

        It returns when it wants to be run again (seconds since 1970; the past means the
        next tick), or None to be forgotten. Adding it again brings its next run forward
        to now. One that raises is logged and forgotten.
        """
        if self._is_closed:
            return
        now = self._clock.now()
        self._dues[due] = _AT_ONCE
        if now < self._armed_for:
            self._arm(now, now)

    def remove(self, due: Due) -> None:
        """Forget `due`; harmless when it is unknown."""
        if self._dues.pop(due, None) is not None and not self._dues:
            self._disarm()

    def close(self) -> None:
        """Stop for good."""
        self._is_closed = True
        self._dues.clear()
        self._disarm()

    def _tick(self) -> None:
        self._timer = None
        self._armed_for = math.inf
        now = self._clock.now()
        # A tick that is a little late runs what it would have run on time, so that
        # lateness does not move sendings from one tick to another.
        until = self._grid_time(self._ticks_until(now)) + _EARLY_S
        for due, at in tuple(self._dues.items()):
            if at <= until and due in self._dues:
                self._run(due, now)
        if self._dues:
            now = self._clock.now()
            self._arm(self._next_tick(min(self._dues.values()), now), now)

    def _run(self, due: Due, now: float) -> None:
        try:
            again_at = due(now)
        except Exception:  # noqa: BLE001 - a callback may break in any way
            # One call must not silence the others; its own timers notice that it stalls.
            _log.exception("a callback of the ticker failed; it is not run again")
            again_at = None
        if again_at is None:
            self._dues.pop(due, None)
        elif due in self._dues:
            self._dues[due] = again_at

    def _next_tick(self, at: float, now: float) -> float:
        """Return the first tick that is not before `at` and lies in the future."""
        tick = math.ceil((at - _EARLY_S - self._origin) / self._period_s)
        return self._grid_time(max(tick, self._ticks_until(now) + 1))

    def _ticks_until(self, now: float) -> int:
        return math.floor((now + _EARLY_S - self._origin) / self._period_s)

    def _grid_time(self, tick: int) -> float:
        return self._origin + tick * self._period_s

    def _arm(self, at: float, now: float) -> None:
        self._disarm()
        self._armed_for = at
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(loop.time() + max(0.0, at - now), self._tick)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._armed_for = math.inf
