"""The written form of journal entries: stable names, readable later."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from voice_call.call.actions import CallEnded, Ignored, SendDigits, TranscriptAdded
from voice_call.call.events import (
    AgentSpeechEnded,
    CallerSpoke,
    DialFailed,
    Ringing,
    SpeechOutcome,
)
from voice_call.call.model import (
    CallId,
    CallMode,
    Digit,
    Direction,
    EndCause,
    EndedBy,
    Ending,
    Speaker,
    TranscriptEntry,
)
from voice_call.errors import JournalCorrupt, JournalTooNew
from voice_call.runtime.journal_codec import CallOpened, Journaled, decode, encode

EXAMPLE_OPENED = CallOpened(
    call_id=CallId("c"),
    carrier="mock",
    direction=Direction.INBOUND,
    mode=CallMode.CONVERSATION,
    from_="",
    to="+15550001234",
    session_key="s",
)

EXAMPLES: list[tuple[Journaled, str, str]] = [
    (Ringing(), "Ringing", "{}"),
    (
        DialFailed(code="carrier_refused", detail="Grüße"),
        "DialFailed",
        (
            '{"code":"carrier_refused","detail":"Grüße","carrier_code":null,'
            '"may_have_dialed":false}'
        ),
    ),
    (
        AgentSpeechEnded(utterance_id="u", outcome=SpeechOutcome.PLAYED, heard="Hi"),
        "AgentSpeechEnded",
        '{"utterance_id":"u","outcome":"played","heard":"Hi","detail":null}',
    ),
    (
        SendDigits(digits=(Digit.ONE, Digit.POUND)),
        "SendDigits",
        '{"digits":["1","#"]}',
    ),
    (
        Ignored(event=Ringing(), why="late"),
        "Ignored",
        '{"event":{"kind":"Ringing","fields":{}},"why":"late"}',
    ),
    (
        CallEnded(ending=Ending(cause=EndCause.BUSY, by=EndedBy.CARRIER)),
        "CallEnded",
        '{"ending":{"cause":"busy","by":"carrier","carrier_code":null,"detail":null}}',
    ),
    (
        TranscriptAdded(
            entry=TranscriptEntry(at=1.5, speaker=Speaker.CALLER, text="Yes")
        ),
        "TranscriptAdded",
        '{"entry":{"at":1.5,"speaker":"user","text":"Yes","is_cut":false}}',
    ),
]


@pytest.mark.parametrize(("what", "kind", "body"), EXAMPLES)
def test_an_entry_has_this_written_form(what: Journaled, kind: str, body: str) -> None:
    assert encode(what) == (kind, body)
    assert decode(kind, body) == what


def test_limits_are_a_free_object() -> None:
    opened = replace(
        EXAMPLE_OPENED,
        limits={"limits": {"ring_timeout_s": 0, "names": ["a"]}, "none": None},
    )
    assert decode(*encode(opened)) == opened


def test_any_mapping_serves_as_limits() -> None:
    frozen = replace(EXAMPLE_OPENED, limits=MappingProxyType({"dead_air_s": 2.0}))
    assert decode(*encode(frozen)) == replace(
        EXAMPLE_OPENED, limits={"dead_air_s": 2.0}
    )


def test_an_older_entry_without_a_newer_optional_field_is_readable() -> None:
    body = '{"utterance_id":"u1","text":"Yes"}'
    assert decode("CallerSpoke", body) == CallerSpoke(utterance_id="u1", text="Yes")


def test_a_field_of_a_newer_minor_version_is_passed_over() -> None:
    assert decode("Ringing", '{"volume":11}') == Ringing()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("Teleported", "{}"),
        ("Ignored", '{"event":{"kind":"Teleported","fields":{}},"why":"?"}'),
    ],
)
def test_an_unknown_kind_is_of_a_newer_version(kind: str, body: str) -> None:
    with pytest.raises(JournalTooNew, match="'Teleported'"):
        decode(kind, body)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("Ringing", ""),
        ("Ringing", "[]"),
        ("CallerSpoke", '{"utterance_id":7,"text":"Yes"}'),
        ("DigitPressed", '{"digit":"E"}'),
        ("Ignored", "{}"),
        ("Ignored", "[]"),
        ("Ignored", '{"event":{"kind":"Ringing","fields":{}},"why":3}'),
        ("Ignored", '{"event":{"kind":"Dial","fields":{}},"why":"not an event"}'),
        ("Ignored", '{"event":{"kind":["a"],"fields":{}},"why":"x"}'),
    ],
)
def test_a_body_that_does_not_fit_is_corrupt(kind: str, body: str) -> None:
    with pytest.raises(JournalCorrupt, match="Move the journal's file away"):
        decode(kind, body)


def test_what_is_no_json_cannot_be_kept() -> None:
    with pytest.raises(TypeError, match="cannot keep a object"):
        encode(CallerSpoke(utterance_id="u", text=object()))  # type: ignore[arg-type]
