"""Which tools an agent may use, and the carrying out of one request for one.

`allow` and `deny` hold names, with `*` for any characters. Without `allow` every tool is
allowed; an empty `allow` allows none. `deny` wins.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import structlog

from openclaw_gateway.agents.base import Tool, ToolAnswered

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from openclaw_gateway.agents.base import ToolRequest

__all__ = [
    "ToolPolicy",
    "answer_request",
    "call_tool",
    "parse_arguments",
    "result_text",
]

_log = structlog.get_logger(__name__)

MAX_RESULT_CHARS = 32_000
"""What a model is shown of one answer of a tool."""

_CALL_TOOLS: Mapping[str, str] = {
    "end_call": "Hang up the phone call after your last words have been heard.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolPolicy:
    """What one agent may use.

    Attributes:
        allow: Names and patterns, or None for everything.
        deny: Names and patterns that are not allowed all the same.
    """

    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()

    def allows(self, name: str) -> bool:
        """Say whether a tool may be used."""
        if any(fnmatchcase(name, pattern) for pattern in self.deny):
            return False
        if self.allow is None:
            return True
        return any(fnmatchcase(name, pattern) for pattern in self.allow)

    def allows_of_call(self, name: str) -> bool:
        """Say the same of a tool that the call itself brings along.

        It need not be listed; but an agent without any tool gets none of these either.
        """
        return ToolPolicy(deny=self.deny).allows(name) and self.allow != ()


def call_tool(name: str) -> Tool:
    """Return the description of a tool that whoever asked for the run carries out."""
    return Tool(
        name=name,
        description=_CALL_TOOLS.get(name, f"Asks the phone call for {name}."),
        parameters={"type": "object", "properties": {}},
    )


def parse_arguments(text: str) -> dict[str, Any] | None:
    """Return a request's arguments, or None where they are no JSON object."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


async def answer_request(request: ToolRequest, tools: Iterable[Tool]) -> ToolAnswered:
    """Carry out what a model asks for; whatever goes wrong is told to the model."""
    tool = next((tool for tool in tools if tool.name == request.name), None)
    if tool is None or tool.execute is None:
        return _failed(request, f"There is no tool {request.name}.")
    arguments = parse_arguments(request.arguments)
    if arguments is None:
        return _failed(request, "The arguments are not a JSON object.")
    try:
        result = await tool.execute(arguments)
    except Exception as error:  # noqa: BLE001 - told to the model; a defect is logged
        return _failed(request, _describe(error, request.name))
    return ToolAnswered(request=request, text=result_text(result))


def result_text(result: Mapping[str, Any]) -> str:
    """Return what a tool's result says: the texts of its `content`, or all of it."""
    content = result.get("content")
    texts = [
        str(part.get("text") or "")
        for part in (content if isinstance(content, list) else ())
        if isinstance(part, dict) and part.get("type") == "text"
    ]
    text = "\n".join(texts) or json.dumps(result, ensure_ascii=False, default=str)
    if len(text) > MAX_RESULT_CHARS:
        return f"{text[:MAX_RESULT_CHARS]}\n[cut after {MAX_RESULT_CHARS} characters]"
    return text


def _failed(request: ToolRequest, why: str) -> ToolAnswered:
    return ToolAnswered(request=request, text=f"Error: {why}", is_error=True)


def _describe(error: Exception, name: str) -> str:
    if isinstance(getattr(error, "code", None), str):
        return str(error)
    _log.error("tool failed", tool=name, exc_info=error)
    return f"{name} failed inside the Gateway ({type(error).__name__})."
