"""One utterance on its way to the other side: its audio, its sentences, its words.

Positions are samples from the utterance's first one, which in µ-law are bytes. What may
be sent is always whole frames; only the last frame of a finished utterance is padded.
"""

from __future__ import annotations

from dataclasses import dataclass

from voice_call.media.audio import FRAME_BYTES, SAMPLE_RATE_HZ, SILENCE
from voice_call.media.g711 import mean_level

__all__ = ["Utterance"]

_OPEN_SENTENCE_CHARACTERS_PER_S = 15
"""A usual speaking rate; says how long a sentence will be whose audio still comes."""

_OVERLAP_BYTES = 5 * FRAME_BYTES
"""What is said again in any case, 100 ms: the way to the other side's ear."""
_RESTART_BYTES = SAMPLE_RATE_HZ
"""Within its first second a sentence is said again from its beginning."""
_SEARCH_BYTES = 30 * FRAME_BYTES
"""How far back a quiet place to go on from is looked for: 600 ms, about two words."""


@dataclass(slots=True, kw_only=True)
class _Sentence:
    text: str
    start: int
    end: int | None = None


def _floor_frame(position: int) -> int:
    return position - position % FRAME_BYTES


def _ceil_frame(position: int) -> int:
    return -(-position // FRAME_BYTES) * FRAME_BYTES


class Utterance:
    """The audio of one utterance, and how far it has come.

    Attributes:
        utterance_id: The owner's name for it.
        sent: How far it has been sent.
        is_finished: No more audio will come.
        has_started: Some of it has been sent, be it long ago.
        is_end_marked: Its last mark is on its way, so that nothing is left to send.
    """

    __slots__ = (
        "_audio",
        "_base",
        "_heard",
        "_length",
        "_next_mark",
        "_sentences",
        "has_started",
        "is_end_marked",
        "is_finished",
        "sent",
        "utterance_id",
    )

    def __init__(self, utterance_id: str) -> None:
        self.utterance_id = utterance_id
        self.sent = 0
        self.is_finished = False
        self.has_started = False
        self.is_end_marked = False
        self._audio = bytearray()
        self._base = 0  # position of the first byte that is still kept
        self._length = 0
        self._heard = 0
        self._sentences = [_Sentence(text="", start=0)]
        self._next_mark = 0  # the sentence whose end is marked next

    # -- filling -----------------------------------------------------------------------

    def begin_sentence(self, text: str) -> None:
        """Say what the audio that follows says."""
        self._sentences[-1].end = self._length
        self._sentences.append(_Sentence(text=text, start=self._length))

    def append(self, audio: bytes) -> None:
        """Add audio of any length."""
        self._audio += audio
        self._length += len(audio)

    def finish(self) -> None:
        """Say that no more audio will come."""
        self._sentences[-1].end = self._length
        self.is_finished = True

    # -- sending -----------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many bytes there are that have not been sent."""
        return max(0, self._length - self.sent)

    @property
    def is_empty(self) -> bool:
        """Whether it is finished and has no audio at all."""
        return self.is_finished and not self._length

    @property
    def end(self) -> int:
        """How far it can be sent by now."""
        if self.is_finished:
            return _ceil_frame(self._length)
        return _floor_frame(self._length)

    def next_size(self, limit: int) -> int:
        """Return how many bytes to send next, at most `limit`; 0 for none."""
        stop = self._next_stop()
        until = self.end if stop is None else min(self.end, stop)
        return max(0, min(limit, until - self.sent))

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes and count them as sent."""
        begin = self.sent - self._base
        self.sent += size
        self.has_started = True
        audio = bytes(self._audio[begin : begin + size])
        return audio.ljust(size, bytes((SILENCE,)))

    @property
    def is_mark_due(self) -> bool:
        """Whether a mark belongs right behind what has been sent."""
        if self.is_end_marked or not self.has_started:
            return False
        stop = self._next_stop()
        if stop is not None:
            return self.sent >= stop
        return self.is_finished and self.sent >= self.end

    def take_mark(self) -> None:
        """Count the mark that is due as sent."""
        self._next_mark += 1
        self.is_end_marked = self.is_finished and self.sent >= self.end

    def _next_stop(self) -> int | None:
        """Return where the next mark belongs, None if that is not known yet."""
        while self._next_mark < len(self._sentences):
            sentence = self._sentences[self._next_mark]
            if sentence.end is None:
                return None
            if sentence.end > sentence.start:
                return _ceil_frame(sentence.end)
            self._next_mark += 1
        return None

    # -- hearing -----------------------------------------------------------------------

    @property
    def heard(self) -> int:
        """How far it is known or estimated to have been heard, at any time so far."""
        return min(self._heard, self._length)

    def hear(self, position: int) -> None:
        """Count everything up to `position` as heard; never goes back."""
        self._heard = max(self._heard, position)

    def heard_text(self) -> str:
        """Return the words heard, cut at a word boundary.

        Within a sentence the words are taken as evenly spread over its audio. Words of
        a sentence without audio were never said.
        """
        heard: list[str] = []
        for sentence in self._sentences:
            heard += self._heard_words(sentence)
        return " ".join(heard)

    def _heard_words(self, sentence: _Sentence) -> list[str]:
        end = self._length if sentence.end is None else sentence.end
        position = min(self.heard, end) - sentence.start
        length = end - sentence.start
        if position <= 0:
            return []
        if sentence.end is None:
            rate = SAMPLE_RATE_HZ // _OPEN_SENTENCE_CHARACTERS_PER_S
            length = max(length, len(sentence.text) * rate)
        return _first_words(sentence.text, position, length)

    def forget(self, position: int) -> None:
        """Release audio that was heard for certain, up to about `position`.

        The last frame before it is kept: the next sentence may begin inside.
        """
        base = _floor_frame(position) - FRAME_BYTES
        if base > self._base:
            del self._audio[: base - self._base]
            self._base = base

    # -- going on after a pause --------------------------------------------------------

    def rewind(self) -> None:
        """Go back to where speech can go on: a bit before what was heard last."""
        if not (self.is_finished and self._heard >= self._length):
            self.sent = self._resume_point()
        self.is_end_marked = False
        self._next_mark = 0
        while (stop := self._next_stop()) is not None and stop <= self.sent:
            self._next_mark += 1

    def _resume_point(self) -> int:
        heard = self.heard
        sentence = next(s for s in reversed(self._sentences) if s.start <= heard)
        start = max(_floor_frame(sentence.start), self._base)
        latest = _floor_frame(heard) - _OVERLAP_BYTES
        if latest - start <= _RESTART_BYTES:
            return start
        places = range(latest, latest - _SEARCH_BYTES, -FRAME_BYTES)
        return min(places, key=self._level_at)

    def _level_at(self, position: int) -> float:
        begin = position - self._base
        return mean_level(self._audio[begin : begin + FRAME_BYTES])


def _first_words(text: str, position: int, length: int) -> list[str]:
    """Return the words of `text` that are over at `position` of `length`."""
    words = text.split()
    characters = len(" ".join(words))
    reached = characters * min(position, length) // length
    end = -1
    for count, word in enumerate(words):
        end += 1 + len(word)
        if end > reached:
            return words[:count]
    return words
