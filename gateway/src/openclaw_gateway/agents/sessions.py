"""What was said in each session, kept across restarts.

One file of JSON lines per session under `agents/<agent>/sessions`, named by a hash of
the session key, because a key may hold a phone number. Only the last messages of a
session are handed to an agent. A line is one of

    {"sessionKey"}                                                    the first
    {"role": "user", "text", "at", "source"?}
    {"role": "assistant", "text", "at", "toolRequests"?, "memory"?, "model"?, "usage"?,
     "interrupted"?}
    {"role": "tool", "text", "at", "requestId", "name", "isError"?}
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from openclaw_gateway.agents.base import Message, ToolRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from openclaw_gateway.agents.base import ToolAnswered

__all__ = ["Session", "SessionStore"]

_log = structlog.get_logger(__name__)

ROLES = frozenset({"user", "assistant", "tool"})
MAIN = "main"


@dataclass(slots=True, kw_only=True)
class Session:
    """One conversation; grows as it goes on.

    Attributes:
        key: Which conversation.
        agent_id: Whose conversation.
        is_kept: Whether it is written down.
        messages: The last messages, oldest first.
        memory: What the agent remembered last.
    """

    key: str
    messages: deque[Message]
    agent_id: str = MAIN
    is_kept: bool = True
    memory: Mapping[str, Any] = field(default_factory=dict)


class SessionStore:
    """Keeps all sessions of one Gateway.

    Args:
        state_dir: Where they are kept.
        max_messages: How many messages of a session an agent sees.
        max_open: How many sessions stay in memory.
    """

    def __init__(
        self, state_dir: Path, *, max_messages: int = 60, max_open: int = 256
    ) -> None:
        self._folder = state_dir / "agents"
        self._max_messages = max_messages
        self._max_open = max_open
        self._open: OrderedDict[tuple[str, str], Session] = OrderedDict()

    def load(self, key: str, *, agent_id: str = MAIN) -> Session:
        """Return a session; a new one is empty. A damaged line is skipped.

        Args:
            key: Which conversation.
            agent_id: Whose; the name of a folder, so letters, digits, `_` and `-`.
        """
        slot = (agent_id, key)
        session = self._open.get(slot)
        if session is None:
            session = self._read(key, agent_id)
            self._open[slot] = session
        self._open.move_to_end(slot)
        while len(self._open) > self._max_open:
            self._open.popitem(last=False)
        return session

    def unkept(self, key: str, history: Iterable[Message] = ()) -> Session:
        """Return a session that nobody remembers afterwards."""
        messages = deque(history, maxlen=self._max_messages)
        return Session(key=key, messages=messages, is_kept=False)

    def add_user(
        self, session: Session, text: str, *, now: float, source: str = ""
    ) -> None:
        """Remember what the other side said.

        Raises:
            OSError: The state directory cannot be written.
        """
        session.messages.append(Message(role="user", text=text, source=source))
        line: dict[str, Any] = {"role": "user", "text": text, "at": now}
        if source:
            line["source"] = source
        self._append(session, line)

    def add_assistant(
        self,
        session: Session,
        text: str,
        *,
        memory: Mapping[str, Any] | None,
        now: float,
        is_interrupted: bool,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        """Remember what the agent said, and what it wants to remember.

        Args:
            session: Where.
            text: The words; perhaps none.
            memory: What the agent wants to remember, or None for no change.
            now: Seconds since 1970-01-01 UTC.
            is_interrupted: Whether it wanted to say more.
            notes: What else to write down about the answer; not shown to the agent.

        Raises:
            OSError: The state directory cannot be written.
        """
        line: dict[str, Any] = {"role": "assistant", "text": text, "at": now}
        line |= notes or {}
        if is_interrupted:
            line["interrupted"] = True
        if memory is not None:
            session.memory = memory
            line["memory"] = memory
        if text:
            session.messages.append(Message(role="assistant", text=text))
        self._append(session, line)

    def add_tool_requests(
        self,
        session: Session,
        text: str,
        requests: tuple[ToolRequest, ...],
        *,
        now: float,
    ) -> None:
        """Remember which tools the agent asked for, before they run.

        Raises:
            OSError: The state directory cannot be written.
        """
        session.messages.append(
            Message(role="assistant", text=text, tool_requests=requests)
        )
        shown = [
            {"id": r.id, "name": r.name, "arguments": r.arguments} for r in requests
        ]
        line = {"role": "assistant", "text": text, "at": now, "toolRequests": shown}
        self._append(session, line)

    def add_tool_answer(
        self, session: Session, answer: ToolAnswered, *, now: float
    ) -> None:
        """Remember what a tool answered.

        Raises:
            OSError: The state directory cannot be written.
        """
        request = answer.request
        session.messages.append(
            Message(role="tool", text=answer.text, request_id=request.id)
        )
        line = {
            "role": "tool",
            "text": answer.text,
            "at": now,
            "requestId": request.id,
            "name": request.name,
        }
        if answer.is_error:
            line["isError"] = True
        self._append(session, line)

    def _path(self, key: str, agent_id: str) -> Path:
        name = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
        return self._folder / agent_id / "sessions" / f"{name[:32]}.jsonl"

    def _read(self, key: str, agent_id: str) -> Session:
        messages: deque[Message] = deque(maxlen=self._max_messages)
        session = Session(key=key, messages=messages, agent_id=agent_id)
        path = self._path(key, agent_id)
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                _replay(file, session)
        except FileNotFoundError:
            pass  # a new session
        return session

    def _append(self, session: Session, line: Mapping[str, Any]) -> None:
        if not session.is_kept:
            return
        path = self._path(session.key, session.agent_id)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            if file.tell() == 0:
                file.write(json.dumps({"sessionKey": session.key}) + "\n")
            file.write(json.dumps(line) + "\n")


def _replay(lines: Iterable[str], session: Session) -> None:
    for number, text in enumerate(lines, start=1):
        try:
            line = json.loads(text)
        except ValueError:
            # A crash can leave half a line behind.
            _log.warning("damaged session line skipped", line=number)
            continue
        if not isinstance(line, dict) or line.get("role") not in ROLES:
            continue
        message = _message(line)
        if message is not None:
            session.messages.append(message)
        if isinstance(line.get("memory"), dict):
            session.memory = line["memory"]


def _message(line: Mapping[str, Any]) -> Message | None:
    """Return what a line says, or None where it says nothing."""
    shown = line.get("toolRequests")
    requests = tuple(
        ToolRequest(
            id=str(each.get("id")),
            name=str(each.get("name")),
            arguments=str(each.get("arguments") or "{}"),
        )
        for each in (shown if isinstance(shown, list) else ())
        if isinstance(each, dict)
    )
    if not line.get("text") and not requests and line["role"] != "tool":
        return None
    return Message(
        role=line["role"],
        text=str(line.get("text") or ""),
        source=str(line.get("source") or ""),
        tool_requests=requests,
        request_id=str(line.get("requestId") or ""),
    )
