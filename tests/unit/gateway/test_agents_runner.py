"""Whose turn it is: agents, their models and tools, and what a session remembers."""

from __future__ import annotations

import asyncio
import json

import pytest

from openclaw_gateway.agents.base import (
    Message,
    TextDelta,
    ToolAnswered,
    ToolRequest,
    ToolsRequested,
    UsageReported,
)
from openclaw_gateway.agents.meter import MAX_TOOLS, Durations, RunMeter
from openclaw_gateway.agents.models.base import ModelFailed
from openclaw_gateway.agents.runner import AgentRunner
from openclaw_gateway.agents.sessions import SessionStore
from openclaw_gateway.agents.settings import AgentProfile, AgentSettings
from openclaw_gateway.agents.tools import ToolPolicy
from openclaw_gateway.errors import AgentFailed
from openclaw_gateway.plugins.api import ToolSpec

pytestmark = pytest.mark.anyio

NOW = 1_700_000_000.0
REQUEST = {"runId": "r", "sessionKey": "k", "message": "hello"}
ASKED = ToolRequest(id="id1", name="look_up", arguments='{"n": 1}')


class Scripted:
    """An agent that yields what it was given; an exception is raised."""

    def __init__(self, *events):
        self.turns = []
        self.is_warm = self.is_closed = False
        self._events = events

    async def warm(self):
        self.is_warm = True

    async def close(self):
        self.is_closed = True

    async def reply(self, turn):
        self.turns.append(turn)
        for event in self._events:
            if isinstance(event, Exception):
                raise event
            yield event


class Endless(Scripted):
    async def reply(self, turn):
        yield TextDelta(text="One.")
        await asyncio.Event().wait()


class Unusable(Scripted):
    async def warm(self):
        raise AgentFailed("No key.")


async def no_op(_):
    return {}


def spec(name):
    return ToolSpec(
        name=name, description="", parameters={}, execute=no_op, owner="test"
    )


def runner_of(tmp_path, *profiles, **providers):
    settings = AgentSettings(
        profiles={profile.id: profile for profile in profiles},
        default_id=profiles[0].id,
    )
    return AgentRunner(
        providers=providers,
        sessions=SessionStore(tmp_path),
        agents=settings,
        tools=lambda: {name: spec(name) for name in ("look_up", "dial")},
        now=lambda: NOW,
    )


async def collect(runner, **request):
    return [event async for event in runner.run(REQUEST | request)]


def lines_of(tmp_path, agent="main"):
    (path,) = (tmp_path / "agents" / agent / "sessions").iterdir()
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_each_agent_has_its_model_prompt_and_sessions(tmp_path):
    agent = Scripted(TextDelta(text="Yes."))
    runner = runner_of(
        tmp_path,
        AgentProfile(id="main", model="test/one"),
        AgentProfile(id="sales", model="test/two", system_prompt="Sell."),
        test=agent,
    )
    await collect(runner)
    await collect(runner, agentId="sales", systemPrompt="Be brief.")
    await collect(runner, sessionKey="agent:sales:x")
    assert [turn.model for turn in agent.turns] == ["one", "two", "two"]
    assert agent.turns[0].system_prompt is None
    assert agent.turns[1].system_prompt == "Sell.\n\nBe brief."
    assert agent.turns[1].history == ()
    assert len(lines_of(tmp_path)) == 3


@pytest.mark.parametrize("request_", [{"agentId": "x"}, {"sessionKey": "agent:x:1"}])
async def test_an_unknown_agent_is_named(tmp_path, request_):
    runner = runner_of(tmp_path, AgentProfile(model="test/one"), test=Scripted())
    with pytest.raises(AgentFailed, match="There is no agent x; there is main"):
        await collect(runner, **request_)


async def test_tools_are_those_that_the_agent_may_use(tmp_path):
    agent = Scripted()
    runner = runner_of(
        tmp_path,
        AgentProfile(model="test/m", tools=ToolPolicy(allow=("dial",))),
        AgentProfile(id="mute", model="test/m", tools=ToolPolicy(allow=())),
        test=agent,
    )
    await collect(runner, callTools=["end_call"])
    await collect(runner, callTools=["end_call"], agentId="mute")
    speaking, mute = agent.turns
    assert [tool.name for tool in speaking.tools] == ["dial"]
    assert speaking.call_tools == ("end_call",)
    assert (mute.tools, mute.call_tools) == ((), ())


async def test_calls_think_less(tmp_path):
    agent = Scripted()
    profile = AgentProfile(model="test/m", thinking="high")
    runner = runner_of(tmp_path, profile, test=agent)
    await collect(runner)
    await collect(runner, channel="voice")
    await collect(runner, callTools=["end_call"])
    assert [(turn.source, turn.thinking) for turn in agent.turns] == [
        ("", "high"),
        ("voice", "off"),
        ("voice", "off"),
    ]
    assert agent.turns[2].history[-1].source == "voice"
    assert lines_of(tmp_path)[3]["source"] == "voice"


async def test_the_next_model_answers_where_one_fails(tmp_path):
    down = Scripted(ModelFailed("Out of order."))
    up = Scripted(TextDelta(text="Here."))
    profile = AgentProfile(model="down/a", fallbacks=("up/b",))
    runner = runner_of(tmp_path, profile, down=down, up=up)
    assert await collect(runner) == [{"type": "text", "delta": "Here."}]
    assert up.turns[0].model == "b"
    assert runner.meter.runs == {("up/b", "ok"): 1}


@pytest.mark.parametrize(
    ("events", "request_"),
    [
        ((TextDelta(text="I "), ModelFailed("Out of order.")), {}),
        ((AgentFailed("Out of order."),), {}),
        ((ModelFailed("Out of order."),), {"model": "down/a"}),
    ],
)
async def test_no_other_model_answers_after_the_first_word(tmp_path, events, request_):
    up = Scripted(TextDelta(text="Here."))
    profile = AgentProfile(model="down/a", fallbacks=("up/b",))
    runner = runner_of(tmp_path, profile, down=Scripted(*events), up=up)
    with pytest.raises(AgentFailed, match=r"Out of order\."):
        await collect(runner, **request_)
    assert up.turns == []
    assert runner.meter.runs == {("down/a", "failed"): 1}


async def test_tools_and_usage_are_written_down(tmp_path):
    agent = Scripted(
        TextDelta(text="Wait. "),
        UsageReported(input_tokens=5, output_tokens=1),
        ToolsRequested(requests=(ASKED,)),
        ToolAnswered(request=ASKED, text="42", is_error=True),
        TextDelta(text="42."),
        UsageReported(input_tokens=9, output_tokens=2),
    )
    runner = runner_of(tmp_path, AgentProfile(model="test/m"), test=agent)
    events = await collect(runner)
    usage = {"type": "usage", "inputTokens": 5, "outputTokens": 1}
    assert events[1] == usage
    assert [event["type"] for event in events] == ["text", "usage", "text", "usage"]
    _, heard, asked, answered, said = lines_of(tmp_path)
    assert heard["text"] == "hello"
    assert (asked["text"], asked["toolRequests"]) == (
        "Wait. ",
        [{"id": "id1", "name": "look_up", "arguments": '{"n": 1}'}],
    )
    assert (answered["requestId"], answered["isError"]) == ("id1", True)
    assert (said["text"], said["model"]) == ("42.", "test/m")
    assert said["usage"] == {"inputTokens": 14, "outputTokens": 3}
    assert runner.meter.tools == {("look_up", "error"): 1}
    assert runner.meter.tokens["test/m", "input"] == 14


async def test_tools_are_remembered_across_restarts(tmp_path):
    agent = Scripted(
        ToolsRequested(requests=(ASKED,)),
        ToolAnswered(request=ASKED, text="42"),
        TextDelta(text="42."),
    )
    profile = AgentProfile(model="test/m")
    await collect(runner_of(tmp_path, profile, test=agent))
    later = Scripted()
    await collect(runner_of(tmp_path, profile, test=later))
    assert later.turns[0].history == (
        Message(role="user", text="hello"),
        Message(role="assistant", text="", tool_requests=(ASKED,)),
        Message(role="tool", text="42", request_id="id1"),
        Message(role="assistant", text="42."),
    )


async def test_a_given_history_is_not_kept(tmp_path):
    agent = Scripted(TextDelta(text="Yes."))
    runner = runner_of(tmp_path, AgentProfile(model="test/m"), test=agent)
    await collect(runner, history=[{"role": "user", "text": "before"}])
    assert agent.turns[0].history == (Message(role="user", text="before"),)
    assert not (tmp_path / "agents").exists()


async def test_the_default_model_is_warmed_and_all_are_closed(tmp_path):
    one, two = Scripted(), Scripted()
    profile = AgentProfile(model="one/m")
    runner = runner_of(tmp_path, profile, one=one, two=two, bare=object())
    await runner.warm()
    await runner.close()
    assert (one.is_warm, two.is_warm) == (True, False)
    assert one.is_closed
    assert two.is_closed


async def test_a_run_fails_where_the_gateway_stops(tmp_path):
    runner = runner_of(tmp_path, AgentProfile(model="test/m"), test=Endless())
    run = runner.run(REQUEST)
    assert await anext(run) == {"type": "text", "delta": "One."}
    waiting = asyncio.create_task(anext(run))
    await asyncio.sleep(1)
    runner.end_runs()
    with pytest.raises(AgentFailed, match="The Gateway is stopping"):
        await waiting
    with pytest.raises(AgentFailed, match="The Gateway is stopping"):
        await collect(runner)


@pytest.mark.parametrize("agent", [Unusable(), object()])
async def test_what_cannot_be_warmed_does_no_harm(tmp_path, agent):
    await runner_of(tmp_path, AgentProfile(model="test/m"), test=agent).warm()


def test_durations_are_counted_up_to_bounds():
    durations = Durations()
    for seconds in (0.1, 0.3, 100.0):
        durations.add(seconds)
    buckets = dict(durations.buckets)
    assert (buckets["0.1"], buckets["0.25"], buckets["0.5"]) == (1, 1, 2)
    assert (buckets["60.0"], buckets["+Inf"]) == (2, 3)
    assert durations.sum_s == pytest.approx(100.4)


def test_invented_tools_are_counted_as_one():
    meter = RunMeter()
    for number in range(MAX_TOOLS + 5):
        meter.count_tool(f"t{number}", is_error=True)
    assert len(meter.tools) == MAX_TOOLS + 1
    assert meter.tools["other", "error"] == 5
