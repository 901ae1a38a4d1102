"""Where text is cut for synthesis."""

from __future__ import annotations

import pytest

from voice_call.speech.sentences import SentenceSplitter


def split(text: str) -> list[str]:
    splitter = SentenceSplitter()
    return splitter.feed(text) + splitter.finish()


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello there. How are you?", ["Hello there.", "How are you?"]),
        (
            "Dr. Smith is in. Mr. Jones is out.",
            ["Dr. Smith is in.", "Mr. Jones is out."],
        ),
        ("We close at 3 p.m. tomorrow.", ["We close at 3 p.m. tomorrow."]),
        ("We close at 3 p.m. Please come.", ["We close at 3 p.m.", "Please come."]),
        ("It is 3 p.m.\nplease come", ["It is 3 p.m.", "please come"]),
        ("Pay $3.50, e.g. now. Ok.", ["Pay $3.50, e.g. now.", "Ok."]),
        ("J. K. Rowling wrote it.", ["J. K. Rowling wrote it."]),
        ("So do I. Then go.", ["So do I.", "Then go."]),
        ("No. 5 is alive. No. Never.", ["No. 5 is alive.", "No.", "Never."]),
        ("1. Apples. 2. Pears", ["1. Apples.", "2. Pears"]),
        ("Well... maybe. Wait… What?", ["Well... maybe.", "Wait…", "What?"]),
        ('He said "Stop!" Then left.', ['He said "Stop!"', "Then left."]),
        ("你好。「好。」再见！", ["你好。", "「好。」", "再见！"]),
        ("one\ntwo\n\nthree", ["one", "two", "three"]),
        ("Really?! Yes.", ["Really?!", "Yes."]),
        ("Hi. ... — !", ["Hi."]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences(text, pieces):
    """Sentences end at stops, but not at abbreviations, initials and decimals."""
    assert split(text) == pieces


def test_a_sentence_is_given_out_before_the_next_begins():
    """The space behind a full stop is enough."""
    splitter = SentenceSplitter()
    assert splitter.feed("Hello there. ") == ["Hello there."]
    assert splitter.feed("How are") == []
    assert splitter.feed(" you? ") == ["How are you?"]


def test_an_abbreviation_waits_for_what_follows():
    """Only the next word tells whether `p.m.` ended the sentence."""
    splitter = SentenceSplitter()
    assert splitter.feed("We close at 3 p.m. ") == []
    assert splitter.feed("Please") == ["We close at 3 p.m."]


def test_only_the_first_piece_may_be_a_clause():
    """A long first sentence gives something to hear early."""
    text = (
        "Sure, I have two thirty available, or four fifteen. Which one, tell me, suits?"
    )
    assert split(text) == [
        "Sure, I have two thirty available,",
        "or four fifteen.",
        "Which one, tell me, suits?",
    ]


def test_a_run_without_an_end_is_cut_at_a_comma():
    """The last comma within reach, if it is not too early."""
    clause = "and so on, " * 40
    pieces = split("Start. " + clause)
    assert pieces[1].endswith("on,")
    assert all(len(piece) <= 200 for piece in pieces)


def test_a_run_without_commas_is_cut_at_a_space():
    """Words stay whole."""
    pieces = split("word " * 100)
    assert {word for piece in pieces for word in piece.split()} == {"word"}
    assert all(len(piece) <= 200 for piece in pieces)


def test_a_run_without_spaces_is_cut_anyway():
    """Nothing is ever too long to be synthesised."""
    assert [len(piece) for piece in split("x" * 450)] == [200, 200, 50]


def test_a_run_without_words_is_dropped():
    """A drawn line has nothing to speak."""
    assert split("-" * 400 + "\nHello.") == ["Hello."]


def test_a_hundred_thousand_characters():
    """Very long texts are cut in one go."""
    pieces = split("word, and more words here. " * 4000)
    assert sum(piece.count("more") for piece in pieces) == 4000


def test_a_text_that_ends_just_beyond_the_limit():
    """The last few characters stay with their sentence."""
    assert [len(piece) for piece in split("x" * 202)] == [202]
