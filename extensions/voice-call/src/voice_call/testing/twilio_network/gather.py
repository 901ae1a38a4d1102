"""`<Gather>`: listens to words and keys until it has enough or nothing comes.

Source: Twilio's "TwiML voice: <Gather>" page.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from voice_call.testing.twilio_network.callees import Keys, Nothing, Reply, Speech

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from voice_call.testing.twilio_network.phone_call import PhoneCall
    from voice_call.testing.twilio_network.twiml import Verb

__all__ = ["GatherSettings", "Gathering"]

DEFAULT_TIMEOUT_S = 5.0
AUTO_SPEECH_TIMEOUT_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherSettings:
    """The attributes that decide when it is over.

    Attributes:
        timeout_s: Without input after the prompt, and between two keys.
        speech_timeout_s: Silence after words until they count as all.
        finish_keys: Any of these ends it.
        max_digits: So many keys end it.
        warnings: Numbers of Twilio's error dictionary.
    """

    takes_keys: bool
    takes_speech: bool
    timeout_s: float
    speech_timeout_s: float
    finish_keys: str
    max_digits: int | None
    can_barge_in: bool
    warnings: tuple[int, ...] = ()

    @classmethod
    def from_verb(cls, verb: Verb) -> GatherSettings:
        """Read the attributes; what is not valid gives a warning and its default."""
        given = verb.attributes
        inputs = given.get("input", "dtmf").split()
        timeout_s = _seconds(given.get("timeout"), DEFAULT_TIMEOUT_S)
        speech_timeout_s = _seconds(given.get("speechTimeout"), timeout_s)
        warnings: tuple[int, ...] = ()
        if given.get("speechTimeout") == "auto":
            speech_timeout_s = AUTO_SPEECH_TIMEOUT_S
            if given.get("speechModel", "default") == "default":
                warnings = (13335,)
                speech_timeout_s = timeout_s
        digits = given.get("numDigits", "")
        return cls(
            takes_keys="dtmf" in inputs,
            takes_speech="speech" in inputs,
            timeout_s=timeout_s,
            speech_timeout_s=speech_timeout_s,
            finish_keys=given.get("finishOnKey", "#"),
            max_digits=int(digits) if digits.isdecimal() else None,
            can_barge_in=given.get("bargeIn", "true") != "false",
            warnings=warnings,
        )


@dataclass(frozen=True, slots=True)
class _PromptEnded:
    pass


@dataclass(frozen=True, slots=True)
class _Key:
    digit: str


@dataclass(frozen=True, slots=True)
class _SpeechBegan:
    pass


@dataclass(frozen=True, slots=True)
class _SpeechEnded:
    speech: Speech


_Heard = _PromptEnded | _Key | _SpeechBegan | _SpeechEnded


class Gathering:
    """One run of a `<Gather>`.

    Args:
        settings: When it is over.
        seconds_per_character: How fast the callee speaks.
        report_partial: Takes the number and the text of every partial result.
    """

    def __init__(
        self,
        settings: GatherSettings,
        *,
        seconds_per_character: float,
        report_partial: Callable[[int, str], None],
    ) -> None:
        self._settings = settings
        self._pace_s = seconds_per_character
        self._report_partial = report_partial
        self._heard: asyncio.Queue[_Heard] = asyncio.Queue()
        self._prompt_ended = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._digits = ""
        self._is_hearing_speech = False

    def hear(self, reply: Reply) -> None:
        """Take words or keys now; an `Ear`."""
        self._spawn(self._perform(reply))

    async def run(
        self, prompt: Coroutine[Any, Any, None], call: PhoneCall
    ) -> dict[str, str]:
        """Play the prompt, listen, and return the result's fields; empty for nothing."""
        call.ear = self
        playing = self._start(self._play(prompt))
        if call.replies:
            self._spawn(self._reply(call.replies.pop(0)))
        call.changed()
        try:
            return await self._listen(playing)
        finally:
            call.ear = None
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self, playing: asyncio.Task[None]) -> dict[str, str]:
        while True:
            match await self._next():
                case None:
                    return self._key_result()
                case _PromptEnded():
                    pass
                case _Key(digit=digit):
                    await self._silence(playing)
                    if self._take_key(digit):
                        return self._key_result()
                case _SpeechBegan():
                    await self._silence(playing)
                case _SpeechEnded(speech=speech):
                    await asyncio.sleep(self._settings.speech_timeout_s)
                    return {
                        "SpeechResult": speech.text,
                        "Confidence": str(speech.confidence),
                    }

    async def _next(self) -> _Heard | None:
        waits = self._is_hearing_speech or not self._prompt_ended.is_set()
        try:
            async with asyncio.timeout(None if waits else self._settings.timeout_s):
                return await self._heard.get()
        except TimeoutError:
            return None

    def _take_key(self, digit: str) -> bool:
        if digit in self._settings.finish_keys:
            return True
        self._digits += digit
        return len(self._digits) == self._settings.max_digits

    def _key_result(self) -> dict[str, str]:
        return {"Digits": self._digits} if self._digits else {}

    async def _play(self, prompt: Coroutine[Any, Any, None]) -> None:
        try:
            await prompt
        finally:
            self._prompt_ended.set()
            self._heard.put_nowait(_PromptEnded())

    async def _silence(self, playing: asyncio.Task[None]) -> None:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)

    async def _reply(self, reply: Reply) -> None:
        if isinstance(reply, Nothing):
            return
        if not reply.is_barging_in:
            await self._prompt_ended.wait()
        await asyncio.sleep(reply.after_s)
        await self._perform(reply)

    async def _perform(self, reply: Reply) -> None:
        match reply:
            case Keys(digits=digits, gap_s=gap_s):
                if self._settings.takes_keys:
                    for digit in digits:
                        self._heard.put_nowait(_Key(digit))
                        await asyncio.sleep(gap_s)
            case Speech():
                is_deaf = not self._prompt_ended.is_set()
                is_deaf = is_deaf and not self._settings.can_barge_in
                if self._settings.takes_speech and not is_deaf:
                    await self._speak(reply)
            case Nothing():
                pass
            case _:
                assert_never(reply)

    async def _speak(self, speech: Speech) -> None:
        self._is_hearing_speech = True
        self._heard.put_nowait(_SpeechBegan())
        length_s = len(speech.text) * self._pace_s
        for number, partial in enumerate(speech.partials):
            await asyncio.sleep(length_s / (len(speech.partials) + 1))
            self._report_partial(number, partial)
        await asyncio.sleep(length_s / (len(speech.partials) + 1))
        self._heard.put_nowait(_SpeechEnded(speech))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._start(work).set_name("gather")

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.append(task)
        return task


def _seconds(text: str | None, default: float) -> float:
    return float(text) if text is not None and text.isdecimal() else default
