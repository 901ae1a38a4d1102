"""The agent tool `voice_call`: each action only translates.

A tool never raises: an agent gets `{"error": sentence, "code": …}` and can read why.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from voice_call.errors import VoiceCallError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from voice_call.host import Host
    from voice_call.operations import CallOperations

__all__ = ["PARAMETERS", "TOOL_NAME", "register_tool"]

TOOL_NAME = "voice_call"

DESCRIPTION = (
    "Place and hold phone calls. Start with initiate_call; then continue_call says "
    "something and returns what the other side answered, speak_to_user only says "
    "something, send_dtmf presses keys, end_call hangs up, get_status tells how a "
    "call stands."
)

PARAMETERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "action": {
            "type": "string",
            "enum": [
                "initiate_call",
                "continue_call",
                "speak_to_user",
                "send_dtmf",
                "end_call",
                "get_status",
            ],
        },
        "to": {"type": "string", "description": "Number to call, E.164."},
        "message": {"type": "string", "description": "What to say."},
        "mode": {"type": "string", "enum": ["notify", "conversation"]},
        "callId": {"type": "string", "description": "Which call."},
        "digits": {"type": "string", "description": "Keys to press: 0-9 * # A-D."},
    },
    "required": ["action"],
    "additionalProperties": False,
}


def register_tool(
    host: Host, operations: Callable[[], Awaitable[CallOperations]]
) -> None:
    """Offer the tool at the host.

    Args:
        host: The hosting program.
        operations: Gives the operations, or raises why there are none.
    """

    async def execute(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            details = await _run(await operations(), arguments)
        except VoiceCallError as fault:
            details = {"error": str(fault), "code": fault.code}
        text = json.dumps(details, indent=2, ensure_ascii=False)
        return {"content": [{"type": "text", "text": text}], "details": details}

    host.register_tool(TOOL_NAME, DESCRIPTION, PARAMETERS, execute)


async def _run(
    calls: CallOperations, arguments: Mapping[str, Any]
) -> Mapping[str, Any]:
    actions: Mapping[
        object, Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
    ] = {
        "initiate_call": calls.initiate,
        "continue_call": calls.ask,
        "speak_to_user": calls.speak,
        "send_dtmf": calls.send_digits,
        "end_call": calls.end,
        "get_status": calls.status,
    }
    action = actions.get(arguments.get("action"))
    if action is None:
        known = ", ".join(str(each) for each in actions)
        return {"error": f"action required: one of {known}", "code": "unknown_action"}
    return await action(arguments)
