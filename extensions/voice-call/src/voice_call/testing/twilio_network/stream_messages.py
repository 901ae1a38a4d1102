"""The messages of a media stream, both ways. PURE.

Source: Twilio's "Media Streams - WebSocket messages" page. Numbers that count are
strings; rates and channels are numbers. Errors 31950 and 31951 as in its dictionary.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voice_call.media.audio import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ClearMessage",
    "InvalidMessage",
    "MarkMessage",
    "MediaMessage",
    "MessageWriter",
    "ServerMessage",
    "read_message",
]


class InvalidMessage(ValueError):
    """Raised for what the protocol does not allow; says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaMessage:
    """The server wants audio to be played."""

    audio: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkMessage:
    """The server wants to know when playback gets here."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearMessage:
    """The server wants what is not played yet to be dropped."""


ServerMessage = MediaMessage | MarkMessage | ClearMessage

_SHAPES = {
    "media": ({"event", "streamSid", "media"}, "media", "payload"),
    "mark": ({"event", "streamSid", "mark"}, "mark", "name"),
    "clear": ({"event", "streamSid"}, None, None),
}


def read_message(text: str, *, stream_sid: str) -> ServerMessage:
    """Read a message of the server's side.

    Raises:
        InvalidMessage: Not JSON, an unknown event, a field too many or too few, a wrong
            type, another stream's id, or a payload that is not base64.
    """
    message = _read_json(text)
    event = message.get("event")
    if not isinstance(event, str) or event not in _SHAPES:
        raise InvalidMessage(f"unknown event {event!r}")
    fields, member, leaf = _SHAPES[event]
    if set(message) != fields:
        raise InvalidMessage(f"{event} has the fields {sorted(message)}")
    if message["streamSid"] != stream_sid:
        raise InvalidMessage(f"{event} names another stream")
    if member is None or leaf is None:
        return ClearMessage()
    body = message[member]
    if not isinstance(body, dict) or set(body) != {leaf}:
        raise InvalidMessage(f"{event}.{member} must have the field {leaf} alone")
    value = body[leaf]
    if not isinstance(value, str):
        raise InvalidMessage(f"{event}.{member}.{leaf} must be a string")
    return MarkMessage(name=value) if event == "mark" else _read_media(value)


def _read_json(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except ValueError as error:
        raise InvalidMessage("not JSON") from error
    if not isinstance(message, dict):
        raise InvalidMessage("not a JSON object")
    return message


def _read_media(payload: str) -> MediaMessage:
    try:
        return MediaMessage(audio=base64.b64decode(payload, validate=True))
    except (binascii.Error, ValueError) as error:
        raise InvalidMessage("media.payload is not base64") from error


@dataclass(slots=True, kw_only=True)
class MessageWriter:
    """Writes the carrier's side of one stream, and counts as it goes.

    Attributes:
        chunks: Media messages by track; `chunk` and `timestamp` count each track alone.
    """

    account_sid: str
    call_sid: str
    stream_sid: str
    sequence_number: int = 0
    chunks: dict[str, int] = field(default_factory=dict)

    def connected(self) -> str:
        """Write the first message of a connection."""
        return _dump({"event": "connected", "protocol": "Call", "version": "1.0.0"})

    def start(self, *, tracks: list[str], parameters: Mapping[str, str]) -> str:
        """Write what the stream is about."""
        return self._numbered(
            "start",
            start={
                "accountSid": self.account_sid,
                "streamSid": self.stream_sid,
                "callSid": self.call_sid,
                "tracks": tracks,
                "mediaFormat": {
                    "encoding": "audio/x-mulaw",
                    "sampleRate": SAMPLE_RATE_HZ,
                    "channels": 1,
                },
                "customParameters": dict(parameters),
            },
        )

    def media(self, frame: bytes, *, track: str) -> str:
        """Write one frame of 20 ms."""
        chunk = self.chunks[track] = self.chunks.get(track, 0) + 1
        return self._numbered(
            "media",
            media={
                "track": track,
                "chunk": str(chunk),
                "timestamp": str((chunk - 1) * 20),
                "payload": base64.b64encode(frame).decode(),
            },
        )

    def mark(self, name: str) -> str:
        """Write that playback has reached a mark."""
        return self._numbered("mark", mark={"name": name})

    def dtmf(self, digit: str) -> str:
        """Write that a key was pressed."""
        return self._numbered("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def stop(self) -> str:
        """Write that the stream is over."""
        return self._numbered(
            "stop", stop={"accountSid": self.account_sid, "callSid": self.call_sid}
        )

    def _numbered(self, event: str, **body: dict[str, Any]) -> str:
        self.sequence_number += 1
        return _dump(
            {
                "event": event,
                "sequenceNumber": str(self.sequence_number),
                **body,
                "streamSid": self.stream_sid,
            }
        )


def _dump(message: dict[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"))
