"""How a conversation is written down for each API, and what a model is told."""

from __future__ import annotations

import pytest

from openclaw_gateway.agents.base import AgentTurn, Message, Tool, ToolRequest
from openclaw_gateway.agents.model_agent import ModelAgent
from openclaw_gateway.agents.models.anthropic import (
    anthropic_messages,
    anthropic_tools,
)
from openclaw_gateway.agents.models.base import load_sdk, new_request_id
from openclaw_gateway.agents.models.openai import chat_messages, chat_tools
from openclaw_gateway.agents.models.providers import ProviderSettings
from openclaw_gateway.agents.prompts import mark_source, system_prompt
from openclaw_gateway.agents.tools import (
    MAX_RESULT_CHARS,
    answer_request,
    call_tool,
    result_text,
)
from openclaw_gateway.errors import AgentFailed

NOON = 1_700_000_000.0
ASKED = ToolRequest(id="id1", name="look_up", arguments='{"n": 1}')
TALK = (
    Message(role="user", text="hello", source="voice"),
    Message(role="assistant", text="Wait.", tool_requests=(ASKED,)),
    Message(role="tool", text="42", request_id="id1"),
    Message(role="user", text="and?"),
    Message(role="assistant", text="Done."),
)
TOOL = Tool(name="look_up", description="Looks up.", parameters={"type": "object"})


def test_chat_completions():
    heard = mark_source("hello", "voice")
    function = {"name": "look_up", "arguments": '{"n": 1}'}
    assert chat_messages("Be brief.", TALK) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": heard},
        {
            "role": "assistant",
            "content": "Wait.",
            "tool_calls": [{"id": "id1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "id1", "content": "42"},
        {"role": "user", "content": "and?"},
        {"role": "assistant", "content": "Done."},
    ]
    described = {
        "name": "look_up",
        "description": "Looks up.",
        "parameters": {"type": "object"},
    }
    assert chat_tools((TOOL,)) == [{"type": "function", "function": described}]


def test_messages_alternate_for_anthropic():
    shaped = anthropic_messages(TALK)
    assert [each["role"] for each in shaped] == [
        "user",
        "assistant",
        "user",
        "assistant",
    ]
    assert shaped[1]["content"] == [
        {"type": "text", "text": "Wait."},
        {"type": "tool_use", "id": "id1", "name": "look_up", "input": {"n": 1}},
    ]
    assert shaped[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "id1", "content": "42"},
        {"type": "text", "text": "and?"},
    ]
    assert anthropic_tools((TOOL,)) == [
        {
            "name": "look_up",
            "description": "Looks up.",
            "input_schema": {"type": "object"},
        }
    ]


def test_arguments_that_are_no_json_are_not_sent_again():
    broken = ToolRequest(id="i", name="t", arguments='{"n": ')
    message = Message(role="assistant", text="", tool_requests=(broken,))
    _, chat = chat_messages("", [message])
    assert chat["content"] is None
    assert chat["tool_calls"][0]["function"]["arguments"] == "{}"
    (block,) = anthropic_messages([message])[0]["content"]
    assert block["input"] == {}


def test_ids_are_what_the_strictest_server_takes():
    first, second = new_request_id(), new_request_id()
    assert first != second
    assert len(first) == 9
    assert first.isalnum()
    assert first.isascii()


def turn(**changes):
    return AgentTurn(
        **{"run_id": "r", "session_key": "k", "model": "m", "message": "zebra"}
        | changes
    )


def test_the_system_prompt_is_the_operators():
    assert system_prompt(turn()) == "You are a helpful assistant."
    prompt = system_prompt(turn(system_prompt="Be brief.", language="de-DE", now=NOON))
    assert prompt.startswith("Be brief.\n\nAnswer in the language de-DE")
    assert "November 2023." in prompt
    assert "zebra" not in prompt


def test_a_call_has_rules_of_its_own():
    prompt = system_prompt(turn(source="voice", call_tools=("end_call",)))
    assert "You are on a phone call" in prompt
    assert "end_call" in prompt
    assert "end_call" not in system_prompt(turn(source="voice"))


def test_words_that_were_heard_are_marked():
    assert mark_source("hello", "") == "hello"
    assert mark_source("hello", "voice").startswith("[External voice input")


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"content": [{"type": "text", "text": "a"}, {"type": "image"}]}, "a"),
        ({"content": [{"type": "text", "text": "a"}] * 2}, "a\na"),
        ({"content": []}, '{"content": []}'),
        ({"found": 1}, '{"found": 1}'),
    ],
)
def test_what_a_result_says(result, text):
    assert result_text(result) == text


def test_a_long_result_is_cut():
    content = [{"type": "text", "text": "x" * (MAX_RESULT_CHARS + 1)}]
    text = result_text({"content": content})
    assert text.endswith("[cut after 32000 characters]")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (ToolRequest(id="1", name="gone"), "Error: There is no tool gone."),
        (ToolRequest(id="1", name="look_up"), "Error: There is no tool look_up."),
        (
            ToolRequest(id="1", name="divide", arguments="[]"),
            "Error: The arguments are not a JSON object.",
        ),
        (
            ToolRequest(id="1", name="divide"),
            "Error: divide failed inside the Gateway (ZeroDivisionError).",
        ),
    ],
)
async def test_what_cannot_be_done_is_told(request_, text):
    async def divide(_):
        return {"result": 1 / 0}

    divider = Tool(name="divide", description="", parameters={}, execute=divide)
    answer = await answer_request(request_, (TOOL, divider))
    assert (answer.text, answer.is_error) == (text, True)


def test_tools_of_a_call_are_described():
    assert "Hang up" in call_tool("end_call").description
    assert call_tool("other").description == "Asks the phone call for other."


def test_a_missing_sdk_is_named():
    with pytest.raises(AgentFailed, match=r'pip install "openclaw-gateway\[openai\]"'):
        load_sdk("openai_that_is_not_installed", extra="openai")


@pytest.mark.anyio
async def test_what_an_sdk_does_not_like_is_told():
    provider = ProviderSettings(
        id="mine", api="openai-completions", base_url="http://x/v1", api_key="k"
    )

    def refuse(_):
        raise RuntimeError("strange URL")

    agent = ModelAgent(lambda: provider, open_client=refuse)
    with pytest.raises(
        AgentFailed, match="mine at http://x/v1 cannot be used: strange"
    ):
        await agent.warm()
    await agent.close()
