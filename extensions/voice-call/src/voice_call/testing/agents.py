"""An agent that says what its script says, when its script says it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from voice_call.runtime.agent import EndCallRequested, TextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from voice_call.runtime.agent import AgentDelta, AgentTurn

    Step = str | float | EndCallRequested | Exception

__all__ = ["ScriptedAgent"]


class ScriptedAgent:
    """Answers turn after turn from a script; afterwards always "All right.".

    A reply is a list of steps: a text is yielded, a number is waited for in seconds, an
    `EndCallRequested` is yielded, and an exception is raised.

    Attributes:
        turns: What it was asked, oldest first.
        finished: Ids of the replies that it gave to their end.
        cancelled: Ids of the replies that were cancelled.
    """

    def __init__(self, *replies: Iterable[Step]) -> None:
        self.turns: list[AgentTurn] = []
        self.finished: list[str] = []
        self.cancelled: list[str] = []
        self._replies = deque(tuple(reply) for reply in replies)

    def expect(self, *steps: Step) -> None:
        """Add one reply to the script."""
        self._replies.append(steps)

    async def reply(self, turn: AgentTurn) -> AsyncIterator[AgentDelta]:
        """Yield the next reply of the script.

        Raises:
            Exception: As the script says.
        """
        self.turns.append(turn)
        steps = self._replies.popleft() if self._replies else ("All right.",)
        try:
            for step in steps:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, EndCallRequested):
                    yield step
                elif isinstance(step, str):
                    yield TextDelta(text=step)
                else:
                    await asyncio.sleep(step)
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled.append(turn.reply_id)
            raise
        self.finished.append(turn.reply_id)
