"""The run of an agent, its sessions, and the receptionist as an agent."""

from __future__ import annotations

import asyncio
import json

import pytest
import structlog

from openclaw_gateway.agents.base import Message, Remember, TextDelta, ToolCall
from openclaw_gateway.agents.receptionist import Receptionist
from openclaw_gateway.agents.runner import AgentRunner
from openclaw_gateway.agents.sessions import SessionStore
from openclaw_gateway.errors import AgentFailed, BadParams

pytestmark = pytest.mark.anyio

NOW = 1_700_000_000.0
REQUEST = {"runId": "r", "sessionKey": "voice:1", "message": "hello"}


class Scripted:
    """An agent that yields what it was given, and keeps what it was asked."""

    def __init__(self, *events, pause_s=0.0, error=None):
        self.turns = []
        self.is_closed = False
        self._events = events
        self._pause_s = pause_s
        self._error = error

    async def reply(self, turn):
        self.turns.append(turn)
        try:
            for event in self._events:
                await asyncio.sleep(self._pause_s)
                yield event
            if self._error:
                raise self._error
        finally:
            self.is_closed = True


def runner_of(agent, tmp_path, **kwargs):
    return AgentRunner(
        providers={"test": agent},
        sessions=SessionStore(tmp_path),
        default_model="test/one",
        now=lambda: NOW,
        **kwargs,
    )


async def collect(runner, **request):
    return [event async for event in runner.run(REQUEST | request)]


async def test_an_answer_is_streamed(tmp_path):
    agent = Scripted(TextDelta(text="Good "), TextDelta(text="day."))
    assert await collect(runner_of(agent, tmp_path)) == [
        {"type": "text", "delta": "Good "},
        {"type": "text", "delta": "day."},
    ]


async def test_a_tool_of_the_call_is_passed_on(tmp_path):
    agent = Scripted(ToolCall(name="end_call"))
    assert await collect(runner_of(agent, tmp_path)) == [
        {"type": "tool_call", "name": "end_call", "arguments": {}}
    ]


async def test_the_agent_is_told_everything(tmp_path):
    agent = Scripted()
    await collect(
        runner_of(agent, tmp_path),
        model="test/two",
        systemPrompt="Be brief.",
        callTools=["end_call"],
        language="en-US",
    )
    (turn,) = agent.turns
    assert (turn.run_id, turn.session_key, turn.message) == ("r", "voice:1", "hello")
    assert (turn.model, turn.system_prompt) == ("two", "Be brief.")
    assert (turn.call_tools, turn.language, turn.now) == (("end_call",), "en-US", NOW)


async def test_an_agent_knows_what_was_said_before_a_restart(tmp_path):
    agent = Scripted(Remember(memory={"n": 1}), TextDelta(text="Good day."))
    await collect(runner_of(agent, tmp_path))
    later = Scripted()
    await collect(runner_of(later, tmp_path), message="again")
    assert later.turns[0].history == (
        Message(role="user", text="hello"),
        Message(role="assistant", text="Good day."),
    )
    assert later.turns[0].memory == {"n": 1}


async def test_sessions_do_not_know_each_other(tmp_path):
    agent = Scripted(TextDelta(text="Secret."))
    runner = runner_of(agent, tmp_path)
    await collect(runner)
    await collect(runner, sessionKey="voice:2")
    assert agent.turns[1].history == ()


async def test_an_answer_that_is_cut_short_is_kept_as_far_as_it_came(tmp_path):
    agent = Scripted(TextDelta(text="One "), TextDelta(text="two."))
    run = runner_of(agent, tmp_path).run(REQUEST)
    await anext(run)
    await run.aclose()
    assert agent.is_closed
    session = SessionStore(tmp_path).load("voice:1")
    assert session.messages[-1] == Message(role="assistant", text="One ")


async def test_a_late_agent_fails(tmp_path):
    agent = Scripted(TextDelta(text="a"), TextDelta(text="b"), pause_s=2)
    runner = runner_of(agent, tmp_path)
    with pytest.raises(AgentFailed, match="did not answer within 3 seconds"):
        await collect(runner, timeoutS=3)
    assert agent.is_closed


async def test_a_slow_listener_does_not_use_up_the_agents_time(tmp_path):
    agent = Scripted(TextDelta(text="a"), TextDelta(text="b"), pause_s=1)
    heard = []
    async for event in runner_of(agent, tmp_path).run(REQUEST | {"timeoutS": 3}):
        await asyncio.sleep(10)
        heard.append(event["delta"])
    assert heard == ["a", "b"]


async def test_an_agents_failure_comes_through(tmp_path):
    runner = runner_of(Scripted(error=AgentFailed("Out of order.")), tmp_path)
    with pytest.raises(AgentFailed, match="Out of order"):
        await collect(runner)


@pytest.mark.parametrize("model", ["other/one", "test", "test/"])
async def test_an_unknown_model_is_named(tmp_path, model):
    with pytest.raises(AgentFailed, match=f"{model}; there is test/"):
        await collect(runner_of(Scripted(), tmp_path), model=model)


@pytest.mark.parametrize(
    "change",
    [
        {"message": ""},
        {"message": 3},
        {"sessionKey": " "},
        {"timeoutS": 0},
        {"timeoutS": "1"},
        {"timeoutS": True},
    ],
)
async def test_a_wrong_request_is_refused(tmp_path, change):
    (wrong,) = change
    with pytest.raises(BadParams, match=wrong):
        await collect(runner_of(Scripted(), tmp_path), **change)


async def test_a_session_file_says_nothing_in_its_name(tmp_path):
    store = SessionStore(tmp_path)
    store.add_user(store.load("+15550001111"), "hi", now=NOW)
    (path,) = (tmp_path / "agents" / "main" / "sessions").iterdir()
    assert "555" not in path.name
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_damaged_line_is_skipped(tmp_path):
    store = SessionStore(tmp_path)
    store.add_user(store.load("k"), "one", now=NOW)
    (path,) = (tmp_path / "agents" / "main" / "sessions").iterdir()
    with path.open("ab") as file:
        file.write(b'{"role": "us\n[]\n\xff\n')
    store.add_user(store.load("k"), "two", now=NOW)
    with structlog.testing.capture_logs() as logs:
        session = SessionStore(tmp_path).load("k")
    assert [message.text for message in session.messages] == ["one", "two"]
    assert len(logs) == 2


async def test_only_the_last_messages_are_kept_at_hand(tmp_path):
    store = SessionStore(tmp_path, max_messages=2, max_open=1)
    for text in ("a", "b", "c"):
        store.add_user(store.load("k"), text, now=NOW)
    store.load("other")
    session = store.load("k")
    assert [message.text for message in session.messages] == ["b", "c"]


async def test_a_session_that_cannot_be_written_does_not_fail_the_answer(tmp_path):
    agent = Scripted(TextDelta(text="Still here."))
    run = runner_of(agent, tmp_path).run(REQUEST)
    heard = [await anext(run)]
    folder = tmp_path / "agents" / "main" / "sessions"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.touch()
    with structlog.testing.capture_logs() as logs:
        heard += [event async for event in run]
    assert heard == [{"type": "text", "delta": "Still here."}]
    assert logs[0]["event"] == "session not written"


def receptionist_of(tmp_path):
    return AgentRunner(
        providers={"builtin": Receptionist(tmp_path)},
        sessions=SessionStore(tmp_path),
        now=lambda: NOW,
    )


async def say(runner, message, **request):
    events = await collect(runner, message=message, **request)
    return "".join(e["delta"] for e in events if e["type"] == "text"), events


async def test_the_receptionist_streams_word_by_word(tmp_path):
    text, events = await say(receptionist_of(tmp_path), "hello")
    assert text == "Hello, this is the receptionist. How can I help you?"
    assert len(events) == 10


async def test_the_receptionist_hangs_up_if_it_may(tmp_path):
    runner = receptionist_of(tmp_path)
    _, events = await say(runner, "goodbye", callTools=["end_call"])
    assert events[-1] == {"type": "tool_call", "name": "end_call", "arguments": {}}
    _, events = await say(runner, "goodbye")
    assert events[-1]["type"] == "text"


async def test_the_receptionist_stores_a_message_across_restarts(tmp_path):
    for heard in ("a message", "Anna", "call home"):
        text, _ = await say(receptionist_of(tmp_path), heard)
    assert text == "A message for Anna: call home. Is that right?"
    await say(receptionist_of(tmp_path), "yes")
    path = tmp_path / "receptionist" / "messages.jsonl"
    line = json.loads(path.read_text(encoding="utf-8"))
    assert (line["recipient"], line["message"]) == ("Anna", "call home")
    assert line["sessionKey"] == "voice:1"
    assert path.stat().st_mode & 0o777 == 0o600


async def test_the_receptionist_says_when_it_cannot_write(tmp_path):
    (tmp_path / "receptionist").touch()
    runner = receptionist_of(tmp_path)
    for heard in ("a message", "Anna", "call home"):
        await say(runner, heard)
    with pytest.raises(AgentFailed, match="cannot write"):
        await say(runner, "yes")


async def test_a_memory_that_makes_no_sense_is_forgotten(tmp_path):
    store = SessionStore(tmp_path)
    store.add_assistant(
        store.load("voice:1"),
        "?",
        memory={"stage": "flying"},
        now=NOW,
        is_interrupted=False,
    )
    text, _ = await say(receptionist_of(tmp_path), "hello")
    assert text.startswith("Hello")
