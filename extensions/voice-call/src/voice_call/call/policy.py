"""Whether a call may take place at all.

PURE. The caller's number is a claim, not a proof: the carrier's signature proves who
sends the webhook, not who calls. An allow list keeps strangers out, it authenticates
nobody. Numbers are compared whole, in E.164 form; no prefix or suffix ever matches, and
a withheld or malformed number matches nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from voice_call.call.model import EndCause
from voice_call.errors import InvalidNumber, LimitReached, NumberRefused
from voice_call.phone_numbers import is_allowed, is_emergency, parse_e164

__all__ = [
    "Admit",
    "Decision",
    "InboundPolicy",
    "InboundRules",
    "OutboundRules",
    "Refuse",
    "judge_inbound",
    "judge_outbound",
]


class InboundPolicy(StrEnum):
    """Who may call, in the words of the setting `inboundPolicy`."""

    DISABLED = "disabled"
    """Nobody."""
    ALLOWLIST = "allowlist"
    """The numbers in `allowFrom`."""
    PAIRING = "pairing"
    """The same: paired numbers are those in `allowFrom`."""
    OPEN = "open"
    """Everybody, also with a withheld number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundRules:
    """Which inbound calls are taken.

    Attributes:
        policy: Who may call.
        allow_from: Numbers in E.164 form; an entry that is none matches nobody.
        max_calls: Inbound calls at once.
        busy_notice: What a caller hears when all lines are busy; None for the
            carrier's busy signal.
    """

    policy: InboundPolicy = InboundPolicy.DISABLED
    allow_from: tuple[str, ...] = ()
    max_calls: int = 4
    busy_notice: str | None = "All lines are busy. Please call again later."


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundRules:
    """Which numbers may be dialled.

    Attributes:
        allow_to: Numbers in E.164 form; None for any number, empty for none at all.
        max_calls: Outbound calls at once. One by default, so that an agent that runs
            wild telephones with one person only.
    """

    allow_to: tuple[str, ...] | None = None
    max_calls: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Admit:
    """The call may take place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """The call must not take place.

    Attributes:
        cause: `POLICY` or `ALL_LINES_BUSY`.
        why: One sentence that says what to do; contains no phone number.
        code: The stable error code of `voice_call.errors`.
        notice: What an inbound caller hears first, or None.
    """

    cause: EndCause
    why: str
    code: str
    notice: str | None = None


Decision = Admit | Refuse


def judge_inbound(
    caller: str | None, rules: InboundRules, *, live_calls: int
) -> Decision:
    """Decide about a call that is offered to us.

    Args:
        caller: The caller's number as the carrier gives it: E.164, empty or None where
            withheld, or a word such as `anonymous`.
        rules: Which calls are taken.
        live_calls: Inbound calls that are live already, without this one.
    """
    match rules.policy:
        case InboundPolicy.DISABLED:
            return _refuse_by_policy(
                "Inbound calls are disabled; set inboundPolicy to take them."
            )
        case InboundPolicy.ALLOWLIST | InboundPolicy.PAIRING:
            if not is_allowed(caller, rules.allow_from):
                return _refuse_by_policy(
                    "The caller's number is withheld or not in allowFrom; add it there "
                    "to let it in."
                )
        case InboundPolicy.OPEN:
            pass
        case unreachable:
            assert_never(unreachable)
    if live_calls >= rules.max_calls:
        return Refuse(
            cause=EndCause.ALL_LINES_BUSY,
            why=(
                f"All lines are busy: {rules.max_calls} inbound calls at once are "
                "allowed; raise maxInboundCalls for more."
            ),
            code=LimitReached.code,
            notice=rules.busy_notice,
        )
    return Admit()


def judge_outbound(number: str, rules: OutboundRules, *, live_calls: int) -> Decision:
    """Decide about a call that somebody asks us to place.

    Args:
        number: The number to dial, as given.
        rules: Which numbers may be dialled.
        live_calls: Outbound calls that are live already.
    """
    if is_emergency(number):
        return _refuse_by_policy(
            "Emergency numbers are never dialled: this line cannot tell the emergency "
            "service where you are. Use a telephone."
        )
    try:
        dialled = parse_e164(number)
    except InvalidNumber as error:
        return Refuse(cause=EndCause.POLICY, why=str(error), code=error.code)
    if rules.allow_to is not None and not is_allowed(dialled, rules.allow_to):
        return _refuse_by_policy(
            "The number is not in outbound.allowTo; add it there to allow it."
        )
    if live_calls >= rules.max_calls:
        return Refuse(
            cause=EndCause.ALL_LINES_BUSY,
            why=(
                f"The limit of calls at once ({rules.max_calls}) is reached; wait "
                "until one has ended, or raise maxConcurrentCalls."
            ),
            code=LimitReached.code,
        )
    return Admit()


def _refuse_by_policy(why: str) -> Refuse:
    return Refuse(cause=EndCause.POLICY, why=why, code=NumberRefused.code)
