"""Which media streams may be opened: one secret per call, good once, for a while.

PURE. A carrier hands our secret back when its stream starts. Whoever learns the id of a
call still cannot join its audio, and whoever learns the secret of a stream that has
started cannot open another one with it: a stream that comes back needs a new secret,
from a new answer of ours to the carrier.

Only digests are kept. A secret is found by its digest, and how long that takes says
nothing about the secret: nobody can choose a guess so that its digest is nearly right.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voice_call.call.model import CallId

__all__ = ["StreamTickets"]

TTL_S = 600.0
"""Longer than any callee lets it ring: the secret goes out with the dial."""
CAPACITY = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ticket:
    call_id: CallId
    digest: bytes
    expires_at: float


class StreamTickets:
    """The secrets that are out and have not been used.

    Args:
        ttl_s: How long a secret is good, in seconds.
        capacity: How many are kept; beyond that the oldest is forgotten early.
    """

    def __init__(self, *, ttl_s: float = TTL_S, capacity: int = CAPACITY) -> None:
        self._ttl_s = ttl_s
        self._capacity = capacity
        self._by_digest: OrderedDict[bytes, _Ticket] = OrderedDict()
        """Oldest first; all live equally long, so also the first to expire first."""
        self._by_call: dict[CallId, _Ticket] = {}

    def __len__(self) -> int:
        """Return how many secrets are kept."""
        return len(self._by_digest)

    def issue(self, call_id: CallId, *, token: str, now: float) -> None:
        """Let one stream of a call present `token`; an older one is good no more.

        Args:
            call_id: Whose stream.
            token: At least 128 bits of randomness, never used before.
            now: Seconds since 1970.
        """
        self.revoke(call_id)
        self._forget_expired(now)
        if len(self._by_digest) >= self._capacity:
            self._forget(next(iter(self._by_digest.values())))
        digest = _digest(token)
        if (twin := self._by_digest.get(digest)) is not None:
            self._forget(twin)
        ticket = _Ticket(call_id=call_id, digest=digest, expires_at=now + self._ttl_s)
        self._by_digest[ticket.digest] = ticket
        self._by_call[call_id] = ticket

    def redeem(self, token: str, *, now: float) -> CallId | None:
        """Use a secret up; return whose it was, None where it is not or no more good.

        Never raises, whatever a stranger sends.
        """
        digest = _digest(token)
        ticket = self._by_digest.get(digest)
        if ticket is None or not hmac.compare_digest(ticket.digest, digest):
            return None
        self._forget(ticket)
        return ticket.call_id if now < ticket.expires_at else None

    def revoke(self, call_id: CallId) -> None:
        """Make the secret of a call useless, because the call is over."""
        if (ticket := self._by_call.get(call_id)) is not None:
            self._forget(ticket)

    def _forget_expired(self, now: float) -> None:
        while self._by_digest:
            ticket = next(iter(self._by_digest.values()))
            if now < ticket.expires_at:
                return
            self._forget(ticket)

    def _forget(self, ticket: _Ticket) -> None:
        del self._by_digest[ticket.digest]
        del self._by_call[ticket.call_id]


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
