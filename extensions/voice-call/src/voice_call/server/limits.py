"""How much one client may ask at once.

PURE. Without a bound, one client's slow requests could hold all memory and sockets
while the carrier waits.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["InFlight", "RequestLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """What a request may use up before it has proved to be genuine.

    Attributes:
        body_bytes: Length of a body. Carriers' webhooks have a few hundred bytes;
            64 KiB leaves room for a long transcript.
        body_s: Seconds until a body is complete.
        per_client: Requests of one client at the same time.
        place_wait_s: Seconds that a request waits for one of these places. Behind a
            tunnel all webhooks come from one address, and a carrier whose webhook is
            refused gives its call up: a moment's crowd must pass.
        clients: Clients with requests at the same time.
        copy_wait_s: Seconds that a copy of a request waits for the first one. Carriers
            give up after 15 s.
    """

    body_bytes: int = 64 * 1024
    body_s: float = 5.0
    per_client: int = 8
    place_wait_s: float = 0.5
    clients: int = 4096
    copy_wait_s: float = 10.0


class InFlight:
    """Counts the requests that are being worked on, by client."""

    def __init__(self, limits: RequestLimits) -> None:
        self._limits = limits
        self._counts: dict[str, int] = {}

    def enter(self, client: str) -> bool:
        """Take a place; False where the client, or the table, is full.

        Whoever got a place must `leave`.
        """
        count = self._counts.get(client, 0)
        is_full = count >= self._limits.per_client
        if is_full or (not count and len(self._counts) >= self._limits.clients):
            return False
        self._counts[client] = count + 1
        return True

    def leave(self, client: str) -> None:
        """Give a place back."""
        self._counts[client] -= 1
        if not self._counts[client]:
            del self._counts[client]
