"""The way from a public URL to a local address. PURE.

Webhooks are signed for the public URL and delivered to the local one, as behind a
tunnel or a proxy.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Iterable
    from urllib.parse import SplitResult

__all__ = ["Hop", "NoRoute", "Tunnel", "find_hop"]

_PLAIN = {"https": "http", "wss": "ws", "http": "http", "ws": "ws"}


class NoRoute(ValueError):
    """Raised for a public URL that leads nowhere on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """A public base URL and the local base URL behind it.

    Attributes:
        public: For example `https://agent.example.com`, or with a path in front of
            which it stands; `wss://` is taken for the same.
        local: For example `http://127.0.0.1:3334`.
        keeps_host: The `Host` header names the public host, as ngrok does; else the
            local one, as many proxies do.
        forwards: Adds `X-Forwarded-Proto`, `-Host` and `-For`.
    """

    public: str
    local: str
    keeps_host: bool = True
    forwards: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """Where a request goes and what the tunnel adds to it."""

    url: str
    headers: dict[str, str]


def find_hop(url: str, tunnels: Iterable[Tunnel]) -> Hop:
    """Find the local URL of a public one; the longest public base wins.

    A loopback URL that no tunnel names is its own local URL.

    Raises:
        NoRoute: It is neither behind a tunnel nor on this machine.
    """
    parts = urlsplit(url)
    for tunnel in sorted(tunnels, key=lambda tunnel: -len(tunnel.public)):
        public, local = urlsplit(tunnel.public), urlsplit(tunnel.local)
        base = public.path.rstrip("/")
        if _origin(public) != _origin(parts) or not _is_under(parts.path, base):
            continue
        path = local.path.rstrip("/") + parts.path[len(base) :] or "/"
        target = (_PLAIN[parts.scheme], local.netloc, path, parts.query, "")
        host = parts.netloc if tunnel.keeps_host else local.netloc
        headers = {"Host": host}
        if tunnel.forwards:
            headers["X-Forwarded-Proto"] = _secure(parts.scheme)
            headers["X-Forwarded-Host"] = parts.netloc
            headers["X-Forwarded-For"] = "203.0.113.7"
        return Hop(url=urlunsplit(target), headers=headers)
    if not _is_loopback(parts.hostname or ""):
        raise NoRoute(f"no tunnel leads to {parts.hostname}")
    scheme = _PLAIN.get(parts.scheme, "http")
    direct = (scheme, parts.netloc, parts.path or "/", parts.query, "")
    return Hop(url=urlunsplit(direct), headers={})


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    scheme = _secure(parts.scheme)
    port = parts.port or (443 if scheme == "https" else 80)
    return scheme, (parts.hostname or "").lower(), port


def _secure(scheme: str) -> str:
    return {"wss": "https", "ws": "http"}.get(scheme, scheme)


def _is_under(path: str, base: str) -> bool:
    return not base or path == base or path.startswith(base + "/")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
