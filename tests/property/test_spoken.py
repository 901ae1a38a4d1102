"""Whatever a model writes, and however it is cut into portions."""

from __future__ import annotations

import itertools
import json
import re

from hypothesis import example, given
from hypothesis import strategies as st

from voice_call.speech.sentences import SentenceSplitter
from voice_call.speech.spoken import SpokenParser

PARTS = st.sampled_from(
    [
        '{"spoken": "',
        '"}',
        '"',
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\\",
        "\\n",
        "\\ud83d",
        "\\u00e9",
        "\\ude00",
        "```",
        "```json\n",
        "~~~",
        "`",
        "\n",
        "\n\n",
        " ",
        "<think>",
        "</think>",
        "<b>",
        "</",
        "<",
        ">",
        "Reasoning: ",
        "Answer: ",
        "The user wants tea. ",
        "I should ",
        "Hello there. ",
        "Sure, of course; it is Dr. Who at 3 p.m. today! ",
        "https://www.example.com/a?b",
        "[text](http://x.example)",
        "**bold** _it_ ",
        "- one\n",
        "# Title\n",
        "Here it is:\n",
        '"spoken": "',
        "😀",
        "你好。",
        "'spoken'",
        "null",
        "word " * 50,
        "x" * 120,
    ]
)
REPLIES = st.lists(PARTS | st.text(max_size=8), max_size=20).map("".join)


def speak(*portions: str) -> str:
    parser = SpokenParser()
    return "".join([*map(parser.feed, portions), parser.finish()])


def split(*portions: str) -> list[str]:
    splitter = SentenceSplitter()
    pieces = [piece for portion in portions for piece in splitter.feed(portion)]
    return pieces + splitter.finish()


def portions_of(text: str, cuts: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in itertools.pairwise(edges)]


@given(reply=REPLIES, cuts=st.lists(st.integers(min_value=0, max_value=10_000)))
def test_the_portions_do_not_matter(reply, cuts):
    """The same reply is spoken the same way, however it arrives."""
    whole = speak(reply)
    assert speak(*portions_of(reply, cuts)) == whole
    assert speak(*reply) == whole


@given(reply=REPLIES)
@example('{"spoken": "{\\"spoken\\": \\"{\\\\\\"spoken\\\\\\": 1}\\"}"}')
def test_no_brace_is_ever_spoken(reply):
    """Neither a brace nor a key name reaches the caller's ear."""
    spoken = speak(reply)
    assert '{"spoken"' not in spoken
    assert not set("{}[]<>`*") & set(spoken)


@given(words=st.lists(st.from_regex(r"[a-z]{1,9}[.,?!]?", fullmatch=True), min_size=1))
def test_plain_words_in_json_are_all_spoken(words):
    """The value of `spoken` comes out as it is, if it has no markup."""
    text = " ".join(["Say", *words])
    assert speak(json.dumps({"spoken": text})) == text


@given(text=REPLIES, cuts=st.lists(st.integers(min_value=0, max_value=10_000)))
def test_sentences_lose_nothing(text, cuts):
    """The pieces have every letter and digit of the text, in order."""
    pieces = split(*portions_of(text, cuts))
    joined = "".join(pieces)
    assert list(filter(str.isalnum, joined)) == list(filter(str.isalnum, text))
    assert re.sub(r"\s", "", pieces[0] if pieces else "") in re.sub(r"\s", "", text)


@given(text=REPLIES, cuts=st.lists(st.integers(min_value=0, max_value=10_000)))
def test_the_portions_do_not_move_the_cuts(text, cuts):
    """Sentences are the same, however the text arrives."""
    whole = split(text)
    assert split(*portions_of(text, cuts)) == whole
    assert split(*text) == whole


@given(text=REPLIES)
def test_pieces_are_short_and_can_be_spoken(text):
    """No piece is longer than a breath, and each has something to say."""
    for piece in split(text):
        assert len(piece) <= 204
        assert any(map(str.isalnum, piece))
