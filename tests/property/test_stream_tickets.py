"""Stream tickets against a model that keeps every secret ever given out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from voice_call.call.model import CallId
from voice_call.server.stream_tickets import StreamTickets

TTL_S = 60.0
CAPACITY = 3
CALLS = st.sampled_from([CallId(name) for name in "abcde"])


class TicketedStreams(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.tickets = StreamTickets(ttl_s=TTL_S, capacity=CAPACITY)
        self.now = 1_700_000_000.0
        self.given_out: list[str] = []
        self.good: dict[CallId, tuple[str, float]] = {}
        """Secrets that may still be used, oldest first."""

    @rule(seconds=st.floats(min_value=0, max_value=TTL_S))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.good = {
            call_id: (token, until)
            for call_id, (token, until) in self.good.items()
            if self.now < until
        }

    @rule(call_id=CALLS)
    def issue(self, call_id: CallId) -> None:
        token = f"token-{len(self.given_out)}"
        self.tickets.issue(call_id, token=token, now=self.now)
        self.given_out.append(token)
        self.good.pop(call_id, None)
        while len(self.good) >= CAPACITY:
            del self.good[next(iter(self.good))]
        self.good[call_id] = token, self.now + TTL_S

    @rule(data=st.data())
    def redeem(self, data: st.DataObject) -> None:
        if not self.given_out:
            return
        token = data.draw(st.sampled_from(self.given_out))
        owners = [each for each, (good, _) in self.good.items() if good == token]
        assert self.tickets.redeem(token, now=self.now) == next(iter(owners), None)
        for owner in owners:
            del self.good[owner]

    @rule(call_id=CALLS)
    def revoke(self, call_id: CallId) -> None:
        self.tickets.revoke(call_id)
        self.good.pop(call_id, None)

    @invariant()
    def is_bounded(self) -> None:
        assert len(self.good) <= len(self.tickets) <= CAPACITY


TestTicketedStreams = pytest.mark.timeout(60)(TicketedStreams.TestCase)
TicketedStreams.TestCase.settings = settings(max_examples=60, deadline=None)


@given(guess=st.text(), now=st.floats(allow_nan=False))
def test_no_guess_raises_or_finds_a_call(guess: str, now: float) -> None:
    tickets = StreamTickets()
    tickets.issue(CallId("a"), token="the one secret", now=0)
    assert tickets.redeem(guess, now=now) is None or guess == "the one secret"
