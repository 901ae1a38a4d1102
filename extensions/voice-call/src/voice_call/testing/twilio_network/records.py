"""What the network remembers, for assertions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "Attempt",
    "CallStatus",
    "HeardText",
    "NetworkError",
    "RestRequest",
    "WebhookDelivery",
    "WebhookKind",
]


class CallStatus(StrEnum):
    """`status` of a Call resource, in Twilio's words."""

    QUEUED = "queued"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    FAILED = "failed"
    NO_ANSWER = "no-answer"
    CANCELED = "canceled"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return self not in {self.QUEUED, self.RINGING, self.IN_PROGRESS}


class WebhookKind(StrEnum):
    """What a webhook is for."""

    VOICE = "voice"
    """Asks for TwiML: `Url`, an `action`, a `<Redirect>`, a fallback."""
    STATUS = "status"
    AMD = "amd"
    STREAM = "stream"
    PARTIAL = "partial"
    RECORDING = "recording"
    MEDIA = "media"
    """Fetches what `<Play>` plays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestRequest:
    """A REST request of the program under test.

    Attributes:
        form: Its fields in their order; of a GET, its query.
        status: What it was answered with; None where the answer was withheld.
        at: When it came, in seconds since 1970.
    """

    method: str
    path: str
    form: tuple[tuple[str, str], ...]
    status: int | None
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to deliver a webhook.

    Attributes:
        status: HTTP status of the answer, None without one.
        error: Twilio's error number, None for a 2xx.
        started_at: Seconds since 1970.
        duration_s: Seconds to the whole answer, or to the failure.
    """

    status: int | None
    error: int | None
    body: str
    content_type: str
    started_at: float
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDelivery:
    """A webhook with everything that became of it.

    Attributes:
        url: As signed, without its fragment.
        params: The fields that were sent, in the form or in the query of a GET.
        attempts: Every try; empty where a fault lost the webhook.
    """

    kind: WebhookKind
    call_sid: str
    method: str
    url: str
    params: dict[str, str]
    headers: dict[str, str]
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardText:
    """Words that the carrier's own voice said.

    Attributes:
        duration_s: How long they were heard; less than the whole when cut off.
        is_complete: Whether they were heard to the end.
    """

    text: str
    voice: str
    language: str
    started_at: float
    duration_s: float
    is_complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkError:
    """An entry of what Twilio's console calls the error log.

    Attributes:
        code: Twilio's number.
    """

    code: int
    message: str
    call_sid: str
    at: float
