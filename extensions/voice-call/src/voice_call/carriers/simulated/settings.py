"""How the simulated network is set up: the callee of ordinary numbers, and limits.

PURE. The configuration's subtree is `mock`; magic numbers ignore it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from voice_call.call.model import Digit
from voice_call.carriers.simulated.numbers import Behaviour, find_magic_number
from voice_call.carriers.simulated.personas import (
    PERSONAS,
    HangUp,
    Murmur,
    Pause,
    Persona,
    Press,
    Say,
    Step,
)
from voice_call.errors import ConfigError

__all__ = ["CalleePlan", "SimulatedSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CalleePlan:
    """Who is at the other end, and how the line behaves.

    Attributes:
        behaviour: Of line and phone.
        persona: Of the one who picks up.
        ring_s: How long it rings before it is answered, in seconds.
        greeting: What an answering machine says.
    """

    behaviour: Behaviour = Behaviour.ANSWERS
    persona: Persona = PERSONAS["silent"]
    ring_s: float = 1.0
    greeting: str = "Nobody is at home. Please leave a message after the tone."


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedSettings:
    """How the simulated network behaves.

    Attributes:
        callee: Who answers ordinary numbers.
        callees: Who answers the numbers named here; wins over magic numbers.
        setup_s: From the dial's answer to the first ring, in seconds.
        stream_delay_s: From the answer to the media stream, in seconds.
        caller_patience_s: How long an inbound caller lets it ring, in seconds.
        buffer_s: Capacity of a line's playout buffer, in seconds.
        recording_s: How much of what a callee hears is kept, in seconds.
    """

    callee: CalleePlan = field(default_factory=CalleePlan)
    callees: Mapping[str, CalleePlan] = field(default_factory=dict)
    setup_s: float = 0.05
    stream_delay_s: float = 0.05
    caller_patience_s: float = 30.0
    buffer_s: float = 120.0
    recording_s: float = 120.0

    def plan_for(self, number: str) -> CalleePlan:
        """Return who answers a number."""
        if (plan := self.callees.get(number)) is not None:
            return plan
        if (magic := find_magic_number(number)) is not None:
            return CalleePlan(
                behaviour=magic.behaviour, persona=PERSONAS[magic.persona]
            )
        return self.callee

    @classmethod
    def from_config(
        cls, section: Mapping[str, Any], *, key_path: str = "mock"
    ) -> SimulatedSettings:
        """Return the settings that a `mock` section describes.

        Raises:
            ConfigError: A key is unknown or a value is out of range; names its path.
        """
        allowed = {
            "callee",
            "callees",
            "setupSeconds",
            "streamDelaySeconds",
            "callerPatienceSeconds",
            "bufferSeconds",
            "recordingSeconds",
        }
        _refuse_unknown(section, allowed, key_path)
        defaults = cls()
        callees = _mapping(section.get("callees", {}), f"{key_path}.callees")

        def seconds(key: str, default: float) -> float:
            return _seconds(section.get(key, default), f"{key_path}.{key}")

        return cls(
            callee=_plan(section.get("callee", {}), f"{key_path}.callee"),
            callees={
                number: _plan(value, f"{key_path}.callees.{number}")
                for number, value in callees.items()
            },
            setup_s=seconds("setupSeconds", defaults.setup_s),
            stream_delay_s=seconds("streamDelaySeconds", defaults.stream_delay_s),
            caller_patience_s=seconds(
                "callerPatienceSeconds", defaults.caller_patience_s
            ),
            buffer_s=seconds("bufferSeconds", defaults.buffer_s),
            recording_s=seconds("recordingSeconds", defaults.recording_s),
        )


def _plan(value: Any, path: str) -> CalleePlan:
    section = _mapping(value, path)
    _refuse_unknown(
        section, {"behaviour", "persona", "script", "ringSeconds", "greeting"}, path
    )
    default = CalleePlan()
    behaviour = section.get("behaviour", default.behaviour.value)
    if behaviour not in set(Behaviour):
        raise ConfigError(
            f"unknown behaviour; choose one of {', '.join(Behaviour)}",
            key_path=f"{path}.behaviour",
        )
    return CalleePlan(
        behaviour=Behaviour(behaviour),
        persona=_persona(section, path),
        ring_s=_seconds(
            section.get("ringSeconds", default.ring_s), f"{path}.ringSeconds"
        ),
        greeting=_text(section.get("greeting", default.greeting), f"{path}.greeting"),
    )


def _persona(section: Mapping[str, Any], path: str) -> Persona:
    has_script = "script" in section
    name = section.get("persona", "scripted" if has_script else "silent")
    if not isinstance(name, str) or name not in PERSONAS:
        raise ConfigError(
            f"unknown persona; choose one of {', '.join(PERSONAS)}",
            key_path=f"{path}.persona",
        )
    persona = PERSONAS[name]
    if not has_script:
        return persona
    script = section["script"]
    if not isinstance(script, list):
        raise ConfigError("must be a list of steps", key_path=f"{path}.script")
    steps = (_step(item, f"{path}.script[{n}]") for n, item in enumerate(script))
    return replace(persona, script=tuple(steps))


def _step(item: Any, path: str) -> Step:
    if isinstance(item, str):
        return Say(text=_text(item, path))
    step = _mapping(item, path)
    if "say" in step:
        return _say(step, path)
    if "murmur" in step:
        _refuse_unknown(step, {"murmur", "afterSeconds"}, path)
        after_s = _seconds(step.get("afterSeconds", 1.0), f"{path}.afterSeconds")
        return Murmur(text=_text(step["murmur"], f"{path}.murmur"), after_s=after_s)
    if "press" in step:
        _refuse_unknown(step, {"press"}, path)
        return Press(digits=_digits(step["press"], f"{path}.press"))
    if "pauseSeconds" in step:
        _refuse_unknown(step, {"pauseSeconds"}, path)
        pause_s = _seconds(step["pauseSeconds"], f"{path}.pauseSeconds")
        return Pause(duration_s=pause_s)
    if step.get("hangUp") is True:
        _refuse_unknown(step, {"hangUp"}, path)
        return HangUp()
    raise ConfigError(
        "must be a text, or have one of say, murmur, press, pauseSeconds, hangUp",
        key_path=path,
    )


def _say(step: Mapping[str, Any], path: str) -> Say:
    _refuse_unknown(step, {"say", "bargeInAfterSeconds", "atOnce"}, path)
    barge_in = step.get("bargeInAfterSeconds")
    is_at_once = step.get("atOnce", False)
    if not isinstance(is_at_once, bool):
        raise ConfigError("must be true or false", key_path=f"{path}.atOnce")
    return Say(
        text=_text(step["say"], f"{path}.say"),
        barge_in_after_s=None
        if barge_in is None
        else _seconds(barge_in, f"{path}.bargeInAfterSeconds"),
        is_at_once=is_at_once,
    )


def _digits(value: Any, path: str) -> tuple[Digit, ...]:
    text = _text(value, path)
    if not set(text) <= {digit.value for digit in Digit}:
        raise ConfigError("may have the keys 0-9, *, #, A-D", key_path=path)
    return tuple(Digit(key) for key in text)


def _mapping(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError("must be an object", key_path=path)
    return value


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError("must be a text that is not empty", key_path=path)
    return value


def _seconds(value: Any, path: str) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= _MAX_S:
        raise ConfigError(f"must be a number of 0 … {_MAX_S:g}", key_path=path)
    return float(value)


_MAX_S = 3600.0


def _refuse_unknown(section: Mapping[str, Any], allowed: set[str], path: str) -> None:
    for key in section:
        if key not in allowed:
            close = get_close_matches(key, sorted(allowed), n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ConfigError(f"unknown setting{hint}", key_path=f"{path}.{key}")
