"""What a REST form asks for, or why it is refused. PURE.

Source: Twilio's OpenAPI document of API 2010-04-01, and its error dictionary for the
numbers. Names that the document does not have are refused, although Twilio ignores
them: they are mistakes of the program under test.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "AmdOrder",
    "Application",
    "CallOrder",
    "CallUpdate",
    "Instructions",
    "Refusal",
    "StatusOrder",
    "read_call_order",
    "read_call_update",
]

Form = tuple[tuple[str, str], ...]

MAX_TWIML_CHARACTERS = 4000
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_SEND_DIGITS = re.compile(r"[0-9A-D#*wW]{1,32}")
_EVENTS = {"initiated", "ringing", "answered", "completed"}
_METHODS = {"GET", "POST"}
_CREATE_NAMES = frozenset(
    [
        "To",
        "From",
        "Method",
        "FallbackUrl",
        "FallbackMethod",
        "StatusCallback",
        "StatusCallbackEvent",
        "StatusCallbackMethod",
        "SendDigits",
        "Timeout",
        "Record",
        "RecordingChannels",
        "RecordingStatusCallback",
        "RecordingStatusCallbackMethod",
        "RecordingStatusCallbackEvent",
        "SipAuthUsername",
        "SipAuthPassword",
        "MachineDetection",
        "MachineDetectionTimeout",
        "Trim",
        "CallerId",
        "MachineDetectionSpeechThreshold",
        "MachineDetectionSpeechEndThreshold",
        "MachineDetectionSilenceTimeout",
        "AsyncAmd",
        "AsyncAmdStatusCallback",
        "AsyncAmdStatusCallbackMethod",
        "Byoc",
        "CallReason",
        "CallToken",
        "RecordingTrack",
        "TimeLimit",
        "ClientNotificationUrl",
        "Url",
        "Twiml",
        "ApplicationSid",
    ]
)
_UPDATE_NAMES = frozenset(
    [
        "Url",
        "Method",
        "Status",
        "FallbackUrl",
        "FallbackMethod",
        "StatusCallback",
        "StatusCallbackMethod",
        "Twiml",
        "TimeLimit",
    ]
)
_REPEATABLE = {"StatusCallbackEvent", "RecordingStatusCallbackEvent"}


class Refusal(Exception):
    """Raised for a request that Twilio answers with an error.

    Attributes:
        status: HTTP status.
        code: Twilio's error number.
    """

    def __init__(self, code: int, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Instructions:
    """Where a call's TwiML comes from: a URL or the document itself.

    Attributes:
        url: Absolute; None where `twiml` has the document.
        fallback_url: Asked when `url` fails.
    """

    url: str | None = None
    method: str = "POST"
    twiml: str | None = None
    fallback_url: str | None = None
    fallback_method: str = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusOrder:
    """Which progress events are reported, and where."""

    url: str | None = None
    method: str = "POST"
    events: frozenset[str] = frozenset({"completed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AmdOrder:
    """Answering-machine detection.

    Attributes:
        waits_for_end: `DetectMessageEnd`: a machine's greeting is heard to its end.
        timeout_s: Then the verdict is `unknown`.
        is_async: The call goes on meanwhile, and `url` is told the verdict.
    """

    waits_for_end: bool
    timeout_s: float
    is_async: bool
    url: str | None
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A TwiML application that `ApplicationSid` can name."""

    instructions: Instructions
    status: StatusOrder = StatusOrder()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOrder:
    """An accepted request for a call.

    Attributes:
        timeout_s: Ring timeout.
        time_limit_s: Of the answered call; None for the account's own limit.
        recording_url: Where a finished recording is reported.
    """

    to: str
    from_: str
    instructions: Instructions
    status: StatusOrder
    timeout_s: float = 60.0
    time_limit_s: float | None = None
    send_digits: str = ""
    amd: AmdOrder | None = None
    records: bool = False
    recording_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallUpdate:
    """An accepted change of a call."""

    instructions: Instructions | None
    status: str | None
    time_limit_s: float | None
    status_callback: str | None


def read_call_order(
    form: Form, *, applications: Mapping[str, Application]
) -> CallOrder:
    """Read the form of `POST Calls.json`.

    Where `Url` and `Twiml` are both given, `Twiml` is ignored, as documented.

    Raises:
        Refusal: With Twilio's number.
    """
    fields = _read_fields(form, _CREATE_NAMES)
    _require_number(fields.get("To"), missing=21201, invalid=21211, name="To")
    _require_number(fields.get("From"), missing=21213, invalid=21212, name="From")
    digits = fields.get("SendDigits", "")
    if digits and not _SEND_DIGITS.fullmatch(digits):
        raise Refusal(21223, "Invalid SendDigits")  # number from memory
    sid = fields.get("ApplicationSid")
    if sid is not None:
        if sid not in applications:
            raise Refusal(21218, f"Invalid ApplicationSid {sid}")
        instructions, status = applications[sid].instructions, applications[sid].status
    else:
        instructions = _read_instructions(fields, required=True)
        status = _read_status(fields, form)
    return CallOrder(
        to=fields["To"],
        from_=fields["From"],
        instructions=instructions,
        status=status,
        timeout_s=_read_number(fields, "Timeout", default=60, low=0, high=600),
        time_limit_s=_read_number(fields, "TimeLimit", default=0, low=1, high=86400)
        or None,
        send_digits=digits,
        amd=None if digits else _read_amd(fields),
        records=fields.get("Record") == "true",
        recording_url=_read_url(fields, "RecordingStatusCallback"),
    )


def read_call_update(form: Form) -> CallUpdate:
    """Read the form of `POST Calls/{Sid}.json`.

    Raises:
        Refusal: With Twilio's number.
    """
    fields = _read_fields(form, _UPDATE_NAMES)
    status = fields.get("Status")
    if status not in {None, "canceled", "completed"}:
        raise Refusal(20001, f"Invalid Status {status}")
    if "Url" in fields and "Twiml" in fields:
        raise Refusal(20001, "Url and Twiml are mutually exclusive")
    has_instructions = "Url" in fields or "Twiml" in fields
    return CallUpdate(
        instructions=_read_instructions(fields, required=True)
        if has_instructions
        else None,
        status=status,
        time_limit_s=_read_number(fields, "TimeLimit", default=0, low=1, high=86400)
        or None,
        status_callback=_read_url(fields, "StatusCallback"),
    )


def _read_fields(form: Form, names: Iterable[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in form:
        if name not in names:
            raise Refusal(20001, f"There is no parameter {name}")
        if name in fields and name not in _REPEATABLE:
            raise Refusal(20001, f"Parameter {name} is given twice")
        fields[name] = value
    for name, value in fields.items():
        if name.endswith("Method") and value not in _METHODS:
            raise Refusal(20001, f"Invalid {name}: GET or POST")
    return fields


def _require_number(
    value: str | None, *, missing: int, invalid: int, name: str
) -> None:
    if not value:
        raise Refusal(missing, f"No '{name}' number is specified")
    if not _E164.fullmatch(value):
        raise Refusal(invalid, f"The '{name}' number is not a valid phone number")


def _read_instructions(fields: Mapping[str, str], *, required: bool) -> Instructions:
    url = _read_url(fields, "Url")
    twiml = fields.get("Twiml") if url is None else None
    if required and url is None and not twiml:
        raise Refusal(21205, "Url parameter is required.")
    if twiml is not None and len(twiml) > MAX_TWIML_CHARACTERS:
        raise Refusal(32018, "Twiml is longer than 4000 characters")
    return Instructions(
        url=url,
        method=fields.get("Method", "POST"),
        twiml=twiml,
        fallback_url=_read_url(fields, "FallbackUrl"),
        fallback_method=fields.get("FallbackMethod", "POST"),
    )


def _read_status(fields: Mapping[str, str], form: Form) -> StatusOrder:
    events = frozenset(value for name, value in form if name == "StatusCallbackEvent")
    if not events <= _EVENTS:
        raise Refusal(21626, f"Invalid StatusCallbackEvent {sorted(events - _EVENTS)}")
    return StatusOrder(
        url=_read_url(fields, "StatusCallback"),
        method=fields.get("StatusCallbackMethod", "POST"),
        events=events or frozenset({"completed"}),
    )


def _read_amd(fields: Mapping[str, str]) -> AmdOrder | None:
    mode = fields.get("MachineDetection")
    if mode is None:
        return None
    if mode not in {"Enable", "DetectMessageEnd"}:
        raise Refusal(20001, f"Invalid MachineDetection {mode}")
    for name, low, high in (
        ("MachineDetectionSpeechThreshold", 1000, 6000),
        ("MachineDetectionSpeechEndThreshold", 500, 5000),
        ("MachineDetectionSilenceTimeout", 2000, 10000),
    ):
        _read_number(fields, name, default=low, low=low, high=high)
    return AmdOrder(
        waits_for_end=mode == "DetectMessageEnd",
        timeout_s=_read_number(
            fields, "MachineDetectionTimeout", default=30, low=3, high=59
        ),
        is_async=fields.get("AsyncAmd") == "true",
        url=_read_url(fields, "AsyncAmdStatusCallback"),
        method=fields.get("AsyncAmdStatusCallbackMethod", "POST"),
    )


def _read_url(fields: Mapping[str, str], name: str) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    parts = urlsplit(value)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host or "_" in host or " " in value:
        code = 21205 if name == "Url" else 21609
        raise Refusal(code, f"{name} is not a valid URL")
    return value


def _read_number(
    fields: Mapping[str, str], name: str, *, default: int, low: int, high: int
) -> float:
    text = fields.get(name)
    if text is None:
        return float(default)
    if not text.isdecimal() or not low <= int(text) <= high:
        raise Refusal(20001, f"{name} must be a number from {low} to {high}")
    return float(text)
