"""The reference page says what the tables say, and its examples are real."""

from __future__ import annotations

import json
import re
from pathlib import Path

from voice_call.call.events import CallerSpoke
from voice_call.carriers.base import HttpRequest
from voice_call.carriers.simulated.numbers import Behaviour, reference_tables
from voice_call.carriers.simulated.personas import PERSONAS
from voice_call.carriers.simulated.settings import SimulatedSettings
from voice_call.carriers.simulated.webhooks import SimulatedWebhooks

PAGE = Path(__file__).parents[4] / "docs/reference/mock-carrier.md"


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_page_holds_the_tables_of_the_code() -> None:
    text = PAGE.read_text("utf-8")
    begin, end = "<!-- tables: begin -->\n", "<!-- tables: end -->"
    assert text.partition(begin)[2].partition(end)[0] == reference_tables()


def test_every_number_behaviour_and_persona_is_in_the_tables() -> None:
    text = reference_tables()
    assert "| `+15550100010` | `busy` | `silent` |" in text
    assert all(f"| `{behaviour}` |" in text for behaviour in Behaviour)
    assert all(f"| `{name}` |" in text for name in PERSONAS)


def test_the_settings_of_the_page_parse_and_its_numbers_are_the_defaults() -> None:
    bare = re.sub(r"//.*", "", block("json5"))
    quoted = re.sub(r"(?<=[{,\s])(\w+):", r'"\1":', bare)
    section = json.loads(re.sub(r",(\s*[}\]])", r"\1", quoted))["mock"]
    settings = SimulatedSettings.from_config(section)
    default = SimulatedSettings()
    assert len(settings.callee.persona.script) == 7
    assert settings.callee.greeting == default.callee.greeting
    assert settings.callee.ring_s == default.callee.ring_s
    for name in ("setup_s", "stream_delay_s", "caller_patience_s", "buffer_s"):
        assert getattr(settings, name) == getattr(default, name)
    assert settings.recording_s == default.recording_s


def test_the_webhook_of_the_page_reports_speech() -> None:
    request = HttpRequest(
        method="POST",
        url="https://phone.example/voice/webhook",
        headers={},
        body=block("json").encode(),
    )
    (notice,) = SimulatedWebhooks().decode(request, request_key="mock:k")
    assert isinstance(notice.event, CallerSpoke)
    assert notice.event.text == "Hello, who is there?"
