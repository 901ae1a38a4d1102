"""Speech engines without models: peers for tests, exact, and at home in virtual time.

They satisfy the protocols of `voice_call.speech.base` and run on any event loop. Time
passes only where a delay is asked for.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING

from voice_call.errors import SpeechError
from voice_call.media.audio import FRAME_BYTES, FRAME_S, SAMPLE_RATE_HZ
from voice_call.media.g711 import encode_ulaw, mean_level
from voice_call.speech.base import (
    RecognitionFailed,
    SpeechToTextCapabilities,
    TextToSpeechCapabilities,
    Transcript,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from voice_call.speech.base import Voice

    Report = Callable[[Transcript | RecognitionFailed], None]

__all__ = [
    "EnergyVoiceDetector",
    "ScriptedSpeechToText",
    "SilentSpeechToText",
    "ToneTextToSpeech",
    "tone",
]


def tone(seconds: float, *, pitch_hz: float = 440.0, level: float = 0.3) -> bytes:
    """Return a sine tone as µ-law audio; `level` is its amplitude, 0..1."""
    count = round(seconds * SAMPLE_RATE_HZ)
    step = 2 * math.pi * pitch_hz / SAMPLE_RATE_HZ
    samples = (round(32767 * level * math.sin(step * index)) for index in range(count))
    pcm = b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples)
    return encode_ulaw(pcm)


class ToneTextToSpeech:
    """Speaks a tone that is as long as the text: 60 ms for each letter or digit.

    Attributes:
        spoken: Every text it was asked for, in order.
        delay_s: Virtual or real seconds before the first audio of a text.
        chunk_s: How much audio it yields at a time.
        failing: While true, every synthesis fails before its first audio.
    """

    SECONDS_PER_CHARACTER = 0.06

    def __init__(self, *, delay_s: float = 0.0, chunk_s: float = 0.2) -> None:
        self.spoken: list[str] = []
        self.delay_s = delay_s
        self.chunk_s = chunk_s
        self.failing = False

    @property
    def name(self) -> str:
        """Return `tone`."""
        return "tone"

    @property
    def capabilities(self) -> TextToSpeechCapabilities:
        """Say that it streams, in any language."""
        return TextToSpeechCapabilities(streams_audio=True)

    async def warm_up(self) -> None:
        """Do nothing: there is nothing to load."""

    async def synthesize(self, text: str, *, voice: Voice) -> AsyncIterator[bytes]:
        """Yield the tone in chunks.

        Raises:
            SpeechError: `failing` is set, or the text has no letter and no digit.
        """
        self.spoken.append(text)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.failing:
            raise SpeechError("The tone generator fails as told.", engine=self.name)
        length_s = self.length_s(text) / voice.speed
        if not length_s:
            raise SpeechError("The text has no words to speak.", engine=self.name)
        audio = tone(length_s)
        chunk_bytes = max(1, round(self.chunk_s * SAMPLE_RATE_HZ))
        for start in range(0, len(audio), chunk_bytes):
            yield audio[start : start + chunk_bytes]

    @classmethod
    def length_s(cls, text: str) -> float:
        """Return how long the text lasts at normal speed."""
        return cls.SECONDS_PER_CHARACTER * sum(map(str.isalnum, text))

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""


class ScriptedSpeechToText:
    """Hears what its script says, whatever the audio is: one line for each segment.

    The script is shared by all calls and read in the order in which segments begin;
    after its end every segment is empty. An interim gives the first half of the words.

    Attributes:
        delay_s: Seconds from a request to its answer.
        opened: Languages of the recognitions that were opened.
    """

    def __init__(self, script: Iterable[str] = (), *, delay_s: float = 0.0) -> None:
        self._script = deque(script)
        self._open: list[_ScriptedRecognition] = []
        self.delay_s = delay_s
        self.opened: list[str] = []

    @property
    def name(self) -> str:
        """Return `scripted`."""
        return "scripted"

    @property
    def capabilities(self) -> SpeechToTextCapabilities:
        """Say that it gives interims, in any language."""
        return SpeechToTextCapabilities(finds_endpoints=False, gives_interims=True)

    async def warm_up(self) -> None:
        """Do nothing: there is nothing to load."""

    def expect(self, *texts: str) -> None:
        """Add lines to the script."""
        self._script.extend(texts)

    def fail(self, code: str = SpeechError.code) -> None:
        """Break down every recognition that is open."""
        for recognition in self._open:
            recognition.fail(code)

    def open(self, report: Report, *, language: str) -> _ScriptedRecognition:
        """Begin to listen to one call."""
        self.opened.append(language)
        recognition = _ScriptedRecognition(self, report)
        self._open.append(recognition)
        return recognition

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def next_line(self) -> str:
        """Take the next line off the script; empty after its end."""
        return self._script.popleft() if self._script else ""


class SilentSpeechToText(ScriptedSpeechToText):
    """Understands nothing: every segment is empty. Keys of a telephone still count."""

    def __init__(self) -> None:
        super().__init__()

    @property
    def name(self) -> str:
        """Return `silent`."""
        return "silent"


class _ScriptedRecognition:
    """Listens to one call.

    Attributes:
        heard_s: Seconds of audio it was given.
    """

    def __init__(self, engine: ScriptedSpeechToText, report: Report) -> None:
        self._engine = engine
        self._report: Report | None = report
        self._segment = 0
        self._text: str | None = None
        self._answers: deque[Transcript | RecognitionFailed] = deque()
        self.heard_s = 0.0

    def push(self, audio: bytes) -> None:
        """Take one frame of audio."""
        self.heard_s += len(audio) / SAMPLE_RATE_HZ

    def begin_segment(self) -> int:
        """Open a segment, which takes the next line of the script."""
        if self._text is not None:
            self.end_segment()
        self._segment += 1
        self._text = self._engine.next_line()
        return self._segment

    def request_interim(self) -> None:
        """Answer with the first half of the words, rounded up."""
        if self._text is not None:
            words = self._text.split()
            self._answer(" ".join(words[: (len(words) + 1) // 2]), is_final=False)

    def end_segment(self) -> None:
        """Answer with all the words."""
        if self._text is not None:
            self._answer(self._text, is_final=True)
            self._text = None

    def fail(self, code: str) -> None:
        """Break down for good."""
        self._later(RecognitionFailed(code=code, detail="The script fails as told."))

    async def close(self) -> None:
        """Stop listening."""
        self._report = None

    def _answer(self, text: str, *, is_final: bool) -> None:
        self._later(
            Transcript(
                segment=self._segment, text=text, is_final=is_final, confidence=1.0
            )
        )

    def _later(self, message: Transcript | RecognitionFailed) -> None:
        loop = asyncio.get_running_loop()
        self._answers.append(message)
        loop.call_later(self._engine.delay_s, self._tell)

    def _tell(self) -> None:
        message = self._answers.popleft()  # timers of one moment fire in any order
        if self._report is not None:
            self._report(message)


class EnergyVoiceDetector:
    """Takes whatever is loud for voice, frame by frame, without a model.

    Probability is 0 up to 10 dB below `voice_dbfs`, 1 from 10 dB above it on, and rises
    evenly in between. It is reported at once, within the loop's current round.
    """

    def __init__(self, *, voice_dbfs: float = -35.0) -> None:
        self._voice_dbfs = voice_dbfs

    async def warm_up(self) -> None:
        """Do nothing: there is nothing to load."""

    def open(self, report: Callable[[float, float], None]) -> _EnergyProbe:
        """Begin to watch one call."""
        return _EnergyProbe(report, self._voice_dbfs)

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""


class _EnergyProbe:
    """Watches one call."""

    def __init__(
        self, report: Callable[[float, float], None], voice_dbfs: float
    ) -> None:
        self._report: Callable[[float, float], None] | None = report
        self._voice_dbfs = voice_dbfs

    def push(self, audio: bytes, *, at: float) -> None:
        """Take one frame of audio that ended at time `at`, and judge it."""
        loop = asyncio.get_running_loop()
        for start in range(0, len(audio), FRAME_BYTES):
            frame = audio[start : start + FRAME_BYTES]
            rest = (len(audio) - start - len(frame)) / FRAME_BYTES * FRAME_S
            above = mean_level(frame) - self._voice_dbfs
            probability = min(1.0, max(0.0, 0.5 + above / 20))
            loop.call_soon(self._tell, probability, at - rest)

    def close(self) -> None:
        """Stop watching."""
        self._report = None

    def _tell(self, probability: float, at: float) -> None:
        if self._report is not None:
            self._report(probability, at)
