"""A call in public field names: the safe record and the full one."""

from __future__ import annotations

from voice_call.call.actions import End, Speak
from voice_call.call.events import (
    AgentSpeechEnded,
    AgentSpeechStarted,
    Answered,
    CallerSpoke,
    CarrierEnded,
    Dialed,
    Ringing,
    SpeechOutcome,
    StreamOpened,
)
from voice_call.call.machine import CallMachine
from voice_call.call.model import (
    CallId,
    CallMode,
    CarrierCallId,
    Direction,
    EndCause,
    EndedBy,
    StreamId,
)
from voice_call.call.setup import CallSetup
from voice_call.reports.record import CallFacts, full_record, safe_record

T = 1_700_000_000.0
T_MS = 1_700_000_000_000
FACTS = CallFacts(
    carrier="twilio",
    carrier_call_id=CarrierCallId("CA123"),
    from_="+15550001234",
    to="+15550009876",
    session_key="voice:15550009876",
)
NAMELESS = CallFacts(
    carrier="mock", carrier_call_id=None, from_="", to="+15550009876", session_key="k"
)


def dialling(
    mode: CallMode = CallMode.CONVERSATION, opening: str | None = None
) -> CallMachine:
    setup = CallSetup(
        call_id=CallId("call-1"),
        direction=Direction.OUTBOUND,
        mode=mode,
        opening=opening,
    )
    machine = CallMachine(setup, now=T)
    machine.start(now=T)
    return machine


def opening_of(machine: CallMachine) -> str:
    """Answer the call, open its stream, and return the id of what it says first."""
    machine.receive(Dialed(carrier_call_id=CarrierCallId("CA123")), now=T + 0.5)
    machine.receive(Answered(), now=T + 4)
    actions = machine.receive(StreamOpened(stream_id=StreamId("s")), now=T + 4.25)
    (speak,) = (each for each in actions if isinstance(each, Speak))
    return speak.utterance_id


def interrupted() -> CallMachine:
    """Return a live call with two utterances, the first of them cut."""
    machine = dialling(opening="Hello, how are you?")
    opening = opening_of(machine)
    machine.receive(AgentSpeechStarted(utterance_id=opening), now=T + 4.5)
    machine.receive(
        AgentSpeechEnded(
            utterance_id=opening, outcome=SpeechOutcome.INTERRUPTED, heard="Hello, how"
        ),
        now=T + 5,
    )
    machine.receive(
        CallerSpoke(utterance_id="u1", text="Fine, thanks.", began_at=T + 4.875),
        now=T + 6,
    )
    return machine


# -- the safe record -------------------------------------------------------------------


def test_a_call_that_was_just_placed():
    assert safe_record(dialling(), NAMELESS) == {
        "callId": "call-1",
        "provider": "mock",
        "direction": "outbound",
        "state": "initiated",
        "startedAt": T_MS,
    }


def test_an_answered_call_has_its_times_and_the_carrier_s_id():
    assert safe_record(interrupted(), FACTS) == {
        "callId": "call-1",
        "provider": "twilio",
        "direction": "outbound",
        "state": "listening",
        "startedAt": T_MS,
        "providerCallId": "CA123",
        "answeredAt": T_MS + 4000,
    }


def test_an_inbound_call_says_so():
    setup = CallSetup(call_id=CallId("call-2"), direction=Direction.INBOUND)
    record = safe_record(CallMachine(setup, now=T), NAMELESS)
    assert (record["direction"], record["state"]) == ("inbound", "initiated")


def test_how_a_call_ended_is_told_in_one_word_and_in_full():
    machine = dialling()
    machine.receive(Ringing(), now=T + 1)
    machine.receive(
        CarrierEnded(cause=EndCause.BUSY, by=EndedBy.REMOTE, carrier_code="486"),
        now=T + 2.125,
    )
    record = safe_record(machine, FACTS)
    assert record["state"] == record["endReason"] == "busy"
    assert record["endedAt"] == T_MS + 2125
    assert record["ending"] == {
        "cause": "busy",
        "by": "remote",
        "carrierCode": "486",
        "detail": None,
    }
    assert "answeredAt" not in record


def test_a_call_that_is_being_hung_up_has_not_ended():
    machine = dialling()
    machine.receive(Answered(), now=T + 1)
    machine.request(End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL), now=T + 2)
    record = safe_record(machine, FACTS)
    assert "endedAt" not in record
    assert "endReason" not in record


def test_the_safe_record_has_neither_numbers_nor_words():
    shown = str(safe_record(interrupted(), FACTS))
    for private in ("1555", "Hello", "Fine", "voice:"):
        assert private not in shown


# -- the full record -------------------------------------------------------------------


def test_the_full_record_adds_numbers_words_and_mode():
    machine = interrupted()
    assert full_record(machine, FACTS) == {
        **safe_record(machine, FACTS),
        "from": "+15550001234",
        "to": "+15550009876",
        "sessionKey": "voice:15550009876",
        "transcript": [
            {
                "timestamp": T_MS + 4500,
                "speaker": "bot",
                "text": "Hello, how",
                "isFinal": True,
                "isCut": True,
            },
            {
                "timestamp": T_MS + 4875,
                "speaker": "user",
                "text": "Fine, thanks.",
                "isFinal": True,
            },
        ],
        "metadata": {"mode": "conversation"},
    }


def test_a_call_without_words_has_an_empty_transcript():
    record = full_record(dialling(CallMode.NOTIFY, "Your parcel is here."), FACTS)
    assert record["transcript"] == []
    assert record["metadata"] == {"mode": "notify"}
