"""A timer that rings once, at the time that was set last."""

from __future__ import annotations

import asyncio

import pytest

from voice_call.runtime.alarm import Alarm
from voice_call.testing.clock import VirtualClock

pytestmark = pytest.mark.anyio


class Bell:
    """Counts, and remembers when it rang."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.rang_at: list[float] = []
        self.began = clock.now()

    def ring(self) -> None:
        self.rang_at.append(round(self.clock.now() - self.began, 3))


def bell_and_alarm() -> tuple[Bell, Alarm]:
    clock = VirtualClock()
    bell = Bell(clock)
    return bell, Alarm(clock, bell.ring)


async def test_it_rings_once_at_its_time():
    bell, alarm = bell_and_alarm()
    alarm.set(bell.began + 5.0)
    await asyncio.sleep(20)
    assert bell.rang_at == [5.0]


async def test_a_time_in_the_past_rings_at_once():
    bell, alarm = bell_and_alarm()
    alarm.set(bell.began - 5.0)
    assert bell.rang_at == []
    await asyncio.sleep(1)
    assert bell.rang_at == [0.0]


@pytest.mark.parametrize("second", [2.0, 9.0])
async def test_a_new_time_replaces_the_old_one(second: float):
    bell, alarm = bell_and_alarm()
    alarm.set(bell.began + 5.0)
    alarm.set(bell.began + second)
    await asyncio.sleep(20)
    assert bell.rang_at == [second]


async def test_the_same_time_again_arms_no_second_timer():
    bell, alarm = bell_and_alarm()
    alarm.set(bell.began + 5.0)
    timer = alarm._handle
    alarm.set(bell.began + 5.0)
    assert alarm._handle is timer
    await asyncio.sleep(20)
    assert bell.rang_at == [5.0]


async def test_none_and_cancel_switch_it_off():
    bell, alarm = bell_and_alarm()
    alarm.set(bell.began + 5.0)
    alarm.set(None)
    alarm.set(bell.began + 5.0)
    alarm.cancel()
    alarm.cancel()
    await asyncio.sleep(20)
    assert bell.rang_at == []


async def test_it_can_be_set_again_while_it_rings():
    bell, alarm = bell_and_alarm()

    def ring() -> None:
        bell.ring()
        if len(bell.rang_at) < 3:
            again.set(bell.clock.now() + 1.0)

    again = Alarm(bell.clock, ring)
    again.set(bell.began + 1.0)
    await asyncio.sleep(20)
    assert bell.rang_at == [1.0, 2.0, 3.0]
    assert alarm._handle is None
