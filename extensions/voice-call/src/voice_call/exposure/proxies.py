"""Which peers may speak for others, and who the others are.

PURE. An IPv4 address that an IPv6 socket shows as `::ffff:192.0.2.1` is the same
address, so every address is unmapped before it is compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ProxyRules", "is_loopback_bind", "parse_network"]

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def parse_network(text: str) -> Network:
    """Return an address or a CIDR range, such as `10.0.0.0/8`, `::1` or `[::1]`.

    Raises:
        ValueError: It is neither.
    """
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].replace("]", "", 1)
    network = ip_network(bare, strict=False)
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_PREFIX:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ip_network(f"{mapped}/{network.prefixlen - _MAPPED_PREFIX}")
    return network


_MAPPED_PREFIX = 96
"""Length of `::ffff:0:0/96`, which holds all of IPv4."""


def parse_address(text: str) -> Address | None:
    """Return an address, unmapped; None where it is not one.

    A port behind it is dropped: `192.0.2.1:5060`, `[2001:db8::1]:5060`.
    """
    bare = text.strip().strip('"')
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare.partition("%")[0])  # a zone names our interface
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_loopback_bind(host: str) -> bool:
    """Say whether a listener on `host` can be reached from this machine only."""
    if host.strip().lower() == "localhost":
        return True
    address = parse_address(host)
    return address is not None and address.is_loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyRules:
    """Whose forwarding headers count.

    Attributes:
        networks: The proxies that are known by address; empty if none are.
        trusts_headers: Forwarding headers may say what the public host is. With
            `networks` only those of the proxies listed, else those of every peer.
        trusts_loopback: Those of peers on this machine count in any case, for a
            tunnel's agent that runs beside us.
    """

    networks: tuple[Network, ...] = ()
    trusts_headers: bool = False
    trusts_loopback: bool = False

    def may_name_host(self, peer: str) -> bool:
        """Say whether a peer's headers may tell the public scheme and host."""
        return self._may_name_host(parse_address(peer))

    def client_of(self, peer: str, forwarded_for: Sequence[str]) -> str:
        """Return whose request it is, for limits: an address, or the peer as it is.

        Proxies add the address that they saw at the right end, so from there on the
        first one that is no proxy of ours is the client; what stands left of it is the
        client's own claim. An IPv6 client counts by its /64, all of which is one
        subscriber's.

        Args:
            peer: Who the socket is connected to.
            forwarded_for: The values of all `X-Forwarded-For` lines, in order.
        """
        client = parse_address(peer)
        if client is None:
            return peer
        if self._is_listed(client) or self._may_name_host(client):
            for claim in reversed(",".join(forwarded_for).split(",")):
                address = parse_address(claim)
                if address is None:
                    break
                client = address
                if not self._is_listed(address):
                    break
        if isinstance(client, IPv6Address):
            return str(ip_network((client, _SUBSCRIBER_PREFIX), strict=False))
        return str(client)

    def _may_name_host(self, address: Address | None) -> bool:
        if self.trusts_loopback and address is not None and address.is_loopback:
            return True
        if not self.trusts_headers:
            return False
        return not self.networks or self._is_listed(address)

    def _is_listed(self, address: Address | None) -> bool:
        return address is not None and any(address in each for each in self.networks)


_SUBSCRIBER_PREFIX = 64
