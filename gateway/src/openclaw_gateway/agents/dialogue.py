"""What the receptionist says: a small dialogue by rules (PURE).

Text and state in, text and state out. It tells the time, takes a message, repeats
itself, says what it can do, and says goodbye. It listens through a speech recogniser, so
key words are matched by likeness, not letter by letter. Every answer is short spoken
English without digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from enum import StrEnum

__all__ = [
    "Reply",
    "Stage",
    "State",
    "TakenMessage",
    "WallTime",
    "answer",
    "spell_time",
]


class Stage(StrEnum):
    """What the receptionist waits for."""

    IDLE = "idle"
    RECIPIENT = "recipient"
    """Whom the message is for."""
    WORDS = "words"
    """What the message says."""
    CONFIRMATION = "confirmation"
    """Whether it was read back rightly."""
    ANYTHING_ELSE = "anything_else"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the receptionist remembers of a conversation."""

    stage: Stage = Stage.IDLE
    recipient: str = ""
    words: str = ""
    last_said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WallTime:
    """The time where the receptionist sits.

    Attributes:
        weekday: 0 is Monday.
        hour: 0 to 23.
        minute: 0 to 59.
    """

    weekday: int
    hour: int
    minute: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenMessage:
    """A message that the caller has confirmed."""

    recipient: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What to say and do.

    Attributes:
        text: What to say.
        state: What to remember.
        ends_call: Whether to hang up afterwards.
        message: A message to store.
    """

    text: str
    state: State
    ends_call: bool = False
    message: TakenMessage | None = None


class _Topic(StrEnum):
    REPEAT = "repeat"
    GOODBYE = "goodbye"
    TIME = "time"
    DAY = "day"
    MESSAGE = "message"
    ABILITIES = "abilities"
    YES = "yes"
    NO = "no"
    CANCEL = "cancel"
    HELLO = "hello"
    THANKS = "thanks"


_PHRASES: dict[_Topic, tuple[str, ...]] = {
    _Topic.REPEAT: (
        "repeat",
        "say that again",
        "say it again",
        "what did you say",
        "pardon",
        "come again",
        "once more",
        "once again",
        "what was that",
        "catch that",
    ),
    _Topic.CANCEL: ("never mind", "forget it", "cancel"),
    _Topic.GOODBYE: (
        "goodbye",
        "good bye",
        "bye",
        "that's all",
        "that is all",
        "that's it",
        "hang up",
        "see you later",
    ),
    _Topic.TIME: ("what time", "the time", "how late is it"),
    _Topic.DAY: ("what day", "which day", "day is it", "day of the week"),
    _Topic.MESSAGE: ("message", "tell somebody", "write down", "leave a note"),
    _Topic.ABILITIES: (
        "what can you do",
        "what else can you do",
        "how can you help",
        "can you help",
        "help me",
        "who are you",
        "tell me about yourself",
        "options",
    ),
    _Topic.HELLO: ("hello", "hi", "hey", "good morning", "good evening"),
    _Topic.THANKS: ("thank you", "thanks"),
    _Topic.YES: ("yes", "yeah", "yep", "yup", "correct", "right", "sure", "okay"),
    _Topic.NO: ("no", "nope", "wrong", "not right", "nothing"),
}
"""In the order in which they win where several match."""

_LIKENESS = 0.8
"""How alike a phrase must be, 0 to 1; short words must match exactly."""
_SHORT = 4

_DAYS = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
)
# fmt: off
_NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen",
    "seventeen", "eighteen", "nineteen",
)
# fmt: on
_TENS = {20: "twenty", 30: "thirty", 40: "forty", 50: "fifty"}

_ABILITIES = (
    "I am the receptionist, a small program that answers by simple rules. "
    "I can tell you what time it is, and which day of the week. "
    "I can take a message, read it back to you, and write it down for later. "
    "I can also repeat the last thing I said, if you did not catch it. "
    "When you are done, just say goodbye, and I will hang up."
)
_MESSAGE_FOR = re.compile(
    r"\bmessage (?:for|to) (?P<who>.+?)(?: (?:that|saying|which says) (?P<what>.+))?$",
    re.IGNORECASE,
)
_TELL = re.compile(
    r"\btell (?P<who>(?!me\b)[\w' -]+?) that (?P<what>.+)$", re.IGNORECASE
)
_LEAD_IN = re.compile(
    r"^(?:(?:um|uh|well|yes|please|it is|it's|its|this is|that would be|"
    r"the message is|for|to|say)\b[ ,]*)+",
    re.IGNORECASE,
)


def answer(state: State, heard: str, *, at: WallTime) -> Reply:
    """Return what to say to `heard`."""
    topic = _topic(heard)
    if topic is _Topic.REPEAT and state.last_said:
        return Reply(text=state.last_said, state=state)
    match state.stage:
        case Stage.RECIPIENT | Stage.WORDS if topic is _Topic.CANCEL:
            reply = _say(State(), "All right, no message. What else can I do for you?")
        case Stage.RECIPIENT | Stage.WORDS if _is_farewell(topic, heard):
            reply = _goodbye()
        case Stage.RECIPIENT:
            reply = _take_recipient(state, heard)
        case Stage.WORDS:
            reply = _read_back(replace(state, words=_clean(heard)))
        case Stage.CONFIRMATION:
            reply = _confirm(state, heard)
        case Stage.ANYTHING_ELSE if topic in {_Topic.NO, _Topic.THANKS}:
            reply = _goodbye()
        case Stage.ANYTHING_ELSE if topic is _Topic.YES:
            reply = _say(State(), "What can I do for you?")
        case _:
            reply = _answer_topic(topic, heard, at)
    return replace(reply, state=replace(reply.state, last_said=reply.text))


def spell_time(at: WallTime) -> str:
    """Say a time as people do: `twenty past three in the afternoon`."""
    if at.minute == 0 and at.hour in {0, 12}:
        return "midnight" if at.hour == 0 else "noon"
    past = at.minute <= 30  # noqa: PLR2004 - the half hour
    hour = at.hour if past else (at.hour + 1) % 24
    spoken_hour = _NUMBERS[(hour - 1) % 12 + 1]
    part = _part_of_day(at.hour)
    if at.minute == 0:
        return f"{spoken_hour} o'clock {part}"
    minutes = at.minute if past else 60 - at.minute
    return f"{_minutes(minutes)} {'past' if past else 'to'} {spoken_hour} {part}"


def spell_digits(text: str) -> str:
    """Replace every digit by its word, so that nothing is left to guess."""
    spelled = re.sub(r"\d", lambda digit: f" {_NUMBERS[int(digit.group())]} ", text)
    return " ".join(spelled.split())


def _answer_topic(topic: _Topic | None, heard: str, at: WallTime) -> Reply:
    match topic:
        case _Topic.GOODBYE:
            return _goodbye()
        case _Topic.TIME:
            return _say(State(), f"It is {spell_time(at)}.")
        case _Topic.DAY:
            return _say(State(), f"It is {_DAYS[at.weekday]}.")
        case _Topic.MESSAGE:
            return _begin_message(heard)
        case _Topic.ABILITIES:
            return _say(State(), _ABILITIES)
        case _Topic.HELLO:
            return _say(State(), "Hello, this is the receptionist. How can I help you?")
        case _Topic.THANKS:
            return _say(
                State(stage=Stage.ANYTHING_ELSE), "You are welcome. Anything else?"
            )
        case _Topic.CANCEL:
            return _say(State(), "All right. What else can I do for you?")
        case _Topic.REPEAT:
            return _say(State(), "I have not said anything yet. How can I help you?")
        case _:
            return _say(
                State(),
                "I did not understand that. "
                "I can tell the time, or take a message. Which one would you like?",
            )


def _is_farewell(topic: _Topic | None, heard: str) -> bool:
    """Tell a goodbye from a message that has one in it."""
    return topic is _Topic.GOODBYE and len(heard.split()) <= 3  # noqa: PLR2004 - "okay, good bye"


def _begin_message(heard: str) -> Reply:
    text = _without_punctuation(heard)
    found = _MESSAGE_FOR.search(text) or _TELL.search(text)
    if found is None:
        return _say(State(stage=Stage.RECIPIENT), "Gladly. Who is the message for?")
    state = _take_recipient(State(), found.group("who")).state
    if found.group("what"):
        return _read_back(replace(state, words=_clean(found.group("what"))))
    return _say(state, f"What shall I tell {state.recipient}?")


def _take_recipient(state: State, heard: str) -> Reply:
    recipient = _clean(heard)
    if not recipient:
        return _say(state, "Sorry, who is the message for?")
    named = State(stage=Stage.WORDS, recipient=recipient)
    return _say(named, f"What shall I tell {recipient}?")


def _read_back(state: State) -> Reply:
    if not state.words:
        return _say(state, "Sorry, what shall the message say?")
    asked = replace(state, stage=Stage.CONFIRMATION)
    return _say(
        asked, f"A message for {state.recipient}: {state.words}. Is that right?"
    )


def _confirm(state: State, heard: str) -> Reply:
    match _first_of(heard, (_Topic.NO, _Topic.CANCEL, _Topic.YES, _Topic.GOODBYE)):
        case _Topic.YES:
            thanks = "Thank you, I have written it down. Is there anything else?"
            return Reply(
                text=thanks,
                state=State(stage=Stage.ANYTHING_ELSE),
                message=_taken(state),
            )
        case _Topic.GOODBYE:
            thanks = "Thank you, I have written it down. Goodbye."
            return Reply(
                text=thanks, state=State(), message=_taken(state), ends_call=True
            )
        case _Topic.NO:
            again = replace(state, stage=Stage.WORDS, words="")
            return _say(again, "Sorry about that. What shall the message say?")
        case _Topic.CANCEL:
            return _say(State(), "All right, no message. What else can I do for you?")
        case _:
            return _say(state, "Please say yes if the message is right, or no.")


def _taken(state: State) -> TakenMessage:
    return TakenMessage(recipient=state.recipient, words=state.words)


def _goodbye() -> Reply:
    return Reply(text="Thank you for calling. Goodbye.", state=State(), ends_call=True)


def _say(state: State, text: str) -> Reply:
    return Reply(text=text, state=state)


def _topic(heard: str) -> _Topic | None:
    if _TELL.search(_normalised(heard)):
        return _Topic.MESSAGE
    return _first_of(heard, tuple(_PHRASES))


def _first_of(heard: str, topics: tuple[_Topic, ...]) -> _Topic | None:
    words = _normalised(heard).split()[:60]
    for topic in topics:
        if any(_contains(words, phrase.split()) for phrase in _PHRASES[topic]):
            return topic
    return None


def _contains(words: list[str], phrase: list[str]) -> bool:
    """Say whether something like the phrase is among the words."""
    wanted = " ".join(phrase)
    size = len(phrase)
    for start in range(len(words) - size + 1):
        part = " ".join(words[start : start + size])
        if part == wanted:
            return True
        if len(wanted) > _SHORT and abs(len(part) - len(wanted)) <= _SHORT:
            likeness = SequenceMatcher(None, part, wanted, autojunk=False).ratio()
            if likeness >= _LIKENESS:
                return True
    return False


def _normalised(heard: str) -> str:
    return _without_punctuation(heard).lower()


def _without_punctuation(heard: str) -> str:
    return " ".join(re.sub(r"[^\w' -]+", " ", heard).split())


def _clean(heard: str) -> str:
    """Take what was said into a sentence of ours."""
    text = _LEAD_IN.sub("", " ".join(heard.split()).strip(" .,!?"))
    return spell_digits(text.strip(" .,!?"))[:500]


def _part_of_day(hour: int) -> str:
    if hour == 0 or hour >= 22:  # noqa: PLR2004 - when people say "at night"
        return "at night"
    if hour < 12:  # noqa: PLR2004 - noon
        return "in the morning"
    return "in the afternoon" if hour < 18 else "in the evening"  # noqa: PLR2004 - six


def _minutes(count: int) -> str:
    match count:
        case 15:
            return "a quarter"
        case 30:
            return "half"
        case _ if count < len(_NUMBERS):
            words = _NUMBERS[count]
        case _:
            tens, ones = count // 10 * 10, count % 10
            words = _TENS[tens] + (f"-{_NUMBERS[ones]}" if ones else "")
    if count % 5 == 0:
        return words
    return f"{words} {'minute' if count == 1 else 'minutes'}"
