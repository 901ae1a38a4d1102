"""The REST client repeats only what is safe, and shows neither secrets nor numbers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from voice_call.carriers.http_client import (
    Reply,
    RestClient,
    RestLimits,
    Trouble,
    redact,
)
from voice_call.errors import CarrierRefused, CarrierUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

Step = httpx.Response | Exception


class Peer(httpx.AsyncBaseTransport):
    """A server that follows a script, then answers 200."""

    def __init__(self, *steps: Step, delay_s: float = 0.0) -> None:
        self.steps = list(steps)
        self.requests: list[httpx.Request] = []
        self.times: list[float] = []
        self.delay_s = delay_s

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.delay_s)
        step = self.steps.pop(0) if self.steps else httpx.Response(200, json={"ok": 1})
        if isinstance(step, Exception):
            raise step
        return step


def explain(reply: Reply) -> Trouble:
    said = reply.document()
    code = said.get("code")
    return Trouble(
        code=None if code is None else str(code), message=str(said.get("message", ""))
    )


def client(peer: Peer, **changes: object) -> RestClient:
    settings: dict[str, object] = {
        "carrier": "acme",
        "origin": "https://api.acme.example",
        "explain": explain,
        "user": "AC1",
        "password": "s3cret-token",
        "secrets": ("s3cret-token",),
        "transport": peer,
        **changes,
    }
    make: Callable[..., RestClient] = RestClient
    return make(**settings)


# -- what is sent ----------------------------------------------------------------------


async def test_a_form_is_sent_with_basic_authentication() -> None:
    peer = Peer()
    await client(peer).send("POST", "/calls", form=[("To", "+15550001234"), ("E", "a")])
    (request,) = peer.requests
    assert str(request.url) == "https://api.acme.example/calls"
    assert request.content == b"To=%2B15550001234&E=a"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.headers["authorization"] == "Basic QUMxOnMzY3JldC10b2tlbg=="


async def test_a_document_is_sent_with_the_headers_given() -> None:
    peer = Peer()
    rest = client(peer, user=None, headers={"Authorization": "Bearer k"})
    await rest.send("POST", "/calls", document={"to": "x"})
    (request,) = peer.requests
    assert request.content == b'{"to": "x"}'
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == "Bearer k"


async def test_a_request_without_a_body_has_no_content_type() -> None:
    peer = Peer()
    reply = await client(peer).get("/calls/1")
    assert "content-type" not in peer.requests[0].headers
    assert reply.document() == {"ok": 1}


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_object_is_an_empty_document(body: bytes) -> None:
    reply = await client(Peer(httpx.Response(200, content=body))).get("/x")
    assert reply.document() == {}


# -- what is sent again ----------------------------------------------------------------


async def test_too_many_requests_is_tried_again_after_a_pause() -> None:
    peer = Peer(httpx.Response(429), httpx.Response(429))
    reply = await client(peer).send("POST", "/calls", form=[])
    assert reply.status == 200
    assert peer.times == [0.0, 0.5, 2.0]


async def test_the_pause_that_the_carrier_asks_for_is_kept_up_to_a_limit() -> None:
    busy = [
        httpx.Response(429, headers={"retry-after": after}) for after in ("2", "99")
    ]
    peer = Peer(*busy)
    await client(peer).send("POST", "/calls", form=[])
    assert peer.times == [0.0, 2.0, 7.0]


async def test_a_pause_that_is_a_date_is_not_understood() -> None:
    date = {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}
    peer = Peer(httpx.Response(429, headers=date))
    await client(peer).send("POST", "/calls", form=[])
    assert peer.times == [0.0, 0.5]


async def test_too_many_requests_in_the_end_is_a_refusal_that_may_be_retried() -> None:
    peer = Peer(*[httpx.Response(429, json={"code": 20429})] * 3)
    with pytest.raises(CarrierRefused) as caught:
        await client(peer).send("POST", "/calls", form=[])
    assert len(peer.requests) == 3
    assert (caught.value.retryable, caught.value.status) == (True, 429)
    assert caught.value.carrier_code == "20429"


async def test_a_connection_that_cannot_be_made_is_tried_again() -> None:
    peer = Peer(httpx.ConnectError("no route"), httpx.ConnectTimeout("slow"))
    reply = await client(peer).send("POST", "/calls", form=[])
    assert (reply.status, len(peer.requests)) == (200, 3)


async def test_no_connection_at_all_says_that_nothing_was_sent() -> None:
    peer = Peer(*[httpx.ConnectError("no route")] * 3)
    with pytest.raises(CarrierUnreachable, match="could not be reached") as caught:
        await client(peer).send("POST", "/calls", form=[])
    assert caught.value.retryable


@pytest.mark.parametrize(
    "fault",
    [
        httpx.ReadTimeout("late"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("garbage"),
        httpx.WriteError("broken pipe"),
        httpx.DecodingError("not gzip"),
    ],
)
async def test_a_request_that_may_have_arrived_is_sent_once(fault: Exception) -> None:
    peer = Peer(fault)
    with pytest.raises(CarrierUnreachable, match="did not answer") as caught:
        await client(peer).send("POST", "/calls", form=[])
    assert len(peer.requests) == 1
    assert not caught.value.retryable


async def test_a_repeatable_request_is_sent_again() -> None:
    peer = Peer(httpx.ReadTimeout("late"), httpx.Response(503))
    reply = await client(peer).send("POST", "/calls/1", form=[], is_repeatable=True)
    assert (reply.status, len(peer.requests)) == (200, 3)


async def test_a_server_fault_may_have_had_its_effect() -> None:
    peer = Peer(httpx.Response(502, json={"code": 20500, "message": "Oops"}))
    with pytest.raises(CarrierUnreachable, match=r"failed \(502\). Oops") as caught:
        await client(peer).send("POST", "/calls", form=[])
    assert len(peer.requests) == 1
    assert (caught.value.retryable, caught.value.status) == (False, 502)


async def test_a_server_that_hangs_is_given_up() -> None:
    peer = Peer(delay_s=3600.0)
    with pytest.raises(CarrierUnreachable, match="TimeoutError"):
        await client(peer).send("POST", "/calls", form=[])
    assert asyncio.get_running_loop().time() == 20.0


# -- what comes back -------------------------------------------------------------------


async def test_a_refusal_has_the_carriers_code_and_words() -> None:
    peer = Peer(httpx.Response(400, json={"code": 21211, "message": "Invalid 'To'"}))
    with pytest.raises(CarrierRefused) as caught:
        await client(peer).send("POST", "/calls", form=[])
    assert str(caught.value) == "acme refused (400, code 21211). Invalid 'To'"
    assert caught.value.carrier == "acme"
    assert not caught.value.retryable


async def test_a_refusal_without_words_names_the_status() -> None:
    with pytest.raises(CarrierRefused, match=r"^acme refused \(403\)\.$"):
        await client(Peer(httpx.Response(403))).get("/x")


async def test_a_status_that_the_caller_accepts_is_an_answer() -> None:
    reply = await client(Peer(httpx.Response(404))).get("/x", accept=(404,))
    assert reply.status == 404


async def test_a_redirect_is_not_followed() -> None:
    away = httpx.Response(302, headers={"location": "https://elsewhere.example/"})
    peer = Peer(away)
    with pytest.raises(CarrierRefused, match="never followed"):
        await client(peer).get("/x")
    assert len(peer.requests) == 1


async def test_an_answer_beyond_the_limit_is_not_read() -> None:
    peer = Peer(httpx.Response(200, content=b"x" * 101))
    with pytest.raises(CarrierUnreachable, match="too large"):
        await client(peer, limits=RestLimits(body_bytes=100)).get("/x")


async def test_an_error_shows_neither_secret_nor_number() -> None:
    message = "s3cret-token may not call +1 (555) 000-1234 or 15550001234"
    peer = Peer(httpx.Response(400, json={"message": message}))
    with pytest.raises(CarrierRefused) as caught:
        await client(peer).send("POST", "/calls", form=[])
    assert str(caught.value) == "acme refused (400). … may not call …1234 or …1234"


async def test_the_client_does_not_show_its_secrets() -> None:
    assert "s3cret" not in repr(client(Peer()))


async def test_a_closed_client_closes_its_connections() -> None:
    rest = client(Peer())
    await rest.get("/x")
    await rest.close()
    await rest.close()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("code 21211 at 10:30", "code 21211 at 10:30"),
        ("to +491", "to …"),
        ("two\n  lines\x00", "two lines"),
        ("x" * 400, "x" * 300),
        ("%2B15550001234", "%2B…1234"),
    ],
)
async def test_a_line_is_short_and_hides_numbers(text: str, shown: str) -> None:
    assert redact(text) == shown


async def test_an_empty_secret_hides_nothing() -> None:
    assert redact("plain", secrets=("",)) == "plain"
