"""Any text from a client is a request or a documented error, and is answered.

Invariants: `parse_request` and `parse_connect` raise `FrameError` and nothing else; its
message and its id can always be encoded into an answer; a client reading what a server
sent raises `ProtocolViolated` and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from smoke import mutations, run_for_long

from openclaw_gateway.errors import ProtocolViolated
from openclaw_gateway.rpc import frames
from openclaw_gateway.rpc.client import decode_frame
from openclaw_gateway.rpc.frames import ErrorShape, FrameError

SEEDS = (
    b'{"type":"req","id":"1","method":"health","params":{}}',
    (
        b'{"type":"req","id":"2","method":"connect","params":{"minProtocol":3,'
        b'"maxProtocol":4,"client":{"id":"cli","version":"1","platform":"linux",'
        b'"mode":"cli"},"auth":{"token":"t"},"role":"operator","scopes":[]}}'
    ),
    b'{"type":"res","id":"1","ok":false,"error":{"code":"UNAVAILABLE","message":"m"}}',
    b'{"type":"event","event":"tick","payload":{"ts":1},"seq":2}',
    b'[1,-0.5e9,"\\ud83d\\ude00",null]',
)


def one_input(data: bytes) -> None:
    """Judge one input."""
    text = data.decode("utf-8", errors="replace")
    try:
        request = frames.parse_request(text)
    except FrameError as error:
        shape = ErrorShape(code=frames.INVALID_REQUEST, message=str(error))
        json.loads(frames.encode_error(error.request_id, shape))
    else:
        json.loads(frames.encode_result(request.id, {"echo": request.params}))
        _connect(request)
    try:
        decode_frame(text)
    except ProtocolViolated:
        return


def _connect(request: frames.Request) -> None:
    with contextlib.suppress(FrameError):
        frames.choose_protocol(frames.parse_connect(request.params))


def test_smoke() -> None:
    for data in mutations(SEEDS, count=2000):
        one_input(data)


if __name__ == "__main__":
    run_for_long(one_input)
