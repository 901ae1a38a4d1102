"""One call in the simulated network, from its first ring to its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voice_call.call.events import (
    Answered,
    AnsweredBy,
    CarrierEnded,
    DigitPressed,
    MachineDetected,
    Offered,
    Ringing,
)
from voice_call.call.model import (
    Direction,
    EndCause,
    EndedBy,
    StreamId,
)
from voice_call.carriers.base import StreamStarted
from voice_call.carriers.simulated.callee import Callee, Mouth
from voice_call.carriers.simulated.courier import Courier
from voice_call.carriers.simulated.media import SimulatedLine
from voice_call.carriers.simulated.numbers import Behaviour
from voice_call.carriers.simulated.sound import LineNoise
from voice_call.errors import CallError
from voice_call.log import get_logger
from voice_call.media.audio import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from voice_call.call.model import Digit
    from voice_call.carriers.base import CarrierSink
    from voice_call.carriers.simulated.ear import CalleeSpeech
    from voice_call.carriers.simulated.facts import CallFacts
    from voice_call.carriers.simulated.settings import CalleePlan, SimulatedSettings

__all__ = ["SimulatedCall"]

_log = get_logger(__name__)

_REJECT_AFTER_S = 0.5
_BUSY_AFTER_S = 0.1
_HANG_UP_AFTER_S = 1.5
_STREAM_LOST_AFTER_S = 2.0
_STREAM_BACK_AFTER_S = 1.0
_NETWORK_FAILS_AFTER_S = 2.0
QUIET_LINE = LineNoise(level_dbfs=-65, is_mixed=False)
NOISY_LINE = LineNoise(level_dbfs=-32, is_mixed=True)


class SimulatedCall:
    """A call: its story, its line and the one at the other end.

    Args:
        facts: What is known of it.
        plan: Who is at the other end, and how the line behaves.
        settings: Of the network.
        speech: The callee's engines.
        sink: Where notices and streams go.
    """

    def __init__(
        self,
        facts: CallFacts,
        *,
        plan: CalleePlan,
        settings: SimulatedSettings,
        speech: CalleeSpeech,
        sink: CarrierSink,
    ) -> None:
        self.facts = facts
        self.plan = plan
        self.line: SimulatedLine | None = None
        self.callee = Callee(
            plan.persona,
            speech=speech,
            recording_bytes=round(settings.recording_s * SAMPLE_RATE_HZ),
            press=self.press,
            hang_up=self.hang_up_remote,
        )
        self._settings = settings
        self._sink = sink
        self._courier = Courier(
            facts, sink, is_untidy=plan.behaviour is Behaviour.UNTIDY
        )
        self._announcement: Mouth | None = None
        self._is_answered = asyncio.Event()
        self._is_over = asyncio.Event()
        self._streams = 0
        self._frames = 0

    @property
    def is_live(self) -> bool:
        """Whether the call has not ended yet."""
        return not self._is_over.is_set()

    @property
    def is_connected(self) -> bool:
        """Whether somebody picked up and nobody has hung up."""
        return self._is_answered.is_set() and self.is_live

    async def run(self) -> None:
        """Live the whole call; returns when its end has been reported."""
        story = asyncio.create_task(self._live())
        is_complete = False
        try:
            await self._courier.run()
            is_complete = True
        finally:
            self._is_over.set()
            story.cancel()
            await asyncio.gather(story, return_exceptions=True)
            self._close_line()
            await self.callee.close(is_hurried=not is_complete)

    def answer(self) -> None:
        """Pick up an inbound call; harmless when repeated."""
        if self.is_live:
            self._is_answered.set()

    def hang_up(self) -> None:
        """End the call from our side; harmless when it is over."""
        if self._is_answered.is_set():
            self.end(EndCause.NORMAL, EndedBy.CARRIER, "completed")
        else:
            self.end(EndCause.CANCELLED, EndedBy.CARRIER, "canceled")

    def hang_up_remote(self) -> None:
        """End the call from the other side; harmless when it is over."""
        if self._is_answered.is_set():
            self.end(EndCause.NORMAL, EndedBy.REMOTE, "completed")
        else:
            self.end(EndCause.CANCELLED, EndedBy.REMOTE, "canceled")

    def end(self, cause: EndCause, by: EndedBy, carrier_code: str) -> None:
        """End the call; only the first end counts."""
        if not self.is_live:
            return
        self._is_over.set()
        self._close_line()
        self._courier.tell(CarrierEnded(cause=cause, by=by, carrier_code=carrier_code))

    def press(self, digit: Digit) -> None:
        """Let the other side press a key: on the stream, or where none is, a notice."""
        if self.line is not None:
            self.line.press(digit)
        elif self.is_connected:
            self._courier.tell(DigitPressed(digit=digit))

    async def announce(self, text: str) -> None:
        """Let the caller hear a word of the network's own before it is answered.

        Raises:
            SpeechError: The network's voice failed.
        """
        announcement = Mouth()
        announcement.say(await self.callee.synthesize(text))
        self._announcement = announcement
        ends = [
            asyncio.create_task(announcement.wait_quiet()),
            asyncio.create_task(self._is_over.wait()),
        ]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        self._announcement = None

    def tick(self, *, at: float) -> None:
        """Exchange one frame over the line; a failure ends this call alone."""
        line = self.line
        if self._announcement is not None:
            self.callee.ear.hear(self._announcement.next_frame(), at=at)
        if line is None or not self.is_connected:
            return
        is_noisy = self.plan.behaviour is Behaviour.NOISY
        noise = NOISY_LINE if is_noisy else QUIET_LINE
        try:
            voice = self.callee.exchange(line.play(), at=at)
            self._frames += 1
            line.deliver(noise.add(voice, self._frames))
        except Exception:  # noqa: BLE001 - logged; must not stop the pacing of others
            self._fail()

    # -- the story ---------------------------------------------------------------------

    async def _live(self) -> None:
        try:
            if self.facts.direction is Direction.INBOUND:
                await self._ring_agent()
            else:
                await self._ring_callee()
            if self.is_connected:
                await self._talk()
        except Exception:  # noqa: BLE001 - logged, and told as the end of the call
            self._fail()

    async def _ring_agent(self) -> None:
        self._courier.tell(Offered())
        try:
            async with asyncio.timeout(self.facts.ring_timeout_s):
                await self._is_answered.wait()
        except TimeoutError:
            self.hang_up_remote()
            return
        self._courier.tell(Answered())

    async def _ring_callee(self) -> None:
        plan, limit_s = self.plan, self.facts.ring_timeout_s
        await asyncio.sleep(self._settings.setup_s)
        if plan.behaviour is Behaviour.BUSY:
            await asyncio.sleep(_BUSY_AFTER_S)
            self.end(EndCause.BUSY, EndedBy.REMOTE, "busy")
            return
        self._courier.tell(Ringing())
        if plan.behaviour is Behaviour.REJECTS:
            await asyncio.sleep(_REJECT_AFTER_S)
            self.end(EndCause.REJECTED, EndedBy.REMOTE, "rejected")
            return
        if plan.behaviour is Behaviour.NO_ANSWER or plan.ring_s >= limit_s:
            await asyncio.sleep(limit_s)
            self.end(EndCause.NO_ANSWER, EndedBy.CARRIER, "no-answer")
            return
        await asyncio.sleep(plan.ring_s)
        self._is_answered.set()
        if plan.behaviour is not Behaviour.STREAM_FIRST:
            self._courier.tell(Answered())

    async def _talk(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._end_in_time())
            if self.plan.behaviour is not Behaviour.NO_STREAM:
                await asyncio.sleep(self._settings.stream_delay_s)
                if not self._open_stream():
                    return
            if self.plan.behaviour is Behaviour.STREAM_FIRST:
                await asyncio.sleep(self._settings.stream_delay_s)
                self._courier.tell(Answered())
            tasks.create_task(self._disturb())
            if self.plan.behaviour is Behaviour.VOICEMAIL:
                await self._record_message()
            else:
                await self.callee.follow_script()

    async def _end_in_time(self) -> None:
        await asyncio.sleep(self.facts.max_duration_s)
        self.end(EndCause.MAX_DURATION, EndedBy.CARRIER, "completed")

    async def _record_message(self) -> None:
        self._courier.tell(MachineDetected(answered_by=AnsweredBy.MACHINE_GREETING))
        await self.callee.play_greeting(self.plan.greeting)
        await self.callee.beep()
        self._courier.tell(MachineDetected(answered_by=AnsweredBy.MACHINE_BEEP))

    async def _disturb(self) -> None:
        if self.plan.behaviour is Behaviour.HANGS_UP:
            await self.callee.wait_interruptible(_HANG_UP_AFTER_S)
            self.hang_up_remote()
        elif self.plan.behaviour is Behaviour.DROPS_STREAM:
            await asyncio.sleep(_STREAM_LOST_AFTER_S)
            self._close_line()
            await asyncio.sleep(_STREAM_BACK_AFTER_S)
            self._open_stream()
        elif self.plan.behaviour is Behaviour.FAILS:
            await asyncio.sleep(_NETWORK_FAILS_AFTER_S)
            self.end(EndCause.FAILED, EndedBy.CARRIER, "failed")

    def _open_stream(self) -> bool:
        """Open a media stream; a refusal ends the call, as a carrier would end it."""
        self._streams += 1
        carrier_call_id = self.facts.carrier_call_id
        line = SimulatedLine(
            capacity_bytes=round(self._settings.buffer_s * SAMPLE_RATE_HZ),
            on_closed=self.hang_up,
            on_failed=self._fail,
        )
        started = StreamStarted(
            stream_id=StreamId(f"{carrier_call_id}-stream-{self._streams}"),
            carrier_call_id=carrier_call_id,
            token=self.facts.stream_token,
        )
        try:
            line.listener = self._sink.open_stream(started, line)
        except CallError as error:
            _log.warning("media stream refused", code=error.code)
            self.end(EndCause.FAILED, EndedBy.CARRIER, "stream-refused")
            return False
        self.line = line
        return True

    def _close_line(self) -> None:
        line, self.line = self.line, None
        if line is not None:
            line.stop()

    def _fail(self) -> None:
        _log.exception(
            "simulated call failed", carrier_call_id=self.facts.carrier_call_id
        )
        self.end(EndCause.FAILED, EndedBy.CARRIER, "failed")
