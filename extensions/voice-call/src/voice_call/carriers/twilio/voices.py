"""Voices of Twilio's `<Say>`, and texts cut to the length that it takes.

PURE.
"""

from __future__ import annotations

import re
from urllib.parse import quote

__all__ = ["MAX_SAY_BYTES", "say_voice", "split_text"]

MAX_SAY_BYTES = 3000
"""Most that one `<Say>` holds, percent-encoded.

Twilio's warning 13521: 3,000 bytes for Polly voices (less than the others), and 4,500
characters percent-encoded. The smaller number in the larger measure keeps both.
"""

_POLLY = {
    "alloy": "Joanna",
    "echo": "Matthew",
    "fable": "Amy",
    "onyx": "Brian",
    "nova": "Salli",
    "shimmer": "Kimberly",
}
"""The Polly voice nearest to each of OpenAI's."""
_DEFAULT = "Polly.Joanna"
_OWN = re.compile(r"(?:Polly|Google)\.[\w.-]+|man|woman|alice")
_PIECE = re.compile(r"\s*\S+")
_SENTENCE_END = re.compile(r"""[.!?…。！？]["'”’)\]]*$""")


def say_voice(voice: str | None, *, language: str) -> str | None:
    """Return the `voice` attribute, or None for the account's default voice.

    A name of Twilio's own passes, a name of OpenAI's becomes its nearest Polly voice.
    The voices here speak English, so another language leaves the choice to Twilio.
    """
    if voice is not None and _OWN.fullmatch(voice):
        return voice
    if not language.lower().startswith("en"):
        return None
    nearest = _POLLY.get((voice or "").lower())
    return _DEFAULT if nearest is None else f"Polly.{nearest}"


def split_text(text: str, *, limit: int = MAX_SAY_BYTES) -> tuple[str, ...]:
    """Cut a text into pieces of at most `limit` bytes percent-encoded.

    Cuts fall after sentences where they can, else between words, and within a word that
    is too long for one piece. Joined, the pieces are the text.
    """
    words = _words(text, limit)
    pieces: list[str] = []
    held: list[str] = []
    size = 0
    for word in words:
        length = _size(word)
        if size + length > limit:
            cut = _last_sentence(held)
            pieces.append("".join(held[:cut]))
            held = held[cut:]
            size = sum(map(_size, held))
            if size + length > limit:
                pieces.append("".join(held))
                held, size = [], 0
        held.append(word)
        size += length
    pieces.append("".join(held))
    return tuple(piece for piece in pieces if piece)


def _size(text: str) -> int:
    return len(quote(text, safe="", errors="replace"))


def _last_sentence(words: list[str]) -> int:
    """Return how many words make whole sentences; all, where that is less than half."""
    for count in range(len(words), len(words) // 2, -1):
        if _SENTENCE_END.search(words[count - 1]):
            return count
    return len(words)


def _words(text: str, limit: int) -> list[str]:
    words = _PIECE.findall(text)
    words.append(text[sum(map(len, words)) :])
    per_character = _size("\N{GRINNING FACE}")
    step = max(1, limit // per_character)
    return [
        part
        for word in words
        for part in (
            [word]
            if _size(word) <= limit
            else [word[at : at + step] for at in range(0, len(word), step)]
        )
    ]
