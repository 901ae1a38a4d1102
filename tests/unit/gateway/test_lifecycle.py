from __future__ import annotations

import asyncio

import pytest
import structlog

from openclaw_gateway.config import load_config
from openclaw_gateway.errors import NotYet, PluginDown
from openclaw_gateway.plugins.discovery import Candidate
from openclaw_gateway.plugins.lifecycle import PluginHost
from openclaw_gateway.rpc.auth import READ
from openclaw_gateway.rpc.methods import MethodTable

pytestmark = pytest.mark.anyio


class Tape:
    """A plugin that writes down what happens to it."""

    name = "Tape"

    def __init__(self, plugin_id="tape", *, start=None, stop=None, register=None):
        self.id = plugin_id
        self.told = []
        self.api = None
        self._start = start
        self._stop = stop
        self._register = register

    def register(self, api):
        self.api = api
        api.register_method(f"{self.id}.echo", self.echo, scope=READ)
        for number in (1, 2):
            api.register_service(
                f"{self.id}-{number}",
                lambda number=number: self.start(number),
                lambda limit_s, number=number: self.stop(number, limit_s),
            )
        if self._register:
            raise self._register

    async def echo(self, params):
        return {"echo": dict(params)}

    async def start(self, number):
        self.told.append(f"start {number}")
        if self._start and number == 2:
            await self._start()

    async def stop(self, number, limit_s):
        self.told.append(f"stop {number} {limit_s:g}")
        if self._stop:
            await self._stop()


def raises(error):
    async def fail():
        raise error

    return fail


class House:
    """A host with its surroundings."""

    def __init__(self, tmp_path, text="{}"):
        (tmp_path / "openclaw.json").write_text(text, encoding="utf-8")
        self.methods = MethodTable()
        self.events = []
        self.config = load_config({"OPENCLAW_STATE_DIR": str(tmp_path)})
        self.host = PluginHost(
            config=self.config,
            methods=self.methods,
            broadcast=lambda event, payload: self.events.append((event, payload)),
            run_agent=lambda request: ("ran", request),
            start_limit_s=5.0,
        )

    def register(self, *plugins):
        self.host.register([Candidate.of(plugin) for plugin in plugins])

    async def call(self, name, params=None):
        return await self.methods.call(self.methods.find(name), params or {})

    @property
    def states(self):
        return {p["id"]: (p["state"], p["error"]) for p in self.host.describe()}


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


async def test_a_plugin_lives(house):
    tape = Tape()
    house.register(tape)
    assert house.states == {"tape": ("registered", None)}
    await house.host.start()
    assert house.states == {"tape": ("running", None)}
    assert await house.call("tape.echo", {"a": 1}) == {"echo": {"a": 1}}
    await house.host.stop(limit_s=7)
    assert house.states == {"tape": ("stopped", None)}
    assert tape.told == ["start 1", "start 2", "stop 2 7", "stop 1 7"]


async def test_a_plugin_gets_its_configuration(tmp_path):
    text = '{plugins: {entries: {tape: {config: {speed: "${SPEED:"}}}}, other: 1}'
    house = House(tmp_path, text)
    tape = Tape()
    house.register(tape)
    assert tape.api.id == "tape"
    assert tape.api.config == {"speed": "${SPEED:"}
    assert tape.api.core_config["other"] == 1
    assert tape.api.state_dir == tmp_path


async def test_a_plugin_without_configuration_gets_an_empty_one(house):
    tape = Tape()
    house.register(tape)
    assert tape.api.config == {}


@pytest.mark.parametrize(
    "text",
    [
        "{plugins: {entries: {tape: {enabled: false}}}}",
        "{plugins: {enabled: false}}",
    ],
)
async def test_a_disabled_plugin_is_not_even_loaded(tmp_path, text):
    house = House(tmp_path, text)
    tape = Tape()
    house.register(tape)
    assert house.states == {"tape": ("disabled", None)}
    assert tape.api is None
    assert house.methods.names == []


async def test_methods_answer_only_while_their_plugin_runs(house):
    house.register(Tape())
    with pytest.raises(NotYet, match="The plugin tape is starting"):
        await house.call("tape.echo")
    await house.host.start()
    await house.host.stop(limit_s=1)
    with pytest.raises(PluginDown, match="The plugin tape is not running"):
        await house.call("tape.echo")


async def test_a_plugin_that_cannot_be_imported_harms_nobody(house):
    def load():
        raise ImportError("No module named 'gone'")

    bad = Candidate(id="bad", source="bad-dist", load=load)
    with structlog.testing.capture_logs():
        house.host.register([bad, Candidate.of(Tape())])
    await house.host.start()
    assert house.states == {
        "bad": ("failed", "did not register: No module named 'gone'"),
        "tape": ("running", None),
    }


async def test_a_plugin_that_cannot_register_answers_with_the_reason(house):
    with structlog.testing.capture_logs():
        house.register(Tape(register=ValueError("plugins.x: is wrong.")))
    await house.host.start()
    with pytest.raises(PluginDown) as caught:
        await house.call("tape.echo")
    assert str(caught.value) == (
        "The plugin tape did not register: plugins.x: is wrong."
    )


async def test_a_plugin_must_have_the_id_it_was_found_by(house):
    stranger = Tape("stranger")
    with structlog.testing.capture_logs():
        house.host.register([Candidate(id="tape", source="s", load=lambda: stranger)])
    state, error = house.states["tape"]
    assert state == "failed"
    assert "the plugin calls itself stranger" in error


async def test_a_name_that_is_taken_fails_the_later_plugin(house):
    class Copy(Tape):
        def register(self, api):
            api.register_method("tape.echo", self.echo, scope=READ)

    with structlog.testing.capture_logs():
        house.register(Tape(), Copy("copy"))
    assert house.states["copy"][0] == "failed"
    assert "registered already by tape" in house.states["copy"][1]


async def test_a_plugin_that_fails_to_start_is_stopped_and_named(house):
    bad = Tape("bad", start=raises(OSError("port 1 is taken")))
    good = Tape("good")
    house.register(bad, good)
    with structlog.testing.capture_logs():
        await house.host.start()
    assert house.states == {
        "bad": ("failed", "did not start: port 1 is taken"),
        "good": ("running", None),
    }
    assert bad.told == ["start 1", "start 2", "stop 1 5"]
    with pytest.raises(PluginDown, match="did not start: port 1 is taken"):
        await house.call("bad.echo")


async def test_an_error_without_words_is_named_by_its_class(house):
    house.register(Tape(start=raises(RuntimeError())))
    with structlog.testing.capture_logs():
        await house.host.start()
    assert house.states["tape"] == ("failed", "did not start: RuntimeError")


async def test_a_plugin_that_never_starts_is_given_up(house):
    house.register(Tape(start=hang))
    with structlog.testing.capture_logs():
        await house.host.start()
    error = "did not start: tape-2 was not ready within 5 seconds."
    assert house.states["tape"] == ("failed", error)


async def test_a_timeout_of_the_plugins_own_is_told_as_it_is(house):
    house.register(Tape(start=raises(TimeoutError("the carrier was late"))))
    with structlog.testing.capture_logs():
        await house.host.start()
    assert house.states["tape"] == ("failed", "did not start: the carrier was late")


class Foreseen(Exception):
    """Has the shape that plugins' errors have."""

    code = "config_invalid"
    is_request_fault = False


async def test_a_failure_with_a_code_keeps_it_and_is_logged_without_a_trace(house):
    house.register(Tape(start=raises(Foreseen("speech.tts: no such engine."))))
    with structlog.testing.capture_logs() as logs:
        await house.host.start()
    assert logs[0]["exc_info"] is None
    with pytest.raises(PluginDown) as caught:
        await house.call("tape.echo")
    assert caught.value.code == "config_invalid"


async def hang():
    await asyncio.Event().wait()


@pytest.mark.parametrize("stop", [raises(OSError("no")), hang])
async def test_a_service_that_does_not_stop_holds_nobody_up(house, stop):
    house.register(Tape(stop=stop))
    await house.host.start()
    with structlog.testing.capture_logs() as logs:
        await house.host.stop(limit_s=2)
    assert [line["service"] for line in logs] == ["tape-2", "tape-1"]
    assert house.states["tape"] == ("stopped", None)


async def test_what_a_plugin_says_reaches_the_clients(house):
    tape = Tape()
    house.register(tape)
    tape.api.broadcast("tape.turned", {"side": "b"})
    assert house.events == [("tape.turned", {"side": "b"})]


async def test_a_plugin_can_let_an_agent_answer(house):
    tape = Tape()
    house.register(tape)
    assert tape.api.run_agent({"message": "hi"}) == ("ran", {"message": "hi"})


async def test_tools_are_kept_by_name(house):
    async def execute(_):
        return {}

    tape = Tape()
    house.register(tape)
    tape.api.register_tool("wind", "Winds.", {"type": "object"}, execute)
    tool = house.host.tools["wind"]
    assert (tool.owner, tool.description) == ("tape", "Winds.")
    with pytest.raises(ValueError, match="registered already by tape"):
        tape.api.register_tool("wind", "", {}, execute)
