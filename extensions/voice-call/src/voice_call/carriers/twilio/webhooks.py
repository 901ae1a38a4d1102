"""Twilio's webhooks: whether they are genuine, what they report, how they are answered.

PURE. Twilio sends two kinds to the same URL. A request for instructions is answered with
TwiML; a report (`type=status|amd|stream` in the URLs that we gave out, or a call that is
over) is only acknowledged. Source: Twilio's pages on voice requests, status callbacks,
`<Gather>`, `<Stream>` and answering-machine detection.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from voice_call.call.events import (
    AgentSpeechEnded,
    Answered,
    AnsweredBy,
    CallerSpoke,
    CarrierEnded,
    Dialed,
    DigitPressed,
    MachineDetected,
    Offered,
    Ringing,
    SpeechOutcome,
    StreamClosed,
)
from voice_call.call.model import (
    CallId,
    CarrierCallId,
    Digit,
    Direction,
    EndCause,
    EndedBy,
    StreamId,
)
from voice_call.carriers.base import CarrierNotice, HttpResponse, Verdict
from voice_call.carriers.twilio.signatures import (
    sign,
    signed_text,
    upgrade_url,
    url_variants,
)
from voice_call.carriers.twilio.twiml import (
    ACKNOWLEDGEMENT,
    Callbacks,
    plan_document,
    query_of,
)
from voice_call.errors import InvalidNumber, RemoteProtocolError
from voice_call.phone_numbers import parse_e164

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_call.call.events import CallEvent
    from voice_call.carriers.base import HttpRequest, PlanStep

__all__ = ["ENDINGS", "TwilioWebhooks"]

_SIGNATURE = "x-twilio-signature"
_FORM = "application/x-www-form-urlencoded"
_REPORTS = frozenset({"status", "amd", "stream"})
_CALL_SID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Twilio's are `CA` and 32 hex digits; what matters is that none can change a path."""

ENDINGS: Mapping[str, tuple[EndCause, EndedBy]] = {
    "completed": (EndCause.NORMAL, EndedBy.CARRIER),
    "busy": (EndCause.BUSY, EndedBy.REMOTE),
    "no-answer": (EndCause.NO_ANSWER, EndedBy.CARRIER),
    "failed": (EndCause.FAILED, EndedBy.CARRIER),
    "canceled": (EndCause.CANCELLED, EndedBy.AGENT),
}
"""Each final CallStatus. Twilio does not say who hung up a completed call."""

_DIRECTIONS = {
    "inbound": Direction.INBOUND,
    "outbound-api": Direction.OUTBOUND,
    "outbound-dial": Direction.OUTBOUND,
}
_VERDICTS = {
    "human": AnsweredBy.HUMAN,
    "machine_start": AnsweredBy.MACHINE_GREETING,
    "machine_end_beep": AnsweredBy.MACHINE_BEEP,
    "machine_end_silence": AnsweredBy.MACHINE_BEEP,
    "machine_end_other": AnsweredBy.MACHINE_BEEP,
    "fax": AnsweredBy.FAX,
    "unknown": AnsweredBy.UNKNOWN,
}
_WITHHELD = frozenset(
    {
        "+266696687",  # ANONYMOUS on the keys of a telephone
        "+2562533",  # BLOCKED
        "+7378742833",  # RESTRICTED
        "+86282452253",  # UNAVAILABLE
        "+8656696",  # UNKNOWN
    }
)
"""What Twilio puts in place of a number that the caller hides."""


class TwilioWebhooks:
    """The codec of Twilio's HTTP side."""

    def __init__(self, auth_token: str) -> None:
        """Take the secret that signs: the primary auth token of the account."""
        self._auth_token = auth_token

    @property
    def required_headers(self) -> tuple[tuple[str, ...], ...]:
        """The signature."""
        return ((_SIGNATURE,),)

    # -- genuine or not ----------------------------------------------------------------

    def verify(self, request: HttpRequest, *, now: float) -> Verdict:  # noqa: ARG002 - no time is signed
        """Say whether Twilio signed the request.

        `X-Twilio-Webhooks-Signature-Settings`, which names another key or algorithm, is
        not looked at: it is not signed itself, so it must not choose the judge.
        """
        signature = request.headers.get(_SIGNATURE, "")
        if not signature:
            return Verdict(is_genuine=False, reason="X-Twilio-Signature is missing.")
        fields, fault = _signed_fields(request)
        if fault is not None:
            return Verdict(is_genuine=False, reason=fault)
        for url in (request.url, *request.url_alternatives):
            text = self._matching_text(url, fields, signature)
            if text is not None:
                return Verdict(is_genuine=True, request_key=_request_key(text))
        return Verdict(
            is_genuine=False,
            reason=(
                "X-Twilio-Signature does not match: check twilio.authToken, and that "
                "publicUrl is the URL that Twilio calls."
            ),
        )

    def verify_upgrade(self, url: str, signature: str) -> bool:
        """Say whether Twilio signed the opening of a media socket.

        Args:
            url: The public URL of the socket; its query does not count.
            signature: The header `X-Twilio-Signature` of the opening request.
        """
        return self._matching_text(upgrade_url(url), (), signature) is not None

    def _matching_text(
        self, url: str, fields: tuple[tuple[str, str], ...], signature: str
    ) -> str | None:
        given = signature.encode("utf-8", "surrogatepass")
        for variant in url_variants(url):
            text = signed_text(variant, fields)
            if hmac.compare_digest(sign(self._auth_token, text).encode(), given):
                return text
        return None

    # -- what it reports ---------------------------------------------------------------

    def decode(self, request: HttpRequest, *, request_key: str) -> list[CarrierNotice]:
        """Return what a webhook reports, nothing where its status is not known.

        Raises:
            RemoteProtocolError: It is not a form, or names no call.
        """
        if request.method != "GET" and not _is_form(request):
            raise RemoteProtocolError(
                "A Twilio webhook is a form, and this is not one."
            )
        fields = _fields(request)
        if _CALL_SID.fullmatch(fields.get("CallSid", "")) is None:
            raise RemoteProtocolError("The Twilio webhook names no call in CallSid.")
        report = _Report(
            fields=fields, query=query_of(request.url), request_key=request_key
        )
        return report.notices()

    # -- how it is answered ------------------------------------------------------------

    def directs_call(self, request: HttpRequest) -> bool:
        """Return False for a report, which is only acknowledged."""
        return not _is_report(_fields(request), query_of(request.url))

    def respond(
        self, request: HttpRequest, steps: tuple[PlanStep, ...]
    ) -> HttpResponse:
        """Return TwiML that takes the steps.

        A report is acknowledged, whatever the steps. A request for instructions without
        steps keeps the call as it is, as an empty document would end it.
        """
        body = ACKNOWLEDGEMENT
        if self.directs_call(request):
            call_id = query_of(request.url).get("callId") or None
            callbacks = Callbacks(url=request.url, call_id=call_id)
            body = plan_document(steps, callbacks)
        return HttpResponse(
            body=body.encode(), headers={"content-type": "application/xml"}
        )


# -- requests --------------------------------------------------------------------------


def _is_form(request: HttpRequest) -> bool:
    kind = request.headers.get("content-type", _FORM).partition(";")[0]
    return kind.strip().lower() == _FORM


def _form(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)


def _fields(request: HttpRequest) -> dict[str, str]:
    if request.method == "GET":
        return query_of(request.url)
    return dict(_form(request.body)) if _is_form(request) else {}


def _signed_fields(
    request: HttpRequest,
) -> tuple[tuple[tuple[str, str], ...], str | None]:
    """Return the fields that are signed beside the URL, and what forbids the request.

    The body of a form is signed field by field; of any other body the URL carries the
    hash, and the URL alone is signed.
    """
    if request.method == "GET":
        return (), None
    if _is_form(request):
        return tuple(_form(request.body)), None
    stated = query_of(request.url).get("bodySHA256", "").lower()
    found = hashlib.sha256(request.body).hexdigest()
    if hmac.compare_digest(stated.encode("utf-8", "replace"), found.encode()):
        return (), None
    return (), "The body is not what bodySHA256 in the URL says."


def _request_key(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"twilio:req:{digest}"


def _is_report(fields: Mapping[str, str], query: Mapping[str, str]) -> bool:
    return query.get("type") in _REPORTS or fields.get("CallStatus") in ENDINGS


# -- reports ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """One webhook's fields. Names and values are compared exactly, as Twilio sends them.

    Everything that a notice or its key is made of is signed: the fields and the query.
    """

    fields: Mapping[str, str]
    query: Mapping[str, str]
    request_key: str

    def notices(self) -> list[CarrierNotice]:
        """Return the notices; an ending comes last, after the words before it."""
        found = [
            *self._stream(),
            *self._machine(),
            *self._played(),
            *self._speech(),
            *self._digits(),
        ]
        status = self._status(is_plain=not found)
        is_ending = any(isinstance(event, CarrierEnded) for _, event in status)
        ordered = [*found, *status] if is_ending else [*status, *found]
        return [self._notice(key, event) for key, event in ordered]

    def _notice(self, key: str, event: CallEvent) -> CarrierNotice:
        call_id = self.query.get("callId", "")
        carrier_call_id = self._sid()
        return CarrierNotice(
            event=event,
            carrier_call_id=carrier_call_id,
            call_id=CallId(call_id) if call_id not in ("", carrier_call_id) else None,
            dedupe_key=key,
            direction=self._direction(),
            from_=_number(self.fields.get("From")),
            to=_number(self.fields.get("To")),
        )

    def _sid(self) -> CarrierCallId:
        return CarrierCallId(self.fields["CallSid"])

    def _direction(self) -> Direction | None:
        return _DIRECTIONS.get(self.fields.get("Direction", ""))

    def _once(self, what: str) -> str:
        """A key for what happens once in a call, however often it is reported."""
        return f"twilio:{self._sid()}:{what}"

    # Each reader returns pairs of key and event.

    def _status(self, *, is_plain: bool) -> list[tuple[str, CallEvent]]:
        status = self.fields.get("CallStatus", "")
        is_inbound = self._direction() is Direction.INBOUND
        event: CallEvent
        if status in ENDINGS:
            cause, by = ENDINGS[status]
            event = CarrierEnded(cause=cause, by=by, carrier_code=status)
        elif status == "in-progress":
            event = Answered()
        elif is_inbound and (status == "ringing" or (is_plain and not status)):
            return [(self._once("offered"), Offered())]
        elif status == "ringing":
            event = Ringing()
        elif status == "initiated" and not is_inbound:
            event = Dialed(carrier_call_id=self._sid())
        else:
            return []
        return [(self._once(status), event)]

    def _played(self) -> list[tuple[str, CallEvent]]:
        # Twilio came to the <Redirect> behind the words: they have been heard.
        utterance_id = self.query.get("played", "")
        if not utterance_id:
            return []
        ended = AgentSpeechEnded(
            utterance_id=utterance_id, outcome=SpeechOutcome.PLAYED, heard=""
        )
        return [(self._once(f"played:{utterance_id}"), ended)]

    def _speech(self) -> list[tuple[str, CallEvent]]:
        words = self.fields.get("SpeechResult", "").strip()
        if not words:
            return []
        spoken = CallerSpoke(
            utterance_id=self.request_key,
            text=words,
            confidence=_confidence(self.fields.get("Confidence", "")),
            turn_token=self.query.get("turnToken") or None,
        )
        return [(f"{self.request_key}:speech", spoken)]

    def _digits(self) -> list[tuple[str, CallEvent]]:
        known = {digit.value for digit in Digit}
        keys = [key for key in self.fields.get("Digits", "") if key in known]
        return [
            (f"{self.request_key}:key:{n}", DigitPressed(digit=Digit(key)))
            for n, key in enumerate(keys)
        ]

    def _machine(self) -> list[tuple[str, CallEvent]]:
        said = self.fields.get("AnsweredBy", "")
        if said not in _VERDICTS:
            return []
        detected = MachineDetected(answered_by=_VERDICTS[said])
        return [(self._once(f"answered-by:{said}"), detected)]

    def _stream(self) -> list[tuple[str, CallEvent]]:
        # That a stream opened is known from its socket, which brings the token.
        stream_id = self.fields.get("StreamSid", "")
        what = self.fields.get("StreamEvent", "")
        if not stream_id or what not in ("stream-stopped", "stream-error"):
            return []
        closed = StreamClosed(stream_id=StreamId(stream_id))
        return [(self._once(f"{what}:{stream_id}"), closed)]


def _number(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        number = parse_e164(value)
    except InvalidNumber:  # `anonymous`, a SIP address, a client name
        return ""
    return "" if number in _WITHHELD else number


def _confidence(value: str) -> float | None:
    try:
        confidence = float(value)
    except ValueError:
        return None
    return confidence if 0 <= confidence <= 1 else None
