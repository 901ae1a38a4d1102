"""A blocking client of a Gateway, for commands that ask once and end.

It is made for short lives: it imports little, and gives up at once where nothing
listens. `rpc.async_client` is the one for programs that stay connected.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from openclaw_gateway.config import gateway_settings
from openclaw_gateway.errors import (
    BadParams,
    ConfigInvalid,
    GatewayDown,
    GatewayError,
    GatewayRefused,
    GatewayTimeout,
    ProtocolViolated,
    RequestFailed,
)
from openclaw_gateway.state import read_token

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from websockets.sync.client import ClientConnection

    from openclaw_gateway.config import Config

__all__ = ["Address", "GatewayClient", "find_address"]

MAX_MESSAGE_BYTES = 32 << 20
SCOPES = ("operator.read", "operator.write", "operator.admin")
SILENCE_LIMIT_S = 75.0
"""A Gateway ticks every 30 s; after two missed ticks it is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a Gateway is, and how to prove oneself there.

    Attributes:
        url: `ws://` or `wss://`.
        secret: Token or password; may be empty.
        mode: Which of the two it is.
    """

    url: str
    secret: str = field(repr=False)
    mode: str = "token"

    @property
    def host(self) -> str:
        """Name or address of the machine."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """TCP port."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "wss" else 80)


def find_address(config: Config, *, url: str = "", token: str = "") -> Address:
    """Return where the Gateway should be.

    The argument wins over `OPENCLAW_GATEWAY_URL`, which wins over the configuration
    file. The token generated on this machine is never sent to another one.

    Raises:
        ConfigInvalid: The URL is none, or the `gateway` section is wrong.
    """
    settings = gateway_settings(config)
    url = url or config.environ.get("OPENCLAW_GATEWAY_URL", "")
    mode = "password" if settings.auth_mode == "password" else "token"
    secret = token or settings.secret
    if not url:
        any_address = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - replaced
        host = any_address.get(settings.host, settings.host)
        shown = f"[{host}]" if ":" in host else host
        url = f"ws://{shown}:{settings.port}"
    address = Address(url=_checked(url), secret=secret, mode="token" if token else mode)
    if not secret and address.host in {"127.0.0.1", "::1", "localhost", settings.host}:
        return Address(url=address.url, secret=read_token(config.state_dir))
    return address


class GatewayClient:
    """One connection to a Gateway.

    Args:
        address: Where it is.
        timeout_s: How long connecting may take, in seconds.

    Raises:
        GatewayDown: Nothing listens there.
        GatewayRefused: The Gateway does not accept the token.
        GatewayTimeout: It accepts connections, but does not answer.
        ProtocolViolated: It is no Gateway.
    """

    def __init__(self, address: Address, *, timeout_s: float = 10.0) -> None:
        self._address = address
        self._next_id = 0
        self._resources = ExitStack()
        deadline = time.monotonic() + timeout_s
        self._socket = self._open(deadline)
        try:
            self.hello = self._shake_hands(deadline)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        # No wait for the server's goodbye: commands end at once.
        self._socket.close_timeout = 0.2
        self._resources.close()

    def call(
        self, method: str, params: Mapping[str, Any], *, timeout_s: float
    ) -> dict[str, Any]:
        """Ask once and return the payload.

        Raises:
            RequestFailed: The Gateway answered with an error.
            GatewayTimeout: No answer within `timeout_s` seconds.
            GatewayDown: The connection was lost.
            BadParams: The parameters are not JSON-shaped.
        """
        deadline = time.monotonic() + timeout_s
        request_id = self._send(method, params)
        return interpret(self._answer(request_id, deadline, method))

    def events(self, *, prefix: str = "") -> Iterator[dict[str, Any]]:
        """Yield `{"event", "payload", "seq"}` as they come, until the Gateway stops.

        Raises:
            GatewayDown: The connection was lost without a `shutdown` event.
            GatewayTimeout: The Gateway has gone silent.
        """
        while True:
            frame = self._receive(time.monotonic() + SILENCE_LIMIT_S, "the next event")
            if frame.get("type") != "event":
                continue
            name = str(frame.get("event"))
            if name.startswith(prefix):
                yield {k: frame.get(k) for k in ("event", "payload", "seq")}
            if name == "shutdown":
                return

    def _open(self, deadline: float) -> ClientConnection:
        # Imported here: `--help` and errors in arguments need no WebSocket.
        from websockets.exceptions import WebSocketException  # noqa: PLC0415
        from websockets.sync.client import connect  # noqa: PLC0415

        address = self._address
        try:
            sock = socket.create_connection(
                (address.host, address.port), timeout=_left(deadline)
            )
        except TimeoutError:
            raise self._late("a connection") from None
        except OSError as error:
            raise GatewayDown(
                f"No Gateway listens at {address.url} ({error.strerror}); "
                "start one with: openclaw gateway run"
            ) from error
        try:
            return self._resources.enter_context(
                connect(
                    address.url,
                    sock=sock,
                    open_timeout=_left(deadline),
                    max_size=MAX_MESSAGE_BYTES,
                    compression=None,
                )
            )
        except TimeoutError:
            sock.close()
            raise self._late("the handshake") from None
        except (WebSocketException, EOFError, OSError) as error:
            sock.close()
            raise ProtocolViolated(
                f"What listens at {address.url} is no Gateway."
            ) from error

    def _shake_hands(self, deadline: float) -> dict[str, Any]:
        challenge = self._receive(deadline, "the handshake")
        if challenge.get("event") != "connect.challenge":
            raise ProtocolViolated(
                f"What listens at {self._address.url} is no Gateway."
            )
        request_id = self._send("connect", connect_params(self._address))
        return interpret_hello(
            self._answer(request_id, deadline, "connect"), self._address
        )

    def _send(self, method: str, params: Mapping[str, Any]) -> str:
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415

        self._next_id += 1
        request_id = f"{self._next_id}:{uuid.uuid4()}"
        text = encode_request(request_id, method, params)
        try:
            self._socket.send(text)
        except ConnectionClosed as error:
            raise self._lost() from error
        return request_id

    def _answer(self, request_id: str, deadline: float, what: str) -> dict[str, Any]:
        while True:
            frame = self._receive(deadline, what)
            if frame.get("type") == "res" and frame.get("id") == request_id:
                return frame

    def _receive(self, deadline: float, what: str) -> dict[str, Any]:
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415

        try:
            text = self._socket.recv(timeout=_left(deadline))
        except TimeoutError:
            raise self._late(what) from None
        except ConnectionClosed as error:
            raise self._lost() from error
        return decode_frame(text)

    def _late(self, what: str) -> GatewayTimeout:
        return GatewayTimeout(
            f"The Gateway at {self._address.url} did not answer in time ({what})."
        )

    def _lost(self) -> GatewayDown:
        return GatewayDown(
            f"The Gateway at {self._address.url} closed the connection "
            "before it answered."
        )


def connect_params(address: Address) -> dict[str, Any]:
    """Return the parameters of `connect` for a command of ours."""
    params: dict[str, Any] = {
        "minProtocol": 3,
        "maxProtocol": 4,
        "client": {
            "id": "cli",
            "version": "python",
            "platform": os.name,
            "mode": "cli",
            "instanceId": str(uuid.uuid4()),
        },
        "role": "operator",
        "scopes": list(SCOPES),
        "caps": [],
    }
    if address.secret:
        params["auth"] = {address.mode: address.secret}
    return params


def encode_request(request_id: str, method: str, params: Mapping[str, Any]) -> str:
    """Write a request frame.

    Raises:
        BadParams: The parameters are not JSON-shaped.
    """
    frame = {"type": "req", "id": request_id, "method": method, "params": dict(params)}
    try:
        return json.dumps(frame)
    except (TypeError, ValueError) as error:
        raise BadParams(f"The parameters are not JSON: {error}.") from error


def decode_frame(text: str | bytes) -> dict[str, Any]:
    """Read a frame of a server.

    Raises:
        ProtocolViolated: It is no JSON object.
    """
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        frame = None
    if not isinstance(frame, dict):
        raise ProtocolViolated("The Gateway sent something that is no frame.")
    return frame


def interpret(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload of an answer.

    Raises:
        RequestFailed: The answer is an error.
    """
    if answer.get("ok") is True:
        payload = answer.get("payload")
        return payload if isinstance(payload, dict) else {"result": payload}
    error = answer.get("error")
    shape = error if isinstance(error, dict) else {}
    wire_code = str(shape.get("code") or "UNAVAILABLE")
    details = shape.get("details")
    code = details.get("code") if isinstance(details, dict) else None
    raise RequestFailed(
        str(shape.get("message") or "The Gateway gave no reason."),
        code=str(code or wire_code.lower()),
        wire_code=wire_code,
        retryable=shape.get("retryable") is True,
    )


def interpret_hello(answer: Mapping[str, Any], address: Address) -> dict[str, Any]:
    """Return the payload of `hello-ok`.

    Raises:
        GatewayRefused: The token was not accepted.
        GatewayError: The handshake failed in another way.
    """
    try:
        return interpret(answer)
    except RequestFailed as error:
        if not error.code.upper().startswith("AUTH_") and not str(error).startswith(
            "unauthorized"
        ):
            raise GatewayError(
                f"The Gateway at {address.url} refused the connection: {error}."
            ) from error
        raise GatewayRefused(
            f"The Gateway at {address.url} does not accept this {address.mode} "
            f"({error}); set OPENCLAW_GATEWAY_TOKEN to the Gateway's own."
        ) from None


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in {"ws", "wss"} and bool(parts.hostname)
        is_good = is_good and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        raise ConfigInvalid(
            "must look like ws://host:port or wss://host.",
            key_path="OPENCLAW_GATEWAY_URL",
        )
    return url
