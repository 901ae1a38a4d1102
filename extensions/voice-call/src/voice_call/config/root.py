"""The whole configuration, and how it is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationError

from voice_call.config.problems import ConfigProblems, Problem, find_problems
from voice_call.config.section import (
    AtLeastZero,
    FreeObject,
    Number,
    Numbers,
    Positive,
    Section,
    Text,
    WebUrl,
)
from voice_call.config.sections import (
    NumberRoute,
    Outbound,
    Plivo,
    Realtime,
    Recording,
    Serve,
    Speech,
    Streaming,
    Stt,
    Tailscale,
    Telnyx,
    Tunnel,
    Turns,
    Twilio,
    WebhookSecurity,
)
from voice_call.config.sources import complete
from voice_call.config.tts import TtsConfig, merge_tts

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KEY_PATH", "VoiceCallConfig", "load_config", "resolve_tts"]

KEY_PATH = "plugins.entries.voice-call.config"


def _folder(value: Any) -> Any:
    return Path(value) if isinstance(value, str) and value else value


class VoiceCallConfig(Section):
    """Everything that can be set, under `plugins.entries.voice-call.config`."""

    enabled: bool = True
    provider: Literal["telnyx", "twilio", "plivo", "mock"] | None = Field(
        default=None, description="The carrier; `mock` needs no network."
    )
    twilio: Twilio = Twilio()
    telnyx: Telnyx = Telnyx()
    plivo: Plivo = Plivo()
    mock: FreeObject = Field(
        default_factory=dict,
        description="The simulated network; checked by it, see the mock carrier's page.",
    )

    from_number: Number | None = Field(default=None, description="Our caller id.")
    to_number: Number | None = Field(
        default=None, description="Who is called by default."
    )
    outbound: Outbound = Outbound()
    inbound_policy: Literal["disabled", "allowlist", "pairing", "open"] = "disabled"
    allow_from: Numbers = ()
    inbound_greeting: str | None = Field(
        default=None, description="None for the built-in one."
    )
    numbers: dict[Number, NumberRoute] = Field(
        default_factory=dict, description="What differs by the number that was called."
    )
    session_scope: Literal["per-phone", "per-call", "main"] = "per-phone"
    agent_id: Text | None = None

    max_duration_seconds: Positive = 300
    silence_timeout_ms: Positive = Field(
        default=800,
        description="Where set, the default of turns.endpointing.silenceMs.",
    )
    transcript_timeout_ms: Positive = Field(
        default=180_000, description="For the answer to a `continue`."
    )
    ring_timeout_ms: Positive = 30_000
    max_concurrent_calls: Positive = Field(
        default=1, description="Calls that we place."
    )
    max_inbound_calls: AtLeastZero = Field(
        default=16,
        description="As many as embedded speech can serve on a small machine.",
    )
    stale_call_reaper_seconds: AtLeastZero = Field(
        default=120,
        description="For a call that nobody answers or ends; 0 switches it off.",
    )
    dead_air_seconds: Annotated[float, Field(ge=0)] = Field(
        default=2.0,
        description="Silence of a working agent before it says 'one moment'; callers "
        "ask 'hello?' after about three seconds. 0 switches it off.",
    )
    drain_seconds: AtLeastZero = Field(
        default=30,
        description="How long a stopping Gateway lets calls go on; as long as service "
        "managers usually wait before they kill.",
    )

    serve: Serve = Serve()
    public_url: WebUrl | None = Field(
        default=None, description="The full public webhook URL; wins over tunnels."
    )
    tunnel: Tunnel = Tunnel()
    tailscale: Tailscale = Tailscale()
    webhook_security: WebhookSecurity = WebhookSecurity()
    skip_signature_verification: bool = Field(
        default=False, description="For tests on one machine only."
    )

    streaming: Streaming = Streaming()
    language: Text = Field(default="en-US", description="BCP 47 tag of calls.")
    speech: Speech = Speech()
    turns: Turns = Turns()
    tts: TtsConfig | None = Field(
        default=None, description="Laid over the core's messages.tts."
    )
    stt: Stt = Stt()
    realtime: Realtime = Realtime()

    response_model: Text | None = Field(
        default=None, description="provider/model; None for the agent's own."
    )
    response_system_prompt: str | None = None
    response_timeout_ms: Positive = 30_000

    store: Annotated[Path, BeforeValidator(_folder)] = Field(
        description="Folder of the journal."
    )
    recording: Recording = Recording()

    reports: FreeObject | None = None
    live: FreeObject | None = None
    callbacks: FreeObject | None = None
    voicemail: FreeObject | None = None

    _warnings: tuple[str, ...] = PrivateAttr(default=())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was understood, but should be written differently or has no effect."""
        return self._warnings

    @property
    def journal_path(self) -> Path:
        """Where the journal lives."""
        return self.store / "calls.sqlite3"


def load_config(
    raw: Mapping[str, Any], *, environ: Mapping[str, str], key_path: str = KEY_PATH
) -> VoiceCallConfig:
    """Read the plugin's configuration.

    A value in the file wins over the environment. Environment variables are looked at
    for the chosen carrier, tunnel and engine only.

    Args:
        raw: The JSON object of the plugin.
        environ: The process environment.
        key_path: Where that object lives in the file, for messages.

    Raises:
        ConfigProblems: Something is wrong; tells everything that is, with paths.
    """
    values, warnings, problems = complete(raw, environ=environ, key_path=key_path)
    try:
        config = VoiceCallConfig.model_validate(values)
    except ValidationError as error:
        problems += find_problems(error, VoiceCallConfig, key_path=key_path)
    else:
        if not problems:
            config._warnings = (*warnings, *_warnings_about(config))  # noqa: SLF001
            return config
    raise ConfigProblems(problems)


def resolve_tts(
    core: Mapping[str, Any] | None,
    override: TtsConfig | None,
    *,
    key_path: str = "messages.tts",
) -> TtsConfig:
    """Return the speech settings that hold: the plugin's laid over the core's.

    Keys of the core that we do not know are none of our business and are left out.

    Raises:
        ConfigProblems: A known key of the core has a wrong value.
    """
    known = {field.alias for field in TtsConfig.model_fields.values()}
    ours = {key: value for key, value in (core or {}).items() if key in known}
    try:
        merged = merge_tts(ours, override.as_override() if override else {})
        return TtsConfig.model_validate(merged)
    except ValidationError as error:
        problems = find_problems(error, TtsConfig, key_path=key_path)
    except ValueError as error:
        problems = [Problem(key_path=key_path, message=str(error))]
    raise ConfigProblems(problems)


def _warnings_about(config: VoiceCallConfig) -> list[str]:
    warnings = []
    if config.skip_signature_verification:
        warnings.append(
            "SECURITY: skipSignatureVerification lets anybody send webhooks; use it for "
            "tests on one machine only."
        )
    security = config.webhook_security
    if security.trust_forwarding_headers and not security.trusted_proxy_ips:
        warnings.append(
            "SECURITY: webhookSecurity.trustForwardingHeaders lets every peer say what "
            "the public host is; name your proxies in webhookSecurity.trustedProxyIPs."
        )
    if config.inbound_policy == "pairing":
        warnings.append("inboundPolicy: 'pairing' behaves as 'allowlist'.")
    if config.inbound_policy in ("allowlist", "pairing") and not config.allow_from:
        warnings.append("allowFrom is empty: every inbound call is refused.")
    warnings += [
        f"{name} is read, but has no effect in this version."
        for name in ("reports", "live", "callbacks", "voicemail")
        if getattr(config, name) is not None
    ]
    if config.realtime.enabled:
        warnings.append("realtime is read, but calls use `streaming` instead.")
    return warnings
