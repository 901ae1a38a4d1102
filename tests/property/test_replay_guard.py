"""The replay guard against a model that forgets nothing."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from voice_call.server.replay_guard import Claim, ReplayGuard

WINDOW_S = 60.0
CAPACITY = 4
KEYS = st.sampled_from("abcdefgh")


class GuardedRequests(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.guard = ReplayGuard(window_s=WINDOW_S, capacity=CAPACITY)
        self.now = 1_700_000_000.0
        self.working: set[str] = set()
        self.settled: list[tuple[str, float]] = []

    def remembered(self) -> set[str]:
        fresh = [k for k, at in self.settled if self.now - at < WINDOW_S]
        return set(fresh[-CAPACITY:])

    @rule(seconds=st.floats(min_value=0, max_value=2 * WINDOW_S))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(key=KEYS)
    def claim(self, key: str) -> None:
        claim = self.guard.claim(key, now=self.now)
        if key in self.remembered():
            assert claim is Claim.REPEATED
        elif key in self.working:
            assert claim is Claim.IN_PROGRESS
        else:
            assert claim is Claim.FIRST
            self.working.add(key)

    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        if self.working:
            key = data.draw(st.sampled_from(sorted(self.working)))
            self.working.remove(key)
            self.guard.settle(key, now=self.now)
            self.settled = [each for each in self.settled if each[0] != key]
            self.settled.append((key, self.now))

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if self.working:
            key = data.draw(st.sampled_from(sorted(self.working)))
            self.working.remove(key)
            self.guard.release(key)

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.guard) <= CAPACITY


TestGuardedRequests = pytest.mark.timeout(60)(GuardedRequests.TestCase)
GuardedRequests.TestCase.settings = settings(max_examples=60, deadline=None)
