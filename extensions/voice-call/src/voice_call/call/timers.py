"""The deadlines of one call, by name."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["CallTimer", "Timers"]


class CallTimer(StrEnum):
    """What a call can be waiting for."""

    RING = "ring"
    """Somebody should have picked up."""
    MAX_DURATION = "max_duration"
    """The call has lasted long enough."""
    STREAM_WAIT = "stream_wait"
    """An answered call should have its media stream."""
    STREAM_GRACE = "stream_grace"
    """A lost stream should have come back."""
    NOTIFY_TAIL = "notify_tail"
    """The message was heard; hang up after a moment."""
    TRANSCRIPT = "transcript"
    """A `continue` should have its answer."""
    DEAD_AIR = "dead_air"
    """The agent takes long; say that we are still here."""
    DIGITS = "digits"
    """No more keys will be pressed."""
    MACHINE_BEEP = "machine_beep"
    """The machine's greeting should be over."""
    HANGUP_RETRY = "hangup_retry"
    """The carrier did not take our hang-up; ask again."""
    HANGUP_CONFIRM = "hangup_confirm"
    """The carrier should have confirmed our hang-up."""


class Timers:
    """Armed deadlines, in seconds since 1970; arming again replaces."""

    def __init__(self) -> None:
        self._due: dict[CallTimer, float] = {}

    def arm(self, timer: CallTimer, at: float) -> None:
        """Let `timer` fall due at time `at`."""
        self._due[timer] = at

    def disarm(self, *timers: CallTimer) -> None:
        """Forget the given timers; harmless where one is not armed."""
        for timer in timers:
            self._due.pop(timer, None)

    def clear(self) -> None:
        """Forget every timer."""
        self._due.clear()

    def next(self) -> float | None:
        """Return the earliest deadline, or None."""
        return min(self._due.values(), default=None)

    def pop_due(self, now: float) -> CallTimer | None:
        """Return and forget the earliest timer that is due by `now`, or None."""
        if not self._due:
            return None
        timer = min(self._due, key=self._due.__getitem__)
        if self._due[timer] > now:
            return None
        del self._due[timer]
        return timer
