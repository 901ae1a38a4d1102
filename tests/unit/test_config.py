"""The configuration: every key, every source, every problem at once."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from voice_call.config import (
    ConfigProblems,
    Problem,
    TtsConfig,
    VoiceCallConfig,
    load_config,
    merge_tts,
    resolve_tts,
    validate_provider,
)
from voice_call.errors import ConfigError

ROOT = "plugins.entries.voice-call.config"
HOME = {"HOME": "/home/anna"}


def load(raw: dict[str, Any], **environ: str) -> VoiceCallConfig:
    return load_config(raw, environ=HOME | environ)


def problems_of(raw: dict[str, Any], **environ: str) -> dict[str, str]:
    with pytest.raises(ConfigProblems) as raised:
        load(raw, **environ)
    return {
        problem.key_path.removeprefix(f"{ROOT}."): problem.message
        for problem in raised.value.problems
    }


def value_at(config: BaseModel, path: str) -> Any:
    """Return a value by the path that a file would use."""
    found: Any = config.model_dump(by_alias=True)
    for key in path.split("."):
        found = found[key]
    return found.get_secret_value() if isinstance(found, SecretStr) else found


# -- defaults --------------------------------------------------------------------------

DEFAULTS = {
    "enabled": True,
    "provider": "mock",
    "fromNumber": "+15550000000",
    "toNumber": None,
    "inboundPolicy": "disabled",
    "allowFrom": (),
    "inboundGreeting": None,
    "outbound.defaultMode": "notify",
    "outbound.notifyHangupDelaySec": 3,
    "maxDurationSeconds": 300,
    "silenceTimeoutMs": 800,
    "transcriptTimeoutMs": 180_000,
    "ringTimeoutMs": 30_000,
    "maxConcurrentCalls": 1,
    "maxInboundCalls": 16,
    "staleCallReaperSeconds": 120,
    "deadAirSeconds": 2.0,
    "drainSeconds": 30,
    "serve.port": 3334,
    "serve.bind": "127.0.0.1",
    "serve.path": "/voice/webhook",
    "tailscale.mode": "off",
    "tailscale.path": "/voice/webhook",
    "tailscale.port": 443,
    "tunnel.provider": "none",
    "tunnel.ngrokAuthToken": None,
    "tunnel.ngrokDomain": None,
    "tunnel.allowNgrokFreeTierLoopbackBypass": False,
    "webhookSecurity.allowedHosts": (),
    "webhookSecurity.trustForwardingHeaders": False,
    "webhookSecurity.trustedProxyIPs": (),
    "webhookSecurity.allowUnsignedPublic": False,
    "streaming.enabled": False,
    "streaming.streamPath": "/voice/stream",
    "streaming.sttModel": "gpt-4o-transcribe",
    "streaming.silenceDurationMs": 800,
    "streaming.vadThreshold": 0.5,
    "streaming.preStartTimeoutMs": 5000,
    "streaming.maxPendingConnections": 32,
    "streaming.maxPendingConnectionsPerIp": 4,
    "streaming.maxConnections": 128,
    "publicUrl": None,
    "skipSignatureVerification": False,
    "tts": None,
    "stt.provider": "openai",
    "stt.model": "whisper-1",
    "store": Path("/home/anna/.openclaw/voice-calls"),
    "responseModel": None,
    "responseSystemPrompt": None,
    "responseTimeoutMs": 30_000,
    "sessionScope": "per-phone",
    "agentId": None,
    "numbers": {},
    "twilio.region": "us1",
    "language": "en-US",
    "speech.tts": "local",
    "speech.stt": "local",
    "speech.vad": "local",
    "turns.endpointing.silenceMs": 500,
    "turns.endpointing.danglingSilenceMs": 1200,
    "turns.endpointing.closedAnswerSilenceMs": 300,
    "turns.bargeIn.enabled": True,
    "turns.bargeIn.minDurationMs": 300,
    "turns.bargeIn.minWords": 1,
    "turns.bargeIn.falseInterruptionMs": 1500,
    "turns.bargeIn.backchannels": None,
    "turns.echo.enabled": True,
    "mock": {},
    "recording.enabled": False,
    "realtime.enabled": False,
    "realtime.toolPolicy": "safe-read-only",
    "realtime.consultPolicy": "auto",
    "realtime.fastContext.timeoutMs": 800,
    "realtime.fastContext.sources": ("memory", "sessions"),
    "realtime.agentContext.maxChars": 6000,
    "realtime.agentContext.files": ("SOUL.md", "IDENTITY.md", "USER.md"),
}


@pytest.mark.parametrize(("path", "value"), DEFAULTS.items(), ids=DEFAULTS)
def test_an_empty_configuration_has_this_default(path: str, value: object) -> None:
    assert value_at(load({}), path) == value


# -- every key -------------------------------------------------------------------------

SETTINGS: list[tuple[str, Any]] = [
    ("enabled", False),
    ("provider", "plivo"),
    ("fromNumber", "+15550001111"),
    ("toNumber", "+15550002222"),
    ("inboundPolicy", "open"),
    ("inboundGreeting", "Hello"),
    ("outbound.defaultMode", "conversation"),
    ("outbound.notifyHangupDelaySec", 0),
    ("maxDurationSeconds", 1),
    ("silenceTimeoutMs", 1),
    ("transcriptTimeoutMs", 1),
    ("ringTimeoutMs", 1),
    ("maxConcurrentCalls", 100),
    ("maxInboundCalls", 0),
    ("staleCallReaperSeconds", 0),
    ("deadAirSeconds", 0.0),
    ("drainSeconds", 0),
    ("serve.port", 0),
    ("serve.bind", "::"),
    ("serve.path", "/"),
    ("tailscale.mode", "funnel"),
    ("tailscale.path", "/x"),
    ("tailscale.port", 8443),
    ("tunnel.provider", "tailscale-funnel"),
    ("tunnel.ngrokAuthToken", "ngrok-token"),
    ("tunnel.ngrokDomain", "phone.example.com"),
    ("tunnel.allowNgrokFreeTierLoopbackBypass", True),
    ("webhookSecurity.trustForwardingHeaders", True),
    ("streaming.enabled", True),
    ("streaming.streamPath", "/custom-stream"),
    ("streaming.sttProvider", "openai-realtime"),
    ("streaming.provider", "deepgram"),
    ("streaming.providers", {"deepgram": {"apiKey": "key"}}),
    ("streaming.openaiApiKey", "key"),
    ("streaming.sttModel", "m"),
    ("streaming.silenceDurationMs", 1),
    ("streaming.vadThreshold", 0.0),
    ("streaming.preStartTimeoutMs", 1),
    ("streaming.maxPendingConnections", 1),
    ("streaming.maxPendingConnectionsPerIp", 1),
    ("streaming.maxConnections", 1),
    ("publicUrl", "https://phone.example.com:8443/voice/webhook"),
    ("skipSignatureVerification", True),
    ("responseModel", "openai/gpt-4o-mini"),
    ("responseSystemPrompt", "Be brief."),
    ("responseTimeoutMs", 1),
    ("telnyx.apiKey", "key"),
    ("telnyx.connectionId", "id"),
    ("telnyx.publicKey", "key"),
    ("telnyx.apiBaseUrl", "http://127.0.0.1:4010"),
    ("twilio.accountSid", "AC1"),
    ("twilio.authToken", "token"),
    ("twilio.region", "ie1"),
    ("twilio.apiBaseUrl", "http://127.0.0.1:4010"),
    ("plivo.authId", "MA1"),
    ("plivo.authToken", "token"),
    ("plivo.apiBaseUrl", "http://127.0.0.1:4010"),
    ("stt.provider", "openai"),
    ("stt.model", "m"),
    ("sessionScope", "main"),
    ("agentId", "receptionist"),
    ("language", "de-DE"),
    ("speech.tts", "openai"),
    ("speech.stt", "openai"),
    ("speech.vad", "none"),
    ("turns.endpointing.silenceMs", 1),
    ("turns.endpointing.danglingSilenceMs", 1),
    ("turns.endpointing.closedAnswerSilenceMs", 1),
    ("turns.bargeIn.enabled", False),
    ("turns.bargeIn.minDurationMs", 0),
    ("turns.bargeIn.minWords", 0),
    ("turns.bargeIn.falseInterruptionMs", 1),
    ("turns.echo.enabled", False),
    ("turns.echo.similarity", 0.0),
    ("turns.echo.tailMs", 0),
    ("mock", {"callee": {"persona": "anna", "ringSeconds": 0}}),
    ("recording.enabled", True),
    ("recording.path", "/var/recordings"),
    ("reports", {"to": "main"}),
    ("live", {}),
    ("callbacks", {}),
    ("voicemail", {}),
    ("realtime.enabled", True),
    ("realtime.provider", "openai"),
    ("realtime.streamPath", "/voice/stream/realtime"),
    ("realtime.idleHangupMs", 1),
    ("realtime.instructions", "x"),
    ("realtime.toolPolicy", "none"),
    ("realtime.consultPolicy", "always"),
    ("realtime.consultThinkingLevel", "off"),
    ("realtime.consultFastMode", True),
    ("realtime.tools", [{"name": "t"}]),
    ("realtime.fastContext.enabled", True),
    ("realtime.fastContext.maxResults", 1),
    ("realtime.fastContext.fallbackToConsult", True),
    ("realtime.agentContext.enabled", True),
    ("realtime.agentContext.includeIdentity", False),
    ("realtime.agentContext.includeWorkspaceFiles", False),
    ("realtime.providers", {"openai": {"model": "m"}}),
    ("tts.auto", "tagged"),
    ("tts.enabled", False),
    ("tts.mode", "all"),
    ("tts.provider", "elevenlabs"),
    ("tts.summaryModel", "m"),
    ("tts.modelOverrides.allowSeed", False),
    ("tts.elevenlabs.apiKey", "key"),
    ("tts.elevenlabs.baseUrl", "http://127.0.0.1:4010"),
    ("tts.elevenlabs.voiceId", "v"),
    ("tts.elevenlabs.modelId", "m"),
    ("tts.elevenlabs.seed", 0),
    ("tts.elevenlabs.applyTextNormalization", "off"),
    ("tts.elevenlabs.languageCode", "en"),
    ("tts.elevenlabs.voiceSettings.stability", 0.0),
    ("tts.elevenlabs.voiceSettings.similarityBoost", 1.0),
    ("tts.elevenlabs.voiceSettings.style", 0.0),
    ("tts.elevenlabs.voiceSettings.useSpeakerBoost", False),
    ("tts.elevenlabs.voiceSettings.speed", 0.5),
    ("tts.openai.apiKey", "key"),
    ("tts.openai.baseUrl", "http://127.0.0.1:4010/v1"),
    ("tts.openai.model", "gpt-4o-mini-tts"),
    ("tts.openai.voice", "marin"),
    ("tts.edge.outputFormat", "x"),
    ("tts.edge.saveSubtitles", True),
    ("tts.edge.timeoutMs", 1000),
    ("tts.providers", {"elevenlabs": {"apiKey": {"source": "env"}, "speed": 1.1}}),
    ("tts.prefsPath", "/p"),
    ("tts.maxTextLength", 1),
    ("tts.timeoutMs", 120_000),
]


def nested(path: str, value: Any) -> dict[str, Any]:
    for key in reversed(path.split(".")):
        value = {key: value}
    return value  # type: ignore[no-any-return]


@pytest.mark.parametrize(("path", "value"), SETTINGS)
def test_a_setting_is_read_with_its_zero(path: str, value: Any) -> None:
    found = value_at(load(nested(path, value)), path)
    assert found == value
    assert type(found) is type(value)


def test_lists_are_read_as_unchangeable() -> None:
    config = load(
        {
            "allowFrom": ["+1 (555) 000-1234"],
            "webhookSecurity": {
                "allowedHosts": ["phone.example.com"],
                "trustedProxyIPs": ["10.0.0.1"],
            },
            "turns": {"bargeIn": {"backchannels": ["mhm"]}},
        }
    )
    assert config.allow_from == ("+15550001234",)
    assert config.webhook_security.allowed_hosts == ("phone.example.com",)
    assert config.webhook_security.trusted_proxy_ips == ("10.0.0.1",)
    assert config.turns.barge_in.backchannels == ("mhm",)
    with pytest.raises(ValueError, match="frozen"):
        config.enabled = False  # type: ignore[misc]


def test_a_number_of_ours_has_its_own_route() -> None:
    route = {
        "inboundGreeting": "Shop",
        "tts": {"provider": "openai"},
        "agentId": "shop",
        "responseModel": "a/b",
        "responseSystemPrompt": "Sell.",
        "responseTimeoutMs": 5,
    }
    config = load({"numbers": {"+1 555 000 1111": route}})
    (number, read) = next(iter(config.numbers.items()))
    assert number == "+15550001111"
    assert read.model_dump(by_alias=True, exclude_unset=True) == route


def test_a_whole_number_may_stand_for_a_fraction() -> None:
    assert load({"deadAirSeconds": 3}).dead_air_seconds == 3.0


# -- problems --------------------------------------------------------------------------


def test_all_problems_are_told_at_once_each_with_its_path() -> None:
    assert problems_of(
        {
            "fromNumber": "15550001234",
            "allowFrom": ["+15550001234", "", "+"],
            "maxDuration": 60,
            "serve": {"prt": 1, "port": "3334"},
            "outbound": [],
            "turns": {"bargeIn": {"minWord": 1}},
            "numbers": {"+15550001111": {"ttts": 1}},
            "qwertyuiop": 1,
        }
    ) == {
        "fromNumber": E164_EXPECTED,
        "allowFrom[1]": E164_EXPECTED,
        "allowFrom[2]": E164_EXPECTED,
        "maxDuration": "unknown key, perhaps maxDurationSeconds is meant",
        "serve.port": "input should be a valid integer",
        "serve.prt": "unknown key, perhaps port is meant",
        "outbound": "expected an object",
        "turns.bargeIn.minWord": "unknown key, perhaps minWords is meant",
        "numbers.…1111.ttts": "unknown key, perhaps tts is meant",
        "qwertyuiop": "unknown key",
    }


E164_EXPECTED = (
    "the number is not in E.164 form: write a plus sign, the country code and the "
    "number, for example +15550001234"
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("provider", "vonage"),
        ("provider", ["twilio"]),
        ("enabled", "yes"),
        ("maxDurationSeconds", 0),
        ("maxDurationSeconds", True),
        ("maxDurationSeconds", 1.5),
        ("maxConcurrentCalls", 0),
        ("maxInboundCalls", -1),
        ("deadAirSeconds", -0.1),
        ("deadAirSeconds", math.nan),
        ("deadAirSeconds", math.inf),
        ("outbound.notifyHangupDelaySec", -1),
        ("serve.port", 65_536),
        ("serve.path", ""),
        ("serve.path", "voice"),
        ("serve.path", "/voice?x=1"),
        ("serve.bind", ""),
        ("streaming.vadThreshold", 1.1),
        ("streaming.openaiApiKey", ""),
        ("publicUrl", "phone.example.com"),
        ("publicUrl", "ftp://phone.example.com"),
        ("publicUrl", "https://user:pass@phone.example.com"),
        ("publicUrl", "https://phone.example.com:port"),
        ("publicUrl", "https://[::1"),
        ("twilio.region", "us2"),
        ("twilio.authToken", ""),
        ("twilio.apiBaseUrl", "127.0.0.1:4010"),
        ("plivo.authId", 5),
        ("tts.elevenlabs.voiceSettings.speed", 2.1),
        ("tts.elevenlabs.seed", 4_294_967_296),
        ("tts.timeoutMs", 999),
        ("tts.maxTextLength", 0),
        ("allowFrom", "+15550001234"),
        ("store", ""),
        ("store", 7),
        ("from_number", "+15550001234"),
        ("mock", []),
        ("realtime.toolPolicy", "all"),
    ],
)
def test_a_value_out_of_range_names_its_key(path: str, value: Any) -> None:
    assert list(problems_of(nested(path, value))) == [path]


def test_a_key_of_a_route_that_is_no_number_is_a_problem() -> None:
    (path,) = problems_of({"numbers": {"reception": {}}})
    assert path.startswith("numbers.reception")


@pytest.mark.parametrize("port", [80, 3334])
def test_funnel_opens_three_ports_only(port: int) -> None:
    assert problems_of({"tailscale": {"mode": "funnel", "port": port}}) == {
        "tailscale.port": "funnel allows the ports 443, 8443 and 10000 only"
    }
    assert load({"tailscale": {"mode": "serve", "port": port}}).tailscale.port == port


def test_an_error_is_a_config_error_with_the_first_path() -> None:
    with pytest.raises(ConfigError) as raised:
        load_config({"a": 1, "b": 2}, environ={}, key_path="voice")
    assert raised.value.key_path == "voice.a"
    assert str(raised.value) == "voice.a: unknown key; voice.b: unknown key"
    assert raised.value.code == "config_invalid"


def test_no_error_repeats_a_value() -> None:
    with pytest.raises(ConfigProblems) as raised:
        load({"twilio": {"authToken": ["hush-hush"]}, "fromNumber": "1555-777-8888"})
    assert "hush" not in str(raised.value)
    assert "8888" not in str(raised.value)


def test_a_section_that_is_no_object_does_not_stop_the_reading() -> None:
    raw = {"provider": "twilio", "twilio": "AC1", "tunnel": 1, "speech": [], "tts": 2}
    assert sorted(problems_of(raw, TWILIO_AUTH_TOKEN="t")) == [
        "speech",
        "tts",
        "tunnel",
        "twilio",
    ]


# -- sources ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "path", "variable"),
    [
        ({"provider": "twilio"}, "twilio.accountSid", "TWILIO_ACCOUNT_SID"),
        ({"provider": "twilio"}, "twilio.authToken", "TWILIO_AUTH_TOKEN"),
        ({"provider": "telnyx"}, "telnyx.apiKey", "TELNYX_API_KEY"),
        ({"provider": "telnyx"}, "telnyx.connectionId", "TELNYX_CONNECTION_ID"),
        ({"provider": "telnyx"}, "telnyx.publicKey", "TELNYX_PUBLIC_KEY"),
        ({"provider": "plivo"}, "plivo.authId", "PLIVO_AUTH_ID"),
        ({"provider": "plivo"}, "plivo.authToken", "PLIVO_AUTH_TOKEN"),
        ({"tunnel": {"provider": "ngrok"}}, "tunnel.ngrokAuthToken", "NGROK_AUTHTOKEN"),
        ({"tunnel": {"provider": "ngrok"}}, "tunnel.ngrokDomain", "NGROK_DOMAIN"),
        ({"streaming": {"enabled": True}}, "streaming.openaiApiKey", "OPENAI_API_KEY"),
        ({"speech": {"stt": "openai"}}, "streaming.openaiApiKey", "OPENAI_API_KEY"),
    ],
)
def test_the_environment_fills_what_the_file_leaves_open(
    raw: dict[str, Any], path: str, variable: str
) -> None:
    section, key = path.split(".")
    assert value_at(load(raw, **{variable: " env "}), path) == "env"
    assert value_at(load(raw, **{variable: " "}), path) is None
    assert value_at(load({"provider": "mock"}, **{variable: "env"}), path) is None
    written = raw | {section: raw.get(section, {}) | {key: "file"}}
    assert value_at(load(written, **{variable: "env"}), path) == "file"


def test_the_caller_id_of_twilio_may_come_from_the_environment() -> None:
    number = {"TWILIO_FROM_NUMBER": "+1 555 000 7777"}
    assert load({"provider": "twilio"}, **number).from_number == "+15550007777"
    assert load({"provider": "telnyx"}, **number).from_number is None


def test_file_and_environment_may_be_mixed() -> None:
    raw = {"provider": "twilio", "fromNumber": "+15550001111"}
    config = load(raw | {"twilio": {"accountSid": "AC1"}}, TWILIO_AUTH_TOKEN="t")
    assert validate_provider(config) == []


def test_the_callers_object_is_not_changed() -> None:
    raw: dict[str, Any] = {"provider": "log", "twilio": {}, "allowFrom": []}
    load(raw, TWILIO_AUTH_TOKEN="t")
    assert raw == {"provider": "log", "twilio": {}, "allowFrom": []}


@pytest.mark.parametrize(
    ("raw", "environ", "store"),
    [
        ({}, {}, "/home/anna/.openclaw/voice-calls"),
        ({}, {"OPENCLAW_STATE_DIR": "/srv/claw"}, "/srv/claw/voice-calls"),
        ({}, {"OPENCLAW_STATE_DIR": "~/claw"}, "/home/anna/claw/voice-calls"),
        ({"store": "~/calls"}, {"OPENCLAW_STATE_DIR": "/srv"}, "/home/anna/calls"),
        ({"store": "~"}, {}, "/home/anna"),
        ({"store": "/var/calls"}, {}, "/var/calls"),
    ],
)
def test_where_calls_are_stored(
    raw: dict[str, Any], environ: dict[str, str], store: str
) -> None:
    config = load(raw, **environ)
    assert config.store == Path(store)
    assert config.journal_path == Path(store) / "calls.sqlite3"


def test_a_disabled_plugin_needs_no_carrier() -> None:
    config = load({"enabled": False})
    assert config.provider is None
    assert validate_provider(config) == []


def test_the_old_name_of_the_mock_carrier_is_understood() -> None:
    config = load({"provider": "log"})
    assert config.provider == "mock"
    assert config.warnings == (
        "provider: 'log' is the old name of 'mock'; write 'mock'.",
    )


@pytest.mark.parametrize(
    ("tunnel", "expected"),
    [
        ({"allowNgrokFreeTier": True}, True),
        ({"allowNgrokFreeTier": False}, False),
        (
            {
                "allowNgrokFreeTier": False,
                "allowNgrokFreeTierLoopbackBypass": True,
            },
            True,
        ),
    ],
)
def test_the_old_name_of_the_ngrok_bypass_is_understood(
    tunnel: dict[str, bool], *, expected: bool
) -> None:
    config = load({"tunnel": tunnel})
    assert config.tunnel.allow_ngrok_free_tier_loopback_bypass is expected
    assert "old name" in config.warnings[0]


@pytest.mark.parametrize(
    ("raw", "silence_ms"),
    [
        ({"silenceTimeoutMs": 900}, 900),
        ({"streaming": {"silenceDurationMs": 700}}, 700),
        (
            {
                "silenceTimeoutMs": 900,
                "turns": {"endpointing": {"silenceMs": 400}},
            },
            400,
        ),
    ],
)
def test_older_keys_for_silence_still_count(
    raw: dict[str, Any], silence_ms: int
) -> None:
    assert load(raw).turns.endpointing.silence_ms == silence_ms


@pytest.mark.parametrize(
    ("raw", "tts", "stt"),
    [
        ({"streaming": {"sttProvider": "openai-realtime"}}, "local", "openai"),
        ({"streaming": {"provider": "deepgram"}}, "local", "deepgram"),
        ({"tts": {"provider": "elevenlabs"}}, "elevenlabs", "local"),
        ({"tts": {"provider": "edge"}}, "local", "local"),
        (
            {"tts": {"provider": "elevenlabs"}, "speech": {"tts": "openai"}},
            "openai",
            "local",
        ),
    ],
)
def test_older_places_of_engine_names_still_count(
    raw: dict[str, Any], tts: str, stt: str
) -> None:
    config = load(raw)
    assert (config.speech.tts, config.speech.stt) == (tts, stt)


# -- secrets ---------------------------------------------------------------------------


def test_a_secret_is_never_printed() -> None:
    config = load(
        {
            "twilio": {"authToken": "hush"},
            "telnyx": {"apiKey": "hush"},
            "plivo": {"authToken": "hush"},
            "tunnel": {"ngrokAuthToken": "hush"},
            "streaming": {"openaiApiKey": "hush"},
            "tts": {"openai": {"apiKey": "hush"}, "elevenlabs": {"apiKey": "hush"}},
        }
    )
    assert "hush" not in repr(config)
    assert "hush" not in config.model_dump_json()


def test_a_secret_may_be_a_reference_to_the_environment() -> None:
    reference = {"source": "env", "provider": "default", "id": "MY_TOKEN"}
    config = load({"twilio": {"authToken": reference}}, MY_TOKEN="t")
    assert value_at(config, "twilio.authToken") == "t"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"source": "env", "id": "GONE"}, "the environment has no variable GONE"),
        (
            {"source": "file", "id": "x"},
            'only references to the environment are read: {"source": "env"}',
        ),
        (
            {},
            'only references to the environment are read: {"source": "env"}',
        ),
    ],
)
def test_a_reference_that_leads_nowhere_is_a_problem(
    reference: dict[str, str], message: str
) -> None:
    assert problems_of({"twilio": {"authToken": reference}}) == {
        "twilio.authToken": message
    }


# -- what a carrier needs --------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "missing"),
    [
        ({"provider": "mock"}, []),
        (
            {"provider": "twilio"},
            [
                "fromNumber: is required (or TWILIO_FROM_NUMBER)",
                "twilio.accountSid: is required (or TWILIO_ACCOUNT_SID)",
                "twilio.authToken: is required (or TWILIO_AUTH_TOKEN)",
            ],
        ),
        (
            {"provider": "telnyx"},
            [
                "fromNumber: is required",
                "telnyx.apiKey: is required (or TELNYX_API_KEY)",
                "telnyx.connectionId: is required (or TELNYX_CONNECTION_ID)",
                "telnyx.publicKey: is required (or TELNYX_PUBLIC_KEY)",
            ],
        ),
        (
            {
                "provider": "telnyx",
                "fromNumber": "+15550001234",
                "telnyx": {"apiKey": "k", "connectionId": "c"},
                "skipSignatureVerification": True,
            },
            [],
        ),
        (
            {"provider": "plivo", "fromNumber": "+15550001234"},
            [
                "plivo.authId: is required (or PLIVO_AUTH_ID)",
                "plivo.authToken: is required (or PLIVO_AUTH_TOKEN)",
            ],
        ),
        (
            {"realtime": {"enabled": True}},
            ["inboundPolicy: must not be disabled with realtime.enabled"],
        ),
        (
            {
                "provider": "plivo",
                "fromNumber": "+15550001234",
                "plivo": {"authId": "MA1", "authToken": "t"},
                "inboundPolicy": "open",
                "streaming": {"enabled": True},
                "realtime": {"enabled": True},
            },
            [
                "realtime.enabled: excludes streaming.enabled",
                "realtime.enabled: is not possible with plivo",
            ],
        ),
    ],
)
def test_what_is_missing_is_listed_with_path_and_variable(
    raw: dict[str, Any], missing: list[str]
) -> None:
    assert [str(problem) for problem in validate_provider(load(raw))] == [
        f"{ROOT}.{line}" for line in missing
    ]


def test_a_configuration_made_without_a_carrier_misses_it() -> None:
    config = VoiceCallConfig.model_validate({"store": "/tmp/x"})
    assert validate_provider(config, key_path="voice")[0] == Problem(
        key_path="voice.provider", message="is required"
    )


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        ({"skipSignatureVerification": True}, "SECURITY"),
        ({"webhookSecurity": {"trustForwardingHeaders": True}}, "name your proxies"),
        ({"inboundPolicy": "pairing", "allowFrom": ["+15550001234"]}, "behaves as"),
        ({"inboundPolicy": "allowlist"}, "allowFrom is empty"),
        ({"voicemail": {}}, "voicemail is read, but has no effect"),
        ({"realtime": {"enabled": True}}, "calls use `streaming`"),
        ({"tts": {"provider": "edge"}}, "no telephone audio"),
    ],
)
def test_what_should_be_known_is_a_warning(raw: dict[str, Any], word: str) -> None:
    (warning,) = load(raw).warnings
    assert word in warning


# -- speech settings over the core's ---------------------------------------------------


@pytest.mark.parametrize(
    ("core", "override", "merged"),
    [
        (
            {"provider": "openai", "openai": {"voice": "alloy"}},
            {"openai": {"model": "gpt-4o-mini-tts", "voice": "marin"}},
            {
                "provider": "openai",
                "openai": {"model": "gpt-4o-mini-tts", "voice": "marin"},
            },
        ),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        ({"a": 1}, {"a": {"b": 2}}, {"a": {"b": 2}}),
        ({"a": {"b": 1}}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {}, {"a": 1}),
        (None, {"a": 1}, {"a": 1}),
        ({"a": 1}, None, None),
        (
            {"prototype": 1, "a": {"__class__": 2}},
            {"__proto__": {"x": 1}, "constructor": 2, "a": {"__init__": 1, "b": 0}},
            {"a": {"b": 0}},
        ),
    ],
)
def test_the_override_is_laid_over_the_core(
    core: Any, override: Any, merged: Any
) -> None:
    assert merge_tts(core, override) == merged


def test_merging_changes_neither_side() -> None:
    core, override = {"a": {"b": 1}}, {"a": {"c": 2}}
    assert merge_tts(core, override) == {"a": {"b": 1, "c": 2}}
    assert (core, override) == ({"a": {"b": 1}}, {"a": {"c": 2}})


def deep(levels: int) -> dict[str, Any]:
    return nested(".".join("a" * levels), 1)


def test_merging_has_a_depth_limit() -> None:
    assert merge_tts(deep(31), deep(31)) == deep(31)
    with pytest.raises(ValueError, match="deeper than 32"):
        merge_tts({}, deep(40))


def test_speech_settings_are_the_plugins_over_the_cores() -> None:
    override = TtsConfig.model_validate({"openai": {"apiKey": "k", "voice": "marin"}})
    core = {"provider": "openai", "openai": {"model": "m", "voice": "alloy"}, "new": 1}
    config = resolve_tts(core, override)
    assert config.provider == "openai"
    assert config.openai is not None
    assert (config.openai.model, config.openai.voice) == ("m", "marin")
    assert value_at(config, "openai.apiKey") == "k"


def test_without_any_speech_settings_nothing_is_set() -> None:
    assert resolve_tts(None, None) == TtsConfig()


@pytest.mark.parametrize(
    ("core", "path"),
    [
        ({"timeoutMs": 5}, "messages.tts.timeoutMs"),
        ({"providers": deep(40)}, "messages.tts"),
    ],
)
def test_a_wrong_value_of_the_core_is_named_there(
    core: dict[str, Any], path: str
) -> None:
    override = TtsConfig.model_validate(
        {"providers": {"a": deep(40)}} if "providers" in core else {}
    )
    with pytest.raises(ConfigProblems) as raised:
        resolve_tts(core, override)
    assert raised.value.key_path == path
