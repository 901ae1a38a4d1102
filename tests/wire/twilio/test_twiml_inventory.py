"""Every verb and attribute that we write is one of Twilio's.

SOURCES: verb and attribute names of the Python package twilio 9.13.0 (MIT).
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from voice_call.call.model import Digit
from voice_call.carriers.base import (
    ConnectStream,
    EndCall,
    GatherSpeech,
    KeepWaiting,
    PlanStep,
    ReportPlayed,
    SayText,
)
from voice_call.carriers.twilio.twiml import (
    Callbacks,
    keys_document,
    notice_document,
    plan_document,
)

INVENTORY = Path(__file__).parents[4] / "shared" / "data" / "twiml_voice_inventory.json"
HOOK = "https://phone.example/voice/webhook"
CALLBACKS = Callbacks(url=HOOK, call_id="c1")
SAY = SayText(text="Hi", voice="Polly.Joanna", language="en-US")
STEPS: list[tuple[PlanStep, ...]] = [
    (),
    (SAY, ConnectStream(url="wss://phone.example/s", token="t")),
    (SAY, GatherSpeech(turn_token="t", url=HOOK, language="en-US")),
    (SAY, ReportPlayed(utterance_id="u", url=HOOK)),
    (KeepWaiting(url=HOOK), SAY),
    (EndCall(is_refusal=True),),
    (SAY, EndCall()),
]
DOCUMENTS = [
    *(plan_document(steps, CALLBACKS) for steps in STEPS),
    keys_document((Digit.ONE,), CALLBACKS),
    notice_document("Hi", voice=None, language="en-US"),
]
BODY = {"Say": "message", "Redirect": "url"}
"""Where the SDK takes an element's text as an argument of this name."""


@pytest.fixture(scope="module")
def verbs() -> dict[str, dict[str, list[str]]]:
    if not INVENTORY.exists():
        pytest.skip(f"there is no shared data folder with {INVENTORY.name}")
    found: dict[str, dict[str, list[str]]] = json.loads(INVENTORY.read_text())["verbs"]
    return found


def camel(name: str) -> str:
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(part.title() for part in rest)


def check(
    element: ET.Element, parent: str, verbs: dict[str, dict[str, list[str]]]
) -> None:
    for child in element:
        allowed = verbs[parent].get(child.tag.lower())
        assert allowed is not None, f"<{child.tag}> in <{parent}>"
        names = {camel(name) for name in allowed}
        assert set(child.attrib) <= names - {BODY.get(child.tag, "")}
        if (child.text or "").strip():
            assert child.tag in BODY
        check(child, child.tag, verbs)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_names_are_twilios(
    document: str, verbs: dict[str, dict[str, list[str]]]
) -> None:
    root = ET.fromstring(document)
    assert root.tag == "Response"
    check(root, "VoiceResponse", verbs)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_document_runs_out_of_verbs(document: str) -> None:
    assert ET.fromstring(document)[-1].tag in {"Redirect", "Hangup", "Reject"}
