"""What can be made to go wrong, and how often. PURE.

A fault is taken by the first request or webhook that it fits, and by as many as `times`
says; then it is used up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_call.testing.twilio_network.records import WebhookKind

__all__ = ["Faults", "RestFault", "RestFaultKind", "WebhookFault"]


class RestFaultKind(StrEnum):
    """How a REST request fails."""

    ERROR = "error"
    """Answered with `status`, and nothing done."""
    NO_ANSWER = "no-answer"
    """Nothing done and no answer, until the client gives up."""
    LOST_ANSWER = "lost-answer"
    """Done, but the answer is withheld: the reason to look before dialling again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestFault:
    """Spoil a REST request.

    Attributes:
        method: Which requests; None for any.
        path_part: Which requests, by a part of their path.
        status: HTTP status of an error.
        code: Twilio's error number; by itself 20429 for 429, 20500 above.
        retry_after_s: Adds a `Retry-After` header.
        times: How many requests, at most.
    """

    kind: RestFaultKind = RestFaultKind.ERROR
    method: str | None = None
    path_part: str = ""
    status: int = 500
    code: int | None = None
    retry_after_s: int | None = None
    times: int = 1

    def fits(self, method: str, path: str) -> bool:
        """Whether it is meant for this request."""
        return self.method in {None, method} and self.path_part in path


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookFault:
    """Spoil a webhook.

    Attributes:
        kind: Which webhooks; None for any.
        call_status: Which webhooks, by their `CallStatus`; None for any.
        is_lost: It is never sent. One that asks for TwiML counts as a failed connection.
        copies: How often it is sent, with the same idempotency token.
        delay_s: So many seconds late; later status callbacks overtake it.
        times: How many webhooks, at most.
    """

    kind: WebhookKind | None = None
    call_status: str | None = None
    is_lost: bool = False
    copies: int = 1
    delay_s: float = 0.0
    times: int = 1

    def fits(self, kind: WebhookKind, params: Mapping[str, str]) -> bool:
        """Whether it is meant for this webhook."""
        status = params.get("CallStatus")
        return self.kind in {None, kind} and self.call_status in {None, status}


@dataclass(slots=True)
class Faults:
    """The faults that wait for their request or webhook."""

    _rest: list[tuple[RestFault, int]] = field(default_factory=list)
    _webhooks: list[tuple[WebhookFault, int]] = field(default_factory=list)

    def add(self, fault: RestFault | WebhookFault) -> None:
        """Let a fault wait for what it fits."""
        if isinstance(fault, RestFault):
            self._rest.append((fault, fault.times))
        else:
            self._webhooks.append((fault, fault.times))

    def clear(self) -> None:
        """Forget every fault that still waits."""
        self._rest.clear()
        self._webhooks.clear()

    def take_rest(self, method: str, path: str) -> RestFault | None:
        """Take the first fault that fits a request."""
        for index, (fault, left) in enumerate(self._rest):
            if fault.fits(method, path):
                self._rest[index : index + 1] = [(fault, left - 1)] * (left > 1)
                return fault
        return None

    def take_webhook(
        self, kind: WebhookKind, params: Mapping[str, str]
    ) -> WebhookFault | None:
        """Take the first fault that fits a webhook."""
        for index, (fault, left) in enumerate(self._webhooks):
            if fault.fits(kind, params):
                self._webhooks[index : index + 1] = [(fault, left - 1)] * (left > 1)
                return fault
        return None
