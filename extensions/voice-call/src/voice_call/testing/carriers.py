"""A carrier whose side the test plays: notices and streams by hand.

Nothing happens by itself, except that a hang-up is confirmed and that a stream plays
what it gets at the pace of a telephone. So hours of silence cost nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, assert_never

from voice_call.call.events import Answered, CarrierEnded, Offered
from voice_call.call.model import (
    CarrierCallId,
    Direction,
    EndCause,
    EndedBy,
    StreamId,
)
from voice_call.carriers.base import (
    Capabilities,
    Carrier,
    CarrierNotice,
    CarrierStatus,
    ClearAudio,
    SendAudio,
    SendMark,
    StreamAudio,
    StreamMark,
    StreamStarted,
    StreamStopped,
)
from voice_call.media.audio import FRAME_S, SAMPLE_RATE_HZ, SILENT_FRAME
from voice_call.testing.speech import tone

if TYPE_CHECKING:
    from voice_call.call.events import CallEvent
    from voice_call.call.model import Digit
    from voice_call.carriers.base import (
        CallRef,
        CarrierSink,
        DialOrder,
        MediaListener,
        PlanStep,
        StreamCommand,
        StreamEvent,
    )

__all__ = ["ManualCarrier", "ManualStream"]

_VOICED_FRAME = tone(FRAME_S, pitch_hz=400.0)
_QUIET_AFTER_VOICE_S = 0.2


class ManualStream:
    """One media stream; its other side is played by hand.

    Attributes:
        stream_id: Its id.
        sent: Every command of the agent's side, oldest first.
        is_closed: Whether the agent's side has closed it.
        returns_marks: False to lose every mark.
    """

    def __init__(self, stream_id: StreamId) -> None:
        self.stream_id = stream_id
        self.sent: list[StreamCommand] = []
        self.is_closed = False
        self.returns_marks = True
        self.listener: MediaListener | None = None
        self._dry_at = 0.0
        self._marks: dict[str, asyncio.TimerHandle] = {}

    # -- the agent's side --------------------------------------------------------------

    def send(self, command: StreamCommand) -> None:
        """Play audio, return marks, drop what is cleared."""
        loop = asyncio.get_running_loop()
        self.sent.append(command)
        match command:
            case SendAudio(payload=payload):
                begins_at = max(loop.time(), self._dry_at)
                self._dry_at = begins_at + len(payload) / SAMPLE_RATE_HZ
            case SendMark(name=name):
                at = max(loop.time(), self._dry_at)
                self._marks[name] = loop.call_at(at, self._return_mark, name)
            case ClearAudio():
                self._dry_at = loop.time()
                for name, timer in tuple(self._marks.items()):
                    timer.cancel()
                    self._marks[name] = loop.call_at(
                        loop.time(), self._return_mark, name
                    )
            case _:
                assert_never(command)

    def close(self) -> None:
        """Note that the agent's side has closed the stream."""
        self.is_closed = True

    def _return_mark(self, name: str) -> None:
        del self._marks[name]
        if self.returns_marks:
            self.receive(StreamMark(name=name))

    # -- the other side ----------------------------------------------------------------

    @property
    def sent_s(self) -> float:
        """How much audio of the agent came, in seconds."""
        payloads = [each.payload for each in self.sent if isinstance(each, SendAudio)]
        return sum(map(len, payloads)) / SAMPLE_RATE_HZ

    def receive(self, event: StreamEvent) -> None:
        """Let something happen on the stream."""
        if self.listener is not None:
            self.listener.receive(event)

    async def speak(self, seconds: float) -> None:
        """Make sound for so long, then be quiet for long enough to be noticed."""
        await self._feed(_VOICED_FRAME, seconds)
        await self._feed(SILENT_FRAME, _QUIET_AFTER_VOICE_S)

    async def make_sound(self, seconds: float) -> None:
        """Make sound for so long, and say nothing about what comes then."""
        await self._feed(_VOICED_FRAME, seconds)

    def stop(self) -> None:
        """Lose the stream."""
        self.receive(StreamStopped())

    async def _feed(self, frame: bytes, seconds: float) -> None:
        for _ in range(round(seconds / FRAME_S)):
            await asyncio.sleep(FRAME_S)
            self.receive(StreamAudio(payload=frame))


class ManualCarrier:
    """Call control that writes down what it is asked, and the way to send news.

    Attributes:
        carrier: What the runtime is given.
        dialed: Every dial.
        answered: Every call that was picked up.
        rejected: Every call that was refused: cause and notice.
        hung_up: Every hang-up.
        steps: Every step that a call without a stream was told to take.
        digits: Every key sent.
        asked: Every call that was asked after.
        faults: Raised by the next commands of a name, one each.
        delays: Seconds that a command of a name takes.
        status: What it says of calls that are asked after.
        confirms: Whether it reports the end of a call that it hangs up or refuses.
    """

    def __init__(self) -> None:
        self.carrier = Carrier(
            name="manual",
            capabilities=Capabilities(
                streams_audio=True,
                marks_playout=True,
                clears_playout=True,
                speaks_text=False,
                recognises_speech=False,
                sends_digits=True,
                detects_machines=True,
                transfers=False,
                dial_is_idempotent=False,
            ),
            control=self,
        )
        self.dialed: list[DialOrder] = []
        self.answered: list[CallRef] = []
        self.rejected: list[tuple[EndCause, str | None]] = []
        self.hung_up: list[CallRef] = []
        self.steps: list[PlanStep] = []
        self.digits: list[Digit] = []
        self.asked: list[CallRef] = []
        self.faults: dict[str, list[Exception]] = {}
        self.delays: dict[str, float] = {}
        self.status = CarrierStatus.LIVE
        self.confirms = True
        self._sink: CarrierSink | None = None
        self._streams = 0
        self._inbound = 0
        self._news: set[asyncio.Task[None]] = set()

    def connect(self, sink: CarrierSink) -> None:
        """Say where notices and streams go."""
        self._sink = sink

    async def close(self) -> None:
        """Send no more news."""
        for task in tuple(self._news):
            task.cancel()
        await asyncio.gather(*self._news, return_exceptions=True)

    # -- news by hand ------------------------------------------------------------------

    async def report(
        self,
        carrier_call_id: str,
        event: CallEvent,
        *,
        key: str | None = None,
        direction: Direction | None = None,
        from_: str | None = None,
    ) -> None:
        """Deliver one notice; returns when it is taken."""
        assert self._sink is not None, "connect() comes first"
        await self._sink.deliver(
            CarrierNotice(
                event=event,
                carrier_call_id=CarrierCallId(carrier_call_id),
                dedupe_key=key,
                direction=direction,
                from_=from_,
            )
        )

    async def offer(self, from_: str = "+15550109999") -> CarrierCallId:
        """Let somebody call in; returns the carrier's id of the call."""
        self._inbound += 1
        carrier_call_id = CarrierCallId(f"manual-in-{self._inbound}")
        await self.report(
            carrier_call_id,
            Offered(),
            key=f"{carrier_call_id}-offered",
            direction=Direction.INBOUND,
            from_=from_,
        )
        return carrier_call_id

    async def pick_up(self, carrier_call_id: str) -> ManualStream:
        """Let a call be answered and its stream be opened."""
        await self.report(carrier_call_id, Answered())
        return self.open_stream(carrier_call_id)

    def open_stream(self, carrier_call_id: str) -> ManualStream:
        """Open a media stream.

        Raises:
            CallError: It was refused.
        """
        assert self._sink is not None, "connect() comes first"
        self._streams += 1
        stream = ManualStream(StreamId(f"stream-{self._streams}"))
        started = StreamStarted(
            stream_id=stream.stream_id,
            carrier_call_id=CarrierCallId(carrier_call_id),
            token=None,
        )
        stream.listener = self._sink.open_stream(started, stream)
        return stream

    async def hang_up_remote(self, carrier_call_id: str) -> None:
        """Let the other side hang up."""
        await self.report(
            carrier_call_id,
            CarrierEnded(cause=EndCause.NORMAL, by=EndedBy.REMOTE, carrier_code="bye"),
        )

    # -- call control ------------------------------------------------------------------

    async def dial(self, order: DialOrder) -> CarrierCallId:
        """Note a dial; the call's id is `manual-` and ours."""
        self.dialed.append(order)
        await self._obey("dial")
        return CarrierCallId(f"manual-{order.call_id}")

    async def answer(self, call: CallRef) -> None:
        """Note that a call is picked up."""
        self.answered.append(call)
        await self._obey("answer")

    async def reject(
        self, call: CallRef, *, cause: EndCause, notice: str | None
    ) -> None:
        """Note that a call is refused."""
        self.rejected.append((cause, notice))
        await self._obey("reject")
        self._confirm(call)

    async def hang_up(self, call: CallRef) -> None:
        """Note a hang-up."""
        self.hung_up.append(call)
        await self._obey("hang_up")
        self._confirm(call)

    async def act(
        self,
        call: CallRef,  # noqa: ARG002 - one list for all calls
        steps: tuple[PlanStep, ...],
    ) -> None:
        """Note steps."""
        await self._obey("act")
        self.steps.extend(steps)

    async def send_digits(
        self,
        call: CallRef,  # noqa: ARG002 - one list for all calls
        digits: tuple[Digit, ...],
    ) -> None:
        """Note keys."""
        await self._obey("send_digits")
        self.digits.extend(digits)

    async def fetch_status(self, call: CallRef) -> CarrierStatus:
        """Return `status`."""
        self.asked.append(call)
        await self._obey("fetch_status")
        return self.status

    async def _obey(self, command: str) -> None:
        await asyncio.sleep(self.delays.get(command, 0.0))
        if faults := self.faults.get(command):
            raise faults.pop(0)

    def _confirm(self, call: CallRef) -> None:
        if self.confirms:
            ended = CarrierEnded(
                cause=EndCause.NORMAL, by=EndedBy.CARRIER, carrier_code="completed"
            )
            task = asyncio.get_running_loop().create_task(
                self.report(call.carrier_call_id, ended)
            )
            self._news.add(task)
            task.add_done_callback(self._news.discard)
