"""The Gateway's HTTP endpoints over real sockets, the OpenAI SDK among the clients."""

from __future__ import annotations

import asyncio
import contextlib
import json

import httpx
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from openclaw_gateway.app import Gateway
from openclaw_gateway.config import load_config
from openclaw_gateway.errors import BadParams
from openclaw_gateway.plugins.discovery import Candidate
from openclaw_gateway.testing.model_server import (
    API_KEY,
    Answer,
    Fault,
    ModelServer,
)

pytestmark = pytest.mark.anyio

TOKEN = "the-right-token"
AUTH = {"Authorization": f"Bearer {TOKEN}"}
CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "hello"}]
FAKE = {"model": {"primary": "fake/echo"}}


class Desk:
    """A plugin with tools and numbers."""

    id = "desk"
    name = "Desk"

    def __init__(self):
        self.calls = []
        self.api = None
        self.families = []

    def register(self, api):
        self.api = api
        api.register_tool("look_up", "Looks up.", {"type": "object"}, self.look_up)
        api.register_tool("wrong", "Fails.", {"type": "object"}, self.wrong)
        api.register_tool("broken", "Breaks.", {"type": "object"}, self.broken)
        api.register_metrics(lambda: self.families)

    async def look_up(self, arguments):
        self.calls.append(arguments)
        content = [{"type": "text", "text": "42"}]
        return {"content": content, "details": {"found": 42}}

    async def wrong(self, _):
        raise BadParams("name must be a text.")

    async def broken(self, _):
        raise ZeroDivisionError


class House:
    """A Gateway, its plugin, and a model's server behind it."""

    def __init__(self, gateway, desk, models):
        self.gateway = gateway
        self.desk = desk
        self.models = models
        self.url = f"http://127.0.0.1:{gateway.port}"
        self.http = httpx.AsyncClient(base_url=self.url, headers=AUTH)

    def sdk(self):
        return openai.AsyncOpenAI(api_key=TOKEN, base_url=f"{self.url}/v1")

    async def chat(self, **body):
        return await self.http.post(CHAT, json={"messages": HELLO, **body})

    async def invoke(self, tool, **body):
        return await self.http.post("/tools/invoke", json={"tool": tool, **body})


@contextlib.asynccontextmanager
async def house(tmp_path, *, has_chat=True, agents=None, auth=None, **sections):
    async with ModelServer() as models:
        provider = {"baseUrl": models.openai_url, "apiKey": API_KEY}
        config = {
            "gateway": {
                "port": 0,
                "auth": auth or {"token": TOKEN},
                "http": {"endpoints": {"chatCompletions": {"enabled": has_chat}}},
            },
            "models": {"providers": {"fake": provider}},
            "agents": agents or {"defaults": FAKE},
            **sections,
        }
        path = tmp_path / "openclaw.json"
        path.write_text(json.dumps(config))
        environ = {
            "OPENCLAW_STATE_DIR": str(tmp_path / "state"),
            "OPENCLAW_CONFIG_PATH": str(path),
            "ANTHROPIC_BASE_URL": models.anthropic_url,
            "ANTHROPIC_API_KEY": API_KEY,
        }
        desk = Desk()
        candidate = Candidate(id="desk", source="test", load=lambda: desk)
        gateway = Gateway(load_config(environ), [candidate])
        await gateway.start()
        home = House(gateway, desk, models)
        try:
            yield home
        finally:
            await home.http.aclose()
            await gateway.stop(reason="test over", drain_s=1)


# ---- who may ask


@pytest.mark.parametrize("path", [CHAT, "/tools/invoke"])
@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic abc", "Bearer"])
async def test_without_the_token_nothing_is_done(tmp_path, path, header):
    async with house(tmp_path) as home:
        headers = {"Authorization": header} if header else {}
        async with httpx.AsyncClient(base_url=home.url, headers=headers) as stranger:
            answer = await stranger.post(path, content=b"{")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json() == {
        "error": {"message": "Unauthorized", "type": "unauthorized"}
    }


async def test_wrong_guesses_count_with_those_over_rpc(tmp_path):
    async with house(tmp_path) as home:
        failures = home.gateway.rpc.policy.failures
        for _ in range(failures.limit):
            failures.record("127.0.0.1", now=home.gateway.rpc._started_at - 1)
        async with httpx.AsyncClient(base_url=home.url) as stranger:
            wrong = {"Authorization": "Bearer wrong"}
            answer = await stranger.post("/tools/invoke", headers=wrong, json={})
        owner = await home.invoke("look_up")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert owner.status_code == 200  # on this machine nobody can lock the owner out


async def test_a_password_is_a_bearer_too(tmp_path):
    auth = {"mode": "password", "password": TOKEN}
    async with house(tmp_path, auth=auth) as home:
        assert (await home.invoke("look_up")).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}]
)
async def test_without_authentication_web_pages_are_refused(tmp_path, headers):
    async with house(tmp_path, auth={"mode": "none"}) as home:
        body = {"tool": "look_up"}
        refused = await home.http.post("/tools/invoke", json=body, headers=headers)
        assert (await home.invoke("look_up")).status_code == 200
    assert refused.status_code == 403
    assert refused.json()["error"]["type"] == "forbidden"


# ---- /tools/invoke


async def test_a_tool_is_used(tmp_path):
    async with house(tmp_path) as home:
        answer = await home.invoke("look_up", action="find", args={"name": "Ann"})
    assert answer.status_code == 200
    assert answer.json() == {
        "ok": True,
        "result": {
            "content": [{"type": "text", "text": "42"}],
            "details": {"found": 42},
        },
    }
    assert home.desk.calls == [{"action": "find", "name": "Ann"}]


async def test_an_unknown_tool_is_not_found(tmp_path):
    async with house(tmp_path) as home:
        answer = await home.invoke("nope")
    assert answer.status_code == 404
    assert answer.json() == {
        "ok": False,
        "error": {"type": "not_found", "message": "Tool not available: nope"},
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "not JSON"),
        (b"[]", "one JSON object"),
        (b"[" * 100_000, "not JSON"),
        (b"{}", "tool must be"),
        (b'{"tool": 3}', "tool must be a text"),
        (b'{"tool": "look_up", "args": []}', "args must be an object"),
    ],
)
async def test_a_wrong_body_is_400(tmp_path, content, words):
    async with house(tmp_path) as home:
        answer = await home.http.post("/tools/invoke", content=content)
    assert answer.status_code == 400
    assert answer.json()["ok"] is False
    assert words in answer.json()["error"]["message"]


async def test_a_body_beyond_two_megabytes_is_refused(tmp_path):
    async with house(tmp_path) as home:
        answer = await home.http.post("/tools/invoke", content=b" " * (2 << 20) + b"{}")
        assert answer.status_code == 413
        assert answer.json()["error"]["type"] == "payload_too_large"
        padded = b'{"tool": "look_up"}' + b" " * 2_000_000
        answer = await home.http.post("/tools/invoke", content=padded)
    assert answer.status_code == 200


async def test_other_methods_and_paths_are_answered_in_json(tmp_path):
    async with house(tmp_path) as home:
        wrong = await home.http.get("/tools/invoke")
        unknown = await home.http.get("/nowhere")
    assert (wrong.status_code, unknown.status_code) == (405, 404)
    assert wrong.json()["error"]["type"] == "method_not_allowed"
    assert unknown.json()["error"]["type"] == "not_found"


async def test_what_goes_wrong_in_a_tool_is_told(tmp_path):
    async with house(tmp_path) as home:
        wrong, broken = await home.invoke("wrong"), await home.invoke("broken")
    assert wrong.status_code == 400
    assert wrong.json()["error"] == {
        "type": "invalid_request",
        "message": "name must be a text.",
        "code": "invalid_params",
    }
    assert broken.status_code == 500
    assert broken.json()["error"] == {
        "type": "tool_error",
        "message": "broken failed inside the Gateway; its log says why.",
    }


async def test_each_agent_has_its_own_tools(tmp_path):
    agents = {
        "list": [
            {"id": "main"},
            {"id": "mute", "tools": {"allow": []}},
            {"id": "some", "tools": {"allow": ["l*"], "deny": ["look_up"]}},
        ]
    }
    async with house(tmp_path, agents=agents) as home:
        found = {
            key: (await home.invoke("look_up", sessionKey=key)).status_code
            for key in ("", "agent:mute:x", "agent:some:x", "agent:none:x")
        }
    assert found == {
        "": 200,
        "agent:mute:x": 404,
        "agent:some:x": 404,
        "agent:none:x": 404,
    }


# ---- /v1/chat/completions


async def test_chat_is_closed_unless_it_is_asked_for(tmp_path):
    async with house(tmp_path, has_chat=False) as home:
        assert (await home.chat()).status_code == 404
        assert (await home.http.get("/v1/models")).status_code == 404


async def test_the_sdk_gets_an_answer(tmp_path):
    async with house(tmp_path) as home, home.sdk() as sdk:
        home.models.play(Answer(text=("Good ", "day.")))
        answer = await sdk.chat.completions.create(model="openclaw", messages=HELLO)
    (choice,) = answer.choices
    assert choice.message.content == "Good day."
    assert (choice.message.role, choice.finish_reason) == ("assistant", "stop")
    assert answer.object == "chat.completion"
    assert answer.model == "openclaw"
    assert answer.id.startswith("chatcmpl-")
    assert answer.usage.total_tokens == 13


async def test_the_sdk_gets_a_stream(tmp_path):
    async with house(tmp_path) as home, home.sdk() as sdk:
        home.models.play(Answer(text=("Good ", "day.")))
        async with sdk.chat.completions.stream(
            model="openclaw:main",
            messages=HELLO,
            stream_options={"include_usage": True},
        ) as stream:
            answer = await stream.get_final_completion()
    assert answer.choices[0].message.content == "Good day."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == 13


async def test_a_stream_ends_with_done(tmp_path):
    async with house(tmp_path) as home:
        home.models.play(Answer(text=("Grüß ", "Gott.")))
        answer = await home.chat(stream=True)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    *events, done, rest = answer.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    shaped = [json.loads(event.removeprefix("data: ")) for event in events]
    assert [event["choices"][0]["delta"] for event in shaped] == [
        {"role": "assistant", "content": ""},
        {"content": "Grüß "},
        {"content": "Gott."},
        {},
    ]
    assert {event["object"] for event in shaped} == {"chat.completion.chunk"}
    assert len({event["id"] for event in shaped}) == 1


async def test_words_come_as_soon_as_the_model_says_them(tmp_path):
    async with house(tmp_path) as home, home.sdk() as sdk:
        home.models.play(Answer(text=("One.",), fault=Fault.STALL))
        stream = await sdk.chat.completions.create(
            model="openclaw", messages=HELLO, stream=True
        )
        async for chunk in stream:
            if chunk.choices[0].delta.content == "One.":
                break
        # The client goes away; so does the request to the model.
        await stream.close()
        await asyncio.wait_for(home.models.wait_left_early(), 5)


async def test_a_client_that_waits_no_longer_ends_the_run(tmp_path):
    async with house(tmp_path) as home:
        home.models.play(Answer(delay_s=30))
        asking = asyncio.create_task(home.chat())
        await asyncio.wait_for(home.models.wait_asked(), 5)
        asking.cancel()
        await asyncio.wait_for(home.models.wait_left_early(), 5)
        await asyncio.wait({asking})
        assert home.gateway.runner.meter.runs["fake/echo", "cancelled"] == 1


async def test_a_failure_is_an_error_object_within_the_stream(tmp_path):
    async with house(tmp_path) as home, home.sdk() as sdk:
        home.models.play(Answer(text=("One.",), fault=Fault.ERROR_EVENT))
        stream = await sdk.chat.completions.create(
            model="openclaw", messages=HELLO, stream=True
        )
        with pytest.raises(openai.APIError, match="ended its answer with an error"):
            async for _ in stream:
                pass
        home.models.play(Answer(status=401, error="bad key"))
        answer = await home.chat(stream=True)
    *_, error, done, _ = answer.text.split("\n\n")
    assert done == "data: [DONE]"
    assert json.loads(error.removeprefix("data: "))["error"] == {
        "message": "fake refused the API key; check models.providers.fake.apiKey "
        "(401): bad key",
        "type": "api_error",
        "code": "agent_failed",
    }


async def test_a_gateway_that_stops_ends_its_streams(tmp_path):
    async with house(tmp_path) as home:
        home.models.play(Answer(text=("One.",), fault=Fault.STALL))
        asking = asyncio.create_task(home.chat(stream=True))
        await asyncio.wait_for(home.models.wait_asked(), 5)
        await home.gateway.stop(reason="test", drain_s=1)
        *_, error, done, _ = (await asking).text.split("\n\n")
    assert "The Gateway is stopping." in error
    assert done == "data: [DONE]"


async def test_a_failure_is_told_once(tmp_path):
    async with house(tmp_path) as home, home.sdk() as sdk:
        home.models.play(Answer(status=404, error="no such model"))
        with pytest.raises(openai.InternalServerError) as caught:
            await sdk.chat.completions.create(model="openclaw", messages=HELLO)
    assert caught.value.status_code == 502
    assert "fake does not know the model echo (404)" in str(caught.value)
    assert len(home.models.requests) == 1  # our failures are not worth a retry


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"messages": []}, "messages must be a list"),
        ({"messages": [3]}, "messages[0] must be an object"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "role is not supported"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "must be a user's"),
        ({"messages": [{"role": "user", "content": " "}]}, "must be a user's"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "content must be text",
        ),
        ({"user": 7}, "user must be a text"),
        ({"model": 7}, "model must be a text"),
    ],
)
async def test_a_wrong_request_is_400(tmp_path, change, words):
    async with house(tmp_path) as home:
        answer = await home.chat(**change)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("model", ["openclaw:nobody", "gpt-4o"])
async def test_an_unknown_agent_is_404(tmp_path, model):
    async with house(tmp_path) as home:
        answer = await home.chat(model=model)
        listed = await home.http.get("/v1/models")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert [m["id"] for m in listed.json()["data"]] == ["openclaw", "openclaw:main"]


async def test_a_user_has_a_stable_session(tmp_path):
    async with house(tmp_path) as home:
        await home.chat(user="+15550001111")
        answer = await home.chat(
            user="+15550001111", messages=[{"role": "user", "content": "again"}]
        )
        await home.chat(user="someone else")
    assert answer.json()["choices"][0]["message"]["content"] == "You said: again"
    said = [m["content"] for m in home.models.requests[1].body["messages"][1:]]
    assert said == ["hello", "You said: hello", "again"]
    assert len(home.models.requests[2].body["messages"]) == 2


async def test_without_a_user_the_messages_are_all_there_is(tmp_path):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "I am Ann."},
        {"role": "assistant", "content": "Hello Ann."},
        {"role": "user", "content": [{"type": "text", "text": "Who am I?"}]},
    ]
    async with house(tmp_path) as home:
        await home.chat(messages=messages)
        await home.chat()
        sessions = list((tmp_path / "state" / "agents").glob("*/sessions/*"))
    first, second = (request.body["messages"] for request in home.models.requests)
    assert "Be brief." in first[0]["content"]
    assert [m["content"] for m in first[1:]] == [
        "I am Ann.",
        "Hello Ann.",
        "Who am I?",
    ]
    assert len(second) == 2
    assert sessions == []


async def test_an_agent_uses_tools_on_the_way(tmp_path):
    async with house(tmp_path) as home:
        home.models.play(
            Answer(tools=(("look_up", {"name": "Ann"}),)), Answer(text=("42 it is.",))
        )
        answer = await home.chat(user="u")
        await home.chat(user="u", messages=[{"role": "user", "content": "again"}])
    assert answer.json()["choices"][0]["message"]["content"] == "42 it is."
    assert answer.json()["usage"]["prompt_tokens"] == 22
    assert home.desk.calls == [{"name": "Ann"}]
    roles = [m["role"] for m in home.models.requests[2].body["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "user"]


async def test_an_empty_list_of_tools_sends_none(tmp_path):
    agents = {"list": [{"id": "main", **FAKE, "tools": {"allow": []}}]}
    async with house(tmp_path, agents=agents) as home:
        await home.chat()
    assert "tools" not in home.models.requests[0].body


async def test_the_next_model_is_asked_where_one_fails(tmp_path):
    model = {"primary": "fake/echo", "fallbacks": ["anthropic/claude"]}
    async with house(tmp_path, agents={"defaults": {"model": model}}) as home:
        home.models.play(Answer(status=404), Answer(text=("Plan B.",)))
        answer = await home.chat()
        runs = dict(home.gateway.runner.meter.runs)
    assert answer.json()["choices"][0]["message"]["content"] == "Plan B."
    paths = [request.path for request in home.models.requests]
    assert paths == ["/v1/chat/completions", "/v1/messages"]
    assert runs == {("anthropic/claude", "ok"): 1}


async def test_too_many_at_once_are_refused(tmp_path):
    async with house(tmp_path) as home:
        home.models.play(*[Answer(delay_s=30)] * 64)
        asking = [asyncio.create_task(home.chat()) for _ in range(64)]
        while home.gateway.runner.meter.active < 64:  # noqa: ASYNC110 - no event for it
            await asyncio.sleep(0.01)
        refused = await home.chat()
        streamed = await home.chat(stream=True)
        for task in asking:
            task.cancel()
        await asyncio.wait(asking)
    assert (refused.status_code, streamed.status_code) == (503, 503)
    assert refused.json()["error"]["type"] == "overloaded"


# ---- /metrics


def numbers(text):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for metric in text_string_to_metric_families(text)
        for sample in metric.samples
    }


async def test_metrics_tell_what_happened(tmp_path):
    async with house(tmp_path) as home:
        await home.chat()
        await home.invoke("nope")
        await home.http.get("/a/b")
        page = await home.http.get("/metrics", headers={"Authorization": ""})
    assert page.headers["content-type"].startswith("text/plain; version=")
    seen = numbers(page.text)
    path, model = ("path", CHAT), ("model", "fake/echo")
    answers = "openclaw_gateway_http_answers_total"
    assert seen[answers, path, ("status", "200")] == 1
    assert seen[answers, ("path", "/tools/invoke"), ("status", "404")] == 1
    assert seen[answers, ("path", "other"), ("status", "404")] == 1
    assert seen["openclaw_agent_runs_total", model, ("outcome", "ok")] == 1
    assert seen["openclaw_agent_tokens_total", ("direction", "input"), model] == 11
    assert seen["openclaw_agent_first_text_seconds_count", model] == 1
    assert seen["openclaw_gateway_ready", ("version", home.gateway.version)] == 1
    assert seen["process_resident_memory_bytes",] > 0


async def test_plugins_add_their_own_metrics(tmp_path):
    async with house(tmp_path) as home:
        home.desk.families = [
            {
                "name": "desk_calls",
                "type": "counter",
                "help": "Calls.",
                "samples": [{"labels": {"state": 'com"plete'}, "value": 3}],
            },
            {
                "name": "desk_wait_seconds",
                "type": "histogram",
                "help": "Waits.",
                "samples": [
                    {"labels": {}, "buckets": [["0.5", 1], ["+Inf", 2]], "sum": 1.5}
                ],
            },
        ]
        seen = numbers((await home.http.get("/metrics")).text)
        home.desk.families = [{"name": "desk_calls", "type": "nonsense"}]
        after = numbers((await home.http.get("/metrics")).text)
    assert seen["desk_calls_total", ("state", 'com"plete')] == 3
    assert seen["desk_wait_seconds_bucket", ("le", "0.5")] == 1
    assert seen["desk_wait_seconds_count",] == 2
    assert after["openclaw_metrics_failures_total", ("owner", "desk")] == 1
    assert after["openclaw_agent_runs_active",] == 0


async def test_open_metrics_are_given_to_who_asks_for_them(tmp_path):
    async with house(tmp_path) as home:
        page = await home.http.get(
            "/metrics", headers={"Accept": "application/openmetrics-text"}
        )
    assert page.headers["content-type"].startswith("application/openmetrics-text")
    assert page.text.endswith("# EOF\n")
