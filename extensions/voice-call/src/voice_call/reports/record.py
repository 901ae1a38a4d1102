"""A call as tool, RPC and CLI show it: plain JSON in the public field names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voice_call.call.machine import CallMachine
    from voice_call.call.model import CarrierCallId

__all__ = ["CallFacts", "full_record", "safe_record"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What a record needs beside the machine.

    Attributes:
        carrier: The carrier's short name.
        carrier_call_id: The carrier's newest id, None until known.
        from_: Caller, E.164.
        to: Callee, E.164.
        session_key: Which conversation memory the agent uses.
    """

    carrier: str
    carrier_call_id: CarrierCallId | None
    from_: str
    to: str
    session_key: str


def safe_record(machine: CallMachine, facts: CallFacts) -> dict[str, Any]:
    """Return a call without numbers and words; times in milliseconds since 1970."""
    record: dict[str, Any] = {
        "callId": machine.setup.call_id,
        "provider": facts.carrier,
        "direction": machine.setup.direction.value,
        "state": machine.state.value,
        "startedAt": _ms(machine.started_at),
    }
    optional = {
        "providerCallId": facts.carrier_call_id,
        "answeredAt": _ms(machine.answered_at),
        "endedAt": _ms(machine.ended_at),
    }
    record |= {key: value for key, value in optional.items() if value is not None}
    if machine.ending is not None:
        record["endReason"] = machine.state.value
        record["ending"] = {
            "cause": machine.ending.cause.value,
            "by": machine.ending.by.value,
            "carrierCode": machine.ending.carrier_code,
            "detail": machine.ending.detail,
        }
    return record


def full_record(machine: CallMachine, facts: CallFacts) -> dict[str, Any]:
    """Return everything about a call: also numbers and transcript."""
    record = safe_record(machine, facts)
    record |= {
        "from": facts.from_,
        "to": facts.to,
        "sessionKey": facts.session_key,
        "transcript": [
            {
                "timestamp": _ms(entry.at),
                "speaker": entry.speaker.value,
                "text": entry.text,
                "isFinal": True,
                **({"isCut": True} if entry.is_cut else {}),
            }
            for entry in machine.transcript
        ],
        "metadata": {"mode": machine.setup.mode.value},
    }
    return record


def _ms(at: float | None) -> int | None:
    return None if at is None else round(at * 1000)
