"""One HTTP connection: uvicorn's protocol, which does not wait for a head for ever.

uvicorn bounds neither how long a peer takes to send the head of a request nor how long
the head gets. Peers that connect and then send nothing, or a header line every second,
would take one socket each until the process has none left for the carrier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["BoundedHttp", "WaitingRoom"]

HEAD_S = 5.0
"""From the connection, or the first byte of a further request, to the end of a head."""
HEAD_BYTES = 32 * 1024
"""Far above any carrier's; what proxies add included."""
WAITING = 256
"""A fraction of the 1024 files that a process may usually open."""


class WaitingRoom:
    """Connections whose next head has begun, or must come, and is not complete.

    In a full room, whoever has waited longest goes: a carrier sends its head at once,
    so a flood of silent peers pushes out silent peers.
    """

    def __init__(self, places: int = WAITING) -> None:
        self._places = places
        self._waiting: dict[BoundedHttp, None] = {}

    def enter(self, connection: BoundedHttp) -> None:
        """Give a connection a place, at somebody's cost if need be."""
        self._waiting[connection] = None
        if len(self._waiting) > self._places:
            next(iter(self._waiting)).abandon()

    def leave(self, connection: BoundedHttp) -> None:
        """Give the place back; harmless without one."""
        self._waiting.pop(connection, None)


class BoundedHttp(HttpToolsProtocol):
    """An HTTP/1.1 connection with a deadline and a limit for each head."""

    room: ClassVar[WaitingRoom]
    """Shared by all connections of a server."""

    @classmethod
    def sharing(cls, room: WaitingRoom) -> type[BoundedHttp]:
        """Return the protocol of one server."""
        return type(cls.__name__, (cls,), {"room": room})

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Expect a head from now on."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing any more."""
        self._expect_no_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what comes, unless a head gets too long."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        is_idle = cycle is None or cycle.response_complete
        if is_idle and self._deadline is None:
            self._expect_head()
        self._head_bytes += len(data)
        super().data_received(data)
        if self._deadline is not None and self._head_bytes > HEAD_BYTES:
            self.abandon()

    def on_headers_complete(self) -> None:
        """Start the request; its body has limits of its own."""
        self._expect_no_head()
        super().on_headers_complete()

    def abandon(self) -> None:
        """End the connection without an answer."""
        self._expect_no_head()
        self.transport.abort()

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._deadline = self.loop.call_later(HEAD_S, self.abandon)
        self.room.enter(self)

    def _expect_no_head(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self.room.leave(self)

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: the application answers and logs every request itself."""
