"""A client for programs that stay connected to a Gateway."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import TYPE_CHECKING, Any, Self

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from openclaw_gateway.errors import GatewayDown, GatewayTimeout, ProtocolViolated
from openclaw_gateway.rpc.client import (
    MAX_MESSAGE_BYTES,
    Address,
    connect_params,
    decode_frame,
    encode_request,
    interpret,
    interpret_hello,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from types import TracebackType

    from websockets.asyncio.client import ClientConnection

__all__ = ["AsyncGatewayClient"]

EVENT_QUEUE = 1024
"""Events that may wait to be taken; of more, the oldest are dropped."""


class AsyncGatewayClient:
    """One connection to a Gateway; many requests at once.

    async with AsyncGatewayClient(address) as gateway:
        await gateway.call("status", {}, timeout_s=5)
    """

    def __init__(self, address: Address, *, timeout_s: float = 10.0) -> None:
        self.hello: Mapping[str, Any] = {}
        self._address = address
        self._timeout_s = timeout_s
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(EVENT_QUEUE)
        self._reader: asyncio.Task[None] | None = None
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        """Connect and shake hands.

        Raises:
            GatewayDown: Nothing listens there.
            GatewayRefused: The Gateway does not accept the token.
            GatewayTimeout: It accepts connections, but does not answer.
            ProtocolViolated: It is no Gateway.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._open()
        except TimeoutError:
            await self.close()
            raise self._late("connect") from None
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            await self._socket.close()
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
            self._reader = None

    async def call(
        self, method: str, params: Mapping[str, Any], *, timeout_s: float
    ) -> dict[str, Any]:
        """Ask and return the payload; may be called again before it has returned.

        Raises:
            RequestFailed: The Gateway answered with an error.
            GatewayTimeout: No answer within `timeout_s` seconds.
            GatewayDown: The connection was lost.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return interpret(await self._ask(method, params))
        except TimeoutError:
            raise self._late(method) from None

    async def events(self, *, prefix: str = "") -> AsyncIterator[dict[str, Any]]:
        """Yield events as they come, until the connection ends."""
        while (event := await self._events.get()) is not None:
            if str(event.get("event")).startswith(prefix):
                yield event
        self._events.put_nowait(None)  # for the next one who asks

    async def _open(self) -> None:
        address = self._address
        try:
            self._socket = await connect(
                address.url,
                compression=None,
                max_size=MAX_MESSAGE_BYTES,
                open_timeout=None,
            )
        except (WebSocketException, EOFError) as error:
            raise ProtocolViolated(
                f"What listens at {address.url} is no Gateway."
            ) from error
        except OSError as error:
            raise GatewayDown(f"No Gateway listens at {address.url}.") from error
        self._reader = asyncio.create_task(self._read(self._socket))
        answer = await self._ask("connect", connect_params(address))
        self.hello = interpret_hello(answer, address)

    async def _ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if self._socket is None or self._reader is None or self._reader.done():
            raise self._lost()
        request_id = str(uuid.uuid4())
        text = encode_request(request_id, method, params)
        answer: asyncio.Future[dict[str, Any]]
        answer = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = answer
        try:
            await self._socket.send(text)
            return await answer
        except ConnectionClosed as error:
            raise self._lost() from error
        finally:
            del self._waiting[request_id]

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for text in socket:
                self._take(decode_frame(text))
        except (ConnectionClosed, ProtocolViolated):
            pass  # told to everyone who waits, below
        finally:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(self._lost())
            self._offer(None)

    def _take(self, frame: dict[str, Any]) -> None:
        if frame.get("type") == "event":
            self._offer({k: frame.get(k) for k in ("event", "payload", "seq")})
            return
        answer = self._waiting.get(str(frame.get("id")))
        if answer is not None and not answer.done():
            answer.set_result(frame)

    def _offer(self, event: dict[str, Any] | None) -> None:
        if self._events.full():
            self._events.get_nowait()
        self._events.put_nowait(event)

    def _late(self, what: str) -> GatewayTimeout:
        return GatewayTimeout(
            f"The Gateway at {self._address.url} did not answer in time ({what})."
        )

    def _lost(self) -> GatewayDown:
        return GatewayDown(f"The Gateway at {self._address.url} closed the connection.")
