"""What is rehearsed, without a network: the settings laid over, and the judgement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from voice_call.config import load_config
from voice_call.errors import ConfigError
from voice_call.simulate import RehearsalPlan, Stage, _settings, simulate
from voice_call.testing.twilio_network.rehearsal import TwilioRehearsal

HOOK = "https://phone.example.com/voice/webhook"
OWN = {
    "provider": "twilio",
    "twilio": {"accountSid": "AC" + "1" * 32, "authToken": "not-a-secret"},
}


def plan_of(**raw: Any) -> RehearsalPlan:
    environ = {"OPENCLAW_STATE_DIR": "/nowhere"}
    return RehearsalPlan(
        config=load_config(OWN | raw, environ=environ),
        public_url=HOOK,
        port=4711,
        from_="+15550100200",
        to="+15550100100",
    )


def test_the_user_s_settings_are_kept_on_this_machine():
    raw: dict[str, Any] = {
        **OWN,
        "serve": {"bind": "0.0.0.0", "port": 80, "path": "/calls"},
        "tunnel": {"provider": "ngrok"},
        "tailscale": {"mode": "funnel"},
        "speech": {"tts": "openai"},
        "recording": {"enabled": True},
        "store": "~/calls",
        "maxDurationSeconds": 7,
    }
    overlay = {"twilio": {"apiBaseUrl": "http://127.0.0.1:1"}}
    assert _settings(raw, plan_of(), overlay, Path("/tmp/x")) == {
        **OWN,
        "enabled": True,
        "fromNumber": "+15550100200",
        "publicUrl": HOOK,
        "serve": {"bind": "127.0.0.1", "port": 4711, "path": "/calls"},
        "tunnel": {"provider": "none"},
        "tailscale": {"mode": "off"},
        "speech": {"tts": "tone", "stt": "silent", "vad": "energy"},
        "store": "/tmp/x/calls",
        "recording": {"enabled": False},
        "drainSeconds": 0,
        "maxDurationSeconds": 7,
        "twilio": {"apiBaseUrl": "http://127.0.0.1:1"},
    }


def test_what_follows_a_failed_stage_was_not_reached():
    stages = TwilioRehearsal(plan_of(), []).stages({"ending": {"detail": "refused"}})
    assert stages[0] == Stage(name="dial", passed=False, detail="refused")
    assert {(each.passed, each.detail) for each in stages[1:]} == {
        (None, "not reached")
    }


def test_a_call_that_was_never_placed_is_not_over():
    assert not TwilioRehearsal(plan_of(), []).is_over


@pytest.mark.parametrize(
    ("twilio", "count"),
    [(OWN["twilio"], 0), ({}, 1), ({"authToken": "x"}, 1)],
    ids=["given", "none", "half"],
)
def test_a_made_up_account_is_said(
    monkeypatch: pytest.MonkeyPatch, twilio: Any, count: int
):
    for variable in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    notes: list[str] = []
    TwilioRehearsal(plan_of(twilio=twilio), notes)
    assert len(notes) == count


def test_a_path_that_a_proxy_has_to_translate_is_said():
    notes: list[str] = []
    TwilioRehearsal(plan_of(serve={"path": "/calls"}), notes)
    (note,) = notes
    assert note == (
        "publicUrl leads to /voice/webhook and serve.path is /calls: your proxy has to "
        "translate one into the other, as it does here."
    )


@pytest.mark.anyio
async def test_a_carrier_without_a_simulator(tmp_path: Path):
    with pytest.raises(ConfigError, match="choose one of twilio"):
        await simulate({}, "pigeon", tmp_path)
