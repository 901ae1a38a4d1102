"""Who may connect, and what they may do there (PURE).

A client proves itself with the shared token or password, compared in constant time.
Wrong guesses are counted per address. An address beyond this machine that guesses too
often is refused without looking at its guess. On loopback all clients share one address,
so there a right token always passes and only wrong ones wait: nobody on the machine can
lock its owner out.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from openclaw_gateway.rpc.frames import INVALID_REQUEST, ErrorShape

if TYPE_CHECKING:
    from collections.abc import Collection

    from openclaw_gateway.rpc.frames import Credentials

__all__ = [
    "ADMIN",
    "READ",
    "WRITE",
    "AuthPolicy",
    "FailureCounter",
    "Refusal",
    "is_loopback",
    "is_scope_granted",
]

READ = "operator.read"
WRITE = "operator.write"
ADMIN = "operator.admin"

_IMPLIED_BY = {READ: {READ, WRITE, ADMIN}, WRITE: {WRITE, ADMIN}, ADMIN: {ADMIN}}


def is_scope_granted(wanted: str, granted: Collection[str]) -> bool:
    """Say whether the granted scopes allow `wanted`: admin ⊃ write ⊃ read."""
    return not _IMPLIED_BY.get(wanted, {wanted, ADMIN}).isdisjoint(granted)


def is_loopback(address: str) -> bool:
    """Say whether an address belongs to this machine."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return (mapped or ip).is_loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a client may not connect.

    Attributes:
        error: What it is told.
        delay_s: How long it waits for the answer, in seconds.
    """

    error: ErrorShape
    delay_s: float = 0.0


class FailureCounter:
    """Counts wrong guesses per address within a sliding minute; bounded."""

    def __init__(
        self, *, limit: int = 10, window_s: float = 60.0, max_addresses: int = 4096
    ) -> None:
        self.limit = limit
        self.window_s = window_s
        self._max_addresses = max_addresses
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def record(self, address: str, *, now: float) -> None:
        """Count one wrong guess."""
        recent = self._recent(address, now)
        recent.append(now)
        self._failures[address] = recent[-self.limit :]
        self._failures.move_to_end(address)
        while len(self._failures) > self._max_addresses:
            self._failures.popitem(last=False)

    def retry_after_s(self, address: str, *, now: float) -> float:
        """Return seconds until the address may guess again; zero if it may now."""
        recent = self._recent(address, now)
        if len(recent) < self.limit:
            return 0.0
        return recent[0] + self.window_s - now

    def _recent(self, address: str, now: float) -> list[float]:
        since = now - self.window_s
        return [t for t in self._failures.get(address, ()) if t > since]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthPolicy:
    """Decides about one Gateway's clients.

    Attributes:
        mode: `token`, `password` or `none`.
        secret: What a client must know; not empty unless the mode is `none`.
        failures: The wrong guesses so far.
        loopback_delay_s: How long a wrong guess from this machine waits for its
            answer once there were too many.
    """

    mode: str
    secret: str = field(repr=False)
    failures: FailureCounter = field(default_factory=FailureCounter)
    loopback_delay_s: float = 1.0

    def check(
        self, presented: Credentials | None, *, address: str, now: float
    ) -> Refusal | None:
        """Return None if the client may connect, else why not."""
        if self.mode == "none":
            return None
        retry_after_s = self.failures.retry_after_s(address, now=now)
        if retry_after_s and not is_loopback(address):
            return _too_many(retry_after_s)
        guess = (presented and getattr(presented, self.mode)) or ""
        if hmac.compare_digest(guess.encode(errors="replace"), self.secret.encode()):
            return None
        if not guess:
            return _refuse(self.mode, "missing")
        self.failures.record(address, now=now)
        if retry_after_s:
            return _too_many(retry_after_s, delay_s=self.loopback_delay_s)
        return _refuse(self.mode, "mismatch")


def _refuse(mode: str, why: str) -> Refusal:
    return Refusal(
        error=ErrorShape(
            code=INVALID_REQUEST,
            message=f"unauthorized: gateway {mode} {why} (provide gateway auth {mode})",
            details={"code": f"AUTH_{mode.upper()}_{why.upper()}"},
        )
    )


def _too_many(retry_after_s: float, *, delay_s: float = 0.0) -> Refusal:
    return Refusal(
        error=ErrorShape(
            code=INVALID_REQUEST,
            message="unauthorized: too many failed attempts; try again later",
            details={"code": "AUTH_RATE_LIMITED"},
            retryable=True,
            retry_after_ms=int(retry_after_s * 1000),
        ),
        delay_s=delay_s,
    )
