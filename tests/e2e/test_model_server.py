"""The official SDKs drive the loopback model server: what it writes is what they read."""

from __future__ import annotations

import json

import anthropic
import httpx
import openai
import pytest

from openclaw_gateway.testing.model_server import API_KEY, Answer, ModelServer

pytestmark = pytest.mark.anyio

QUESTION = [{"role": "user", "content": "hello"}]
TOOL = ("voice_call", {"action": "get_status", "callId": "c1"})


@pytest.fixture
async def server():
    async with ModelServer() as server:
        yield server


@pytest.fixture
async def openai_sdk(server):
    async with openai.AsyncOpenAI(
        api_key=API_KEY, base_url=server.openai_url, max_retries=0
    ) as client:
        yield client


@pytest.fixture
async def anthropic_sdk(server):
    async with anthropic.AsyncAnthropic(
        api_key=API_KEY, base_url=server.anthropic_url, max_retries=0
    ) as client:
        yield client


async def test_openai_whole(server, openai_sdk):
    server.play(Answer(text=("Good ", "day."), tools=(TOOL,)))
    answer = await openai_sdk.chat.completions.create(model="m", messages=QUESTION)
    (choice,) = answer.choices
    assert choice.message.content == "Good day."
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == TOOL
    assert answer.usage.total_tokens == 13


async def test_openai_streamed(server, openai_sdk):
    server.play(Answer(text=("Good ", "day."), tools=(TOOL, TOOL)))
    async with openai_sdk.chat.completions.stream(
        model="m", messages=QUESTION, stream_options={"include_usage": True}
    ) as stream:
        answer = await stream.get_final_completion()
    (choice,) = answer.choices
    assert choice.message.content == "Good day."
    first, second = choice.message.tool_calls
    assert json.loads(first.function.arguments) == TOOL[1]
    assert second.function.name == "voice_call"
    assert answer.usage.completion_tokens == 2


async def test_anthropic_whole(server, anthropic_sdk):
    server.play(Answer(text=("Good ", "day."), tools=(TOOL,)))
    answer = await anthropic_sdk.messages.create(
        model="m", max_tokens=10, messages=QUESTION
    )
    text, call = answer.content
    assert text.text == "Good day."
    assert (call.name, call.input) == TOOL
    assert answer.stop_reason == "tool_use"


async def test_anthropic_streamed(server, anthropic_sdk):
    server.play(Answer(text=("Good ", "day."), tools=(TOOL, TOOL)))
    async with anthropic_sdk.messages.stream(
        model="m", max_tokens=10, messages=QUESTION
    ) as stream:
        answer = await stream.get_final_message()
    text, first, second = answer.content
    assert text.text == "Good day."
    assert first.input == second.input == TOOL[1]
    assert answer.usage.output_tokens == 2


async def test_without_a_script_it_repeats(openai_sdk, anthropic_sdk):
    chat = await openai_sdk.chat.completions.create(model="m", messages=QUESTION)
    assert chat.choices[0].message.content == "You said: hello"
    message = await anthropic_sdk.messages.create(
        model="m",
        max_tokens=10,
        messages=[{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
    )
    assert message.content[0].text == "You said: hello"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "BadRequestError"), (429, "RateLimitError"), (500, "InternalServerError")],
)
async def test_errors_are_the_sdks_own(server, openai_sdk, anthropic_sdk, status, kind):
    server.play(*[Answer(status=status, error="because")] * 2)
    with pytest.raises(getattr(openai, kind), match="because"):
        await openai_sdk.chat.completions.create(model="m", messages=QUESTION)
    with pytest.raises(getattr(anthropic, kind), match="because"):
        await anthropic_sdk.messages.create(model="m", max_tokens=10, messages=QUESTION)


async def test_a_wrong_key_and_an_unknown_model_are_refused():
    async with ModelServer(models=("known",)) as server:
        async with openai.AsyncOpenAI(
            api_key="wrong", base_url=server.openai_url
        ) as stranger:
            with pytest.raises(openai.AuthenticationError):
                await stranger.chat.completions.create(model="known", messages=QUESTION)
        async with anthropic.AsyncAnthropic(
            api_key=API_KEY, base_url=server.anthropic_url
        ) as client:
            with pytest.raises(anthropic.NotFoundError):
                await client.messages.create(
                    model="other", max_tokens=10, messages=QUESTION
                )


async def test_an_unknown_path_is_refused(server):
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{server.openai_url}/embeddings", json={})
    assert answer.status_code == 404
