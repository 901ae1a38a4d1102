"""The frames of the Gateway protocol, versions 3 and 4 (PURE).

One JSON object per WebSocket text message:

    {"type": "req",   "id", "method", "params"?}                      client → server
    {"type": "res",   "id", "ok", "payload" | "error"}                server → client
    {"type": "event", "event", "payload", "seq"?}                     server → client

    error = {"code", "message", "details"?, "retryable"?, "retryAfterMs"?}

The server speaks first (`connect.challenge`), the client's first request is `connect`,
and its answer is `hello-ok`. Objects are closed: an unknown key is an error. Seen on the
wire of OpenClaw 2026.2 (protocol 3) and 2026.9 (protocol 4).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

__all__ = [
    "INVALID_REQUEST",
    "PROTOCOL_MAX",
    "PROTOCOL_MIN",
    "UNAVAILABLE",
    "Client",
    "ConnectParams",
    "Credentials",
    "ErrorShape",
    "FrameError",
    "Request",
    "choose_protocol",
    "encode_error",
    "encode_event",
    "encode_result",
    "parse_connect",
    "parse_request",
]

PROTOCOL_MIN = 3
PROTOCOL_MAX = 4

INVALID_REQUEST = "INVALID_REQUEST"
"""The request is wrong; sending it again unchanged cannot help."""
UNAVAILABLE = "UNAVAILABLE"
"""The request may be right, but it could not be carried out."""

NO_ID = "invalid"
"""Stands in for the id of a frame that has none."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Version = Annotated[int, msgspec.Meta(ge=1)]

ClientId = Literal[
    "webchat-ui",
    "openclaw-control-ui",
    "webchat",
    "cli",
    "gateway-client",
    "openclaw-macos",
    "openclaw-ios",
    "openclaw-android",
    "node-host",
    "test",
    "fingerprint",
    "openclaw-probe",
]
ClientMode = Literal["webchat", "cli", "ui", "backend", "node", "probe", "test"]


class _Closed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object that allows no other keys."""


class Request(_Closed, frozen=True, kw_only=True):
    """A request frame.

    Attributes:
        id: Chosen by the client; comes back in the answer.
        method: What is asked for.
        params: Its parameters.
    """

    type: Literal["req"]
    id: Name
    method: Name
    params: dict[str, Any] | None = None


class Client(_Closed, frozen=True, kw_only=True, rename="camel"):
    """Which program connects."""

    id: ClientId
    version: Name
    platform: Name
    mode: ClientMode
    display_name: Name | None = None
    device_family: Name | None = None
    model_identifier: Name | None = None
    instance_id: Name | None = None


class Credentials(_Closed, frozen=True, kw_only=True, rename="camel"):
    """How the client proves that it may connect."""

    token: str | None = None
    password: str | None = None
    bootstrap_token: str | None = None
    device_token: str | None = None


class Device(_Closed, frozen=True, kw_only=True, rename="camel"):
    """A device identity; accepted, but the shared secret decides."""

    id: Name
    public_key: Name
    signature: Name
    signed_at: int
    nonce: str | None = None


class ConnectParams(_Closed, frozen=True, kw_only=True, rename="camel"):
    """Parameters of the first request."""

    min_protocol: Version
    max_protocol: Version
    client: Client
    role: Literal["operator", "node"] = "operator"
    scopes: tuple[Name, ...] = ()
    auth: Credentials | None = None
    device: Device | None = None
    caps: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    permissions: dict[str, bool] | None = None
    path_env: str | None = None
    locale: str | None = None
    user_agent: str | None = None


class ErrorShape(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True
):
    """What goes wrong, as the wire says it.

    Attributes:
        code: The protocol's class of errors.
        message: One sentence.
        details: `{"code": …}`, the stable code of the failure, and more.
        retryable: Whether the same request may succeed later.
        retry_after_ms: When to try again, in milliseconds.
    """

    code: str
    message: str
    details: dict[str, Any] | None = None
    retryable: bool | None = None
    retry_after_ms: int | None = None


class FrameError(Exception):
    """Raised when a message is not a valid frame.

    Attributes:
        request_id: The id to answer with.
        is_json: False where the message is no JSON at all.
    """

    def __init__(self, message: str, *, request_id: str = NO_ID, is_json: bool) -> None:
        super().__init__(message)
        self.request_id = request_id
        self.is_json = is_json


class _AnyId(msgspec.Struct):
    id: Any = None


_request = msgspec.json.Decoder(Request)
_any_id = msgspec.json.Decoder(_AnyId)
_anything = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
_PATH = re.compile(r" - at `(.*)`$")


def parse_request(text: str) -> Request:
    """Read one message of a client.

    Raises:
        FrameError: It is not JSON, or not a request frame.
    """
    try:
        return _request.decode(text)
    except msgspec.ValidationError:
        raise FrameError(
            "invalid request frame", request_id=_id_of(text), is_json=True
        ) from None
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise FrameError("not a JSON text", is_json=False) from None


def parse_connect(params: dict[str, Any] | None) -> ConnectParams:
    """Read the parameters of `connect`.

    Raises:
        FrameError: With the sentence that OpenClaw's own Gateway gives.
    """
    try:
        return msgspec.convert(params or {}, ConnectParams)
    except msgspec.ValidationError as error:
        raise FrameError(
            f"invalid connect params: {_json_pointer(str(error))}", is_json=True
        ) from None


def choose_protocol(params: ConnectParams) -> int | None:
    """Return the highest version both sides speak, or None."""
    chosen = min(PROTOCOL_MAX, params.max_protocol)
    return chosen if chosen >= max(PROTOCOL_MIN, params.min_protocol) else None


def encode_result(request_id: str, payload: Any) -> bytes:
    """Write the answer to a request that went well.

    Raises:
        TypeError: The payload is not JSON-shaped.
    """
    return _encoder.encode(
        {"type": "res", "id": request_id, "ok": True, "payload": payload}
    )


def encode_error(request_id: str, error: ErrorShape) -> bytes:
    """Write the answer to a request that failed."""
    return _encoder.encode(
        {"type": "res", "id": request_id, "ok": False, "error": error}
    )


def encode_event(event: str, payload: Any, *, seq: int | None = None) -> bytes:
    """Write an event; `seq` counts the broadcast events of one connection from 1.

    Raises:
        TypeError: The payload is not JSON-shaped.
    """
    frame = {"type": "event", "event": event, "payload": payload}
    if seq is not None:
        frame["seq"] = seq
    return _encoder.encode(frame)


def _id_of(text: str) -> str:
    """Return the id of a frame that is wrong in another way."""
    try:
        found = _any_id.decode(text).id
    except (msgspec.DecodeError, ValueError, RecursionError):
        return NO_ID
    return found if isinstance(found, str) and 0 < len(found) <= 256 else NO_ID  # noqa: PLR2004 - as Name


def _json_pointer(message: str) -> str:
    """Say where and what, as `at /client/id: must be …`."""
    found = _PATH.search(message)
    what = message[: found.start()] if found else message
    where = found.group(1).removeprefix("$").replace(".", "/") if found else ""
    if what.startswith("Invalid enum value"):
        what = "must be equal to one of the allowed values"
    return f"at {where or '/'}: {what}"
