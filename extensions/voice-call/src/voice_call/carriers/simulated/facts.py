"""What is known of a simulated call when it begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voice_call.call.model import CallId, CarrierCallId, Direction

__all__ = ["CallFacts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What is known of a call when it begins.

    Attributes:
        carrier_call_id: The network's id of it.
        call_id: Ours, for an outbound call.
        direction: Who placed it.
        from_: Caller, E.164.
        to: Callee, E.164.
        ring_timeout_s: How long it may ring, in seconds.
        max_duration_s: How long it may last, in seconds.
        stream_token: What its media stream presents.
    """

    carrier_call_id: CarrierCallId
    call_id: CallId | None
    direction: Direction
    from_: str
    to: str
    ring_timeout_s: float
    max_duration_s: float
    stream_token: str | None = None
