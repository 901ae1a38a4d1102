"""Runs agents: finds the one that is asked for, streams its answer, keeps the session.

A model is named `provider/model`. The request's own name wins, then
`agents.defaults.model.primary`, then `builtin/receptionist`.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from openclaw_gateway import clock
from openclaw_gateway.agents.base import AgentTurn, Remember, TextDelta, ToolCall
from openclaw_gateway.errors import AgentFailed, BadParams

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

    from openclaw_gateway.agents.base import Agent, AgentEvent
    from openclaw_gateway.agents.sessions import Session, SessionStore

__all__ = ["DEFAULT_MODEL", "AgentRunner"]

_log = structlog.get_logger(__name__)

DEFAULT_MODEL = "builtin/receptionist"
DEFAULT_TIMEOUT_S = 60.0


@dataclass(slots=True)
class _Spoken:
    """What an agent has said so far in this run."""

    text: list[str] = field(default_factory=list)
    memory: Mapping[str, Any] | None = None
    is_complete: bool = False


class AgentRunner:
    """Lets agents answer.

    Args:
        providers: The agents by the part of the model's name before the slash.
        sessions: Where conversations are kept.
        default_model: Used where a request names none.
        now: Tells the time, in seconds since 1970-01-01 UTC.
    """

    def __init__(
        self,
        *,
        providers: Mapping[str, Agent],
        sessions: SessionStore,
        default_model: str = DEFAULT_MODEL,
        now: Callable[[], float] = clock.now_s,
    ) -> None:
        self._providers = providers
        self._sessions = sessions
        self._default_model = default_model
        self._now = now

    async def run(
        self, request: Mapping[str, Any]
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        """Yield an agent's answer to one request; see `PluginApi.run_agent`.

        Raises:
            AgentFailed: The agent is unknown, fails, or takes longer than `timeoutS`.
            BadParams: The request is not of the right shape.
        """
        session = self._sessions.load(_text(request, "sessionKey"))
        agent, turn = self._prepare(request, session)
        timeout_s = _seconds(request, "timeoutS")
        self._sessions.add_user(session, turn.message, now=turn.now)
        spoken = _Spoken()
        try:
            async with contextlib.aclosing(
                _bounded(agent.reply(turn), timeout_s)
            ) as it:
                async for event in it:
                    wire = _note(event, spoken)
                    if wire is not None:
                        yield wire
            spoken.is_complete = True
        finally:
            self._keep(session, spoken)

    def _prepare(
        self, request: Mapping[str, Any], session: Session
    ) -> tuple[Agent, AgentTurn]:
        model = request.get("model") or self._default_model
        provider, _, name = str(model).partition("/")
        agent = self._providers.get(provider)
        if agent is None or not name:
            known = ", ".join(f"{p}/…" for p in sorted(self._providers))
            raise AgentFailed(
                f"No agent answers to the model name {model}; there is {known}."
            )
        return agent, AgentTurn(
            run_id=str(request.get("runId") or ""),
            session_key=session.key,
            model=name,
            message=_text(request, "message"),
            history=tuple(session.messages),
            memory=session.memory,
            system_prompt=request.get("systemPrompt"),
            call_tools=tuple(request.get("callTools") or ()),
            language=str(request.get("language") or ""),
            now=self._now(),
        )

    def _keep(self, session: Session, spoken: _Spoken) -> None:
        """Write down what was said, also of a run that was cut short."""
        try:
            self._sessions.add_assistant(
                session,
                "".join(spoken.text),
                memory=spoken.memory,
                now=self._now(),
                is_interrupted=not spoken.is_complete,
            )
        except OSError as error:
            # The answer was given; losing its record must not fail the call.
            _log.error("session not written", reason=error.strerror)


async def _bounded(
    events: AsyncIterator[AgentEvent], timeout_s: float
) -> AsyncGenerator[AgentEvent, None]:
    """Pass events on; the time between them, summed up, is limited.

    The deadline is armed only while the agent works: what the consumer does with an
    event takes none of the agent's time.
    """
    left_s = timeout_s
    loop = asyncio.get_running_loop()
    try:
        while True:
            began = loop.time()
            try:
                async with asyncio.timeout(left_s):
                    event = await anext(events)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise AgentFailed(
                    f"The agent did not answer within {timeout_s:g} seconds."
                ) from None
            left_s = max(0.0, left_s - (loop.time() - began))
            yield event
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


def _note(event: AgentEvent, spoken: _Spoken) -> Mapping[str, Any] | None:
    match event:
        case TextDelta(text=text):
            spoken.text.append(text)
            return {"type": "text", "delta": text}
        case ToolCall(name=name, arguments=arguments):
            return {"type": "tool_call", "name": name, "arguments": dict(arguments)}
        case Remember(memory=memory):
            spoken.memory = memory
            return None


def _text(request: Mapping[str, Any], key: str) -> str:
    value = request.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadParams(f"{key} must be a text that is not empty.")
    return value


def _seconds(request: Mapping[str, Any], key: str) -> float:
    value = request.get(key)
    if value is None:
        return DEFAULT_TIMEOUT_S
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise BadParams(f"{key} must be a positive number of seconds.")
    return float(value)
