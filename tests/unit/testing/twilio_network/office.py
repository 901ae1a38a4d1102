"""A voice application and a media server without sockets, and a network that calls it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl

import httpx

from voice_call.testing.clock import VirtualClock
from voice_call.testing.twilio_network import Tunnel, TwilioNetwork

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from voice_call.testing.twilio_network.sockets import HandshakeFailed, SocketUser

SID = "AC" + "0" * 31 + "1"
TOKEN = "token-of-a-test"
PUBLIC = "https://agent.example.com"
LOCAL = "http://127.0.0.1:3334"
ALICE, BOB = "+15550100001", "+15550100002"
XML = "text/xml"

Answer = tuple[int, str, str] | Exception | Callable[[dict[str, str]], str]


@dataclass
class Hook:
    """A webhook as it arrived."""

    method: str
    url: str
    headers: httpx.Headers
    form: dict[str, str]


class VoiceApplication(httpx.AsyncBaseTransport):
    """Answers webhooks by path; the last answer of a path is used again."""

    def __init__(self) -> None:
        self.hooks: list[Hook] = []
        self.answers: dict[str, deque[Answer]] = {}

    def at(self, path: str, *answers: Answer | str) -> None:
        self.answers[path] = deque(
            (200, XML, answer) if isinstance(answer, str) else answer
            for answer in answers
        )

    def forms(self, path: str) -> list[dict[str, str]]:
        return [hook.form for hook in self.hooks if httpx.URL(hook.url).path == path]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = (await request.aread()).decode()
        form = dict(parse_qsl(body, keep_blank_values=True))
        self.hooks.append(Hook(request.method, str(request.url), request.headers, form))
        answers = self.answers.get(request.url.path, deque([(204, XML, "")]))
        answer = answers[0] if len(answers) == 1 else answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer = (200, XML, answer(form))
        status, content_type, text = answer
        headers = {"content-type": content_type} if content_type else {}
        return httpx.Response(status, headers=headers, content=text.encode())


class ServerSocket:
    """The server's end of a media stream; the test plays it by hand."""

    def __init__(self, url: str, headers: Mapping[str, str], user: SocketUser) -> None:
        self.url, self.headers, self.user = url, headers, user
        self.texts: list[str] = []
        self.ending: str | None = None

    def send_text(self, text: str) -> None:
        self.texts.append(text)

    def close(self) -> None:
        self.ending = "closed"

    def abort(self) -> None:
        self.ending = "aborted"


@dataclass
class MediaServer:
    """Takes media streams; a `MediaDialer`."""

    refusal: HandshakeFailed | None = None
    closes_at_once: bool = False
    delay_s: float = 0.0
    sockets: list[ServerSocket] = field(default_factory=list)

    async def __call__(
        self, url: str, headers: Mapping[str, str], user: SocketUser
    ) -> ServerSocket:
        if self.refusal is not None:
            raise self.refusal
        await asyncio.sleep(self.delay_s)
        self.sockets.append(ServerSocket(url, headers, user))
        if self.closes_at_once:
            user.socket_closed(1008)
        return self.sockets[-1]


class Office:
    """A network with an application and a media server behind one tunnel."""

    def __init__(self, *, tunnel: Tunnel | None = None, **options: Any) -> None:
        self.application = VoiceApplication()
        self.media = MediaServer()
        tunnel = tunnel or Tunnel(public=PUBLIC, local=LOCAL)
        self.network = TwilioNetwork(
            SID,
            TOKEN,
            tunnels=[tunnel],
            clock=VirtualClock(),
            transport=self.application,
            dial_media=self.media,
            **options,
        )
        self.rest = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.network.app),
            base_url=f"http://twilio.test/2010-04-01/Accounts/{SID}",
            auth=(SID, TOKEN),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.rest.aclose()
        await self.network.stop()

    async def dial(self, **form: Any) -> Any:
        """Place a call, and return the network's side of it."""
        answer = await self.rest.post(
            "/Calls.json", data={"To": BOB, "From": ALICE, **form}
        )
        assert answer.status_code == 201, answer.text
        return self.network.calls[-1]

    async def run(self, twiml: str, **options: Any) -> Any:
        """Let Alice call in, answer with TwiML, and wait for the call's end."""
        self.application.at("/voice", twiml)
        call = self.network.call_in(ALICE, BOB, f"{PUBLIC}/voice", **options)
        await self.network.wait_ended(call, timeout_s=1e6)
        return call

    @property
    def codes(self) -> list[int]:
        """Numbers in the error log."""
        return [error.code for error in self.network.errors]


def response(verbs: str) -> str:
    """Return a TwiML document."""
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{verbs}</Response>'
