"""One reply of the agent: its words, as they come, on their way to the mouth."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol, assert_never

from voice_call.call.events import AgentReplied, ReplyFailed
from voice_call.errors import VoiceCallError
from voice_call.runtime.agent import EndCallRequested, TextDelta
from voice_call.speech.sentences import SentenceSplitter
from voice_call.speech.spoken import SpokenParser

if TYPE_CHECKING:
    from voice_call.runtime.agent import Agent, AgentTurn

__all__ = ["ReplyListener", "RunningReplies", "run_reply"]


class ReplyListener(Protocol):
    """What a reply tells its call."""

    def reply_has_text(self, reply_id: str) -> None:
        """The agent's first text has arrived."""
        ...

    def reply_has_sentence(self, reply_id: str, sentence: str) -> None:
        """One more sentence is complete."""
        ...

    def reply_ended(self, event: AgentReplied | ReplyFailed) -> None:
        """The reply is complete, or has failed."""
        ...


class RunningReplies:
    """The agent's runs of one call; a newer one does not end an older one by itself."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, turn: AgentTurn, listener: ReplyListener) -> None:
        """Run the agent for one turn."""
        task = asyncio.get_running_loop().create_task(
            run_reply(self._agent, turn, listener)
        )
        self._tasks[turn.reply_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(turn.reply_id, None))

    def cancel(self, reply_id: str) -> None:
        """End one run; harmless where it is over."""
        task = self._tasks.pop(reply_id, None)
        if task is not None:
            task.cancel()

    def cancel_all(self) -> None:
        """End every run."""
        for reply_id in tuple(self._tasks):
            self.cancel(reply_id)


async def run_reply(agent: Agent, turn: AgentTurn, listener: ReplyListener) -> None:
    """Run the agent for one turn and hand on what may be spoken.

    Cancelling this coroutine cancels the agent's run; nothing is reported then.
    """
    try:
        async with asyncio.timeout(turn.timeout_s):
            outcome = await _relay(agent, turn, listener)
    except TimeoutError:
        detail = f"the agent took longer than {turn.timeout_s:g} s"
        listener.reply_ended(ReplyFailed(reply_id=turn.reply_id, detail=detail))
    except VoiceCallError as fault:
        listener.reply_ended(ReplyFailed(reply_id=turn.reply_id, detail=str(fault)))
    except Exception as fault:  # noqa: BLE001 - an agent may break in any way
        detail = f"the agent broke down ({type(fault).__name__})"
        listener.reply_ended(ReplyFailed(reply_id=turn.reply_id, detail=detail))
    else:
        listener.reply_ended(outcome)


async def _relay(
    agent: Agent, turn: AgentTurn, listener: ReplyListener
) -> AgentReplied:
    parser, splitter = SpokenParser(), SentenceSplitter()
    has_text = has_words = ends_call = False

    def speak(sentences: list[str]) -> None:
        nonlocal has_words
        for sentence in sentences:
            has_words = True
            listener.reply_has_sentence(turn.reply_id, sentence)

    async with aclosing(agent.reply(turn)) as deltas:  # type: ignore[type-var]  # agents yield from async generators
        async for delta in deltas:
            match delta:
                case TextDelta():
                    if not has_text:
                        has_text = True
                        listener.reply_has_text(turn.reply_id)
                    speak(splitter.feed(parser.feed(delta.text)))
                case EndCallRequested():
                    ends_call = True
                case _:
                    assert_never(delta)
    speak(splitter.feed(parser.finish()))
    speak(splitter.finish())
    return AgentReplied(
        reply_id=turn.reply_id, has_words=has_words, ends_call=ends_call
    )
