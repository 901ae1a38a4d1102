"""The simulated carrier's webhook form: JSON in the plugin's own normalised shape.

PURE. A body is `{"events": [...]}` or `{"event": {...}}`. There is no signature: every
body is genuine, and its hash is its identity, so that a repeated body is a repetition.
Entries without `type` or `callId`, and entries of an unknown type, report nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voice_call.call.events import (
    Answered,
    AnsweredBy,
    CallerSpoke,
    CarrierEnded,
    Dialed,
    DigitPressed,
    MachineDetected,
    Offered,
    Ringing,
)
from voice_call.call.model import (
    CallId,
    CarrierCallId,
    Digit,
    Direction,
    EndCause,
    EndedBy,
)
from voice_call.carriers.base import CarrierNotice, HttpResponse, Verdict
from voice_call.errors import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_call.call.events import CallEvent
    from voice_call.carriers.base import HttpRequest, PlanStep

__all__ = ["SimulatedWebhooks"]

_ENDINGS: dict[str, tuple[EndCause, EndedBy]] = {
    "completed": (EndCause.NORMAL, EndedBy.CARRIER),
    "hangup-user": (EndCause.NORMAL, EndedBy.REMOTE),
    "hangup-bot": (EndCause.NORMAL, EndedBy.AGENT),
    "timeout": (EndCause.MAX_DURATION, EndedBy.CARRIER),
    "error": (EndCause.ERROR, EndedBy.CARRIER),
    "failed": (EndCause.FAILED, EndedBy.CARRIER),
    "no-answer": (EndCause.NO_ANSWER, EndedBy.CARRIER),
    "busy": (EndCause.BUSY, EndedBy.REMOTE),
    "voicemail": (EndCause.MACHINE, EndedBy.CARRIER),
}


class SimulatedWebhooks:
    """The codec of the form."""

    @property
    def required_headers(self) -> tuple[tuple[str, ...], ...]:
        """One alternative that needs no header."""
        return ((),)

    def verify(self, request: HttpRequest, *, now: float) -> Verdict:  # noqa: ARG002 - no time in it
        """Say that the request is genuine, and what it is known by."""
        digest = hashlib.sha256(request.body).hexdigest()
        return Verdict(is_genuine=True, request_key=f"mock:{digest}")

    def decode(self, request: HttpRequest, *, request_key: str) -> list[CarrierNotice]:
        """Return what a body reports.

        Raises:
            RemoteProtocolError: The body is not a JSON object.
        """
        notices: list[CarrierNotice] = []
        for position, item in enumerate(_entries(request.body)):
            if isinstance(item, Mapping):
                entry = _Entry(fields=item, fallback_id=f"{request_key}#{position}")
                notices += entry.notices()
        return notices

    def directs_call(self, request: HttpRequest) -> bool:  # noqa: ARG002 - none does
        """Return False: the simulated network takes its orders in the process."""
        return False

    def respond(
        self,
        request: HttpRequest,  # noqa: ARG002 - there is nothing to carry out
        steps: tuple[PlanStep, ...],  # noqa: ARG002 - as above
    ) -> HttpResponse:
        """Acknowledge: the simulated network takes its orders in the process."""
        return HttpResponse()


def _entries(body: bytes) -> list[Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError("The mock webhook's body is not JSON.") from error
    if not isinstance(document, dict):
        raise RemoteProtocolError("The mock webhook's body is not a JSON object.")
    events = document.get("events")
    if isinstance(events, list):
        return events
    return [document["event"]] if "event" in document else []


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One entry of a body; a field of the wrong type counts as absent."""

    fields: Mapping[str, Any]
    fallback_id: str

    def notices(self) -> list[CarrierNotice]:
        call_id = self.text("callId")
        read = _READERS.get(self.text("type"))
        if not call_id or read is None:
            return []
        carrier_call_id = self.carrier_call_id()
        direction = self.direction()
        events = read(self)
        is_ours = call_id != carrier_call_id and direction is not Direction.INBOUND
        return [
            CarrierNotice(
                event=event,
                carrier_call_id=carrier_call_id,
                call_id=CallId(call_id) if is_ours else None,
                dedupe_key=f"{self.key()}/{n}" if n else self.key(),
                direction=direction,
                from_=self.text("from") or None,
                to=self.text("to") or None,
            )
            for n, event in enumerate(events)
        ]

    def text(self, name: str, default: str = "") -> str:
        value = self.fields.get(name)
        return value if isinstance(value, str) else default

    def confidence(self) -> float | None:
        value = self.fields.get("confidence")
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return float(value) if 0 <= value <= 1 else None

    def carrier_call_id(self) -> CarrierCallId:
        derived = f"mock-{self.text('callId').removeprefix('mock-')}"
        return CarrierCallId(self.text("providerCallId") or derived)

    def key(self) -> str:
        return self.text("dedupeKey") or self.text("id") or self.fallback_id

    def direction(self) -> Direction | None:
        value = self.text("direction")
        return Direction(value) if value in set(Direction) else None


def _read_initiated(entry: _Entry) -> list[CallEvent]:
    if entry.direction() is Direction.INBOUND:
        return [Offered()]
    return [Dialed(carrier_call_id=entry.carrier_call_id())]


def _read_speech(entry: _Entry) -> list[CallEvent]:
    if entry.fields.get("isFinal", True) is False:
        return []  # interim words are for the eye; the machine counts final ones
    words = entry.text("transcript").strip()
    if not words:
        return []
    return [
        CallerSpoke(
            utterance_id=entry.key(),
            text=words,
            confidence=entry.confidence(),
            turn_token=entry.text("turnToken") or None,
        )
    ]


def _read_digits(entry: _Entry) -> list[CallEvent]:
    known = {digit.value for digit in Digit}
    keys = entry.text("digits").upper()
    return [DigitPressed(digit=Digit(key)) for key in keys if key in known]


def _read_ended(entry: _Entry) -> list[CallEvent]:
    reason = entry.text("reason") or "completed"
    cause, by = _ENDINGS.get(reason, _ENDINGS["completed"])
    return [CarrierEnded(cause=cause, by=by, carrier_code=reason)]


def _read_error(entry: _Entry) -> list[CallEvent]:
    if entry.fields.get("retryable") is True:
        return []
    error = entry.text("error") or "unknown error"
    return [CarrierEnded(cause=EndCause.ERROR, by=EndedBy.CARRIER, carrier_code=error)]


def _read_machine(entry: _Entry) -> list[CallEvent]:
    verdict = entry.text("answeredBy").replace("-", "_")
    known = verdict in set(AnsweredBy)
    answered_by = AnsweredBy(verdict) if known else AnsweredBy.UNKNOWN
    return [MachineDetected(answered_by=answered_by)]


_READERS: dict[str, Callable[[_Entry], list[CallEvent]]] = {
    "call.initiated": _read_initiated,
    "call.ringing": lambda _entry: [Ringing()],
    "call.answered": lambda _entry: [Answered()],
    "call.active": lambda _entry: [Answered()],
    "call.speech": _read_speech,
    "call.dtmf": _read_digits,
    "call.ended": _read_ended,
    "call.error": _read_error,
    "call.amd": _read_machine,
}
"""`call.speaking` and `call.silence` are known but say nothing the machine needs."""
