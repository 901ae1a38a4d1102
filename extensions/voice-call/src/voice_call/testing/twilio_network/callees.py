"""Whoever is at the other end of a simulated telephone, as data and small objects."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from voice_call.media.audio import FRAME_BYTES, SILENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_call.testing.twilio_network.phone_call import PhoneCall

__all__ = [
    "AudioEnd",
    "Behaviour",
    "Callee",
    "EchoEnd",
    "Keys",
    "LineEnd",
    "Nothing",
    "Reply",
    "SilentEnd",
    "Speech",
]


class LineEnd(Protocol):
    """The ear and mouth of somebody on the line while a media stream is open.

    Ear and mouth are called once every 20 ms, the ear first.
    """

    def connect(self, call: PhoneCall) -> None:
        """Learn whose end it is, before all else; to press keys or hang up later."""
        ...

    def on_audio(self, frame: bytes) -> None:
        """Hear 160 bytes of µ-law: what the agent has played, or silence."""
        ...

    def next_frame(self) -> bytes | None:
        """Return the next 160 bytes to say; None for silence."""
        ...


class SilentEnd:
    """Says nothing."""

    def connect(self, call: PhoneCall) -> None:
        """Take no interest in the call."""

    def on_audio(self, frame: bytes) -> None:
        """Do nothing with what is heard."""

    def next_frame(self) -> bytes | None:
        """Return silence."""
        return None


class EchoEnd:
    """Sends back what it hears.

    Args:
        delay_frames: How many frames of 20 ms later; 0 sends it back at once.
    """

    def __init__(self, delay_frames: int = 0) -> None:
        self._frames: deque[bytes | None] = deque([None] * delay_frames)

    def connect(self, call: PhoneCall) -> None:
        """Take no interest in the call."""

    def on_audio(self, frame: bytes) -> None:
        """Keep what is heard."""
        self._frames.append(frame)

    def next_frame(self) -> bytes | None:
        """Return what was heard longest ago."""
        return self._frames.popleft() if self._frames else None


class AudioEnd:
    """Says given audio once, then nothing."""

    def __init__(self, audio: bytes) -> None:
        self._audio = audio
        self._at = 0

    def connect(self, call: PhoneCall) -> None:
        """Take no interest in the call."""

    def on_audio(self, frame: bytes) -> None:
        """Do nothing with what is heard."""

    def next_frame(self) -> bytes | None:
        """Return the next piece; the last one is filled up with silence."""
        frame = self._audio[self._at : self._at + FRAME_BYTES]
        self._at += FRAME_BYTES
        return frame.ljust(FRAME_BYTES, bytes([SILENCE])) if frame else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """Answer a `<Gather>` with words.

    Attributes:
        after_s: Seconds from the end of the prompt; with `is_barging_in`, from its
            beginning.
        confidence: What the recogniser would report, 0 to 1.
        partials: What it would report on the way, as growing texts.
    """

    text: str
    after_s: float = 0.5
    is_barging_in: bool = False
    confidence: float = 0.9
    partials: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Answer a `<Gather>` with keys, one every `gap_s`."""

    digits: str
    after_s: float = 0.5
    is_barging_in: bool = False
    gap_s: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """Let a `<Gather>` run into its timeout."""


Reply = Speech | Keys | Nothing


class Behaviour(StrEnum):
    """What a called telephone does."""

    ANSWERS = "answers"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Callee:
    """How one number behaves.

    Attributes:
        ring_s: How long it rings before it answers or is found busy, in seconds.
        is_machine: An answering machine, for detection; None is "unknown".
        detection_s: How long answering-machine detection takes, in seconds.
        replies: Its answers to `<Gather>`, one each; afterwards nothing.
        hangs_up_after_s: Hang up so long after the answer.
        end: Makes its ear and mouth for media streams.
    """

    behaviour: Behaviour = Behaviour.ANSWERS
    ring_s: float = 0.1
    is_machine: bool | None = False
    detection_s: float = 2.0
    replies: tuple[Reply, ...] = ()
    hangs_up_after_s: float | None = None
    end: Callable[[], LineEnd] = field(default=SilentEnd)
