"""The host's agent behind the runtime's interface."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from voice_call.call.model import CallId, Direction, Speaker, TranscriptEntry
from voice_call.errors import AgentError
from voice_call.host import END_CALL_TOOL, HostAgent
from voice_call.runtime.agent import AgentTurn, EndCallRequested, TextDelta
from voice_call.testing.host import FakeHost

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

pytestmark = pytest.mark.anyio

TURN = AgentTurn(
    call_id=CallId("call-1"),
    reply_id="reply-7",
    session_key="voice:15550009876",
    direction=Direction.OUTBOUND,
    peer="+15550009876",
    heard=("Hello?", "Who is this?"),
    history=(TranscriptEntry(at=1.0, speaker=Speaker.AGENT, text="Good morning."),),
    language="en-US",
    timeout_s=30.0,
)


def text(delta: object) -> dict[str, Any]:
    return {"type": "text", "delta": delta}


def tool_call(name: str) -> dict[str, Any]:
    return {"type": "tool_call", "name": name, "arguments": {}}


def agent_of(
    folder: Path, *replies: tuple[Mapping[str, Any] | float | Exception, ...]
) -> tuple[HostAgent, FakeHost]:
    host = FakeHost(state_dir=folder, replies=replies)
    return HostAgent(host, model="openai/some", system_prompt="Be brief."), host


async def test_what_the_host_is_asked(tmp_path: Path):
    agent, host = agent_of(tmp_path)
    assert [each async for each in agent.reply(TURN)] == [TextDelta(text="All right.")]
    assert host.requests == [
        {
            "runId": "voice:call-1:reply-7",
            "sessionKey": "voice:15550009876",
            "message": "Hello?\nWho is this?",
            "model": "openai/some",
            "systemPrompt": "Be brief.",
            "callTools": ["end_call"],
            "timeoutS": 30.0,
            "language": "en-US",
        }
    ]


async def test_caller_speech_never_becomes_a_system_prompt(tmp_path: Path):
    host = FakeHost(state_dir=tmp_path)
    agent = HostAgent(host, model=None, system_prompt=None)
    assert len([each async for each in agent.reply(TURN)]) == 1
    (request,) = host.requests
    assert request["systemPrompt"] is None
    assert request["model"] is None


async def test_text_and_hang_up_come_in_order(tmp_path: Path):
    steps = (text("Good"), 0.5, text("bye."), tool_call(END_CALL_TOOL))
    agent, _ = agent_of(tmp_path, steps)
    assert [each async for each in agent.reply(TURN)] == [
        TextDelta(text="Good"),
        TextDelta(text="bye."),
        EndCallRequested(),
    ]


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": "usage", "tokens": 7},
        {"type": None},
        tool_call("search"),
        {"type": "tool_call"},
    ],
)
async def test_events_that_say_nothing_are_passed_over(
    tmp_path: Path, event: Mapping[str, Any]
) -> None:
    agent, _ = agent_of(tmp_path, (event, text("Hi.")))
    assert [each async for each in agent.reply(TURN)] == [TextDelta(text="Hi.")]


@pytest.mark.parametrize("event", [{"type": "text"}, text(None), text("")])
async def test_a_text_without_words_is_empty(
    tmp_path: Path, event: Mapping[str, Any]
) -> None:
    agent, _ = agent_of(tmp_path, (event,))
    assert [each async for each in agent.reply(TURN)] == [TextDelta(text="")]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (RuntimeError("No model."), "The agent failed: No model."),
        (AgentError("It took too long."), "It took too long."),
    ],
)
async def test_a_failing_agent_is_an_agent_error(
    tmp_path: Path, fault: Exception, expected: str
) -> None:
    agent, _ = agent_of(tmp_path, (text("Well,"), fault))
    heard: list[object] = []
    with pytest.raises(AgentError) as caught:
        heard.extend([each async for each in agent.reply(TURN)])
    assert str(caught.value) == expected
    assert caught.value.code == "agent_failed"


async def test_closing_the_reply_ends_the_host_s_run(tmp_path: Path):
    agent, host = agent_of(tmp_path, (text("One."), text("Two.")))
    async with aclosing(agent.reply(TURN)) as reply:
        assert await anext(reply) == TextDelta(text="One.")
    assert host.cancelled == ["voice:call-1:reply-7"]


async def test_cancelling_the_reply_cancels_the_host_s_run(tmp_path: Path):
    agent, host = agent_of(tmp_path, (3600.0, text("Late.")))

    async def take() -> None:
        async for _ in agent.reply(TURN):
            pass

    task = asyncio.ensure_future(take())
    await asyncio.sleep(1.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert host.cancelled == ["voice:call-1:reply-7"]
