"""TwiML: what Twilio is told to do with a call.

PURE. Twilio ends a call when a document runs out of verbs, so every document here ends in
a hang-up that was asked for, or in a `<Redirect>`: Twilio comes back and asks what to do
next. Source: Twilio's TwiML reference; names are checked against its SDK in the tests.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from voice_call.carriers.base import (
    ConnectStream,
    EndCall,
    GatherSpeech,
    KeepWaiting,
    ReportPlayed,
    SayText,
)
from voice_call.carriers.markup import Element, element, render
from voice_call.carriers.twilio.voices import say_voice, split_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_call.call.model import Digit
    from voice_call.carriers.base import PlanStep

__all__ = [
    "ACKNOWLEDGEMENT",
    "Callbacks",
    "keys_document",
    "notice_document",
    "plan_document",
    "query_of",
    "with_query",
]

ACKNOWLEDGEMENT = render(element("Response"))
"""The answer to a report. To a request for instructions it would end the call."""

_ROUND = re.compile(r"([0-9a-z]{1,32})-([0-9]{1,9})")
_NOTICE_TAIL_S = 1
"""Silence after a one-way message, so that its last sound is not cut off."""
_GATHER_TIMEOUT_S = 5
"""How long `<Gather>` waits for a first word or a next key; then Twilio asks again."""
_ASK_AGAIN_S = 1
"""How soon Twilio asks again where it was told nothing: a repetition of a request whose
first answer may be lost, so that the call must not wait for long."""
_SPEECH_TIMEOUT_S = 1
"""The pause that ends an utterance. A number, as `auto` is refused with some models
(warning 13335)."""


def query_of(url: str) -> dict[str, str]:
    """Return a URL's query; of repeated names the last counts."""
    try:
        return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    except ValueError:  # not a URL, for example a bracket without its pair
        return {}


def with_query(url: str, **changes: str | None) -> str:
    """Return the URL with these query parameters set, or without those that are None."""
    parts = urlsplit(url)
    kept = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name not in changes
    ]
    kept += [(name, value) for name, value in changes.items() if value is not None]
    return urlunsplit(parts._replace(query=urlencode(kept), fragment=""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks:
    """The URLs that Twilio is given for one call.

    A request for instructions has nothing in it that changes from one to the next, and a
    replay guard would take the second for a repetition. So each URL has its own `round`.

    Attributes:
        url: The public webhook URL of the request that is answered, or of the plugin.
        call_id: Our id of the call, if known.
        series: Begins the rounds where `url` has none; unique within the call.
    """

    url: str
    call_id: str | None = None
    series: str = "0"

    def instructions(self) -> str:
        """Where Twilio asks what to do, for the first time."""
        return with_query(self.url, callId=self.call_id)

    def report(self, kind: str) -> str:
        """Where Twilio reports to: `status`, `amd` or `stream`."""
        return self._next(self.url, type=kind, round=None)

    def gathered(self, step: GatherSpeech) -> str:
        """Where an utterance is reported to."""
        return self._next(step.url, turnToken=step.turn_token)

    def played(self, step: ReportPlayed) -> str:
        """Where it is reported that an utterance was heard."""
        return self._next(step.url, played=step.utterance_id)

    def onward(self, url: str | None = None, *, turn_token: str | None = None) -> str:
        """Where Twilio asks what to do next."""
        return self._next(url or self.url, turnToken=turn_token)

    def _next(self, url: str, **changes: str | None) -> str:
        known = _ROUND.fullmatch(query_of(self.url).get("round", ""))
        series, count = (self.series, 0) if known is None else known.groups()
        fresh = {"type": None, "turnToken": None, "played": None}
        return with_query(
            url,
            **{
                "callId": query_of(url).get("callId") or self.call_id,
                **fresh,
                "round": f"{series}-{int(count) + 1}",
                **changes,
            },
        )


def plan_document(steps: Sequence[PlanStep], callbacks: Callbacks) -> str:
    """Return the document that carries out these steps; it never runs out of verbs."""
    verbs: list[Element] = []
    said: list[Element] = []  # inside a <Gather> that follows, it can be interrupted
    onward = callbacks.onward()
    for step in steps:
        match step:
            case SayText():
                said += _say(step.text, voice=step.voice, language=step.language)
                continue
            case GatherSpeech():
                verbs.append(_gather(step, said, callbacks))
                onward = callbacks.onward(step.url, turn_token=step.turn_token)
            case ConnectStream():
                verbs += [*said, _connect(step, callbacks)]
                onward = callbacks.onward()
            case KeepWaiting():
                verbs += [*said, _pause(step.wait_s)]
                onward = callbacks.onward(step.url)
            case ReportPlayed():
                return _document([*verbs, *said, _redirect(callbacks.played(step))])
            case EndCall():
                verbs += said
                return _document([*verbs, _ending(step, is_first=not verbs)])
            case _:
                assert_never(step)
        said = []
    verbs += said
    if said:
        verbs.append(_pause(KeepWaiting().wait_s))
    elif not verbs:
        verbs.append(_pause(_ASK_AGAIN_S))
    return _document([*verbs, _redirect(onward)])


def notice_document(text: str, *, voice: str | None, language: str) -> str:
    """Return the document that says a text to its end and hangs up."""
    said = _say(text, voice=voice, language=language)
    return _document([*said, _pause(_NOTICE_TAIL_S), element("Hangup")])


def keys_document(digits: Sequence[Digit], callbacks: Callbacks) -> str:
    """Return the document that sends keys and then asks what to do next."""
    keys = element("Play", {"digits": "".join(digits)})
    return _document([keys, _redirect(callbacks.onward())])


def _document(verbs: Sequence[Element]) -> str:
    return render(element("Response", None, *verbs))


def _say(text: str, *, voice: str | None, language: str) -> list[Element]:
    chosen = say_voice(voice, language=language)
    attributes = {"language": language}
    if chosen is not None:
        attributes = {"voice": chosen, **attributes}
    return [
        element("Say", attributes, piece) for piece in split_text(text) if piece.strip()
    ]


def _gather(
    step: GatherSpeech, said: Sequence[Element], callbacks: Callbacks
) -> Element:
    attributes = {
        "input": "dtmf speech",
        "action": callbacks.gathered(step),
        "method": "POST",
        "timeout": str(_GATHER_TIMEOUT_S),
        "speechTimeout": str(_SPEECH_TIMEOUT_S),
        "language": step.language,
    }
    return element("Gather", attributes, *said)


def _connect(step: ConnectStream, callbacks: Callbacks) -> Element:
    # Twilio drops a query (error 31920), so the token travels as a parameter.
    attributes = {
        "url": step.url.partition("?")[0],
        "statusCallback": callbacks.report("stream"),
        "statusCallbackMethod": "POST",
    }
    token = element("Parameter", {"name": "token", "value": step.token})
    return element("Connect", None, element("Stream", attributes, token))


def _ending(step: EndCall, *, is_first: bool) -> Element:
    # Behind another verb the call is picked up already, and <Reject> does nothing.
    return element("Reject") if step.is_refusal and is_first else element("Hangup")


def _pause(length_s: float) -> Element:
    # As the first verb it does not pick up an unanswered call (Twilio's page on it).
    return element("Pause", {"length": str(max(1, math.ceil(length_s)))})


def _redirect(url: str) -> Element:
    return element("Redirect", {"method": "POST"}, url)
