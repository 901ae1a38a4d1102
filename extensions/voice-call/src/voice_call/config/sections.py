"""The sections of the configuration, except speech synthesis.

Defaults are OpenClaw's wherever its plugin has the key; the reason for each default of
ours stands in its description.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from voice_call.config.section import (
    AtLeastZero,
    FreeObject,
    Origin,
    Positive,
    Secret,
    Section,
    Text,
    Texts,
    UrlPath,
)
from voice_call.config.tts import TtsConfig  # noqa: TC001 - pydantic resolves it

__all__ = [
    "BargeIn",
    "Echo",
    "Endpointing",
    "NumberRoute",
    "Outbound",
    "Plivo",
    "Realtime",
    "RealtimeAgentContext",
    "RealtimeFastContext",
    "Recording",
    "Serve",
    "Speech",
    "Streaming",
    "Stt",
    "Tailscale",
    "Telnyx",
    "Tunnel",
    "Turns",
    "Twilio",
    "WebhookSecurity",
]

Port = Annotated[int, Field(ge=0, le=65_535)]
Share = Annotated[float, Field(ge=0, le=1)]
FUNNEL_PORTS = (443, 8443, 10_000)
"""The ports that Tailscale Funnel can open to the internet."""


# -- carriers --------------------------------------------------------------------------


class Twilio(Section):
    """Twilio's account."""

    account_sid: Text | None = Field(
        default=None, description="Else TWILIO_ACCOUNT_SID."
    )
    auth_token: Secret | None = Field(
        default=None, description="Else TWILIO_AUTH_TOKEN."
    )
    region: Literal["us1", "ie1", "au1"] = Field(
        default="us1",
        description="Where calls are handled; credentials belong to a region.",
    )
    api_base_url: Origin | None = Field(
        default=None, description="Origin of the REST API; None for the region's own."
    )


class Telnyx(Section):
    """Telnyx's account."""

    api_key: Secret | None = Field(default=None, description="Else TELNYX_API_KEY.")
    connection_id: Text | None = Field(
        default=None, description="Else TELNYX_CONNECTION_ID."
    )
    public_key: Text | None = Field(
        default=None,
        description="Ed25519 key that webhooks are signed with. Else TELNYX_PUBLIC_KEY.",
    )
    api_base_url: Origin | None = Field(
        default=None, description="Origin of the REST API."
    )


class Plivo(Section):
    """Plivo's account."""

    auth_id: Text | None = Field(default=None, description="Else PLIVO_AUTH_ID.")
    auth_token: Secret | None = Field(
        default=None, description="Else PLIVO_AUTH_TOKEN."
    )
    api_base_url: Origin | None = Field(
        default=None, description="Origin of the REST API."
    )


# -- calls -----------------------------------------------------------------------------


class Outbound(Section):
    """Calls that we place."""

    default_mode: Literal["notify", "conversation"] = "notify"
    notify_hangup_delay_sec: AtLeastZero = Field(
        default=3,
        description="From the last word of a one-shot message to the hang-up.",
    )


class NumberRoute(Section):
    """What is different for calls to one of our numbers; None keeps the general value."""

    inbound_greeting: str | None = None
    tts: TtsConfig | None = None
    agent_id: Text | None = None
    response_model: Text | None = None
    response_system_prompt: str | None = None
    response_timeout_ms: Positive | None = None


class Recording(Section):
    """Audio of calls on disk."""

    enabled: bool = Field(
        default=False,
        description="Off: recording needs the consent of everyone on the call in many "
        "places.",
    )
    path: Text | None = Field(
        default=None, description="Folder; None for one in `store`."
    )


# -- how the world reaches us ----------------------------------------------------------


class Serve(Section):
    """The webhook server."""

    port: Port = Field(default=3334, description="0 lets the system choose, for tests.")
    bind: Text = "127.0.0.1"
    path: UrlPath = "/voice/webhook"


class Tailscale(Section):
    """Exposure through Tailscale, the older way; `tunnel` does the same."""

    mode: Literal["off", "serve", "funnel"] = "off"
    path: UrlPath = "/voice/webhook"
    port: Annotated[int, Field(ge=1, le=65_535)] = 443

    @field_validator("port")
    @classmethod
    def _check_port(cls, port: int, info: ValidationInfo) -> int:
        if info.data.get("mode") == "funnel" and port not in FUNNEL_PORTS:
            raise ValueError("Funnel allows the ports 443, 8443 and 10000 only")
        return port


class Tunnel(Section):
    """A tunnel that gives us a public URL."""

    provider: Literal["none", "ngrok", "tailscale-serve", "tailscale-funnel"] = "none"
    ngrok_auth_token: Secret | None = Field(
        default=None, description="Else NGROK_AUTHTOKEN."
    )
    ngrok_domain: Text | None = Field(default=None, description="Else NGROK_DOMAIN.")
    allow_ngrok_free_tier_loopback_bypass: bool = Field(
        default=False,
        description="Lets headers that came over loopback rebuild the public URL. Never "
        "admits an invalid signature.",
    )


class WebhookSecurity(Section):
    """Which proxies may say what our public host is."""

    allowed_hosts: Texts = ()
    trust_forwarding_headers: bool = False
    trusted_proxy_ips: Texts = Field(default=(), alias="trustedProxyIPs")
    allow_unsigned_public: bool = Field(
        default=False,
        description="Lets skipSignatureVerification hold where others can reach the "
        "server; then anybody can forge webhooks.",
    )


class Streaming(Section):
    """Media streams: the audio of a call over a WebSocket."""

    enabled: bool = False
    stream_path: UrlPath = "/voice/stream"
    stt_provider: Literal["openai-realtime"] | None = Field(
        default=None, description="Older place of `speech.stt`."
    )
    provider: Text | None = Field(
        default=None, description="Newer place of `speech.stt`."
    )
    providers: dict[str, FreeObject] = Field(
        default_factory=dict, description="Settings of speech recognisers by name."
    )
    openai_api_key: Secret | None = Field(
        default=None, description="Else OPENAI_API_KEY."
    )
    stt_model: Text = "gpt-4o-transcribe"
    silence_duration_ms: Positive = Field(
        default=800, description="Silence that a cloud recogniser takes for an end."
    )
    vad_threshold: Share = Field(
        default=0.5,
        description="Probability of voice above which a cloud recogniser listens.",
    )
    pre_start_timeout_ms: Positive = Field(
        default=5000, description="For the first message on a fresh media socket."
    )
    max_pending_connections: Positive = 32
    max_pending_connections_per_ip: Positive = 4
    max_connections: Positive = 128


# -- speech and turns ------------------------------------------------------------------


class Speech(Section):
    """Which engines listen and speak."""

    tts: Text = Field(default="local", description="Needs no account and no network.")
    stt: Text = Field(default="local", description="Needs no account and no network.")
    vad: Text = Field(
        default="local", description="Voice activity; runs on this machine."
    )


class Stt(Section):
    """Recognition of recorded speech; read for compatibility only."""

    provider: Literal["openai"] = "openai"
    model: Text = "whisper-1"


class Endpointing(Section):
    """When the other side's turn counts as over."""

    silence_ms: Positive = Field(
        default=500,
        description="After ordinary words. Speakers pause for 200 to 400 ms within a "
        "sentence; half a second feels attentive.",
    )
    dangling_silence_ms: Positive = Field(
        default=1200,
        description="After words that want to go on ('and', 'my number is'), and inside "
        "a number: people look something up.",
    )
    closed_answer_silence_ms: Positive = Field(
        default=300,
        description="After an answer that is complete in itself ('no, thank you').",
    )


class BargeIn(Section):
    """When the other side interrupts the agent."""

    enabled: bool = Field(
        default=True, description="People interrupt; it is polite to stop."
    )
    min_duration_ms: AtLeastZero = Field(
        default=300,
        description="Shorter voice does nothing: a cough lasts 200 ms, the shortest "
        "'stop' about as long as this.",
    )
    min_words: AtLeastZero = Field(
        default=1, description="Backchannels aside; one is enough for 'stop'."
    )
    false_interruption_ms: Positive = Field(
        default=1500,
        description="Silence after which a paused agent goes on; twice the longest gap "
        "between two words of a hesitating speaker.",
    )
    backchannels: Texts | None = Field(
        default=None,
        description="What a listener says without wanting the floor; None for the list "
        "of the call's language ('mhm', 'okay', 'right').",
    )


class Echo(Section):
    """Telling the agent's own voice, come back over the line, from the other side's."""

    enabled: bool = Field(
        default=True, description="Loudspeakers are common on phones."
    )
    similarity: Share = Field(
        default=0.7,
        description="Share of words found in the agent's last sentences that makes an "
        "echo; recognisers mishear about a third of an echo's words.",
    )
    tail_ms: AtLeastZero = Field(
        default=1000,
        description="How long after its end the agent's speech may still come back: two "
        "network delays and a loudspeaker's reverberation.",
    )


class Turns(Section):
    """Who has the floor."""

    endpointing: Endpointing = Endpointing()
    barge_in: BargeIn = BargeIn()
    echo: Echo = Echo()


# -- speech-to-speech models -----------------------------------------------------------


class RealtimeFastContext(Section):
    """What a realtime model may look up quickly."""

    enabled: bool = False
    timeout_ms: Positive = 800
    max_results: Positive = 3
    sources: Texts = ("memory", "sessions")
    fallback_to_consult: bool = False


class RealtimeAgentContext(Section):
    """What a realtime model is told about the agent."""

    enabled: bool = False
    max_chars: Positive = 6000
    include_identity: bool = True
    include_workspace_files: bool = True
    files: Texts = ("SOUL.md", "IDENTITY.md", "USER.md")


class Realtime(Section):
    """Speech-to-speech models; read for compatibility, calls use `streaming` instead."""

    enabled: bool = False
    provider: Text | None = None
    stream_path: UrlPath | None = None
    idle_hangup_ms: Positive | None = None
    instructions: str | None = None
    tool_policy: Literal["safe-read-only", "owner", "none"] = "safe-read-only"
    consult_policy: Literal["auto", "substantive", "always"] = "auto"
    consult_thinking_level: Text | None = None
    consult_fast_mode: bool | None = None
    tools: list[FreeObject] = Field(default_factory=list)
    fast_context: RealtimeFastContext = RealtimeFastContext()
    agent_context: RealtimeAgentContext = RealtimeAgentContext()
    providers: dict[str, FreeObject] = Field(default_factory=dict)
