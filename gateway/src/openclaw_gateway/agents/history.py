"""What of a session a model is shown: the newest part that fits, with no gaps. PURE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openclaw_gateway.agents.base import Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["CHARS_PER_TOKEN", "bound_history"]

CHARS_PER_TOKEN = 4
"""A rough estimate that holds for English; the bound leaves room for error."""

UNKNOWN_OUTCOME = "The run was cut short before this tool answered; whether it took effect is unknown."


def bound_history(
    messages: Iterable[Message], *, max_messages: int, max_tokens: int
) -> tuple[Message, ...]:
    """Return the newest messages within the bounds, oldest first.

    The first of them is a user's. Each request for a tool is followed by its answer;
    where a run was cut short, by a sentence that says so.
    """
    left_messages, left_chars = max_messages, max_tokens * CHARS_PER_TOKEN
    kept: list[list[Message]] = []
    for group in reversed(_groups(list(messages))):
        left_messages -= len(group)
        left_chars -= sum(_weight(message) for message in group)
        if left_messages < 0 or left_chars < 0:
            break
        kept.append(group)
    while kept and kept[-1][0].role != "user":
        kept.pop()
    return tuple(message for group in reversed(kept) for message in group)


def _groups(messages: Sequence[Message]) -> list[list[Message]]:
    """Return what belongs together: a message, or a request and its answers."""
    answers = {m.request_id: m for m in messages if m.role == "tool"}
    groups: list[list[Message]] = []
    for message in messages:
        if message.role == "tool":
            continue
        group = [message]
        for request in message.tool_requests:
            unknown = Message(role="tool", text=UNKNOWN_OUTCOME, request_id=request.id)
            group.append(answers.get(request.id, unknown))
        if message.text or message.tool_requests:
            groups.append(group)
    return groups


def _weight(message: Message) -> int:
    return len(message.text) + sum(
        len(request.name) + len(request.arguments) for request in message.tool_requests
    )
