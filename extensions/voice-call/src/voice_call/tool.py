"""The agent tool `voice_call`: each action only translates.

A tool never raises: an agent gets `{"error": sentence, "code": …}` and can read why.

Agents of older releases know another form, without an action: `{"mode": "call", "to"?,
"message"?}` and `{"mode": "status", "sid"}`. It is understood, but not advertised.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voice_call.errors import VoiceCallError
from voice_call.log import get_logger
from voice_call.operations import CallOperations, ParameterRequired

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from voice_call.host import Host

    Operations = Callable[[], Awaitable[CallOperations]]

__all__ = ["PARAMETERS", "TOOL_NAME", "register_tool"]

_log = get_logger(__name__)

TOOL_NAME = "voice_call"

DESCRIPTION = (
    "Place and hold phone calls. Start with initiate_call; then continue_call says "
    "something and returns what the other side answered, speak_to_user only says "
    "something, send_dtmf presses keys, end_call hangs up, get_status tells how a "
    "call stands."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Action:
    operation: Callable[
        [CallOperations, Mapping[str, Any]], Awaitable[Mapping[str, Any]]
    ]
    needs_speech: bool = False


_ACTIONS: Mapping[str, _Action] = {
    "initiate_call": _Action(operation=CallOperations.initiate, needs_speech=True),
    "continue_call": _Action(operation=CallOperations.ask),
    "speak_to_user": _Action(operation=CallOperations.speak),
    "send_dtmf": _Action(operation=CallOperations.send_digits),
    "end_call": _Action(operation=CallOperations.end),
    "get_status": _Action(operation=CallOperations.status),
}
_OLDER_CALL = _Action(operation=CallOperations.start, needs_speech=True)
_OLDER_STATUS = _Action(operation=CallOperations.status)

PARAMETERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "action": {"type": "string", "enum": list(_ACTIONS)},
        "to": {"type": "string", "description": "Number to call, E.164."},
        "message": {"type": "string", "description": "What to say."},
        "mode": {"type": "string", "enum": ["notify", "conversation"]},
        "callId": {"type": "string", "description": "Which call."},
        "digits": {"type": "string", "description": "Keys to press: 0-9 * # A-D."},
    },
    "required": ["action"],
    "additionalProperties": False,
}


def register_tool(host: Host, *, status: Operations, others: Operations) -> None:
    """Offer the tool at the host.

    Args:
        host: The hosting program.
        status: Gives the operations at once, or raises why there are none.
        others: Gives them when calls can be spoken on, or raises why not.
    """

    async def run(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        action, params = _chosen(arguments)
        operations = others if action is not None and action.needs_speech else status
        calls = await operations()  # whether there is a phone at all comes first
        if action is None:
            known = ", ".join(_ACTIONS)
            why = f"action required: one of {known}"
            return {"error": why, "code": "unknown_action"}
        if action is _OLDER_STATUS and not str(params.get("sid") or "").strip():
            raise ParameterRequired("sid required")
        return await action.operation(calls, params)

    async def execute(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            details = await run(arguments)
        except VoiceCallError as fault:
            details = {"error": str(fault), "code": fault.code}
        except Exception as fault:  # noqa: BLE001 - a defect: logged and answered
            _log.exception("the tool failed")
            kind = type(fault).__name__
            why = f"The phone line failed unexpectedly ({kind}); the log says where."
            details = {"error": why, "code": VoiceCallError.code}
        text = json.dumps(details, indent=2, ensure_ascii=False)
        return {"content": [{"type": "text", "text": text}], "details": details}

    host.register_tool(TOOL_NAME, DESCRIPTION, PARAMETERS, execute)


def _chosen(
    arguments: Mapping[str, Any],
) -> tuple[_Action | None, Mapping[str, Any]]:
    """Return what is to be done, and with which parameters."""
    action = arguments.get("action")
    if isinstance(action, str):
        return _ACTIONS.get(action), arguments
    if action is None and arguments.get("mode") == "call":
        # Here, mode does not say what the call is for: that is the configured default.
        return _OLDER_CALL, {**arguments, "mode": None}
    if action is None and arguments.get("mode") == "status":
        return _OLDER_STATUS, {"sid": arguments.get("sid")}
    return None, arguments
