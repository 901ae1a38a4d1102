"""What happens to a webhook, step by step.

    route -> headers -> place for the client -> body -> signature -> replay
          -> decode -> durable -> answer

Each step is cheaper than the next, or protects it. Nobody gets a body read without the
headers that a signature needs, and nothing has an effect before the signature holds.
The carrier gets its 2xx when every event is in the journal, not earlier; any failure
after the signature makes it send the request again, which is then processed once.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response

from voice_call.call.model import CarrierCallId
from voice_call.carriers.base import CarrierNotice, HttpRequest, PlanStep
from voice_call.errors import JournalError, RemoteProtocolError
from voice_call.exposure.public_url import candidate_urls
from voice_call.log import get_logger
from voice_call.phone_numbers import mask
from voice_call.server.limits import InFlight
from voice_call.server.replay_guard import Claim, ReplayGuard
from voice_call.server.request_reading import (
    Refused,
    has_one_set_of,
    is_on_route,
    read_arrival,
    read_body,
)

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from voice_call.carriers.base import (
        CarrierSink,
        HttpResponse,
        WebhookCodec,
    )
    from voice_call.clock import Clock
    from voice_call.server.settings import ServerSettings

__all__ = ["Planner", "WebhookApp"]

_log = get_logger(__name__)

Planner = Callable[[CarrierCallId, CarrierNotice], tuple[PlanStep, ...]]
"""Says what the carrier is to do next with a call, after a notice about it."""

Facts = dict[str, Any]
"""What becomes known of a request while it is processed, for its one log line."""


class WebhookApp:
    """The ASGI application that takes a carrier's webhooks.

    Args:
        settings: Route, limits, and what decides the public URL.
        carrier_name: For request keys and the log.
        codec: The carrier's.
        sink: Takes what webhooks report.
        planner: Asked once a request is durable, about the last of its notices.
        clock: For signatures with a time in them, and for replays.
    """

    def __init__(
        self,
        settings: ServerSettings,
        *,
        carrier_name: str,
        codec: WebhookCodec,
        sink: CarrierSink,
        planner: Planner,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._carrier_name = carrier_name
        self._codec = codec
        self._sink = sink
        self._planner = planner
        self._clock = clock
        self._in_flight = InFlight(settings.limits)
        self._place_is_free = asyncio.Event()
        """Set, and replaced by another, when a request gives its place back."""
        self._replays = ReplayGuard()
        self._finished: dict[str, asyncio.Event] = {}
        """Set when the request in progress with this key has been dealt with."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        connection = HTTPConnection(scope)
        client = self._settings.urls.proxies.client_of(
            connection.client.host if connection.client else "",
            connection.headers.getlist("x-forwarded-for"),
        )
        facts: Facts = {"carrier": self._carrier_name, "client": client}
        if scope["type"] == "websocket":  # media sockets do not get here
            response = _refuse(HTTPStatus.NOT_FOUND, "no such path", facts)
        else:
            response = await self._answer(Request(scope, receive), client, facts)
        await response(scope, receive, send)

    async def _answer(self, request: Request, client: str, facts: Facts) -> Response:
        try:
            answer = await self._process(request, client, facts)
        except Refused as refusal:
            return _refuse(refusal.status, refusal.reason, facts)
        except RemoteProtocolError:
            return _refuse(HTTPStatus.BAD_REQUEST, "not understood", facts)
        except JournalError as fault:
            return _refuse(HTTPStatus.SERVICE_UNAVAILABLE, fault.code, facts)
        except Exception as fault:  # noqa: BLE001 - the carrier must hear of any fault
            facts["exc_info"] = fault
            return _refuse(
                HTTPStatus.INTERNAL_SERVER_ERROR, type(fault).__name__, facts
            )
        _log.info("webhook", **facts)
        return Response(
            answer.body,
            status_code=answer.status,
            headers=answer.headers,
            media_type="text/plain" if answer.body else None,
        )

    async def _process(
        self, request: Request, client: str, facts: Facts
    ) -> HttpResponse:
        self._check_head(request)
        limits = self._settings.limits
        await self._enter(client)
        try:
            body = await read_body(
                request, limit_bytes=limits.body_bytes, limit_s=limits.body_s
            )
            webhook = self._as_webhook(request, body)
            return await self._process_once(webhook, self._verify(webhook), facts)
        finally:
            self._in_flight.leave(client)
            self._place_is_free.set()
            self._place_is_free = asyncio.Event()

    async def _enter(self, client: str) -> None:
        """Take a place, and wait for one for a moment.

        Raises:
            Refused: There is none.
        """
        try:
            async with asyncio.timeout(self._settings.limits.place_wait_s):
                while not self._in_flight.enter(client):
                    await self._place_is_free.wait()
        except TimeoutError:
            reason = "too many at once"
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, reason) from None

    # -- who asks ----------------------------------------------------------------------

    def _check_head(self, request: Request) -> None:
        """Look at everything that can be known without the body.

        Raises:
            Refused: It is not a webhook of ours, or bears no signature.
        """
        is_upgrade = "upgrade" in request.headers
        if is_upgrade or not is_on_route(request.scope, self._settings.path):
            raise Refused(HTTPStatus.NOT_FOUND, "no such path")
        if request.method != "POST":
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "not a POST")
        if self._settings.skips_verification:
            return
        if not has_one_set_of(self._codec.required_headers, request.headers):
            raise Refused(HTTPStatus.UNAUTHORIZED, "no signature")

    def _as_webhook(self, request: Request, body: bytes) -> HttpRequest:
        arrival = read_arrival(request)
        first, *others = candidate_urls(self._settings.urls, arrival)
        return HttpRequest(
            method=request.method,
            url=first,
            headers=arrival.headers,
            body=body,
            url_alternatives=tuple(others),
        )

    def _verify(self, webhook: HttpRequest) -> str:
        """Return the identity of a genuine request.

        Raises:
            Refused: It is not genuine.
        """
        if self._settings.skips_verification:
            signed = b"\n".join(
                (webhook.method.encode(), webhook.url.encode(), webhook.body)
            )
            return f"{self._carrier_name}:skip:{hashlib.sha256(signed).hexdigest()}"
        verdict = self._codec.verify(webhook, now=self._clock.now())
        if not verdict.is_genuine or verdict.request_key is None:
            raise Refused(HTTPStatus.UNAUTHORIZED, verdict.reason or "no identity")
        return verdict.request_key

    # -- once --------------------------------------------------------------------------

    async def _process_once(
        self, webhook: HttpRequest, key: str, facts: Facts
    ) -> HttpResponse:
        if await self._claim(key) is Claim.REPEATED:
            facts["decision"] = "repeated"
            return self._codec.respond(webhook, ())
        finished = self._finished[key] = asyncio.Event()
        try:
            answer = await self._take(webhook, key, facts)
        except BaseException:
            self._replays.release(key)
            raise
        else:
            self._replays.settle(key, now=self._clock.now())
            facts["decision"] = "accepted"
            return answer
        finally:
            del self._finished[key]
            finished.set()

    async def _claim(self, key: str) -> Claim:
        """Wait until no copy of the request is in progress, and claim it.

        Raises:
            Refused: The first copy takes too long; the carrier shall ask again.
        """
        try:
            async with asyncio.timeout(self._settings.limits.copy_wait_s):
                while True:
                    claim = self._replays.claim(key, now=self._clock.now())
                    if claim is not Claim.IN_PROGRESS:
                        return claim
                    await self._finished[key].wait()
        except TimeoutError:
            reason = "a copy is in progress"
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, reason) from None

    async def _take(self, webhook: HttpRequest, key: str, facts: Facts) -> HttpResponse:
        """Decode the request, make its events durable, and return the answer."""
        notices = self._codec.decode(webhook, request_key=key)
        facts.update(_told_by(notices))
        for notice in notices:
            await self._sink.deliver(notice)
        steps: tuple[PlanStep, ...] = ()
        if notices and self._codec.directs_call(webhook):
            last = notices[-1]
            steps = self._planner(last.carrier_call_id, last)
        return self._codec.respond(webhook, steps)


def _told_by(notices: list[CarrierNotice]) -> Facts:
    """Return what a log line may say of notices."""
    if not notices:
        return {"events": "none"}
    first = notices[0]
    facts = {
        "events": ",".join(type(each.event).__name__ for each in notices),
        "call": first.carrier_call_id,
    }
    if first.call_id is not None:
        facts["call_id"] = first.call_id
    if first.from_ is not None:
        facts["caller"] = mask(first.from_)
    return facts


def _refuse(status: HTTPStatus, reason: str, facts: Facts) -> Response:
    """Log why, and return an answer that also ends the connection.

    What is left of an unread body is not worth reading, and not safe to.
    """
    is_fault = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    facts["decision"] = "failed" if is_fault else "refused"
    (_log.error if is_fault else _log.warning)(
        "webhook", **facts, status=status.value, reason=reason
    )
    headers = {"connection": "close"}
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["allow"] = "POST"
    return PlainTextResponse(status.phrase, status_code=status, headers=headers)
