"""Sends webhooks: signed, in time, again where Twilio would, and spoiled on demand.

Source: Twilio's "Webhooks: connection overrides" page for the fragment, the pages of
errors 11200 and 11205 for the limits.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx

from voice_call.testing.twilio_network.records import (
    Attempt,
    WebhookDelivery,
    WebhookKind,
)
from voice_call.testing.twilio_network.signature import sign_webhook
from voice_call.testing.twilio_network.tunnel import Hop, NoRoute, find_hop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from voice_call.clock import Clock
    from voice_call.testing.twilio_network.faults import Faults, WebhookFault
    from voice_call.testing.twilio_network.tunnel import Tunnel

__all__ = ["Courier", "DeliveryRules"]

BAD_RESPONSE = 11200
NO_CONNECTION = 11205
BAD_HOST = 11210


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRules:
    """How long and how often a webhook is tried. Seconds.

    Attributes:
        retries: Further tries after the first.
        retry_on: `ct` no connection, `rt` no answer in time, `4xx`, `5xx`, `all`.
    """

    connect_s: float = 5.0
    read_s: float = 15.0
    total_s: float = 15.0
    retries: int = 1
    retry_on: frozenset[str] = frozenset({"ct"})

    @classmethod
    def from_fragment(cls, fragment: str) -> DeliveryRules:
        """Read `#ct=…&rt=…&tt=…&rc=…&rp=…`; what is out of range is drawn into it."""
        given = dict(parse_qsl(fragment))

        def number(name: str, default: int, low: int, high: int) -> int:
            text = given.get(name, "")
            return min(high, max(low, int(text))) if text.isdecimal() else default

        return cls(
            connect_s=number("ct", 5000, 100, 10_000) / 1000,
            read_s=number("rt", 15_000, 100, 15_000) / 1000,
            total_s=number("tt", 15_000, 100, 15_000) / 1000,
            retries=number("rc", 1, 0, 5),
            retry_on=frozenset(given.get("rp", "ct").split(",")),
        )

    def wants_retry(self, attempt: Attempt) -> bool:
        """Whether a failed try is worth another."""
        if attempt.error is None:
            return False
        reason = "ct" if attempt.error in {NO_CONNECTION, BAD_HOST} else "rt"
        if attempt.status is not None:
            reason = f"{attempt.status // 100}xx"
        return bool({reason, "all"} & self.retry_on)


class Courier:
    """Carries webhooks of one account.

    Args:
        auth_token: Signs them.
        tunnels: The ways from public URLs to local addresses.
        faults: What goes wrong.
        clock: For the times that are recorded.
        delivered: Takes every webhook when all is over with it.
        transport: Instead of the network; for tests in virtual time.
    """

    def __init__(
        self,
        *,
        auth_token: str,
        tunnels: Sequence[Tunnel],
        faults: Faults,
        clock: Clock,
        delivered: Callable[[WebhookDelivery], None],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._auth_token = auth_token
        self._tunnels = tunnels
        self._faults = faults
        self._clock = clock
        self._delivered = delivered
        self._http = httpx.AsyncClient(transport=transport, trust_env=False)

    async def close(self) -> None:
        """Release connections."""
        await self._http.aclose()

    def take_fault(
        self, kind: WebhookKind, params: Mapping[str, str]
    ) -> WebhookFault | None:
        """Take the fault that waits for such a webhook."""
        return self._faults.take_webhook(kind, params)

    async def deliver(
        self,
        kind: WebhookKind,
        url: str,
        params: dict[str, str],
        *,
        method: str = "POST",
        fault: WebhookFault | None = None,
    ) -> Attempt:
        """Deliver a webhook, and return how its last try went."""
        parts = urlsplit(url)
        rules = DeliveryRules.from_fragment(parts.fragment)
        query = parts.query
        if method == "GET":
            query = "&".join(filter(None, (query, urlencode(params))))
        signed_url = urlunsplit((*parts[:3], query, ""))
        form = params if method == "POST" else {}
        headers = self._headers(signed_url, form)
        attempts: list[Attempt] = []
        if fault is not None and fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        is_lost = fault is not None and fault.is_lost
        for copy in range(0 if is_lost else fault.copies if fault else 1):
            tries = 1 if copy else 1 + rules.retries
            for _ in range(tries):
                attempts.append(
                    await self._try(method, signed_url, form, headers, rules)
                )
                if not rules.wants_retry(attempts[-1]):
                    break
        self._delivered(
            WebhookDelivery(
                kind=kind,
                call_sid=params.get("CallSid", ""),
                method=method,
                url=signed_url,
                params=params,
                headers=headers,
                attempts=tuple(attempts),
            )
        )
        return attempts[-1] if attempts else self._failure(NO_CONNECTION, None)

    def _headers(self, url: str, form: Mapping[str, str]) -> dict[str, str]:
        signature = sign_webhook(url, form.items(), auth_token=self._auth_token)
        headers = {
            "X-Twilio-Signature": signature,
            "I-Twilio-Idempotency-Token": str(uuid.uuid4()),
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
        }
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
        return headers

    async def _try(
        self,
        method: str,
        url: str,
        form: Mapping[str, str],
        headers: Mapping[str, str],
        rules: DeliveryRules,
    ) -> Attempt:
        started_at = self._clock.now()
        timeout = httpx.Timeout(rules.read_s, connect=rules.connect_s)
        try:
            hop: Hop = find_hop(url, self._tunnels)
            async with asyncio.timeout(min(rules.total_s, rules.read_s)):
                answer = await self._http.request(
                    method,
                    hop.url,
                    content=urlencode(form) if form else None,
                    headers={**headers, **hop.headers},
                    timeout=timeout,
                )
        except (NoRoute, httpx.InvalidURL):
            return self._failure(BAD_HOST, started_at)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return self._failure(NO_CONNECTION, started_at)
        except (httpx.HTTPError, TimeoutError):
            return self._failure(BAD_RESPONSE, started_at)
        return Attempt(
            status=answer.status_code,
            error=None if answer.is_success else BAD_RESPONSE,
            body=answer.text,
            content_type=answer.headers.get("content-type", ""),
            started_at=started_at,
            duration_s=self._clock.now() - started_at,
        )

    def _failure(self, error: int, started_at: float | None) -> Attempt:
        now = self._clock.now()
        started_at = now if started_at is None else started_at
        return Attempt(
            status=None,
            error=error,
            body="",
            content_type="",
            started_at=started_at,
            duration_s=now - started_at,
        )
