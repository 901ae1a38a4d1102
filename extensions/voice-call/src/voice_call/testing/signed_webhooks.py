"""A made-up carrier whose webhooks are signed, for tests of whatever carries webhooks.

Bodies are HTML forms with `CallSid`, `CallStatus`, `From`, `Direction`, `EventId` and
`CallId`. The signature is base64 of HMAC-SHA256 over the public URL, a line feed and the
body, in the header `x-test-signature`. Several base64 spellings of one signature are the
same.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from voice_call.call.events import Answered, CarrierEnded, Offered, Ringing
from voice_call.call.model import CallId, CarrierCallId, Direction, EndCause, EndedBy
from voice_call.carriers.base import (
    CarrierNotice,
    ConnectStream,
    HttpResponse,
    Verdict,
)
from voice_call.errors import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_call.call.events import CallEvent
    from voice_call.carriers.base import HttpRequest, PlanStep

__all__ = ["SIGNATURE_HEADER", "SignedWebhooks"]

SIGNATURE_HEADER = "x-test-signature"
_XML = {"content-type": "text/xml"}
_EVENTS: dict[str, CallEvent] = {
    "queued": Offered(),
    "ringing": Ringing(),
    "in-progress": Answered(),
    "completed": CarrierEnded(cause=EndCause.NORMAL, by=EndedBy.REMOTE),
}


class SignedWebhooks:
    """Both sides of the form: the codec, and what the carrier does.

    Args:
        secret: Shared by both sides.

    Attributes:
        verified: How many requests were looked at.
    """

    def __init__(self, secret: bytes = b"a secret for tests") -> None:
        self._secret = secret
        self.verified = 0

    # -- the carrier -------------------------------------------------------------------

    def sign(self, url: str, body: bytes) -> dict[str, str]:
        """Return the headers of a request to a public URL."""
        return {SIGNATURE_HEADER: base64.b64encode(self._mac(url, body)).decode()}

    @staticmethod
    def form(fields: Mapping[str, str]) -> bytes:
        """Return a body."""
        return urlencode(fields).encode()

    # -- the codec ---------------------------------------------------------------------

    @property
    def required_headers(self) -> tuple[tuple[str, ...], ...]:
        """The signature."""
        return ((SIGNATURE_HEADER,),)

    def verify(self, request: HttpRequest, *, now: float) -> Verdict:  # noqa: ARG002 - nothing is timed here
        """Say whether one spelling of the URL was signed."""
        self.verified += 1
        try:
            given = base64.b64decode(request.headers[SIGNATURE_HEADER], altchars=b"-_")
        except (KeyError, ValueError):
            return Verdict(is_genuine=False, reason="no base64")
        for url in (request.url, *request.url_alternatives):
            if hmac.compare_digest(self._mac(url, request.body), given):
                return Verdict(is_genuine=True, request_key=f"test:{given.hex()}")
        return Verdict(is_genuine=False, reason="wrong signature")

    def decode(self, request: HttpRequest, *, request_key: str) -> list[CarrierNotice]:
        """Return what a body reports.

        Raises:
            RemoteProtocolError: It is not a form with `CallSid`.
        """
        fields = dict(parse_qsl(request.body.decode("latin-1")))
        if "CallSid" not in fields:
            raise RemoteProtocolError("The form has no CallSid.")
        return [
            CarrierNotice(
                event=_EVENTS[status],
                carrier_call_id=CarrierCallId(fields["CallSid"]),
                call_id=CallId(fields["CallId"]) if "CallId" in fields else None,
                dedupe_key=f"{fields.get('EventId', request_key)}/{n}",
                direction=Direction(fields.get("Direction", "inbound")),
                from_=fields.get("From"),
                to=fields.get("To"),
            )
            for n, status in enumerate(fields.get("CallStatus", "").split("+"))
            if status in _EVENTS
        ]

    def directs_call(self, request: HttpRequest) -> bool:  # noqa: ARG002 - all do
        """Return True: each of its requests asks what to do."""
        return True

    def respond(
        self,
        request: HttpRequest,  # noqa: ARG002 - the same for every request
        steps: tuple[PlanStep, ...],
    ) -> HttpResponse:
        """Return the steps as XML, an empty answer where there are none."""
        if not steps:
            return HttpResponse(body=b"<Response/>", headers=_XML)
        inner = "".join(
            f"<Stream token='{step.token}'/>"
            if isinstance(step, ConnectStream)
            else f"<{type(step).__name__}/>"
            for step in steps
        )
        return HttpResponse(body=f"<Response>{inner}</Response>".encode(), headers=_XML)

    def _mac(self, url: str, body: bytes) -> bytes:
        return hmac.digest(self._secret, url.encode() + b"\n" + body, hashlib.sha256)
