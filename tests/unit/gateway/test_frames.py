from __future__ import annotations

import json

import pytest

from openclaw_gateway.rpc import frames
from openclaw_gateway.rpc.frames import ErrorShape, FrameError

CONNECT = {
    "minProtocol": 4,
    "maxProtocol": 4,
    "client": {
        "id": "cli",
        "version": "2026.9.6",
        "platform": "linux",
        "deviceFamily": "Linux",
        "mode": "cli",
        "instanceId": "9b0c",
    },
    "caps": [],
    "auth": {"token": "secret"},
    "role": "operator",
    "scopes": ["operator.admin", "operator.talk.secrets"],
}
"""What OpenClaw 2026.9's own command line sends."""

CONNECT_FEB = {
    "minProtocol": 3,
    "maxProtocol": 3,
    "client": {"id": "cli", "version": "dev", "platform": "linux", "mode": "cli"},
    "scopes": ["operator.admin", "operator.approvals", "operator.pairing"],
    "device": {
        "id": "ab12",
        "publicKey": "cHVi",
        "signature": "c2ln",
        "signedAt": 1_770_000_000_000,
        "nonce": "n",
    },
    "auth": {"token": "secret"},
}
"""What OpenClaw 2026.2's own command line sends."""


DEEP = '{"type":"req","id":"1","method":"m","params":{"a":' + "[" * 100_000


def test_a_request_is_read():
    request = frames.parse_request(
        '{"type":"req","id":"1:a","method":"status","params":{"callId":"c"}}'
    )
    assert request.id == "1:a"
    assert request.method == "status"
    assert request.params == {"callId": "c"}


def test_a_request_needs_no_params():
    assert frames.parse_request('{"type":"req","id":"1","method":"m"}').params is None


@pytest.mark.parametrize(
    ("text", "request_id"),
    [
        ('{"type":"res","id":"7","method":"m"}', "7"),
        ('{"type":"req","id":"7"}', "7"),
        ('{"type":"req","id":"7","method":""}', "7"),
        ('{"type":"req","id":"7","method":"m","extra":1}', "7"),
        ('{"type":"req","id":"7","method":"m","params":[1]}', "7"),
        ('{"type":"req","id":7,"method":"m"}', "invalid"),
        ('{"type":"req","id":"","method":"m"}', "invalid"),
        ('{"type":"req","method":"m"}', "invalid"),
        ('{"type":"req","id":"' + "x" * 257 + '","method":"m"}', "invalid"),
        ("[]", "invalid"),
        ("3", "invalid"),
    ],
)
def test_a_json_text_that_is_no_request_names_the_id_to_answer(text, request_id):
    with pytest.raises(FrameError, match=r"^invalid request frame$") as caught:
        frames.parse_request(text)
    assert caught.value.request_id == request_id
    assert caught.value.is_json


@pytest.mark.parametrize(
    "text", ["", "hello", "{", '{"type":"req"', "\ud800", "nul", DEEP]
)
def test_a_text_that_is_no_json_is_told_apart(text):
    with pytest.raises(FrameError) as caught:
        frames.parse_request(text)
    assert not caught.value.is_json


@pytest.mark.parametrize("params", [CONNECT, CONNECT_FEB])
def test_the_handshake_of_openclaws_own_command_line_is_read(params):
    read = frames.parse_connect(params)
    assert read.client.id == "cli"
    assert read.auth is not None
    assert read.auth.token == "secret"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"client": CONNECT["client"] | {"id": "me"}},
            "at /client/id: must be equal to one of the allowed values",
        ),
        (
            {"client": CONNECT["client"] | {"mode": "me"}},
            "at /client/mode: must be equal to one of the allowed values",
        ),
        ({"role": "king"}, "at /role: must be equal to one of the allowed values"),
        ({"more": 1}, "at /: Object contains unknown field `more`"),
        (
            {"auth": {"key": "k"}},
            "at /auth: Object contains unknown field `key`",
        ),
        ({"minProtocol": "4"}, "at /minProtocol: Expected `int`, got `str`"),
        ({"minProtocol": 0}, "at /minProtocol: Expected `int` >= 1"),
    ],
)
def test_a_wrong_handshake_is_explained(change, message):
    with pytest.raises(FrameError) as caught:
        frames.parse_connect(CONNECT | change)
    assert str(caught.value) == f"invalid connect params: {message}"


def test_a_handshake_without_params_names_what_is_missing():
    with pytest.raises(FrameError, match="missing required field `minProtocol`"):
        frames.parse_connect(None)


@pytest.mark.parametrize(
    ("low", "high", "chosen"),
    [
        (3, 3, 3),
        (4, 4, 4),
        (3, 4, 4),
        (1, 9, 4),
        (1, 3, 3),
        (1, 2, None),
        (5, 9, None),
        (4, 3, None),
    ],
)
def test_the_highest_common_version_is_chosen(low, high, chosen):
    params = frames.parse_connect(CONNECT | {"minProtocol": low, "maxProtocol": high})
    assert frames.choose_protocol(params) == chosen


def test_a_result_is_written():
    assert json.loads(frames.encode_result("1", {"a": 1})) == {
        "type": "res",
        "id": "1",
        "ok": True,
        "payload": {"a": 1},
    }


def test_an_error_leaves_out_what_it_does_not_say():
    shape = ErrorShape(code="UNAVAILABLE", message="No.", details={"code": "x"})
    assert json.loads(frames.encode_error("1", shape)) == {
        "type": "res",
        "id": "1",
        "ok": False,
        "error": {"code": "UNAVAILABLE", "message": "No.", "details": {"code": "x"}},
    }


def test_an_error_says_when_to_try_again():
    shape = ErrorShape(
        code="UNAVAILABLE", message="No.", retryable=True, retry_after_ms=1500
    )
    error = json.loads(frames.encode_error("1", shape))["error"]
    assert error["retryable"] is True
    assert error["retryAfterMs"] == 1500


@pytest.mark.parametrize(("seq", "extra"), [(None, {}), (3, {"seq": 3})])
def test_an_event_is_numbered_if_asked(seq, extra):
    written = json.loads(frames.encode_event("tick", {"ts": 1}, seq=seq))
    assert written == {"type": "event", "event": "tick", "payload": {"ts": 1}} | extra


def test_a_payload_that_is_no_json_is_a_type_error():
    with pytest.raises(TypeError):
        frames.encode_result("1", {"a": object()})
