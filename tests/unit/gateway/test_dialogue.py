from __future__ import annotations

import pytest

from openclaw_gateway.agents.dialogue import (
    Reply,
    Stage,
    State,
    TakenMessage,
    WallTime,
    answer,
    spell_digits,
    spell_time,
)

TUESDAY_1520 = WallTime(weekday=1, hour=15, minute=20)


def talk(*heard: str) -> list[Reply]:
    state, replies = State(), []
    for text in heard:
        reply = answer(state, text, at=TUESDAY_1520)
        state = reply.state
        replies.append(reply)
    return replies


def last(*heard: str) -> Reply:
    return talk(*heard)[-1]


@pytest.mark.parametrize(
    "heard",
    [
        "What time is it?",
        "what time is it please",
        "could you tell me the time",
        "Hello, what time is it?",
        "what tine is it",
        "wat time is it",
        "what's the time",
    ],
)
def test_it_tells_the_time(heard):
    assert last(heard).text == "It is twenty past three in the afternoon."


@pytest.mark.parametrize("heard", ["what day is it", "Which day is it today?"])
def test_it_tells_the_day(heard):
    assert last(heard).text == "It is Tuesday."


@pytest.mark.parametrize(
    "heard",
    ["Hello?", "hi there", "Good morning!", "hello hello"],
)
def test_it_greets(heard):
    assert last(heard).text == "Hello, this is the receptionist. How can I help you?"


@pytest.mark.parametrize(
    "heard",
    [
        "please repeat",
        "Can you say that again?",
        "could you repeat that",
        "say that a gain please",
        "repeet that please",
        "pardon?",
        "Sorry, what was that?",
        "I didn't catch that.",
    ],
)
def test_it_repeats_itself(heard):
    assert last("what day is it", heard).text == "It is Tuesday."


def test_it_repeats_a_repetition():
    assert last("what day is it", "repeat", "repeat").text == "It is Tuesday."


def test_it_has_nothing_to_repeat_at_first():
    assert last("repeat").text.startswith("I have not said anything yet.")


@pytest.mark.parametrize(
    "heard",
    [
        "Goodbye!",
        "good bye",
        "okay bye",
        "That's all, thanks.",
        "goodbuy",
        "hang up",
        "That's it.",
    ],
)
def test_goodbye_ends_the_call(heard):
    reply = last(heard)
    assert reply.text == "Thank you for calling. Goodbye."
    assert reply.ends_call


@pytest.mark.parametrize(
    "heard", ["What can you do?", "who are you", "can you help me", "help me"]
)
def test_its_abilities_are_long_enough_to_be_interrupted(heard):
    text = last(heard).text
    assert text.count(".") == 5
    assert "a small program that answers by simple rules" in text


def test_it_takes_a_message_step_by_step():
    replies = talk(
        "I'd like to leave a message",
        "It's for Anna.",
        "I will be late for dinner.",
        "Yes, that's right.",
        "No.",
    )
    assert [reply.text for reply in replies] == [
        "Gladly. Who is the message for?",
        "What shall I tell Anna?",
        "A message for Anna: I will be late for dinner. Is that right?",
        "Thank you, I have written it down. Is there anything else?",
        "Thank you for calling. Goodbye.",
    ]
    assert replies[3].message == TakenMessage(
        recipient="Anna", words="I will be late for dinner"
    )
    assert [reply.message for reply in replies if reply.message] == [replies[3].message]
    assert [reply.ends_call for reply in replies] == [False] * 4 + [True]


@pytest.mark.parametrize(
    ("heard", "text"),
    [
        ("a message for Anna", "What shall I tell Anna?"),
        (
            "a message for anna saying the car is ready",
            "A message for anna: the car is ready. Is that right?",
        ),
        (
            "please tell the plumber that the tap drips",
            "A message for the plumber: the tap drips. Is that right?",
        ),
        (
            "can you tell me what time it is",
            "It is twenty past three in the afternoon.",
        ),
    ],
)
def test_it_understands_a_message_given_at_once(heard, text):
    assert last(heard).text == text


@pytest.mark.parametrize(
    ("heard", "text"),
    [
        ("no", "Sorry about that. What shall the message say?"),
        ("that is wrong", "Sorry about that. What shall the message say?"),
        ("no that's not right", "Sorry about that. What shall the message say?"),
        ("never mind", "All right, no message. What else can I do for you?"),
        ("elephants", "Please say yes if the message is right, or no."),
        ("say that again", "A message for Bo: call home. Is that right?"),
    ],
)
def test_a_message_is_stored_only_when_confirmed(heard, text):
    reply = last("a message", "Bo", "call home", heard)
    assert reply.text == text
    assert reply.message is None


def test_a_corrected_message_keeps_its_recipient():
    reply = last("a message", "Bo", "call home", "no", "call the office", "yes")
    assert reply.message == TakenMessage(recipient="Bo", words="call the office")


@pytest.mark.parametrize("steps", [("a message",), ("a message", "Bo")])
def test_a_message_can_be_given_up(steps):
    reply = last(*steps, "forget it")
    assert reply.text == "All right, no message. What else can I do for you?"
    assert reply.state.stage is Stage.IDLE


@pytest.mark.parametrize("heard", ["yup", "right", "that is right", "okay"])
def test_there_are_many_ways_to_say_yes(heard):
    assert last("a message", "Bo", "call home", heard).message is not None


@pytest.mark.parametrize("steps", [("a message",), ("a message", "Bo")])
def test_a_goodbye_is_no_message(steps):
    assert last(*steps, "okay, goodbye").ends_call


def test_a_message_may_have_a_goodbye_in_it():
    text = last("a message", "Bo", "say bye to the neighbours from me").text
    assert text.startswith("A message for Bo: bye to the neighbours from me.")


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        (("a message", "um"), "Sorry, who is the message for?"),
        (("a message", "Bo", "..."), "Sorry, what shall the message say?"),
    ],
)
def test_an_empty_answer_is_asked_again(steps, text):
    assert last(*steps).text == text


def test_digits_of_a_message_are_read_as_words():
    reply = last("a message", "Bo", "room 42")
    assert reply.text == "A message for Bo: room four two. Is that right?"


@pytest.mark.parametrize(
    ("heard", "text"),
    [
        ("yes", "What can I do for you?"),
        ("thanks", "Thank you for calling. Goodbye."),
        ("what day is it", "It is Tuesday."),
    ],
)
def test_anything_else(heard, text):
    assert last("a message", "Bo", "call home", "yes", heard).text == text


@pytest.mark.parametrize(
    ("heard", "text"),
    [
        ("thank you", "You are welcome. Anything else?"),
        ("never mind", "All right. What else can I do for you?"),
    ],
)
def test_small_talk(heard, text):
    assert last(heard).text == text


@pytest.mark.parametrize("heard", ["", "???", "colourless green ideas", "history"])
def test_what_it_does_not_understand_it_says(heard):
    assert last(heard).text.startswith("I did not understand that.")


@pytest.mark.parametrize(
    ("hour", "minute", "spoken"),
    [
        (0, 0, "midnight"),
        (12, 0, "noon"),
        (9, 0, "nine o'clock in the morning"),
        (15, 20, "twenty past three in the afternoon"),
        (15, 15, "a quarter past three in the afternoon"),
        (18, 30, "half past six in the evening"),
        (18, 31, "twenty-nine minutes to seven in the evening"),
        (20, 45, "a quarter to nine in the evening"),
        (23, 59, "one minute to twelve at night"),
        (0, 5, "five past twelve at night"),
        (4, 22, "twenty-two minutes past four in the morning"),
        (11, 40, "twenty to twelve in the morning"),
        (12, 13, "thirteen minutes past twelve in the afternoon"),
        (21, 1, "one minute past nine in the evening"),
    ],
)
def test_times_are_spoken(hour, minute, spoken):
    assert spell_time(WallTime(weekday=0, hour=hour, minute=minute)) == spoken


def test_every_time_of_day_is_without_digits():
    times = [
        spell_time(WallTime(weekday=0, hour=hour, minute=minute))
        for hour in range(24)
        for minute in range(60)
    ]
    assert len(set(times)) == 24 * 60
    assert not any(char.isdigit() for char in "".join(times))


def test_digits_are_spelled():
    assert spell_digits("at 10 on 4th") == "at one zero on four th"


def test_a_goodbye_confirms_the_message_and_ends_the_call():
    reply = last("a message for Anna", "the door is open", "goodbye then")
    assert reply.message == TakenMessage(recipient="Anna", words="the door is open")
    assert reply.text == "Thank you, I have written it down. Goodbye."
    assert reply.ends_call


def test_names_keep_their_capitals():
    assert last("please take a message for Anna Lee").text == (
        "What shall I tell Anna Lee?"
    )
