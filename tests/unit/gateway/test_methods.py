from __future__ import annotations

import asyncio

import pytest
import structlog

from openclaw_gateway.errors import BadParams, GatewayTimeout, RequestFailed
from openclaw_gateway.rpc.auth import READ, WRITE
from openclaw_gateway.rpc.methods import (
    AnswerMemory,
    Method,
    MethodTable,
    describe_error,
)

pytestmark = pytest.mark.anyio


class Counter:
    """A handler that counts its runs."""

    def __init__(self, *, fails=False):
        self.runs = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = fails

    async def __call__(self, params):
        self.runs.append(dict(params))
        await self.gate.wait()
        if self.fails:
            raise BadParams("No.")
        return {"run": len(self.runs)}


def method(handler, *, name="m", scope=WRITE):
    return Method(name=name, handler=handler, scope=scope)


async def test_a_name_is_taken_once():
    table = MethodTable()
    table.add(method(Counter()))
    with pytest.raises(ValueError, match="registered already by core"):
        table.add(method(Counter()))
    assert table.names == ["m"]


@pytest.mark.parametrize(
    ("name", "scopes", "message"),
    [
        ("m", (WRITE,), None),
        ("m", (READ,), "missing scope: operator.write"),
        ("m", (), "missing scope: operator.write"),
        ("free", (), None),
        ("nope", (WRITE,), "unknown method: nope"),
    ],
)
async def test_who_may_call_what(name, scopes, message):
    table = MethodTable()
    table.add(method(Counter()))
    table.add(method(Counter(), name="free", scope=""))
    refused = table.refuse(name, scopes)
    assert (refused and refused.message) == message


async def test_without_a_key_every_request_runs():
    table, counter = MethodTable(), Counter()
    assert await table.call(method(counter), {"a": 1}) == {"run": 1}
    assert await table.call(method(counter), {"a": 1}) == {"run": 2}


async def test_a_key_gets_the_same_answer_and_is_not_passed_on():
    table, counter = MethodTable(), Counter()
    params = {"a": 1, "idempotencyKey": "k"}
    assert await table.call(method(counter), params) == {"run": 1}
    assert await table.call(method(counter), params) == {"run": 1}
    assert counter.runs == [{"a": 1}]


async def test_a_key_counts_per_method():
    table, counter = MethodTable(), Counter()
    await table.call(method(counter), {"idempotencyKey": "k"})
    await table.call(method(counter, name="n"), {"idempotencyKey": "k"})
    assert len(counter.runs) == 2


async def test_a_doubled_request_waits_for_the_first():
    table, counter = MethodTable(), Counter()
    counter.gate.clear()
    calls = [
        asyncio.create_task(table.call(method(counter), {"idempotencyKey": "k"}))
        for _ in range(3)
    ]
    await asyncio.sleep(1)
    counter.gate.set()
    assert await asyncio.gather(*calls) == [{"run": 1}] * 3


async def test_the_first_run_goes_on_when_its_caller_is_cancelled():
    table, counter = MethodTable(), Counter()
    counter.gate.clear()
    first = asyncio.create_task(table.call(method(counter), {"idempotencyKey": "k"}))
    await asyncio.sleep(1)
    first.cancel()
    await asyncio.wait([first])
    counter.gate.set()
    assert await table.call(method(counter), {"idempotencyKey": "k"}) == {"run": 1}


async def test_a_failure_is_remembered_too():
    table, counter = MethodTable(), Counter(fails=True)
    for _ in range(2):
        with pytest.raises(BadParams):
            await table.call(method(counter), {"idempotencyKey": "k"})
    assert len(counter.runs) == 1


async def test_a_key_does_not_fit_other_parameters():
    table, counter = MethodTable(), Counter()
    await table.call(method(counter), {"idempotencyKey": "k", "a": 1})
    with pytest.raises(BadParams, match="other parameters"):
        await table.call(method(counter), {"idempotencyKey": "k", "a": 2})


@pytest.mark.parametrize("key", ["", "x" * 257, 3, None])
async def test_a_key_is_a_short_text(key):
    with pytest.raises(BadParams, match="1 to 256"):
        await MethodTable().call(method(Counter()), {"idempotencyKey": key})


async def test_a_key_is_forgotten_after_its_time():
    memory, counter = AnswerMemory(keep_s=60), Counter()
    await memory.run_once(method(counter), "k", {})
    await asyncio.sleep(61)
    assert await memory.run_once(method(counter), "k", {}) == {"run": 2}


async def test_the_memory_is_bounded():
    memory, counter = AnswerMemory(max_answers=3), Counter()
    for number in range(10):
        await memory.run_once(method(counter), f"k{number}", {})
    assert len(memory) == 3


async def test_a_run_in_progress_is_never_forgotten():
    memory, counter = AnswerMemory(keep_s=1, max_answers=1), Counter()
    counter.gate.clear()
    running = asyncio.create_task(memory.run_once(method(counter), "k", {}))
    await asyncio.sleep(5)
    other = Counter()
    for number in range(3):
        await memory.run_once(method(other, name="o"), str(number), {})
    counter.gate.set()
    assert await memory.run_once(method(counter), "k", {}) == {"run": 1}
    await running


class PluginError(Exception):
    """Has the shape that plugins' errors have, and nothing of ours."""

    def __init__(self, code, is_request_fault, retryable=None):
        super().__init__("Say what to do.")
        self.code = code
        self.is_request_fault = is_request_fault
        if retryable is not None:
            self.retryable = retryable


@pytest.mark.parametrize(
    ("error", "wire"),
    [
        (PluginError("unknown_call", True), ("INVALID_REQUEST", "unknown_call", None)),
        (PluginError("limit", False), ("UNAVAILABLE", "limit", None)),
        (PluginError("carrier", False, True), ("UNAVAILABLE", "carrier", True)),
        (GatewayTimeout("Late."), ("UNAVAILABLE", "gateway_timeout", None)),
        (
            RequestFailed("No.", code="c", wire_code="INVALID_REQUEST"),
            ("INVALID_REQUEST", "c", False),
        ),
    ],
)
async def test_an_error_with_a_code_speaks_for_itself(error, wire):
    shape = describe_error(error, method="m")
    assert (shape.code, shape.details["code"], shape.retryable) == wire
    assert shape.message == str(error)


@pytest.mark.parametrize(
    "error", [ValueError("the secret"), PluginError(3, True), PluginError("c", "yes")]
)
async def test_a_defect_is_logged_and_told_without_its_words(error):
    with structlog.testing.capture_logs() as logs:
        shape = describe_error(error, method="m")
    assert shape.details == {"code": "internal_error"}
    assert shape.message == "m failed inside the Gateway; its log says why."
    assert logs[0]["method"] == "m"
    assert logs[0]["exc_info"] is error
