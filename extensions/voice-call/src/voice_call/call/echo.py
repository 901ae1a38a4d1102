"""Is it the caller, or our own voice coming back?

PURE. A loudspeaker at the other end returns what the agent says, a fraction of a second
later and often badly recognised. Only the words can tell: this module remembers what
the agent said last and measures how much of a transcript is found there, in order and
close together. Single common words do not add up to an echo.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_call.call.endpointing import split_words

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SpokenMemory"]

_UTTERANCES = 3
"""Remembered utterances: what plays now, a filler before it, and the one before."""
_WORDS_PER_UTTERANCE = 120
"""About fifty seconds of speech; bounds the work of one comparison."""
_WORDS_COMPARED = 40
"""Of a long transcript only the end is compared."""
_GAP_COST = 0.25
"""What a said but unheard word between two matches takes away, in matched words."""


class SpokenMemory:
    """What the agent said last."""

    def __init__(self) -> None:
        self._spoken: dict[str, tuple[str, ...]] = {}

    def remember(self, utterance_id: str, text: str) -> None:
        """Add a sentence to an utterance; the oldest utterance is forgotten."""
        spoken = self._spoken.pop(utterance_id, ()) + split_words(text)
        self._spoken[utterance_id] = spoken[-_WORDS_PER_UTTERANCE:]
        while len(self._spoken) > _UTTERANCES:
            del self._spoken[next(iter(self._spoken))]

    def similarity(self, heard: Sequence[str]) -> float:
        """Return which share of these words is an echo, 0..1.

        Args:
            heard: Words as `split_words` gives them.
        """
        tail = heard[-_WORDS_COMPARED:]
        if not tail:
            return 0.0
        best = max((_matched(tail, said) for said in self._spoken.values()), default=0)
        return best / len(tail)

    def ends_with(self, heard: Sequence[str]) -> bool:
        """Say whether an utterance ends in exactly these words."""
        ending = tuple(heard)
        return bool(ending) and any(
            said[-len(ending) :] == ending for said in self._spoken.values()
        )


def _matched(heard: Sequence[str], said: Sequence[str]) -> float:
    """Return the best local alignment's matches less its gaps (Smith-Waterman).

    Words that were never said are passed over: they only lower the share.
    """
    vocabulary = frozenset(said)
    before = [0.0] * (len(said) + 1)
    for word in heard:
        if word not in vocabulary:
            continue
        row = [0.0]
        for column, candidate in enumerate(said, start=1):
            score = max(
                before[column - 1] + (word == candidate),
                before[column],
                row[column - 1] - _GAP_COST,
            )
            row.append(score)
        before = row
    return max(before)
