"""The mock carrier's webhook form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from voice_call.call.events import (
    Answered,
    AnsweredBy,
    CallerSpoke,
    CallEvent,
    CarrierEnded,
    Dialed,
    DigitPressed,
    MachineDetected,
    Offered,
    Ringing,
)
from voice_call.call.model import (
    CallPhase,
    CarrierCallId,
    Digit,
    Direction,
    EndCause,
    EndedBy,
    Ending,
    MediaPhase,
    TurnPhase,
    flat_state,
)
from voice_call.carriers.base import CarrierNotice, HttpRequest
from voice_call.carriers.simulated.webhooks import SimulatedWebhooks
from voice_call.errors import RemoteProtocolError

CODEC = SimulatedWebhooks()
KEY_OF_EMPTY = "mock:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def request(body: bytes) -> HttpRequest:
    return HttpRequest(
        method="POST",
        url="https://phone.example/voice/webhook",
        headers={},
        body=body,
    )


def notices(*events: Any) -> list[CarrierNotice]:
    body = json.dumps({"events": list(events)}).encode()
    return CODEC.decode(request(body), request_key="mock:k")


def events(**fields: Any) -> list[CallEvent]:
    return [notice.event for notice in notices({"callId": "c1"} | fields)]


def test_every_request_is_genuine_and_known_by_the_hash_of_its_body() -> None:
    verdict = CODEC.verify(request(b""), now=0.0)
    assert (verdict.is_genuine, verdict.request_key) == (True, KEY_OF_EMPTY)
    assert CODEC.verify(request(b"x"), now=0.0).request_key != KEY_OF_EMPTY
    assert CODEC.required_headers == ((),)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"5", b"\xff", b"[" * 100_000, b'"text"', b"null"]
)
def test_a_body_that_is_no_json_object_breaks_the_protocol(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        CODEC.decode(request(body), request_key="mock:k")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"events": []},
        {"events": "x"},
        {"event": None},
        {"events": [5, "x", None, {}]},
        {"event": {"type": "call.ringing"}},
        {"event": {"callId": "c1"}},
        {"event": {"type": "call.odd", "callId": "c1"}},
        {"event": {"type": "call.speaking", "callId": "c1", "text": "a"}},
        {"event": {"type": "call.silence", "callId": "c1", "durationMs": 5}},
        {"event": {"type": ["call.ringing"], "callId": "c1"}},
        {"event": {"type": "call.ringing", "callId": 7}},
    ],
)
def test_what_says_nothing_reports_nothing(body: Any) -> None:
    assert CODEC.decode(request(json.dumps(body).encode()), request_key="k") == []


def test_one_event_may_come_alone() -> None:
    body = b'{"event": {"type": "call.ringing", "callId": "c1"}}'
    (notice,) = CODEC.decode(request(body), request_key="mock:k")
    assert notice == CarrierNotice(
        event=Ringing(),
        carrier_call_id=CarrierCallId("mock-c1"),
        call_id="c1",
        dedupe_key="mock:k#0",
    )


def test_an_inbound_call_can_be_offered() -> None:
    (notice,) = notices(
        {
            "id": "evt-1",
            "type": "call.initiated",
            "callId": "caller-1",
            "providerCallId": "mock-in-9",
            "direction": "inbound",
            "from": "+15550001111",
            "to": "+15550002222",
        }
    )
    assert notice == CarrierNotice(
        event=Offered(),
        carrier_call_id=CarrierCallId("mock-in-9"),
        call_id=None,
        dedupe_key="evt-1",
        direction=Direction.INBOUND,
        from_="+15550001111",
        to="+15550002222",
    )


def test_a_carriers_id_alone_is_not_taken_for_ours() -> None:
    (notice,) = notices({"type": "call.ringing", "callId": "mock-c1"})
    assert (notice.carrier_call_id, notice.call_id) == ("mock-c1", None)


def test_an_unknown_direction_is_none() -> None:
    (notice,) = notices({"type": "call.ringing", "callId": "a", "direction": "up"})
    assert notice.direction is None


def test_a_dedupe_key_wins_over_an_id() -> None:
    (notice,) = notices(
        {"type": "call.ringing", "callId": "a", "id": "i", "dedupeKey": "d"}
    )
    assert notice.dedupe_key == "d"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"type": "call.initiated"},
            [Dialed(carrier_call_id=CarrierCallId("mock-c1"))],
        ),
        ({"type": "call.ringing"}, [Ringing()]),
        ({"type": "call.answered"}, [Answered()]),
        ({"type": "call.active"}, [Answered()]),
        ({"type": "call.speech"}, []),
        ({"type": "call.speech", "transcript": " \n"}, []),
        ({"type": "call.speech", "transcript": "hi", "isFinal": False}, []),
        ({"type": "call.dtmf"}, []),
        (
            {"type": "call.dtmf", "digits": "1x#a"},
            [
                DigitPressed(digit=Digit.ONE),
                DigitPressed(digit=Digit.POUND),
                DigitPressed(digit=Digit.A),
            ],
        ),
        ({"type": "call.error", "error": "x", "retryable": True}, []),
        (
            {"type": "call.error"},
            [
                CarrierEnded(
                    cause=EndCause.ERROR,
                    by=EndedBy.CARRIER,
                    carrier_code="unknown error",
                )
            ],
        ),
        (
            {"type": "call.amd", "answeredBy": "machine-greeting"},
            [MachineDetected(answered_by=AnsweredBy.MACHINE_GREETING)],
        ),
        ({"type": "call.amd"}, [MachineDetected(answered_by=AnsweredBy.UNKNOWN)]),
    ],
)
def test_every_type_becomes_its_events(
    fields: dict[str, Any], expected: list[CallEvent]
) -> None:
    assert events(**fields) == expected


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [(0.5, 0.5), (1, 1.0), (None, None), (7, None), (True, None), ("0.5", None)],
)
def test_speech_keeps_its_words_and_a_sensible_confidence(
    confidence: Any, expected: float | None
) -> None:
    assert events(
        type="call.speech",
        id="evt-2",
        transcript=" hello there ",
        confidence=confidence,
        turnToken="turn-1",
    ) == [
        CallerSpoke(
            utterance_id="evt-2",
            text="hello there",
            confidence=expected,
            turn_token="turn-1",
        )
    ]


@pytest.mark.parametrize(
    "reason",
    [
        "completed",
        "hangup-user",
        "hangup-bot",
        "timeout",
        "error",
        "failed",
        "no-answer",
        "busy",
        "voicemail",
    ],
)
def test_a_reason_of_the_form_is_shown_as_the_same_state(reason: str) -> None:
    (ended,) = events(type="call.ended", reason=reason)
    assert isinstance(ended, CarrierEnded)
    ending = Ending(cause=ended.cause, by=ended.by, carrier_code=ended.carrier_code)
    assert ending.carrier_code == reason
    assert (
        flat_state(CallPhase.ENDED, MediaPhase.CLOSED, TurnPhase.IDLE, ending) == reason
    )


@pytest.mark.parametrize(
    ("reason", "code"), [("odd", "odd"), ("", "completed"), (5, "completed")]
)
def test_other_reasons_end_a_call_normally(reason: Any, code: str) -> None:
    assert events(type="call.ended", reason=reason) == [
        CarrierEnded(cause=EndCause.NORMAL, by=EndedBy.CARRIER, carrier_code=code)
    ]


def test_several_keys_of_one_entry_are_told_apart() -> None:
    keys = [
        notice.dedupe_key
        for notice in notices(
            {"type": "call.dtmf", "callId": "a", "id": "i", "digits": "12"},
            {"type": "call.ringing", "callId": "a"},
        )
    ]
    assert keys == ["i", "i/1", "mock:k#1"]
