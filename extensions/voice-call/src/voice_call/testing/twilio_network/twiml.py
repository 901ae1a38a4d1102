"""Reads TwiML as Twilio does: what cannot be read, and what is only warned of. PURE.

Source: verbs and attributes of Twilio's "TwiML for Programmable Voice" pages; errors
12100, 12102 and 12200 of its dictionary.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

__all__ = ["Document", "InvalidTwiml", "Verb", "read_twiml"]

_CALLBACK = "statusCallback statusCallbackMethod"
_ATTRIBUTES = {
    "Connect": "action method",
    "Dial": "action method timeout hangupOnStar timeLimit callerId record trim "
    "answerOnBridge ringTone recordingTrack sequential referUrl referMethod events "
    "recordingStatusCallback recordingStatusCallbackMethod recordingStatusCallbackEvent",
    "Echo": "",
    "Enqueue": "action method maxQueueSize waitUrl waitUrlMethod workflowSid",
    "Gather": "input action method timeout speechTimeout maxSpeechTime profanityFilter "
    "finishOnKey numDigits partialResultCallback partialResultCallbackMethod language "
    "hints bargeIn debug actionOnEmptyResult speechModel enhanced",
    "Hangup": "",
    "Leave": "",
    "Parameter": "name value",
    "Pause": "length",
    "Pay": "*",
    "Play": "loop digits",
    "Prompt": "*",
    "Record": "action method timeout finishOnKey maxLength playBeep trim transcribe "
    "transcribeCallback recordingStatusCallback recordingStatusCallbackMethod "
    "recordingStatusCallbackEvent",
    "Redirect": "method",
    "Refer": "action method",
    "Reject": "reason",
    "Say": "voice language loop",
    "Sms": "*",
    "Start": "action method",
    "Stop": "",
    "Stream": f"name connectorName url track {_CALLBACK} audioFormat sampleRate",
}
_CHILDREN = {
    "Response": set(_ATTRIBUTES) - {"Parameter", "Stream"},
    "Connect": {"Stream"},
    "Gather": {"Say", "Pause", "Play"},
    "Start": {"Stream"},
    "Stop": {"Stream"},
    "Stream": {"Parameter"},
}
_OPEN = {"Connect", "Start", "Stop", "Say", "Dial", "Enqueue", "Pay", "Prompt", "Refer"}
"""These may hold more nouns than are known here; what they hold is not judged."""


class InvalidTwiml(ValueError):
    """Raised for a document that Twilio cannot execute.

    Attributes:
        code: Its number in Twilio's dictionary.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One element.

    Attributes:
        text: Its own words and those of all elements in it, without extra white space.
        children: Its elements that are known.
    """

    name: str
    attributes: dict[str, str]
    text: str
    children: tuple[Verb, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A readable document.

    Attributes:
        warnings: What error 12200 would be logged for, as sentences.
    """

    verbs: tuple[Verb, ...]
    warnings: tuple[str, ...]


def read_twiml(text: str) -> Document:
    """Read a document.

    An element or attribute that does not belong where it is gives a warning and is
    skipped.

    Raises:
        InvalidTwiml: 12100, it is not XML; 12102, its root is not `<Response>`.
    """
    try:
        root = ET.fromstring(text)  # noqa: S314 - reads what one's own server wrote
    except (ET.ParseError, ValueError) as error:
        raise InvalidTwiml(12100, f"Document parse failure: {error}") from error
    if root.tag != "Response":
        raise InvalidTwiml(12102, "The root element must be Response")
    warnings: list[str] = []
    verbs = _read_children(root, warnings)
    return Document(verbs=verbs, warnings=tuple(warnings))


def _read_children(parent: ET.Element, warnings: list[str]) -> tuple[Verb, ...]:
    allowed = _CHILDREN.get(parent.tag, set())
    verbs = []
    for element in parent:
        if element.tag in allowed:
            verbs.append(_read_verb(element, warnings))
        elif parent.tag not in _OPEN:
            warnings.append(f"<{element.tag}> is not allowed in <{parent.tag}>")
    return tuple(verbs)


def _read_verb(element: ET.Element, warnings: list[str]) -> Verb:
    known = _ATTRIBUTES[element.tag].split()
    attributes = {}
    for name, value in element.attrib.items():
        if name in known or "*" in known:
            attributes[name] = value
        else:
            warnings.append(f"attribute {name} is not allowed in <{element.tag}>")
    return Verb(
        name=element.tag,
        attributes=attributes,
        text=" ".join("".join(element.itertext()).split()),
        children=_read_children(element, warnings),
    )
