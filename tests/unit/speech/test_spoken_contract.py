"""What of a reply is spoken, case by case."""

from __future__ import annotations

import pytest

from voice_call.speech.spoken import SpokenParser


def speak(reply: str) -> str:
    parser = SpokenParser()
    return (parser.feed(reply) + parser.finish()).strip()


@pytest.mark.parametrize(
    ("reply", "spoken"),
    [
        ("Hello there. How are you?", "Hello there. How are you?"),
        ('{"spoken": "Hello there."}', "Hello there."),
        ('{"spoken": "Line one\nline two"}', "Line one line two"),
        ('{"spoken": "Line one\\nline two\\ttab"}', "Line one line two tab"),
        ('```json\n{"spoken": "Fenced."}\n```', "Fenced."),
        ('```\n{"spoken": "Fenced."}\n```', "Fenced."),
        ('~~~json {"spoken": "Inline."} ~~~ bye', "Inline."),
        ('{"spoken": "One."}{"spoken": "Two."}', "One. Two."),
        ('{"spoken": "One."}\n{"spoken": "Two."}', "One. Two."),
        ('[{"spoken": "One."}, {"spoken": "Two."}]', "One. Two."),
        ('Here is the reply:\n\n{"spoken": "Hi."}\n\nHope it helps!', "Hi."),
        ('{"spoken": "He said "hi" to me, ok"}', 'He said "hi" to me, ok'),
        ('{"spoken": "He said "hi", ok"}', 'He said "hi", ok'),
        ('{"spoken": "cut off in the mid', "cut off in the mid"),
        ('{"spoken": "cut off"', "cut off"),
        ('{"spoken": "cut off",', "cut off"),
        ('{"spoken": "no brace"\n```', "no brace"),
        ("{spoken: 'I'm here', x: 1}", "I'm here"),
        ('"spoken": "no braces"\nmore', "no braces"),
        ('{"other": "no", "spoken": "yes", "n": 1.5}', "yes"),
        ('{"a": {"b": [1, "x", {"spoken": "deep"}]}, "c": null}', "deep"),
        ('{"spoken": "caf\\u00e9 \\ud83d\\ude00 x\\u20", "y": 1}', "café x"),
        ('{"spoken": "a \\ud83d b \\udc00 c \\q \\"d\\""}', 'a b c q "d"'),
        ('{"spoken": "{\\"spoken\\": \\"nested\\"}"}', "nested"),
        ('{"spoken": ["list"]}', ""),
        ('{"spoken": true}', ""),
        ('{"text": "not the contract"}', ""),
        ('{"spoken" "no colon"} well', '"no colon" well'),
        ("{}", ""),
        ('{"a": {} , "b": "" , "spoken": "yes"}', "yes"),
        ('{"a": , "spoken": } no', "no"),
        ('"spoken": "one", "two"', "one"),
        ("Hello {name}!", "Hello !"),
        ('{ 12 } "spoken" words', '12 "spoken" words'),
    ],
)
def test_json(reply, spoken):
    """The string of `spoken`, however the JSON is written; never a brace or key."""
    assert speak(reply) == spoken


@pytest.mark.parametrize(
    ("reply", "spoken"),
    [
        ("<think>hm {x} ```</think>Hello.", "Hello."),
        ("<thinking>\nhm\n</thinking>\n\nHello.", "Hello."),
        ("<think>hm</other> hm </x", ""),
        ("<think>never ends", ""),
        ("no opening tag</think>Hello.", "Hello."),
        ("<think/>Hello.", "Hello."),
        ("Reasoning: the caller is sad.\n\nI am sorry.", "I am sorry."),
        ("**Reasoning:** sad.\nAnd more.\n\nI am sorry.", "I am sorry."),
        ("Reasoning:\n\nThe caller is sad.\n\nI am sorry.", "I am sorry."),
        ("Reasoning: sad.\nAnswer: I am sorry.", "I am sorry."),
        ("Reasoning: nothing else", ""),
        ("Thinking process: 1. Listen.\n\nHi.\n\nAnalysis: odd.\n\nBye.", "Hi. Bye."),
        ("The user wants tea. I should agree.\n\nTea it is.", "Tea it is."),
        ("Okay, the user is sad. Let me think.\n\nHi!", "Hi!"),
        ("I should respond kindly.\n\nHi!", "Hi!"),
        ("The user wants tea.\n\nIt is ready.", "The user wants tea. It is ready."),
        (
            "The user guide is online. I will send it.",
            "The user guide is online. I will send it.",
        ),
        (
            "The user is busy. " + "So it goes. " * 140,
            "The user is busy. " + ("So it goes. " * 140).strip(),
        ),
        ("Final answer: forty two.", "forty two."),
    ],
)
def test_reasoning(reply, spoken):
    """Reasoning is never spoken, whether tagged, labelled or plain planning."""
    assert speak(reply) == spoken


@pytest.mark.parametrize(
    ("reply", "spoken"),
    [
        ("**Bold**, _it_, ~~no~~ and `code`", "Bold, it, no and code"),
        ("a snake_case name", "a snake case name"),
        ('[our site](https://x.example/a?b "t") now', "our site now"),
        ("![a cat](cat.png) here", "a cat here"),
        ("See https://www.example.com/path?q=1. Bye.", "See example.com. Bye."),
        ("See <https://example.com> now", "See example.com now"),
        ("See [1] and this[2]【3】 [[audio]]ok", "See 1 and this ok"),
        (
            "# Title\n- one\n- [x] two\n* three.\n> quoted",
            "Title. one, two, three. quoted",
        ),
        ("a | b\n---|---\nc | d", "a b c d"),
        ("Hi 😀 👍🏽 1️⃣ 20 °C ©", "Hi 1 20 °C"),
        ("a<br>b <b>c</b> </unfinished", "a b c"),
        ("5 < 6 > 4 <3", "5 6 4 3"),
        ("x <" + "y" * 300, "x " + "y" * 300),
        ("Use:\n```python\nprint('{x}')\n```\nDone.", "Use: Done."),
        ("```\nplain\n```", ""),
        ("```" + "long info " * 9 + "\n``` bye", "bye"),
        ("open ```python\nprint(1)", "open"),
        ("open ```python\nprint(1)``", "open"),
        ("a ` b `` c ~ d", "a b c d"),
        ("one\\ntwo\x00three\u202e", "one twothree"),
        ("para one\n\npara two", "para one para two"),
        ("word" * 300, "word" * 300),
        ("word " * 300, ("word " * 300).strip()),
        ("x" * 500 + " y", "x" * 500 + " y"),
    ],
)
def test_markup(reply, spoken):
    """Markup, addresses and emoji are taken out or put into words."""
    assert speak(reply) == spoken


def test_plain_sentences_come_out_while_the_reply_is_written():
    """The first sentence does not wait for the second."""
    parser = SpokenParser()
    assert parser.feed("Hello there. How") == "Hello there. "
    assert parser.feed(" are you?") == ""
    assert parser.finish() == "How are you?"


def test_json_sentences_come_out_while_the_reply_is_written():
    """The same inside JSON."""
    parser = SpokenParser()
    assert parser.feed('{"spoken": "Hello there. How') == "Hello there. "
    assert parser.feed(' are you?"}') == "How are you?"
    assert parser.finish() == ""


def test_a_long_first_clause_comes_out_early():
    """A comma is enough after a few words."""
    parser = SpokenParser()
    assert parser.feed("Sure, I have two thirty available, or") == (
        "Sure, I have two thirty available, "
    )


def test_an_empty_spoken_is_silence():
    """Silence on purpose can be told from a reply with nothing to say."""
    silent, lost, words = SpokenParser(), SpokenParser(), SpokenParser()
    assert silent.feed('{"spoken": ""}') + silent.finish() == ""
    assert lost.feed("<think>hm</think>") + lost.finish() == ""
    words.feed('{"spoken": "Hi."}')
    words.finish()
    assert silent.chose_silence
    assert not lost.chose_silence
    assert not words.chose_silence


def test_objects_nested_too_deeply_are_silent():
    """A model that quotes itself again and again is cut short."""
    import json

    reply = "Hi."
    for _ in range(6):
        reply = json.dumps({"spoken": reply})
    assert speak(reply) == ""
