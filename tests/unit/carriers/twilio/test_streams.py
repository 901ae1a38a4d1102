"""Messages of Twilio's media socket, in both directions."""

from __future__ import annotations

import json

import pytest

from voice_call.call.model import CarrierCallId, Digit, StreamId
from voice_call.carriers.base import (
    StreamAudio,
    StreamDigit,
    StreamEvent,
    StreamMark,
    StreamStarted,
    StreamStopped,
)
from voice_call.carriers.twilio.streams import TwilioStreams
from voice_call.errors import RemoteProtocolError
from voice_call.media.audio import ClearAudio, SendAudio, SendMark, StreamCommand

CODEC = TwilioStreams()
STREAM = StreamId("MZ1")


OTHER_ENCODING = (
    b'{"event":"start","start":{"callSid":"a","streamSid":"b",'
    b'"mediaFormat":{"encoding":"audio/x-l16"}}}'
)
OTHER_RATE = (
    b'{"event":"start","start":{"callSid":"a","streamSid":"b",'
    b'"mediaFormat":{"sampleRate":16000}}}'
)


def decode(**message: object) -> StreamEvent | None:
    return CODEC.decode(json.dumps(message).encode())


def start(**changes: object) -> dict[str, object]:
    return {"callSid": "CA1", "streamSid": "MZ1", **changes}


# -- towards us ------------------------------------------------------------------------


def test_a_start_names_its_call_and_brings_its_token() -> None:
    event = decode(
        event="start",
        sequenceNumber="1",
        start=start(
            accountSid="AC1",
            tracks=["inbound"],
            mediaFormat={
                "encoding": "audio/x-mulaw",
                "sampleRate": 8000,
                "channels": 1,
            },
            customParameters={"token": "t-1", "other": "x"},
        ),
    )
    assert event == StreamStarted(
        stream_id=STREAM, carrier_call_id=CarrierCallId("CA1"), token="t-1"
    )


@pytest.mark.parametrize(
    "changes",
    [{}, {"customParameters": {}}, {"customParameters": {"token": 5}}],
)
def test_a_start_without_a_token_has_none(changes: dict[str, object]) -> None:
    event = decode(event="start", start=start(**changes))
    assert isinstance(event, StreamStarted)
    assert event.token is None


def test_a_sample_rate_may_be_a_string() -> None:
    event = decode(event="start", start=start(mediaFormat={"sampleRate": "8000"}))
    assert isinstance(event, StreamStarted)


def test_audio_is_decoded() -> None:
    event = decode(
        event="media",
        streamSid="MZ1",
        sequenceNumber="2",
        media={"track": "inbound", "chunk": "1", "timestamp": "5", "payload": "AH//"},
    )
    assert event == StreamAudio(payload=b"\x00\x7f\xff")


@pytest.mark.parametrize(
    "media",
    [{"track": "outbound", "payload": "AH//"}, {"track": "inbound", "payload": ""}],
)
def test_our_own_voice_and_no_voice_say_nothing(media: dict[str, str]) -> None:
    assert decode(event="media", media=media) is None


@pytest.mark.parametrize("digit", list(Digit))
def test_a_key_is_reported(digit: Digit) -> None:
    event = decode(event="dtmf", dtmf={"track": "inbound_track", "digit": digit})
    assert event == StreamDigit(digit=digit)


def test_a_mark_comes_back() -> None:
    event = decode(event="mark", mark={"name": "u-1/3 “x”"})
    assert event == StreamMark(name="u-1/3 “x”")


def test_a_stop_ends_the_stream() -> None:
    assert decode(event="stop", stop={"callSid": "CA1"}) == StreamStopped()


@pytest.mark.parametrize("event", ["connected", "", "Start", "something-new"])
def test_other_messages_say_nothing(event: str) -> None:
    assert decode(event=event, protocol="Call", version="1.0.0") is None


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"\xff\xfe",
        b'{"event":5}',
        b'{"event":"media"}',
        b'{"event":"media","media":{}}',
        b'{"event":"media","media":{"payload":"%%"}}',
        b'{"event":"media","media":{"payload":7}}',
        b'{"event":"mark"}',
        b'{"event":"mark","mark":{"name":1}}',
        b'{"event":"dtmf"}',
        b'{"event":"dtmf","dtmf":{"digit":"E"}}',
        b'{"event":"dtmf","dtmf":{"digit":"12"}}',
        b'{"event":"start"}',
        b'{"event":"start","start":{"callSid":"CA1"}}',
        b'{"event":"start","start":{"callSid":"","streamSid":"MZ1"}}',
        b'{"event":"start","start":{"callSid":"CA1","streamSid":""}}',
        OTHER_ENCODING,
        OTHER_RATE,
        b'{"event":"start","start":{"customParameters":' + b'{"a":' * 5000,
        b'{"event":"stop"',
        b'{"event":"st\xffop"}',
    ],
)
def test_a_malformed_message_is_refused(message: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        CODEC.decode(message)


# -- towards Twilio --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            SendAudio(payload=b"\x00\x7f\xff"),
            b'{"event":"media","streamSid":"MZ1","media":{"payload":"AH//"}}',
        ),
        (
            SendMark(name='a"b'),
            b'{"event":"mark","streamSid":"MZ1","mark":{"name":"a\\"b"}}',
        ),
        (ClearAudio(), b'{"event":"clear","streamSid":"MZ1"}'),
    ],
)
def test_a_command_becomes_its_message(command: StreamCommand, message: bytes) -> None:
    assert CODEC.encode(command, stream_id=STREAM) == message


def test_a_stream_id_cannot_break_a_message() -> None:
    message = CODEC.encode(ClearAudio(), stream_id=StreamId('x"}'))
    assert json.loads(message) == {"event": "clear", "streamSid": 'x"}'}
