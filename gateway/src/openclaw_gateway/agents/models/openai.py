"""Models behind OpenAI's chat completions: OpenAI itself, Ollama, vLLM and many more."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from openclaw_gateway.agents.base import TextDelta, ToolRequest, UsageReported
from openclaw_gateway.agents.models.base import (
    ModelFailed,
    OptionalFields,
    broken_off,
    check_end,
    connection_failure,
    garbled,
    load_sdk,
    new_request_id,
    status_failure,
    timed_out,
)
from openclaw_gateway.agents.prompts import mark_source

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from openclaw_gateway.agents.base import Message, Tool
    from openclaw_gateway.agents.models.base import ModelEvent, ModelRequest
    from openclaw_gateway.agents.models.providers import ModelInfo, ProviderSettings

__all__ = ["OpenAIModels", "chat_messages", "chat_tools", "reasoning_effort"]

CONNECT_S = 5.0
DEFAULT_STALL_S = 60.0

_EFFORTS = (
    # What each family calls its lowest effort (API reference of reasoning_effort).
    (re.compile(r"gpt-5\.\d"), "none"),
    (re.compile(r"gpt-5"), "minimal"),
    (re.compile(r"o\d"), "low"),
)


class OpenAIModels:
    """The chat completions of one provider.

    Args:
        provider: Where, and with which key.
        stall_s: How long the provider may send nothing, in seconds.

    Raises:
        AgentFailed: The SDK is not installed.
    """

    def __init__(
        self, provider: ProviderSettings, *, stall_s: float = DEFAULT_STALL_S
    ) -> None:
        self._sdk = load_sdk("openai", extra="openai")
        self._http = load_sdk("httpx2", extra="openai")
        self._provider = provider
        self._stall_s = stall_s
        self._optional = OptionalFields()
        self._client = self._sdk.AsyncOpenAI(
            api_key=provider.api_key,
            base_url=provider.base_url,
            default_headers=dict(provider.headers),
            timeout=self._sdk.Timeout(stall_s, connect=min(CONNECT_S, stall_s)),
            max_retries=0,  # whether to ask again is decided in one place: the agent
        )
        # Imported by the SDK on first use, which should not be the first turn.
        self._completions = self._client.chat.completions

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer; see `ModelClient`.

        Raises:
            ModelFailed: The provider does not answer, or not as it should.
        """
        sdk, provider = self._sdk, self._provider
        answer = _Answer()
        try:
            async with await self._open(request) as chunks:
                async for chunk in chunks:
                    text = answer.take(chunk)
                    if text:
                        yield TextDelta(text=text)
        except sdk.APITimeoutError as error:
            raise timed_out(provider, self._stall_s) from error
        except sdk.APIConnectionError as error:
            raise connection_failure(provider, error) from error
        except sdk.APIError as error:
            status = getattr(error, "status_code", None)
            raise status_failure(
                provider, request.model, error, status=status
            ) from error
        except (ValueError, AttributeError, TypeError) as error:
            raise garbled(provider) from error
        except self._http.HTTPError as error:
            raise broken_off(provider) from error
        for event in answer.finish(provider):
            yield event

    async def _open(self, request: ModelRequest) -> Any:
        info = self._provider.model(request.model)
        fields: dict[str, Any] = {
            "model": request.model,
            "messages": chat_messages(request.system, request.messages),
        }
        if request.tools:
            fields["tools"] = chat_tools(request.tools)
        if info.max_tokens:
            fields["max_completion_tokens"] = info.max_tokens
        while True:
            optional = self._optional.wanted(
                request.model,
                {
                    "stream_options": {"include_usage": True},
                    "reasoning_effort": reasoning_effort(request, info),
                    "tool_choice": None if request.may_use_tools else "none",
                },
            )
            try:
                return await self._completions.create(**fields, **optional, stream=True)
            except self._sdk.APIStatusError as error:
                if not self._optional.note_refusal(request.model, optional, error):
                    raise


@dataclass(slots=True)
class _Answer:
    """Puts the chunks of one answer together."""

    requests: dict[int, dict[str, str]] = field(default_factory=dict)
    finish_reason: str = ""
    has_text: bool = False
    usage: UsageReported | None = None

    def take(self, chunk: Any) -> str:
        """Note a chunk and return the text in it."""
        usage = chunk.usage
        if usage is not None:
            self.usage = UsageReported(
                input_tokens=usage.prompt_tokens or 0,
                output_tokens=usage.completion_tokens or 0,
            )
        text = ""
        for choice in chunk.choices or ():
            self.finish_reason = choice.finish_reason or self.finish_reason
            delta = choice.delta
            if delta is None:
                continue
            text += delta.content or getattr(delta, "refusal", None) or ""
            for call in getattr(delta, "tool_calls", None) or ():
                self._take_call(call)
        self.has_text = self.has_text or bool(text)
        return text

    def _take_call(self, call: Any) -> None:
        # Some servers leave the index out where there is only one call.
        known = self.requests.setdefault(call.index or 0, {"name": "", "arguments": ""})
        if call.function is not None:
            known["name"] = known["name"] or call.function.name or ""
            known["arguments"] += call.function.arguments or ""

    def finish(self, provider: ProviderSettings) -> Iterable[ModelEvent]:
        """Yield what is only known at the end.

        Raises:
            ModelFailed: It is no answer.
        """
        has_said = self.has_text or bool(self.requests)
        check_end(provider, has_end=bool(self.finish_reason), has_said=has_said)
        if self.finish_reason == "content_filter" and not self.has_text:
            raise ModelFailed(
                f"The content filter of {provider.id} withheld the answer."
            )
        for _, known in sorted(self.requests.items()):
            yield ToolRequest(
                id=new_request_id(),
                name=known["name"],
                arguments=known["arguments"] or "{}",
            )
        if self.usage is not None:
            yield self.usage


def reasoning_effort(request: ModelRequest, info: ModelInfo) -> str | None:
    """Return the value of `reasoning_effort`, None where it must not be sent."""
    if request.thinking is None:
        return None
    family = request.model.rpartition("/")[2]
    lowest = next((low for known, low in _EFFORTS if known.match(family)), None)
    if info.is_reasoning and lowest is None:
        lowest = "low"
    if lowest is None or info.is_reasoning is False:
        return None
    if request.thinking in {"off", "minimal"}:
        return lowest
    return request.thinking


def chat_messages(system: str, messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Return a conversation in the shape of the API."""
    return [{"role": "system", "content": system}, *map(_chat_message, messages)]


def _chat_message(message: Message) -> dict[str, Any]:
    match message.role:
        case "tool":
            return {
                "role": "tool",
                "tool_call_id": message.request_id,
                "content": message.text,
            }
        case "assistant" if message.tool_requests:
            calls = [
                {
                    "id": request.id,
                    "type": "function",
                    "function": {
                        "name": request.name,
                        "arguments": _valid_json(request.arguments),
                    },
                }
                for request in message.tool_requests
            ]
            return {
                "role": "assistant",
                "content": message.text or None,
                "tool_calls": calls,
            }
        case "assistant":
            return {"role": "assistant", "content": message.text}
        case _:
            text = mark_source(message.text, message.source)
            return {"role": "user", "content": text}


def chat_tools(tools: Iterable[Tool]) -> list[dict[str, Any]]:
    """Return tools in the shape of the API."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.parameters),
            },
        }
        for tool in tools
    ]


def _valid_json(arguments: str) -> str:
    """Return arguments that a strict server takes, whatever a model once wrote."""
    try:
        json.loads(arguments)
    except ValueError:
        return "{}"
    return arguments
