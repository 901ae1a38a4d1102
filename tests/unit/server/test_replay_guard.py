"""One request has one effect."""

from __future__ import annotations

import pytest

from voice_call.server.replay_guard import Claim, ReplayGuard

NOW = 1_700_000_000.0


def test_the_first_claim_is_first() -> None:
    assert ReplayGuard().claim("a", now=NOW) is Claim.FIRST


def test_a_claim_while_another_works_on_it_must_wait() -> None:
    guard = ReplayGuard()
    guard.claim("a", now=NOW)
    assert guard.claim("a", now=NOW) is Claim.IN_PROGRESS


def test_a_settled_request_is_repeated() -> None:
    guard = ReplayGuard()
    guard.claim("a", now=NOW)
    guard.settle("a", now=NOW)
    assert guard.claim("a", now=NOW) is Claim.REPEATED


def test_a_failed_request_is_first_again() -> None:
    guard = ReplayGuard()
    guard.claim("a", now=NOW)
    guard.release("a")
    assert guard.claim("a", now=NOW) is Claim.FIRST


def test_another_request_is_not_concerned() -> None:
    guard = ReplayGuard()
    guard.claim("a", now=NOW)
    guard.settle("a", now=NOW)
    assert guard.claim("b", now=NOW) is Claim.FIRST


@pytest.mark.parametrize(
    ("later_s", "claim"),
    [(0.0, Claim.REPEATED), (599.9, Claim.REPEATED), (600.0, Claim.FIRST)],
)
def test_a_request_is_remembered_for_ten_minutes(later_s: float, claim: Claim) -> None:
    guard = ReplayGuard()
    guard.claim("a", now=NOW)
    guard.settle("a", now=NOW)
    assert guard.claim("a", now=NOW + later_s) is claim


def test_repeating_a_request_does_not_make_it_younger() -> None:
    guard = ReplayGuard()
    guard.claim("a", now=NOW)
    guard.settle("a", now=NOW)
    guard.claim("a", now=NOW + 500)
    assert guard.claim("a", now=NOW + 600) is Claim.FIRST


def test_a_slow_request_is_remembered_from_its_end_on() -> None:
    guard = ReplayGuard()
    guard.claim("a", now=NOW)
    guard.settle("a", now=NOW + 9)
    assert guard.claim("a", now=NOW + 605) is Claim.REPEATED


def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    guard = ReplayGuard()
    for number in range(10_001):
        guard.claim(str(number), now=NOW)
        guard.settle(str(number), now=NOW)
    assert len(guard) == 10_000
    assert guard.claim("1", now=NOW) is Claim.REPEATED
    assert guard.claim("0", now=NOW) is Claim.FIRST


def test_old_requests_are_forgotten_together() -> None:
    guard = ReplayGuard()
    for key in "abc":
        guard.claim(key, now=NOW)
        guard.settle(key, now=NOW)
    guard.claim("d", now=NOW + 600)
    assert len(guard) == 0
