"""The settings of the webhook server, and what must not be served at all.

PURE.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voice_call.errors import ConfigError
from voice_call.exposure.proxies import ProxyRules, is_loopback_bind, parse_network
from voice_call.exposure.public_url import UrlRules, parse_host
from voice_call.server.limits import RequestLimits

if TYPE_CHECKING:
    from voice_call.config import VoiceCallConfig
    from voice_call.config.sections import WebhookSecurity
    from voice_call.exposure.proxies import Network

__all__ = ["ServerSettings", "exposures", "server_settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How webhooks are served.

    Attributes:
        bind: Address to listen on.
        port: Port to listen on; 0 lets the system choose.
        path: Where webhooks are sent to.
        key_path: Where these settings live in the configuration, for messages.
        urls: What decides the public URL.
        skips_verification: Take every webhook for genuine.
        limits: What a request may use up.
    """

    bind: str = "127.0.0.1"
    port: int = 3334
    path: str = "/voice/webhook"
    key_path: str = "serve"
    urls: UrlRules = field(default_factory=UrlRules)
    skips_verification: bool = False
    limits: RequestLimits = field(default_factory=RequestLimits)


def server_settings(
    config: VoiceCallConfig, *, key_path: str = "plugins.entries.voice-call.config"
) -> ServerSettings | None:
    """Return how webhooks are served, None where nothing is to be served.

    The mock carrier works within the process. Its webhooks are for tests, so they are
    served only where `serve.port` is set.

    Raises:
        ConfigError: Unsigned webhooks would be open to others than this machine, or a
            proxy or host is not one.
    """
    is_mock = config.provider in (None, "mock")
    if is_mock and "port" not in config.serve.model_fields_set:
        return None
    if is_mock and not is_loopback_bind(config.serve.bind):
        raise ConfigError(
            "the mock carrier signs nothing, so it is served on 127.0.0.1 only.",
            key_path=f"{key_path}.serve.bind",
        )
    _check_unsigned(config, key_path)
    return ServerSettings(
        bind=config.serve.bind,
        port=config.serve.port,
        path=config.serve.path,
        key_path=f"{key_path}.serve",
        urls=_url_rules(config, key_path),
        skips_verification=config.skip_signature_verification,
    )


def exposures(config: VoiceCallConfig) -> list[str]:
    """Return the keys of all settings through which others can reach the server."""
    found = {
        "publicUrl": config.public_url is not None,
        "tunnel.provider": config.tunnel.provider != "none",
        "tailscale.mode": config.tailscale.mode != "off",
        "serve.bind": not is_loopback_bind(config.serve.bind),
    }
    return [key for key, is_open in found.items() if is_open]


def _check_unsigned(config: VoiceCallConfig, key_path: str) -> None:
    is_allowed = config.webhook_security.allow_unsigned_public
    if not config.skip_signature_verification or is_allowed:
        return
    if doors := exposures(config):
        raise ConfigError(
            f"with {' and '.join(doors)} set, anybody could forge webhooks; remove it, "
            "or set webhookSecurity.allowUnsignedPublic to true if that is meant.",
            key_path=f"{key_path}.skipSignatureVerification",
        )


def _url_rules(config: VoiceCallConfig, key_path: str) -> UrlRules:
    security = config.webhook_security
    is_loopback_tunnel = (
        config.tunnel.allow_ngrok_free_tier_loopback_bypass
        and config.tunnel.provider == "ngrok"
        and is_loopback_bind(config.serve.bind)
    )
    section = f"{key_path}.webhookSecurity"
    hosts = _allowed_hosts(security, section)
    return UrlRules(
        public_url=config.public_url,
        allowed_hosts=hosts,
        proxies=ProxyRules(
            networks=tuple(
                _network(text, key_path=f"{section}.trustedProxyIPs[{position}]")
                for position, text in enumerate(security.trusted_proxy_ips)
            ),
            trusts_headers=bool(hosts) or security.trust_forwarding_headers,
            trusts_loopback=is_loopback_tunnel,
        ),
    )


def _allowed_hosts(security: WebhookSecurity, section: str) -> frozenset[str]:
    names = set()
    for position, text in enumerate(security.allowed_hosts):
        host = parse_host(text)
        if host is None:
            raise ConfigError(
                "expected a host name such as phone.example.com",
                key_path=f"{section}.allowedHosts[{position}]",
            )
        names.add(host.name)
    return frozenset(names)


def _network(text: str, *, key_path: str) -> Network:
    try:
        return parse_network(text)
    except ValueError:
        raise ConfigError(
            "expected an address or a range such as 10.0.0.0/8", key_path=key_path
        ) from None
