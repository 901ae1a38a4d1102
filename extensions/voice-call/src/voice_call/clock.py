"""The one place that reads a clock.

Every time inside the plugin is a float: seconds since 1970-01-01 UTC, anchored once
at process start and moved on by the monotonic clock. So times never run backwards
within a process, and they can be compared with those that the journal kept from an
earlier one.
"""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Says what time it is."""

    def now(self) -> float:
        """Return seconds since 1970-01-01 UTC; never less than the last answer."""
        ...


class SystemClock:
    """The machine's clock, immune to adjustments of the wall clock while it runs."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()  # noqa: TID251 - the one place

    def now(self) -> float:
        """Return seconds since 1970-01-01 UTC."""
        return self._offset + time.monotonic()
