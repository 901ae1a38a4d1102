"""Which URLs the carrier may have signed."""

from __future__ import annotations

import hashlib
import hmac
from itertools import product

import pytest

from voice_call.exposure.proxies import ProxyRules, parse_network
from voice_call.exposure.public_url import (
    ArrivedRequest,
    Host,
    UrlRules,
    candidate_urls,
    parse_host,
)

ROUTE = "/voice/webhook"


def arrived(path: str = ROUTE, query: str = "", **headers: str) -> ArrivedRequest:
    return ArrivedRequest(
        peer="127.0.0.1",
        local="127.0.0.1:3334",
        path=path,
        query=query,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def trusting(*proxies: str, hosts: tuple[str, ...] = (), url: str | None = None):
    return UrlRules(
        public_url=url,
        allowed_hosts=frozenset(hosts),
        proxies=ProxyRules(
            networks=tuple(map(parse_network, proxies)), trusts_headers=True
        ),
    )


# -- hosts -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "port"),
    [
        ("phone.example.com", "phone.example.com", None),
        ("Phone.Example.COM:8443", "phone.example.com", 8443),
        (" localhost ", "localhost", None),
        ("192.0.2.1:80", "192.0.2.1", 80),
        ("[::1]", "[::1]", None),
        ("[2001:DB8::1]:443", "[2001:db8::1]", 443),
        (f"{'a' * 63}.example", f"{'a' * 63}.example", None),
        ("a.b:65535", "a.b", 65535),
    ],
)
def test_hosts(text: str, name: str, port: int | None) -> None:
    assert parse_host(text) == Host(name=name, port=port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "user@example.com",
        "phone.example.com@evil.example",
        "phone_1.example.com",
        "-a.example",
        "a-.example",
        "a..example",
        ".example",
        "example.",
        f"{'a' * 64}.example",
        ".".join(["a" * 50] * 5) + ".x",
        "a b.example",
        "a/b",
        "example.com:",
        "example.com:0",
        "example.com:65536",
        "example.com:+80",
        "example.com:٨٠",
        "example.com:80:80",
        "::1",
        "[::1",
        "[::1]x",
        "[fe80::1%eth0]",
        "[example.com]",
        "bücher.example",
        "a\r\nb",
        "a\nb",
    ],
)
def test_what_is_no_host(text: str) -> None:
    assert parse_host(text) is None


# -- with publicUrl --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("public_url", "path", "query", "candidates"),
    [
        (
            "https://phone.example.com/voice/webhook",
            ROUTE,
            "",
            [
                "https://phone.example.com/voice/webhook",
                "https://phone.example.com:443/voice/webhook",
            ],
        ),
        (  # the query is the request's, also where the setting has one
            "https://phone.example.com/voice/webhook?old=1#part",
            ROUTE,
            "callId=abc",
            [
                "https://phone.example.com/voice/webhook?callId=abc",
                "https://phone.example.com:443/voice/webhook?callId=abc",
            ],
        ),
        (
            "https://phone.example.com:8443/voice/webhook",
            ROUTE,
            "",
            [
                "https://phone.example.com:8443/voice/webhook",
                "https://phone.example.com/voice/webhook",
            ],
        ),
        (  # a proxy that adds or strips a prefix is not seen by the carrier
            "https://phone.example.com/hooks/calls",
            ROUTE,
            "",
            [
                "https://phone.example.com/hooks/calls",
                "https://phone.example.com:443/hooks/calls",
            ],
        ),
        (
            "http://phone.example.com/voice/webhook",
            ROUTE,
            "",
            [
                "http://phone.example.com/voice/webhook",
                "http://phone.example.com:80/voice/webhook",
            ],
        ),
        (
            "https://[2001:db8::1]:8443/voice/webhook",
            ROUTE,
            "",
            [
                "https://[2001:db8::1]:8443/voice/webhook",
                "https://[2001:db8::1]/voice/webhook",
            ],
        ),
        (  # only the origin is known
            "https://phone.example.com",
            ROUTE,
            "",
            [
                "https://phone.example.com/",
                "https://phone.example.com:443/",
                "https://phone.example.com/voice/webhook",
                "https://phone.example.com:443/voice/webhook",
            ],
        ),
        (  # the carrier calls it with a slash, or a proxy drops the slash
            "https://phone.example.com/voice/webhook",
            f"{ROUTE}/",
            "",
            [
                "https://phone.example.com/voice/webhook",
                "https://phone.example.com:443/voice/webhook",
                "https://phone.example.com/voice/webhook/",
                "https://phone.example.com:443/voice/webhook/",
            ],
        ),
        (
            "https://phone.example.com/voice/webhook/",
            ROUTE,
            "",
            [
                "https://phone.example.com/voice/webhook/",
                "https://phone.example.com:443/voice/webhook/",
                "https://phone.example.com/voice/webhook",
                "https://phone.example.com:443/voice/webhook",
            ],
        ),
        (  # some carriers sign what was typed, some sign it in lower case
            "HTTPS://Phone.Example.com/Voice",
            ROUTE,
            "",
            [
                "https://Phone.Example.com/Voice",
                "https://phone.example.com/Voice",
                "https://phone.example.com:443/Voice",
            ],
        ),
        (
            "https://my_phone.example.com/voice/webhook",
            ROUTE,
            "",
            ["https://my_phone.example.com/voice/webhook"],
        ),
    ],
)
def test_public_url_decides(
    public_url: str, path: str, query: str, candidates: list[str]
) -> None:
    rules = UrlRules(public_url=public_url)
    assert list(candidate_urls(rules, arrived(path, query))) == candidates


def test_no_header_changes_what_public_url_decides() -> None:
    rules = trusting(url="https://phone.example.com/voice/webhook")
    plain = candidate_urls(rules, arrived())
    assert plain == candidate_urls(
        rules,
        arrived(
            host="evil.example",
            x_forwarded_host="evil.example",
            x_forwarded_proto="http",
            x_forwarded_port="1",
            x_forwarded_prefix="/evil",
            forwarded="host=evil.example;proto=http",
        ),
    )


# -- the whole matrix: port × path rewrite × upstream × slash --------------------------

PORTS = ("", ":443", ":8443")
PUBLIC_PATHS = (ROUTE, "/hooks/voice/webhook", "/webhook")
"""Kept as it is, with a prefix that the proxy strips, without one that it adds."""
UPSTREAMS = ("http", "https")
SLASHES = ("", "/")
KEY = b"a key for tests"
BODY = b"CallSid=CA1&CallStatus=ringing"
QUERY = "callId=abc"


def mac(url: str, body: bytes) -> bytes:
    return hmac.digest(KEY, url.encode() + b"\n" + body, hashlib.sha256)


def is_accepted(
    rules: UrlRules, request: ArrivedRequest, body: bytes, given: bytes
) -> bool:
    urls = candidate_urls(rules, request)
    return any(hmac.compare_digest(mac(url, body), given) for url in urls)


@pytest.mark.parametrize(
    ("configured", "signed", "path", "upstream", "public_slash", "local_slash"),
    list(product(PORTS, PORTS, PUBLIC_PATHS, UPSTREAMS, SLASHES, SLASHES)),
)
def test_correctly_signed_requests_are_accepted_and_no_other(
    *,
    configured: str,
    signed: str,
    path: str,
    upstream: str,
    public_slash: str,
    local_slash: str,
) -> None:
    public = f"{path}{public_slash}"
    rules = trusting(url=f"https://phone.example.com{configured}{public}")
    request = arrived(
        f"{ROUTE}{local_slash}",
        QUERY,
        host="127.0.0.1:3334",
        x_forwarded_proto=upstream,
    )
    url = f"https://phone.example.com{signed}{public}?{QUERY}"
    given = mac(url, BODY)
    # The port that is named may be left out; none may stand for the scheme's own.
    can_be_signed = {"": {"", ":443"}, ":443": {"", ":443"}, ":8443": {"", ":8443"}}
    assert is_accepted(rules, request, BODY, given) is (
        signed in can_be_signed[configured]
    )
    for position in range(len(url)):
        changed = url[:position] + chr(ord(url[position]) ^ 1) + url[position + 1 :]
        assert not is_accepted(rules, request, BODY, mac(changed, BODY))
    for position in range(len(BODY)):
        other = bytearray(BODY)
        other[position] ^= 1
        assert not is_accepted(rules, request, bytes(other), given)
    for position in range(len(given)):
        other = bytearray(given)
        other[position] ^= 1
        assert not is_accepted(rules, request, BODY, bytes(other))
    shorter = arrived(f"{ROUTE}{local_slash}", QUERY[:-1])
    assert not is_accepted(rules, shorter, BODY, given)


# -- without publicUrl -----------------------------------------------------------------

LOCAL = [
    "https://127.0.0.1:3334/voice/webhook",
    "https://127.0.0.1/voice/webhook",
    "http://127.0.0.1:3334/voice/webhook",
    "http://127.0.0.1/voice/webhook",
]


@pytest.mark.parametrize(
    "header",
    [
        {"x_forwarded_host": "evil.example"},
        {"x_original_host": "evil.example"},
        {"ngrok_forwarded_host": "evil.example"},
        {"x_forwarded_proto": "ftp"},
        {"forwarded": "host=evil.example"},
    ],
)
def test_by_default_no_forwarded_header_counts(header: dict[str, str]) -> None:
    request = arrived(host="127.0.0.1:3334", **header)
    assert list(candidate_urls(UrlRules(), request)) == LOCAL


@pytest.mark.parametrize("host", [{}, {"host": ""}, {"host": "user@evil.example"}])
def test_without_a_usable_host_header_our_own_address_is_taken(
    host: dict[str, str],
) -> None:
    assert list(candidate_urls(UrlRules(), arrived(**host))) == LOCAL


def test_our_own_address_may_be_nothing_a_url_can_name() -> None:
    request = ArrivedRequest(peer="", local="a_socket", path="/x", query="", headers={})
    assert candidate_urls(UrlRules(), request) == ("http://a_socket/x",)


def test_a_trusted_proxy_names_scheme_and_host() -> None:
    request = arrived(
        x_forwarded_host="phone.example.com, proxy.example", x_forwarded_proto="http"
    )
    assert candidate_urls(trusting("127.0.0.1"), request) == (
        "http://phone.example.com/voice/webhook",
        "http://phone.example.com:80/voice/webhook",
    )


@pytest.mark.parametrize(
    ("proto", "scheme"),
    [("https", "https"), ("HTTP ", "http"), ("ws", "https"), ("", "https")],
)
def test_the_scheme_is_https_unless_a_trusted_proxy_says_http(
    proto: str, scheme: str
) -> None:
    request = arrived(x_forwarded_host="a.example", x_forwarded_proto=proto)
    first = candidate_urls(trusting("127.0.0.1"), request)[0]
    assert first == f"{scheme}://a.example/voice/webhook"


def test_headers_from_another_peer_than_the_proxy_are_ignored() -> None:
    request = arrived(host="127.0.0.1:3334", x_forwarded_host="evil.example")
    assert list(candidate_urls(trusting("10.0.0.1"), request)) == LOCAL


def test_a_forwarded_host_must_be_an_allowed_one() -> None:
    rules = trusting(hosts=("phone.example.com",))
    good = arrived(x_forwarded_host="Phone.example.com:8443")
    assert candidate_urls(rules, good) == (
        "https://phone.example.com:8443/voice/webhook",
        "https://phone.example.com/voice/webhook",
    )
    evil = arrived(host="evil.example", x_forwarded_host="evil.example")
    assert not any("evil" in url for url in candidate_urls(rules, evil))


def test_the_first_header_with_an_allowed_host_counts() -> None:
    rules = trusting(hosts=("phone.example.com",))
    request = arrived(
        x_forwarded_host="evil.example", ngrok_forwarded_host="phone.example.com"
    )
    assert candidate_urls(rules, request)[0] == (
        "https://phone.example.com/voice/webhook"
    )


def test_the_host_header_must_be_an_allowed_one_too() -> None:
    rules = trusting("10.0.0.1", hosts=("phone.example.com",))
    good = candidate_urls(rules, arrived(host="phone.example.com"))
    assert good[0] == "https://phone.example.com/voice/webhook"
    assert list(candidate_urls(rules, arrived(host="evil.example"))) == LOCAL


def test_a_tunnel_beside_us_may_name_the_host() -> None:
    rules = UrlRules(proxies=ProxyRules(trusts_loopback=True))
    request = arrived(x_forwarded_host="abc.ngrok-free.app", x_forwarded_proto="https")
    assert candidate_urls(rules, request)[0] == (
        "https://abc.ngrok-free.app/voice/webhook"
    )


def test_an_escaped_path_stays_as_it_was_called() -> None:
    request = arrived("/voice/%C3%BC", "a=%20b&&c", host="a.example")
    assert candidate_urls(UrlRules(), request)[0] == (
        "https://a.example/voice/%C3%BC?a=%20b&&c"
    )
