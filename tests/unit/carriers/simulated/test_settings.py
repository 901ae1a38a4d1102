"""Setting up the simulated network, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from voice_call.call.model import Digit
from voice_call.carriers.simulated.numbers import MAGIC_NUMBERS, Behaviour
from voice_call.carriers.simulated.personas import (
    DEMO_CALLEE,
    PERSONAS,
    HangUp,
    Murmur,
    Pause,
    Press,
    Say,
)
from voice_call.carriers.simulated.settings import CalleePlan, SimulatedSettings
from voice_call.errors import ConfigError


def test_no_section_means_the_defaults() -> None:
    assert SimulatedSettings.from_config({}) == SimulatedSettings()


def test_every_key_is_read() -> None:
    settings = SimulatedSettings.from_config(
        {
            "callee": {
                "behaviour": "voicemail",
                "persona": "echo",
                "ringSeconds": 3,
                "greeting": "Later.",
            },
            "callees": {"+15550001111": {"behaviour": "busy"}},
            "setupSeconds": 0.5,
            "streamDelaySeconds": 0,
            "callerPatienceSeconds": 10,
            "bufferSeconds": 20,
            "recordingSeconds": 30,
        }
    )
    assert settings == SimulatedSettings(
        callee=CalleePlan(
            behaviour=Behaviour.VOICEMAIL,
            persona=PERSONAS["echo"],
            ring_s=3.0,
            greeting="Later.",
        ),
        callees={"+15550001111": CalleePlan(behaviour=Behaviour.BUSY)},
        setup_s=0.5,
        stream_delay_s=0.0,
        caller_patience_s=10.0,
        buffer_s=20.0,
        recording_s=30.0,
    )


def test_every_step_of_a_script_is_read() -> None:
    script = [
        "Hello.",
        {"say": "Stop.", "bargeInAfterSeconds": 1.5},
        {"say": "Now.", "atOnce": True},
        {"murmur": "uh-huh", "afterSeconds": 2},
        {"murmur": "mm"},
        {"press": "1#A"},
        {"pauseSeconds": 0.5},
        {"hangUp": True},
    ]
    persona = SimulatedSettings.from_config(
        {"callee": {"script": script}}
    ).callee.persona
    assert persona.name == "scripted"
    assert persona.script == (
        Say(text="Hello."),
        Say(text="Stop.", barge_in_after_s=1.5),
        Say(text="Now.", is_at_once=True),
        Murmur(text="uh-huh", after_s=2.0),
        Murmur(text="mm", after_s=1.0),
        Press(digits=(Digit.ONE, Digit.POUND, Digit.A)),
        Pause(duration_s=0.5),
        HangUp(),
    )


def test_a_script_replaces_that_of_a_named_persona() -> None:
    settings = SimulatedSettings.from_config(
        {"callee": {"persona": "echo", "script": ["Hello."]}}
    )
    assert settings.callee.persona.echoes
    assert settings.callee.persona.script == (Say(text="Hello."),)


@pytest.mark.parametrize(
    ("section", "key_path", "word"),
    [
        ({"calee": {}}, "mock.calee", "callee"),
        ({"callee": {"ringSecond": 1}}, "mock.callee.ringSecond", "ringSeconds"),
        ({"callee": {"zzz": 1}}, "mock.callee.zzz", "unknown setting"),
        ({"callee": []}, "mock.callee", "object"),
        ({"callees": []}, "mock.callees", "object"),
        ({"callees": {"+1": {"x": 1}}}, "mock.callees.+1.x", "unknown"),
        ({"callee": {"behaviour": "odd"}}, "mock.callee.behaviour", "no-answer"),
        ({"callee": {"behaviour": 5}}, "mock.callee.behaviour", "no-answer"),
        ({"callee": {"persona": "odd"}}, "mock.callee.persona", "demo"),
        ({"callee": {"persona": ["echo"]}}, "mock.callee.persona", "demo"),
        ({"callee": {"ringSeconds": -1}}, "mock.callee.ringSeconds", "0 … 3600"),
        ({"callee": {"ringSeconds": True}}, "mock.callee.ringSeconds", "number"),
        ({"callee": {"ringSeconds": "2"}}, "mock.callee.ringSeconds", "number"),
        ({"bufferSeconds": float("nan")}, "mock.bufferSeconds", "number"),
        ({"callee": {"greeting": " "}}, "mock.callee.greeting", "text"),
        ({"callee": {"script": "Hi"}}, "mock.callee.script", "list"),
        ({"callee": {"script": [5]}}, "mock.callee.script[0]", "object"),
        ({"callee": {"script": [{}]}}, "mock.callee.script[0]", "hangUp"),
        ({"callee": {"script": [{"hangUp": 1}]}}, "mock.callee.script[0]", "hangUp"),
        ({"callee": {"script": ["a", ""]}}, "mock.callee.script[1]", "text"),
        (
            {"callee": {"script": [{"press": "1x"}]}},
            "mock.callee.script[0].press",
            "keys",
        ),
        (
            {"callee": {"script": [{"say": "a", "atOnce": 1}]}},
            "mock.callee.script[0].atOnce",
            "true or false",
        ),
        (
            {"callee": {"script": [{"say": "a", "later": 1}]}},
            "mock.callee.script[0].later",
            "unknown",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_its_path(
    section: dict[str, Any], key_path: str, word: str
) -> None:
    with pytest.raises(ConfigError, match=word) as caught:
        SimulatedSettings.from_config(section)
    assert caught.value.key_path == key_path


def test_the_path_of_the_section_can_be_given() -> None:
    with pytest.raises(ConfigError) as caught:
        SimulatedSettings.from_config({"x": 1}, key_path="a.b.mock")
    assert caught.value.key_path == "a.b.mock.x"


def test_a_named_number_wins_over_a_magic_one_and_that_over_the_default() -> None:
    busy, noisy = (CalleePlan(behaviour=b) for b in (Behaviour.BUSY, Behaviour.NOISY))
    settings = SimulatedSettings(callee=noisy, callees={"+15550100001": busy})
    assert settings.plan_for("+15550100001") is busy
    assert settings.plan_for("+15550100002").persona.echoes
    assert settings.plan_for("+15557654321") is noisy


def test_every_behaviour_has_a_magic_number_of_the_block() -> None:
    assert {magic.behaviour for magic in MAGIC_NUMBERS} == set(Behaviour)
    assert all(magic.number.startswith("+1555010") for magic in MAGIC_NUMBERS)
    assert all(len(magic.number) == 12 for magic in MAGIC_NUMBERS)
    assert len({magic.number for magic in MAGIC_NUMBERS}) == len(MAGIC_NUMBERS)


def test_the_demo_callee_takes_turns_interrupts_once_and_hangs_up() -> None:
    lines = [step for step in DEMO_CALLEE.script if isinstance(step, Say)]
    assert len(lines) == 6
    assert sum(line.barge_in_after_s is not None for line in lines) == 1
    assert not any(character.isdigit() for line in lines for character in line.text)
    assert DEMO_CALLEE.script[-1] == HangUp()
