"""A real Gateway on loopback, asked by real sockets, well-mannered and not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import urllib.error
import urllib.request

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from openclaw_gateway.app import Gateway
from openclaw_gateway.config import load_config
from openclaw_gateway.errors import (
    ConfigInvalid,
    GatewayDown,
    GatewayRefused,
    GatewayTimeout,
    PortTaken,
    ProtocolViolated,
    RequestFailed,
)
from openclaw_gateway.plugins.discovery import Candidate
from openclaw_gateway.rpc.async_client import AsyncGatewayClient
from openclaw_gateway.rpc.auth import ADMIN, READ, WRITE
from openclaw_gateway.rpc.client import Address, GatewayClient, find_address
from openclaw_gateway.rpc.connection import Limits

pytestmark = pytest.mark.anyio

TOKEN = "the-right-token"
NOT_ALLOWED = "must be equal to one of the allowed values"


class Unlucky(Exception):
    """Has the shape of a plugin's error."""

    code = "bad_luck"
    is_request_fault = True


class Probe:
    """A plugin with one method for each thing that can happen."""

    id = "probe"
    name = "Probe"

    def __init__(self):
        self.gate = asyncio.Event()
        self.waiting = asyncio.Event()
        self.finished = []
        self.api = None
        self.started = False

    def register(self, api):
        self.api = api
        api.register_method("probe.echo", self.echo, scope=READ)
        api.register_method("probe.admin", self.echo, scope=ADMIN)
        api.register_method("probe.wait", self.wait, scope=WRITE)
        api.register_method(
            "probe.wait_here", self.wait, scope=WRITE, cancel_on_disconnect=True
        )
        api.register_method("probe.fail", self.fail, scope=WRITE)
        api.register_method("probe.break", self.break_down, scope=WRITE)
        api.register_method("probe.object", self.answer_an_object, scope=WRITE)
        api.register_method("probe.ask", self.ask, scope=WRITE)
        api.register_service("probe", self.start, self.stop)

    async def start(self):
        self.started = True

    async def stop(self, limit_s):
        self.started = False

    async def echo(self, params):
        return {"echo": dict(params)}

    async def wait(self, params):
        self.waiting.set()
        outcome = "cancelled"
        try:
            await self.gate.wait()
            outcome = "done"
        finally:
            self.finished.append(outcome)
        return {"waited": True}

    async def fail(self, params):
        raise Unlucky("Throw the dice again.")

    async def break_down(self, params):
        raise ZeroDivisionError("a secret")

    async def answer_an_object(self, params):
        return {"answer": object()}

    async def ask(self, params):
        request = {"sessionKey": "probe", "message": params["message"]}
        deltas = [e["delta"] async for e in self.api.run_agent(request)]
        return {"text": "".join(deltas)}


class House:
    """A running Gateway with the probe in it."""

    def __init__(self, tmp_path):
        self.probe = Probe()
        self.config = load_config(
            {
                "OPENCLAW_STATE_DIR": str(tmp_path),
                "OPENCLAW_GATEWAY_PORT": "0",
                "OPENCLAW_GATEWAY_TOKEN": TOKEN,
            }
        )
        self.limits = Limits(
            handshake_s=0.5,
            tick_s=0.2,
            flush_s=0.5,
            requests=4,
            handshakes=3,
            payload_bytes=256 << 10,
            buffered_bytes=1 << 20,
        )
        self.gateway = Gateway(
            self.config, [Candidate.of(self.probe)], limits=self.limits
        )

    @property
    def address(self):
        return Address(url=self.gateway.url, secret=TOKEN)

    @contextlib.asynccontextmanager
    async def raw(self):
        """A WebSocket that has been challenged, and nothing more."""
        async with connect(self.gateway.url, compression=None, proxy=None) as ws:
            challenge = json.loads(await ws.recv())
            assert challenge["event"] == "connect.challenge"
            assert set(challenge["payload"]) == {"nonce", "ts"}
            yield ws

    def client(self):
        return AsyncGatewayClient(self.address, timeout_s=5)


@pytest.fixture
async def house(tmp_path):
    house = House(tmp_path)
    await house.gateway.start()
    try:
        yield house
    finally:
        house.probe.gate.set()
        await house.gateway.stop(reason="test over", drain_s=0.1)


def hello(**change):
    params = {
        "minProtocol": 3,
        "maxProtocol": 4,
        "client": {"id": "test", "version": "1", "platform": "linux", "mode": "test"},
        "scopes": [READ, WRITE],
        "auth": {"token": TOKEN},
    } | change
    return request("connect", params, request_id="hello")


def request(method, params=None, *, request_id="r"):
    frame = {"type": "req", "id": request_id, "method": method}
    return json.dumps(frame if params is None else frame | {"params": params})


async def answer(ws, request_id):
    """Return the answer to a request, over whatever events come first."""
    while True:
        frame = json.loads(await asyncio.wait_for(ws.recv(), 5))
        if frame.get("id") == request_id:
            return frame


async def closed(ws):
    """Return the close code, over whatever comes first."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await asyncio.wait_for(ws.recv(), 5)
    return ws.close_code


# ---- handshake


async def test_hello_says_what_the_gateway_can_do(house):
    async with house.raw() as ws:
        await ws.send(hello())
        payload = (await answer(ws, "hello"))["payload"]
    assert payload["type"] == "hello-ok"
    assert payload["protocol"] == 4
    assert payload["auth"] == {"role": "operator", "scopes": [READ, WRITE]}
    assert {"health", "status", "plugins.list", "probe.echo"} <= set(
        payload["features"]["methods"]
    )
    assert payload["policy"] == {
        "maxPayload": 262144,
        "maxBufferedBytes": 1048576,
        "tickIntervalMs": 200,
    }


async def test_an_older_client_gets_an_older_hello(house):
    async with house.raw() as ws:
        await ws.send(hello(maxProtocol=3))
        payload = (await answer(ws, "hello"))["payload"]
    assert payload["protocol"] == 3
    assert "auth" not in payload


@pytest.mark.parametrize(
    ("first", "message", "code"),
    [
        (
            hello(minProtocol=5, maxProtocol=5),
            "protocol mismatch",
            1002,
        ),
        (
            hello(auth={"token": "wrong"}),
            "unauthorized: gateway token mismatch (provide gateway auth token)",
            1008,
        ),
        (
            hello(auth={}),
            "unauthorized: gateway token missing (provide gateway auth token)",
            1008,
        ),
        (
            hello(client={"id": "me", "version": "1", "platform": "l", "mode": "cli"}),
            f"invalid connect params: at /client/id: {NOT_ALLOWED}",
            1008,
        ),
        (hello(role="node"), "role not supported: node", 1008),
        (
            request("health", request_id="hello"),
            "invalid handshake: first request must be connect",
            1008,
        ),
        (
            '{"type":"req","id":"hello"}',
            "invalid request frame",
            1008,
        ),
    ],
)
async def test_a_wrong_handshake_is_answered_and_closed(house, first, message, code):
    async with house.raw() as ws:
        await ws.send(first)
        frame = await answer(ws, "hello")
        assert frame["ok"] is False
        assert frame["error"]["code"] == "INVALID_REQUEST"
        assert frame["error"]["message"] == message
        assert await closed(ws) == code


@pytest.mark.parametrize(
    ("first", "code"),
    [("not json", 1008), (b"\x00\x01", 1003), ("x" * 70_000, 1009)],
)
async def test_garbage_before_the_handshake_closes(house, first, code):
    async with house.raw() as ws:
        await ws.send(first)
        assert await closed(ws) == code


async def test_a_silent_client_is_sent_away(house):
    async with house.raw() as ws:
        assert await closed(ws) == 1008


async def test_unfinished_handshakes_are_limited(house):
    async with house.raw(), house.raw(), house.raw():
        with pytest.raises(InvalidStatus, match="403"):
            await connect(house.gateway.url, proxy=None)


async def test_a_page_from_elsewhere_may_not_connect(house):
    with pytest.raises(InvalidStatus, match="403"):
        await connect(house.gateway.url, origin="https://evil.example", proxy=None)


async def test_a_page_of_the_gateway_itself_may_connect(house):
    origin = house.gateway.url.replace("ws:", "http:")
    async with connect(house.gateway.url, origin=origin, proxy=None) as ws:
        assert json.loads(await ws.recv())["event"] == "connect.challenge"


# ---- requests


async def test_a_request_is_answered(house):
    async with house.client() as client:
        answered = await client.call("probe.echo", {"a": [1]}, timeout_s=5)
    assert answered == {"echo": {"a": [1]}}


async def test_a_slow_request_holds_up_no_other(house):
    async with house.client() as client:
        slow = asyncio.create_task(client.call("probe.wait", {}, timeout_s=5))
        await house.probe.waiting.wait()
        assert (await client.call("health", {}, timeout_s=5))["ok"] is True
        house.probe.gate.set()
        assert await slow == {"waited": True}


@pytest.mark.parametrize(
    ("method", "wire_code", "code", "message"),
    [
        ("nope", "INVALID_REQUEST", "unknown_method", "unknown method: nope"),
        ("probe.fail", "INVALID_REQUEST", "bad_luck", "Throw the dice again."),
        (
            "probe.break",
            "UNAVAILABLE",
            "internal_error",
            "probe.break failed inside the Gateway; its log says why.",
        ),
        (
            "probe.object",
            "UNAVAILABLE",
            "internal_error",
            "probe.object failed inside the Gateway; its log says why.",
        ),
    ],
)
async def test_a_failure_says_what_it_is(house, method, wire_code, code, message):
    async with house.client() as client:
        with pytest.raises(RequestFailed) as caught:
            await client.call(method, {}, timeout_s=5)
        assert (await client.call("health", {}, timeout_s=5))["ok"] is True
    assert (caught.value.wire_code, caught.value.code) == (wire_code, code)
    assert str(caught.value) == message


async def test_a_scope_that_was_not_asked_for_is_missing(house):
    async with house.raw() as ws:
        await ws.send(hello())
        await answer(ws, "hello")
        await ws.send(request("probe.admin"))
        error = (await answer(ws, "r"))["error"]
    assert error["message"] == "missing scope: operator.admin"


async def test_a_json_text_that_is_no_request_costs_nothing(house):
    async with house.raw() as ws:
        await ws.send(hello())
        await answer(ws, "hello")
        await ws.send('{"type":"req","id":"odd","method":5}')
        assert (await answer(ws, "odd"))["error"]["message"] == "invalid request frame"
        await ws.send(hello())
        assert (await answer(ws, "hello"))["error"]["message"] == "already connected"
        await ws.send(request("health"))
        assert (await answer(ws, "r"))["ok"] is True


@pytest.mark.parametrize(
    ("message", "code"),
    [("{", 1007), (b"{}", 1003), ("x" * (300 << 10), 1009)],
)
async def test_garbage_closes_the_connection_and_harms_no_other(house, message, code):
    async with house.client() as other, house.raw() as ws:
        await ws.send(hello())
        await answer(ws, "hello")
        await ws.send(message)
        assert await closed(ws) == code
        assert (await other.call("health", {}, timeout_s=5))["ok"] is True


async def test_too_many_requests_at_once_are_refused(house):
    async with house.client() as client:
        waiting = [
            asyncio.create_task(client.call("probe.wait", {}, timeout_s=5))
            for _ in range(4)
        ]
        await house.probe.waiting.wait()
        with pytest.raises(RequestFailed) as caught:
            await client.call("health", {}, timeout_s=5)
        house.probe.gate.set()
        await asyncio.gather(*waiting)
    assert caught.value.code == "too_many_requests"
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("method", "outcome"), [("probe.wait", "done"), ("probe.wait_here", "cancelled")]
)
async def test_only_what_wants_to_be_is_cancelled_on_disconnect(house, method, outcome):
    async with house.raw() as ws:
        await ws.send(hello())
        await answer(ws, "hello")
        await ws.send(request(method))
        await house.probe.waiting.wait()
    await asyncio.sleep(0.2)
    house.probe.gate.set()
    await asyncio.sleep(0.1)
    assert house.probe.finished == [outcome]


async def test_a_doubled_request_runs_once(house):
    house.probe.gate.set()
    async with house.client() as client:
        for _ in range(2):
            await client.call("probe.wait", {"idempotencyKey": "k"}, timeout_s=5)
    assert house.probe.finished == ["done"]


async def test_a_plugin_lets_the_receptionist_answer(house):
    async with house.client() as client:
        answered = await client.call("probe.ask", {"message": "hello"}, timeout_s=5)
    assert answered["text"] == "Hello, this is the receptionist. How can I help you?"


async def test_status_names_the_plugins(house):
    async with house.client() as client:
        status = await client.call("status", {}, timeout_s=5)
    assert status["ok"] is True
    assert status["clients"] == 1
    assert status["plugins"] == [
        {
            "id": "probe",
            "name": "Probe",
            "source": "given",
            "kind": "given",
            "version": "",
            "state": "running",
            "error": None,
        }
    ]


# ---- events


async def test_a_broadcast_reaches_those_who_may_read(house):
    async with house.client() as client, house.raw() as stranger:
        await stranger.send(hello(scopes=[]))
        await answer(stranger, "hello")
        events = client.events(prefix="probe.")
        house.probe.api.broadcast("probe.seen", {"n": 1})
        house.probe.api.broadcast("probe.seen", {"n": 2})
        seen = [await anext(events), await anext(events)]
        await stranger.send(request("health"))
        assert (await answer(stranger, "r"))["ok"] is True
    assert [event["payload"] for event in seen] == [{"n": 1}, {"n": 2}]
    assert seen[1]["seq"] == seen[0]["seq"] + 1


async def test_the_gateway_ticks(house):
    async with house.client() as client:
        tick = await anext(client.events(prefix="tick"))
    assert set(tick["payload"]) == {"ts"}


async def test_a_slow_reader_is_cut_off_and_harms_no_other(house):
    async with house.client() as other, house.raw() as ws:
        await ws.send(hello())
        await answer(ws, "hello")
        ws.transport.pause_reading()
        events = other.events(prefix="probe.")
        for number in range(200):
            house.probe.api.broadcast("probe.big", {"n": number, "x": "x" * 60_000})
            assert (await anext(events))["payload"]["n"] == number
        await asyncio.sleep(0.1)
        assert house.gateway.rpc.client_count == 1
        ws.transport.abort()


async def test_clients_are_told_of_the_end(tmp_path):
    house = House(tmp_path)
    await house.gateway.start()
    async with house.raw() as ws:
        await ws.send(hello())
        await answer(ws, "hello")
        await house.gateway.stop(reason="restart", drain_s=0)
        events = []
        with contextlib.suppress(ConnectionClosed):
            while True:
                events.append(json.loads(await ws.recv()))
        assert {"type": "event", "event": "shutdown"}.items() <= events[-1].items()
        assert events[-1]["payload"] == {"reason": "restart"}
        assert ws.close_code == 1012
    assert house.probe.started is False


# ---- clients


def in_thread(work):
    return asyncio.to_thread(work)


async def test_the_blocking_client_asks_once(house):
    def ask():
        with GatewayClient(house.address) as client:
            return client.call("probe.echo", {"a": 1}, timeout_s=5)

    assert await in_thread(ask) == {"echo": {"a": 1}}


async def test_the_blocking_client_follows_events(house):
    connected = threading.Event()

    def follow():
        with GatewayClient(house.address) as client:
            connected.set()
            return [next(client.events(prefix="probe.")) for _ in range(2)]

    following = asyncio.create_task(in_thread(follow))
    await asyncio.to_thread(connected.wait)
    for number in range(2):
        house.probe.api.broadcast("probe.seen", {"n": number})
    assert [event["payload"]["n"] for event in await following] == [0, 1]


async def test_following_ends_with_the_gateway(tmp_path):
    house = House(tmp_path)
    await house.gateway.start()
    connected = threading.Event()

    def follow():
        with GatewayClient(house.address) as client:
            connected.set()
            return [event["event"] for event in client.events()]

    following = asyncio.create_task(in_thread(follow))
    await asyncio.to_thread(connected.wait)
    await house.gateway.stop(reason="over", drain_s=0)
    assert (await following)[-1] == "shutdown"


async def test_the_blocking_client_does_not_wait_for_ever(house):
    def ask():
        with GatewayClient(house.address) as client:
            client.call("probe.wait", {}, timeout_s=0.2)

    with pytest.raises(GatewayTimeout, match=r"in time \(probe.wait\)"):
        await in_thread(ask)


async def test_both_clients_are_told_that_the_token_is_wrong(house):
    wrong = Address(url=house.gateway.url, secret="wrong")
    with pytest.raises(GatewayRefused, match="does not accept this token"):
        await in_thread(lambda: GatewayClient(wrong))
    with pytest.raises(GatewayRefused):
        async with AsyncGatewayClient(wrong):
            pass


async def test_both_clients_see_at_once_that_nothing_listens(house):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    nobody = Address(url=f"ws://127.0.0.1:{port}", secret="")
    with pytest.raises(GatewayDown, match=f"No Gateway listens at {nobody.url}"):
        await in_thread(lambda: GatewayClient(nobody))
    with pytest.raises(GatewayDown):
        async with AsyncGatewayClient(nobody):
            pass


async def test_both_clients_give_up_on_somebody_who_says_nothing():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        silent = Address(url=f"ws://127.0.0.1:{port}", secret="")
        with pytest.raises(GatewayTimeout):
            await in_thread(lambda: GatewayClient(silent, timeout_s=0.2))
        with pytest.raises(GatewayTimeout):
            async with AsyncGatewayClient(silent, timeout_s=0.2):
                pass


async def test_both_clients_know_that_a_web_server_is_no_gateway():
    async def greet(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        web = Address(url=f"ws://127.0.0.1:{port}", secret="")
        with pytest.raises(ProtocolViolated, match="is no Gateway"):
            await in_thread(lambda: GatewayClient(web))
        with pytest.raises(ProtocolViolated):
            async with AsyncGatewayClient(web):
                pass


async def test_a_lost_connection_ends_every_wait(tmp_path):
    house = House(tmp_path)
    await house.gateway.start()
    async with house.client() as client:
        waiting = asyncio.create_task(client.call("probe.wait", {}, timeout_s=20))
        await house.probe.waiting.wait()
        await house.gateway.stop(reason="over", drain_s=0)
        with pytest.raises(GatewayDown):
            await waiting
        with pytest.raises(GatewayDown):
            await client.call("health", {}, timeout_s=1)
        assert [e["event"] async for e in client.events()][-1] == "shutdown"


async def test_the_address_comes_from_the_state_directory(tmp_path):
    config = load_config(
        {"OPENCLAW_STATE_DIR": str(tmp_path), "OPENCLAW_GATEWAY_PORT": "0"}
    )
    gateway = Gateway(config, [])
    await gateway.start()
    try:
        address = find_address(config, url=gateway.url)
        async with AsyncGatewayClient(address) as client:
            assert (await client.call("health", {}, timeout_s=5))["ok"] is True
    finally:
        await gateway.stop(reason="over", drain_s=0)


async def test_a_taken_port_is_one_sentence(house, tmp_path):
    config = load_config(
        {
            "OPENCLAW_STATE_DIR": str(tmp_path / "other"),
            "OPENCLAW_GATEWAY_PORT": str(house.gateway.port),
        }
    )
    with pytest.raises(PortTaken, match=r"set gateway\.port"):
        await Gateway(config, []).start()


@contextlib.asynccontextmanager
async def open_house(tmp_path, text, limits=None):
    """A Gateway without plugins, configured by `text`."""
    (tmp_path / "openclaw.json").write_text(text, encoding="utf-8")
    config = load_config(
        {"OPENCLAW_STATE_DIR": str(tmp_path), "OPENCLAW_GATEWAY_PORT": "0"}
    )
    gateway = Gateway(config, [], limits=limits)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop(reason="over", drain_s=0)


async def test_without_authentication_only_local_names_lead_here(tmp_path):
    async with open_house(tmp_path, '{gateway: {auth: {mode: "none"}}}') as gateway:
        address = Address(url=f"ws://localhost:{gateway.port}", secret="")
        async with AsyncGatewayClient(address) as client:
            assert (await client.call("health", {}, timeout_s=5))["ok"] is True
        rebound = socket.create_connection(("127.0.0.1", gateway.port))
        with rebound, pytest.raises(InvalidStatus, match="403"):
            await connect(f"ws://evil.example:{gateway.port}", sock=rebound)


async def test_connections_are_limited(tmp_path):
    limits = Limits(connections=1)
    async with (
        open_house(tmp_path, "{}", limits) as gateway,
        connect(gateway.url, proxy=None),
    ):
        with pytest.raises(InvalidStatus, match="403"):
            await connect(gateway.url, proxy=None)


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ('"builtin/receptionist"', None),
        ('{primary: "builtin/receptionist"}', None),
        ("{}", None),
        ('"receptionist"', "agents.defaults.model.primary"),
        ("{primary: 5}", "agents.defaults.model.primary"),
    ],
)
async def test_the_default_model_is_configured(tmp_path, model, error):
    text = "{agents: {defaults: {model: " + model + "}}}"
    if error is None:
        async with open_house(tmp_path, text) as gateway:
            request = {"sessionKey": "k", "message": "hello"}
            events = [event async for event in gateway.runner.run(request)]
        assert events[0]["delta"] == "Hello, "
        return
    with pytest.raises(ConfigInvalid, match=error):
        async with open_house(tmp_path, text):
            pass


# ---- HTTP on the same port


def get(house, path):
    url = house.gateway.url.replace("ws:", "http:") + path
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, None


async def test_health_and_readiness(house):
    assert await in_thread(lambda: get(house, "/healthz")) == (200, {"ok": True})
    assert await in_thread(lambda: get(house, "/readyz")) == (200, {"ok": True})
    house.gateway.is_ready = False
    assert (await in_thread(lambda: get(house, "/readyz")))[0] == 503
    assert (await in_thread(lambda: get(house, "/")))[0] == 404
