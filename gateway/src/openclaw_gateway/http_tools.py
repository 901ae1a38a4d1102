"""POST /tools/invoke: a program uses one tool, as an agent would.

    {"tool": "voice_call", "action": "get_status", "args": {"callId": "…"},
     "sessionKey": "agent:main:main"}

200 `{"ok": true, "result": {"content", "details"}}`; what the agent of the session may
not use does not exist: 404 `{"ok": false, "error": {"type": "not_found", "message"}}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from starlette.responses import JSONResponse

from openclaw_gateway.http_access import HttpRefused, read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from openclaw_gateway.agents.base import ToolBody
    from openclaw_gateway.agents.runner import AgentRunner
    from openclaw_gateway.http_access import HttpDoor

__all__ = ["ToolsEndpoint"]

_log = structlog.get_logger(__name__)


class ToolsEndpoint:
    """Answers POST /tools/invoke.

    Args:
        runner: Knows agents and what they may use.
        door: Lets requests in.
    """

    def __init__(self, runner: AgentRunner, door: HttpDoor) -> None:
        self._runner = runner
        self._door = door

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        try:
            await self._door.check(request)
        except HttpRefused as refused:
            return refused.response()
        try:
            with self._door.place():
                result = await self._invoke(await read_json(request))
        except HttpRefused as refused:
            error = {"type": refused.kind, "message": refused.message}
            if refused.code:
                error["code"] = refused.code
            return JSONResponse(
                {"ok": False, "error": error},
                status_code=refused.status,
                headers=refused.headers,
            )
        return JSONResponse({"ok": True, "result": result})

    async def _invoke(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        name = _text(body, "tool")
        if not name:
            raise _wrong("tool must be the name of a tool.")
        args = body.get("args")
        if args is None:
            args = {}
        if not isinstance(args, dict):
            raise _wrong("args must be an object.")
        action = _text(body, "action")
        if action:
            args = {"action": action, **args}
        execute = self._find(name, _text(body, "sessionKey"))
        try:
            return await execute(args)
        except Exception as error:
            raise _failure(error, name) from error

    def _find(self, name: str, session_key: str) -> ToolBody:
        profile = self._runner.agents.find(None, session_key)
        tools = self._runner.tools_of(profile) if profile else ()
        execute = next((tool.execute for tool in tools if tool.name == name), None)
        if execute is None:
            raise HttpRefused(404, "not_found", f"Tool not available: {name}")
        return execute


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(f"{key} must be a text.")
    return value


def _wrong(message: str) -> HttpRefused:
    return HttpRefused(400, "invalid_request", message)


def _failure(error: Exception, tool: str) -> HttpRefused:
    """Say what went wrong; a defect is logged and named without its words."""
    code = getattr(error, "code", None)
    if isinstance(code, str):
        if getattr(error, "is_request_fault", False) is True:
            return HttpRefused(400, "invalid_request", str(error), code=code)
        return HttpRefused(500, "tool_error", str(error), code=code)
    _log.error("tool failed", tool=tool, exc_info=error)
    return HttpRefused(
        500, "tool_error", f"{tool} failed inside the Gateway; its log says why."
    )
