"""One call as the network knows it, and what a test can do at its other end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from voice_call.testing.twilio_network.callees import Keys, Speech
from voice_call.testing.twilio_network.records import CallStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_call.testing.twilio_network.callees import Callee, Reply
    from voice_call.testing.twilio_network.line import CallLine
    from voice_call.testing.twilio_network.orders import CallOrder
    from voice_call.testing.twilio_network.records import HeardText
    from voice_call.testing.twilio_network.stream import MediaStream

__all__ = ["Ear", "PhoneCall", "Recording"]


class Ear(Protocol):
    """A `<Gather>` that listens."""

    def hear(self, reply: Reply) -> None:
        """Take words or keys, now."""
        ...


@dataclass(slots=True, kw_only=True)
class Recording:
    """A recording of a call; its audio is not kept."""

    sid: str
    source: str
    started_at: float
    status: str = "in-progress"
    ended_at: float | None = None
    channels: int = 1
    track: str = "both"
    callback_url: str | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class PhoneCall:
    """One call.

    Attributes:
        direction: `outbound-api` or `inbound`.
        created_at: Seconds since 1970, as all times here.
        dialed_at: When the network began to ring the callee; `start_time` in REST.
        answered_at: When somebody picked up.
        heard_texts: What the carrier's voice said to the callee.
        heard_digits: Keys that the agent's side has pressed: `SendDigits`, `<Play>`.
        sent_digits: Keys that the callee has pressed.
        played_urls: What `<Play>` has fetched.
        streams: Its media streams, oldest first.
        ear: The `<Gather>` that listens now.
        sequence_number: Of its next status callback.
    """

    sid: str
    account_sid: str
    order: CallOrder
    direction: str
    callee: Callee
    created_at: float
    hang_up_call: Callable[[PhoneCall], None]
    changed: Callable[[], None]
    line: CallLine
    status: CallStatus = CallStatus.QUEUED
    dialed_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    updated_at: float = 0.0
    answered_by: str | None = None
    heard_texts: list[HeardText] = field(default_factory=list)
    heard_digits: str = ""
    sent_digits: str = ""
    played_urls: list[str] = field(default_factory=list)
    recordings: list[Recording] = field(default_factory=list)
    streams: list[MediaStream] = field(default_factory=list)
    ear: Ear | None = None
    sequence_number: int = 0
    replies: list[Reply] = field(default_factory=list)
    lifecycle: asyncio.Task[None] | None = None
    script: asyncio.Task[None] | None = None
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    has_ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def to(self) -> str:
        """The called number."""
        return self.order.to

    @property
    def from_(self) -> str:
        """The calling number."""
        return self.order.from_

    @property
    def heard_audio(self) -> bytes:
        """What media streams have played, in real time, silence included; µ-law."""
        return bytes(self.line.heard)

    @property
    def duration_s(self) -> float | None:
        """Seconds from the answer to the end; None before the end or unanswered."""
        if self.answered_at is None or self.ended_at is None:
            return None
        return self.ended_at - self.answered_at

    @property
    def stream(self) -> MediaStream | None:
        """The open bidirectional media stream."""
        for stream in reversed(self.streams):
            if stream.is_bidirectional and stream.is_open:
                return stream
        return None

    @property
    def heard(self) -> str:
        """Everything that the carrier's voice said, in one line."""
        return " ".join(text.text for text in self.heard_texts)

    # -- what a test does at the callee's end ------------------------------------------

    def say(self, text: str, *, confidence: float = 0.9) -> bool:
        """Say words into the `<Gather>` that listens now.

        Returns:
            False where none listens: nobody has heard it.
        """
        if self.ear is None:
            return False
        self.ear.hear(Speech(text=text, confidence=confidence))
        return True

    def press(self, digits: str) -> bool:
        """Press keys: into the media stream, into the `<Gather>` that listens, or both.

        Returns:
            False where nobody was told.
        """
        self.sent_digits += digits
        stream = self.stream
        if stream is not None:
            for digit in digits:
                stream.send_digit(digit)
        if self.ear is not None:
            self.ear.hear(Keys(digits=digits))
        return stream is not None or self.ear is not None

    def hang_up(self) -> None:
        """Hang up at the callee's end."""
        self.hang_up_call(self)
