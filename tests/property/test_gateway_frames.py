"""Whatever a peer sends is a frame or a documented error."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from openclaw_gateway.errors import ProtocolViolated
from openclaw_gateway.rpc import frames
from openclaw_gateway.rpc.client import decode_frame, interpret
from openclaw_gateway.rpc.frames import FrameError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=10,
)
frame_keys = st.sampled_from(["type", "id", "method", "params", "extra"])


def attempt(parse, message):
    """Return what was read and no error, or nothing and the documented error."""
    try:
        return parse(message), None
    except FrameError as error:
        return None, error


client_frames = st.dictionaries(frame_keys, json_values | st.just("req"))


@given(st.text())
def test_any_text_is_a_request_or_an_error(text):
    request, error = attempt(frames.parse_request, text)
    assert request.type == "req" if request else error.request_id


@given(client_frames)
def test_any_object_is_a_request_or_an_error_with_its_id(frame):
    request, error = attempt(frames.parse_request, json.dumps(frame))
    if request:
        assert (request.id, request.method) == (frame["id"], frame["method"])
    else:
        assert error.is_json
        assert error.request_id in ("invalid", frame.get("id"))


@given(st.dictionaries(st.text(max_size=12), json_values, max_size=4))
def test_any_connect_params_are_read_or_explained(params):
    read, error = attempt(frames.parse_connect, params)
    assert read or str(error).startswith("invalid connect params: at /")


@given(st.text(min_size=1, max_size=256), json_values)
def test_what_is_written_is_read_back(request_id, payload):
    answer = decode_frame(frames.encode_result(request_id, {"value": payload}).decode())
    assert answer["id"] == request_id
    assert interpret(answer) == {"value": payload}


@given(st.binary() | st.text())
def test_a_client_survives_any_message(message):
    try:
        frame = decode_frame(message)
    except ProtocolViolated:
        return
    assert isinstance(frame, dict)
