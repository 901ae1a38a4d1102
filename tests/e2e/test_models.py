"""Language models over real sockets: the answers, the tools, and all that goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import replace

import pytest

from openclaw_gateway.agents.base import (
    AgentTurn,
    Message,
    TextDelta,
    Tool,
    ToolAnswered,
    ToolCall,
    ToolRequest,
    ToolsRequested,
    UsageReported,
)
from openclaw_gateway.agents.model_agent import MAX_ROUNDS, ModelAgent, open_client
from openclaw_gateway.agents.models.base import ModelFailed
from openclaw_gateway.agents.models.providers import ModelInfo, ProviderSettings
from openclaw_gateway.errors import AgentFailed
from openclaw_gateway.testing.model_server import (
    API_KEY,
    Answer,
    Fault,
    ModelServer,
)

pytestmark = pytest.mark.anyio

APIS = ("openai-completions", "anthropic-messages")
STALL_S = 0.3
TURN = AgentTurn(run_id="r", session_key="k", model="m", message="hello")
OK = Answer(text=("Good ", "day."))


@pytest.fixture(params=APIS)
def api(request):
    return request.param


@pytest.fixture
async def server():
    async with ModelServer() as server:
        yield server


def provider_of(server, api, **changes):
    url = server.anthropic_url if api.startswith("anthropic") else server.openai_url
    settings = ProviderSettings(id="fake", api=api, base_url=url, api_key=API_KEY)
    return replace(settings, **changes)


@contextlib.asynccontextmanager
async def agent_of(provider):
    agent = ModelAgent(
        lambda: provider, open_client=lambda p: open_client(p, stall_s=STALL_S)
    )
    try:
        yield agent
    finally:
        await agent.close()


async def ask(provider, turn=TURN):
    async with agent_of(provider) as agent:
        return [event async for event in agent.reply(turn)]


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def failure_of(provider, turn=TURN):
    with pytest.raises(AgentFailed) as caught:
        await ask(provider, turn)
    return str(caught.value)


async def drain(answer, events):
    async for event in answer:
        events.append(event)


def tool(name, execute):
    return Tool(
        name=name,
        description=f"Does {name}.",
        parameters={"type": "object"},
        execute=execute,
    )


async def test_text_is_streamed_and_usage_counted(server, api):
    server.play(OK)
    assert await ask(provider_of(server, api)) == [
        TextDelta(text="Good "),
        TextDelta(text="day."),
        UsageReported(input_tokens=11, output_tokens=2),
    ]


async def test_the_first_words_do_not_wait_for_the_last(server, api):
    server.play(Answer(text=("One.", "Two."), pause_s=0.25))
    async with agent_of(provider_of(server, api)) as agent:
        events = agent.reply(TURN)
        assert await anext(events) == TextDelta(text="One.")
        began = asyncio.get_running_loop().time()
        assert await anext(events) == TextDelta(text="Two.")
        assert asyncio.get_running_loop().time() - began > 0.1
        await events.aclose()


async def test_what_was_said_before_is_sent(server, api):
    history = (
        Message(role="user", text="I am Ann."),
        Message(role="assistant", text="Hello Ann."),
    )
    await ask(provider_of(server, api), replace(TURN, history=history))
    messages = server.requests[0].body["messages"]
    said = [m for m in messages if m["role"] != "system"]
    assert [m["role"] for m in said] == ["user", "assistant", "user"]
    assert "Hello Ann." in str(said[1]["content"])


async def test_callers_words_are_never_in_the_system_prompt(server, api):
    turn = replace(TURN, message="zebra", source="voice", system_prompt="Be brief.")
    await ask(provider_of(server, api), turn)
    body = server.requests[0].body
    system = body.get("system") or body["messages"][0]["content"]
    assert "Be brief." in system
    assert "zebra" not in system
    assert "External voice input" in str(body["messages"][-1]["content"])


async def test_two_tools_in_a_row(server, api):
    done = []

    async def look_up(arguments):
        done.append(arguments)
        return {"content": [{"type": "text", "text": f"found {arguments['name']}"}]}

    server.play(
        Answer(text=("Let me see. ",), tools=(("look_up", {"name": "Ann"}),)),
        Answer(tools=(("look_up", {"name": "Bob"}),)),
        OK,
    )
    turn = replace(TURN, tools=(tool("look_up", look_up),))
    events = await ask(provider_of(server, api), turn)
    assert done == [{"name": "Ann"}, {"name": "Bob"}]
    assert text_of(events) == "Let me see. Good day."
    assert [e.text for e in events if isinstance(e, ToolAnswered)] == [
        "found Ann",
        "found Bob",
    ]
    last = server.requests[2].body["messages"]
    assert "found Bob" in str(last[-1]["content"])
    assert len(server.requests) == 3


async def test_a_failing_tool_is_told_to_the_model(server, api):
    async def fail(_):
        raise AgentFailed("The line is busy.")

    server.play(Answer(tools=(("dial", {}),)), OK)
    turn = replace(TURN, tools=(tool("dial", fail),))
    await ask(provider_of(server, api), turn)
    answer = server.requests[1].body["messages"][-1]["content"]
    assert "Error: The line is busy." in str(answer)


async def test_a_tool_of_the_call_goes_to_whoever_asked(server, api):
    server.play(Answer(text=("Bye.",), tools=(("end_call", {}),)))
    turn = replace(TURN, call_tools=("end_call",), source="voice")
    events = await ask(provider_of(server, api), turn)
    assert ToolCall(name="end_call") in events
    assert len(server.requests) == 1
    assert "end_call" in str(server.requests[0].body["tools"])


async def test_no_tools_are_sent_where_there_are_none(server, api):
    await ask(provider_of(server, api))
    assert "tools" not in server.requests[0].body


async def test_a_model_must_answer_in_the_end(server, api):
    async def again(_):
        return {"content": []}

    server.play(*[Answer(tools=(("again", {}),))] * MAX_ROUNDS)
    turn = replace(TURN, tools=(tool("again", again),))
    failure = await failure_of(provider_of(server, api), turn)
    assert "asked for tools 8 times in a row" in failure
    choices = [request.body.get("tool_choice") for request in server.requests]
    assert choices[:-1] == [None] * (MAX_ROUNDS - 1)
    assert choices[-1] in ("none", {"type": "none"})


async def test_requests_for_tools_are_noted_before_they_run(server, api):
    started = asyncio.Event()
    finished = asyncio.Event()

    async def slow(_):
        started.set()
        await asyncio.sleep(0.05)
        finished.set()
        return {}

    server.play(Answer(tools=(("slow", {"n": 1}),)))
    turn = replace(TURN, tools=(tool("slow", slow),))
    async with agent_of(provider_of(server, api)) as agent:
        events = agent.reply(turn)
        assert isinstance(await anext(events), UsageReported)
        noted = await anext(events)
        assert isinstance(noted, ToolsRequested)
        (request,) = noted.requests
        assert isinstance(request, ToolRequest)
        assert (request.name, request.arguments) == ("slow", '{"n": 1}')
        assert not started.is_set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(anext(events), 0.02)
        # Nobody waits for it any more, but what was begun is finished.
        await asyncio.wait_for(finished.wait(), 2)


async def test_cancelling_closes_the_request(server, api):
    server.play(Answer(text=("One.",), fault=Fault.STALL))
    async with agent_of(provider_of(server, api)) as agent:
        events = agent.reply(TURN)
        await anext(events)
        await events.aclose()
        await asyncio.wait_for(server.wait_left_early(), 2)
    assert server.left_early == 1


async def test_cancelling_before_the_first_word_closes_the_request(server, api):
    server.play(Answer(delay_s=30))
    async with agent_of(provider_of(server, api)) as agent:
        waiting = asyncio.create_task(anext(agent.reply(TURN)))
        await asyncio.wait_for(server.wait_asked(), 2)
        waiting.cancel()
        await asyncio.wait_for(server.wait_left_early(), 2)
        await asyncio.wait({waiting})
    assert waiting.cancelled()


# ---- what goes wrong


@pytest.mark.parametrize("status", [429, 500, 529])
async def test_what_passes_is_asked_again(server, api, status):
    server.play(Answer(status=status, headers={"retry-after": "0"}), OK)
    assert text_of(await ask(provider_of(server, api))) == "Good day."
    assert len(server.requests) == 2


async def test_three_times_are_enough(server, api):
    server.play(*[Answer(status=500, error="broken")] * 3)
    failure = await failure_of(provider_of(server, api))
    assert failure == "fake failed (500): broken"
    assert len(server.requests) == 3


async def test_nobody_waits_long_on_the_phone(server, api):
    server.play(Answer(status=429, error="slow down", headers={"retry-after": "60"}))
    failure = await failure_of(provider_of(server, api))
    assert failure == "fake takes no more requests for now (429): slow down"
    assert len(server.requests) == 1


async def test_a_wrong_key_is_named_and_not_shown(server, api):
    provider = provider_of(server, api, api_key="sk-very-secret-1234")
    failure = await failure_of(provider)
    assert failure == (
        "fake refused the API key; check models.providers.fake.apiKey (401): "
        "invalid API key"
    )
    assert len(server.requests) == 1


async def test_a_key_in_the_servers_words_is_not_repeated(server, api):
    server.play(Answer(status=403, error=f"no access for {API_KEY} or sk-abc123xyz"))
    failure = await failure_of(provider_of(server, api))
    assert failure.endswith("(403): no access for … or …")


async def test_an_unknown_model_is_named(api):
    async with ModelServer(models=("other",)) as server:
        failure = await failure_of(provider_of(server, api))
    assert failure == "fake does not know the model m (404): The model m does not exist"


async def test_a_refused_connection_is_named(server, api):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://user:pass@127.0.0.1:{closed.getsockname()[1]}"
        failure = await failure_of(provider_of(server, api, base_url=url))
    place = url.replace("user:pass@", "")
    assert failure == f"fake cannot be reached at {place}: connection refused."


async def test_a_stall_is_named(server, api):
    server.play(Answer(text=("One.",), fault=Fault.STALL))
    failure = await failure_of(provider_of(server, api))
    assert failure.endswith("sent nothing for 0.3 seconds.")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.CUT, "broke"),
        (Fault.GARBAGE, "no valid event stream"),
        (Fault.ERROR_EVENT, "went wrong"),
    ],
)
async def test_a_failure_after_the_first_word_is_not_asked_again(
    server, api, fault, words
):
    server.play(Answer(text=("One.",), fault=fault), OK)
    events = []
    async with agent_of(provider_of(server, api)) as agent:
        answer = agent.reply(TURN)
        with pytest.raises(ModelFailed, match=words):
            await drain(answer, events)
    assert text_of(events) == "One."
    assert len(server.requests) == 1


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.ERROR_EVENT, Fault.NO_END])
async def test_a_failure_before_the_first_word_is_asked_again(server, api, fault):
    server.play(Answer(fault=fault), OK)
    assert text_of(await ask(provider_of(server, api))) == "Good day."


async def test_servers_need_not_say_why_they_stop(server, api):
    server.play(Answer(text=("One.",), fault=Fault.NO_END))
    assert text_of(await ask(provider_of(server, api))) == "One."


async def test_a_web_page_is_no_answer(api):
    async def serve(_, writer):
        page = b"<html>hello</html>"
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(page)}\r\n"
        writer.write(head.encode() + b"content-type: text/html\r\n\r\n" + page)
        await writer.drain()
        writer.close()

    page = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with page:
        url = f"http://127.0.0.1:{page.sockets[0].getsockname()[1]}"
        provider = ProviderSettings(id="fake", api=api, base_url=url, api_key="k")
        assert "fake" in await failure_of(provider)


# ---- how hard to think


async def effort_of(server, model, *, thinking="off", is_reasoning=None):
    provider = provider_of(
        server,
        "openai-completions",
        models={model: ModelInfo(is_reasoning=is_reasoning)},
    )
    await ask(provider, replace(TURN, model=model, thinking=thinking))
    return server.requests[-1].body.get("reasoning_effort")


@pytest.mark.parametrize(
    ("model", "effort"),
    [
        ("gpt-5.4", "none"),
        ("gpt-5-mini", "minimal"),
        ("openai/o3", "low"),
        ("gpt-4o", None),
        ("llama-4", None),
    ],
)
async def test_calls_think_as_little_as_the_model_can(server, model, effort):
    assert await effort_of(server, model) == effort


async def test_an_explicit_effort_is_sent(server):
    assert await effort_of(server, "gpt-5.4", thinking="high") == "high"
    assert await effort_of(server, "qwen3", is_reasoning=True) == "low"
    assert await effort_of(server, "gpt-5.4", thinking=None) is None


async def test_a_field_that_the_server_refuses_is_left_out_from_then_on(server):
    provider = provider_of(server, "openai-completions")
    turn = replace(TURN, model="gpt-5.4", thinking="off")
    refusal = "Unrecognized request argument supplied: reasoning_effort"
    server.play(Answer(status=400, error=refusal), OK, OK)
    async with agent_of(provider) as agent:
        for _ in range(2):
            events = [event async for event in agent.reply(turn)]
            assert text_of(events) == "Good day."
    sent = ["reasoning_effort" in request.body for request in server.requests]
    assert sent == [True, False, False]


async def test_anthropic_thinks_little_where_it_can_think(server):
    provider = provider_of(
        server, "anthropic-messages", models={"m": ModelInfo(is_reasoning=True)}
    )
    await ask(provider, replace(TURN, thinking="off"))
    await ask(provider_of(server, "anthropic-messages"), replace(TURN, thinking="off"))
    efforts = [request.body.get("output_config") for request in server.requests]
    assert efforts == [{"effort": "low"}, None]


async def test_limits_of_the_configuration_are_sent(server):
    models = {"m": ModelInfo(max_tokens=99)}
    await ask(provider_of(server, "openai-completions", models=models))
    await ask(provider_of(server, "anthropic-messages", models=models))
    assert server.requests[0].body["max_completion_tokens"] == 99
    assert server.requests[1].body["max_tokens"] == 99


async def test_extra_headers_are_sent(server, api):
    await ask(provider_of(server, api, headers={"x-team": "phones"}))
    assert server.requests[0].headers["x-team"] == "phones"


async def test_a_server_that_imitates_anthropic_gets_its_own_header(server):
    await ask(provider_of(server, "anthropic-messages"))
    assert server.requests[0].headers["x-api-key"] == API_KEY
