"""The playout buffer against a plain model, and the webhook form against any bytes."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from voice_call.carriers.base import ClearAudio, HttpRequest, SendAudio, SendMark
from voice_call.carriers.simulated.line import PlayoutBuffer
from voice_call.carriers.simulated.webhooks import SimulatedWebhooks
from voice_call.errors import RemoteProtocolError

CAPACITY = 2000


class PlayoutModel(RuleBasedStateMachine):
    """Every byte and every mark comes out once, in order, or is counted as dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = PlayoutBuffer(capacity_bytes=CAPACITY)
        self.waiting: list[int | str] = []
        self.sent = 0

    @property
    def depth(self) -> int:
        return sum(isinstance(entry, int) for entry in self.waiting)

    @rule(size=st.integers(0, 700))
    def send(self, size: int) -> None:
        payload = bytes((self.sent + n) % 251 for n in range(size))
        self.sent += size
        dropped = self.buffer.dropped_bytes
        assert self.buffer.push(SendAudio(payload=payload)) == ()
        taken = min(size, CAPACITY - self.depth)
        self.waiting += payload[:taken]
        assert self.buffer.dropped_bytes - dropped == size - taken

    @rule()
    def mark(self) -> None:
        self.sent += 1
        name = f"mark {self.sent}"
        if self.waiting:
            assert self.buffer.push(SendMark(name=name)) == ()
            self.waiting.append(name)
        else:
            assert self.buffer.push(SendMark(name=name)) == (name,)

    @rule()
    def clear(self) -> None:
        names = tuple(entry for entry in self.waiting if isinstance(entry, str))
        assert self.buffer.push(ClearAudio()) == names
        self.waiting.clear()

    @rule()
    def play(self) -> None:
        audio, marks = bytearray(), []
        while self.waiting:
            entry = self.waiting[0]
            if isinstance(entry, int):
                if len(audio) == 160:
                    break
                audio.append(entry)
            else:
                marks.append(entry)
            self.waiting.pop(0)
        played = self.buffer.play()
        assert played.audio == bytes(audio).ljust(160, b"\xff")
        assert played.voiced_bytes == len(audio)
        assert played.marks == tuple(marks)

    @invariant()
    def depth_is_known_and_bounded(self) -> None:
        assert self.buffer.depth_bytes == self.depth <= CAPACITY


TestPlayout = PlayoutModel.TestCase

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
ENTRY = st.dictionaries(
    st.sampled_from(
        [
            "type",
            "callId",
            "providerCallId",
            "id",
            "transcript",
            "isFinal",
            "digits",
            "confidence",
            "reason",
            "error",
            "answeredBy",
            "direction",
            "from",
            "to",
        ]
    ),
    st.sampled_from(["call.speech", "call.dtmf", "call.ended", "call.amd"]) | JSON,
)


@given(st.binary())
def test_any_body_has_a_value_or_the_documented_error(body: bytes) -> None:
    request = HttpRequest(
        method="POST", url="https://a.example/", headers={}, body=body
    )
    codec = SimulatedWebhooks()
    verdict = codec.verify(request, now=0.0)
    assert verdict.request_key is not None
    try:
        codec.decode(request, request_key=verdict.request_key)
    except RemoteProtocolError:
        return


@given(st.lists(ENTRY, max_size=5))
def test_any_entries_decode_to_notices_of_a_call(
    entries: list[object],
) -> None:
    body = json.dumps({"events": entries}).encode()
    request = HttpRequest(
        method="POST", url="https://a.example/", headers={}, body=body
    )
    for notice in SimulatedWebhooks().decode(request, request_key="k"):
        assert notice.carrier_call_id
        assert notice.dedupe_key
