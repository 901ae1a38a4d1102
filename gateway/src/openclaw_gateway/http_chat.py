"""POST /v1/chat/completions and GET /v1/models: agents behind OpenAI's own interface.

`model` is `openclaw` for the default agent or `openclaw:<agent>`. With `user` (or the
header `x-openclaw-session-key`) the conversation is kept, and what was said since the
last answer is added to it; without, `messages` are the whole conversation and nothing
is kept. `system` messages are added to the agent's system prompt. What an agent does
with tools stays between it and the Gateway; other fields have no effect.

A run that fails after the answer's headers were sent ends with an event that holds an
error object, then `[DONE]`.
"""

from __future__ import annotations

import contextlib
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from starlette.responses import JSONResponse, Response

from openclaw_gateway import clock
from openclaw_gateway.errors import GatewayError
from openclaw_gateway.http_access import HttpRefused, read_json
from openclaw_gateway.http_events import (
    DONE,
    EventStream,
    event_bytes,
    run_while_connected,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from starlette.requests import Request

    from openclaw_gateway.agents.runner import AgentRunner
    from openclaw_gateway.http_access import HttpDoor

__all__ = ["ChatEndpoint", "parse_chat"]

_log = structlog.get_logger(__name__)

MODEL = "openclaw"
_NAMED = re.compile(r"(?:openclaw[:/]|agent:)(.+)", re.DOTALL)
MAX_USER_CHARS = 256
CLIENT_CLOSED = 499
"""Nobody is left to read the answer; it is for the metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """What a client asks for.

    Attributes:
        model: As the client wrote it; given back in the answer.
        run: The request to the agent.
        is_streamed: Whether the answer is sent as events.
        shows_usage: Whether a stream ends with the usage.
    """

    model: str
    run: Mapping[str, Any]
    is_streamed: bool
    shows_usage: bool


class ChatEndpoint:
    """Answers POST /v1/chat/completions and GET /v1/models.

    Args:
        runner: Lets agents answer.
        door: Lets requests in.
    """

    def __init__(self, runner: AgentRunner, door: HttpDoor) -> None:
        self._runner = runner
        self._door = door

    async def models(self, request: Request) -> Response:
        """Say under which names agents answer."""
        try:
            await self._door.check(request)
        except HttpRefused as refused:
            return refused.response()
        names = [MODEL, *(f"{MODEL}:{each}" for each in self._runner.agents.profiles)]
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "openclaw"}
            for name in names
        ]
        return JSONResponse({"object": "list", "data": data})

    async def complete(self, request: Request) -> Response:
        """Answer one request."""
        try:
            await self._door.check(request)
            chat = parse_chat(
                await read_json(request),
                run_id=f"chatcmpl-{uuid.uuid4().hex}",
                session_key=request.headers.get("x-openclaw-session-key", ""),
                agent_id=request.headers.get("x-openclaw-agent-id", ""),
            )
            self._check_agent(chat)
            if chat.is_streamed:
                with self._door.place():
                    pass  # refused before the headers are sent
                return EventStream(self._stream(chat))
            with self._door.place():
                answer = await run_while_connected(self._collect(chat), request)
        except HttpRefused as refused:
            return refused.response()
        if answer is None:
            return Response(status_code=CLIENT_CLOSED)
        return JSONResponse(answer)

    def _check_agent(self, chat: Chat) -> None:
        run = chat.run
        if self._runner.agents.find(run["agentId"], run["sessionKey"]) is None:
            raise HttpRefused(
                404,
                "invalid_request_error",
                f"The model {chat.model} does not exist; GET /v1/models lists all.",
                code="model_not_found",
            )

    async def _collect(self, chat: Chat) -> dict[str, Any]:
        text: list[str] = []
        usage = _Usage()
        try:
            async with contextlib.aclosing(self._runner.run(chat.run)) as events:
                async for event in events:
                    text.append(str(event.get("delta") or ""))
                    usage.add(event)
        except Exception as error:
            raise _failure(error) from error
        message = {"role": "assistant", "content": "".join(text)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        shape = _shape(chat, "chat.completion")
        return {**shape, "choices": [choice], "usage": usage.shape()}

    async def _stream(self, chat: Chat) -> AsyncGenerator[bytes, None]:
        shape = _shape(chat, "chat.completion.chunk")
        usage = _Usage()
        try:
            with self._door.place():
                yield _chunk(shape, {"role": "assistant", "content": ""})
                async with contextlib.aclosing(self._runner.run(chat.run)) as events:
                    async for event in events:
                        usage.add(event)
                        if event["type"] == "text":
                            yield _chunk(shape, {"content": event["delta"]})
            yield _chunk(shape, {}, finish_reason="stop")
            if chat.shows_usage:
                yield event_bytes({**shape, "choices": [], "usage": usage.shape()})
        except Exception as error:  # noqa: BLE001 - told to the client; a defect is logged
            refused = error if isinstance(error, HttpRefused) else _failure(error)
            shown = {"message": refused.message, "type": refused.kind}
            yield event_bytes({"error": {**shown, "code": refused.code}})
        yield DONE


def parse_chat(
    body: Mapping[str, Any], *, run_id: str, session_key: str = "", agent_id: str = ""
) -> Chat:
    """Return what a body asks for. PURE.

    Args:
        body: The request's body.
        run_id: Identifies the run and the answer.
        session_key: Which conversation, where a header says so.
        agent_id: Which agent, where a header says so.

    Raises:
        HttpRefused: 400; says what is wrong.
    """
    model = body.get("model") or MODEL
    if not isinstance(model, str):
        raise _wrong("model must be a text.")
    agent = agent_id or _agent_of(model)
    prompts, conversation = _split(body.get("messages"))
    user = body.get("user")
    if user is not None and (not isinstance(user, str) or len(user) > MAX_USER_CHARS):
        raise _wrong(f"user must be a text of at most {MAX_USER_CHARS} characters.")
    new = _since_last_answer(conversation)
    run: dict[str, Any] = {
        "runId": run_id,
        "agentId": agent or None,
        "message": "\n".join(each["text"] for each in new),
        "systemPrompt": "\n\n".join(prompts) or None,
    }
    if session_key or user:
        owner = f"agent:{agent}:" if agent else ""
        run["sessionKey"] = session_key or f"{owner}openai-user:{user}"
    else:
        run["sessionKey"] = f"openai:{run_id}"
        run["history"] = conversation[: len(conversation) - len(new)]
    options = body.get("stream_options")
    return Chat(
        model=model,
        run=run,
        is_streamed=body.get("stream") is True,
        shows_usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def _agent_of(model: str) -> str:
    """Return the agent that a model's name means; empty for the default one."""
    if model in {MODEL, f"{MODEL}/default"}:
        return ""
    named = _NAMED.fullmatch(model)
    # An unknown name is an unknown agent: nobody shall get another one silently.
    return named[1] if named else model


def _split(messages: Any) -> tuple[list[str], list[dict[str, str]]]:
    """Return the operator's prompts and the conversation."""
    if not isinstance(messages, list) or not messages:
        raise _wrong("messages must be a list that is not empty.")
    prompts: list[str] = []
    conversation: list[dict[str, str]] = []
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise _wrong(f"messages[{index}] must be an object.")
        role = message.get("role")
        text = _text_of(message.get("content"), index)
        match role:
            case "system" | "developer":
                prompts.append(text)
            case "user" | "assistant":
                conversation.append({"role": str(role), "text": text})
            case _:
                raise _wrong(f"messages[{index}].role is not supported: {role}.")
    return prompts, conversation


def _text_of(content: Any, index: int) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    texts: list[str] = []
    for part in content if isinstance(content, list) else (None,):
        text = part.get("text") if isinstance(part, dict) else None
        if not isinstance(text, str):
            raise _wrong(f"messages[{index}].content must be text.")
        texts.append(text)
    return "\n".join(texts)


def _since_last_answer(conversation: list[dict[str, str]]) -> list[dict[str, str]]:
    new: list[dict[str, str]] = []
    for each in reversed(conversation):
        if each["role"] != "user":
            break
        new.insert(0, each)
    if not any(each["text"].strip() for each in new):
        raise _wrong("The last message must be a user's, and not empty.")
    return new


@dataclass(slots=True)
class _Usage:
    read: int = 0
    written: int = 0

    def add(self, event: Mapping[str, Any]) -> None:
        if event["type"] == "usage":
            self.read += event["inputTokens"]
            self.written += event["outputTokens"]

    def shape(self) -> dict[str, int]:
        return {
            "prompt_tokens": self.read,
            "completion_tokens": self.written,
            "total_tokens": self.read + self.written,
        }


def _shape(chat: Chat, kind: str) -> dict[str, Any]:
    created = clock.now_ms() // 1000
    run_id = chat.run["runId"]
    return {"id": run_id, "object": kind, "created": created, "model": chat.model}


def _chunk(
    shape: Mapping[str, Any], delta: Mapping[str, Any], finish_reason: str | None = None
) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return event_bytes({**shape, "choices": [choice]})


def _wrong(message: str) -> HttpRefused:
    return HttpRefused(400, "invalid_request_error", message)


def _failure(error: Exception) -> HttpRefused:
    # The agent has asked its model often enough; tools may have run in between.
    headers = {"x-should-retry": "false"}
    if not isinstance(error, GatewayError):
        _log.error("run failed", exc_info=error)
        sentence = "The agent failed inside the Gateway; its log says why."
        return HttpRefused(
            500, "api_error", sentence, code="internal_error", headers=headers
        )
    if error.is_request_fault:
        return HttpRefused(400, "invalid_request_error", str(error), code=error.code)
    return HttpRefused(502, "api_error", str(error), code=error.code, headers=headers)
