"""Runs agents: finds the one that is asked for, streams its answer, keeps the session.

A model is named `provider/model`. The request's own name wins, then the agent's, then
`agents.defaults.model.primary`, then `builtin/receptionist`.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, assert_never

import structlog

from openclaw_gateway import clock
from openclaw_gateway.agents.base import (
    VOICE,
    AgentTurn,
    Message,
    Remember,
    TextDelta,
    Tool,
    ToolAnswered,
    ToolCall,
    ToolsRequested,
    UsageReported,
)
from openclaw_gateway.agents.meter import RunMeter
from openclaw_gateway.agents.models.base import ModelFailed
from openclaw_gateway.agents.settings import (
    DEFAULT_MODEL,
    AgentProfile,
    AgentSettings,
)
from openclaw_gateway.errors import AgentFailed, BadParams

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Callable,
        Generator,
        Mapping,
    )

    from openclaw_gateway.agents.base import Agent, AgentEvent
    from openclaw_gateway.agents.sessions import Session, SessionStore
    from openclaw_gateway.plugins.api import ToolSpec

__all__ = ["DEFAULT_MODEL", "AgentRunner"]

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Answer:
    """What an agent has said so far in this run."""

    model: str = ""
    text: list[str] = field(default_factory=list)
    memory: Mapping[str, Any] | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    is_complete: bool = False

    @property
    def notes(self) -> Mapping[str, Any]:
        """What the session file tells about it."""
        if not self.input_tokens and not self.output_tokens:
            return {}
        usage = {"inputTokens": self.input_tokens, "outputTokens": self.output_tokens}
        return {"model": self.model, "usage": usage}


class AgentRunner:
    """Lets agents answer.

    Args:
        providers: The agents by the part of the model's name before the slash.
        sessions: Where conversations are kept.
        agents: Who there is; else one agent with `default_model`.
        default_model: Used where neither request nor agent names one.
        tools: Returns the tools that plugins offer at this moment, by name.
        meter: Counts runs.
        now: Tells the time, in seconds since 1970-01-01 UTC.
    """

    def __init__(
        self,
        *,
        providers: Mapping[str, Agent],
        sessions: SessionStore,
        agents: AgentSettings | None = None,
        default_model: str = DEFAULT_MODEL,
        tools: Callable[[], Mapping[str, ToolSpec]] = dict,
        meter: RunMeter | None = None,
        now: Callable[[], float] = clock.now_s,
    ) -> None:
        self._providers = providers
        self._sessions = sessions
        self.agents = agents or AgentSettings.single(AgentProfile(model=default_model))
        self._tools = tools
        self.meter = meter or RunMeter()
        self._now = now
        self._limits: set[asyncio.Timeout] = set()
        self._is_stopping = False

    # ---- around runs

    def tools_of(self, profile: AgentProfile) -> tuple[Tool, ...]:
        """Return the Gateway's tools that an agent may use."""
        return tuple(
            Tool(
                name=spec.name,
                description=spec.description,
                parameters=spec.parameters,
                execute=spec.execute,
            )
            for spec in self._tools().values()
            if profile.tools.allows(spec.name)
        )

    async def warm(self) -> None:
        """Do now what would make the first turn of the default agent slow."""
        provider, _, _ = self.agents.default.model.partition("/")
        warm = getattr(self._providers.get(provider), "warm", None)
        if warm is None:
            return
        try:
            await warm()
        except AgentFailed as error:
            # The first turn will say it again, to whoever asks; this is for the owner.
            _log.warning("the default agent's model is not usable", reason=str(error))

    def end_runs(self) -> None:
        """Let runs fail that still go on: the Gateway stops."""
        self._is_stopping = True
        for limit in self._limits:
            limit.reschedule(asyncio.get_running_loop().time())

    async def close(self) -> None:
        """Let go of connections to models."""
        for agent in self._providers.values():
            close = getattr(agent, "close", None)
            if close is not None:
                await close()

    # ---- one run

    async def run(
        self, request: Mapping[str, Any]
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        """Yield an agent's answer to one request; see `PluginApi.run_agent`.

        Besides what is said there a request may have `agentId`, `channel` (`voice`
        marks the message as heard on a call), and `history` (`{"role", "text"}` each)
        for a session that is not kept. Events `{"type": "usage", "inputTokens",
        "outputTokens"}` come where a model tells its usage.

        Raises:
            AgentFailed: The agent is unknown, fails, or takes longer than `timeoutS`.
            BadParams: The request is not of the right shape.
        """
        profile = self._profile(request)
        session = self._session(request, profile)
        turn = self._turn(request, session, profile)
        models = self._models(request, profile)
        timeout_s = _seconds(request, "timeoutS", profile.timeout_s)
        self._sessions.add_user(session, turn.message, now=turn.now, source=turn.source)
        answer = _Answer(model=models[0])
        watch = self.meter.start(answer.model)
        try:
            attempts = self._attempts(models, turn, answer)
            async with contextlib.aclosing(
                self._bounded(attempts, timeout_s)
            ) as events:
                async for event in events:
                    watch.note(event)
                    wire = self._note(session, event, answer)
                    if wire is not None:
                        yield wire
            answer.is_complete = True
        except Exception:
            watch.fail()
            raise
        finally:
            watch.end(model=answer.model, is_complete=answer.is_complete)
            self._keep(session, answer)

    def _profile(self, request: Mapping[str, Any]) -> AgentProfile:
        agent_id = request.get("agentId")
        key = _text(request, "sessionKey")
        profile = self.agents.find(agent_id, key)
        if profile is None:
            known = ", ".join(sorted(self.agents.profiles))
            raise AgentFailed(
                f"There is no agent {agent_id or key.split(':')[1]}; there is {known}."
            )
        return profile

    def _session(self, request: Mapping[str, Any], profile: AgentProfile) -> Session:
        key = _text(request, "sessionKey")
        history = request.get("history")
        if history is None:
            return self._sessions.load(key, agent_id=profile.id)
        return self._sessions.unkept(
            key, [Message(role=each["role"], text=each["text"]) for each in history]
        )

    def _models(
        self, request: Mapping[str, Any], profile: AgentProfile
    ) -> tuple[str, ...]:
        """Return the names to try, in order."""
        named = request.get("model")
        models = (str(named),) if named else (profile.model, *profile.fallbacks)
        for model in models:
            provider, _, name = model.partition("/")
            if provider not in self._providers or not name:
                known = ", ".join(f"{p}/…" for p in sorted(self._providers))
                raise AgentFailed(
                    f"No agent answers to the model name {model}; there is {known}."
                )
        return models

    def _turn(
        self, request: Mapping[str, Any], session: Session, profile: AgentProfile
    ) -> AgentTurn:
        call_tools = tuple(request.get("callTools") or ())
        # Only a call has tools of its own.
        source = VOICE if call_tools or request.get("channel") == VOICE else ""
        prompts = (profile.system_prompt, request.get("systemPrompt"))
        policy = profile.tools
        return AgentTurn(
            run_id=str(request.get("runId") or ""),
            session_key=session.key,
            model="",
            message=_text(request, "message"),
            history=tuple(session.messages),
            memory=session.memory,
            system_prompt="\n\n".join(filter(None, prompts)) or None,
            call_tools=tuple(
                name for name in call_tools if policy.allows_of_call(name)
            ),
            tools=self.tools_of(profile),
            source=source,
            thinking=profile.voice_thinking if source else profile.thinking,
            language=str(request.get("language") or ""),
            now=self._now(),
        )

    async def _attempts(
        self, models: tuple[str, ...], turn: AgentTurn, answer: _Answer
    ) -> AsyncGenerator[AgentEvent, None]:
        """Yield what the first model says that says anything."""
        for index, model in enumerate(models):
            provider, _, name = model.partition("/")
            answer.model = model
            has_begun = False
            events = self._providers[provider].reply(replace(turn, model=name))
            try:
                async for event in events:
                    has_begun = True
                    yield event
            except ModelFailed as failure:
                if has_begun or index == len(models) - 1:
                    raise
                _log.warning("asking the next model", failed=model, reason=str(failure))
            else:
                return
            finally:
                close = getattr(events, "aclose", None)
                if close is not None:
                    await close()

    async def _bounded(
        self, events: AsyncIterator[AgentEvent], timeout_s: float
    ) -> AsyncGenerator[AgentEvent, None]:
        """Pass events on; the time between them, summed up, is limited.

        The deadline is armed only while the agent works: what the consumer does with
        an event takes none of the agent's time.
        """
        left_s = timeout_s
        loop = asyncio.get_running_loop()
        try:
            while True:
                began = loop.time()
                try:
                    async with self._limit(left_s):
                        event = await anext(events)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    why = f"The agent did not answer within {timeout_s:g} seconds."
                    if self._is_stopping:
                        why = "The Gateway is stopping."
                    raise AgentFailed(why) from None
                left_s = max(0.0, left_s - (loop.time() - began))
                yield event
        finally:
            close = getattr(events, "aclose", None)
            if close is not None:
                await close()

    @contextlib.asynccontextmanager
    async def _limit(self, seconds: float) -> AsyncGenerator[None, None]:
        """Raise TimeoutError after so many seconds, or when the Gateway stops."""
        async with asyncio.timeout(0.0 if self._is_stopping else seconds) as limit:
            self._limits.add(limit)
            try:
                yield
            finally:
                self._limits.discard(limit)

    def _note(
        self, session: Session, event: AgentEvent, answer: _Answer
    ) -> Mapping[str, Any] | None:
        """Note an event, and return what whoever asked is told of it."""
        match event:
            case TextDelta(text=text):
                answer.text.append(text)
                return {"type": "text", "delta": text}
            case ToolCall(name=name, arguments=arguments):
                return {"type": "tool_call", "name": name, "arguments": dict(arguments)}
            case ToolsRequested(requests=requests):
                text = "".join(answer.text)
                answer.text.clear()
                with _unwritten_is_logged():
                    self._sessions.add_tool_requests(
                        session, text, requests, now=self._now()
                    )
                return None
            case ToolAnswered():
                with _unwritten_is_logged():
                    self._sessions.add_tool_answer(session, event, now=self._now())
                return None
            case UsageReported(input_tokens=read, output_tokens=written):
                answer.input_tokens += read
                answer.output_tokens += written
                return {"type": "usage", "inputTokens": read, "outputTokens": written}
            case Remember(memory=memory):
                answer.memory = memory
                return None
            case _:
                assert_never(event)

    def _keep(self, session: Session, answer: _Answer) -> None:
        """Write down what was said, also of a run that was cut short."""
        with _unwritten_is_logged():
            self._sessions.add_assistant(
                session,
                "".join(answer.text),
                memory=answer.memory,
                now=self._now(),
                is_interrupted=not answer.is_complete,
                notes=answer.notes,
            )


@contextlib.contextmanager
def _unwritten_is_logged() -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        # The answer was given; losing its record must not fail the call.
        _log.error("session not written", reason=error.strerror)


def _text(request: Mapping[str, Any], key: str) -> str:
    value = request.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadParams(f"{key} must be a text that is not empty.")
    return value


def _seconds(request: Mapping[str, Any], key: str, default: float) -> float:
    value = request.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise BadParams(f"{key} must be a positive number of seconds.")
    return float(value)
