"""The carrier `twilio`.

`signatures`, `webhooks`, `twiml`, `voices` and `streams` are pure; `call_control` talks to
the REST API. `make_carrier` is the door.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_call.carriers.base import Capabilities, Carrier
from voice_call.carriers.twilio.call_control import (
    REGION_ORIGINS,
    TwilioAccount,
    TwilioCallControl,
)
from voice_call.carriers.twilio.streams import TwilioStreams
from voice_call.carriers.twilio.webhooks import TwilioWebhooks
from voice_call.errors import ConfigError

if TYPE_CHECKING:
    import httpx

__all__ = [
    "REGION_ORIGINS",
    "TwilioAccount",
    "TwilioCallControl",
    "TwilioStreams",
    "TwilioWebhooks",
    "make_carrier",
]


def make_carrier(
    *,
    account_sid: str,
    auth_token: str,
    region: str = "us1",
    api_base_url: str | None = None,
    webhook_url: str | None = None,
    has_streams: bool = True,
    voice: str | None = None,
    language: str = "en-US",
    transport: httpx.AsyncBaseTransport | None = None,
) -> Carrier:
    """Return Twilio as the runtime sees it.

    Args:
        account_sid: The account's SID.
        auth_token: Its primary auth token; it signs webhooks too.
        region: `us1`, `ie1` or `au1`, the region that the credentials belong to.
        api_base_url: Origin of the REST API in place of the region's own.
        webhook_url: The public webhook URL, where it is known already.
        has_streams: True where conversations use media streams. Without them Twilio
            speaks, understands and sends digits by itself.
        voice: Name of Twilio's own voice.
        language: Its language, BCP 47.
        transport: A peer in the process instead of the network.

    Raises:
        ConfigError: The region or the account's SID is not one.
    """
    origin = api_base_url or REGION_ORIGINS.get(region)
    if origin is None:
        raise ConfigError(
            f"choose one of {', '.join(REGION_ORIGINS)}.",
            key_path="plugins.entries.voice-call.config.twilio.region",
        )
    account = TwilioAccount(
        sid=account_sid,
        origin=origin.rstrip("/"),
        webhook_url=webhook_url,
        has_streams=has_streams,
        voice=voice,
        language=language,
    )
    webhooks = TwilioWebhooks(auth_token)
    return Carrier(
        name="twilio",
        capabilities=Capabilities(
            streams_audio=has_streams,
            marks_playout=has_streams,
            clears_playout=has_streams,
            speaks_text=True,
            recognises_speech=True,
            sends_digits=not has_streams,
            detects_machines=True,
            transfers=False,
            dial_is_idempotent=False,
        ),
        control=TwilioCallControl(account, auth_token=auth_token, transport=transport),
        webhooks=webhooks,
        streams=TwilioStreams() if has_streams else None,
        verify_upgrade=lambda url, headers: webhooks.verify_upgrade(
            url, headers.get("x-twilio-signature", "")
        ),
    )
