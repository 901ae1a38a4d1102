"""`openclaw voicecall simulate`: a user's own settings against a simulated carrier.

The plugin runs in this process with the user's configuration, on loopback and in a
temporary folder; the carrier is its simulator, which signs its webhooks with the user's
own secret, calls the user's own public URL (through a tunnel that is simulated too), and
opens media streams. One call is placed, and every stage of it is checked. Nothing leaves
the machine, and no Gateway is asked.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import typer

from voice_call.assembly import VoiceCallRuntime
from voice_call.config import KEY_PATH, load_config
from voice_call.registry import REHEARSALS, resolve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voice_call.config import VoiceCallConfig
    from voice_call.operations import CallOperations

__all__ = ["Rehearsal", "RehearsalPlan", "Stage", "run_simulation", "simulate"]

_OPENING = "This is a rehearsal."
_PUBLIC_ORIGIN = "https://simulated.example.com"
_TO, _FROM = "+15550100100", "+15550100200"
_OPENING_LIMIT_S = 30.0
_POLL_S = 0.05
_TONES = {"tts": "tone", "stt": "silent", "vad": "energy"}
"""Speech engines are not rehearsed: they may need a network, and load slowly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of the call.

    Attributes:
        name: What should happen.
        passed: Whether it did; None where it was not reached, or is not wanted.
        detail: What was seen, and what to do where it failed.
    """

    name: str
    passed: bool | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalPlan:
    """What a simulated carrier has to know.

    Attributes:
        config: The user's settings.
        public_url: The public webhook URL.
        port: Where the plugin listens on loopback.
        from_: Our number.
        to: Who is called.
    """

    config: VoiceCallConfig
    public_url: str
    port: int
    from_: str
    to: str


class Rehearsal(Protocol):
    """A simulated carrier for one call."""

    async def start(self) -> Mapping[str, Any]:
        """Begin to serve; returns the settings that lead the plugin here."""
        ...

    async def stop(self) -> None:
        """Stop, whatever is going on."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether the call was placed and has ended, whoever knows of it."""
        ...

    def stages(self, record: Mapping[str, Any]) -> tuple[Stage, ...]:
        """Judge the call, with what the plugin says of it."""
        ...


class _Nobody:
    """A host whose agent is never asked: the rehearsal ends after the opening."""

    def __init__(self, folder: Path) -> None:
        self.config: Mapping[str, Any] = {}
        self.core_config: Mapping[str, Any] = {}
        self.state_dir = folder

    def register_method(self, *_: Any, **__: Any) -> None:
        """Offer nothing."""

    def register_tool(self, *_: Any, **__: Any) -> None:
        """Offer nothing."""

    def register_service(self, *_: Any, **__: Any) -> None:
        """Offer nothing."""

    async def run_agent(
        self,
        request: Mapping[str, Any],  # noqa: ARG002 - always the same answer
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Yield a word."""
        yield {"type": "text", "delta": "Yes."}


def run_simulation(raw: Mapping[str, Any], carrier: str) -> dict[str, Any]:
    """Rehearse one call, say on standard error how it went, and return the result.

    Args:
        raw: The plugin's configuration, as in the file.
        carrier: Whose simulator.

    Raises:
        ConfigError: The configuration cannot be used, or the carrier has no simulator.
        VoiceCallError: The plugin did not start.
    """
    # What the plugin logs about a failure is told by the stages.
    logging.getLogger("voice_call").addHandler(logging.NullHandler())
    with tempfile.TemporaryDirectory(prefix="openclaw-simulate-") as folder:
        stages, notes = asyncio.run(simulate(raw, carrier, Path(folder)))
    for note in notes:
        typer.echo(f"note  {note}", err=True)
    for stage in stages:
        mark = {True: "ok   ", False: "FAIL ", None: "–    "}[stage.passed]
        typer.echo(f"{mark} {stage.name:<20} {stage.detail}", err=True)
    return {
        "carrier": carrier,
        "ok": not any(stage.passed is False for stage in stages),
        "stages": [asdict(stage) for stage in stages],
        "notes": notes,
    }


async def simulate(
    raw: Mapping[str, Any], carrier: str, folder: Path
) -> tuple[tuple[Stage, ...], list[str]]:
    """Rehearse one call; returns its stages, and what was assumed for it.

    Raises:
        ConfigError: The configuration cannot be used, or the carrier has no simulator.
        VoiceCallError: The plugin did not start.
    """
    make = resolve(REHEARSALS, carrier, key_path="--carrier")
    environ = {**os.environ, "OPENCLAW_STATE_DIR": str(folder)}
    own = load_config({**raw, "provider": carrier}, environ=environ)
    notes: list[str] = []
    plan = RehearsalPlan(
        config=own,
        public_url=own.public_url or _stand_in(notes, "publicUrl", _public_url(own)),
        port=_free_port(),
        from_=own.from_number or _stand_in(notes, "fromNumber", _FROM),
        to=own.to_number or _TO,
    )
    rehearsal: Rehearsal = make(plan, notes)
    try:
        overlay = {"provider": carrier, **await rehearsal.start()}
        settings = _settings(raw, plan, overlay, folder)
        config = load_config(settings, environ=environ)
        runtime = VoiceCallRuntime(config, _Nobody(folder))
        record = await _hold_call(runtime, rehearsal, plan.to)
        return rehearsal.stages(record), notes
    finally:
        await rehearsal.stop()


def _public_url(own: VoiceCallConfig) -> str:
    return f"{_PUBLIC_ORIGIN}{own.serve.path}"


def _stand_in(notes: list[str], key: str, value: str) -> str:
    notes.append(f"{KEY_PATH}.{key} is not set; {value} stands in for it.")
    return value


def _settings(
    raw: Mapping[str, Any],
    plan: RehearsalPlan,
    overlay: Mapping[str, Any],
    folder: Path,
) -> dict[str, Any]:
    """Return the user's settings, kept on this machine."""
    serve = raw.get("serve")
    return {
        **raw,
        "enabled": True,
        "fromNumber": plan.from_,
        "publicUrl": plan.public_url,
        "serve": {
            **(serve if isinstance(serve, Mapping) else {}),
            "bind": "127.0.0.1",
            "port": plan.port,
        },
        "tunnel": {"provider": "none"},
        "tailscale": {"mode": "off"},
        "speech": _TONES,
        "store": str(folder / "calls"),
        "recording": {"enabled": False},
        "drainSeconds": 0,
        **overlay,
    }


async def _hold_call(
    runtime: VoiceCallRuntime, rehearsal: Rehearsal, to: str
) -> Mapping[str, Any]:
    """Place a call, wait for its opening, hang up; returns its record."""
    try:
        await runtime.start()
        calls = await runtime.ready()
        order = {"to": to, "message": _OPENING, "mode": "conversation"}
        call_id = (await calls.start(order))["callId"]
        await _wait_for_opening(calls, call_id, rehearsal)
        await calls.end({"callId": call_id})
        return await _record(calls, call_id)
    finally:
        await runtime.stop(0.0)


async def _wait_for_opening(
    calls: CallOperations, call_id: str, rehearsal: Rehearsal
) -> None:
    limit = asyncio.get_running_loop().time() + _OPENING_LIMIT_S
    while asyncio.get_running_loop().time() < limit:
        record = await _record(calls, call_id)
        if record["transcript"] or "endedAt" in record or rehearsal.is_over:
            return
        await asyncio.sleep(_POLL_S)


async def _record(calls: CallOperations, call_id: str) -> Mapping[str, Any]:
    found = await calls.describe({"callId": call_id})
    record: Mapping[str, Any] = found["call"]
    return record


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
