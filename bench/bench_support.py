"""What benchmarks share: one core, CPU time, percentiles.

Figures of one run are compared with each other, never with those of another machine or
another day.
"""

from __future__ import annotations

import gc
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["cpu_us_per_run", "percentile", "pin", "settle"]


def pin(core: int | None = None) -> int | None:
    """Stay on one core (the last one by default); None where that is not possible."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    chosen = max(os.sched_getaffinity(0)) if core is None else core
    os.sched_setaffinity(0, {chosen})
    return chosen


def settle() -> None:
    """Take start-up objects out of the garbage collector's way, as a server does."""
    gc.collect()
    gc.freeze()


def cpu_us_per_run(
    run: Callable[[], object], *, runs: int = 2000, rounds: int = 7
) -> float:
    """Return microseconds of this thread's CPU time for one `run`, best of `rounds`."""
    best = float("inf")
    for _ in range(rounds):
        began = time.thread_time_ns()
        for _ in range(runs):
            run()
        best = min(best, time.thread_time_ns() - began)
    return best / runs / 1000


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` % of `values` do not exceed."""
    ordered = sorted(values)
    index = max(0, -(-len(ordered) * percent // 100) - 1)
    return ordered[int(index)]
