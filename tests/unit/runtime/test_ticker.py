"""The shared ticker, in virtual time."""

from __future__ import annotations

import asyncio
import logging

import pytest

from voice_call.runtime.ticker import Ticker
from voice_call.testing.clock import EPOCH_S, VirtualClock

pytestmark = pytest.mark.anyio


class Call:
    """Wants to be run every `every_s`, `times` times, and notes when it was."""

    def __init__(self, *, every_s: float = 0.06, times: int = 1000) -> None:
        self.every_s = every_s
        self.left = times
        self.ran_at: list[float] = []

    def tick(self, now: float) -> float | None:
        self.ran_at.append(round(now - EPOCH_S, 3))
        self.left -= 1
        return now + self.every_s if self.left else None


async def made() -> Ticker:
    """Return a ticker of the running loop."""
    return Ticker(VirtualClock())


async def test_a_new_callback_runs_at_once() -> None:
    ticker, call = await made(), Call(times=1)
    await asyncio.sleep(0.013)
    ticker.add(call.tick)
    await asyncio.sleep(0.001)
    assert call.ran_at == [0.013]


async def test_later_runs_lie_on_the_grid() -> None:
    ticker, call = await made(), Call(every_s=0.05, times=4)
    await asyncio.sleep(0.013)
    ticker.add(call.tick)
    await asyncio.sleep(1)
    assert call.ran_at == [0.013, 0.08, 0.14, 0.2]


async def test_a_due_time_in_the_past_means_the_next_tick() -> None:
    ticker, call = await made(), Call(every_s=-5, times=3)
    ticker.add(call.tick)
    await asyncio.sleep(1)
    assert call.ran_at == [0.0, 0.02, 0.04]


async def test_a_minute_of_ticks_does_not_drift() -> None:
    ticker, call = await made(), Call(every_s=0.02, times=3001)
    ticker.add(call.tick)
    await asyncio.sleep(100)
    assert call.ran_at[-1] == 60.0


async def test_calls_due_together_run_in_one_tick() -> None:
    ticker = await made()
    first, second = Call(every_s=0.05, times=2), Call(every_s=0.041, times=2)
    ticker.add(first.tick)
    ticker.add(second.tick)
    await asyncio.sleep(1)
    assert first.ran_at == second.ran_at == [0.0, 0.06]


async def test_nothing_is_scheduled_once_all_are_done() -> None:
    ticker, call = await made(), Call(times=1)
    ticker.add(call.tick)
    await asyncio.sleep(0.1)
    assert ticker._timer is None


async def test_a_distant_due_time_costs_no_ticks_before() -> None:
    ticker, call = await made(), Call(every_s=3600, times=2)
    ticker.add(call.tick)
    await asyncio.sleep(0.1)
    assert ticker._armed_for == pytest.approx(EPOCH_S + 3600, abs=0.001)
    await asyncio.sleep(3600)
    assert call.ran_at == [0.0, 3600.0]


async def test_adding_again_brings_the_next_run_forward() -> None:
    ticker, call = await made(), Call(every_s=10, times=3)
    ticker.add(call.tick)
    await asyncio.sleep(0.5)
    ticker.add(call.tick)
    await asyncio.sleep(1)
    assert call.ran_at == [0.0, 0.5]


async def test_a_failing_callback_is_logged_and_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ticker, call, ran = await made(), Call(times=3), []

    def fail(now: float) -> float | None:
        ran.append(now)
        raise RuntimeError("broken")

    with caplog.at_level(logging.ERROR):
        ticker.add(fail)
        ticker.add(call.tick)
        await asyncio.sleep(1)
    assert call.ran_at == [0.0, 0.06, 0.12]
    assert len(ran) == 1
    assert "a callback of the ticker failed" in caplog.text


async def test_a_removed_callback_does_not_run() -> None:
    ticker, call = await made(), Call()
    ticker.add(call.tick)
    ticker.remove(call.tick)
    await asyncio.sleep(1)
    assert call.ran_at == []
    assert ticker._timer is None


async def test_removing_one_leaves_the_others() -> None:
    ticker, call, other = await made(), Call(times=2), Call()
    ticker.add(other.tick)
    ticker.add(call.tick)
    ticker.remove(other.tick)
    ticker.remove(other.tick)
    await asyncio.sleep(1)
    assert call.ran_at == [0.0, 0.06]


async def test_a_callback_may_remove_another_that_is_due_in_the_same_tick() -> None:
    ticker, call = await made(), Call()

    def remove_it(_now: float) -> None:
        ticker.remove(call.tick)

    ticker.add(remove_it)
    ticker.add(call.tick)
    await asyncio.sleep(1)
    assert call.ran_at == []


async def test_a_callback_that_removes_itself_stays_removed() -> None:
    ticker, ran = await made(), []

    def leave(now: float) -> float:
        ran.append(now)
        ticker.remove(leave)
        return now

    ticker.add(leave)
    await asyncio.sleep(1)
    assert len(ran) == 1


async def test_a_callback_may_add_another() -> None:
    ticker, call = await made(), Call(times=1)

    def add_it(_now: float) -> None:
        ticker.add(call.tick)

    ticker.add(add_it)
    await asyncio.sleep(1)
    assert call.ran_at == [0.02]


async def test_a_closed_ticker_runs_nothing_more() -> None:
    ticker, call = await made(), Call()
    ticker.add(call.tick)
    await asyncio.sleep(0.1)
    ticker.close()
    ticker.add(call.tick)
    await asyncio.sleep(1)
    assert call.ran_at == [0.0, 0.06]


async def test_a_late_tick_does_not_delay_the_grid() -> None:
    """A stall of the loop moves one tick; the ticks after it are on time again."""
    ticker, call = await made(), Call(every_s=0.06, times=4)
    ticker.add(call.tick)
    await asyncio.sleep(0.05)
    loop = asyncio.get_running_loop()
    loop._jumping.now += 0.033  # type: ignore[attr-defined]  # the loop is stalled
    await asyncio.sleep(1)
    assert call.ran_at == [0.0, 0.083, 0.16, 0.22]
