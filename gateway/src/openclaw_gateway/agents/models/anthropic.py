"""Models behind Anthropic's messages API."""

from __future__ import annotations

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
from openclaw_gateway.agents.tools import parse_arguments

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from openclaw_gateway.agents.base import Message, Tool
    from openclaw_gateway.agents.models.base import ModelEvent, ModelRequest
    from openclaw_gateway.agents.models.providers import ModelInfo, ProviderSettings

__all__ = ["AnthropicModels", "anthropic_messages", "anthropic_tools"]

CONNECT_S = 5.0
DEFAULT_STALL_S = 60.0
DEFAULT_MAX_TOKENS = 4096
"""The API insists on a limit; no spoken answer comes near it."""

_EFFORTS = {"off": "low", "minimal": "low"}
_STATUS_OF_TYPE = {
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "overloaded_error": 529,
}
"""An error within a stream has the stream's own status, 200; its type tells the real."""


class AnthropicModels:
    """The messages API of one provider.

    Args:
        provider: Where, and with which key.
        stall_s: How long the provider may send nothing, in seconds.

    Raises:
        AgentFailed: The SDK is not installed.
    """

    def __init__(
        self, provider: ProviderSettings, *, stall_s: float = DEFAULT_STALL_S
    ) -> None:
        self._sdk = load_sdk("anthropic", extra="anthropic")
        self._http = load_sdk("httpx2", extra="anthropic")
        self._provider = provider
        self._stall_s = stall_s
        self._optional = OptionalFields()
        self._client = self._sdk.AsyncAnthropic(
            api_key=provider.api_key,
            base_url=provider.base_url,
            default_headers=_headers(provider),
            timeout=self._sdk.Timeout(stall_s, connect=min(CONNECT_S, stall_s)),
            max_retries=0,  # whether to ask again is decided in one place: the agent
        )
        # Imported by the SDK on first use, which should not be the first turn.
        self._messages = self._client.messages

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
            async with await self._open(request) as events:
                async for event in events:
                    text = answer.take(event)
                    if text:
                        yield TextDelta(text=text)
        except (sdk.APITimeoutError, self._http.TimeoutException) as error:
            raise timed_out(provider, self._stall_s) from error
        except sdk.APIConnectionError as error:
            raise connection_failure(provider, error) from error
        except sdk.APIError as error:
            raise status_failure(
                provider, request.model, error, status=_status(error)
            ) from error
        except (ValueError, AttributeError, TypeError) as error:
            raise garbled(provider) from error
        except self._http.HTTPError as error:
            raise broken_off(provider) from error
        for final in answer.finish(provider):
            yield final

    async def _open(self, request: ModelRequest) -> Any:
        info = self._provider.model(request.model)
        fields: dict[str, Any] = {
            "model": request.model,
            "max_tokens": info.max_tokens or DEFAULT_MAX_TOKENS,
            "system": request.system,
            "messages": anthropic_messages(request.messages),
        }
        if request.tools:
            fields["tools"] = anthropic_tools(request.tools)
            if not request.may_use_tools:
                fields["tool_choice"] = {"type": "none"}
        while True:
            optional = self._optional.wanted(
                request.model, {"output_config": _effort(request, info)}
            )
            try:
                return await self._messages.create(**fields, **optional, stream=True)
            except self._sdk.APIStatusError as error:
                if not self._optional.note_refusal(request.model, optional, error):
                    raise


@dataclass(slots=True)
class _Answer:
    """Puts the events of one answer together."""

    requests: dict[int, dict[str, str]] = field(default_factory=dict)
    stop_reason: str = ""
    has_text: bool = False
    input_tokens: int = 0
    output_tokens: int = 0

    def take(self, event: Any) -> str:
        """Note an event and return the text in it."""
        match event.type:
            case "message_start":
                self._count(event.message.usage)
            case "content_block_start" if event.content_block.type == "tool_use":
                block = event.content_block
                self.requests[event.index] = {"name": block.name}
            case "content_block_delta" if event.delta.type == "text_delta":
                self.has_text = self.has_text or bool(event.delta.text)
                return str(event.delta.text)
            case "content_block_delta" if event.delta.type == "input_json_delta":
                known = self.requests[event.index]
                known["arguments"] = (
                    known.get("arguments", "") + event.delta.partial_json
                )
            case "message_delta":
                self.stop_reason = event.delta.stop_reason or self.stop_reason
                self._count(event.usage)
            case _:
                pass  # thinking, pings, ends of blocks, and what the API adds later
        return ""

    def finish(self, provider: ProviderSettings) -> Iterable[ModelEvent]:
        """Yield what is only known at the end.

        Raises:
            ModelFailed: It is no answer.
        """
        has_said = self.has_text or bool(self.requests)
        check_end(provider, has_end=bool(self.stop_reason), has_said=has_said)
        if self.stop_reason == "refusal" and not self.has_text:
            raise ModelFailed(f"{provider.id} declined to answer.")
        for _, known in sorted(self.requests.items()):
            yield ToolRequest(
                id=new_request_id(),
                name=known["name"],
                arguments=known.get("arguments") or "{}",
            )
        yield UsageReported(
            input_tokens=self.input_tokens, output_tokens=self.output_tokens
        )

    def _count(self, usage: Any) -> None:
        cached = getattr(usage, "cache_read_input_tokens", None) or 0
        written = getattr(usage, "cache_creation_input_tokens", None) or 0
        read = (getattr(usage, "input_tokens", None) or 0) + cached + written
        self.input_tokens = read or self.input_tokens
        self.output_tokens = getattr(usage, "output_tokens", None) or self.output_tokens


def _headers(provider: ProviderSettings) -> dict[str, str]:
    """Return what is sent besides what the SDK sends.

    The SDK presents the key as `Authorization: Bearer`; servers that imitate the API
    look for `x-api-key`, as its reference has it since 2023.
    """
    if provider.is_vendors_own:
        return dict(provider.headers)
    return {"x-api-key": provider.api_key, **provider.headers}


def _status(error: Any) -> int | None:
    status = getattr(error, "status_code", None)
    if status is not None and status >= 400:  # noqa: PLR2004 - HTTP
        return int(status)
    body = getattr(error, "body", None)
    inner = body.get("error") if isinstance(body, dict) else None
    kind = inner.get("type") if isinstance(inner, dict) else None
    return _STATUS_OF_TYPE.get(str(kind))


def _effort(request: ModelRequest, info: ModelInfo) -> dict[str, str] | None:
    """Return how hard to think; models that do not think are sent nothing."""
    if request.thinking is None or not info.is_reasoning:
        return None
    return {"effort": _EFFORTS.get(request.thinking, request.thinking)}


def anthropic_messages(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Return a conversation in the shape of the API: roles alternate."""
    shaped: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message)
        if shaped and shaped[-1]["role"] == role:
            shaped[-1]["content"].extend(blocks)
        else:
            shaped.append({"role": role, "content": blocks})
    return shaped


def _blocks(message: Message) -> list[dict[str, Any]]:
    match message.role:
        case "tool":
            return [
                {
                    "type": "tool_result",
                    "tool_use_id": message.request_id,
                    "content": message.text,
                }
            ]
        case "assistant":
            said = [{"type": "text", "text": message.text}] if message.text else []
            return said + [
                {
                    "type": "tool_use",
                    "id": request.id,
                    "name": request.name,
                    "input": parse_arguments(request.arguments) or {},
                }
                for request in message.tool_requests
            ]
        case _:
            text = mark_source(message.text, message.source)
            return [{"type": "text", "text": text}]


def anthropic_tools(tools: Iterable[Tool]) -> list[dict[str, Any]]:
    """Return tools in the shape of the API."""
    return [
        {
            "name": tool.name,
            "description": tool.description,
            "input_schema": dict(tool.parameters),
        }
        for tool in tools
    ]
