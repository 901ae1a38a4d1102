from __future__ import annotations

import pytest

from voice_call.call.model import EndCause
from voice_call.call.policy import (
    Admit,
    InboundPolicy,
    InboundRules,
    OutboundRules,
    Refuse,
    judge_inbound,
    judge_outbound,
)

ALLOWED = ("+15550001234",)
LISTED = [InboundPolicy.ALLOWLIST, InboundPolicy.PAIRING]


def inbound(caller: str | None, policy: InboundPolicy, live_calls: int = 0):
    rules = InboundRules(policy=policy, allow_from=ALLOWED, max_calls=2)
    return judge_inbound(caller, rules, live_calls=live_calls)


def outbound(number: str, live_calls: int = 0, **rules):
    return judge_outbound(number, OutboundRules(**rules), live_calls=live_calls)


@pytest.mark.parametrize("policy", LISTED)
@pytest.mark.parametrize("caller", ["+15550001234", "+1 (555) 000-1234"])
def test_a_listed_number_is_admitted(policy, caller):
    assert inbound(caller, policy) == Admit()


@pytest.mark.parametrize("policy", LISTED)
@pytest.mark.parametrize(
    "caller",
    [
        None,
        "",
        " ",
        "+",
        "anonymous",
        "Restricted",
        "+99915550001234",
        "5550001234",
        "0001234",
        "+1555000123",
        "+155500012345",
        "+15550001235",
        "+15550001234;ext=1",
        "sip:+15550001234@example.com",
        "+1555000123\u0664",
    ],
)
def test_no_other_number_is_admitted(policy, caller):
    decision = inbound(caller, policy)
    assert isinstance(decision, Refuse)
    assert decision.cause is EndCause.POLICY
    assert decision.code == "number_refused"
    assert decision.notice is None


@pytest.mark.parametrize("entry", ["", "+", "anonymous", "5550001234"])
@pytest.mark.parametrize("caller", ["", "+", "anonymous", "5550001234", None])
def test_a_malformed_entry_matches_nobody(entry, caller):
    rules = InboundRules(policy=InboundPolicy.ALLOWLIST, allow_from=(entry,))
    assert isinstance(judge_inbound(caller, rules, live_calls=0), Refuse)


@pytest.mark.parametrize("caller", [None, "", "anonymous", "+15550009999"])
def test_an_open_line_admits_everybody(caller):
    assert inbound(caller, InboundPolicy.OPEN) == Admit()


def test_a_disabled_line_refuses_even_a_listed_number():
    decision = inbound("+15550001234", InboundPolicy.DISABLED)
    assert decision == Refuse(
        cause=EndCause.POLICY,
        why="Inbound calls are disabled; set inboundPolicy to take them.",
        code="number_refused",
    )


def test_inbound_calls_are_disabled_by_default():
    assert isinstance(
        judge_inbound("+15550001234", InboundRules(), live_calls=0), Refuse
    )


def test_the_last_free_line_is_used():
    assert inbound("+15550001234", InboundPolicy.OPEN, live_calls=1) == Admit()


@pytest.mark.parametrize("live_calls", [2, 3])
def test_a_caller_hears_that_all_lines_are_busy(live_calls):
    decision = inbound("+15550001234", InboundPolicy.OPEN, live_calls=live_calls)
    assert isinstance(decision, Refuse)
    assert decision.cause is EndCause.ALL_LINES_BUSY
    assert decision.code == "limit_reached"
    assert decision.notice == "All lines are busy. Please call again later."
    assert "maxInboundCalls" in decision.why


def test_a_stranger_does_not_learn_that_lines_are_busy():
    decision = inbound("+15550009999", InboundPolicy.ALLOWLIST, live_calls=2)
    assert isinstance(decision, Refuse)
    assert decision.cause is EndCause.POLICY


def test_no_line_at_all_refuses_everybody():
    rules = InboundRules(policy=InboundPolicy.OPEN, max_calls=0)
    assert isinstance(judge_inbound("+15550001234", rules, live_calls=0), Refuse)


@pytest.mark.parametrize("number", ["+15550001234", "+1 555-000-1234"])
def test_any_number_may_be_dialled_by_default(number):
    assert outbound(number) == Admit()


@pytest.mark.parametrize("number", ["911", "112", "999", "+1911", "+44 999", "1-1-2"])
def test_emergency_numbers_are_refused_even_when_allowed(number):
    decision = outbound(number, allow_to=(number,))
    assert isinstance(decision, Refuse)
    assert decision.code == "number_refused"
    assert "Emergency" in decision.why


@pytest.mark.parametrize("number", ["", "5550001234", "+0123", "call me", "+1555x"])
def test_a_number_that_is_not_e164_is_refused(number):
    decision = outbound(number)
    assert isinstance(decision, Refuse)
    assert decision.code == "invalid_number"
    assert decision.cause is EndCause.POLICY


def test_allow_to_compares_whole_numbers():
    allowed = ("+1 555 000 1234",)
    assert outbound("+15550001234", allow_to=allowed) == Admit()
    decision = outbound("+155500012340", allow_to=allowed)
    assert isinstance(decision, Refuse)
    assert decision.why == (
        "The number is not in outbound.allowTo; add it there to allow it."
    )


def test_an_empty_allow_to_allows_no_number():
    assert isinstance(outbound("+15550001234", allow_to=()), Refuse)


def test_the_limit_of_outbound_calls_holds():
    assert outbound("+15550001234", live_calls=0) == Admit()
    decision = outbound("+15550001234", live_calls=1)
    assert isinstance(decision, Refuse)
    assert decision.cause is EndCause.ALL_LINES_BUSY
    assert decision.code == "limit_reached"


@pytest.mark.parametrize("number", ["+1911", "+15550009876", "5550009876"])
def test_no_refusal_repeats_the_number(number):
    decision = outbound(number, allow_to=("+15550001111",))
    assert isinstance(decision, Refuse)
    assert number.removeprefix("+1") not in decision.why
