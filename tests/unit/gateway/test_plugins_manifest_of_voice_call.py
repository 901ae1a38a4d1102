"""The manifest in the repository says what the settings say, and its migrations hold."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from openclaw_gateway.config.migrations import migrate
from openclaw_gateway.plugins.json_schema import find_schema_problems
from openclaw_gateway.plugins.manifest import read_manifest

FOLDER = Path(__file__).parents[3] / "extensions" / "voice-call"
STALE = "run `python extensions/voice-call/generate_manifest.py` and commit the result"


@pytest.fixture(scope="module")
def manifest():
    return read_manifest(FOLDER)


def test_the_manifest_is_fresh():
    path = FOLDER / "generate_manifest.py"
    spec = importlib.util.spec_from_file_location("generate_manifest", path)
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert generator.MANIFEST.read_text(encoding="utf-8") == generator.render(), STALE


def test_other_hosts_find_what_they_need():
    raw = json.loads((FOLDER / "openclaw.plugin.json").read_bytes())
    assert raw["id"] == "voice-call"
    assert raw["activation"] == {"onStartup": True}
    assert raw["contracts"] == {"tools": ["voice_call"]}
    assert raw["configSchema"]["type"] == "object"


def problems(settings, manifest):
    return [str(it) for it in find_schema_problems(settings, manifest.config_schema)]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"provider": "mock", "fromNumber": "+15550001111"},
        {"twilio": {"authToken": {"source": "env", "id": "TOKEN"}}},
        {"numbers": {"+15550001111": {"inboundGreeting": "Hi"}}},
        {"outbound": {"notifyHangupDelaySec": 0}},
    ],
)
def test_what_is_right_passes(manifest, settings):
    assert problems(settings, manifest) == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"providr": "mock"}, "providr: unknown key, perhaps provider is meant."),
        (
            {"twilio": {"authTokn": "x"}},
            "twilio.authTokn: unknown key, perhaps authToken is meant.",
        ),
        ({"maxConcurrentCalls": 0}, "maxConcurrentCalls: must be more than 0."),
        ({"serve": {"port": "x"}}, "serve.port: must be a whole number."),
    ],
)
def test_what_is_wrong_is_named(manifest, settings, expected):
    assert problems(settings, manifest) == [expected]


LEGACY = {
    "provider": "log",
    "twilio": {"from": "+15550001111", "accountSid": "AC1"},
    "streaming": {
        "enabled": True,
        "sttProvider": "openai-realtime",
        "sttModel": "gpt-4o-transcribe",
        "openaiApiKey": "${OPENAI_API_KEY}",
    },
}
TODAY = {
    "provider": "mock",
    "twilio": {"accountSid": "AC1"},
    "fromNumber": "+15550001111",
    "streaming": {
        "enabled": True,
        "provider": "openai",
        "providers": {
            "openai": {"model": "gpt-4o-transcribe", "apiKey": "${OPENAI_API_KEY}"}
        },
    },
}


def test_old_names_become_todays(manifest):
    assert migrate(LEGACY, manifest.migrations).settings == TODAY


def test_a_second_run_changes_nothing(manifest):
    again = migrate(TODAY, manifest.migrations)
    assert again.settings == TODAY
    assert again.changes == ()
    assert again.notes == ()


def test_what_is_set_under_todays_name_wins(manifest):
    settings = {"twilio": {"from": "+15550001111"}, "fromNumber": "+15550002222"}
    assert migrate(settings, manifest.migrations).settings == {
        "twilio": {},
        "fromNumber": "+15550002222",
    }


def test_todays_settings_pass_the_schema(manifest):
    assert problems(TODAY, manifest) == []
