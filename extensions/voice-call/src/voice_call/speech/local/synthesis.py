"""Embedded synthesis: the hibari voice "heart", one sentence at a time."""

from __future__ import annotations

import asyncio
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voice_call.errors import SpeechError
from voice_call.media.audio import SAMPLE_RATE_HZ
from voice_call.speech.base import TextToSpeechCapabilities
from voice_call.speech.local.digits import spell_digits
from voice_call.speech.local.models import (
    ENGINE,
    HIBARI_HEART,
    load_library,
    locate,
    read_model,
)
from voice_call.speech.local.telephone import resample, to_telephone
from voice_call.speech.local.workers import Shared, speech_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voice_call.speech.base import Voice
    from voice_call.speech.local.telephone import Samples

__all__ = ["LocalTextToSpeech"]

_MODEL_RATE_HZ = 24_000
_SEED = 1
"""Fixed, so that the same text always gives the same audio."""
_VOICES = {"heart": 1.0, "low": 0.92}
"""Voice name to pitch. "low" is the same model, slower and then played back lower."""
_SPEED_RANGE = (0.5, 2.0)

# hibari pads every sentence with about 0.3 s before and 0.5 s after; what remains is
# enough for a natural pause between two sentences.
_LEAD_SAMPLES = _MODEL_RATE_HZ * 40 // 1000
_TRAIL_SAMPLES = _MODEL_RATE_HZ * 100 // 1000
_AUDIBLE = 0.01

_GAIN = 10 ** (4.5 / 20)
"""hibari speaks at about -23 dBFS; telephone speech is expected a little louder."""
_KNEE = 0.7
_CEILING = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class _Style:
    """How one utterance is to sound: pitch 1.0 and speed 1.0 are the model's own."""

    pitch: float
    speed: float


class LocalTextToSpeech:
    """Speaks English without a network; shared by all calls.

    Its voices are "heart" (the default) and "low", the same speaker a little deeper.
    """

    @property
    def name(self) -> str:
        """Return `local`."""
        return ENGINE

    @property
    def capabilities(self) -> TextToSpeechCapabilities:
        """Say that it streams sentence by sentence and speaks English only."""
        return TextToSpeechCapabilities(streams_audio=True, languages=frozenset({"en"}))

    async def warm_up(self) -> None:
        """Load the model and say something short, which loads the dictionaries.

        Raises:
            SpeechError: The engine is not installed, or is damaged.
        """
        loop = asyncio.get_running_loop()
        style = _Style(pitch=1.0, speed=1.0)
        await loop.run_in_executor(speech_pool(), _speak, "Ready.", style)

    async def synthesize(self, text: str, *, voice: Voice) -> AsyncIterator[bytes]:
        """Yield one chunk of audio for each sentence, as soon as it is ready.

        Closing the iterator stops before the next sentence.

        Raises:
            SpeechError: The voice is unknown, the engine failed, or produced no audio.
        """
        style = _style_of(voice)
        loop = asyncio.get_running_loop()
        pool = speech_pool()
        sentences = await loop.run_in_executor(pool, _split, spell_digits(text))
        spoke = False
        for sentence in sentences:
            audio = await loop.run_in_executor(pool, _speak, sentence, style)
            if audio:
                spoke = True
                yield audio
        if not spoke:
            raise SpeechError("The text has no words to speak.", engine=ENGINE)

    async def close(self) -> None:
        """Do nothing: the model is shared by the whole process."""


class _Speaker:
    """The loaded model. Its methods run in the pool."""

    def __init__(self) -> None:
        read_model(HIBARI_HEART)  # checks it
        path = str(locate(HIBARI_HEART))
        self._hibari: Any = load_library("hibari").Hibari(model=path, threads=1)
        self._dictionaries = threading.Lock()  # hibari's caches are not thread-safe

    def split(self, text: str) -> list[str]:
        """Return the sentences that the model speaks at once."""
        sentences: list[str] = self._hibari.split_sentences(text)
        return [sentence for sentence in sentences if any(map(str.isalnum, sentence))]

    def speak(self, sentence: str, style: _Style) -> bytes:
        """Return µ-law audio, empty if there is nothing to say."""
        np = load_library("numpy")
        with self._dictionaries:
            phonemes = self._hibari.phonemize(sentence)
        speed = style.speed / style.pitch
        pieces = [self._hibari.from_phonemes(p, speed, _SEED) for p in phonemes]
        trimmed = [piece for piece in map(_trim, pieces) if piece.size]
        if not trimmed:
            return b""
        samples = resample(
            np.concatenate(trimmed),
            from_hz=round(_MODEL_RATE_HZ * style.pitch),
            to_hz=SAMPLE_RATE_HZ,
        )
        return to_telephone(_limit(samples * _GAIN))


_SPEAKER = Shared(_Speaker)


def _split(text: str) -> list[str]:
    return _SPEAKER.get().split(text)


def _speak(sentence: str, style: _Style) -> bytes:
    return _SPEAKER.get().speak(sentence, style)


def _style_of(voice: Voice) -> _Style:
    name = voice.name or "heart"
    pitch = _VOICES.get(name)
    if pitch is None:
        known = " and ".join(f'"{known}"' for known in _VOICES)
        raise SpeechError(
            f'The embedded voices are {known}; "{name}" is not one of them.',
            engine=ENGINE,
        )
    if not re.match(r"en\b", voice.language, re.IGNORECASE):
        raise SpeechError(
            f"The embedded voice speaks English, not {voice.language}; choose a cloud "
            "speech provider for that language.",
            engine=ENGINE,
        )
    slowest, fastest = _SPEED_RANGE
    return _Style(pitch=pitch, speed=min(max(voice.speed, slowest), fastest))


def _trim(samples: Samples) -> Samples:
    """Cut the silence around a sentence down to a short lead and trail."""
    np = load_library("numpy")
    audible = np.flatnonzero(np.abs(samples) > _AUDIBLE)
    if not audible.size:
        return samples[:0]
    start = max(0, int(audible[0]) - _LEAD_SAMPLES)
    return samples[start : int(audible[-1]) + 1 + _TRAIL_SAMPLES]


def _limit(samples: Samples) -> Samples:
    """Bend what is louder than the knee softly below the ceiling."""
    np = load_library("numpy")
    loudness = np.abs(samples)
    room = _CEILING - _KNEE
    bent = _KNEE + room * np.tanh((loudness - _KNEE) / room)
    limited: Samples = np.where(loudness > _KNEE, np.sign(samples) * bent, samples)
    return limited
