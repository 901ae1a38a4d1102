"""The host and the Gateway that follow a script do what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from voice_call.testing.gateway import FakeGatewayClient, GatewayFault
from voice_call.testing.host import FakeHost

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def echo(params: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"got": params}


async def test_a_name_is_taken_once(tmp_path: Path):
    host = FakeHost(state_dir=tmp_path)
    host.register_method("m", echo, scope="operator.read")
    with pytest.raises(ValueError, match="m is registered already"):
        host.register_method("m", echo, scope="operator.read")


async def test_what_is_not_json_shaped_fails(tmp_path: Path):
    host = FakeHost(state_dir=tmp_path)
    host.register_tool("t", "Echoes.", {"type": "object"}, echo)
    assert await host.use_tool("t", a=[1]) == {"got": {"a": [1]}}
    with pytest.raises(TypeError, match="not JSON serializable"):
        await host.use_tool("t", a=tmp_path)


async def test_services_stop_in_reverse_order(tmp_path: Path):
    done: list[str] = []
    host = FakeHost(state_dir=tmp_path)
    for name in ("one", "two"):

        async def start(name: str = name) -> None:
            done.append(f"start {name}")

        async def stop(limit_s: float, name: str = name) -> None:
            done.append(f"stop {name} {limit_s}")

        host.register_service(name, start, stop)
    await host.start()
    await host.stop(5.0)
    assert done == ["start one", "start two", "stop two 5.0", "stop one 5.0"]


def test_answers_come_in_order_and_the_last_one_stays(tmp_path: Path):
    fault = GatewayFault("gateway_down")
    client = FakeGatewayClient(
        state_dir=tmp_path, answers={"m": [fault, {"n": 1}, {"n": 2}]}
    )
    with pytest.raises(GatewayFault, match="as told"):
        client.call("m", {}, timeout_s=1.0)
    answers = [client.call("m", {"k": 1}, timeout_s=1.0) for _ in range(3)]
    assert answers == [{"n": 1}, {"n": 2}, {"n": 2}]
    assert client.calls[-1].params == {"k": 1}


def test_a_method_without_an_answer_is_unknown(tmp_path: Path):
    with pytest.raises(GatewayFault, match="Nobody answers m") as caught:
        FakeGatewayClient(state_dir=tmp_path).call("m", {}, timeout_s=1.0)
    assert caught.value.code == "unknown_method"
