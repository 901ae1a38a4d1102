"""Taking a request apart, within limits, and saying no to it.

Nothing here trusts the sender: the headers are looked at before the body is, and the
body is cut off by length and by time, also where no length was announced.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from voice_call.exposure.public_url import ArrivedRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request
    from starlette.types import Scope

__all__ = [
    "Refused",
    "has_one_set_of",
    "is_on_route",
    "read_arrival",
    "read_body",
    "shown_host",
]


class Refused(Exception):
    """Raised where a request is answered with an error status, and not processed.

    Attributes:
        status: The HTTP status.
        reason: Why, in a constant word or two, for the log.
    """

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def is_on_route(scope: Scope, route: str) -> bool:
    """Say whether a request is for exactly this path; one slash at its end may be.

    The path is compared as it came over the wire: an escaped spelling of the same path
    is a look-alike.
    """
    raw: bytes = scope["raw_path"]
    return raw.decode("latin-1").removesuffix("/") == route.removesuffix("/")


def has_one_set_of(
    alternatives: Iterable[tuple[str, ...]], headers: Iterable[str]
) -> bool:
    """Say whether all headers of at least one alternative are there."""
    present = set(headers)
    return any(present.issuperset(names) for names in alternatives)


def shown_host(host: str) -> str:
    """Return an address as it is written in a URL: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def read_arrival(request: Request) -> ArrivedRequest:
    """Return what a request shows of the URL that was called."""
    scope = request.scope
    host, port = scope["server"]
    return ArrivedRequest(
        peer=request.client.host if request.client else "",
        local=f"{shown_host(host)}:{port}",
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        # Names are in lower case already; the last of repeated ones counts.
        headers=dict(request.headers.items()),
    )


async def read_body(request: Request, *, limit_bytes: int, limit_s: float) -> bytes:
    """Return the body.

    Raises:
        Refused: It is too long (413), took too long (408), or its sender left (400).
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit_bytes:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body too long")
    body = bytearray()
    try:
        async with asyncio.timeout(limit_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit_bytes:
                    raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body too long")
    except TimeoutError:
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, "body too slow") from None
    except ClientDisconnect:
        raise Refused(HTTPStatus.BAD_REQUEST, "sender left") from None
    return bytes(body)
