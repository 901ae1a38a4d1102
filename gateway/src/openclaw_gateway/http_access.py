"""Who may use the Gateway's HTTP endpoints, and how much they may send.

The same secret as for RPC, as `Authorization: Bearer …`, compared in constant time and
under the same count of wrong guesses. A request that a foreign web page makes is
refused; without authentication so is a Host that is not this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
import structlog
from starlette.responses import JSONResponse

from openclaw_gateway import clock
from openclaw_gateway.rpc.auth import is_loopback
from openclaw_gateway.rpc.frames import Credentials

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from openclaw_gateway.rpc.auth import AuthPolicy, Refusal

__all__ = ["HttpDoor", "HttpRefused", "client_address", "read_json"]

_log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 2 << 20
BODY_S = 15.0
MAX_REQUESTS = 64


class HttpRefused(Exception):
    """Raised to answer a request with an error.

    Attributes:
        status: The HTTP status.
        kind: Machine-readable class of the error.
        message: One sentence.
        headers: Sent along.
        code: What exactly is wrong, where there is more to say than `kind`.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.code = code
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Return the answer: `{"error": {"message", "type", "code"?}}`."""
        error = {"message": self.message, "type": self.kind}
        if self.code:
            error["code"] = self.code
        return JSONResponse(
            {"error": error}, status_code=self.status, headers=self.headers
        )


class HttpDoor:
    """Lets requests in.

    Args:
        policy: Who knows the secret.
        max_requests: How many may be worked on at once.
    """

    def __init__(self, policy: AuthPolicy, *, max_requests: int = MAX_REQUESTS) -> None:
        self._policy = policy
        self._max_requests = max_requests
        self._inside = 0

    async def check(self, request: Request) -> None:
        """Return if the request may pass.

        Raises:
            HttpRefused: It may not: 401, 403 or 429.
        """
        self.check_page(request)
        refusal = self._policy.check(
            self._credentials(request),
            address=client_address(request),
            now=clock.now_s(),
        )
        if refusal is None:
            return
        _log.warning("request refused", peer=client_address(request))
        await asyncio.sleep(refusal.delay_s)
        raise _unauthorized(refusal)

    def check_page(self, request: Request) -> None:
        """Refuse what a web page of somebody else asks a browser to do.

        Raises:
            HttpRefused: 403.
        """
        host = request.headers.get("host", "")
        origin = request.headers.get("origin")
        name = urlsplit(f"//{host}").hostname or ""
        is_ours = origin is None or urlsplit(origin).netloc == host
        is_here = name == "localhost" or is_loopback(name)
        if not is_ours or (self._policy.mode == "none" and not is_here):
            raise HttpRefused(403, "forbidden", "Requests of web pages are refused.")

    @contextlib.contextmanager
    def place(self) -> Generator[None, None, None]:
        """Hold one of the places for requests that are worked on.

        Raises:
            HttpRefused: 503; all are taken.
        """
        if self._inside >= self._max_requests:
            raise HttpRefused(
                503,
                "overloaded",
                "Too many requests at once; try again shortly.",
                headers={"Retry-After": "1"},
            )
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    def _credentials(self, request: Request) -> Credentials:
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        guess = secret.strip() if scheme.lower() == "bearer" else None
        return Credentials(token=guess, password=guess)


def client_address(request: Request) -> str:
    """Return the address of whoever is connected."""
    return request.client.host if request.client else ""


async def read_json(request: Request) -> dict[str, Any]:
    """Return the body, one JSON object.

    Raises:
        HttpRefused: It is too long (413), too slow (408), or no JSON object (400).
    """
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.stream():
                body += piece
                if len(body) > MAX_BODY_BYTES:
                    raise HttpRefused(
                        413,
                        "payload_too_large",
                        f"The body may have at most {MAX_BODY_BYTES} bytes.",
                        headers={"Connection": "close"},
                    )
    except TimeoutError:
        raise HttpRefused(
            408, "request_timeout", "The body did not arrive in time."
        ) from None
    try:
        value = msgspec.json.decode(bytes(body))
    except (ValueError, RecursionError) as error:
        raise HttpRefused(
            400, "invalid_request_error", f"The body is not JSON: {error}."
        ) from None
    if not isinstance(value, dict):
        raise HttpRefused(
            400, "invalid_request_error", "The body must be one JSON object."
        )
    return value


def _unauthorized(refusal: Refusal) -> HttpRefused:
    after_ms = refusal.error.retry_after_ms
    if after_ms is None:
        return HttpRefused(
            401, "unauthorized", "Unauthorized", headers={"WWW-Authenticate": "Bearer"}
        )
    return HttpRefused(
        429,
        "rate_limited",
        "Too many failed attempts; try again later.",
        headers={"Retry-After": str(-(-after_ms // 1000))},
    )
