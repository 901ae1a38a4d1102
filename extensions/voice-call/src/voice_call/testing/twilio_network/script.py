"""Executes TwiML on one call.

Source: Twilio's "TwiML for Programmable Voice" pages, verb by verb.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urljoin, urlsplit

from voice_call.testing.twilio_network.gather import Gathering, GatherSettings
from voice_call.testing.twilio_network.orders import Instructions
from voice_call.testing.twilio_network.parameters import voice_params
from voice_call.testing.twilio_network.records import (
    CallStatus,
    HeardText,
    WebhookKind,
)
from voice_call.testing.twilio_network.stream import MediaStream, StreamOrder
from voice_call.testing.twilio_network.twiml import (
    Document,
    InvalidTwiml,
    Verb,
    read_twiml,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from voice_call.testing.twilio_network.phone_call import PhoneCall
    from voice_call.testing.twilio_network.records import Attempt
    from voice_call.testing.twilio_network.wiring import Wiring

__all__ = ["APOLOGY", "Jump", "Script", "Telephone"]

APOLOGY = "We are sorry, an application error has occurred. Goodbye."
"""What a caller hears when TwiML cannot be had."""
INVALID_URL = 11100
INVALID_CONTENT_TYPE = 12300
SCHEMA_WARNING = 12200
INVALID_TEXT = 13520
INVALID_VOICE = 13512
NESTED_URL = 31922
INVALID_TRACK = 31941
TOO_MANY_STREAMS = 31940
UNSUPPORTED = 0
"""Not Twilio's: the verb is a real one that this network does not execute."""

_XML_TYPES = {"text/xml", "application/xml", "text/html"}
_VOICES = {"", "man", "woman", "alice"}
_MAX_LOOPS = 1000
_KEY_S = 0.25
_WAIT_S = {"w": 0.5, "W": 1.0}
_MAX_UNIDIRECTIONAL_STREAMS = 4
_MAX_PARAMETER_CHARACTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """Go on with another document.

    Attributes:
        params: Fields to add to the request for it.
    """

    instructions: Instructions
    params: dict[str, str] = field(default_factory=dict)


class Telephone(Protocol):
    """What a script can do to its call."""

    def pick_up(self, call: PhoneCall) -> None:
        """Answer an inbound call; harmless when answered."""
        ...


Outcome = Jump | CallStatus | None
"""Where a verb leads: elsewhere, to the call's end, or to the next verb."""


class Script:
    """Runs documents one after another until the call ends by them."""

    def __init__(self, call: PhoneCall, wiring: Wiring, telephone: Telephone) -> None:
        self._call = call
        self._wiring = wiring
        self._telephone = telephone
        self._url: str | None = None
        self._verbs: dict[str, Callable[[Verb], Awaitable[Outcome]]] = {
            "Connect": self._connect,
            "Gather": self._gather,
            "Hangup": self._hang_up,
            "Pause": self._pause,
            "Play": self._play,
            "Redirect": self._redirect,
            "Reject": self._hang_up,
            "Say": self._say,
            "Start": self._start,
            "Stop": self._stop,
        }

    async def run(self, jump: Jump) -> CallStatus:
        """Run documents, and return the status that the call ends with."""
        try:
            outcome: Jump | CallStatus = jump
            while isinstance(outcome, Jump):
                document = await self._load(outcome)
                if document is None:
                    await self._apologise()
                    return CallStatus.COMPLETED
                outcome = await self._execute(document)
            return outcome
        finally:
            for stream in self._call.streams:
                if stream.is_bidirectional:
                    stream.stop()

    # -- documents ---------------------------------------------------------------------

    async def _load(self, jump: Jump) -> Document | None:
        source = jump.instructions
        if source.url is None:
            return self._read(source.twiml or "")
        document = await self._fetch(source.url, source.method, jump.params)
        if document is None and source.fallback_url is not None:
            error = self._wiring.errors[-1]
            params = {"ErrorCode": str(error.code), "ErrorUrl": source.url}
            document = await self._fetch(
                source.fallback_url, source.fallback_method, params
            )
        return document

    async def _fetch(
        self, url: str, method: str, params: dict[str, str]
    ) -> Document | None:
        if urlsplit(url).scheme not in {"http", "https"}:
            self._log(INVALID_URL, f"Invalid URL format: {url!r}")
            return None
        self._url = url
        answer = await self._request(WebhookKind.VOICE, url, method, params)
        if answer.error is not None:
            self._log(answer.error, f"HTTP failure, status {answer.status}")
            return None
        content_type = answer.content_type.partition(";")[0].strip().lower()
        if content_type == "text/plain":
            say = Verb(name="Say", attributes={}, text=answer.body, children=())
            return Document(verbs=(say,), warnings=())
        if content_type.startswith("audio/"):
            self._call.played_urls.append(url)
            return Document(verbs=(), warnings=())
        if content_type not in _XML_TYPES:
            self._log(INVALID_CONTENT_TYPE, f"Invalid Content-Type {content_type!r}")
            return None
        return self._read(answer.body)

    async def _request(
        self, kind: WebhookKind, url: str, method: str, params: dict[str, str]
    ) -> Attempt:
        courier = self._wiring.courier
        params = {**voice_params(self._call), **params}
        fault = courier.take_fault(kind, params)
        return await courier.deliver(kind, url, params, method=method, fault=fault)

    def _read(self, text: str) -> Document | None:
        try:
            document = read_twiml(text)
        except InvalidTwiml as error:
            self._log(error.code, str(error))
            return None
        for warning in document.warnings:
            self._log(SCHEMA_WARNING, warning)
        return document

    async def _execute(self, document: Document) -> Jump | CallStatus:
        for verb in document.verbs:
            if self._call.answered_at is None and verb.name == "Reject":
                is_busy = verb.attributes.get("reason") == "busy"
                return CallStatus.BUSY if is_busy else CallStatus.NO_ANSWER
            if self._call.answered_at is None and verb.name != "Pause":
                self._telephone.pick_up(self._call)
            run = self._verbs.get(verb.name)
            if run is None:
                self._log(UNSUPPORTED, f"<{verb.name}> is not executed here")
                return CallStatus.COMPLETED
            outcome = await run(verb)
            if outcome is not None:
                return outcome
        self._telephone.pick_up(self._call)
        return CallStatus.COMPLETED

    async def _apologise(self) -> None:
        self._telephone.pick_up(self._call)
        await self._speak(APOLOGY, voice="", language="en-US")

    def _log(self, code: int, message: str) -> None:
        self._wiring.log_error(code, message, call_sid=self._call.sid)

    def _jump(self, url: str, method: str, params: dict[str, str]) -> Jump:
        target = urljoin(self._url or "", url.strip())
        return Jump(instructions=Instructions(url=target, method=method), params=params)

    # -- verbs -------------------------------------------------------------------------

    async def _say(self, verb: Verb) -> None:
        voice = verb.attributes.get("voice", "")
        if voice not in _VOICES and not voice.startswith(("Polly.", "Google.")):
            self._log(INVALID_VOICE, f"Invalid voice {voice!r}")
            voice = ""
        if not verb.text:
            self._log(INVALID_TEXT, "Say: Invalid text")
            return
        for _ in range(_loops(verb)):
            await self._speak(
                verb.text,
                voice=voice or "man",
                language=verb.attributes.get("language", "en-US"),
            )

    async def _speak(self, text: str, *, voice: str, language: str) -> None:
        started_at = self._wiring.clock.now()
        length_s = len(text) * self._wiring.timing.seconds_per_character
        is_complete = False
        try:
            await asyncio.sleep(length_s)
            is_complete = True
        finally:
            self._call.heard_texts.append(
                HeardText(
                    text=text,
                    voice=voice,
                    language=language,
                    started_at=started_at,
                    duration_s=self._wiring.clock.now() - started_at,
                    is_complete=is_complete,
                )
            )
            self._wiring.changed()

    async def _pause(self, verb: Verb) -> None:
        length = verb.attributes.get("length", "1")
        await asyncio.sleep(float(length) if length.isdecimal() else 1.0)

    async def _play(self, verb: Verb) -> None:
        digits = verb.attributes.get("digits")
        if digits is not None:
            for key in digits:
                await asyncio.sleep(_WAIT_S.get(key, _KEY_S))
                if key not in _WAIT_S:
                    self._call.heard_digits += key
                    self._wiring.changed()
            return
        url = urljoin(self._url or "", verb.text)
        answer = await self._request(WebhookKind.MEDIA, url, "GET", {})
        if answer.error is not None:
            self._log(answer.error, "Play: HTTP failure")
        elif not answer.content_type.startswith("audio/"):
            self._log(INVALID_CONTENT_TYPE, "Play: not audio")
        else:
            self._call.played_urls.append(url)

    async def _hang_up(self, verb: Verb) -> CallStatus:  # noqa: ARG002 - one signature for all verbs
        return CallStatus.COMPLETED

    async def _redirect(self, verb: Verb) -> Jump:
        return self._jump(verb.text, verb.attributes.get("method", "POST"), {})

    async def _gather(self, verb: Verb) -> Outcome:
        settings = GatherSettings.from_verb(verb)
        for code in settings.warnings:
            self._log(code, "Gather: speechTimeout auto needs another speechModel")
        gathering = Gathering(
            settings,
            seconds_per_character=self._wiring.timing.seconds_per_character,
            report_partial=lambda number, text: self._report_partial(
                verb, number, text
            ),
        )
        result = await gathering.run(self._prompt(verb), self._call)
        given = verb.attributes
        if not result and given.get("actionOnEmptyResult") != "true":
            return None
        return self._jump(given.get("action", ""), given.get("method", "POST"), result)

    async def _prompt(self, verb: Verb) -> None:
        for child in verb.children:
            await self._verbs[child.name](child)

    def _report_partial(self, verb: Verb, number: int, text: str) -> None:
        url = verb.attributes.get("partialResultCallback")
        if url is None:
            return
        target = urljoin(self._url or "", url)
        method = verb.attributes.get("partialResultCallbackMethod", "POST")
        params = {
            "UnstableSpeechResult": text,
            "StableSpeechResult": "",
            "Stability": "0.5",
            "SequenceNumber": str(number),
        }
        self._wiring.spawn(self._deliver_partial(target, method, params))

    async def _deliver_partial(
        self, url: str, method: str, params: dict[str, str]
    ) -> None:
        answer = await self._request(WebhookKind.PARTIAL, url, method, params)
        if answer.error is not None:
            self._log(answer.error, "partial result: HTTP failure")

    # -- streams -----------------------------------------------------------------------

    async def _connect(self, verb: Verb) -> Outcome:
        noun = next((noun for noun in verb.children if noun.name == "Stream"), None)
        if noun is None:
            self._log(UNSUPPORTED, "<Connect> without <Stream> is not executed here")
            return None
        order = self._read_order(noun)
        if order is None:
            return None
        if order.tracks != ("inbound",):
            self._refuse(order, INVALID_TRACK, "Connect takes the inbound track only")
            return None
        stream: MediaStream | None = None
        while stream is None or stream.reconnect_after_s is not None:
            if stream is not None and stream.reconnect_after_s is not None:
                await asyncio.sleep(stream.reconnect_after_s)
            stream = self._new_stream(order, is_bidirectional=True)
            if not await stream.open():
                break
            await stream.over.wait()
        action = verb.attributes.get("action")
        if action is None:
            return None
        method = verb.attributes.get("method", "POST")
        return self._jump(action, method, {"StreamSid": stream.sid})

    async def _start(self, verb: Verb) -> None:
        for noun in verb.children:
            order = self._read_order(noun)
            if order is None:
                continue
            running = [stream for stream in self._call.streams if stream.is_open]
            tracks = sum(len(stream.order.tracks) for stream in running)
            if tracks + len(order.tracks) > _MAX_UNIDIRECTIONAL_STREAMS:
                self._refuse(order, TOO_MANY_STREAMS, "a call has 4 tracks at most")
                continue
            await self._new_stream(order, is_bidirectional=False).open()

    async def _stop(self, verb: Verb) -> None:
        names = {noun.attributes.get("name") for noun in verb.children}
        for stream in self._call.streams:
            if not stream.is_bidirectional and stream.order.name in names:
                stream.stop()

    def _new_stream(self, order: StreamOrder, *, is_bidirectional: bool) -> MediaStream:
        stream = MediaStream(
            self._call, order, self._wiring, is_bidirectional=is_bidirectional
        )
        self._call.streams.append(stream)
        return stream

    def _refuse(self, order: StreamOrder, code: int, message: str) -> None:
        self._new_stream(order, is_bidirectional=False).fail(code, message)

    def _read_order(self, noun: Verb) -> StreamOrder | None:
        given = noun.attributes
        callback = given.get("statusCallback")
        tracks = given.get("track", "inbound_track")
        parameters = {
            child.attributes.get("name", ""): child.attributes.get("value", "")
            for child in noun.children
        }
        order = StreamOrder(
            url=given.get("url", ""),
            name=given.get("name", ""),
            tracks=("inbound", "outbound")
            if tracks == "both_tracks"
            else (tracks.removesuffix("_track"),),
            parameters=parameters,
            status_callback=callback and urljoin(self._url or "", callback),
            status_method=given.get("statusCallbackMethod", "POST"),
        )
        if not order.url.startswith("wss://") or " " in order.url:
            self._refuse(order, NESTED_URL, "Stream: the URL must be wss:// and clean")
            return None
        for name, value in parameters.items():
            if len(name) + len(value) > _MAX_PARAMETER_CHARACTERS:
                self._log(SCHEMA_WARNING, f"Parameter {name} is too long")
        return order


def _loops(verb: Verb) -> int:
    text = verb.attributes.get("loop", "1")
    return (int(text) if text.isdecimal() else 1) or _MAX_LOOPS
