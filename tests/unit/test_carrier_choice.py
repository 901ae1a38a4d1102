"""The carrier that the configuration means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from voice_call.carrier_choice import choose_carrier
from voice_call.carriers.simulated import CalleeSpeech
from voice_call.carriers.twilio import TwilioCallControl, TwilioStreams, TwilioWebhooks
from voice_call.config import ConfigProblems, VoiceCallConfig, load_config
from voice_call.errors import ConfigError
from voice_call.testing.clock import ManualClock
from voice_call.testing.speech import (
    EnergyVoiceDetector,
    SilentSpeechToText,
    ToneTextToSpeech,
)

if TYPE_CHECKING:
    from pathlib import Path

    from voice_call.carrier_choice import ChosenCarrier

TWILIO = {
    "provider": "twilio",
    "fromNumber": "+15550100200",
    "publicUrl": "https://phone.example.com/voice/webhook",
    "twilio": {"accountSid": "AC" + "0" * 32, "authToken": "not-a-secret"},
}
TELNYX = {
    "provider": "telnyx",
    "fromNumber": "+15550100200",
    "publicUrl": "https://phone.example.com/voice/webhook",
    "telnyx": {"apiKey": "k", "connectionId": "1", "publicKey": "p"},
}


def config_of(folder: Path, **raw: Any) -> VoiceCallConfig:
    return load_config(raw, environ={"OPENCLAW_STATE_DIR": str(folder)})


def choose(config: VoiceCallConfig) -> ChosenCarrier:
    speech = CalleeSpeech(
        text_to_speech=ToneTextToSpeech(),
        speech_to_text=SilentSpeechToText(),
        voice_detector=EnergyVoiceDetector(),
    )
    return choose_carrier(config, ManualClock(), callee_speech=speech)


@pytest.mark.parametrize("named", [{}, {"provider": "mock"}], ids=["none", "mock"])
def test_the_mock_carrier_comes_with_its_network(tmp_path: Path, named: Any):
    config = config_of(tmp_path, fromNumber="+15550100200", **named)
    if not named:
        config = config.model_copy(update={"enabled": False})  # nothing is missing then
    chosen = choose(config)
    assert chosen.network is not None
    assert chosen.carrier is chosen.network.carrier


def test_what_is_wrong_with_the_mock_network_names_its_key(tmp_path: Path):
    config = config_of(tmp_path, provider="mock", mock={"callee": {"behaviour": "odd"}})
    with pytest.raises(ConfigError, match=r"voice-call\.config\.mock"):
        choose(config)


def test_twilio_without_streams_speaks_by_itself(tmp_path: Path):
    chosen = choose(config_of(tmp_path, **TWILIO))
    assert chosen.network is None
    assert isinstance(chosen.carrier.control, TwilioCallControl)
    assert isinstance(chosen.carrier.webhooks, TwilioWebhooks)
    assert chosen.carrier.streams is None
    assert not chosen.carrier.capabilities.streams_audio
    assert chosen.carrier.capabilities.sends_digits


def test_twilio_with_streams(tmp_path: Path):
    chosen = choose(config_of(tmp_path, **TWILIO, streaming={"enabled": True}))
    assert isinstance(chosen.carrier.streams, TwilioStreams)
    assert chosen.carrier.capabilities.streams_audio
    assert not chosen.carrier.capabilities.sends_digits


@pytest.mark.parametrize(
    ("twilio", "origin"),
    [
        ({}, "https://api.twilio.com"),
        ({"region": "ie1"}, "https://api.dublin.ie1.twilio.com"),
        ({"region": "au1"}, "https://api.sydney.au1.twilio.com"),
        ({"apiBaseUrl": "http://127.0.0.1:8000/"}, "http://127.0.0.1:8000"),
        (
            {"region": "ie1", "apiBaseUrl": "http://127.0.0.1:8000"},
            "http://127.0.0.1:8000",
        ),
    ],
)
def test_where_twilio_is_asked(tmp_path: Path, twilio: Any, origin: str):
    raw = {**TWILIO, "twilio": {**TWILIO["twilio"], **twilio}}  # type: ignore[dict-item]
    control: Any = choose(config_of(tmp_path, **raw)).carrier.control
    assert control._account.origin == origin


def test_everything_that_is_missing_is_said_at_once(tmp_path: Path):
    with pytest.raises(ConfigProblems) as caught:
        choose(config_of(tmp_path, provider="twilio"))
    text = "; ".join(str(each) for each in caught.value.problems)
    assert "twilio.accountSid" in text
    assert "TWILIO_ACCOUNT_SID" in text
    assert "twilio.authToken" in text
    assert "fromNumber" in text


def test_a_carrier_that_is_not_carried_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"telnyx is not carried.*twilio or mock"):
        choose(config_of(tmp_path, **TELNYX))
