"""Who may speak for whom, and whose request it is."""

from __future__ import annotations

import pytest

from voice_call.exposure.proxies import ProxyRules, is_loopback_bind, parse_network


def rules(*networks: str, headers: bool = False, loopback: bool = False) -> ProxyRules:
    return ProxyRules(
        networks=tuple(map(parse_network, networks)),
        trusts_headers=headers,
        trusts_loopback=loopback,
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("127.0.0.1", "127.0.0.1/32"),
        (" 10.1.2.3/8 ", "10.0.0.0/8"),
        ("::1", "::1/128"),
        ("[::1]", "::1/128"),
        ("[2001:db8::]/32", "2001:db8::/32"),
        ("::ffff:127.0.0.1", "127.0.0.1/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
    ],
)
def test_a_proxy_is_an_address_or_a_range(written: str, meant: str) -> None:
    assert str(parse_network(written)) == meant


@pytest.mark.parametrize("written", ["", "proxy", "10.0.0.0/33", "10.0.0"])
def test_anything_else_is_no_proxy(written: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear|invalid|Expected"):
        parse_network(written)


@pytest.mark.parametrize(
    ("peer", "is_trusted"),
    [
        ("127.0.0.1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:7f00:1", True),
        ("10.200.0.7", True),
        ("::ffff:10.200.0.7", True),
        ("127.0.0.2", False),
        ("11.0.0.1", False),
        ("::1", False),
        ("", False),
        ("unix", False),
    ],
)
def test_a_listed_proxy_may_name_the_host_and_nobody_else(
    *, peer: str, is_trusted: bool
) -> None:
    known = rules("127.0.0.1", "10.0.0.0/8", headers=True)
    assert known.may_name_host(peer) is is_trusted


def test_without_permission_for_headers_a_listed_proxy_names_no_host() -> None:
    assert rules("127.0.0.1").may_name_host("127.0.0.1") is False


def test_with_permission_and_no_list_every_peer_names_the_host() -> None:
    assert rules(headers=True).may_name_host("192.0.2.1") is True


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_a_tunnel_beside_us_names_the_host(peer: str) -> None:
    assert rules(loopback=True).may_name_host(peer) is True


def test_a_tunnel_beside_us_speaks_for_no_other_peer() -> None:
    assert rules(loopback=True).may_name_host("192.0.2.1") is False


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["192.0.2.1"], "192.0.2.1"),
        ("::ffff:127.0.0.1", ["192.0.2.1"], "192.0.2.1"),
        ("127.0.0.1", ["192.0.2.1:4711"], "192.0.2.1"),
        ("127.0.0.1", ["::ffff:192.0.2.1"], "192.0.2.1"),
        # What stands left of the first address that is no proxy is a claim.
        ("127.0.0.1", ["203.0.113.9, 192.0.2.1"], "192.0.2.1"),
        ("127.0.0.1", ["203.0.113.9, 192.0.2.1, 10.0.0.3"], "192.0.2.1"),
        ("127.0.0.1", ["203.0.113.9", "192.0.2.1"], "192.0.2.1"),
        ("127.0.0.1", ["203.0.113.9, nonsense"], "127.0.0.1"),
        ("127.0.0.1", ["nonsense, 10.0.0.3"], "10.0.0.3"),
        ("127.0.0.1", ["10.0.0.4, 10.0.0.3"], "10.0.0.4"),
        ("127.0.0.1", [""], "127.0.0.1"),
        # A stranger's claims count for nothing.
        ("203.0.113.9", ["192.0.2.1"], "203.0.113.9"),
        ("", ["192.0.2.1"], ""),
        # One subscriber has 2 ** 64 addresses.
        ("127.0.0.1", ["2001:db8::1"], "2001:db8::/64"),
        ("127.0.0.1", ["[2001:db8::2]:443"], "2001:db8::/64"),
        ("2001:db8:0:1::9", [], "2001:db8:0:1::/64"),
    ],
)
def test_whose_request_it_is(peer: str, forwarded: list[str], client: str) -> None:
    known = rules("127.0.0.1", "10.0.0.0/8")
    assert known.client_of(peer, forwarded) == client


def test_a_tunnel_beside_us_says_whose_request_it_is() -> None:
    assert rules(loopback=True).client_of("::1", ["192.0.2.1"]) == "192.0.2.1"


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("localhost", True),
        ("LocalHost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("phone.example.com", False),
        ("", False),
    ],
)
def test_binds_that_only_this_machine_can_reach(
    *, host: str, is_loopback: bool
) -> None:
    assert is_loopback_bind(host) is is_loopback
