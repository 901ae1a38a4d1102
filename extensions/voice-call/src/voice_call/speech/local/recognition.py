"""Embedded recognition: Moonshine tiny-en, a segment at a time.

While a segment grows, it is decoded again for each interim. The decode that is asked for
in the pause after the last word usually is the final one: it is kept, and when the
segment ends without another sound, the final transcript is ready at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voice_call.errors import SpeechError
from voice_call.media.audio import FRAME_BYTES, SAMPLE_RATE_HZ
from voice_call.media.g711 import mean_level
from voice_call.speech.base import (
    RecognitionFailed,
    SpeechToTextCapabilities,
    Transcript,
)
from voice_call.speech.local.models import ENGINE
from voice_call.speech.local.moonshine import NOTHING, Heard, hear, load_decoder
from voice_call.speech.local.workers import speech_pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_call.speech.base import Recognition

    Report = Callable[[Transcript | RecognitionFailed], None]

__all__ = ["LocalSpeechToText"]

_PRE_ROLL_BYTES = SAMPLE_RATE_HZ * 320 // 1000
_WINDOW_BYTES = SAMPLE_RATE_HZ * 15
"""Longer segments are decoded in pieces: the model was trained on short ones."""
_EARLIEST_CUT_BYTES = SAMPLE_RATE_HZ * 8
_PAUSE_FRAMES = 8
"""A cut is made in the middle of the quietest 160 ms."""
_SETTLING_BYTES = SAMPLE_RATE_HZ * 60 // 1000
"""How long before an interim it must have been quiet for the interim to be final."""
_QUIET_DBFS = -50.0
_ABOVE_NOISE_DB = 6.0


class LocalSpeechToText:
    """Understands English without a network; shared by all calls."""

    @property
    def name(self) -> str:
        """Return `local`."""
        return ENGINE

    @property
    def capabilities(self) -> SpeechToTextCapabilities:
        """Say that it gives interims and understands English only."""
        return SpeechToTextCapabilities(
            finds_endpoints=False, gives_interims=True, languages=frozenset({"en"})
        )

    async def warm_up(self) -> None:
        """Load the model and decode a moment of silence.

        Raises:
            SpeechError: The engine is not installed, or is damaged.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(speech_pool(), load_decoder)

    def open(self, report: Report, *, language: str) -> Recognition:
        """Begin to listen to one call."""
        return _LocalRecognition(report, language=language)

    async def close(self) -> None:
        """Do nothing: the model is shared by the whole process."""


@dataclass(slots=True, kw_only=True)
class _Segment:
    """One stretch of speech, of which `audio` is what has not been settled yet.

    Attributes:
        cuts: How many pieces were cut off the front.
        settled: What was heard in them, so far.
        decoded_bytes: How much of `audio` the last interim decoded.
        last: What that interim heard.
    """

    number: int
    audio: bytearray
    cuts: int = 0
    settled: list[Heard] = field(default_factory=list)
    decoded_bytes: int = 0
    last: Heard = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settle:
    segment: _Segment
    audio: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Interim:
    segment: _Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class _Final:
    segment: _Segment


class _LocalRecognition:
    """Listens to one call; one task decodes for it, one thing after the other."""

    def __init__(self, report: Report, *, language: str) -> None:
        self._report = report
        self._language = language
        self._pre_roll: deque[bytes] = deque()
        self._pre_roll_bytes = 0
        self._segment: _Segment | None = None
        self._count = 0
        self._interim_waits = False
        self._jobs: asyncio.Queue[_Settle | _Interim | _Final] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._work())

    def push(self, audio: bytes) -> None:
        """Take one frame of audio."""
        if self._segment is None:
            self._keep(audio)
            return
        self._segment.audio += audio
        if len(self._segment.audio) > _WINDOW_BYTES:
            self._cut(self._segment)

    def begin_segment(self) -> int:
        """Open a segment that begins with the last 320 ms."""
        if self._segment is not None:
            self.end_segment()
        self._count += 1
        audio = bytearray().join(self._pre_roll)
        self._pre_roll.clear()
        self._pre_roll_bytes = 0
        self._segment = _Segment(number=self._count, audio=audio)
        return self._count

    def request_interim(self) -> None:
        """Ask for the words so far; what is asked for twice is answered once."""
        if self._segment is not None and not self._interim_waits:
            self._interim_waits = True
            self._jobs.put_nowait(_Interim(segment=self._segment))

    def end_segment(self) -> None:
        """Close the segment and ask for its final transcript."""
        if self._segment is not None:
            self._jobs.put_nowait(_Final(segment=self._segment))
            self._segment = None

    async def close(self) -> None:
        """Stop listening."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def _keep(self, audio: bytes) -> None:
        self._pre_roll.append(audio)
        self._pre_roll_bytes += len(audio)
        while self._pre_roll_bytes - len(self._pre_roll[0]) >= _PRE_ROLL_BYTES:
            self._pre_roll_bytes -= len(self._pre_roll.popleft())

    def _cut(self, segment: _Segment) -> None:
        """Settle the front of a long segment, up to its quietest moment."""
        end = _quietest_point(bytes(segment.audio))
        self._jobs.put_nowait(
            _Settle(segment=segment, audio=bytes(segment.audio[:end]))
        )
        del segment.audio[:end]
        segment.cuts += 1
        segment.decoded_bytes = 0
        segment.last = NOTHING

    async def _work(self) -> None:
        if self._language.partition("-")[0].lower() != "en":
            self._fail(
                f"Embedded recognition understands English, not {self._language}; "
                "choose a cloud transcription provider for that language."
            )
            return
        try:
            while True:
                await self._do(await self._jobs.get())
        except SpeechError as error:
            self._fail(str(error), code=error.code)
        except Exception as error:  # noqa: BLE001 - whatever the runtime raises, the call must hear of it
            self._fail(f"The embedded recogniser failed: {type(error).__name__}.")

    async def _do(self, job: _Settle | _Interim | _Final) -> None:
        segment = job.segment
        match job:
            case _Settle():
                segment.settled.append(await _decode(job.audio))
            case _Interim():
                self._interim_waits = False
                if segment is self._segment:  # a segment that is over gets its final
                    await self._hear_interim(segment)
            case _Final():
                if not _is_settled(segment):
                    segment.last = await _decode(bytes(segment.audio))
                self._tell(segment, segment.last, is_final=True)

    async def _hear_interim(self, segment: _Segment) -> None:
        cuts = segment.cuts
        audio = bytes(segment.audio)
        heard = await _decode(audio)
        self._tell(segment, heard, is_final=False)
        if segment.cuts == cuts:
            segment.decoded_bytes = len(audio)
            segment.last = heard

    def _tell(self, segment: _Segment, last: Heard, *, is_final: bool) -> None:
        pieces = [heard for heard in (*segment.settled, last) if heard.text]
        tokens = sum(heard.token_count for heard in pieces)
        total = sum(heard.mean_log_prob * heard.token_count for heard in pieces)
        mean = Heard(text="", mean_log_prob=total / max(1, tokens), token_count=tokens)
        self._report(
            Transcript(
                segment=segment.number,
                text=" ".join(heard.text for heard in pieces),
                is_final=is_final,
                confidence=mean.confidence if pieces else None,
            )
        )

    def _fail(self, detail: str, *, code: str = SpeechError.code) -> None:
        self._report(RecognitionFailed(code=code, detail=detail))


async def _decode(audio: bytes) -> Heard:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(speech_pool(), hear, audio)


def _levels(audio: bytes) -> list[float]:
    """Return the loudness of each frame, in dBFS."""
    return [
        mean_level(audio[start : start + FRAME_BYTES])
        for start in range(0, len(audio), FRAME_BYTES)
    ]


def _quietest_point(audio: bytes) -> int:
    """Return where to cut: the middle of the quietest pause in the later half."""
    levels = _levels(audio[_EARLIEST_CUT_BYTES:])
    starts = range(len(levels) - _PAUSE_FRAMES)
    quietest = min(starts, key=lambda start: sum(levels[start : start + _PAUSE_FRAMES]))
    return _EARLIEST_CUT_BYTES + (quietest + _PAUSE_FRAMES // 2) * FRAME_BYTES


def _is_settled(segment: _Segment) -> bool:
    """Return whether nothing was said since the moment before the last interim."""
    if not segment.decoded_bytes:
        return False
    levels = sorted(_levels(bytes(segment.audio)))
    noise = levels[len(levels) // 10]
    since = segment.decoded_bytes - _SETTLING_BYTES
    later = _levels(bytes(segment.audio[max(0, since) :]))
    return max(later) <= max(_QUIET_DBFS, noise + _ABOVE_NOISE_DB)
