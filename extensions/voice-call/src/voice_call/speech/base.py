"""What speech engines are: three small protocols that fit embedded and cloud engines.

Audio on every seam is G.711 µ-law at 8 kHz, mono, the telephone's own format. An engine
that works at another rate converts inside.

Recognition works in *segments*: one stretch of the other side's speech between two
clear silences. The turn-taking core opens and closes segments from voice activity; an
engine that finds its own boundaries says so in its capabilities and numbers them itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = [
    "Recognition",
    "RecognitionFailed",
    "SpeechToText",
    "SpeechToTextCapabilities",
    "TextToSpeech",
    "TextToSpeechCapabilities",
    "Transcript",
    "Voice",
    "VoiceDetector",
    "VoiceProbe",
]


# -- text to speech --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """How something should sound.

    Attributes:
        name: The engine's own voice name; None for its default.
        language: BCP 47 tag, for example `en-US`.
        speed: 1.0 is the engine's normal speed.
    """

    name: str | None = None
    language: str = "en-US"
    speed: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TextToSpeechCapabilities:
    """What a synthesiser can do.

    Attributes:
        streams_audio: The first audio comes before the whole text is synthesised.
        languages: BCP 47 primary tags; empty if the engine takes any.
    """

    streams_audio: bool
    languages: frozenset[str] = frozenset()


class TextToSpeech(Protocol):
    """A synthesiser, shared by all calls."""

    @property
    def name(self) -> str:
        """Short name, for example `local`."""
        ...

    @property
    def capabilities(self) -> TextToSpeechCapabilities:
        """What it can do."""
        ...

    async def warm_up(self) -> None:
        """Load models or connect, so that the first call does not wait."""
        ...

    def synthesize(self, text: str, *, voice: Voice) -> AsyncIterator[bytes]:
        """Yield audio for one sentence or more, in chunks of any length.

        Closing the iterator cancels the synthesis.

        Raises:
            SpeechError: The engine failed, or produced no audio.
        """
        ...

    async def close(self) -> None:
        """Release everything."""
        ...


# -- speech to text --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What was recognised in a segment so far.

    Attributes:
        segment: Number of the segment within the recognition, counted from 1.
        text: The words, possibly empty: "nothing was said" is an answer too.
        is_final: True where the text will not change any more.
        confidence: 0..1, if the engine gives one.
    """

    segment: int
    text: str
    is_final: bool
    confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionFailed:
    """Recognition broke down for good; nothing more will come.

    Attributes:
        code: Our stable error code.
        detail: One sentence for the log.
    """

    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechToTextCapabilities:
    """What a recogniser can do.

    Attributes:
        finds_endpoints: It decides itself when an utterance is over.
        gives_interims: It reports words before an utterance is over.
        languages: BCP 47 primary tags; empty if the engine takes any.
    """

    finds_endpoints: bool
    gives_interims: bool
    languages: frozenset[str] = frozenset()


class SpeechToText(Protocol):
    """A recogniser, shared by all calls."""

    @property
    def name(self) -> str:
        """Short name, for example `local`."""
        ...

    @property
    def capabilities(self) -> SpeechToTextCapabilities:
        """What it can do."""
        ...

    async def warm_up(self) -> None:
        """Load models or connect, so that the first call does not wait."""
        ...

    def open(
        self,
        report: Callable[[Transcript | RecognitionFailed], None],
        *,
        language: str,
    ) -> Recognition:
        """Begin to listen to one call.

        Returns at once; audio is taken from the first frame, also while the engine
        still connects. `report` is called on the event loop.
        """
        ...

    async def close(self) -> None:
        """Release everything."""
        ...


class Recognition(Protocol):
    """Listening to one call. Methods never block and never raise."""

    def push(self, audio: bytes) -> None:
        """Take one frame of audio, voice or not, in order."""
        ...

    def begin_segment(self) -> int:
        """Say that voice has begun, a moment ago; returns the segment's number.

        The engine keeps enough of the past (about 320 ms) to have its onset.
        """
        ...

    def request_interim(self) -> None:
        """Ask for the words so far; answered by a `Transcript` that is not final."""
        ...

    def end_segment(self) -> None:
        """Say that the segment is over; answered by one final `Transcript`."""
        ...

    async def close(self) -> None:
        """Stop listening; nothing is reported afterwards."""
        ...


# -- voice activity --------------------------------------------------------------------


class VoiceDetector(Protocol):
    """Tells voice from other sound; one shared model for all calls."""

    async def warm_up(self) -> None:
        """Load the model, so that the first call does not wait."""
        ...

    def open(self, report: Callable[[float, float], None]) -> VoiceProbe:
        """Begin to watch one call.

        `report(probability, at)` is called on the event loop for each window: the
        probability of voice, 0..1, and the time at which the window ended, in the
        clock of `VoiceProbe.push`.
        """
        ...

    async def close(self) -> None:
        """Release everything."""
        ...


class VoiceProbe(Protocol):
    """Watching one call. Methods never block and never raise."""

    def push(self, audio: bytes, *, at: float) -> None:
        """Take one frame of audio that ended at time `at`."""
        ...

    def close(self) -> None:
        """Stop watching; nothing is reported afterwards."""
        ...
