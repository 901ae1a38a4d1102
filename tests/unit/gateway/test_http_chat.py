"""What a request for a chat completion asks for."""

from __future__ import annotations

import pytest

from openclaw_gateway.http_access import HttpRefused
from openclaw_gateway.http_chat import parse_chat

HELLO = [{"role": "user", "content": "hello"}]


def parse(body, **headers):
    return parse_chat({"messages": HELLO, **body}, run_id="r", **headers)


@pytest.mark.parametrize(
    ("model", "agent"),
    [
        (None, None),
        ("openclaw", None),
        ("openclaw:sales", "sales"),
        ("openclaw/sales", "sales"),
        ("openclaw/default", None),
        ("agent:sales", "sales"),
        ("openclaw:", "openclaw:"),
        ("gpt-4o", "gpt-4o"),
    ],
)
def test_the_model_names_the_agent(model, agent):
    assert parse({"model": model}).run["agentId"] == agent


def test_headers_name_the_agent_and_the_session():
    run = parse({}, agent_id="sales", session_key="agent:sales:x").run
    assert (run["agentId"], run["sessionKey"]) == ("sales", "agent:sales:x")
    assert "history" not in run


def test_a_user_is_a_session():
    assert parse({"user": "u"}).run["sessionKey"] == "openai-user:u"
    run = parse({"user": "u", "model": "openclaw:sales"}).run
    assert run["sessionKey"] == "agent:sales:openai-user:u"


def test_all_that_was_said_since_the_last_answer_is_the_message():
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": None},
        {"role": "user", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    run = parse({"messages": messages}).run
    assert run["message"] == "b\nc"
    assert run["systemPrompt"] == "Be brief."
    assert run["history"] == [
        {"role": "user", "text": "a"},
        {"role": "assistant", "text": ""},
    ]


@pytest.mark.parametrize(
    ("body", "is_streamed", "shows_usage"),
    [
        ({}, False, False),
        ({"stream": True}, True, False),
        ({"stream": "yes"}, False, False),
        ({"stream": True, "stream_options": {"include_usage": True}}, True, True),
        ({"stream": True, "stream_options": 3}, True, False),
    ],
)
def test_how_the_answer_is_wanted(body, is_streamed, shows_usage):
    chat = parse(body)
    assert (chat.is_streamed, chat.shows_usage) == (is_streamed, shows_usage)


@pytest.mark.parametrize("content", [3, [3], [{"type": "text"}]])
def test_only_text_is_understood(content):
    with pytest.raises(HttpRefused, match="content must be text"):
        parse({"messages": [{"role": "user", "content": content}]})
