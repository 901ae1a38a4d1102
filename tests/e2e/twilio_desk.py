"""The real plugin against a Twilio network on loopback, for tests that hold whole calls."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx

from e2e.gateway_process import free_port
from voice_call.media.audio import FRAME_BYTES, FRAME_S
from voice_call.plugin import VoiceCallPlugin
from voice_call.testing.host import FakeHost
from voice_call.testing.speech import tone
from voice_call.testing.twilio_network import (
    Callee,
    PhoneCall,
    Timing,
    Tunnel,
    TwilioNetwork,
    WebhookDelivery,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

    from voice_call.assembly import VoiceCallRuntime
    from voice_call.carriers.base import DialOrder
    from voice_call.testing.speech import ScriptedSpeechToText

SID, TOKEN = "AC" + "0" * 32, "not-a-secret"
CALLEE, OURS = "+15550100100", "+15550100200"
PUBLIC = "https://phone.example.com"
WEBHOOK = f"{PUBLIC}/voice/webhook"
FAST = Timing(dial_s=0.02, seconds_per_character=0.005)
STREAMING = {"streaming": {"enabled": True}}
END_CALL = {"type": "tool_call", "name": "end_call", "arguments": {}}


def words(text: str) -> dict[str, Any]:
    """Return one piece of an agent's reply."""
    return {"type": "text", "delta": text}


class Telephone:
    """A callee's ear and mouth for media streams, played by hand.

    Attributes:
        loud_frames: How many frames of our speech it has heard.
    """

    def __init__(self) -> None:
        self.loud_frames = 0
        self._frames: list[bytes] = []

    def connect(self, call: PhoneCall) -> None:
        """Take no interest in the call."""

    def on_audio(self, frame: bytes) -> None:
        """Count what is not silent."""
        self.loud_frames += len(set(frame)) > 2

    def next_frame(self) -> bytes | None:
        """Return the next of what was asked for."""
        return self._frames.pop(0) if self._frames else None

    def speak(self, seconds: float) -> None:
        """Make sound for so long."""
        audio = tone(FRAME_S)[:FRAME_BYTES]
        self._frames += [audio] * round(seconds / FRAME_S)


class Desk:
    """A running plugin and the network around it."""

    def __init__(self, network: TwilioNetwork, host: FakeHost, port: int) -> None:
        self.network = network
        self.host = host
        self.port = port

    @property
    def runtime(self) -> VoiceCallRuntime:
        """What runs inside the plugin."""
        runtime: VoiceCallRuntime = self.host.services[
            "voicecall"
        ].start.__self__._runtime  # type: ignore[attr-defined]
        return runtime

    @property
    def ears(self) -> ScriptedSpeechToText:
        """What is understood on media streams."""
        stt: Any = self.runtime._stt
        return stt  # type: ignore[no-any-return]

    @property
    def tickets(self) -> int:
        """How many stream tokens are out."""
        return len(self.runtime._door._tickets)

    @property
    def call(self) -> PhoneCall:
        """The newest call, as the network knows it."""
        return self.network.calls[-1]

    def dials(self) -> list[dict[str, str]]:
        """Return the forms of all dials, also of those that were not answered."""
        return [
            dict(each.form)
            for each in self.network.requests
            if each.method == "POST" and each.path.endswith("/Calls.json")
        ]

    # -- what a user does --------------------------------------------------------------

    async def place(
        self, message: str = "Hello there.", *, mode: str = "conversation", **more: str
    ) -> str:
        """Place a call; returns our id."""
        placed = await self.host.call(
            "voicecall.initiate", to=CALLEE, message=message, mode=mode, **more
        )
        return str(placed["callId"])

    async def record(self, call_id: str) -> dict[str, Any]:
        """Return everything about a call; empty where there is none."""
        found = await self.host.call("voicecall.describe", callId=call_id)
        return dict(found.get("call", {}))

    async def until(
        self, call_id: str, is_met: Callable[[dict[str, Any]], bool]
    ) -> dict[str, Any]:
        """Wait until something is true of a call's record."""
        record: dict[str, Any] = {}
        try:
            async with asyncio.timeout(20):
                while True:
                    record = await self.record(call_id)
                    if record and is_met(record):
                        return record
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{record}\n{self.network.errors}") from None

    async def over(self, call_id: str) -> dict[str, Any]:
        """Wait until a call has ended and is released."""
        record = await self.until(call_id, lambda record: "endedAt" in record)
        for session in self.runtime._manager.live():  # type: ignore[union-attr]
            if session.opened.call_id == call_id:
                await asyncio.wait_for(session.wait_closed(), 10)
        await asyncio.sleep(0)  # its place is given free just after
        return record

    async def said(self, call_id: str, count: int = 1) -> list[tuple[str, str]]:
        """Wait until so much was said, and return who said what."""
        record = await self.until(call_id, lambda r: len(r["transcript"]) >= count)
        return transcript(record)

    # -- what an attacker or a clumsy network does -------------------------------------

    async def resend(
        self, webhook: WebhookDelivery, **headers: str | None
    ) -> httpx.Response:
        """Send a webhook once more, with headers replaced, or left out where None."""
        given = {**webhook.headers, "Host": PUBLIC.removeprefix("https://"), **headers}
        from urllib.parse import urlencode

        async with httpx.AsyncClient() as client:
            return await client.post(
                webhook.url.replace(PUBLIC, f"http://127.0.0.1:{self.port}"),
                content=urlencode(webhook.params),
                headers={key: value for key, value in given.items() if value},
            )

    def detect_machines(self) -> None:
        """Let dials ask for answering-machine detection; no setting does."""
        control: Any = self.runtime._carrier.control
        dial = control.dial

        async def dial_with_detection(order: DialOrder) -> Any:
            return await dial(replace(order, machine_detection=True))

        control.dial = dial_with_detection


def transcript(record: dict[str, Any]) -> list[tuple[str, str]]:
    """Return who said what."""
    return [(each["speaker"], each["text"]) for each in record["transcript"]]


@asynccontextmanager
async def twilio(
    folder: Path,
    *,
    callee: Callee | None = None,
    replies: Iterable[Any] = (),
    timing: Timing = FAST,
    is_reachable: bool = True,
    **config: Any,
) -> AsyncIterator[Desk]:
    """Run a network and the plugin on it."""
    port = free_port()
    tunnel = Tunnel(public=PUBLIC, local=f"http://127.0.0.1:{port}")
    network = TwilioNetwork(
        SID,
        TOKEN,
        tunnels=[tunnel] if is_reachable else [],
        callees={CALLEE: callee or Callee(ring_s=0.02)},
        timing=timing,
    )
    base_url = await network.start()
    try:
        host = host_for(folder, base_url, port, replies=replies, **config)
        await host.start()
        try:
            yield Desk(network, host, port)
        finally:
            await host.stop()
    finally:
        await network.stop()


def host_for(
    folder: Path,
    base_url: str,
    port: int,
    *,
    replies: Iterable[Any] = (),
    **config: Any,
) -> FakeHost:
    """Return a host with the plugin registered, not yet started."""
    host = FakeHost(
        state_dir=folder,
        replies=replies,
        config={**settings(base_url, port), **config},
    )
    VoiceCallPlugin().register(host)
    return host


def settings(base_url: str, port: int) -> dict[str, Any]:
    """Return the plugin's configuration for a network."""
    return {
        "provider": "twilio",
        "fromNumber": OURS,
        "publicUrl": WEBHOOK,
        "serve": {"port": port},
        "twilio": {"accountSid": SID, "authToken": TOKEN, "apiBaseUrl": base_url},
        "speech": {"tts": "tone", "stt": "silent", "vad": "energy"},
        "outbound": {"notifyHangupDelaySec": 0},
        "drainSeconds": 0,
    }
