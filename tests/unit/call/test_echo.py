from __future__ import annotations

import pytest

from voice_call.call.echo import SpokenMemory
from voice_call.call.endpointing import split_words

GREETING = "Hello, this is Anna from the bakery on Main Street. How can I help you?"
OFFER = "Would you like delivery or pick-up?"


@pytest.fixture
def memory() -> SpokenMemory:
    memory = SpokenMemory()
    memory.remember("greeting", GREETING)
    memory.remember("offer", OFFER)
    return memory


@pytest.mark.parametrize(
    ("heard", "similarity"),
    [
        ("hello this is Anna from the bakery", 1.0),
        ("How can I help you?", 1.0),
        ("hello this is an a from the bakery", 0.71875),
        ("this is Anna from bakery", 0.95),
        ("", 0.0),
        ("no wait a moment", 0.0),
    ],
)
def test_similarity_is_the_share_of_words_that_came_back(memory, heard, similarity):
    assert memory.similarity(split_words(heard)) == pytest.approx(similarity)


@pytest.mark.parametrize(
    "heard",
    [
        "I would rather come on Tuesday at four",
        "can you tell me how long this is open",
        "no that is not what I want from you",
        "is the street closed or can I park",
    ],
)
def test_scattered_common_words_are_no_echo(memory, heard):
    assert memory.similarity(split_words(heard)) < 0.6


def test_an_echo_across_two_sentences_is_found(memory):
    memory.remember("offer", "We are open until six.")
    heard = split_words("or pick-up we are open until")
    assert memory.similarity(heard) == 1.0


def test_an_empty_memory_finds_nothing():
    assert SpokenMemory().similarity(("hello",)) == 0.0
    assert not SpokenMemory().ends_with(("hello",))


@pytest.mark.parametrize(
    ("heard", "is_ending"),
    [
        (("pick-up",), True),
        (("or", "pick-up"), True),
        (("delivery",), False),
        (("help", "you"), True),
        ((), False),
    ],
)
def test_endings_are_recognised(memory, heard, is_ending):
    assert memory.ends_with(heard) is is_ending


def test_only_the_last_utterances_are_remembered(memory):
    memory.remember("third", "Third.")
    memory.remember("fourth", "Fourth.")
    assert memory.similarity(split_words(GREETING)) < 0.3
    assert memory.similarity(split_words(OFFER)) == 1.0


def test_a_new_sentence_keeps_its_utterance_in_memory(memory):
    memory.remember("greeting", "Are you there?")
    memory.remember("third", "Third.")
    memory.remember("fourth", "Fourth.")
    assert memory.similarity(split_words(GREETING)) == 1.0
    assert memory.similarity(split_words("delivery or pick-up")) == 0.0


def test_of_a_long_utterance_the_end_is_remembered():
    memory = SpokenMemory()
    memory.remember("long", "first " + "again " * 200)
    assert memory.similarity(("first",)) == 0.0


def test_of_a_long_transcript_the_end_is_compared():
    memory = SpokenMemory()
    memory.remember("short", "one two three four")
    heard = ("other",) * 100 + ("one", "two", "three", "four") * 10
    assert memory.similarity(heard) == pytest.approx(0.1)
