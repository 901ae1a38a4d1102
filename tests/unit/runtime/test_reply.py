"""One reply of the agent, from its text deltas to sentences and an outcome."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from voice_call.call.events import AgentReplied, ReplyFailed
from voice_call.call.model import CallId, Direction
from voice_call.errors import AgentError
from voice_call.runtime.agent import AgentTurn, EndCallRequested
from voice_call.runtime.reply import run_reply
from voice_call.testing.agents import ScriptedAgent

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = pytest.mark.anyio

TURN = AgentTurn(
    call_id=CallId("call-1"),
    reply_id="reply-1",
    session_key="main",
    direction=Direction.OUTBOUND,
    peer="+15550100999",
    heard=("Hello?",),
    history=(),
    language="en-US",
    timeout_s=10.0,
)


class Listener:
    """Writes down what a reply tells, in order."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def reply_has_text(self, reply_id: str) -> None:
        self.told.append(f"text of {reply_id}")

    def reply_has_sentence(self, reply_id: str, sentence: str) -> None:
        assert reply_id == "reply-1"
        self.told.append(sentence)

    def reply_ended(self, event: AgentReplied | ReplyFailed) -> None:
        self.told.append(event)


async def run(*steps: Any) -> list[Any]:
    listener = Listener()
    await run_reply(ScriptedAgent(steps), TURN, listener)
    return listener.told


def replied(*, has_words: bool = True, ends_call: bool = False) -> AgentReplied:
    return AgentReplied(reply_id="reply-1", has_words=has_words, ends_call=ends_call)


async def test_sentences_come_one_by_one():
    assert await run("It is no", "on. And it", " is warm.") == [
        "text of reply-1",
        "It is noon.",
        "And it is warm.",
        replied(),
    ]


async def test_a_sentence_is_told_before_the_reply_is_complete():
    listener = Listener()
    agent = ScriptedAgent(["It is noon. And", 5.0, " it is warm."])
    task = asyncio.create_task(run_reply(agent, TURN, listener))
    await asyncio.sleep(1)
    assert listener.told == ["text of reply-1", "It is noon."]
    await task


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([], [replied(has_words=False)]),
        (["  "], ["text of reply-1", replied(has_words=False)]),
        ([EndCallRequested()], [replied(has_words=False, ends_call=True)]),
        (
            [EndCallRequested(), "Goodbye."],
            ["text of reply-1", "Goodbye.", replied(ends_call=True)],
        ),
        (
            ['{"spoken": "It is noon."}'],
            ["text of reply-1", "It is noon.", replied()],
        ),
    ],
)
async def test_the_outcome_says_whether_there_are_words_and_a_goodbye(
    steps: Iterable[Any], told: list[Any]
):
    assert await run(*steps) == told


@pytest.mark.parametrize(
    ("fault", "detail"),
    [
        (
            AgentError("The model refused; try another."),
            "The model refused; try another.",
        ),
        (KeyError("secret"), "the agent broke down (KeyError)"),
    ],
)
async def test_a_failure_is_told_and_keeps_secrets(fault: Exception, detail: str):
    assert await run("It is noon. ", "And", fault) == [
        "text of reply-1",
        "It is noon.",
        ReplyFailed(reply_id="reply-1", detail=detail),
    ]


async def test_an_agent_that_takes_too_long_is_cancelled():
    agent, listener = ScriptedAgent(["It is", 11.0, " noon."]), Listener()
    await run_reply(agent, TURN, listener)
    assert listener.told == [
        "text of reply-1",
        ReplyFailed(reply_id="reply-1", detail="the agent took longer than 10 s"),
    ]
    assert agent.cancelled == ["reply-1"]


async def test_a_reply_that_is_cancelled_tells_nothing_more():
    agent, listener = ScriptedAgent([5.0, "It is noon."]), Listener()
    task = asyncio.create_task(run_reply(agent, TURN, listener))
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert listener.told == []
    assert agent.cancelled == ["reply-1"]
