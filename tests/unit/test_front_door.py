"""Where a carrier reaches us, and what the door serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from voice_call.call.model import CallId
from voice_call.carriers.simulated import SimulatedNetwork
from voice_call.carriers.twilio import make_carrier
from voice_call.config import VoiceCallConfig, load_config
from voice_call.errors import ConfigError
from voice_call.exposure.public_url import ArrivedRequest
from voice_call.front_door import FrontDoor, public_webhook_url, stream_url
from voice_call.testing.clock import ManualClock
from voice_call.testing.twilio_network.signature import sign_upgrade

if TYPE_CHECKING:
    from pathlib import Path

    from voice_call.carriers.base import Carrier

HOOK = "https://phone.example.com/voice/webhook"
SOCKET = "wss://phone.example.com/voice/stream"
TOKEN = "not-a-secret"


def config_of(folder: Path, **raw: Any) -> VoiceCallConfig:
    settings = {"provider": "twilio", "publicUrl": HOOK, **raw}
    given = {key: value for key, value in settings.items() if value is not None}
    return load_config(given, environ={"OPENCLAW_STATE_DIR": str(folder)})


def twilio(*, has_streams: bool = True) -> Carrier:
    return make_carrier(
        account_sid="AC" + "0" * 32, auth_token=TOKEN, has_streams=has_streams
    )


def door_of(
    folder: Path, carrier: Carrier | None = None, **raw: Any
) -> tuple[FrontDoor, ManualClock]:
    clock = ManualClock()
    return FrontDoor(config_of(folder, **raw), carrier or twilio(), clock), clock


def arrival(**headers: str) -> ArrivedRequest:
    return ArrivedRequest(
        peer="127.0.0.1",
        local="127.0.0.1:3334",
        path="/voice/stream",
        query="",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


# -- URLs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("webhook", "url"),
    [
        (HOOK, SOCKET),
        ("http://127.0.0.1:3334/hook", "ws://127.0.0.1:3334/voice/stream"),
        (
            "https://phone.example.com:8443/a/b?c=d",
            "wss://phone.example.com:8443/voice/stream",
        ),
    ],
)
def test_the_media_socket_is_on_the_host_of_the_webhook(webhook: str, url: str):
    assert stream_url(webhook, "/voice/stream") == url


def test_the_mock_carrier_needs_no_url(tmp_path: Path):
    assert public_webhook_url(config_of(tmp_path, provider="mock")) is None
    assert public_webhook_url(config_of(tmp_path, provider=None)) is None


def test_a_real_carrier_is_given_the_public_url(tmp_path: Path):
    assert public_webhook_url(config_of(tmp_path)) == HOOK


def test_a_real_carrier_without_a_public_url_is_an_error(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"config\.publicUrl: twilio has to reach"):
        public_webhook_url(config_of(tmp_path, publicUrl=None))


# -- streams ---------------------------------------------------------------------------


def test_a_carrier_without_streams_has_no_door_for_them(tmp_path: Path):
    door, _ = door_of(tmp_path, twilio(has_streams=False))
    assert door.streams is None


def test_the_mock_carrier_s_streams_need_no_door(tmp_path: Path):
    carrier = SimulatedNetwork(ManualClock()).carrier
    door, _ = door_of(tmp_path, carrier, provider="mock")
    assert door.streams is None


def test_streams_are_opened_at_the_path_that_is_set(tmp_path: Path):
    door, _ = door_of(tmp_path, streaming={"streamPath": "/ears"})
    assert door.streams is not None
    assert door.streams.url == "wss://phone.example.com/ears"


def test_each_token_is_another_one_of_256_bits(tmp_path: Path):
    door, clock = door_of(tmp_path)
    assert door.streams is not None
    first = door.streams.issue(CallId("a"))
    second = door.streams.issue(CallId("b"))
    assert first != second
    assert len(first) == len(second) == 43
    assert door._tickets.redeem(first, now=clock.now()) == CallId("a")


def test_a_newer_token_of_a_call_makes_the_older_one_useless(tmp_path: Path):
    door, clock = door_of(tmp_path)
    assert door.streams is not None
    old = door.streams.issue(CallId("a"))
    door.streams.issue(CallId("a"))
    assert door._tickets.redeem(old, now=clock.now()) is None


# -- genuine sockets -------------------------------------------------------------------


def test_an_upgrade_is_genuine_with_the_carrier_s_signature(tmp_path: Path):
    door, _ = door_of(tmp_path)
    signature = sign_upgrade(SOCKET, auth_token=TOKEN)
    assert door._is_genuine(arrival(x_twilio_signature=signature))


@pytest.mark.parametrize(
    "signature",
    [
        {},
        {"x_twilio_signature": ""},
        {"x_twilio_signature": sign_upgrade(SOCKET, auth_token="another")},
        {"x_twilio_signature": sign_upgrade(SOCKET + "s", auth_token=TOKEN)},
    ],
    ids=["none", "empty", "other-secret", "other-url"],
)
def test_an_upgrade_without_it_is_not(tmp_path: Path, signature: dict[str, str]):
    door, _ = door_of(tmp_path)
    assert not door._is_genuine(arrival(**signature))


def test_without_a_stream_door_no_upgrade_is_genuine(tmp_path: Path):
    door, _ = door_of(tmp_path, twilio(has_streams=False))
    signature = sign_upgrade(SOCKET, auth_token=TOKEN)
    assert not door._is_genuine(arrival(x_twilio_signature=signature))


def test_upgrades_are_not_verified_where_nothing_is(tmp_path: Path):
    door, _ = door_of(
        tmp_path,
        skipSignatureVerification=True,
        webhookSecurity={"allowUnsignedPublic": True},
    )
    assert not door._verifies_upgrades


def test_upgrades_are_not_verified_where_the_carrier_signs_none(tmp_path: Path):
    carrier = SimulatedNetwork(ManualClock()).carrier
    door, _ = door_of(tmp_path, carrier, provider="mock")
    assert not door._verifies_upgrades


# -- what must not be served -----------------------------------------------------------


def test_unsigned_webhooks_on_a_public_url_are_not_served(tmp_path: Path):
    with pytest.raises(ConfigError, match="anybody could forge webhooks"):
        door_of(tmp_path, skipSignatureVerification=True)


@pytest.mark.anyio
async def test_a_door_that_has_nothing_to_serve_opens_and_closes(tmp_path: Path):
    carrier = SimulatedNetwork(ManualClock()).carrier
    door, _ = door_of(tmp_path, carrier, provider="mock")
    manager: Any = None  # nothing is asked of it
    door.claim(manager)
    await door.open()
    await door.close(1.0)
