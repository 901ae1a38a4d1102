"""Secrets for media streams: good once, for a while, for one call."""

from __future__ import annotations

import pytest

from voice_call.call.model import CallId
from voice_call.server.stream_tickets import StreamTickets

A, B, C = CallId("call-a"), CallId("call-b"), CallId("call-c")


def test_secret_names_its_call() -> None:
    tickets = StreamTickets()
    tickets.issue(A, token="one", now=0)
    tickets.issue(B, token="two", now=0)
    assert tickets.redeem("two", now=1) == B
    assert tickets.redeem("one", now=1) == A


def test_secret_is_good_once() -> None:
    tickets = StreamTickets()
    tickets.issue(A, token="one", now=0)
    assert tickets.redeem("one", now=1) == A
    assert tickets.redeem("one", now=1) is None


@pytest.mark.parametrize(
    "token", ["", "On", "ONE", "one ", "one\x00", "\ud800", "öne", "x" * 100_000]
)
def test_other_secrets_are_no_good(token: str) -> None:
    tickets = StreamTickets()
    tickets.issue(A, token="one", now=0)
    assert tickets.redeem(token, now=1) is None
    assert tickets.redeem("one", now=1) == A


@pytest.mark.parametrize(
    ("at", "call_id"), [(109.999, A), (110.0, None), (5000.0, None)]
)
def test_secret_expires(at: float, call_id: CallId | None) -> None:
    tickets = StreamTickets(ttl_s=10)
    tickets.issue(A, token="one", now=100)
    assert tickets.redeem("one", now=at) == call_id


def test_secret_that_was_shown_too_late_is_forgotten() -> None:
    tickets = StreamTickets(ttl_s=10)
    tickets.issue(A, token="one", now=0)
    tickets.redeem("one", now=10)
    assert len(tickets) == 0


def test_newer_secret_of_a_call_replaces_the_older_one() -> None:
    tickets = StreamTickets()
    tickets.issue(A, token="one", now=0)
    tickets.issue(A, token="two", now=1)
    assert tickets.redeem("one", now=2) is None
    assert tickets.redeem("two", now=2) == A


def test_used_secret_can_be_followed_by_another() -> None:
    tickets = StreamTickets()
    tickets.issue(A, token="one", now=0)
    tickets.redeem("one", now=1)
    tickets.issue(A, token="two", now=2)
    assert tickets.redeem("two", now=3) == A


def test_secret_of_a_call_that_is_over_is_no_good() -> None:
    tickets = StreamTickets()
    tickets.issue(A, token="one", now=0)
    tickets.revoke(A)
    tickets.revoke(A)
    assert tickets.redeem("one", now=1) is None


def test_expired_secrets_make_room() -> None:
    tickets = StreamTickets(ttl_s=10)
    tickets.issue(A, token="one", now=0)
    tickets.issue(B, token="two", now=9)
    tickets.issue(C, token="three", now=10)
    assert len(tickets) == 2


def test_oldest_secret_makes_room_in_a_full_table() -> None:
    tickets = StreamTickets(capacity=2)
    tickets.issue(A, token="one", now=0)
    tickets.issue(B, token="two", now=0)
    tickets.issue(C, token="three", now=0)
    assert len(tickets) == 2
    assert tickets.redeem("one", now=1) is None
    assert tickets.redeem("two", now=1) == B
    assert tickets.redeem("three", now=1) == C


def test_secret_that_was_given_out_twice_is_the_later_calls() -> None:
    tickets = StreamTickets()
    tickets.issue(A, token="one", now=0)
    tickets.issue(B, token="one", now=0)
    tickets.revoke(A)
    assert tickets.redeem("one", now=1) == B
    assert len(tickets) == 0


def test_secrets_themselves_are_not_kept() -> None:
    tickets = StreamTickets()
    tickets.issue(A, token="s3cret", now=0)
    assert "s3cret" not in repr(vars(tickets))
