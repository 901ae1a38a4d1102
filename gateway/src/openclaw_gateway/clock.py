"""The one place of the Gateway that reads the wall clock."""

from __future__ import annotations

import time

__all__ = ["now_ms", "now_s"]


def now_s() -> float:
    """Return seconds since 1970-01-01 UTC."""
    return time.time()  # noqa: TID251 - the one place that reads the wall clock


def now_ms() -> int:
    """Return milliseconds since 1970-01-01 UTC, as the wire wants them."""
    return int(now_s() * 1000)
