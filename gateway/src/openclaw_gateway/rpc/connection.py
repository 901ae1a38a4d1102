"""One client's WebSocket: handshake, requests, and a bounded way out.

How a connection ends, by close code:

    1002  the client speaks no protocol version that we speak
    1003  a binary message; frames are text
    1007  a text that is no JSON
    1008  the handshake is wrong, late, or refused
    1009  a message over the limit
    1012  the Gateway stops
    none  a reader that is too slow: the buffer is full, so the connection is cut

A JSON text that is no request frame is answered with INVALID_REQUEST and costs nothing
after the handshake. Requests run side by side; answers come in whatever order they are
ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from starlette.websockets import WebSocketDisconnect

from openclaw_gateway import clock
from openclaw_gateway.rpc import frames
from openclaw_gateway.rpc.frames import INVALID_REQUEST, UNAVAILABLE, ErrorShape
from openclaw_gateway.rpc.methods import describe_error, internal_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.websockets import WebSocket

    from openclaw_gateway.rpc.auth import AuthPolicy
    from openclaw_gateway.rpc.frames import ConnectParams, Request
    from openclaw_gateway.rpc.methods import Method, MethodTable

__all__ = ["Connection", "Limits", "Service"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a client may use up.

    Attributes:
        payload_bytes: Longest message after the handshake.
        handshake_payload_bytes: Longest message before it.
        handshake_s: How long the handshake may take, in seconds.
        buffered_bytes: What may wait to be read by the client.
        requests: How many requests may run at once on one connection.
        connections: How many clients may be connected at once.
        handshakes: How many of them may be unauthenticated.
        tick_s: Seconds between two `tick` events.
        flush_s: How long a closing connection may take to send its last words.
    """

    payload_bytes: int = 1 << 20
    handshake_payload_bytes: int = 64 << 10
    handshake_s: float = 10.0
    buffered_bytes: int = 4 << 20
    requests: int = 64
    connections: int = 256
    handshakes: int = 32
    tick_s: float = 30.0
    flush_s: float = 2.0


class Service(Protocol):
    """What a connection needs from the server."""

    limits: Limits
    policy: AuthPolicy
    methods: MethodTable

    def hello(self, connection: Connection) -> dict[str, Any]:
        """Return the payload of `hello-ok`."""
        ...

    def admit(self, connection: Connection) -> None:
        """Count the connection as authenticated; broadcasts reach it from now on."""
        ...

    def keep(self, run: asyncio.Task[None]) -> None:
        """Let a request outlive its connection."""
        ...


class _HandshakeRefused(Exception):
    """Raised to answer the handshake with an error and close."""

    def __init__(self, request_id: str, error: ErrorShape, *, close: int) -> None:
        super().__init__(error.message)
        self.request_id = request_id
        self.error = error
        self.close = close


class Connection:
    """One client.

    Attributes:
        conn_id: Unique; named in `hello-ok` and in logs.
        protocol: The version agreed on, zero before the handshake.
        scopes: What the client may do.
        role: Always `operator` after the handshake.
    """

    def __init__(
        self, socket: WebSocket, service: Service, *, abort: Callable[[], None]
    ) -> None:
        self.conn_id = str(uuid.uuid4())
        self.protocol = 0
        self.scopes: tuple[str, ...] = ()
        self.role = "operator"
        self.address = socket.client.host if socket.client else ""
        self._socket = socket
        self._service = service
        self._abort = abort
        self._outbox: deque[bytes] = deque()
        self._buffered_bytes = 0
        self._close: tuple[int, str] | None = None
        self._is_cut = False
        self._has_work = asyncio.Event()
        self._seq = 0
        self._running: set[asyncio.Task[None]] = set()
        self._cancellable: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Serve the client until it goes, or until it is sent away."""
        await self._socket.accept()
        writer = asyncio.create_task(self._write(), name=f"rpc-out-{self.conn_id}")
        try:
            self._send(
                frames.encode_event(
                    "connect.challenge",
                    {"nonce": str(uuid.uuid4()), "ts": clock.now_ms()},
                )
            )
            if await self._shake_hands():
                await self._read_requests()
        except WebSocketDisconnect:
            pass  # the usual end: the client is gone
        finally:
            for run in self._cancellable:
                run.cancel()
            await self._finish(writer)

    def send_event(self, event: str, payload: Any) -> None:
        """Queue an event; a reader whose buffer is full is cut off.

        Raises:
            TypeError: The payload is not JSON-shaped.
        """
        self._seq += 1
        self._send(frames.encode_event(event, payload, seq=self._seq))

    def close(self, code: int, reason: str) -> None:
        """Send what is queued, then close; nothing more is queued."""
        if self._close is None:
            self._close = (code, reason)
            self._has_work.set()

    # ---- out

    def _send(self, frame: bytes) -> None:
        if self._close is not None or self._is_cut:
            return
        self._buffered_bytes += len(frame)
        if self._buffered_bytes > self._service.limits.buffered_bytes:
            _log.warning("slow reader cut off", connection=self.conn_id)
            self._cut()
            return
        self._outbox.append(frame)
        self._has_work.set()

    def _cut(self) -> None:
        self._is_cut = True
        self._outbox.clear()
        self._has_work.set()
        self._abort()

    async def _write(self) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while not self._is_cut:
                if self._outbox:
                    frame = self._outbox.popleft()
                    await self._socket.send_text(frame.decode())
                    self._buffered_bytes -= len(frame)
                elif self._close is not None:
                    await self._socket.close(*self._close)
                    return
                else:
                    self._has_work.clear()
                    await self._has_work.wait()

    async def _finish(self, writer: asyncio.Task[None]) -> None:
        """Give the last words a moment, then drop the line."""
        self.close(1000, "")
        try:
            async with asyncio.timeout(self._service.limits.flush_s):
                await writer
        except TimeoutError:
            self._cut()
        except RuntimeError:
            # Starlette: the socket was closed by the other side in the meantime.
            _log.debug("closed before the last frame", connection=self.conn_id)

    # ---- in

    async def _receive(self, max_bytes: int) -> str | None:
        """Return the next text; None once the connection is being closed."""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        text = message.get("text")
        if text is None:
            self.close(1003, "frames are text")
            return None
        if len(text) > max_bytes:
            self.close(1009, "message too long")
            return None
        return str(text)

    async def _shake_hands(self) -> bool:
        limits = self._service.limits
        try:
            async with asyncio.timeout(limits.handshake_s):
                text = await self._receive(limits.handshake_payload_bytes)
        except TimeoutError:
            self.close(1008, "handshake timeout")
            return False
        if text is None:
            return False
        try:
            request = frames.parse_request(text)
            await self._authenticate(request)
            hello = self._service.hello(self)
        except frames.FrameError as error:
            refused = ErrorShape(code=INVALID_REQUEST, message=str(error))
            self._send(frames.encode_error(error.request_id, refused))
            self.close(1008, "invalid handshake")
            return False
        except _HandshakeRefused as refusal:
            self._send(frames.encode_error(refusal.request_id, refusal.error))
            self.close(refusal.close, refusal.error.message[:120])
            return False
        self._send(frames.encode_result(request.id, hello))
        self._service.admit(self)
        return True

    async def _authenticate(self, request: Request) -> None:
        if request.method != "connect":
            raise _refuse(request, "invalid handshake: first request must be connect")
        try:
            params = frames.parse_connect(request.params)
        except frames.FrameError as error:
            raise _refuse(request, str(error)) from None
        self.protocol = _agree(request, params)
        if params.role != "operator":
            raise _refuse(request, f"role not supported: {params.role}")
        refusal = self._service.policy.check(
            params.auth, address=self.address, now=clock.now_s()
        )
        if refusal is not None:
            _log.warning("client refused", connection=self.conn_id, peer=self.address)
            await asyncio.sleep(refusal.delay_s)
            raise _HandshakeRefused(request.id, refusal.error, close=1008)
        self.scopes = tuple(dict.fromkeys(params.scopes))

    async def _read_requests(self) -> None:
        max_bytes = self._service.limits.payload_bytes
        while (text := await self._receive(max_bytes)) is not None:
            try:
                request = frames.parse_request(text)
            except frames.FrameError as error:
                if not error.is_json:
                    self.close(1007, "not a JSON text")
                    return
                wrong = ErrorShape(code=INVALID_REQUEST, message=str(error))
                self._send(frames.encode_error(error.request_id, wrong))
                continue
            self._start(request)

    def _start(self, request: Request) -> None:
        refused = self._refuse(request)
        method = self._service.methods.find(request.method)
        if refused is not None or method is None:
            refused = refused or internal_error(request.method)
            self._send(frames.encode_error(request.id, refused))
            return
        run = asyncio.create_task(self._run(request, method))
        self._running.add(run)
        run.add_done_callback(self._running.discard)
        if method.is_cancelled_on_disconnect:
            self._cancellable.add(run)
            run.add_done_callback(self._cancellable.discard)
        self._service.keep(run)

    def _refuse(self, request: Request) -> ErrorShape | None:
        if request.method == "connect":
            return ErrorShape(code=INVALID_REQUEST, message="already connected")
        if len(self._running) >= self._service.limits.requests:
            return ErrorShape(
                code=UNAVAILABLE,
                message="Too many requests at once on this connection; "
                "wait for an answer.",
                details={"code": "too_many_requests"},
                retryable=True,
            )
        return self._service.methods.refuse(request.method, self.scopes)

    async def _run(self, request: Request, method: Method) -> None:
        try:
            payload = await self._service.methods.call(method, request.params or {})
            answer = frames.encode_result(request.id, payload)
        except Exception as error:  # noqa: BLE001 - described to the client, and logged
            answer = frames.encode_error(
                request.id, describe_error(error, method=request.method)
            )
        self._send(answer)


def _agree(request: Request, params: ConnectParams) -> int:
    protocol = frames.choose_protocol(params)
    if protocol is None:
        mismatch = ErrorShape(
            code=INVALID_REQUEST,
            message="protocol mismatch",
            details={"expectedProtocol": frames.PROTOCOL_MAX},
        )
        raise _HandshakeRefused(request.id, mismatch, close=1002)
    return protocol


def _refuse(request: Request, message: str) -> _HandshakeRefused:
    shape = ErrorShape(code=INVALID_REQUEST, message=message)
    return _HandshakeRefused(request.id, shape, close=1008)
