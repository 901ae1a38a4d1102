"""Which requests have been processed, so that none has an effect twice.

PURE. Whoever can read one signed request, in a proxy's log for example, can send it
again, and carriers themselves repeat requests whose answer was lost. A request is known
by its `request_key`, which the codec makes from signed material only.

A key lives through three steps:

    claim -> FIRST        nobody had it: the caller processes the request, and then says
                          `settle` (it has had its effect) or `release` (it failed)
    claim -> IN_PROGRESS  somebody processes it right now: wait, then claim again
    claim -> REPEATED     it has had its effect: acknowledge, do nothing

A released key is forgotten, so a retry of a failed request is FIRST again. A settled
one is remembered for 10 minutes, but at most 10,000 are: beyond that the oldest is
forgotten early. Only genuine requests get this far, so that takes a carrier with more
than 16 webhooks a second; and behind this guard the journal still knows each event by
its own key.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum, auto

__all__ = ["Claim", "ReplayGuard"]

WINDOW_S = 600.0
"""Twice the five minutes for which Telnyx's timestamps are good."""
CAPACITY = 10_000


class Claim(Enum):
    """What a claim found."""

    FIRST = auto()
    IN_PROGRESS = auto()
    REPEATED = auto()


class ReplayGuard:
    """Remembers request keys.

    Args:
        window_s: How long a processed request is remembered, in seconds.
        capacity: How many are.
    """

    def __init__(self, *, window_s: float = WINDOW_S, capacity: int = CAPACITY) -> None:
        self._window_s = window_s
        self._capacity = capacity
        self._in_progress: set[str] = set()
        self._settled: OrderedDict[str, float] = OrderedDict()
        """Keys with the time they were settled at, oldest first."""

    def __len__(self) -> int:
        """Return how many processed requests are remembered."""
        return len(self._settled)

    def claim(self, key: str, *, now: float) -> Claim:
        """Say whether a request may be processed; if so, it is the caller's."""
        self._forget_old(now)
        if key in self._settled:
            return Claim.REPEATED
        if key in self._in_progress:
            return Claim.IN_PROGRESS
        self._in_progress.add(key)
        return Claim.FIRST

    def settle(self, key: str, *, now: float) -> None:
        """Note that a claimed request has had its effect."""
        self._in_progress.discard(key)
        self._settled[key] = now
        if len(self._settled) > self._capacity:
            self._settled.popitem(last=False)

    def release(self, key: str) -> None:
        """Forget a claimed request that failed."""
        self._in_progress.discard(key)

    def _forget_old(self, now: float) -> None:
        while self._settled:
            key, settled_at = next(iter(self._settled.items()))
            if now - settled_at < self._window_s:
                return
            del self._settled[key]
