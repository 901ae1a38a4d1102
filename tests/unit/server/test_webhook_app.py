"""What happens to one webhook, without a socket and in virtual time."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from voice_call.call.events import Answered, Offered, Ringing
from voice_call.carriers.base import ConnectStream, PlanStep
from voice_call.errors import JournalUnwritable
from voice_call.exposure.proxies import ProxyRules, parse_network
from voice_call.exposure.public_url import UrlRules
from voice_call.server.app import WebhookApp
from voice_call.server.settings import ServerSettings
from voice_call.testing.clock import VirtualClock
from voice_call.testing.signed_webhooks import SIGNATURE_HEADER, SignedWebhooks
from voice_call.testing.sink import RecordingSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from voice_call.carriers.base import CarrierNotice

pytestmark = pytest.mark.anyio

URL = "https://phone.example.com/voice/webhook"
RINGING = {"CallSid": "CA1", "CallStatus": "ringing", "From": "+15550001234"}
STEP = ConnectStream(url="wss://phone.example.com/voice/stream", token="t0ken")


@dataclass
class Reply:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class SlowSink(RecordingSink):
    """A sink that takes its time."""

    delay_s = 0.0

    async def deliver(self, notice: CarrierNotice) -> None:
        await asyncio.sleep(self.delay_s)
        await super().deliver(notice)


class Desk:
    """An application, the carrier that calls it, and what became of it all."""

    def __init__(self, settings: ServerSettings | None = None) -> None:
        self.carrier = SignedWebhooks()
        self.sink = SlowSink(VirtualClock())
        self.plan: tuple[PlanStep, ...] = (STEP,)
        self.planned: list[tuple[str, CarrierNotice]] = []
        self.body_reads = 0
        self.app = WebhookApp(
            settings or ServerSettings(urls=UrlRules(public_url=URL)),
            carrier_name="test",
            codec=self.carrier,
            sink=self.sink,
            planner=self._next_steps,
            clock=VirtualClock(),
        )

    def _next_steps(
        self, carrier_call_id: str, notice: CarrierNotice
    ) -> tuple[PlanStep, ...]:
        self.planned.append((carrier_call_id, notice))
        return self.plan

    async def webhook(self, fields: dict[str, str], **options: Any) -> Reply:
        """Send a correctly signed webhook."""
        body = self.carrier.form(fields)
        headers = self.carrier.sign(options.pop("url", URL), body)
        headers |= options.pop("headers", {})
        return await self.ask(body=body, headers=headers, **options)

    async def ask(
        self,
        *,
        method: str = "POST",
        target: str = "/voice/webhook",
        headers: dict[str, str] | None = None,
        body: bytes | Iterable[bytes] = b"",
        pause_s: float = 0.0,
        peer: str | None = "192.0.2.1",
        leaves: bool = False,
    ) -> Reply:
        chunks = [body] if isinstance(body, bytes) else list(body)
        reply = Reply()

        async def receive() -> dict[str, Any]:
            self.body_reads += 1
            await asyncio.sleep(pause_s)
            if leaves and not chunks:
                return {"type": "http.disconnect"}
            chunk = chunks.pop(0)
            return {
                "type": "http.request",
                "body": chunk,
                "more_body": bool(chunks) or leaves,
            }

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                reply.status = message["status"]
                reply.headers = {
                    name.decode(): value.decode() for name, value in message["headers"]
                }
            else:
                reply.body += message.get("body", b"")

        parts = urlsplit(target)
        scope = {
            "type": "http",
            "method": method,
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "headers": [
                (name.lower().encode(), value.encode())
                for name, value in (headers or {}).items()
            ],
            "client": (peer, 5060) if peer is not None else None,
            "server": ("127.0.0.1", 3334),
            "scheme": "http",
        }
        await self.app(scope, receive, send)
        return reply


@pytest.fixture
async def desk() -> Desk:
    return Desk()


# -- accepted --------------------------------------------------------------------------


async def test_a_signed_webhook_is_delivered_and_then_answered(desk: Desk) -> None:
    reply = await desk.webhook(RINGING)
    assert desk.sink.events == [Ringing()]
    assert (reply.status, reply.body) == (
        200,
        b"<Response><Stream token='t0ken'/></Response>",
    )
    assert reply.headers["content-type"] == "text/xml"


async def test_all_notices_are_delivered_in_order_and_the_last_decides(
    desk: Desk,
) -> None:
    await desk.webhook({"CallSid": "CA1", "CallStatus": "queued+ringing+in-progress"})
    assert desk.sink.events == [Offered(), Ringing(), Answered()]
    [(call, notice)] = desk.planned
    assert (call, notice.event) == ("CA1", Answered())


async def test_a_webhook_that_reports_nothing_is_acknowledged(desk: Desk) -> None:
    reply = await desk.webhook({"CallSid": "CA1", "CallStatus": "constructor"})
    assert (reply.status, reply.body) == (200, b"<Response/>")
    assert desk.planned == []


async def test_the_query_belongs_to_the_signed_url(desk: Desk) -> None:
    reply = await desk.webhook(
        RINGING, url=f"{URL}?callId=abc", target="/voice/webhook?callId=abc"
    )
    assert reply.status == 200


async def test_alternative_spellings_of_the_url_reach_the_codec(desk: Desk) -> None:
    url = "https://phone.example.com:443/voice/webhook"
    assert (await desk.webhook(RINGING, url=url)).status == 200


async def test_an_empty_answer_stays_empty() -> None:
    class Quiet(SignedWebhooks):
        def respond(self, request: Any, steps: Any) -> Any:
            from voice_call.carriers.base import HttpResponse

            return HttpResponse(status=204, body=b"")

    desk = Desk()
    desk.app._codec = Quiet()
    reply = await desk.webhook(RINGING)
    assert (reply.status, reply.body) == (204, b"")
    assert "content-type" not in reply.headers


# -- refused before the body -----------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/voice",
        "/voice/webhook-evil",
        "/voice/webhook/x",
        "/voice/webhook//",
        "//voice/webhook",
        "/Voice/webhook",
        "/voice/%77ebhook",
        "/voice/webhook%2f",
        "/voice/../voice/webhook",
        "/voice/stream",
        "/healthz",
    ],
)
async def test_only_the_exact_path_is_served(desk: Desk, target: str) -> None:
    assert (await desk.webhook(RINGING, target=target)).status == 404
    assert (desk.carrier.verified, desk.body_reads) == (0, 0)


async def test_one_slash_at_the_end_may_be(desk: Desk) -> None:
    assert (await desk.webhook(RINGING, target="/voice/webhook/")).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_only_post_is_served(desk: Desk, method: str) -> None:
    reply = await desk.webhook(RINGING, method=method)
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert desk.body_reads == 0


@pytest.mark.parametrize("target", ["/voice/webhook", "/voice/stream", "/%"])
async def test_there_is_nothing_to_upgrade_to(desk: Desk, target: str) -> None:
    headers = {"upgrade": "websocket", "connection": "upgrade"}
    reply = await desk.ask(method="GET", target=target, headers=headers)
    assert reply.status == 404


async def test_a_websocket_elsewhere_than_the_media_path_is_denied(desk: Desk) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    await desk.app({"type": "websocket", "headers": []}, receive, send)
    assert [(each["type"], each.get("status")) for each in sent] == [
        ("websocket.http.response.start", 404),
        ("websocket.http.response.body", None),
    ]


async def test_without_a_signature_no_byte_of_the_body_is_read(desk: Desk) -> None:
    reply = await desk.ask(body=b"x" * 100)
    assert (reply.status, reply.body) == (401, b"Unauthorized")
    assert reply.headers["connection"] == "close"
    assert (desk.body_reads, desk.carrier.verified) == (0, 0)


async def test_an_announced_length_over_the_limit_is_refused_unread(desk: Desk) -> None:
    headers = {"content-length": "65537"}
    assert (await desk.webhook(RINGING, headers=headers)).status == 413
    assert desk.body_reads == 0


# -- refused because of the body -------------------------------------------------------


@pytest.mark.parametrize(("extra", "status"), [(0, 200), (1, 413)])
async def test_a_body_has_at_most_64_kib(desk: Desk, extra: int, status: int) -> None:
    padding = "x" * (65_536 - len("CallSid=CA1&Pad=") + extra)
    reply = await desk.webhook({"CallSid": "CA1", "Pad": padding})
    assert reply.status == status
    assert desk.carrier.verified == (status == 200)


async def test_a_body_without_an_announced_length_is_limited_too(desk: Desk) -> None:
    body = (b"x" * 1024 for _ in range(10_000))
    reply = await desk.ask(body=body, headers={SIGNATURE_HEADER: "x"})
    assert reply.status == 413
    assert desk.body_reads == 65


async def test_a_body_must_be_there_in_five_seconds(desk: Desk) -> None:
    body = [b"x"] * 100
    began = asyncio.get_running_loop().time()
    reply = await desk.ask(body=body, pause_s=0.3, headers={SIGNATURE_HEADER: "x"})
    assert reply.status == 408
    assert asyncio.get_running_loop().time() - began == pytest.approx(5.0)
    assert desk.carrier.verified == 0


async def test_a_sender_that_leaves_is_let_go(desk: Desk) -> None:
    reply = await desk.ask(body=[b"x"], leaves=True, headers={SIGNATURE_HEADER: "x"})
    assert reply.status == 400
    assert desk.carrier.verified == 0


async def test_a_genuine_webhook_that_is_nonsense_is_a_bad_request(desk: Desk) -> None:
    assert (await desk.webhook({"nonsense": "1"})).status == 400
    assert desk.sink.notices == []


# -- signature -------------------------------------------------------------------------


@pytest.mark.parametrize("signature", ["", "x", "AAAA", "é"])
async def test_a_wrong_signature_is_refused(desk: Desk, signature: str) -> None:
    reply = await desk.webhook(RINGING, headers={SIGNATURE_HEADER: signature})
    assert reply.status == 401
    assert desk.sink.notices == []


async def test_a_genuine_request_without_identity_is_refused(desk: Desk) -> None:
    from voice_call.carriers.base import Verdict

    class Nameless(SignedWebhooks):
        def verify(self, request: Any, *, now: float) -> Verdict:
            return Verdict(is_genuine=True)

    desk.app._codec = Nameless()
    assert (await desk.webhook(RINGING)).status == 401
    assert desk.sink.notices == []


async def test_where_verification_is_skipped_a_body_has_still_one_effect() -> None:
    desk = Desk(ServerSettings(skips_verification=True))
    body = desk.carrier.form(RINGING)
    replies = [await desk.ask(body=body) for _ in range(2)]
    assert [reply.status for reply in replies] == [200, 200]
    assert desk.sink.events == [Ringing()]
    assert desk.carrier.verified == 0


async def test_unsigned_requests_differ_by_url_and_body() -> None:
    desk = Desk(ServerSettings(skips_verification=True))
    body = desk.carrier.form(RINGING)
    await desk.ask(body=body)
    await desk.ask(body=body, target="/voice/webhook?flow=x")
    await desk.ask(body=desk.carrier.form(RINGING | {"EventId": "2"}))
    assert len(desk.sink.events) == 3


# -- once ------------------------------------------------------------------------------


async def test_a_repeated_request_is_acknowledged_and_has_no_effect(desk: Desk) -> None:
    await desk.webhook(RINGING)
    reply = await desk.webhook(RINGING)
    assert (reply.status, reply.body) == (200, b"<Response/>")
    assert desk.sink.events == [Ringing()]
    assert len(desk.planned) == 1


async def test_after_ten_minutes_a_request_is_news_again(desk: Desk) -> None:
    await desk.webhook(RINGING)
    await asyncio.sleep(600)
    await desk.webhook(RINGING)
    assert desk.sink.events == [Ringing(), Ringing()]


async def test_two_copies_at_once_have_one_effect(desk: Desk) -> None:
    desk.sink.delay_s = 2.0
    first, second = await asyncio.gather(desk.webhook(RINGING), desk.webhook(RINGING))
    assert first.body == b"<Response><Stream token='t0ken'/></Response>"
    assert (second.status, second.body) == (200, b"<Response/>")
    assert desk.sink.events == [Ringing()]


async def test_a_copy_takes_over_where_the_first_one_fails(desk: Desk) -> None:
    desk.sink.delay_s = 2.0
    desk.sink.failures = [JournalUnwritable("disk full")]
    first, second = await asyncio.gather(desk.webhook(RINGING), desk.webhook(RINGING))
    assert (first.status, second.status) == (503, 200)
    assert second.body == b"<Response><Stream token='t0ken'/></Response>"
    assert desk.sink.events == [Ringing()]


async def test_many_copies_have_one_effect(desk: Desk) -> None:
    desk.sink.delay_s = 1.0
    desk.sink.failures = [JournalUnwritable("disk full")] * 2
    replies = await asyncio.gather(*(desk.webhook(RINGING) for _ in range(8)))
    statuses = sorted(reply.status for reply in replies)
    assert statuses == [200, 200, 200, 200, 200, 200, 503, 503]
    assert sum(b"t0ken" in reply.body for reply in replies) == 1
    assert desk.sink.events == [Ringing()]


async def test_a_copy_waits_only_so_long(desk: Desk) -> None:
    desk.sink.delay_s = 60.0
    first, second = await asyncio.gather(desk.webhook(RINGING), desk.webhook(RINGING))
    assert (first.status, second.status) == (200, 503)
    assert desk.sink.events == [Ringing()]


async def test_a_request_cut_off_by_the_stop_can_be_sent_again(desk: Desk) -> None:
    desk.sink.delay_s = 2.0
    cut = asyncio.create_task(desk.webhook(RINGING))
    await asyncio.sleep(1.0)
    cut.cancel()
    await asyncio.wait([cut])
    assert (await desk.webhook(RINGING)).body != b"<Response/>"
    assert desk.sink.events == [Ringing()]


# -- failures --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status"),
    [(JournalUnwritable("disk full"), 503), (KeyError("secret words"), 500)],
)
async def test_a_webhook_that_fails_is_processed_once_when_sent_again(
    desk: Desk, fault: Exception, status: int
) -> None:
    desk.sink.failures = [fault]
    failed = await desk.webhook(RINGING)
    assert failed.status == status
    assert b"secret words" not in failed.body
    assert desk.sink.events == []
    for _ in range(2):
        assert (await desk.webhook(RINGING)).status == 200
    assert desk.sink.events == [Ringing()]


# -- how much at once ------------------------------------------------------------------


async def flood(desk: Desk, count: int, **options: Any) -> list[int]:
    desk.sink.delay_s = 1.0
    replies = await asyncio.gather(
        *(desk.webhook(RINGING | {"EventId": str(n)}, **options) for n in range(count))
    )
    return [reply.status for reply in replies]


async def test_the_ninth_request_of_a_client_is_refused(desk: Desk) -> None:
    assert await flood(desk, 9) == [200] * 8 + [429]
    assert (await desk.webhook(RINGING)).status == 200


async def test_a_crowd_that_passes_in_a_moment_is_served(desk: Desk) -> None:
    desk.sink.delay_s = 0.1
    replies = await asyncio.gather(
        *(desk.webhook(RINGING | {"EventId": str(n)}) for n in range(40))
    )
    assert [reply.status for reply in replies] == [200] * 40


async def test_an_unknown_peer_has_eight_places_too(desk: Desk) -> None:
    assert await flood(desk, 9, peer=None) == [200] * 8 + [429]


async def test_behind_a_trusted_proxy_each_client_has_its_own_places() -> None:
    proxies = ProxyRules(networks=(parse_network("192.0.2.1"),))
    desk = Desk(ServerSettings(urls=UrlRules(public_url=URL, proxies=proxies)))

    def client(address: str) -> dict[str, Any]:
        return {"headers": {"x-forwarded-for": address}}

    crowd, other = await asyncio.gather(
        flood(desk, 9, **client("203.0.113.1")),
        desk.webhook({"CallSid": "CA2"}, **client("203.0.113.2")),
    )
    assert crowd == [200] * 8 + [429]
    assert other.status == 200


async def test_behind_an_unknown_proxy_all_share_the_places(desk: Desk) -> None:
    desk.sink.delay_s = 1.0
    replies = await asyncio.gather(
        *(
            desk.webhook(
                RINGING | {"EventId": str(n)},
                headers={"x-forwarded-for": f"203.0.113.{n}"},
            )
            for n in range(9)
        )
    )
    assert [reply.status for reply in replies] == [200] * 8 + [429]


async def test_requests_without_signature_take_no_places(desk: Desk) -> None:
    slow = flood(desk, 8)
    bare = [desk.ask(body=b"x", pause_s=1.0) for _ in range(100)]
    statuses, *replies = await asyncio.gather(slow, *bare)
    assert statuses == [200] * 8
    assert {reply.status for reply in replies} == {401}


# -- the log ---------------------------------------------------------------------------


async def repeat(desk: Desk) -> None:
    await desk.webhook(RINGING)
    await desk.webhook(RINGING)


async def fail(desk: Desk) -> None:
    desk.sink.failures = [JournalUnwritable("disk full")]
    await desk.webhook(RINGING)


async def crash(desk: Desk) -> None:
    desk.sink.failures = [KeyError("words")]
    await desk.webhook(RINGING)


TOLD = {"call": "CA1", "caller": "…1234", "events": "Ringing"}


@pytest.mark.parametrize(
    ("act", "level", "fields"),
    [
        (lambda desk: desk.webhook(RINGING), "INFO", {"decision": "accepted", **TOLD}),
        (repeat, "INFO", {"decision": "repeated"}),
        (
            lambda desk: desk.ask(),
            "WARNING",
            {"decision": "refused", "reason": "no signature", "status": 401},
        ),
        (
            lambda desk: desk.webhook(RINGING, url="https://evil.example/"),
            "WARNING",
            {"decision": "refused", "reason": "wrong signature", "status": 401},
        ),
        (
            lambda desk: desk.webhook({"x": "y"}),
            "WARNING",
            {"decision": "refused", "reason": "not understood", "status": 400},
        ),
        (
            fail,
            "ERROR",
            {"decision": "failed", "reason": "journal_unwritable", **TOLD},
        ),
        (
            crash,
            "ERROR",
            {"decision": "failed", "reason": "KeyError", "status": 500, **TOLD},
        ),
    ],
)
async def test_each_decision_is_one_line(
    desk: Desk,
    caplog: pytest.LogCaptureFixture,
    act: Callable[[Desk], Any],
    level: str,
    fields: dict[str, Any],
) -> None:
    with caplog.at_level(logging.DEBUG, "voice_call"):
        await act(desk)
    record = caplog.records[-1]
    assert len(caplog.records) == 1 + (fields["decision"] == "repeated")
    assert record.levelname == level
    told: dict[str, Any] = record.fields  # type: ignore[attr-defined]
    assert told | fields == told
    assert told["client"] == "192.0.2.1"


async def test_our_own_id_of_a_call_is_told_where_the_carrier_echoes_it(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "voice_call"):
        await desk.webhook({"CallSid": "CA1", "CallStatus": "ringing", "CallId": "c1"})
    assert caplog.records[-1].fields["call_id"] == "c1"  # type: ignore[attr-defined]
    assert "caller" not in caplog.records[-1].fields  # type: ignore[attr-defined]


async def test_a_report_is_not_answered_with_steps(desk: Desk) -> None:
    class Reporting(SignedWebhooks):
        def directs_call(self, request: Any) -> bool:
            return False

    desk.app._codec = Reporting()
    assert (await desk.webhook(RINGING)).body == b"<Response/>"
    assert desk.planned == []


async def test_no_body_signature_or_number_is_logged(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await desk.webhook(RINGING | {"SpeechResult": "my pin is secret"})
        await desk.webhook(RINGING, headers={SIGNATURE_HEADER: "aGVsbG8="})
        await desk.ask(headers={"authorization": "Bearer verysecret"})
        await fail(desk)
    genuine = desk.carrier.sign(URL, desk.carrier.form(RINGING))[SIGNATURE_HEADER]
    assert genuine not in caplog.text
    for private in ("secret", "aGVsbG8", "5550001234", "SpeechResult", "t0ken"):
        assert private not in caplog.text
