"""The virtual loop must be fast, ordered and honest about who wakes it."""

from __future__ import annotations

import asyncio

import pytest

from voice_call.testing.clock import ManualClock, VirtualClock

pytestmark = pytest.mark.anyio


async def test_a_day_passes_at_once() -> None:
    clock = VirtualClock()
    began = clock.now()
    await asyncio.sleep(86_400)
    assert clock.now() - began == pytest.approx(86_400)


async def test_timers_fire_in_order() -> None:
    fired: list[int] = []
    loop = asyncio.get_running_loop()
    for index in (3, 1, 2):
        loop.call_later(index, fired.append, index)
    await asyncio.sleep(4)
    assert fired == [1, 2, 3]


async def test_work_in_a_thread_wakes_the_loop() -> None:
    assert await asyncio.to_thread(lambda: 42) == 42


def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(start=10.0)
    assert clock.now() == 10.0
    assert clock.advance(2.5) == 12.5
    assert clock.now() == 12.5
