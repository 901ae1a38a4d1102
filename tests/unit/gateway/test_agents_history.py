"""What of a session a model is shown."""

from __future__ import annotations

import pytest

from openclaw_gateway.agents.base import Message, ToolRequest
from openclaw_gateway.agents.history import UNKNOWN_OUTCOME, bound_history


def user(text):
    return Message(role="user", text=text)


def agent(text, *ids):
    requests = tuple(ToolRequest(id=each, name="look_up") for each in ids)
    return Message(role="assistant", text=text, tool_requests=requests)


def tool(request_id, text):
    return Message(role="tool", text=text, request_id=request_id)


def bound(*messages, max_messages=60, max_tokens=1000):
    return bound_history(messages, max_messages=max_messages, max_tokens=max_tokens)


def test_what_fits_is_shown_whole():
    messages = (user("a"), agent("", "1"), tool("1", "x"), agent("b"), user("c"))
    assert bound(*messages) == messages


@pytest.mark.parametrize(
    ("max_messages", "texts"),
    [(4, ["a", "b", "c", "d"]), (3, ["c", "d"]), (2, ["c", "d"]), (1, []), (0, [])],
)
def test_the_newest_are_kept_and_a_user_comes_first(max_messages, texts):
    messages = (user("a"), agent("b"), user("c"), agent("d"))
    kept = bound(*messages, max_messages=max_messages)
    assert [message.text for message in kept] == texts


def test_tokens_are_bounded():
    messages = (user("x" * 40), agent("y" * 40), user("z" * 40), agent("w" * 36))
    assert bound(*messages, max_tokens=20) == messages[2:]
    assert bound(*messages, max_tokens=38) == messages[2:]
    assert bound(*messages, max_tokens=39) == messages


def test_a_request_and_its_answer_stay_together():
    messages = (user("a"), agent("", "1", "2"), tool("1", "x"), tool("2", "y"))
    assert bound(*messages, max_messages=3) == ()
    assert bound(*messages, max_messages=4) == messages


def test_an_answer_that_never_came_is_said_to_be_unknown():
    kept = bound(user("a"), agent("", "1"), user("b"))
    assert kept[2] == tool("1", UNKNOWN_OUTCOME)
    assert kept[3] == user("b")


def test_an_answer_that_came_late_is_put_in_its_place():
    kept = bound(user("a"), agent("", "1"), user("b"), tool("1", "x"))
    assert kept == (user("a"), agent("", "1"), tool("1", "x"), user("b"))


def test_an_answer_without_its_request_is_not_shown():
    assert bound(tool("1", "x"), user("a"), agent("")) == (user("a"),)
