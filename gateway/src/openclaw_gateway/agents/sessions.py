"""What was said in each session, kept across restarts.

One file of JSON lines per session under `agents/main/sessions`, named by a hash of the
session key, because a key may hold a phone number. Only the last messages of a session
are handed to an agent.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from openclaw_gateway.agents.base import Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["Session", "SessionStore"]

_log = structlog.get_logger(__name__)

ROLES = frozenset({"user", "assistant"})


@dataclass(slots=True, kw_only=True)
class Session:
    """One conversation; grows as it goes on.

    Attributes:
        key: Which conversation.
        messages: The last messages, oldest first.
        memory: What the agent remembered last.
    """

    key: str
    messages: deque[Message]
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
        self._folder = state_dir / "agents" / "main" / "sessions"
        self._max_messages = max_messages
        self._max_open = max_open
        self._open: OrderedDict[str, Session] = OrderedDict()

    def load(self, key: str) -> Session:
        """Return a session; a new one is empty. A damaged line is skipped."""
        session = self._open.get(key)
        if session is None:
            session = self._read(key)
            self._open[key] = session
        self._open.move_to_end(key)
        while len(self._open) > self._max_open:
            self._open.popitem(last=False)
        return session

    def add_user(self, session: Session, text: str, *, now: float) -> None:
        """Remember what the other side said.

        Raises:
            OSError: The state directory cannot be written.
        """
        session.messages.append(Message(role="user", text=text))
        self._append(session.key, {"role": "user", "text": text, "at": now})

    def add_assistant(
        self,
        session: Session,
        text: str,
        *,
        memory: Mapping[str, Any] | None,
        now: float,
        is_interrupted: bool,
    ) -> None:
        """Remember what the agent said, and what it wants to remember.

        Raises:
            OSError: The state directory cannot be written.
        """
        line: dict[str, Any] = {"role": "assistant", "text": text, "at": now}
        if is_interrupted:
            line["interrupted"] = True
        if memory is not None:
            session.memory = memory
            line["memory"] = memory
        if text:
            session.messages.append(Message(role="assistant", text=text))
        self._append(session.key, line)

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
        return self._folder / f"{name[:32]}.jsonl"

    def _read(self, key: str) -> Session:
        session = Session(key=key, messages=deque(maxlen=self._max_messages))
        try:
            with self._path(key).open(encoding="utf-8", errors="replace") as file:
                _replay(file, session)
        except FileNotFoundError:
            pass  # a new session
        return session

    def _append(self, key: str, line: Mapping[str, Any]) -> None:
        path = self._path(key)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            if file.tell() == 0:
                file.write(json.dumps({"sessionKey": key}) + "\n")
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
        if line.get("text"):
            session.messages.append(Message(role=line["role"], text=str(line["text"])))
        if isinstance(line.get("memory"), dict):
            session.memory = line["memory"]
