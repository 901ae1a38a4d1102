"""Twilio Media Streams: JSON text messages of one media socket, both directions.

PURE. Source: Twilio's page on Media Streams WebSocket messages. Audio is Base64 of raw
G.711 µ-law at 8 kHz. Numbers come as strings; none of them is needed here, as messages
arrive in order over one socket.
"""

from __future__ import annotations

import binascii
import functools
from typing import TYPE_CHECKING, TypeVar, assert_never

import msgspec

from voice_call.call.model import CarrierCallId, Digit, StreamId
from voice_call.carriers.base import (
    StreamAudio,
    StreamDigit,
    StreamMark,
    StreamStarted,
    StreamStopped,
)
from voice_call.errors import RemoteProtocolError
from voice_call.media.audio import ClearAudio, SendAudio, SendMark

if TYPE_CHECKING:
    from voice_call.carriers.base import StreamEvent
    from voice_call.media.audio import StreamCommand

__all__ = ["TwilioStreams"]

_ENCODING = "audio/x-mulaw"
_Part = TypeVar("_Part")
_DIGITS = {digit.value: digit for digit in Digit}


class _Media(msgspec.Struct):
    payload: bytes  # Base64 is decoded by msgspec, inside the one pass
    track: str = "inbound"


class _Format(msgspec.Struct, rename="camel"):
    encoding: str = _ENCODING
    sample_rate: int | str = 8000


class _Start(msgspec.Struct, rename="camel"):
    call_sid: str
    stream_sid: str
    media_format: _Format = msgspec.field(default_factory=_Format)
    custom_parameters: dict[str, object] = msgspec.field(default_factory=dict)


class _Mark(msgspec.Struct):
    name: str


class _Key(msgspec.Struct):
    digit: str


class _Message(msgspec.Struct):
    event: str
    media: _Media | None = None
    start: _Start | None = None
    mark: _Mark | None = None
    dtmf: _Key | None = None


_decode = msgspec.json.Decoder(_Message).decode


class TwilioStreams:
    """The codec of Twilio's media socket."""

    def decode(self, message: bytes) -> StreamEvent | None:
        """Return what a message says, None if it says nothing of interest.

        Raises:
            RemoteProtocolError: It is not JSON of the documented form, or carries audio
                of another format.
        """
        try:
            read = _decode(message)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
            raise RemoteProtocolError(
                "A message of the Twilio stream is malformed."
            ) from fault
        match read.event:
            case "media":
                return _audio(_present(read.media, "media"))
            case "mark":
                return StreamMark(name=_present(read.mark, "mark").name)
            case "dtmf":
                return _key(_present(read.dtmf, "dtmf"))
            case "start":
                return _started(_present(read.start, "start"))
            case "stop":
                return StreamStopped()
            case _:  # `connected`, and whatever Twilio may add
                return None

    def encode(self, command: StreamCommand, *, stream_id: StreamId) -> bytes:
        """Return the message that carries out a command."""
        media, mark, clear = _prefixes(stream_id)
        match command:
            case SendAudio():
                audio = binascii.b2a_base64(command.payload, newline=False)
                return b"".join((media, audio, b'"}}'))
            case SendMark():
                return b"".join((mark, msgspec.json.encode(command.name), b"}}"))
            case ClearAudio():
                return clear
            case _:
                assert_never(command)


@functools.lru_cache(maxsize=4096)
def _prefixes(stream_id: StreamId) -> tuple[bytes, bytes, bytes]:
    """Return the beginnings of media and mark, and the whole of clear."""
    sid = msgspec.json.encode(stream_id)
    return (
        b'{"event":"media","streamSid":' + sid + b',"media":{"payload":"',
        b'{"event":"mark","streamSid":' + sid + b',"mark":{"name":',
        b'{"event":"clear","streamSid":' + sid + b"}",
    )


def _present(part: _Part | None, name: str) -> _Part:
    if part is None:
        raise RemoteProtocolError(f"A {name} message of the Twilio stream lacks it.")
    return part


def _audio(media: _Media) -> StreamAudio | None:
    if media.track != "inbound":  # our own voice, never asked for
        return None
    return StreamAudio(payload=media.payload) if media.payload else None


def _key(key: _Key) -> StreamDigit:
    digit = _DIGITS.get(key.digit)
    if digit is None:
        raise RemoteProtocolError("The Twilio stream reports a key that none has.")
    return StreamDigit(digit=digit)


def _started(start: _Start) -> StreamStarted:
    if not start.call_sid or not start.stream_sid:
        raise RemoteProtocolError("The Twilio stream does not say whose it is.")
    wire = start.media_format
    if wire.encoding != _ENCODING or str(wire.sample_rate) != "8000":
        raise RemoteProtocolError("The Twilio stream is not µ-law at 8 kHz.")
    token = start.custom_parameters.get("token")
    return StreamStarted(
        stream_id=StreamId(start.stream_sid),
        carrier_call_id=CarrierCallId(start.call_sid),
        token=token if isinstance(token, str) else None,
    )
