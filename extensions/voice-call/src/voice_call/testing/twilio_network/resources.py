"""The REST bodies. PURE.

Source: Twilio's OpenAPI document of API 2010-04-01: fields, types, RFC 2822 dates, and
numbers that are strings.
"""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voice_call.testing.twilio_network.phone_call import PhoneCall, Recording
    from voice_call.testing.twilio_network.stream import MediaStream

__all__ = [
    "API_VERSION",
    "call_resource",
    "error_body",
    "page_of_calls",
    "recording_resource",
    "rfc_2822",
    "stream_resource",
]

API_VERSION = "2010-04-01"
_SUBRESOURCES = [
    "notifications",
    "recordings",
    "payments",
    "events",
    "siprec",
    "streams",
    "transcriptions",
    "user_defined_message_subscriptions",
    "user_defined_messages",
]


def rfc_2822(at: float | None) -> str | None:
    """Return a time as REST and callbacks write it; None for None."""
    return None if at is None else formatdate(at, usegmt=False, localtime=False)


def error_body(code: int, message: str, *, status: int) -> dict[str, Any]:
    """Return the body of an error."""
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    return {"code": code, "message": message, "more_info": more_info, "status": status}


def call_resource(call: PhoneCall) -> dict[str, Any]:
    """Return a Call."""
    base = f"/{API_VERSION}/Accounts/{call.account_sid}/Calls/{call.sid}"
    duration = call.duration_s
    return {
        "sid": call.sid,
        "date_created": rfc_2822(call.created_at),
        "date_updated": rfc_2822(call.updated_at or call.created_at),
        "parent_call_sid": None,
        "account_sid": call.account_sid,
        "to": call.to,
        "to_formatted": _format_number(call.to),
        "from": call.from_,
        "from_formatted": _format_number(call.from_),
        "phone_number_sid": "PN" + call.sid[2:],
        "status": str(call.status),
        "start_time": rfc_2822(call.dialed_at),
        "end_time": rfc_2822(call.ended_at),
        "duration": None if duration is None else str(round(duration)),
        "price": None,
        "price_unit": "USD",
        "direction": call.direction,
        "answered_by": call.answered_by,
        "api_version": API_VERSION,
        "forwarded_from": None,
        "group_sid": None,
        "caller_name": None,
        "queue_time": str(round(1000 * ((call.dialed_at or 0) - call.created_at)))
        if call.dialed_at
        else "0",
        "trunk_sid": None,
        "uri": base + ".json",
        "subresource_uris": {
            name: f"{base}/{_camel(name)}.json" for name in _SUBRESOURCES
        },
    }


def page_of_calls(
    calls: list[PhoneCall], *, uri: str, query: str, page: int, page_size: int
) -> dict[str, Any]:
    """Return one page of a list, newest call first."""
    first = page * page_size
    shown = calls[first : first + page_size]

    def link(number: int) -> str:
        rest = f"&{query}" if query else ""
        return f"{uri}?PageSize={page_size}&Page={number}{rest}"

    return {
        "calls": [call_resource(call) for call in shown],
        "end": max(0, first + len(shown) - 1),
        "first_page_uri": link(0),
        "next_page_uri": link(page + 1) if first + page_size < len(calls) else None,
        "page": page,
        "page_size": page_size,
        "previous_page_uri": link(page - 1) if page else None,
        "start": first,
        "uri": link(page),
    }


def recording_resource(call: PhoneCall, recording: Recording) -> dict[str, Any]:
    """Return a Recording of a call."""
    base = f"/{API_VERSION}/Accounts/{call.account_sid}/Calls/{call.sid}"
    ended = recording.ended_at
    length = None if ended is None else str(round(ended - recording.started_at))
    return {
        "account_sid": call.account_sid,
        "api_version": API_VERSION,
        "call_sid": call.sid,
        "conference_sid": None,
        "date_created": rfc_2822(recording.started_at),
        "date_updated": rfc_2822(ended or recording.started_at),
        "start_time": rfc_2822(recording.started_at),
        "duration": length,
        "sid": recording.sid,
        "price": None,
        "uri": f"{base}/Recordings/{recording.sid}.json",
        "encryption_details": None,
        "price_unit": "USD",
        "status": recording.status,
        "channels": recording.channels,
        "source": recording.source,
        "error_code": None,
        "track": recording.track,
    }


def stream_resource(stream: MediaStream, *, updated_at: float) -> dict[str, Any]:
    """Return a Stream of a call."""
    call = stream.call
    base = f"/{API_VERSION}/Accounts/{call.account_sid}/Calls/{call.sid}"
    return {
        "sid": stream.sid,
        "account_sid": call.account_sid,
        "call_sid": call.sid,
        "name": stream.order.name or None,
        "status": "stopped" if stream.is_over else "in-progress",
        "date_updated": rfc_2822(updated_at),
        "uri": f"{base}/Streams/{stream.sid}.json",
    }


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _format_number(number: str) -> str:
    if number.startswith("+1") and len(number) == 12:  # noqa: PLR2004 - +1 and ten digits
        return f"({number[2:5]}) {number[5:8]}-{number[8:]}"
    return number
