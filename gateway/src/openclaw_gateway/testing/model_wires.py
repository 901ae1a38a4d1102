"""How the two APIs write an answer down (PURE); see `model_server`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from openclaw_gateway.testing.model_server import Answer

__all__ = ["ANTHROPIC", "OPENAI", "Wire"]

INPUT_TOKENS = 11
_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


class Wire(Protocol):
    """One API's way to write."""

    def key(self, headers: Mapping[str, str]) -> str:
        """Return the API key that a client presents."""
        ...

    def error(self, answer: Answer) -> Mapping[str, Any]:
        """Return an error's body."""
        ...

    def whole(self, body: Mapping[str, Any], answer: Answer) -> Mapping[str, Any]:
        """Return an answer that is not streamed."""
        ...

    def begin(self, body: Mapping[str, Any]) -> Iterable[bytes]:
        """Return the events before the first piece of text."""
        ...

    def piece(self, body: Mapping[str, Any], text: str) -> bytes:
        """Return the event of one piece of text."""
        ...

    def end(self, body: Mapping[str, Any], answer: Answer) -> Iterable[bytes]:
        """Return the events after the last piece of text, tools among them."""
        ...

    def garbage(self) -> bytes:
        """Return an event that is no JSON."""
        ...

    def error_event(self, answer: Answer) -> bytes:
        """Return an error within a stream."""
        ...


class _OpenAI:
    """Chat completions: https://platform.openai.com/docs/api-reference/chat."""

    def key(self, headers: Mapping[str, str]) -> str:
        return headers.get("authorization", "").removeprefix("Bearer ")

    def error(self, answer: Answer) -> dict[str, Any]:
        kind = "invalid_request_error" if answer.status < 500 else "server_error"  # noqa: PLR2004 - HTTP
        error = {"message": answer.error, "type": kind, "param": None, "code": None}
        return {"error": error}

    def whole(self, body: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(answer.text) or None,
        }
        if answer.tools:
            message["tool_calls"] = [_openai_call(i, *t) for i, t in _numbered(answer)]
        choice = {"index": 0, "message": message, "finish_reason": _openai_end(answer)}
        shape = self._shape(body, "chat.completion")
        return {**shape, "choices": [choice], "usage": self._usage(answer)}

    def begin(self, body: Mapping[str, Any]) -> list[bytes]:
        return [self._chunk(body, {"role": "assistant", "content": ""})]

    def piece(self, body: Mapping[str, Any], text: str) -> bytes:
        return self._chunk(body, {"content": text})

    def end(self, body: Mapping[str, Any], answer: Answer) -> list[bytes]:
        events = []
        for index, (name, arguments) in _numbered(answer):
            call = _openai_call(index, name, arguments)
            written = call["function"].pop("arguments")
            call["function"]["arguments"] = ""
            events.append(self._chunk(body, {"tool_calls": [{"index": index, **call}]}))
            # As the real one does, the arguments come in pieces.
            half = len(written) // 2
            events += [
                self._chunk(
                    body,
                    {"tool_calls": [{"index": index, "function": {"arguments": part}}]},
                )
                for part in (written[:half], written[half:])
            ]
        events.append(self._chunk(body, {}, _openai_end(answer)))
        options = body.get("stream_options") or {}
        if options.get("include_usage"):
            shape = self._shape(body, "chat.completion.chunk")
            usage = {**shape, "choices": [], "usage": self._usage(answer)}
            events.append(_data(usage))
        return [*events, b"data: [DONE]\n\n"]

    def garbage(self) -> bytes:
        return b"data: {this is no JSON\n\n"

    def error_event(self, answer: Answer) -> bytes:
        return _data(self.error(answer))

    def _chunk(
        self, body: Mapping[str, Any], delta: Any, finish_reason: str | None = None
    ) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return _data(
            {**self._shape(body, "chat.completion.chunk"), "choices": [choice]}
        )

    def _shape(self, body: Mapping[str, Any], kind: str) -> dict[str, Any]:
        return {
            "id": "chatcmpl-1",
            "object": kind,
            "created": 1_700_000_000,
            "model": body.get("model"),
        }

    def _usage(self, answer: Answer) -> dict[str, int]:
        written = len(answer.text)
        return {
            "prompt_tokens": INPUT_TOKENS,
            "completion_tokens": written,
            "total_tokens": INPUT_TOKENS + written,
        }


class _Anthropic:
    """Messages: https://docs.anthropic.com/en/api/messages."""

    def key(self, headers: Mapping[str, str]) -> str:
        # The API's own header, or what the SDK sends since version 2.
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        return headers.get("x-api-key") or bearer

    def error(self, answer: Answer) -> dict[str, Any]:
        kind = _ANTHROPIC_TYPES.get(answer.status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": answer.error}}

    def whole(self, body: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
        text = "".join(answer.text)
        content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
        content += [_anthropic_call(i, *t) for i, t in _numbered(answer)]
        message = self._message(body)
        message |= {"content": content, "stop_reason": _anthropic_end(answer)}
        message["usage"]["output_tokens"] = len(answer.text)
        return message

    def begin(self, body: Mapping[str, Any]) -> list[bytes]:
        block = {"type": "text", "text": ""}
        return [
            _event({"type": "message_start", "message": self._message(body)}),
            _event({"type": "content_block_start", "index": 0, "content_block": block}),
            _event({"type": "ping"}),
        ]

    def piece(self, body: Mapping[str, Any], text: str) -> bytes:
        del body
        delta = {"type": "text_delta", "text": text}
        return _event({"type": "content_block_delta", "index": 0, "delta": delta})

    def end(self, body: Mapping[str, Any], answer: Answer) -> list[bytes]:
        del body
        events = [_event({"type": "content_block_stop", "index": 0})]
        for number, (name, arguments) in _numbered(answer):
            index = number + 1
            call = _anthropic_call(number, name, arguments)
            written = json.dumps(call["input"])
            half = len(written) // 2
            start = {"index": index, "content_block": {**call, "input": {}}}
            events.append(_event({"type": "content_block_start", **start}))
            for part in (written[:half], written[half:]):
                delta = {"type": "input_json_delta", "partial_json": part}
                events.append(
                    _event(
                        {"type": "content_block_delta", "index": index, "delta": delta}
                    )
                )
            events.append(_event({"type": "content_block_stop", "index": index}))
        ending = {"stop_reason": _anthropic_end(answer), "stop_sequence": None}
        usage = {"output_tokens": len(answer.text)}
        events.append(
            _event({"type": "message_delta", "delta": ending, "usage": usage})
        )
        return [*events, _event({"type": "message_stop"})]

    def garbage(self) -> bytes:
        return b"event: content_block_delta\ndata: {this is no JSON\n\n"

    def error_event(self, answer: Answer) -> bytes:
        return _event(self.error(answer))

    def _message(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body.get("model"),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": 1},
        }


OPENAI: Wire = _OpenAI()
ANTHROPIC: Wire = _Anthropic()


def _numbered(answer: Answer) -> Iterable[tuple[int, tuple[str, Mapping[str, Any]]]]:
    return enumerate(answer.tools)


def _openai_call(index: int, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"id": f"call_{index}_{name}", "type": "function", "function": function}


def _openai_end(answer: Answer) -> str:
    return "tool_calls" if answer.tools else "stop"


def _anthropic_call(
    index: int, name: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    given = dict(arguments)
    return {
        "type": "tool_use",
        "id": f"toolu_{index}_{name}",
        "name": name,
        "input": given,
    }


def _anthropic_end(answer: Answer) -> str:
    return "tool_use" if answer.tools else "end_turn"


def _data(value: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _event(value: Mapping[str, Any]) -> bytes:
    return b"event: " + str(value["type"]).encode() + b"\n" + _data(value)
