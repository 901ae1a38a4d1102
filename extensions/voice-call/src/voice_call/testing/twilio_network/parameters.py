"""The fields of webhooks. PURE.

Source: Twilio's "TwiML voice: request parameters" and "Call progress events" pages.
Fields that are known to be sent empty are sent empty: they are signed all the same.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from voice_call.testing.twilio_network.records import CallStatus
from voice_call.testing.twilio_network.resources import API_VERSION, rfc_2822

if TYPE_CHECKING:
    from voice_call.testing.twilio_network.phone_call import PhoneCall, Recording
    from voice_call.testing.twilio_network.stream import MediaStream

__all__ = [
    "amd_params",
    "recording_params",
    "status_params",
    "stream_params",
    "voice_params",
]

_PLACES = ("City", "State", "Zip", "Country")
_SIP_CODES = {
    CallStatus.COMPLETED: "200",
    CallStatus.BUSY: "486",
    CallStatus.NO_ANSWER: "487",
    CallStatus.CANCELED: "487",
    CallStatus.FAILED: "404",
}


def voice_params(call: PhoneCall, *, call_status: str | None = None) -> dict[str, str]:
    """Return what every webhook about a call says of it.

    Args:
        call: The call.
        call_status: What to report instead of its present status.
    """
    params = {
        "CallSid": call.sid,
        "AccountSid": call.account_sid,
        "From": call.from_,
        "To": call.to,
        "Caller": call.from_,
        "Called": call.to,
        "CallStatus": call_status or str(call.status),
        "ApiVersion": API_VERSION,
        "Direction": call.direction,
    }
    for side in ("From", "To", "Caller", "Called"):
        params |= {side + place: "" for place in _PLACES}
        params[side + "Country"] = "US"
    if call.answered_by is not None:
        params["AnsweredBy"] = call.answered_by
    if call.direction == "inbound":
        params["StirVerstat"] = "TN-Validation-Passed-A"
    return params


def status_params(
    call: PhoneCall, *, call_status: str, number: int, at: float
) -> dict[str, str]:
    """Return a progress event: event `number` of its call, from 0."""
    params = voice_params(call, call_status=call_status)
    params["CallbackSource"] = "call-progress-events"
    params["SequenceNumber"] = str(number)
    params["Timestamp"] = rfc_2822(at) or ""
    if call.status.is_final:
        duration = call.duration_s or 0.0
        params["CallDuration"] = str(round(duration))
        params["Duration"] = str(math.ceil(duration / 60))
        params["SipResponseCode"] = _SIP_CODES[call.status]
    return params


def amd_params(call: PhoneCall, *, verdict: str, duration_s: float) -> dict[str, str]:
    """Return the verdict of asynchronous answering-machine detection."""
    return {
        "CallSid": call.sid,
        "AccountSid": call.account_sid,
        "AnsweredBy": verdict,
        "MachineDetectionDuration": str(round(duration_s * 1000)),
    }


def stream_params(
    stream: MediaStream, *, event: str, at: float, error: str | None = None
) -> dict[str, str]:
    """Return `stream-started`, `stream-stopped` or `stream-error`."""
    params = {
        "AccountSid": stream.call.account_sid,
        "CallSid": stream.call.sid,
        "StreamSid": stream.sid,
        "StreamEvent": event,
        "StreamName": stream.order.name or stream.sid,
        "Timestamp": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
    }
    if error is not None:
        params["StreamError"] = error
    return params


def recording_params(call: PhoneCall, recording: Recording) -> dict[str, str]:
    """Return what is said of a finished recording."""
    ended_at = recording.ended_at or recording.started_at
    return {
        "AccountSid": call.account_sid,
        "CallSid": call.sid,
        "RecordingSid": recording.sid,
        "RecordingStatus": recording.status,
        "RecordingDuration": str(round(ended_at - recording.started_at)),
        "RecordingChannels": str(recording.channels),
        "RecordingSource": recording.source,
        "RecordingStartTime": rfc_2822(recording.started_at) or "",
    }
