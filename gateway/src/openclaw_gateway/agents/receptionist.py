"""`builtin/receptionist`: the agent that answers when no model is configured.

It is no language model. It follows a small dialogue by rules (see `dialogue`), needs no
network and no key, and says so when asked. Messages that it takes are appended to
`receptionist/messages.jsonl` in the state directory.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from openclaw_gateway.agents.base import Remember, TextDelta, ToolCall
from openclaw_gateway.agents.dialogue import Stage, State, WallTime, answer
from openclaw_gateway.errors import AgentFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from openclaw_gateway.agents.base import AgentEvent, AgentTurn
    from openclaw_gateway.agents.dialogue import TakenMessage

__all__ = ["Receptionist"]

END_CALL = "end_call"


class Receptionist:
    """Answers by rules.

    Args:
        state_dir: Where messages are kept.
    """

    def __init__(self, state_dir: Path) -> None:
        self._messages = state_dir / "receptionist" / "messages.jsonl"

    async def reply(self, turn: AgentTurn) -> AsyncIterator[AgentEvent]:
        """Yield the answer word by word, then ask to hang up if it was a goodbye.

        Raises:
            AgentFailed: A message could not be stored.
        """
        local = datetime.fromtimestamp(turn.now, tz=UTC).astimezone()
        at = WallTime(weekday=local.weekday(), hour=local.hour, minute=local.minute)
        reply = answer(_restore(turn.memory), turn.message, at=at)
        if reply.message is not None:
            self._store(reply.message, turn, local.isoformat())
        yield Remember(memory=asdict(reply.state))
        words = reply.text.split(" ")
        for index, word in enumerate(words):
            yield TextDelta(text=word if index == len(words) - 1 else f"{word} ")
        if reply.ends_call and END_CALL in turn.call_tools:
            yield ToolCall(name=END_CALL)

    def _store(self, message: TakenMessage, turn: AgentTurn, at: str) -> None:
        line = {
            "at": at,
            "sessionKey": turn.session_key,
            "recipient": message.recipient,
            "message": message.words,
        }
        try:
            self._messages.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_APPEND | os.O_CREAT | os.O_WRONLY
            handle = os.open(self._messages, flags, 0o600)
            with os.fdopen(handle, "a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            raise AgentFailed(
                f"The receptionist cannot write {self._messages}: {error.strerror}."
            ) from error


def _restore(memory: Mapping[str, Any]) -> State:
    """Read back what was remembered; anything unusable is forgotten."""
    try:
        stage = Stage(memory.get("stage", Stage.IDLE))
    except ValueError:
        return State()
    return State(
        stage=stage,
        recipient=str(memory.get("recipient", "")),
        words=str(memory.get("words", "")),
        last_said=str(memory.get("last_said", "")),
    )
