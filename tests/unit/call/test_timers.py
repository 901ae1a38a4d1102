"""Deadlines by name: armed, replaced, forgotten, popped in order."""

from __future__ import annotations

from voice_call.call.timers import CallTimer, Timers


def test_nothing_is_due_at_first() -> None:
    timers = Timers()
    assert timers.next() is None
    assert timers.pop_due(1e12) is None


def test_the_earliest_deadline_is_next() -> None:
    timers = Timers()
    timers.arm(CallTimer.RING, 40.0)
    timers.arm(CallTimer.DIGITS, 1.5)
    assert timers.next() == 1.5


def test_arming_again_replaces() -> None:
    timers = Timers()
    timers.arm(CallTimer.RING, 40.0)
    timers.arm(CallTimer.RING, 50.0)
    assert timers.pop_due(49.9) is None
    assert timers.pop_due(50.0) is CallTimer.RING
    assert timers.next() is None


def test_due_timers_come_in_the_order_of_their_deadlines() -> None:
    timers = Timers()
    timers.arm(CallTimer.MAX_DURATION, 300.0)
    timers.arm(CallTimer.RING, 40.0)
    timers.arm(CallTimer.DEAD_AIR, 2.0)
    popped = [timers.pop_due(100.0) for _ in range(3)]
    assert popped == [CallTimer.DEAD_AIR, CallTimer.RING, None]
    assert timers.next() == 300.0


def test_timers_due_together_come_in_the_order_of_arming() -> None:
    timers = Timers()
    timers.arm(CallTimer.STREAM_GRACE, 5.0)
    timers.arm(CallTimer.DEAD_AIR, 5.0)
    assert timers.pop_due(5.0) is CallTimer.STREAM_GRACE
    assert timers.pop_due(5.0) is CallTimer.DEAD_AIR


def test_disarming_forgets_only_what_is_named() -> None:
    timers = Timers()
    timers.arm(CallTimer.RING, 40.0)
    timers.arm(CallTimer.DIGITS, 1.5)
    timers.disarm(CallTimer.DIGITS, CallTimer.TRANSCRIPT)
    assert timers.next() == 40.0


def test_clearing_forgets_everything() -> None:
    timers = Timers()
    timers.arm(CallTimer.RING, 40.0)
    timers.arm(CallTimer.DIGITS, 1.5)
    timers.clear()
    assert timers.next() is None
