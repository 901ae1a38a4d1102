"""Which URL the carrier called, rebuilt from what arrived.

PURE. Carriers sign the public URL, and a proxy or tunnel hides it from us. Where
`publicUrl` is set it decides scheme, host, port and path, and only the query is the
request's; no header can change that. Without it, forwarding headers count only where
the settings let the peer use them, and the `Host` header is next.

Carriers differ in whether they sign the port, and proxies in whether they keep a slash
at the end of the path. So there are several candidates, most likely first; a signature
that holds for one of them is genuine, because all name the same place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import urlsplit

from voice_call.exposure.proxies import ProxyRules

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ArrivedRequest", "Host", "UrlRules", "candidate_urls", "parse_host"]

Scheme = Literal["http", "https"]

_DEFAULT_PORTS: dict[str, int] = {"https": 443, "http": 80}
_HOST_HEADERS = ("x-forwarded-host", "x-original-host", "ngrok-forwarded-host")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PORT = re.compile(r"[0-9]{1,5}")
_MAX_NAME = 253
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlRules:
    """What may decide the public URL.

    Attributes:
        public_url: The full public webhook URL, or None where it is not known.
        allowed_hosts: Host names that headers may name, lower case; empty for any.
        proxies: Whose forwarding headers count.
    """

    public_url: str | None = None
    allowed_hosts: frozenset[str] = frozenset()
    proxies: ProxyRules = field(default_factory=ProxyRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivedRequest:
    """What a request shows of its URL.

    Attributes:
        peer: Address of the other end of the socket.
        local: Our end of the socket as `host:port`, with brackets around IPv6.
        path: As on the wire, still percent-encoded.
        query: As on the wire, without the question mark.
        headers: Names in lower case.
    """

    peer: str
    local: str
    path: str
    query: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host as a URL names it.

    Attributes:
        name: Lower case; IPv6 in brackets.
        port: None where none is named.
    """

    name: str
    port: int | None = None


def parse_host(text: str) -> Host | None:
    """Return a host and its port, None where it cannot be one (RFC 1123, RFC 3986).

    User information (`user@host`) is refused: it can make a URL look like another's.
    """
    text = text.strip().lower()
    if text.startswith("["):
        literal, bracket, rest = text[1:].partition("]")
        if not bracket or not _is_ipv6(literal):
            return None
        name = f"[{literal}]"
    else:
        name, colon, digits = text.partition(":")
        rest = colon + digits
        if not _is_name(name):
            return None
    if not rest:
        return Host(name=name)
    port = rest.removeprefix(":")
    is_port = rest.startswith(":") and _PORT.fullmatch(port) is not None
    if not is_port or not 0 < int(port) <= _MAX_PORT:
        return None
    return Host(name=name, port=int(port))


def candidate_urls(rules: UrlRules, request: ArrivedRequest) -> tuple[str, ...]:
    """Return the URLs that the carrier may have signed, most likely first."""
    if rules.public_url is not None:
        bases = _public_bases(rules.public_url, request.path)
    else:
        bases = [base + request.path for base in _named_origins(rules, request)]
    query = f"?{request.query}" if request.query else ""
    return tuple(dict.fromkeys(base + query for base in bases))


# -- with publicUrl --------------------------------------------------------------------


def _public_bases(public_url: str, request_path: str) -> list[str]:
    parts = urlsplit(public_url)
    scheme = cast("Scheme", parts.scheme.lower())
    origins = _spelled_origins(scheme, parts.netloc)
    paths = [parts.path or "/"]
    if paths == ["/"]:
        paths.append(request_path)  # only the origin was configured
    elif parts.path.endswith("/") != request_path.endswith("/"):
        paths.append(_toggle_slash(parts.path))
    return [origin + path for path in paths for origin in origins]


def _spelled_origins(scheme: Scheme, netloc: str) -> list[str]:
    """Return a configured origin as written, then as carriers may rewrite it."""
    host = parse_host(netloc)
    if host is None:  # a name beyond RFC 1123, with an underscore for example
        return [f"{scheme}://{netloc}"]
    return [f"{scheme}://{netloc}", *_origins(scheme, host)]


def _toggle_slash(path: str) -> str:
    return path[:-1] if path.endswith("/") else f"{path}/"


# -- without ---------------------------------------------------------------------------


def _named_origins(rules: UrlRules, request: ArrivedRequest) -> list[str]:
    is_trusted = rules.proxies.may_name_host(request.peer)
    host = _forwarded_host(rules, request.headers) if is_trusted else None
    if host is None:
        host = _allowed(rules, request.headers.get("host", ""))
    if host is None:
        host = parse_host(request.local)
    if host is None:
        return [f"http://{request.local}"]
    schemes: tuple[Scheme, ...] = ("https", "http")
    if is_trusted:
        schemes = (_forwarded_scheme(request.headers),)
    return [origin for scheme in schemes for origin in _origins(scheme, host)]


def _forwarded_host(rules: UrlRules, headers: Mapping[str, str]) -> Host | None:
    for name in _HOST_HEADERS:
        first = headers.get(name, "").partition(",")[0]
        if (host := _allowed(rules, first)) is not None:
            return host
    return None


def _allowed(rules: UrlRules, text: str) -> Host | None:
    host = parse_host(text)
    if host is None or (rules.allowed_hosts and host.name not in rules.allowed_hosts):
        return None
    return host


def _forwarded_scheme(headers: Mapping[str, str]) -> Scheme:
    """Return what a trusted proxy says, https where it says nothing or nonsense."""
    said = headers.get("x-forwarded-proto", "").strip().lower()
    return "http" if said == "http" else "https"


# -- both ------------------------------------------------------------------------------


def _origins(scheme: Scheme, host: Host) -> list[str]:
    """Return the origin as named, then without its port or with the scheme's own."""
    bare = f"{scheme}://{host.name}"
    if host.port is None:
        return [bare, f"{bare}:{_DEFAULT_PORTS[scheme]}"]
    return [f"{bare}:{host.port}", bare]


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text


def _is_name(text: str) -> bool:
    labels = text.split(".")
    return len(text) <= _MAX_NAME and all(map(_LABEL.fullmatch, labels))
