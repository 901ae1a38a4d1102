"""The magic numbers of the simulated network, and what they do.

PURE. One table decides what happens, and `reference_tables` writes it into
`docs/reference/mock-carrier.md`; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from voice_call.carriers.simulated.personas import PERSONAS

__all__ = [
    "MAGIC_NUMBERS",
    "Behaviour",
    "MagicNumber",
    "find_magic_number",
    "reference_tables",
]


class Behaviour(StrEnum):
    """What the line and the phone at its end do; the values are setting values."""

    ANSWERS = "answers"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    REJECTS = "rejects"
    VOICEMAIL = "voicemail"
    HANGS_UP = "hangs-up"
    NOISY = "noisy"
    DROPS_STREAM = "drops-stream"
    STREAM_FIRST = "stream-first"
    NO_STREAM = "no-stream"
    UNTIDY = "untidy"
    SLOW = "slow"
    DIAL_ERROR = "dial-error"
    UNREACHABLE = "unreachable"
    FAILS = "fails"


WHAT_IT_DOES: dict[Behaviour, str] = {
    Behaviour.ANSWERS: "Rings, answers, and opens its media stream.",
    Behaviour.BUSY: "Is busy; the call ends with `busy`.",
    Behaviour.NO_ANSWER: "Rings until the ring timeout; the call ends with `no-answer`.",
    Behaviour.REJECTS: "Rings once and rejects the call.",
    Behaviour.VOICEMAIL: (
        "A machine answers: a greeting, a beep of 1 kHz, then it records in silence."
    ),
    Behaviour.HANGS_UP: "Answers and hangs up in the middle of the agent's speech.",
    Behaviour.NOISY: "Answers on a line with loud noise.",
    Behaviour.DROPS_STREAM: (
        "Answers, loses its media stream after 2 s, and opens a new one 1 s later."
    ),
    Behaviour.STREAM_FIRST: "Opens its media stream before it reports the answer.",
    Behaviour.NO_STREAM: "Answers and never opens a media stream.",
    Behaviour.UNTIDY: "Answers; every notice comes twice, and some out of order.",
    Behaviour.SLOW: "Answers; every request to the carrier takes 1.5 s.",
    Behaviour.DIAL_ERROR: "The carrier refuses the dial.",
    Behaviour.UNREACHABLE: "The carrier never answers the dial.",
    Behaviour.FAILS: "Answers; the network fails 2 s later.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MagicNumber:
    """A number that behaves in a known way, whatever the configuration says."""

    number: str
    behaviour: Behaviour
    persona: str = "silent"


MAGIC_NUMBERS: tuple[MagicNumber, ...] = (
    MagicNumber(number="+15550100000", behaviour=Behaviour.ANSWERS),
    MagicNumber(number="+15550100001", behaviour=Behaviour.ANSWERS, persona="demo"),
    MagicNumber(number="+15550100002", behaviour=Behaviour.ANSWERS, persona="echo"),
    MagicNumber(number="+15550100003", behaviour=Behaviour.ANSWERS, persona="keypad"),
    MagicNumber(number="+15550100004", behaviour=Behaviour.ANSWERS, persona="presser"),
    MagicNumber(number="+15550100005", behaviour=Behaviour.ANSWERS, persona="murmurer"),
    MagicNumber(
        number="+15550100006", behaviour=Behaviour.ANSWERS, persona="interrupter"
    ),
    MagicNumber(number="+15550100010", behaviour=Behaviour.BUSY),
    MagicNumber(number="+15550100011", behaviour=Behaviour.NO_ANSWER),
    MagicNumber(number="+15550100012", behaviour=Behaviour.REJECTS),
    MagicNumber(number="+15550100013", behaviour=Behaviour.VOICEMAIL),
    MagicNumber(number="+15550100020", behaviour=Behaviour.HANGS_UP),
    MagicNumber(number="+15550100021", behaviour=Behaviour.NOISY, persona="demo"),
    MagicNumber(number="+15550100022", behaviour=Behaviour.DROPS_STREAM),
    MagicNumber(number="+15550100023", behaviour=Behaviour.STREAM_FIRST),
    MagicNumber(number="+15550100024", behaviour=Behaviour.NO_STREAM),
    MagicNumber(number="+15550100025", behaviour=Behaviour.UNTIDY),
    MagicNumber(number="+15550100030", behaviour=Behaviour.SLOW),
    MagicNumber(number="+15550100031", behaviour=Behaviour.DIAL_ERROR),
    MagicNumber(number="+15550100032", behaviour=Behaviour.UNREACHABLE),
    MagicNumber(number="+15550100033", behaviour=Behaviour.FAILS),
)

_BY_NUMBER = {magic.number: magic for magic in MAGIC_NUMBERS}


def find_magic_number(number: str) -> MagicNumber | None:
    """Return what a number is known for, None where it is an ordinary one."""
    return _BY_NUMBER.get(number)


def reference_tables() -> str:
    """Return the tables of numbers, behaviours and personas, in Markdown."""
    lines = ["| number | behaviour | persona |", "| --- | --- | --- |"]
    lines += [
        f"| `{m.number}` | `{m.behaviour}` | `{m.persona}` |" for m in MAGIC_NUMBERS
    ]
    lines += ["", "| behaviour | what it does |", "| --- | --- |"]
    lines += [f"| `{b}` | {WHAT_IT_DOES[b]} |" for b in Behaviour]
    lines += ["", "| persona | what it does |", "| --- | --- |"]
    lines += [f"| `{name}` | {persona.what} |" for name, persona in PERSONAS.items()]
    return "\n".join(lines) + "\n"
