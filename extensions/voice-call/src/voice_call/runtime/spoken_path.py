"""How words travel on a call: over a media stream, or through the carrier's own verbs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_call.call.actions import Listen, Speak, StartReply
    from voice_call.call.events import CallerSpoke, CarrierEnded
    from voice_call.call.model import CallId
    from voice_call.carriers.base import (
        MediaLink,
        MediaListener,
        PlanStep,
        StreamStarted,
    )
    from voice_call.runtime.agent import AgentTurn

__all__ = ["SpokenPath", "StreamDoor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDoor:
    """Where carriers connect their media streams.

    Attributes:
        url: `wss://…`, without a query.
        issue: Makes a single-use token for a call.
    """

    url: str
    issue: Callable[[CallId], str]


class SpokenPath(Protocol):
    """Speaks and listens on one call; everything runs on the event loop."""

    def open_stream(self, started: StreamStarted, link: MediaLink) -> MediaListener:
        """Attach a media stream.

        Raises:
            Unsupported: This call speaks without one.
        """
        ...

    def speak(self, speak: Speak) -> None:
        """Say a complete text."""
        ...

    def listen(self, listen: Listen) -> None:
        """Listen with the token that comes with the action."""
        ...

    def start_reply(self, start: StartReply, turn: AgentTurn) -> None:
        """Let the agent answer."""
        ...

    def take_back(self, utterance_id: str) -> None:
        """Stop an utterance, and the agent's run behind it."""
        ...

    def stop_speaking(self) -> None:
        """Take back everything."""
        ...

    def plan(self) -> tuple[PlanStep, ...]:
        """Return what the carrier shall do now, in answer to its webhook."""
        ...

    def played(self, piece_id: str) -> None:
        """The carrier says that it has played something."""
        ...

    def carrier_ended(self, event: CarrierEnded) -> None:
        """The call is over at the carrier: account for what was heard until then."""
        ...

    def carrier_failed(self, detail: str) -> None:
        """The carrier did not take what it was told to say."""
        ...

    def is_current(self, event: CallerSpoke) -> bool:
        """Return False for the answer to an earlier listening."""
        ...

    async def close(self) -> None:
        """Release everything and wait until it is released."""
        ...
