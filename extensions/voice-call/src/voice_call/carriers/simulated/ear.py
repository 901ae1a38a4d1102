"""A simulated callee's ear: when the agent talks, when it has finished, what it said."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voice_call.log import get_logger
from voice_call.media.g711 import mean_level
from voice_call.speech.base import RecognitionFailed, Transcript

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_call.speech.base import (
        Recognition,
        SpeechToText,
        TextToSpeech,
        VoiceDetector,
        VoiceProbe,
    )

__all__ = ["CalleeSpeech", "Ear", "HeardUtterance"]

_log = get_logger(__name__)

END_OF_SPEECH_S = 0.7
"""So long must the agent be quiet until the callee thinks that it has finished."""
LAST_WORDS_S = 5.0
"""So long an ear waits, after the call, to understand the last words."""
_VOICE_PROBABILITY = 0.5
_VOICE_DBFS = -45.0
"""Without a detector, louder than this counts as voice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalleeSpeech:
    """Engines that give simulated callees a voice and understanding; each may miss.

    Attributes:
        text_to_speech: Without it a callee makes tones, or only listens.
        speech_to_text: Without it nothing is written down of what a callee hears.
        voice_detector: Without it loudness decides what is voice.
    """

    text_to_speech: TextToSpeech | None = None
    speech_to_text: SpeechToText | None = None
    voice_detector: VoiceDetector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardUtterance:
    """What a callee understood.

    Attributes:
        text: The words, possibly none.
        began_at: When they began, in seconds since 1970.
        ended_at: When they ended.
    """

    text: str
    began_at: float
    ended_at: float


class Ear:
    """Listens to what one line plays.

    Attributes:
        heard: What was understood, oldest first.
        audio: What was heard, oldest first, up to `recording_bytes`.
    """

    def __init__(self, speech: CalleeSpeech, *, recording_bytes: int) -> None:
        self.heard: list[HeardUtterance] = []
        self.audio = bytearray()
        self._recording_bytes = recording_bytes
        self._talking_since: float | None = None
        self._last_voice_at: float | None = None
        self._now = 0.0
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._segments: dict[int, tuple[float, float]] = {}
        self._segment: int | None = None
        self._understood = asyncio.Event()
        self._probe: VoiceProbe | None = None
        self._recognition: Recognition | None = None
        if speech.voice_detector is not None:
            self._probe = speech.voice_detector.open(self._take_window)
        if speech.speech_to_text is not None:
            self._recognition = speech.speech_to_text.open(
                self._take_words, language="en-US"
            )

    def hear(self, frame: bytes, *, at: float) -> None:
        """Take one frame that ended at time `at`."""
        self._now = at
        room = self._recording_bytes - len(self.audio)
        if room > 0:
            self.audio += frame[:room]
        if self._recognition is not None:
            self._recognition.push(frame)
        if self._probe is not None:
            self._probe.push(frame, at=at)
        else:
            self._note(is_voice=mean_level(frame) > _VOICE_DBFS, at=at)
        self._wake()

    async def wait_spoken(self, *, since: float, patience_s: float) -> bool:
        """Wait until the agent has said something after `since`, and has finished.

        Returns:
            False where `patience_s` ran out.
        """
        return await self._wait(lambda: self._has_spoken(since), patience_s)

    async def wait_talking(
        self, duration_s: float, *, since: float, patience_s: float
    ) -> bool:
        """Wait until the agent has been talking for so long, or has finished earlier.

        Returns:
            False where `patience_s` ran out.
        """

        def is_time() -> bool:
            talking = self._talking_since
            is_long = talking is not None and self._now - talking >= duration_s
            return is_long or self._has_spoken(since)

        return await self._wait(is_time, patience_s)

    async def close(self, *, is_hurried: bool = False) -> None:
        """Stop listening; who still waits is not woken any more.

        Args:
            is_hurried: Do not wait until the last words are understood.
        """
        for _, future in self._waiting:
            future.cancel()
        self._waiting.clear()
        if self._probe is not None:
            self._probe.close()
        self._end_segment()
        if self._segments and not is_hurried:
            self._understood.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_S):
                    await self._understood.wait()
        if self._recognition is not None:
            await self._recognition.close()

    def _has_spoken(self, since: float) -> bool:
        voice_at = self._last_voice_at
        return self._talking_since is None and voice_at is not None and voice_at > since

    async def _wait(self, is_met: Callable[[], bool], patience_s: float) -> bool:
        if is_met():
            return True
        future = asyncio.get_running_loop().create_future()
        entry = (is_met, future)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(patience_s):
                await future
        except TimeoutError:
            return False
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)
        return True

    def _wake(self) -> None:
        for is_met, future in self._waiting:
            if not future.done() and is_met():
                future.set_result(None)

    def _take_window(self, probability: float, at: float) -> None:
        self._note(is_voice=probability >= _VOICE_PROBABILITY, at=at)

    def _note(self, *, is_voice: bool, at: float) -> None:
        if is_voice:
            self._last_voice_at = at
            if self._talking_since is None:
                self._talking_since = at
                if self._recognition is not None:
                    self._segment = self._recognition.begin_segment()
            return
        voice_at = self._last_voice_at
        if self._talking_since is None or voice_at is None:
            return
        if at - voice_at >= END_OF_SPEECH_S:
            self._end_segment()
            self._talking_since = None

    def _end_segment(self) -> None:
        began_at, ended_at = self._talking_since, self._last_voice_at
        if self._recognition is None or self._segment is None:
            return
        if began_at is not None and ended_at is not None:
            self._segments[self._segment] = (began_at, ended_at)
        self._segment = None
        self._recognition.end_segment()

    def _take_words(self, report: Transcript | RecognitionFailed) -> None:
        if isinstance(report, RecognitionFailed):
            _log.warning("simulated callee is deaf", code=report.code)
            self._recognition = None
            self._segments.clear()
            self._understood.set()
            return
        if report.is_final:
            began_at, ended_at = self._segments.pop(
                report.segment, (self._now, self._now)
            )
            self.heard.append(
                HeardUtterance(text=report.text, began_at=began_at, ended_at=ended_at)
            )
            if not self._segments:
                self._understood.set()
