"""What a language model is: it is sent a conversation, and streams what comes next."""

from __future__ import annotations

import importlib
import re
import secrets
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from openclaw_gateway.agents.base import TextDelta, ToolRequest, UsageReported
from openclaw_gateway.errors import AgentFailed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from openclaw_gateway.agents.base import Message, Tool
    from openclaw_gateway.agents.models.providers import ProviderSettings

__all__ = [
    "ModelClient",
    "ModelEvent",
    "ModelFailed",
    "ModelRequest",
    "OptionalFields",
    "broken_off",
    "check_end",
    "connection_failure",
    "garbled",
    "load_sdk",
    "new_request_id",
    "status_failure",
    "timed_out",
]

_log = structlog.get_logger(__name__)

ModelEvent = TextDelta | ToolRequest | UsageReported

RETRYABLE_STATUS = frozenset({408, 409, 425, 429})
SERVER_FAULT = 500
BAD_REQUEST = 400
MAX_DETAIL_CHARS = 300
_ALPHABET = string.ascii_lowercase + string.digits
_SECRET = re.compile(
    r"\b(?:sk|pk|rk|key|gsk)[-_][\w*.-]{4,}|Bearer\s+\S+", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """What a model is asked.

    Attributes:
        model: Its name at the provider.
        system: The system prompt.
        messages: The conversation, oldest first; the last is what to answer.
        tools: What it may ask for.
        may_use_tools: False where it must answer in words now.
        thinking: How hard to think, or None for the model's own default.
    """

    model: str
    system: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    may_use_tools: bool = True
    thinking: str | None = None


class ModelClient(Protocol):
    """One provider's API."""

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer; closing the iterator closes the request.

        Nothing is yielded before the model's first word or its first tool.

        Raises:
            ModelFailed: The provider does not answer, or not as it should.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class ModelFailed(AgentFailed):
    """Raised when a model's provider does not answer, or not as it should.

    Attributes:
        is_retryable: Whether asking again may help.
        retry_after_s: How long the provider wants us to wait, in seconds.
    """

    def __init__(
        self, message: str, *, is_retryable: bool = False, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(message)
        self.is_retryable = is_retryable
        self.retry_after_s = retry_after_s


class OptionalFields:
    """The fields of a request that not every server takes, and who refused which.

    A server that names one of them in a 400 is asked again without it, and is not sent
    it any more as long as the Gateway runs.
    """

    def __init__(self) -> None:
        self._refused: set[tuple[str, str]] = set()

    def wanted(self, model: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields to send."""
        return {
            name: value
            for name, value in fields.items()
            if value is not None and (model, name) not in self._refused
        }

    def note_refusal(self, model: str, sent: Mapping[str, Any], error: Any) -> bool:
        """Say whether to ask again, after the server refused a request."""
        if getattr(error, "status_code", None) not in {BAD_REQUEST, 422}:
            return False
        complaint = f"{getattr(error, 'param', '')} {error}"
        named = [name for name in sent if name in complaint]
        self._refused.update((model, name) for name in named)
        return bool(named)


def load_sdk(module: str, *, extra: str) -> Any:
    """Import a vendor's SDK.

    Raises:
        AgentFailed: It is not installed; names the extra that holds it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise AgentFailed(
            f"This model needs the package {module}: "
            f'pip install "openclaw-gateway[{extra}]" ({error}).'
        ) from error


def new_request_id() -> str:
    """Return an id for a request for a tool, unique within every session.

    Not all servers give unique ones, and a session may go on at another server: nine
    letters and digits are what the strictest takes.
    """
    return "".join(secrets.choice(_ALPHABET) for _ in range(9))


def status_failure(
    provider: ProviderSettings, model: str, error: Any, *, status: int | None
) -> ModelFailed:
    """Return the failure for what a provider answered instead of words.

    Args:
        provider: Who answered.
        model: Which model was asked.
        error: The SDK's exception.
        status: The HTTP status, None for an error within a stream.
    """
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    match status:
        case 401 | 403:
            what = f"{provider.id} refused the API key; check {provider.key_hint}"
        case 404:
            what = f"{provider.id} does not know the model {model}"
        case 413:
            what = f"{provider.id} found the conversation too long"
        case 429:
            what = f"{provider.id} takes no more requests for now"
        case None:
            what = f"{provider.id} ended its answer with an error"
        case _ if status >= SERVER_FAULT:
            what = f"{provider.id} failed"
        case _:
            what = f"{provider.id} did not accept the request"
    number = f" ({status})" if status else ""
    detail = _detail(error, provider)
    return ModelFailed(
        f"{what}{number}: {detail}" if detail else f"{what}{number}.",
        is_retryable=_is_retryable(status, error),
        retry_after_s=_retry_after_s(headers),
    )


def connection_failure(provider: ProviderSettings, error: BaseException) -> ModelFailed:
    """Return the failure for a provider that cannot be reached."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(cause)
    kinds = {type(cause).__name__ for cause in causes}
    if kinds & {"RemoteProtocolError", "ReadError"}:
        return broken_off(provider)
    is_refused = any(isinstance(cause, ConnectionRefusedError) for cause in causes)
    # Who tried and failed to connect may not know why; the deepest cause does.
    reason = "connection refused" if is_refused else _sentence(causes)
    return ModelFailed(
        f"{provider.id} cannot be reached at {provider.place}: {reason}.",
        is_retryable="ConnectError" not in kinds,
    )


def timed_out(provider: ProviderSettings, stall_s: float) -> ModelFailed:
    """Return the failure for a provider that stopped sending."""
    return ModelFailed(
        f"{provider.id} at {provider.place} sent nothing for {stall_s:g} seconds."
    )


def check_end(provider: ProviderSettings, *, has_end: bool, has_said: bool) -> None:
    """Look at an answer whose stream has ended properly.

    Some servers never say why they stop. What came is taken for the answer then; where
    nothing came, it cannot be one.

    Raises:
        ModelFailed: It is no answer.
    """
    if has_end:
        return
    if not has_said:
        raise broken_off(provider)
    _log.warning("an answer without an end", provider=provider.id)


def broken_off(provider: ProviderSettings) -> ModelFailed:
    """Return the failure for an answer without an end."""
    return ModelFailed(f"The answer of {provider.id} broke off.", is_retryable=True)


def garbled(provider: ProviderSettings) -> ModelFailed:
    """Return the failure for an answer that makes no sense."""
    return ModelFailed(
        f"{provider.id} at {provider.place} sent an answer that is no valid event "
        "stream; check models.providers baseUrl and api."
    )


def _is_retryable(status: int | None, error: Any) -> bool:
    if "insufficient_quota" in str(getattr(error, "code", "")):
        return False  # a bill to pay; waiting does not help
    return status is None or status in RETRYABLE_STATUS or status >= SERVER_FAULT


def _retry_after_s(headers: Mapping[str, str]) -> float:
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return 0.0


def _detail(error: Any, provider: ProviderSettings) -> str:
    """Return the provider's own words, without the key and not too many."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else body
    message = inner.get("message") if isinstance(inner, dict) else inner
    text = " ".join(str(message or getattr(error, "message", "") or error).split())
    if provider.api_key:
        text = text.replace(provider.api_key, "…")
    return _SECRET.sub("…", text)[:MAX_DETAIL_CHARS]


def _sentence(causes: list[BaseException]) -> str:
    texts = [str(cause).strip().rstrip(".") for cause in reversed(causes)]
    return next((text for text in texts if text), type(causes[-1]).__name__)
