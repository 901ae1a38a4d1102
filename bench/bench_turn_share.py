"""Our own share of a turn: from the final transcript to the first frame sent.

Everything but the engines and the agent, which answer at once here: turn-taking, the call
machine, the journal on disk, the start of the reply, sentence splitting, the playout, and
the hand-overs between them, on a real event loop with the real session, line and mouth.
Frames come in every 20 ms meanwhile.

The baseline of the same run is a bare hand-over: one `call_soon` between the transcript
and the frame. It shows how long the machine lets any program wait.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench_support import percentile, settle

from voice_call.call.actions import End
from voice_call.call.events import Answered
from voice_call.call.model import CallMode, CarrierCallId, EndCause, EndedBy, StreamId
from voice_call.call.policy import InboundRules, OutboundRules
from voice_call.call.turns import TurnSettings
from voice_call.carriers.base import (
    SendAudio,
    SendMark,
    StreamAudio,
    StreamMark,
    StreamStarted,
)
from voice_call.clock import SystemClock
from voice_call.media.audio import FRAME_S, SILENT_FRAME
from voice_call.media.vad import VoiceGateSettings
from voice_call.runtime.agent import TextDelta
from voice_call.runtime.ears import Hearing
from voice_call.runtime.journal import Journal
from voice_call.runtime.manager import CallManager, ManagerSettings, PlaceOrder
from voice_call.runtime.services import CallServices
from voice_call.runtime.ticker import Ticker
from voice_call.speech.base import Transcript, Voice
from voice_call.testing.carriers import ManualCarrier
from voice_call.testing.speech import (
    EnergyVoiceDetector,
    ScriptedSpeechToText,
    ToneTextToSpeech,
    tone,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from voice_call.carriers.base import MediaListener, StreamCommand
    from voice_call.runtime.agent import AgentTurn

TURNS = 300
CALLS = 20
WARM_UP_TURNS = 5
PAUSE_ALONE_S = 0.02
PAUSE_TOGETHER_S = 0.5
TARGET_MS = 10.0
WORDS = "What time is it over there?"
REPLY_AUDIO = tone(0.04)
WINDOW_S = 0.004
GATE = VoiceGateSettings(window_s=WINDOW_S, release_s=4 * WINDOW_S)
PATIENCE = TurnSettings(endpoint_s=0.02, closed_endpoint_s=0.02)
PROBABILITIES = (1.0,) * 5 + (0.0,) * 6


class InstantAgent:
    async def reply(self, turn: AgentTurn) -> AsyncIterator[TextDelta]:
        del turn
        yield TextDelta(text="It is noon.")


class InstantTextToSpeech(ToneTextToSpeech):
    """Gives a tone that was made before: making it would be an engine's work."""

    async def synthesize(self, text: str, *, voice: Voice) -> AsyncIterator[bytes]:
        del text, voice
        yield REPLY_AUDIO


class Detector(EnergyVoiceDetector):
    """Reports what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[Callable[[float, float], None]] = []

    def open(self, report: Callable[[float, float], None]) -> Detector:
        self.reports.append(report)
        return self

    def push(self, audio: bytes, *, at: float) -> None:
        pass

    def close(self) -> None:  # type: ignore[override]  # a probe's close
        pass


class Recogniser(ScriptedSpeechToText):
    """Answers at once, and notes when."""

    def open(self, report: Callable[..., None], *, language: str) -> Recognition:
        del language
        self.last = Recognition(report)
        return self.last


class Recognition:
    def __init__(self, report: Callable[..., None]) -> None:
        self._report = report
        self._segment = 0
        self.answered_at = 0.0

    def push(self, audio: bytes) -> None:
        pass

    def begin_segment(self) -> int:
        self._segment += 1
        return self._segment

    def request_interim(self) -> None:
        pass

    def end_segment(self) -> None:
        asyncio.get_running_loop().call_soon(self._answer)

    def _answer(self) -> None:
        self.answered_at = time.perf_counter()
        self._report(Transcript(segment=self._segment, text=WORDS, is_final=True))

    async def close(self) -> None:
        pass


@dataclass(slots=True)
class Phone:
    """The other side's end of a media stream."""

    heard_at: float = 0.0
    has_played: asyncio.Event = field(default_factory=asyncio.Event)
    listener: MediaListener | None = None

    def send(self, command: StreamCommand) -> None:
        match command:
            case SendAudio():
                self.heard_at = self.heard_at or time.perf_counter()
            case SendMark(name=name):
                loop = asyncio.get_running_loop()
                loop.call_later(len(REPLY_AUDIO) / 8000, self._play, name)
            case _:
                pass

    def _play(self, name: str) -> None:
        assert self.listener is not None
        self.listener.receive(StreamMark(name=name))
        self.has_played.set()

    async def listen(self) -> None:
        """Send a frame every 20 ms."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - loop.time()))
            assert self.listener is not None
            self.listener.receive(StreamAudio(payload=SILENT_FRAME))

    def close(self) -> None:
        pass


class Centre:
    """A manager with instant engines and a journal on disk."""

    def __init__(self, folder: Path) -> None:
        self.clock = SystemClock()
        self.carrier = ManualCarrier()
        self.detector = Detector()
        self.stt = Recogniser()
        self.journal = Journal.open(folder / "calls.sqlite3")
        self.ticker = Ticker(self.clock)
        hearing = Hearing(
            stt=self.stt,
            detector=self.detector,
            turns=PATIENCE,
            gate=GATE,
            language="en-US",
        )
        services = CallServices(
            clock=self.clock,
            journal=self.journal,
            carrier=self.carrier.carrier,
            agent=InstantAgent(),
            agent_timeout_s=30.0,
            tts=InstantTextToSpeech(),
            voice=Voice(),
            hearing=hearing,
            ticker=self.ticker,
        )
        settings = ManagerSettings(
            from_number="+15550100000",
            outbound=OutboundRules(max_calls=CALLS),
            inbound=InboundRules(),
            greeting="Hello.",
            session_key=lambda number, _: number,
        )
        self.manager = CallManager(services, settings)
        self.carrier.connect(self.manager)

    async def converse(self, number: int, turns: int, pause_s: float) -> list[float]:
        """Hold one call and return our share of each turn, in ms."""
        # One after the other, as people begin to speak: not all at the same moment.
        await asyncio.sleep(PAUSE_TOGETHER_S * number / CALLS)
        order = PlaceOrder(
            to=f"+1555010{number:04d}", message=None, mode=CallMode.CONVERSATION
        )
        session = await self.manager.place(order)
        carrier_call_id = CarrierCallId(f"manual-{session.opened.call_id}")
        await asyncio.sleep(0.05)  # the dial
        await self.carrier.report(carrier_call_id, Answered())
        phone = Phone()
        phone.listener = self.manager.open_stream(
            StreamStarted(
                stream_id=StreamId(f"stream-{number}"),
                carrier_call_id=carrier_call_id,
                token=None,
            ),
            phone,
        )
        recognition, report = self.stt.last, self.detector.reports[-1]
        frames = asyncio.create_task(phone.listen())
        shares = []
        for _ in range(WARM_UP_TURNS + turns):
            await asyncio.sleep(pause_s + len(PROBABILITIES) * WINDOW_S)
            phone.heard_at = 0.0
            phone.has_played.clear()
            began_at = self.clock.now() - len(PROBABILITIES) * WINDOW_S
            for index, probability in enumerate(PROBABILITIES):
                report(probability, began_at + (index + 1) * WINDOW_S)
            await asyncio.wait_for(phone.has_played.wait(), timeout=10)
            shares.append(1000 * (phone.heard_at - recognition.answered_at))
        frames.cancel()
        await session.command(End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL))
        await session.wait_closed()
        return shares[WARM_UP_TURNS:]

    async def close(self) -> None:
        await self.manager.drain(0.0)
        await self.carrier.close()
        self.ticker.close()
        await self.journal.close()


async def hand_over_barely(turns: int, pause_s: float) -> list[float]:
    """Return how long a bare hand-over takes each time, in ms."""
    loop, delays = asyncio.get_running_loop(), []
    for _ in range(turns):
        await asyncio.sleep(pause_s)
        sent: asyncio.Future[float] = loop.create_future()
        began = time.perf_counter()
        loop.call_soon(lambda done=sent: done.set_result(time.perf_counter()))
        delays.append(1000 * (await sent - began))
    return delays


def show(title: str, shares: list[float], bare: list[float]) -> None:
    p50, p99 = percentile(shares, 50), percentile(shares, 99)
    bare_p50, bare_p99 = percentile(bare, 50), percentile(bare, 99)
    print(f"{title}: {len(shares)} turns")
    print(f"  ours           p50 {p50:7.3f} ms   p99 {p99:7.3f} ms")
    print(f"  bare hand-over p50 {bare_p50:7.3f} ms   p99 {bare_p99:7.3f} ms")
    print(f"  ratio          p50 {p50 / bare_p50:7.1f}      p99 {p99 / bare_p99:7.1f}")
    verdict = "within" if p99 <= TARGET_MS else "ABOVE"
    print(f"  p99 is {verdict} the target of {TARGET_MS:g} ms")


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        centre = Centre(Path(folder))
        settle()
        alone, bare = await asyncio.gather(
            centre.converse(0, TURNS, PAUSE_ALONE_S),
            hand_over_barely(TURNS, 2 * PAUSE_ALONE_S),
        )
        show("one call", alone, bare)
        *together, bare = await asyncio.gather(
            *(
                centre.converse(number, TURNS // CALLS, PAUSE_TOGETHER_S)
                for number in range(CALLS)
            ),
            hand_over_barely(TURNS, 0.05),
        )
        show(f"{CALLS} calls", [each for call in together for each in call], bare)
        await centre.close()


if __name__ == "__main__":
    try:
        from uvloop import run  # what the Gateway runs on, where there is one
    except ImportError:
        from asyncio import run
    run(main())
