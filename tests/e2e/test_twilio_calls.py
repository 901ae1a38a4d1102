"""Whole calls over Twilio: the real plugin against a Twilio network on loopback."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from e2e.gateway_process import free_port
from voice_call.plugin import VoiceCallPlugin
from voice_call.testing.host import FakeHost
from voice_call.testing.twilio_network import Callee, Speech, Tunnel, TwilioNetwork

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

SID, TOKEN = "AC" + "0" * 32, "not-a-secret"
CALLEE, OURS = "+15550100100", "+15550100200"
PUBLIC = "https://phone.example.com"


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "delta": words}


END_CALL = {"type": "tool_call", "name": "end_call", "arguments": {}}


@asynccontextmanager
async def twilio(
    folder: Path, *, callee: Callee | None = None, replies: Any = (), **config: Any
) -> AsyncIterator[tuple[TwilioNetwork, FakeHost]]:
    port = free_port()
    network = TwilioNetwork(
        SID,
        TOKEN,
        tunnels=[Tunnel(public=PUBLIC, local=f"http://127.0.0.1:{port}")],
        callees={CALLEE: callee or Callee()},
    )
    base_url = await network.start()
    host = FakeHost(
        state_dir=folder,
        replies=replies,
        config={
            "provider": "twilio",
            "fromNumber": OURS,
            "publicUrl": f"{PUBLIC}/voice/webhook",
            "serve": {"port": port},
            "twilio": {
                "accountSid": SID,
                "authToken": TOKEN,
                "apiBaseUrl": base_url,
            },
            "speech": {"tts": "tone", "stt": "silent", "vad": "energy"},
            "drainSeconds": 0,
            **config,
        },
    )
    VoiceCallPlugin().register(host)
    await host.start()
    try:
        yield network, host
    finally:
        await host.stop()
        await network.stop()


async def call_until_over(host: FakeHost, call_id: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            record = (await host.call("voicecall.describe", callId=call_id))["call"]
            if "endedAt" in record:
                return record
            await asyncio.sleep(0.05)


async def test_notify_with_the_carriers_voice(tmp_path: Path) -> None:
    async with twilio(tmp_path) as (network, host):
        placed = await host.call(
            "voicecall.initiate",
            to=CALLEE,
            message="The garden is ready.",
            mode="notify",
        )
        record = await call_until_over(host, placed["callId"])
        assert network.calls[0].heard == "The garden is ready."
        assert network.errors == []
        assert record["state"] == "completed"


async def test_a_conversation_with_the_carriers_voice(tmp_path: Path) -> None:
    callee = Callee(
        replies=(Speech(text="What time is it?"), Speech(text="Thank you, goodbye."))
    )
    replies = [
        [text("It is nine. "), text("Anything else?")],
        [text("Goodbye."), END_CALL],
    ]
    async with twilio(tmp_path, callee=callee, replies=replies) as (network, host):
        placed = await host.call(
            "voicecall.initiate", to=CALLEE, message="Hello.", mode="conversation"
        )
        record = await call_until_over(host, placed["callId"])
        assert [(each["speaker"], each["text"]) for each in record["transcript"]] == [
            ("bot", "Hello."),
            ("user", "What time is it?"),
            ("bot", "It is nine. Anything else?"),
            ("user", "Thank you, goodbye."),
            ("bot", "Goodbye."),
        ]
        assert record["state"] == "hangup-bot"
        assert network.errors == []


async def test_a_streamed_conversation(tmp_path: Path) -> None:
    config = {"streaming": {"enabled": True}}
    async with twilio(tmp_path, **config) as (network, host):
        placed = await host.call(
            "voicecall.initiate", to=CALLEE, message="Hello there.", mode="notify"
        )
        record = await call_until_over(host, placed["callId"])
        assert record["state"] == "completed"
        assert [each["text"] for each in record["transcript"]] == ["Hello there."]
        assert network.errors == []
        assert len(network.calls[0].heard_audio) > 4000


async def test_an_inbound_call_is_greeted(tmp_path: Path) -> None:
    config = {"inboundPolicy": "allowlist", "allowFrom": [CALLEE]}
    config |= {"inboundGreeting": "Good day.", "streaming": {"enabled": True}}
    async with twilio(tmp_path, **config) as (network, host):
        call = network.call_in(CALLEE, OURS, f"{PUBLIC}/voice/webhook")
        await asyncio.sleep(2)
        record = (await host.call("voicecall.describe", callId=call.sid))["call"]
        assert [each["text"] for each in record["transcript"]] == ["Good day."]
        await host.call("voicecall.end", callId=call.sid)
        await network.wait_ended(call)
        assert network.errors == []
