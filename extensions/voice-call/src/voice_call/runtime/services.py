"""What all calls of one Gateway share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from voice_call.carriers.base import Carrier
    from voice_call.clock import Clock
    from voice_call.runtime.agent import Agent
    from voice_call.runtime.ears import Hearing
    from voice_call.runtime.journal import Journal
    from voice_call.runtime.spoken_path import StreamDoor
    from voice_call.runtime.ticker import Ticker
    from voice_call.speech.base import TextToSpeech, Voice

__all__ = ["CallServices"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallServices:
    """The shared parts that every call is built from.

    Attributes:
        clock: What time it is.
        journal: Where everything is kept.
        carrier: Who carries the calls.
        agent: Who answers.
        agent_timeout_s: How long the agent may take for one reply, in seconds.
        tts: The synthesiser.
        voice: How the agent sounds.
        hearing: What the ears are made of.
        ticker: Moves all playouts on.
        door: Where media streams connect; None where they need no door.
        webhook_url: Public URL of the webhooks; None where there are none.
        records: Folder for what calls leave behind (recording, transcript, timeline);
            None where nothing is to be kept beside the journal.
    """

    clock: Clock
    journal: Journal
    carrier: Carrier
    agent: Agent
    agent_timeout_s: float
    tts: TextToSpeech
    voice: Voice
    hearing: Hearing
    ticker: Ticker
    door: StreamDoor | None = None
    webhook_url: str | None = None
    records: Path | None = None
