"""Settings become what is served, or a refusal."""

from __future__ import annotations

from typing import Any

import pytest

from voice_call.config import load_config
from voice_call.errors import ConfigError
from voice_call.exposure.proxies import ProxyRules, parse_network
from voice_call.server.settings import ServerSettings, exposures, server_settings

TWILIO = {
    "provider": "twilio",
    "fromNumber": "+15550000000",
    "twilio": {"accountSid": "AC1", "authToken": "secret"},
}
PUBLIC = {"publicUrl": "https://phone.example.com/voice/webhook"}
NGROK = {"tunnel": {"provider": "ngrok"}}
ROOT = "plugins.entries.voice-call.config"


def settings(**raw: Any) -> ServerSettings | None:
    return server_settings(load_config(raw, environ={"OPENCLAW_STATE_DIR": "/state"}))


def served(**raw: Any) -> ServerSettings:
    found = settings(**raw)
    assert found is not None
    return found


def refusal(**raw: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        settings(**raw)
    return caught.value


# -- whether ---------------------------------------------------------------------------


def test_a_carrier_is_served_on_the_default_port() -> None:
    found = served(**TWILIO)
    assert (found.bind, found.port, found.path) == (
        "127.0.0.1",
        3334,
        "/voice/webhook",
    )


@pytest.mark.parametrize(
    "raw", [{}, {"provider": "mock"}, {"serve": {"path": "/x"}}, {"serve": {}}]
)
def test_the_mock_carrier_opens_no_port_by_itself(raw: dict[str, Any]) -> None:
    assert settings(**raw) is None


def test_the_mock_carrier_is_served_where_a_port_is_set() -> None:
    assert served(provider="mock", serve={"port": 3334}).port == 3334


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "192.0.2.1", "phone.example.com"])
def test_the_mock_carrier_is_served_to_this_machine_only(bind: str) -> None:
    fault = refusal(
        serve={"port": 3334, "bind": bind},
        webhookSecurity={"allowUnsignedPublic": True},
    )
    assert fault.key_path == f"{ROOT}.serve.bind"


# -- unsigned --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exposed", "key"),
    [
        (PUBLIC, "publicUrl"),
        (NGROK, "tunnel.provider"),
        ({"tunnel": {"provider": "tailscale-serve"}}, "tunnel.provider"),
        ({"tailscale": {"mode": "funnel"}}, "tailscale.mode"),
        ({"serve": {"bind": "0.0.0.0"}}, "serve.bind"),
        ({"serve": {"bind": "::"}}, "serve.bind"),
    ],
)
def test_unsigned_webhooks_are_not_served_to_others(
    exposed: dict[str, Any], key: str
) -> None:
    fault = refusal(**TWILIO, **exposed, skipSignatureVerification=True)
    assert fault.key_path == f"{ROOT}.skipSignatureVerification"
    assert key in str(fault)
    assert "webhookSecurity.allowUnsignedPublic" in str(fault)


def test_every_door_is_named() -> None:
    config = load_config(
        {**PUBLIC, **NGROK, "tailscale": {"mode": "serve"}, "serve": {"bind": "::"}},
        environ={"OPENCLAW_STATE_DIR": "/state"},
    )
    assert exposures(config) == [
        "publicUrl",
        "tunnel.provider",
        "tailscale.mode",
        "serve.bind",
    ]


def test_unsigned_webhooks_are_served_to_others_where_that_is_meant() -> None:
    found = served(
        **TWILIO,
        **PUBLIC,
        skipSignatureVerification=True,
        webhookSecurity={"allowUnsignedPublic": True},
    )
    assert found.skips_verification


def test_unsigned_webhooks_are_served_to_this_machine() -> None:
    assert served(**TWILIO, skipSignatureVerification=True).skips_verification


def test_signed_webhooks_are_served_to_everybody() -> None:
    assert not served(**TWILIO, **PUBLIC, serve={"bind": "::"}).skips_verification


# -- the public URL --------------------------------------------------------------------


def test_by_default_nobody_is_believed() -> None:
    assert served(**TWILIO).urls.proxies == ProxyRules()


def test_the_public_url_is_taken_over() -> None:
    found = served(**TWILIO, **PUBLIC)
    assert found.urls.public_url == "https://phone.example.com/voice/webhook"


def test_proxies_and_hosts_are_read() -> None:
    found = served(
        **TWILIO,
        webhookSecurity={
            "allowedHosts": ["Phone.Example.com", "[::1]:8443"],
            "trustedProxyIPs": ["10.0.0.0/8", "::ffff:127.0.0.1"],
        },
    )
    assert found.urls.allowed_hosts == {"phone.example.com", "[::1]"}
    assert found.urls.proxies == ProxyRules(
        networks=(parse_network("10.0.0.0/8"), parse_network("127.0.0.1")),
        trusts_headers=True,
    )


def test_forwarding_headers_can_be_trusted_without_a_list_of_hosts() -> None:
    found = served(**TWILIO, webhookSecurity={"trustForwardingHeaders": True})
    assert found.urls.proxies.trusts_headers


@pytest.mark.parametrize(
    ("security", "path"),
    [
        ({"trustedProxyIPs": ["::1", "proxy"]}, "trustedProxyIPs[1]"),
        ({"allowedHosts": ["a.example", "https://b"]}, "allowedHosts[1]"),
    ],
)
def test_what_is_no_proxy_or_host_is_named(security: dict[str, Any], path: str) -> None:
    fault = refusal(**TWILIO, webhookSecurity=security)
    assert fault.key_path == f"{ROOT}.webhookSecurity.{path}"


@pytest.mark.parametrize(
    ("tunnel", "bind", "is_trusted"),
    [
        ({"provider": "ngrok"}, "127.0.0.1", True),
        ({"provider": "ngrok"}, "[::1]", True),
        ({"provider": "ngrok"}, "0.0.0.0", False),
        ({"provider": "tailscale-serve"}, "127.0.0.1", False),
        ({}, "127.0.0.1", False),
    ],
)
def test_the_ngrok_flag_lets_only_ngrok_beside_us_name_the_host(
    *, tunnel: dict[str, Any], bind: str, is_trusted: bool
) -> None:
    found = served(
        **TWILIO,
        serve={"bind": bind},
        tunnel={**tunnel, "allowNgrokFreeTierLoopbackBypass": True},
    )
    assert found.urls.proxies.trusts_loopback is is_trusted
    assert not found.skips_verification
