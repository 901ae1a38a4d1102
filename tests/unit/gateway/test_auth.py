from __future__ import annotations

import pytest

from openclaw_gateway.rpc.auth import (
    ADMIN,
    READ,
    WRITE,
    AuthPolicy,
    FailureCounter,
    is_loopback,
    is_scope_granted,
)
from openclaw_gateway.rpc.frames import Credentials

HERE = "127.0.0.1"
ELSEWHERE = "203.0.113.7"


def check(policy, token=None, *, password=None, address=HERE, now=0.0):
    credentials = Credentials(token=token, password=password)
    refusal = policy.check(credentials, address=address, now=now)
    return refusal and refusal.error.details["code"]


@pytest.mark.parametrize(
    ("mode", "presented", "outcome"),
    [
        ("token", {"token": "right"}, None),
        ("token", {"token": "wrong"}, "AUTH_TOKEN_MISMATCH"),
        ("token", {"token": "wröng\ud800"}, "AUTH_TOKEN_MISMATCH"),
        ("token", {"token": ""}, "AUTH_TOKEN_MISSING"),
        ("token", {"password": "right"}, "AUTH_TOKEN_MISSING"),
        ("password", {"password": "right"}, None),
        ("password", {"password": "wrong"}, "AUTH_PASSWORD_MISMATCH"),
        ("password", {"token": "right"}, "AUTH_PASSWORD_MISSING"),
        ("none", {}, None),
    ],
)
def test_only_the_right_secret_opens(mode, presented, outcome):
    policy = AuthPolicy(mode=mode, secret="right" if mode != "none" else "")
    assert check(policy, **presented) == outcome


def test_no_credentials_at_all_are_refused():
    refusal = AuthPolicy(mode="token", secret="s").check(None, address=HERE, now=0)
    assert refusal is not None
    assert refusal.error.message == (
        "unauthorized: gateway token missing (provide gateway auth token)"
    )


def test_the_secret_is_not_shown():
    assert "hush" not in repr(AuthPolicy(mode="token", secret="hush"))


def test_a_far_address_that_guesses_too_often_is_refused_unheard():
    policy = AuthPolicy(mode="token", secret="right")
    for _ in range(10):
        assert check(policy, "w", address=ELSEWHERE) == "AUTH_TOKEN_MISMATCH"
    assert check(policy, "right", address=ELSEWHERE, now=1) == "AUTH_RATE_LIMITED"
    assert check(policy, "right", address="203.0.113.8", now=1) is None
    assert check(policy, "right", address=ELSEWHERE, now=61) is None


def test_a_refused_address_is_told_when_to_try_again():
    policy = AuthPolicy(mode="token", secret="right", failures=FailureCounter(limit=1))
    check(policy, "w", address=ELSEWHERE)
    refusal = policy.check(None, address=ELSEWHERE, now=15)
    assert refusal is not None
    assert refusal.error.retry_after_ms == 45_000


def test_nobody_on_this_machine_can_lock_its_owner_out():
    policy = AuthPolicy(mode="token", secret="right")
    for _ in range(20):
        check(policy, "w")
    wrong = policy.check(Credentials(token="w"), address=HERE, now=1)
    assert wrong is not None
    assert wrong.delay_s == 1.0
    assert wrong.error.details == {"code": "AUTH_RATE_LIMITED"}
    assert check(policy, "right", now=1) is None


def test_the_counter_forgets_the_oldest_addresses():
    counter = FailureCounter(limit=1, max_addresses=2)
    for address in ("a", "b", "c"):
        counter.record(address, now=0)
    waits = [counter.retry_after_s(address, now=0) for address in ("a", "b", "c")]
    assert waits == [0.0, 60.0, 60.0]


@pytest.mark.parametrize(
    ("wanted", "granted", "outcome"),
    [
        (READ, [READ], True),
        (READ, [WRITE], True),
        (READ, [ADMIN], True),
        (READ, [], False),
        (WRITE, [READ], False),
        (WRITE, [WRITE], True),
        (ADMIN, [WRITE], False),
        (ADMIN, [ADMIN], True),
        ("own.scope", ["own.scope"], True),
        ("own.scope", [ADMIN], True),
        ("own.scope", [WRITE], False),
    ],
)
def test_admin_includes_write_includes_read(wanted, granted, outcome):
    assert is_scope_granted(wanted, granted) is outcome


@pytest.mark.parametrize(
    ("address", "outcome"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_loopback_addresses_are_known(address, outcome):
    assert is_loopback(address) is outcome
