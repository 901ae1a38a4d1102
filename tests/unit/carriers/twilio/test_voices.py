"""Voices of Twilio's, and long texts cut into what one verb takes."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from voice_call.carriers.twilio.voices import say_voice, split_text


@pytest.mark.parametrize(
    ("voice", "language", "chosen"),
    [
        (None, "en-US", "Polly.Joanna"),
        (None, "de-DE", None),
        ("alloy", "en-US", "Polly.Joanna"),
        ("Echo", "en-US", "Polly.Matthew"),
        ("fable", "en-GB", "Polly.Amy"),
        ("onyx", "EN", "Polly.Brian"),
        ("NOVA", "en-US", "Polly.Salli"),
        ("shimmer", "en-US", "Polly.Kimberly"),
        ("nova", "fr-FR", None),
        ("unheard-of", "en-US", "Polly.Joanna"),
        ("Polly.Vicki-Neural", "de-DE", "Polly.Vicki-Neural"),
        ("Google.en-US-Chirp3-HD-Aoede", "en-US", "Google.en-US-Chirp3-HD-Aoede"),
        ("man", "it-IT", "man"),
        ('Polly."', "de-DE", None),
    ],
)
def test_a_voice_fits_its_language(
    voice: str | None, language: str, chosen: str | None
) -> None:
    assert say_voice(voice, language=language) == chosen


@pytest.mark.parametrize(
    ("text", "limit", "pieces"),
    [
        ("", 20, ()),
        ("short", 20, ("short",)),
        ("One. Two. Three", 15, ("One. Two.", " Three")),
        ("One. two three", 15, ("One. two", " three")),
        ("One. two", 12, ("One. two",)),
        ("One. “Hi.” Then go", 37, ("One. “Hi.”", " Then go")),
        ("a. b c. d eeeeeeeeeeeeeeeeeeee", 26, ("a. b c.", " d", " " + "e" * 20)),
        ("abcdefghijklm", 12, ("abcdefghijkl", "m")),
        ("ééé", 12, ("éé", "é")),
        ("one \n", 20, ("one \n",)),
    ],
)
def test_a_text_is_cut_where_it_is_heard_least(
    text: str, limit: int, pieces: tuple[str, ...]
) -> None:
    assert split_text(text, limit=limit) == pieces


def test_a_long_message_is_whole() -> None:
    text = "This is a sentence of a long message. " * 600
    pieces = split_text(text)
    assert "".join(pieces) == text
    assert all(piece.rstrip().endswith(".") for piece in pieces)
    assert max(len(quote(piece, safe="")) for piece in pieces) <= 3000
    assert len(pieces) == 11
