"""Whether a configuration that reads well is also enough to make calls with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_call.config.problems import Problem

if TYPE_CHECKING:
    from voice_call.config.root import VoiceCallConfig

__all__ = ["validate_provider"]


def validate_provider(
    config: VoiceCallConfig, *, key_path: str = "plugins.entries.voice-call.config"
) -> list[Problem]:
    """Return what is missing before the carrier can be used; empty if nothing is.

    A disabled plugin misses nothing.
    """
    if not config.enabled:
        return []
    missing = [*_missing_basics(config), *_missing_credentials(config)]
    problems = [
        Problem(
            key_path=f"{key_path}.{path}",
            message="is required" + (f" (or {variable})" if variable else ""),
        )
        for path, variable in missing
    ]
    return problems + [
        Problem(key_path=f"{key_path}.{path}", message=message)
        for path, message in _contradictions(config)
    ]


def _missing_basics(config: VoiceCallConfig) -> list[tuple[str, str]]:
    missing = []
    if config.provider is None:
        missing.append(("provider", ""))
    if config.from_number is None and config.provider != "mock":
        variable = "TWILIO_FROM_NUMBER" if config.provider == "twilio" else ""
        missing.append(("fromNumber", variable))
    return missing


def _missing_credentials(config: VoiceCallConfig) -> list[tuple[str, str]]:
    wanted: list[tuple[str, str, object]] = []
    match config.provider:
        case "twilio":
            wanted = [
                ("accountSid", "TWILIO_ACCOUNT_SID", config.twilio.account_sid),
                ("authToken", "TWILIO_AUTH_TOKEN", config.twilio.auth_token),
            ]
        case "telnyx":
            wanted = [
                ("apiKey", "TELNYX_API_KEY", config.telnyx.api_key),
                ("connectionId", "TELNYX_CONNECTION_ID", config.telnyx.connection_id),
            ]
            if not config.skip_signature_verification:  # unsigned webhooks, else
                key = config.telnyx.public_key
                wanted.append(("publicKey", "TELNYX_PUBLIC_KEY", key))
        case "plivo":
            wanted = [
                ("authId", "PLIVO_AUTH_ID", config.plivo.auth_id),
                ("authToken", "PLIVO_AUTH_TOKEN", config.plivo.auth_token),
            ]
        case _:
            pass
    return [
        (f"{config.provider}.{key}", variable)
        for key, variable, value in wanted
        if value is None
    ]


def _contradictions(config: VoiceCallConfig) -> list[tuple[str, str]]:
    if not config.realtime.enabled:
        return []
    found = []
    if config.inbound_policy == "disabled":
        found.append(("inboundPolicy", "must not be disabled with realtime.enabled"))
    if config.streaming.enabled:
        found.append(("realtime.enabled", "excludes streaming.enabled"))
    if config.provider == "plivo":
        found.append(("realtime.enabled", "is not possible with plivo"))
    return found
