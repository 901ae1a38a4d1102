"""Virtual time: hours pass in milliseconds, in the same order every time.

Not for tests with real network peers: virtual time can outrun a packet.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["ManualClock", "VirtualClock", "VirtualTimeLoop"]

EPOCH_S = 1_700_000_000.0
"""What virtual clocks start at: 2023-11-14T22:13:20Z."""


class ManualClock:
    """A clock that moves only when told to."""

    def __init__(self, start: float = EPOCH_S) -> None:
        self._now = start

    def now(self) -> float:
        """Return the time it was set to."""
        return self._now

    def advance(self, seconds: float) -> float:
        """Move on by `seconds` and return the new time."""
        self._now += seconds
        return self._now


class _JumpingSelector(selectors.BaseSelector):
    """Asks the real selector without waiting; where nothing is ready, time jumps."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.now = 0.0

    def register(
        self, fileobj: Any, events: int, data: Any = None
    ) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(
        self, fileobj: Any, events: int, data: Any = None
    ) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:  # only a thread or a peer can wake the loop: really wait
            return self._real.select(None)
        ready = self._real.select(0)
        if not ready and timeout > 0:
            self.now += timeout
        return ready

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer when nothing else is ready."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self._jumping.now


class VirtualClock:
    """The clock of the running virtual loop."""

    def now(self) -> float:
        """Return virtual seconds since 1970."""
        return EPOCH_S + asyncio.get_running_loop().time()
