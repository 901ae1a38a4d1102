"""One REST client for every carrier.

What it promises: no request takes longer than its limits, no redirect is followed, no
answer is read beyond its size limit, and an error shows neither a secret nor a phone
number. A request is repeated only where that is safe:

- the connection could not be made, so nothing was sent: always;
- 429, the carrier refused to look at it: always, after the pause it asks for;
- no answer, or 5xx: only if the request `is_repeatable`. Otherwise it may have had its
  effect, and `CarrierUnreachable` says so. So a dial never places two calls.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx

from voice_call.errors import CarrierRefused, CarrierUnreachable
from voice_call.log import get_logger
from voice_call.phone_numbers import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Reply", "RestClient", "RestLimits", "Trouble", "redact"]

_log = get_logger(__name__)

_NUMBER = re.compile(r"\+\d(?:[\s().-]{0,2}\d)*|\d(?:[\s().-]{0,2}\d){6,}")
"""What may be a phone number: any digits after a plus sign, or seven digits and more."""
_MAX_DETAIL_CHARACTERS = 300

_TOO_MANY_REQUESTS = 429
_OK = range(200, 300)
_REDIRECTS = range(300, 400)
_SERVER_FAULTS = range(500, 600)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestLimits:
    """How far a request may go.

    Attributes:
        connect_s: Time for a connection, in seconds.
        answer_s: Time for one whole exchange, in seconds.
        body_bytes: Largest answer.
        pauses_s: How long to wait before the second, third … try, in seconds.
        longest_pause_s: Most that is waited when the carrier asks for a pause.
    """

    connect_s: float = 5.0
    answer_s: float = 15.0
    body_bytes: int = 1 << 20
    pauses_s: tuple[float, ...] = (0.5, 1.5)
    longest_pause_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a carrier answered."""

    status: int
    body: bytes
    retry_after: str = ""

    def document(self) -> Mapping[str, Any]:
        """Return the body's JSON object; empty where it is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What a carrier says of a request that it refused.

    Attributes:
        code: Its own code, verbatim.
        message: Its own words; redacted before they are shown.
    """

    code: str | None = None
    message: str = ""


def redact(text: str, *, secrets: Sequence[str] = ()) -> str:
    """Return one short line without secrets and without whole phone numbers."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "…")
    text = "".join(each if each.isprintable() else " " for each in text)
    text = _NUMBER.sub(lambda found: mask(found.group()), " ".join(text.split()))
    return text[:_MAX_DETAIL_CHARACTERS]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestClient:
    """Talks to one carrier's REST API.

    Attributes:
        carrier: The carrier's name, for errors.
        origin: Scheme, host and port, without a slash at the end.
        explain: Reads a refusal.
        user: User name of Basic authentication, if the carrier uses that.
        password: Its password.
        headers: Sent with every request.
        secrets: Never shown.
        limits: How far a request may go.
        transport: A peer in the process instead of the network.
    """

    carrier: str
    origin: str
    explain: Callable[[Reply], Trouble]
    user: str | None = None
    password: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    limits: RestLimits = RestLimits()
    transport: httpx.AsyncBaseTransport | None = None
    _clients: list[httpx.AsyncClient] = field(default_factory=list, repr=False)

    async def get(self, path: str, *, accept: Sequence[int] = ()) -> Reply:
        """Ask for something; asking again is always safe. Raises as `send` does."""
        return await self.send("GET", path, accept=accept, is_repeatable=True)

    async def send(
        self,
        method: str,
        path: str,
        *,
        form: Sequence[tuple[str, str]] | None = None,
        document: object = None,
        accept: Sequence[int] = (),
        is_repeatable: bool = False,
    ) -> Reply:
        """Send a request and return its answer.

        Args:
            method: The HTTP method.
            path: Path and query; ids in it are checked by the caller.
            form: Fields of a form body.
            document: What becomes a JSON body, where there is no form.
            accept: Statuses that are answers, beside the 2xx.
            is_repeatable: True where a second time has no second effect.

        Raises:
            CarrierRefused: The carrier said no.
            CarrierUnreachable: It did not answer, or nothing that can be understood.
        """
        request = self._build(method, path, form=form, document=document)
        for pause_s in self.limits.pauses_s:
            reply, fault = await self._try(request, is_repeatable=is_repeatable)
            if reply is not None and not self._asks_again(reply, is_repeatable):
                return self._judge(reply, accept)
            _log.warning(
                "request to the carrier is sent again",
                carrier=self.carrier,
                status=None if reply is None else reply.status,
                why=None if fault is None else type(fault).__name__,
            )
            await asyncio.sleep(self._pause_s(reply, pause_s))
        reply, fault = await self._try(request, is_repeatable=is_repeatable)
        if reply is None:
            raise self._unreachable("could not be reached", cause=fault, is_unsent=True)
        return self._judge(reply, accept)

    async def close(self) -> None:
        """Close the connections."""
        while self._clients:
            await self._clients.pop().aclose()

    # -- one try -----------------------------------------------------------------------

    def _build(
        self,
        method: str,
        path: str,
        *,
        form: Sequence[tuple[str, str]] | None,
        document: object,
    ) -> httpx.Request:
        headers = {"Accept": "application/json", **self.headers}
        content: bytes | None = None
        if form is not None:
            content = urlencode(form).encode("ascii")
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif document is not None:
            content = json.dumps(document).encode("ascii")
            headers["Content-Type"] = "application/json"
        return self._client().build_request(
            method, f"{self.origin}{path}", headers=headers, content=content
        )

    def _client(self) -> httpx.AsyncClient:
        # Made on first use: it loads certificates, and belongs to the running loop.
        if not self._clients:
            auth = None if self.user is None else (self.user, self.password)
            limits = self.limits
            self._clients.append(
                httpx.AsyncClient(
                    auth=auth,
                    transport=self.transport,
                    follow_redirects=False,
                    timeout=httpx.Timeout(limits.answer_s, connect=limits.connect_s),
                )
            )
        return self._clients[0]

    async def _try(
        self, request: httpx.Request, *, is_repeatable: bool
    ) -> tuple[Reply | None, Exception | None]:
        """Return the answer, or why the request may be sent once more."""
        try:
            async with asyncio.timeout(self.limits.answer_s + self.limits.connect_s):
                return await self._exchange(request), None
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as fault:
            return None, fault
        except (httpx.RequestError, TimeoutError) as fault:
            if is_repeatable:
                return None, fault
            raise self._unreachable("did not answer", cause=fault) from fault

    async def _exchange(self, request: httpx.Request) -> Reply:
        response = await self._client().send(request, stream=True)
        try:
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > self.limits.body_bytes:
                    raise self._unreachable("sent an answer that is too large")
        finally:
            await response.aclose()
        return Reply(
            status=response.status_code,
            body=bytes(body),
            retry_after=response.headers.get("retry-after", ""),
        )

    # -- judgement ---------------------------------------------------------------------

    def _asks_again(self, reply: Reply, is_repeatable: bool) -> bool:  # noqa: FBT001 - one private caller
        if reply.status == _TOO_MANY_REQUESTS:
            return True
        return is_repeatable and reply.status in _SERVER_FAULTS

    def _pause_s(self, reply: Reply | None, pause_s: float) -> float:
        asked = "" if reply is None else reply.retry_after
        if asked.isascii() and asked.isdigit():
            pause_s = max(pause_s, float(asked))
        return min(pause_s, self.limits.longest_pause_s)

    def _judge(self, reply: Reply, accept: Sequence[int]) -> Reply:
        if reply.status in _OK or reply.status in accept:
            return reply
        trouble = self.explain(reply)
        said = redact(trouble.message, secrets=self.secrets)
        if reply.status in _SERVER_FAULTS:
            raise CarrierUnreachable(
                f"{self.carrier} failed ({reply.status}). {said}".strip(),
                carrier=self.carrier,
                status=reply.status,
                carrier_code=trouble.code,
            )
        if reply.status in _REDIRECTS:
            said = "It redirects, which is never followed: check apiBaseUrl."
        raise CarrierRefused(
            f"{self.carrier} refused ({_label(reply, trouble)}). {said}".strip(),
            carrier=self.carrier,
            retryable=reply.status == _TOO_MANY_REQUESTS,
            status=reply.status,
            carrier_code=trouble.code,
        )

    def _unreachable(
        self, what: str, *, cause: Exception | None = None, is_unsent: bool = False
    ) -> CarrierUnreachable:
        name = "" if cause is None else f" ({type(cause).__name__})"
        return CarrierUnreachable(
            f"{self.carrier} {what}{name}: check the network and apiBaseUrl.",
            carrier=self.carrier,
            retryable=is_unsent,
        )


def _label(reply: Reply, trouble: Trouble) -> str:
    return f"{reply.status}, code {trouble.code}" if trouble.code else f"{reply.status}"
