"""An agent that is a language model: it is asked, uses tools, and is asked again.

    ask the model → words go out at once → tools asked for?
        tools of the call are passed on, the Gateway's own are carried out
        → ask again with their answers, at most `MAX_ROUNDS` times

A request that fails is sent again only as long as no word and no tool has come of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, assert_never

import structlog

from openclaw_gateway.agents.base import (
    Message,
    TextDelta,
    ToolAnswered,
    ToolCall,
    ToolRequest,
    ToolsRequested,
    UsageReported,
)
from openclaw_gateway.agents.history import bound_history
from openclaw_gateway.agents.models.base import ModelFailed, ModelRequest
from openclaw_gateway.agents.models.providers import ANTHROPIC_MESSAGES
from openclaw_gateway.agents.prompts import system_prompt
from openclaw_gateway.agents.tools import answer_request, call_tool, parse_arguments
from openclaw_gateway.errors import AgentFailed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from openclaw_gateway.agents.base import AgentEvent, AgentTurn, Tool
    from openclaw_gateway.agents.models.base import ModelClient, ModelEvent
    from openclaw_gateway.agents.models.providers import ProviderSettings

__all__ = ["ModelAgent", "open_client"]

_log = structlog.get_logger(__name__)

MAX_ROUNDS = 8
RETRIES = 2
BACKOFF_S = 0.25
LONGEST_WAIT_S = 5.0
"""A provider that wants more patience than that has failed: somebody is listening."""

MAX_HISTORY_MESSAGES = 60
DEFAULT_HISTORY_TOKENS = 24_000


class ModelAgent:
    """Answers with the models of one provider.

    Args:
        load_settings: Says where the provider is; may block for seconds, so it runs in
            a thread, at the first turn.
        open_client: Makes the connection from that; imports an SDK, so likewise.
    """

    def __init__(
        self,
        load_settings: Callable[[], ProviderSettings],
        *,
        open_client: Callable[[ProviderSettings], ModelClient] | None = None,
    ) -> None:
        self._load_settings = load_settings
        self._open_client = open_client or _open_client
        self._opened: tuple[ProviderSettings, ModelClient] | None = None
        self._opening = asyncio.Lock()
        self._tool_runs: set[asyncio.Task[ToolAnswered]] = set()

    async def warm(self) -> None:
        """Do now what would make the first turn slow.

        Raises:
            AgentFailed: The provider is not usable.
        """
        await self._open()

    async def close(self) -> None:
        """Let go of connections and of tools that still run."""
        for run in tuple(self._tool_runs):
            run.cancel()
        if self._opened is not None:
            await self._opened[1].close()
            self._opened = None

    async def reply(self, turn: AgentTurn) -> AsyncGenerator[AgentEvent, None]:
        """Yield the answer; see `Agent`.

        Raises:
            AgentFailed: The model fails, or asks for tools without end.
        """
        provider, client = await self._open()
        tools = _tools_of(turn)
        messages = _conversation(turn, provider)
        for number in range(1, MAX_ROUNDS + 1):
            request = ModelRequest(
                model=turn.model,
                system=system_prompt(turn),
                messages=tuple(messages),
                tools=tools,
                may_use_tools=number < MAX_ROUNDS,
                thinking=turn.thinking,
            )
            said: list[str] = []
            asked: list[ToolRequest] = []
            async with contextlib.aclosing(_ask(client, request)) as events:
                async for event in events:
                    match event:
                        case TextDelta(text=text):
                            said.append(text)
                            yield event
                        case ToolRequest():
                            asked.append(event)
                        case UsageReported():
                            yield event
                        case _:
                            assert_never(event)
            if not asked:
                return
            messages.append(_assistant(said, asked))
            yield ToolsRequested(requests=tuple(asked))
            must_go_on = False
            for each in asked:
                if each.name in turn.call_tools:
                    yield ToolCall(
                        name=each.name, arguments=parse_arguments(each.arguments) or {}
                    )
                    answer = ToolAnswered(request=each, text="Done.")
                else:
                    answer = await self._execute(each, tools)
                    must_go_on = True
                messages.append(_tool_message(answer))
                yield answer
            if not must_go_on:
                return
        raise AgentFailed(
            f"The model {turn.model} asked for tools {MAX_ROUNDS} times in a row "
            "without an answer."
        )

    async def _open(self) -> tuple[ProviderSettings, ModelClient]:
        async with self._opening:
            if self._opened is None:
                provider = await asyncio.to_thread(self._load_settings)
                client = await asyncio.to_thread(self._connect, provider)
                self._opened = (provider, client)
            return self._opened

    def _connect(self, provider: ProviderSettings) -> ModelClient:
        try:
            return self._open_client(provider)
        except AgentFailed:
            raise
        except Exception as error:
            # An SDK has its own idea of what a URL or a key may look like.
            raise AgentFailed(
                f"{provider.id} at {provider.place} cannot be used: {error}"
            ) from error

    async def _execute(
        self, request: ToolRequest, tools: tuple[Tool, ...]
    ) -> ToolAnswered:
        """Carry out a tool to its end, also if nobody waits for it any more.

        A call that is being dialled must not be forgotten half-way because a caller
        interrupted the agent.
        """
        run = asyncio.create_task(answer_request(request, tools))
        self._tool_runs.add(run)
        run.add_done_callback(self._tool_runs.discard)
        return await asyncio.shield(run)


def open_client(
    provider: ProviderSettings, *, stall_s: float | None = None
) -> ModelClient:
    """Return the connection to a provider; imports its SDK.

    Raises:
        AgentFailed: The SDK is not installed; names the extra that holds it.
    """
    from openclaw_gateway.agents.models.anthropic import (  # noqa: PLC0415 - on first use
        AnthropicModels,
    )
    from openclaw_gateway.agents.models.openai import (  # noqa: PLC0415 - on first use
        OpenAIModels,
    )

    bounds = {} if stall_s is None else {"stall_s": stall_s}
    if provider.api == ANTHROPIC_MESSAGES:
        return AnthropicModels(provider, **bounds)
    return OpenAIModels(provider, **bounds)


def _open_client(provider: ProviderSettings) -> ModelClient:
    return open_client(provider)


async def _ask(
    client: ModelClient, request: ModelRequest
) -> AsyncGenerator[ModelEvent, None]:
    """Yield one answer of the model; ask again where nothing had come yet."""
    for attempt in range(RETRIES + 1):
        has_begun = False
        try:
            async with contextlib.aclosing(client.stream(request)) as events:
                async for event in events:
                    has_begun = True
                    yield event
        except ModelFailed as failure:
            wait_s = max(failure.retry_after_s, BACKOFF_S * 2**attempt)
            is_last = attempt == RETRIES or wait_s > LONGEST_WAIT_S
            if has_begun or is_last or not failure.is_retryable:
                raise
            _log.warning("model asked again", reason=str(failure), wait_s=wait_s)
            await asyncio.sleep(wait_s)
        else:
            return


def _tools_of(turn: AgentTurn) -> tuple[Tool, ...]:
    own = tuple(tool for tool in turn.tools if tool.name not in turn.call_tools)
    return own + tuple(call_tool(name) for name in turn.call_tools)


def _conversation(turn: AgentTurn, provider: ProviderSettings) -> list[Message]:
    window = provider.model(turn.model).context_window
    # Half of the window: the system prompt, the tools and the answer need room too.
    max_tokens = min(DEFAULT_HISTORY_TOKENS, window // 2) if window else None
    history = bound_history(
        turn.history,
        max_messages=MAX_HISTORY_MESSAGES,
        max_tokens=max_tokens or DEFAULT_HISTORY_TOKENS,
    )
    return [*history, Message(role="user", text=turn.message, source=turn.source)]


def _assistant(said: list[str], asked: list[ToolRequest]) -> Message:
    return Message(role="assistant", text="".join(said), tool_requests=tuple(asked))


def _tool_message(answer: ToolAnswered) -> Message:
    return Message(role="tool", text=answer.text, request_id=answer.request.id)
