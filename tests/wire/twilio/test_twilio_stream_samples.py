"""Every documented message of Twilio's media socket, in both directions.

SOURCES: assembled from Twilio's page "Media Streams - WebSocket Messages".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
from voice_call.media.audio import ClearAudio, SendAudio, SendMark, StreamCommand

SAMPLES = (
    Path(__file__).parents[4] / "shared" / "data" / "twilio_media_stream_samples.json"
)
STREAM = StreamId("MZ" + "0" * 32)
CALL = CarrierCallId("CA" + "0" * 32)
SILENCE = b"\xff" * 160

EVENTS: dict[str, StreamEvent | None] = {
    "connected": None,
    "start": StreamStarted(stream_id=STREAM, carrier_call_id=CALL, token=None),
    "media": StreamAudio(payload=SILENCE),
    "dtmf": StreamDigit(digit=Digit.ONE),
    "mark": StreamMark(name="m1"),
    "stop": StreamStopped(),
}
COMMANDS: dict[str, StreamCommand] = {
    "media": SendAudio(payload=SILENCE),
    "mark": SendMark(name="m1"),
    "clear": ClearAudio(),
}


@pytest.fixture(scope="module")
def samples() -> dict[str, list[dict[str, Any]]]:
    if not SAMPLES.exists():
        pytest.skip(f"there is no shared data folder with {SAMPLES.name}")
    found: dict[str, list[dict[str, Any]]] = json.loads(SAMPLES.read_text())
    return found


def test_each_message_from_twilio_is_understood(
    samples: dict[str, list[dict[str, Any]]],
) -> None:
    decode = TwilioStreams().decode
    found = {
        each["event"]: decode(json.dumps(each).encode())
        for each in samples["to_server"]
    }
    assert found == EVENTS


def test_each_message_to_twilio_is_as_documented(
    samples: dict[str, list[dict[str, Any]]],
) -> None:
    encode = TwilioStreams().encode
    found = [
        json.loads(encode(COMMANDS[each["event"]], stream_id=STREAM))
        for each in samples["to_carrier"]
    ]
    assert found == samples["to_carrier"]
    assert len(found) == len(COMMANDS)


def test_unknown_fields_and_other_number_types_are_taken(
    samples: dict[str, list[dict[str, Any]]],
) -> None:
    decode = TwilioStreams().decode
    for each in samples["to_server"]:
        changed = {**each, "sequenceNumber": 7, "brandNew": {"x": [1, None]}}
        assert decode(json.dumps(changed).encode()) == EVENTS[each["event"]]
