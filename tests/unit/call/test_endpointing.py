from __future__ import annotations

import pytest

from voice_call.call.endpointing import (
    BACKCHANNELS,
    ENGLISH,
    NEUTRAL,
    TurnEnding,
    count_words_beyond,
    judge_ending,
    rules_for,
    split_words,
)


@pytest.mark.parametrize(
    "text",
    [
        "I'd like to book a",
        "I'd like to book a.",
        "Could you tell me whether",
        "My name is",
        "It's for",
        "I was calling because",
        "and then um",
        "I’d like a table for",
        "On Monday,",
        "So the thing is...",
        "Tell him —",
        "five five five",
        "my number is five five five one two three",
        "It's 555",
        "It's 555-123",
        "It's 555 123",
        "card 4000 0000",
        "four zero zero zero",
    ],
)
def test_an_unfinished_turn_dangles(text):
    assert judge_ending(text, ENGLISH) is TurnEnding.DANGLING


@pytest.mark.parametrize(
    "text",
    [
        "Yes.",
        "no",
        "No, thank you.",
        "Yes please!",
        "Thanks, bye-bye.",
        "Goodbye",
        "That's right.",
        "Yes, it is.",
        "No, that's all, thanks.",
        "OK",
        "Thank you very much",
    ],
)
def test_a_whole_answer_is_closed(text):
    assert judge_ending(text, ENGLISH) is TurnEnding.CLOSED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "...",
        "I'd like to book a table.",
        "A table for two, please.",
        "What can I help you with?",
        "Is this where the bus comes from?",
        "On the twenty fifth",
        "At 7",
        "At 7:30",
        "That's 3.50",
        "1,500",
        "seven thirty",
        "In 2025",
        "five five five one two three four",
        "my number is 555-123-4567",
        "five five five one two three four five six seven",
        "a yes man",
        "Yes, but not today",
    ],
)
def test_anything_else_is_plain(text):
    assert judge_ending(text, ENGLISH) is TurnEnding.PLAIN


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("Ich hätte gern die", TurnEnding.PLAIN),
        ("Meine Nummer ist 5 5 5", TurnEnding.DANGLING),
        ("Also,", TurnEnding.DANGLING),
        ("Ja", TurnEnding.PLAIN),
    ],
)
def test_without_word_lists_digits_and_punctuation_still_speak(text, ending):
    assert judge_ending(text, NEUTRAL) is ending


@pytest.mark.parametrize(
    ("language", "rules"),
    [
        ("en-US", ENGLISH),
        ("en", ENGLISH),
        ("EN_gb", ENGLISH),
        ("de-DE", NEUTRAL),
        ("enm", NEUTRAL),
        ("", NEUTRAL),
    ],
)
def test_rules_follow_the_language(language, rules):
    assert rules_for(language) is rules


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I’d like TWO, please!", ("i'd", "like", "two", "please")),
        ("Mm-hm.", ("mm-hm",)),
        ("– … ?!", ()),
        ("für 7:30", ("für", "7:30")),
        ("snake_case", ("snake", "case")),
    ],
)
def test_words_are_split_without_case_and_punctuation(text, words):
    assert split_words(text) == words


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("mm-hm", 0),
        ("Mm hm, yeah, okay.", 0),
        ("Uh-huh, I see.", 0),
        ("all right got it", 0),
        ("all day", 2),
        ("okay stop", 1),
        ("no", 1),
        ("wait a minute", 3),
    ],
)
def test_words_beyond_backchannels_are_counted(text, count):
    assert count_words_beyond(split_words(text), BACKCHANNELS) == count


def test_without_phrases_every_word_counts():
    assert count_words_beyond(("yeah", "yeah"), frozenset()) == 2
