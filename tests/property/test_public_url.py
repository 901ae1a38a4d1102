"""Whatever arrives: there is a URL, it is ours, and no stranger changes it."""

from __future__ import annotations

from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st

from voice_call.exposure.proxies import ProxyRules, parse_network
from voice_call.exposure.public_url import (
    ArrivedRequest,
    UrlRules,
    candidate_urls,
    parse_host,
)

HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "host",
            "x-forwarded-host",
            "x-original-host",
            "ngrok-forwarded-host",
            "x-forwarded-proto",
            "x-forwarded-for",
            "forwarded",
        ]
    ),
    st.one_of(
        st.text(max_size=40),
        st.sampled_from(["evil.example", "evil.example:1", "[::1]:2", "http", "a@b"]),
    ),
)
PEERS = st.one_of(st.ip_addresses().map(str), st.text(max_size=12))
PATHS = st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=12)


def arrive(peer: str, path: str, headers: dict[str, str]) -> ArrivedRequest:
    return ArrivedRequest(
        peer=peer, local="127.0.0.1:3334", path=f"/{path}", query="q=1", headers=headers
    )


@given(peer=PEERS, path=PATHS, headers=HEADERS)
def test_with_public_url_only_slash_and_query_are_the_requests(
    peer: str, path: str, headers: dict[str, str]
) -> None:
    rules = UrlRules(
        public_url="https://phone.example.com/in",
        proxies=ProxyRules(trusts_headers=True),
    )
    for url in candidate_urls(rules, arrive(peer, path, headers)):
        parts = urlsplit(url)
        assert (parts.scheme, parts.hostname) == ("https", "phone.example.com")
        assert parts.path in ("/in", "/in/")
        assert parts.query == "q=1"


@given(peer=PEERS, path=PATHS, headers=HEADERS)
def test_with_allowed_hosts_no_other_host_appears(
    peer: str, path: str, headers: dict[str, str]
) -> None:
    rules = UrlRules(
        allowed_hosts=frozenset({"phone.example.com"}),
        proxies=ProxyRules(networks=(parse_network("0.0.0.0/0"),), trusts_headers=True),
    )
    for url in candidate_urls(rules, arrive(peer, path, headers)):
        assert urlsplit(url).hostname in ("phone.example.com", "127.0.0.1")


@given(peer=PEERS, path=PATHS, headers=HEADERS)
def test_forwarding_headers_change_nothing_by_default(
    peer: str, path: str, headers: dict[str, str]
) -> None:
    only_host = {name: headers[name] for name in headers if name == "host"}
    assert candidate_urls(UrlRules(), arrive(peer, path, headers)) == candidate_urls(
        UrlRules(), arrive(peer, path, only_host)
    )


@given(st.text(max_size=300))
def test_a_host_means_the_same_in_a_url(text: str) -> None:
    host = parse_host(text)
    if host is None:
        return
    port = "" if host.port is None else f":{host.port}"
    parts = urlsplit(f"https://{host.name}{port}/path?query")
    assert parts.netloc == f"{host.name}{port}"
    assert parts.username is None
    assert parts.port == host.port
    assert parse_host(parts.netloc) == host


@given(peer=PEERS, forwarded=st.lists(st.one_of(PEERS, st.text(max_size=30))))
def test_a_stranger_cannot_choose_whose_request_it_is(
    peer: str, forwarded: list[str]
) -> None:
    rules = ProxyRules(networks=(parse_network("192.0.2.77"),))
    if peer != "192.0.2.77":
        assert rules.client_of(peer, forwarded) == rules.client_of(peer, [])
