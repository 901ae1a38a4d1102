"""The webhook server on loopback, called by raw sockets: good carriers and bad strangers.

Tests named by an advisory show that its attack has no effect here.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from voice_call.call.events import Offered, Ringing
from voice_call.carriers.base import Capabilities, Carrier, ConnectStream, HttpRequest
from voice_call.clock import SystemClock
from voice_call.config import load_config
from voice_call.errors import ConfigError, JournalUnwritable
from voice_call.exposure.proxies import ProxyRules, parse_network
from voice_call.exposure.public_url import UrlRules
from voice_call.server import connection
from voice_call.server.limits import RequestLimits
from voice_call.server.listener import PortTaken, WebhookServer
from voice_call.server.settings import ServerSettings, server_settings
from voice_call.testing.carriers import ManualCarrier
from voice_call.testing.signed_webhooks import SIGNATURE_HEADER, SignedWebhooks
from voice_call.testing.sink import RecordingSink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from voice_call.carriers.base import CarrierNotice

pytestmark = pytest.mark.anyio

URL = "https://phone.example.com/voice/webhook"
PATH = "/voice/webhook"
RINGING = {"CallSid": "CA1", "CallStatus": "ringing", "From": "+15550001234"}
STEP = ConnectStream(url="wss://phone.example.com/voice/stream", token="t0ken")
LOOPBACK = parse_network("127.0.0.1")
BEHIND_PROXY = UrlRules(public_url=URL, proxies=ProxyRules(networks=(LOOPBACK,)))


class SlowSink(RecordingSink):
    """A sink that can be held up."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.gate = asyncio.Event()
        self.gate.set()

    async def deliver(self, notice: CarrierNotice) -> None:
        await self.gate.wait()
        await super().deliver(notice)


@dataclass
class Reply:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Line:
    """A server, the carrier that calls it, and raw connections to it."""

    def __init__(self, settings: ServerSettings) -> None:
        self.webhooks = SignedWebhooks()
        self.sink = SlowSink()
        carrier = ManualCarrier().carrier
        self.server = WebhookServer(
            settings,
            replace(carrier, webhooks=self.webhooks),
            self.sink,
            lambda _call, _notice: (STEP,),
            SystemClock(),
        )
        self.address = ("", 0)

    async def start(self) -> str:
        url = await self.server.start()
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self.address = (parts.hostname, parts.port)
        return url

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.address)

    async def webhook(
        self, fields: dict[str, str] = RINGING, *, url: str = URL, **options: Any
    ) -> Reply:
        """Send a correctly signed webhook."""
        body = self.webhooks.form(fields)
        headers = self.webhooks.sign(url, body) | options.pop("headers", {})
        return await self.ask(body=body, headers=headers, **options)

    async def ask(
        self,
        method: str = "POST",
        target: str = PATH,
        *,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
    ) -> Reply:
        reader, writer = await self.open()
        given = {"host": "127.0.0.1", "content-length": str(len(body))}
        writer.write(head(method, target, given | (headers or {})) + body)
        return await answer(reader, writer)


def head(method: str, target: str, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Reply:
    """Read one response; status 0 where the connection ends without one."""
    try:
        async with asyncio.timeout(20):
            top = await reader.readuntil(b"\r\n\r\n")
            status, *lines = top.decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines if line)
            body = await reader.readexactly(int(headers.get("content-length", "0")))
    except (asyncio.IncompleteReadError, ConnectionError):
        return Reply(0)
    finally:
        writer.close()
    return Reply(int(status.split()[1]), headers, body)


async def is_cut(reader: asyncio.StreamReader) -> bool:
    """Say whether the other end goes away, whatever it says before."""
    try:
        async with asyncio.timeout(10):
            await reader.read()
    except ConnectionError:
        return True
    return True


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Line]:
    settings.setdefault("urls", UrlRules(public_url=URL))
    line = Line(ServerSettings(port=0, **settings))
    await line.start()
    try:
        yield line
    finally:
        line.sink.gate.set()
        await line.server.stop(1.0)


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    async with serving() as running:
        yield running


# -- life ------------------------------------------------------------------------------


async def test_a_signed_webhook_gets_its_answer(line: Line) -> None:
    reply = await line.webhook()
    assert (reply.status, reply.headers["content-type"]) == (200, "text/xml")
    assert reply.body == b"<Response><Stream token='t0ken'/></Response>"
    assert line.sink.events == [Ringing()]


async def test_one_connection_carries_many_webhooks(line: Line) -> None:
    reader, writer = await line.open()
    for number in range(3):
        body = line.webhooks.form(RINGING | {"EventId": str(number)})
        headers = line.webhooks.sign(URL, body) | {"content-length": str(len(body))}
        writer.write(head("POST", PATH, headers) + body)
        top = await reader.readuntil(b"\r\n\r\n")
        assert top.startswith(b"HTTP/1.1 200 OK")
        await reader.readexactly(len(b"<Response><Stream token='t0ken'/></Response>"))
    writer.close()
    assert len(line.sink.events) == 3


async def test_start_twice_is_start_once(line: Line) -> None:
    assert await line.server.start() == await line.server.start()
    assert (await line.webhook()).status == 200


async def test_starts_at_the_same_time_are_one_start() -> None:
    line = Line(ServerSettings(port=0))
    urls = await asyncio.gather(line.start(), line.start(), line.start())
    assert len(set(urls)) == 1
    await line.server.stop(0)


async def test_stop_without_start_and_twice_is_harmless() -> None:
    line = Line(ServerSettings(port=0))
    await line.server.stop(1.0)
    await line.start()
    await line.server.stop(1.0)
    await line.server.stop(1.0)


async def test_a_stopped_server_starts_again_on_its_port() -> None:
    line = Line(ServerSettings(port=0, urls=UrlRules(public_url=URL)))
    await line.start()
    assert (await line.webhook()).status == 200
    await line.server.stop(1.0)
    with pytest.raises(ConnectionError):
        await line.open()
    await line.start()
    assert (await line.webhook(RINGING | {"EventId": "2"})).status == 200
    await line.server.stop(1.0)


async def test_a_taken_port_is_said_in_one_sentence(line: Line) -> None:
    other = Line(ServerSettings(port=line.address[1]))
    with pytest.raises(PortTaken) as caught:
        await other.start()
    assert caught.value.code == "port_taken"
    assert str(caught.value) == (
        f"Port {line.address[1]} on 127.0.0.1 is in use; stop what listens there, or "
        "set serve.port to another one."
    )
    await other.server.stop(1.0)
    assert (await line.webhook()).status == 200


@pytest.mark.parametrize("bind", ["192.0.2.1", "nowhere.invalid"])
async def test_an_address_of_somebody_else_is_a_wrong_setting(bind: str) -> None:
    with pytest.raises(ConfigError, match=r"serve\.bind: cannot listen on"):
        await Line(ServerSettings(bind=bind, port=0)).start()


@pytest.mark.parametrize("bind", ["::1", "[::1]"])
async def test_an_ipv6_address_is_in_brackets(bind: str) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    async with serving(bind=bind) as line:
        assert (await line.server.start()).startswith("http://[::1]:")
        assert (await line.webhook()).status == 200


async def test_requests_wait_between_bind_and_start() -> None:
    line = Line(ServerSettings(port=0, urls=UrlRules(public_url=URL)))
    line.address = ("127.0.0.1", urlsplit(line.server.bind()).port or 0)
    early = asyncio.create_task(line.webhook())
    await asyncio.sleep(0.05)
    assert not early.done()
    await line.server.start()
    assert (await early).status == 200
    await line.server.stop(1.0)


async def test_stop_lets_a_request_in_progress_end(line: Line) -> None:
    line.sink.gate.clear()
    working = asyncio.create_task(line.webhook())
    await asyncio.sleep(0.05)
    stopping = asyncio.create_task(line.server.stop(5.0))
    await asyncio.sleep(0.2)
    assert not stopping.done()
    line.sink.gate.set()
    assert (await working).status == 200
    await stopping


async def test_stop_cuts_what_takes_longer(line: Line) -> None:
    line.sink.gate.clear()
    working = asyncio.create_task(line.webhook())
    await asyncio.sleep(0.05)
    async with asyncio.timeout(3):
        await line.server.stop(0.0)
    assert (await working).status in (0, 500)
    assert line.sink.events == []


async def test_signals_stay_the_hosts(line: Line) -> None:
    before = signal.getsignal(signal.SIGTERM)
    await line.webhook()
    assert signal.getsignal(signal.SIGTERM) is before


# -- what is not served ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("POST", "/voice/webhook-evil", 404),
        ("POST", "/voice/webhook/../webhook", 404),
        ("POST", "/voice/%77ebhook", 404),
        ("POST", "/", 404),
        ("GET", "/healthz", 404),
        ("GET", PATH, 405),
        ("PUT", PATH, 405),
    ],
)
async def test_exact_path_and_post_only(
    line: Line, method: str, target: str, status: int
) -> None:
    assert (await line.webhook(method=method, target=target)).status == status
    assert line.webhooks.verified == 0


@pytest.mark.parametrize(
    "target", ["/voice/stream", PATH, "/voice/stream/../x", "//", "/%zz", "/?"]
)
async def test_cve_2026_32062_an_upgrade_finds_nothing(line: Line, target: str) -> None:
    upgrade = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    reply = await line.ask("GET", target, headers=upgrade)
    assert reply.status == 404
    assert (await line.webhook()).status == 200


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
        b"GET\r\n\r\n",
        b"POST /voice/webhook HTTP/9.9\r\n\r\n",
        b"POST \xff\xfe HTTP/1.1\r\n\r\n",
        b"POST /voice/webhook HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        (
            b"POST /voice/webhook HTTP/1.1\r\ncontent-length: 1\r\n"
            b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        b"CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhost: evil.example\r\n\r\n",
    ],
)
async def test_nonsense_ends_its_own_connection_only(line: Line, junk: bytes) -> None:
    reader, writer = await line.open()
    writer.write(junk)
    assert (await answer(reader, writer)).status in (0, 400, 401, 404)
    assert (await line.webhook()).status == 200
    assert line.sink.events == [Ringing()]


# -- signatures ------------------------------------------------------------------------


async def test_cve_2026_26319_nothing_unsigned_is_accepted(line: Line) -> None:
    body = line.webhooks.form(RINGING)
    assert (await line.ask(body=body)).status == 401
    for signature in ("", "x", "AAAA"):
        headers = {SIGNATURE_HEADER: signature}
        assert (await line.ask(body=body, headers=headers)).status == 401
    genuine = line.webhooks.sign(URL, body)
    assert (await line.ask(body=body + b"&x=y", headers=genuine)).status == 401
    assert line.sink.events == []


FORWARDED = {
    "x-forwarded-host": "evil.example",
    "x-forwarded-proto": "https",
    "x-original-host": "evil.example",
    "forwarded": "host=evil.example;proto=https",
}
EVIL = "https://evil.example/voice/webhook"


@pytest.mark.parametrize(
    "urls",
    [
        UrlRules(),
        UrlRules(public_url=URL),
        UrlRules(public_url=URL, proxies=ProxyRules(trusts_headers=True)),
        UrlRules(
            allowed_hosts=frozenset({"phone.example.com"}),
            proxies=ProxyRules(trusts_headers=True),
        ),
        UrlRules(
            proxies=ProxyRules(
                networks=(parse_network("10.0.0.0/8"),), trusts_headers=True
            )
        ),
    ],
)
async def test_cve_2026_28465_forwarded_headers_do_not_move_the_url(
    urls: UrlRules,
) -> None:
    async with serving(urls=urls) as line:
        reply = await line.webhook(url=EVIL, headers=FORWARDED)
        assert reply.status == 401
        assert line.sink.events == []


async def test_a_trusted_proxy_moves_the_url() -> None:
    rules = UrlRules(
        allowed_hosts=frozenset({"phone.example.com"}),
        proxies=ProxyRules(networks=(LOOPBACK,), trusts_headers=True),
    )
    async with serving(urls=rules) as line:
        headers = {
            "x-forwarded-host": "phone.example.com",
            "x-forwarded-proto": "https",
        }
        assert (await line.webhook(headers=headers)).status == 200


async def test_without_a_public_url_our_own_address_is_signed() -> None:
    async with serving(urls=UrlRules()) as line:
        host = f"127.0.0.1:{line.address[1]}"
        reply = await line.webhook(url=f"http://{host}{PATH}", headers={"host": host})
        assert reply.status == 200


async def test_ngrok_compatibility_admits_no_invalid_signature() -> None:
    raw = {
        "provider": "twilio",
        "serve": {"port": 1},
        "tunnel": {"provider": "ngrok", "allowNgrokFreeTierLoopbackBypass": True},
    }
    config = load_config(raw, environ={"OPENCLAW_STATE_DIR": "/state"})
    settings = server_settings(config)
    assert settings is not None
    async with serving(urls=settings.urls) as line:
        tunnel = {
            "x-forwarded-host": "abc.ngrok-free.app",
            "x-forwarded-proto": "https",
        }
        forged = tunnel | {SIGNATURE_HEADER: "AAAA"}
        assert (await line.webhook(headers=forged)).status == 401
        url = "https://abc.ngrok-free.app/voice/webhook"
        assert (await line.webhook(url=url, headers=tunnel)).status == 200
        assert line.sink.events == [Ringing()]


@pytest.mark.parametrize(
    "exposed",
    [
        {"publicUrl": URL},
        {"tunnel": {"provider": "ngrok"}},
        {"tailscale": {"mode": "funnel"}},
        {"serve": {"bind": "0.0.0.0"}},
    ],
)
def test_oc_10228_verification_cannot_be_left_off_in_public(
    exposed: dict[str, Any],
) -> None:
    raw = {"provider": "twilio", "skipSignatureVerification": True, **exposed}
    config = load_config(raw, environ={"OPENCLAW_STATE_DIR": "/state"})
    with pytest.raises(ConfigError, match="anybody could forge webhooks"):
        server_settings(config)


# -- replays ---------------------------------------------------------------------------


async def test_cve_2026_32053_a_replay_changes_nothing(line: Line) -> None:
    replies = [await line.webhook() for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 200]
    assert line.sink.events == [Ringing()]


async def test_cve_2026_32053_an_event_has_the_same_id_each_time() -> None:
    codec = SignedWebhooks()
    body = codec.form(RINGING)
    request = HttpRequest(
        method="POST", url=URL, headers=codec.sign(URL, body), body=body
    )
    key = codec.verify(request, now=0).request_key
    assert key == codec.verify(request, now=1).request_key
    assert key is not None
    assert codec.decode(request, request_key=key) == codec.decode(
        request, request_key=key
    )


async def test_oc_87497_a_replay_gets_no_stream_token(line: Line) -> None:
    assert b"t0ken" in (await line.webhook()).body
    assert (await line.webhook()).body == b"<Response/>"


@pytest.mark.parametrize(
    "query", ["?flow=answer&callId=abc", "?callId=abc&flow=answer&flow=answer"]
)
async def test_cve_2026_41395_a_reordered_query_is_no_second_event(
    line: Line, query: str
) -> None:
    original = "?callId=abc&flow=answer"
    assert (
        await line.webhook(url=URL + original, target=PATH + original)
    ).status == 200
    await line.webhook(url=URL + original, target=PATH + query)
    assert line.sink.events == [Ringing()]


async def test_oc_57829_another_encoding_of_the_signature_is_a_replay(
    line: Line,
) -> None:
    body = line.webhooks.form(RINGING)
    plain = line.webhooks.sign(URL, body)[SIGNATURE_HEADER]
    spellings = [
        plain,
        plain.translate(str.maketrans("+/", "-_")),
        f"{plain[:10]} {plain[10:]}",
        f"{plain}=",
    ]
    for spelling in spellings:
        reply = await line.ask(body=body, headers={SIGNATURE_HEADER: spelling})
        assert reply.status == 200
    assert line.sink.events == [Ringing()]


@pytest.mark.parametrize(
    "headers",
    [
        {"i-twilio-idempotency-token": "new"},
        {"user-agent": "other", "x-request-id": "2"},
        {"x-forwarded-for": "203.0.113.1", "content-type": "text/plain"},
    ],
)
async def test_oc_1158_unsigned_headers_make_no_new_request(
    line: Line, headers: dict[str, str]
) -> None:
    await line.webhook()
    await line.webhook(headers=headers)
    assert line.sink.events == [Ringing()]


async def test_oc_100263_two_copies_at_once_are_one_event(line: Line) -> None:
    line.sink.gate.clear()
    copies = [asyncio.create_task(line.webhook()) for _ in range(2)]
    await asyncio.sleep(0.1)
    assert not any(copy.done() for copy in copies)
    line.sink.gate.set()
    replies = await asyncio.gather(*copies)
    assert [reply.status for reply in replies] == [200, 200]
    assert sum(b"t0ken" in reply.body for reply in replies) == 1
    assert line.sink.events == [Ringing()]


async def test_oc_118754_a_failed_write_is_retried_once(line: Line) -> None:
    line.sink.failures = [JournalUnwritable("The disk is full.")]
    statuses = [(await line.webhook()).status for _ in range(3)]
    assert statuses == [503, 200, 200]
    assert line.sink.events == [Ringing()]


# -- exhaustion ------------------------------------------------------------------------


async def pour(
    line: Line, headers: dict[str, str], chunks: Iterable[bytes]
) -> tuple[int, int]:
    """Send a body until it is cut off; returns the status and the bytes sent."""
    reader, writer = await line.open()
    writer.write(head("POST", PATH, {"host": "x", **headers}))
    sent = 0
    try:
        for chunk in chunks:
            writer.write(chunk)
            sent += len(chunk)
            await asyncio.wait_for(writer.drain(), 1.0)
    except (ConnectionError, TimeoutError):
        pass
    return (await answer(reader, writer)).status, sent


MIB = b"x" * (1024 * 1024)
CHUNK = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"


@pytest.mark.parametrize(
    ("headers", "chunks"),
    [
        ({"content-length": str(10 * len(MIB))}, [MIB] * 10),
        ({"transfer-encoding": "chunked"}, [CHUNK] * 640),
    ],
)
async def test_cve_2026_28478_ten_mebibytes_are_refused(
    line: Line, headers: dict[str, str], chunks: list[bytes]
) -> None:
    await line.webhook(RINGING | {"EventId": "warm"})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status, _ = await pour(line, headers | {SIGNATURE_HEADER: "x"}, chunks)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert status in (413, 0)
    assert grown_kib < 4096  # the sender's buffers, in this process too, included
    assert line.webhooks.verified == 1


async def test_a_body_a_little_too_long_hears_why(line: Line) -> None:
    reply = await line.ask(body=b"x" * 70 * 1024, headers={SIGNATURE_HEADER: "x"})
    assert reply.status == 413
    assert line.webhooks.verified == 0


async def test_cve_2026_28478_a_slow_body_is_cut_off() -> None:
    async with serving(limits=RequestLimits(body_s=0.3)) as line:
        reader, writer = await line.open()
        headers = {"content-length": "100", SIGNATURE_HEADER: "x"}
        writer.write(head("POST", PATH, headers))
        dripping = asyncio.create_task(drip(writer, b"x"))
        reply = await answer(reader, writer)
        await dripping
        assert reply.status == 408
        assert (await line.webhook()).status == 200


async def drip(writer: asyncio.StreamWriter, byte: bytes) -> None:
    try:
        while not writer.is_closing():
            writer.write(byte)
            await writer.drain()
            await asyncio.sleep(0.05)
    except ConnectionError:
        return


@pytest.mark.parametrize("byte", [b"x", b"\r\n"])
async def test_slow_loris_a_slow_head_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, byte: bytes
) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.3)
    async with serving() as line:
        reader, writer = await line.open()
        dripping = asyncio.create_task(drip(writer, byte))
        assert await is_cut(reader)
        writer.close()
        await dripping
        assert (await line.webhook()).status == 200


async def test_a_slow_second_head_is_cut_off_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.3)
    async with serving() as line:
        body = line.webhooks.form(RINGING)
        headers = line.webhooks.sign(URL, body) | {"content-length": str(len(body))}
        reader, writer = await line.open()
        writer.write(head("POST", PATH, headers) + body)
        await reader.readuntil(b"</Response>")
        dripping = asyncio.create_task(drip(writer, b"x"))
        assert await is_cut(reader)
        writer.close()
        await dripping


async def test_silent_connections_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.3)
    async with serving() as line:
        reader, writer = await line.open()
        assert await is_cut(reader)
        writer.close()


async def test_an_endless_head_is_cut_off(line: Line) -> None:
    reader, writer = await line.open()
    writer.write(f"POST {PATH} HTTP/1.1\r\n".encode())
    for number in range(1000):
        writer.write(f"x-{number}: {'y' * 100}\r\n".encode())
    assert await is_cut(reader)
    writer.close()
    assert (await line.webhook()).status == 200


async def test_cve_2026_32062_silent_peers_push_out_silent_peers_only(
    line: Line,
) -> None:
    line.sink.gate.clear()
    working = asyncio.create_task(line.webhook())
    await asyncio.sleep(0.05)
    silent = [await line.open() for _ in range(connection.WAITING + 20)]
    assert await is_cut(silent[0][0])
    assert (await line.webhook({"CallSid": "CA2"})).status == 200
    line.sink.gate.set()
    assert (await working).status == 200
    for _, writer in silent:
        writer.close()


async def test_ghsa_rm59_992w_x2mv_unsigned_is_refused_before_the_body(
    line: Line,
) -> None:
    reader, writer = await line.open()
    headers = {"content-length": "1000", "expect": "100-continue"}
    writer.write(head("POST", PATH, headers))
    reply = await answer(reader, writer)  # no body was sent, and none was asked for
    assert (reply.status, reply.headers["connection"]) == (401, "close")
    assert line.webhooks.verified == 0


async def test_ghsa_rm59_992w_x2mv_the_ninth_request_at_once_is_refused(
    line: Line,
) -> None:
    line.sink.gate.clear()
    eight = [
        asyncio.create_task(line.webhook(RINGING | {"EventId": str(number)}))
        for number in range(8)
    ]
    await asyncio.sleep(0.2)
    assert (await line.webhook({"CallSid": "CA9"})).status == 429
    line.sink.gate.set()
    assert [(await each).status for each in eight] == [200] * 8
    assert (await line.webhook({"CallSid": "CA9"})).status == 200


async def test_ghsa_rm59_992w_x2mv_the_carrier_is_served_during_a_flood() -> None:
    """Also Rk 62: behind one proxy, one client's flood is not another's fault."""
    async with serving(urls=BEHIND_PROXY) as line:
        slow = []
        for _ in range(8):  # bodies that never come, with a signature
            stranger = {"x-forwarded-for": "203.0.113.1", "content-length": "100"}
            reader, writer = await line.open()
            writer.write(head("POST", PATH, stranger | {SIGNATURE_HEADER: "x"}))
            slow.append((reader, writer))
        unsigned = [
            line.ask(body=b"x" * 100, headers={"x-forwarded-for": "203.0.113.1"})
            for _ in range(100)
        ]
        flood = asyncio.gather(*unsigned)
        carrier = {"x-forwarded-for": "198.51.100.7"}
        reply = await asyncio.wait_for(line.webhook(headers=carrier), 2.0)
        assert reply.status == 200
        assert {each.status for each in await flood} == {401}
        for _, writer in slow:
            writer.close()


async def test_the_same_flood_without_a_proxy_has_one_place_to_fight_for(
    line: Line,
) -> None:
    flood = [line.ask(headers={"x-forwarded-for": f"203.0.113.{n}"}) for n in range(50)]
    replies = await asyncio.gather(line.webhook(), *flood)
    assert replies[0].status == 200


# -- the log ---------------------------------------------------------------------------


async def test_oc_5120_no_secret_reaches_the_log(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await line.webhook(RINGING | {"SpeechResult": "the pin is 4711"})
        await line.webhook(headers={SIGNATURE_HEADER: "c2lnbmF0dXJl"})
        await line.ask(headers={"authorization": "Bearer sesame"})
        await line.ask("GET", f"{PATH}?token=sesame")
    lines = [
        record for record in caplog.records if record.name.startswith("voice_call")
    ]
    assert len(lines) == 4
    shown = "\n".join(record.getMessage() for record in lines)
    for private in ("4711", "c2lnbmF0dXJl", "sesame", "5550001234", "t0ken"):
        assert private not in shown


# -- the mock carrier ------------------------------------------------------------------


async def test_the_mock_carriers_webhooks_are_served_unsigned() -> None:
    from voice_call.carriers.simulated.webhooks import SimulatedWebhooks

    capabilities: Capabilities = ManualCarrier().carrier.capabilities
    sink = RecordingSink(SystemClock())
    line = Line(ServerSettings(port=0))
    line.server = WebhookServer(
        ServerSettings(port=0),
        Carrier(
            name="mock",
            capabilities=capabilities,
            control=ManualCarrier(),
            webhooks=SimulatedWebhooks(),
        ),
        sink,
        lambda _call, _notice: (),
        SystemClock(),
    )
    await line.start()
    body = (
        b'{"event": {"type": "call.initiated", "callId": "in-1", "direction": "inbound",'
        b' "from": "+15550001234"}}'
    )
    replies = [await line.ask(body=body) for _ in range(2)]
    assert [(reply.status, reply.body) for reply in replies] == [(200, b"OK")] * 2
    assert sink.events == [Offered()]
    await line.server.stop(1.0)
