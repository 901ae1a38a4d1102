"""Whoever picks up a simulated phone: an ear, a mouth, fingers and a script."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, assert_never, cast

from voice_call.carriers.simulated.ear import CalleeSpeech, Ear
from voice_call.carriers.simulated.personas import (
    HangUp,
    Murmur,
    Pause,
    Persona,
    Press,
    Say,
    Step,
)
from voice_call.carriers.simulated.sound import attenuate, mix, tone
from voice_call.media.audio import FRAME_BYTES, FRAME_S, SILENCE, SILENT_FRAME
from voice_call.speech.base import Voice

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from voice_call.call.model import Digit

__all__ = ["CALLEE_VOICE", "Callee", "Mouth"]

CALLEE_VOICE = Voice(name="low")
PATIENCE_S = 15.0
"""So long a callee waits for the agent to say something before it goes on."""
ECHO_DELAY_FRAMES = 10
BEEP = tone(1000, 0.4)
_WORDLESS_GREETING = tone(400, 1.5)
_DIGIT_GAP_S = 0.2


class Mouth:
    """Audio that a callee is about to send, one frame at a time."""

    def __init__(self) -> None:
        self._audio = bytearray()
        self._quiet = asyncio.Event()
        self._quiet.set()

    def say(self, audio: bytes) -> None:
        """Queue audio."""
        if audio:
            self._audio += audio
            self._quiet.clear()

    def next_frame(self) -> bytes:
        """Return the next 160 bytes, silence where there is nothing to say."""
        if not self._audio:
            self._quiet.set()
            return SILENT_FRAME
        frame = bytes(self._audio[:FRAME_BYTES])
        del self._audio[:FRAME_BYTES]
        return frame.ljust(FRAME_BYTES, bytes([SILENCE]))

    async def wait_quiet(self) -> None:
        """Wait until everything has been sent."""
        await self._quiet.wait()


class Callee:
    """One end of one call. Lives from the answer to the end.

    Args:
        persona: How it behaves.
        speech: Its engines.
        recording_bytes: How much of what it hears is kept.
        press: Sends a key to the agent.
        hang_up: Ends the call from its side.
    """

    def __init__(
        self,
        persona: Persona,
        *,
        speech: CalleeSpeech,
        recording_bytes: int,
        press: Callable[[Digit], None],
        hang_up: Callable[[], None],
    ) -> None:
        self.ear = Ear(speech, recording_bytes=recording_bytes)
        self.digits: list[Digit] = []
        self._persona = persona
        self._speech = speech
        self._press = press
        self._hang_up = hang_up
        self._mouth = Mouth()
        self._echo: deque[bytes] = deque([SILENT_FRAME] * ECHO_DELAY_FRAMES)
        self._now = 0.0
        self._spoke_at = 0.0

    def exchange(self, frame: bytes, *, at: float) -> bytes:
        """Hear one frame, which ended at time `at`, and return one in exchange."""
        self._now = at
        self.ear.hear(frame, at=at)
        voice = self._mouth.next_frame()
        if not self._persona.echoes:
            return voice
        self._echo.append(frame)
        echo = attenuate(self._echo.popleft())
        return echo if voice == SILENT_FRAME else mix(voice, echo)

    def receive_digits(self, digits: tuple[Digit, ...]) -> None:
        """Hear keys that the agent pressed."""
        self.digits.extend(digits)
        if self._persona.returns_digits:
            for digit in digits:
                self._press(digit)

    async def follow_script(self) -> None:
        """Do everything in the script, in order.

        Raises:
            SpeechError: The callee lost its voice.
        """
        for step in self._persona.script:
            await self._do(step)

    async def play_greeting(self, text: str) -> None:
        """Say an answering machine's greeting; a tone where there is no voice."""
        self._mouth.say(await self.synthesize(text) or _WORDLESS_GREETING)
        await self._mouth.wait_quiet()

    async def beep(self) -> None:
        """Sound an answering machine's tone."""
        self._mouth.say(BEEP)
        await self._mouth.wait_quiet()

    async def wait_interruptible(self, duration_s: float) -> None:
        """Wait until the agent is in the middle of its speech, or for so long."""
        await self.ear.wait_talking(
            duration_s, since=self._spoke_at, patience_s=PATIENCE_S
        )

    async def close(self, *, is_hurried: bool) -> None:
        """Stop listening, in a hurry without understanding the last words."""
        await self.ear.close(is_hurried=is_hurried)

    async def _do(self, step: Step) -> None:
        match step:
            case Say():
                await self._say(step)
            case Murmur(text=text, after_s=after_s):
                audio = await self.synthesize(text)
                await self.wait_interruptible(after_s)
                self._mouth.say(audio)
                await self._mouth.wait_quiet()
            case Press(digits=digits):
                await self._wait_turn()
                for digit in digits:
                    self._press(digit)
                    await asyncio.sleep(_DIGIT_GAP_S)
                self._spoke_at = self._now
            case Pause(duration_s=duration_s):
                await asyncio.sleep(duration_s)
            case HangUp():
                await self._wait_turn()
                self._hang_up()
            case _:
                assert_never(step)

    async def _say(self, line: Say) -> None:
        audio = await self.synthesize(line.text)
        if line.barge_in_after_s is not None:
            await self.wait_interruptible(line.barge_in_after_s)
        elif not line.is_at_once:
            await self._wait_turn()
        self._mouth.say(audio)
        await self._mouth.wait_quiet()
        self._spoke_at = self._now + FRAME_S

    async def _wait_turn(self) -> None:
        await self.ear.wait_spoken(since=self._spoke_at, patience_s=PATIENCE_S)

    async def synthesize(self, text: str) -> bytes:
        """Return a text as sound, nothing where there is no voice.

        Raises:
            SpeechError: The voice failed.
        """
        engine = self._speech.text_to_speech
        if engine is None:
            return b""
        audio = bytearray()
        chunks = cast(
            "AsyncGenerator[bytes]", engine.synthesize(text, voice=CALLEE_VOICE)
        )
        async with aclosing(chunks):
            async for chunk in chunks:
                audio += chunk
        return bytes(audio)
