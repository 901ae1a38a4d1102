"""Who picks up: what a simulated callee says, presses and does, as data.

PURE. A script is a list of steps, done one after another. A line is said when the agent
has finished talking, unless it barges in or comes at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from voice_call.call.model import Digit

__all__ = [
    "DEMO_CALLEE",
    "PERSONAS",
    "HangUp",
    "Murmur",
    "Pause",
    "Persona",
    "Press",
    "Say",
    "Step",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Say a line.

    Attributes:
        text: The words.
        barge_in_after_s: Say it in the middle of the agent's speech, once the agent has
            talked for so long, in seconds; after a shorter speech it is said as usual.
        is_at_once: Do not wait for the agent.
    """

    text: str
    barge_in_after_s: float | None = None
    is_at_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Murmur:
    """Show attention while the agent talks, without wanting the floor.

    Attributes:
        text: The sound of it.
        after_s: How long the agent must have talked before, in seconds.
    """

    text: str = "mm-hm"
    after_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """Press keys, once the agent has finished talking."""

    digits: tuple[Digit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Do nothing for a while, in seconds."""

    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """Hang up, once the agent has finished talking."""


Step = Say | Murmur | Press | Pause | HangUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """How a callee behaves once it has picked up.

    Attributes:
        name: As in the configuration.
        what: One sentence for the documentation.
        script: What it does, in order; afterwards it only listens.
        echoes: It sends back what it hears, late and quiet, like a speakerphone.
        returns_digits: It presses every key again that the agent pressed.
    """

    name: str
    what: str
    script: tuple[Step, ...] = ()
    echoes: bool = False
    returns_digits: bool = False


DEMO_CALLEE = Persona(
    name="demo",
    what="Asks the time, leaves a message, interrupts to hear it again, says goodbye.",
    script=(
        Say(text="Hello, could you tell me what time it is?"),
        Say(text="Please take a message for Anna."),
        Say(text="The garden is ready, and she can come any day."),
        Say(text="Sorry, could you repeat that, please?", barge_in_after_s=1.2),
        Say(text="Yes, that is right."),
        Say(text="No, thank you very much. Goodbye."),
        HangUp(),
    ),
)
"""A caller whom a rule-based receptionist can serve: plain sentences, no digits."""

PERSONAS: dict[str, Persona] = {
    persona.name: persona
    for persona in (
        Persona(name="silent", what="Listens and says nothing."),
        DEMO_CALLEE,
        Persona(
            name="echo",
            what="Sends back what it hears, 200 ms late and 20 dB quieter.",
            echoes=True,
        ),
        Persona(
            name="keypad",
            what="Presses every key again that the agent pressed.",
            returns_digits=True,
        ),
        Persona(
            name="presser",
            what="Presses 1, 2 and # once the agent has finished talking.",
            script=(Press(digits=(Digit.ONE, Digit.TWO, Digit.POUND)),),
        ),
        Persona(
            name="murmurer",
            what="Murmurs while the agent talks, then says one line.",
            script=(Murmur(), Say(text="That sounds good to me.")),
        ),
        Persona(
            name="interrupter",
            what="Interrupts the agent after a second, and again after that.",
            script=(
                Say(text="Sorry, can I say something?", barge_in_after_s=1.0),
                Say(text="Wait, please. I have a question.", barge_in_after_s=1.0),
            ),
        ),
        Persona(
            name="scripted",
            what="Does what `script` in the configuration says.",
        ),
    )
}
"""Every persona by its name in the configuration."""
