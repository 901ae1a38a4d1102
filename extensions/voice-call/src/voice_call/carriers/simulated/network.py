"""A telephone network inside the process: dials, rings, answers, streams, hangs up.

One task lives each call, and one task paces the audio of all of them, in frames of
20 ms on absolute deadlines. Nothing is left after `close`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voice_call.call.model import (
    CarrierCallId,
    Direction,
    EndCause,
    EndedBy,
)
from voice_call.carriers.base import (
    CallRef,
    Capabilities,
    Carrier,
    CarrierStatus,
    DialOrder,
)
from voice_call.carriers.simulated.call import SimulatedCall
from voice_call.carriers.simulated.ear import CalleeSpeech, HeardUtterance
from voice_call.carriers.simulated.facts import CallFacts
from voice_call.carriers.simulated.numbers import Behaviour
from voice_call.carriers.simulated.settings import CalleePlan, SimulatedSettings
from voice_call.carriers.simulated.webhooks import SimulatedWebhooks
from voice_call.errors import (
    CarrierRefused,
    CarrierUnreachable,
    UnknownCall,
    Unsupported,
)
from voice_call.log import bind_call, get_logger
from voice_call.media.audio import FRAME_S

if TYPE_CHECKING:
    from voice_call.call.model import Digit
    from voice_call.carriers.base import CarrierSink, PlanStep
    from voice_call.clock import Clock

__all__ = ["CARRIER_NAME", "SimulatedNetwork"]

_log = get_logger(__name__)

CARRIER_NAME = "mock"
SLOW_CONTROL_S = 1.5
DIAL_TIMEOUT_S = 5.0
"""How long a dial to an unreachable carrier takes."""
MAX_LATENESS_S = 0.5
"""Frames that are later than this are skipped, as a network would lose them."""
INBOUND_MAX_DURATION_S = 4 * 3600.0
MAX_KEPT_CALLS = 200
"""Ended calls whose recordings can still be asked for."""
_TERMINAL_WORDS = ("stale", "ended", "completed")

CAPABILITIES = Capabilities(
    streams_audio=True,
    marks_playout=True,
    clears_playout=True,
    speaks_text=False,
    recognises_speech=False,
    sends_digits=True,
    detects_machines=True,
    transfers=False,
    dial_is_idempotent=True,
)


class SimulatedNetwork:
    """The network, its calls, and the carrier that leads to it.

    Args:
        clock: Says what time it is.
        settings: Who answers, and limits.
        callee_speech: Engines of the callees; None for callees without words.

    Attributes:
        carrier: What the runtime is given.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        settings: SimulatedSettings | None = None,
        callee_speech: CalleeSpeech | None = None,
    ) -> None:
        self.carrier = Carrier(
            name=CARRIER_NAME,
            capabilities=CAPABILITIES,
            control=_Control(self),
            webhooks=SimulatedWebhooks(),
        )
        self._clock = clock
        self._settings = settings or SimulatedSettings()
        self._speech = callee_speech or CalleeSpeech()
        self._sink: CarrierSink | None = None
        self._calls: dict[CarrierCallId, SimulatedCall] = {}
        self._tasks: dict[CarrierCallId, asyncio.Task[None]] = {}
        self._pacing: asyncio.Task[None] | None = None
        self._inbound = 0
        self._is_closed = False

    def connect(self, sink: CarrierSink) -> None:
        """Say where notices and media streams go; before the first call."""
        self._sink = sink

    async def call_in(
        self, from_: str, to: str, *, caller: CalleePlan | None = None
    ) -> CarrierCallId:
        """Place an inbound call.

        Args:
            from_: Caller, E.164; empty if withheld.
            to: The number of ours that is called, E.164.
            caller: Who calls; by default whoever answers at `from_`.

        Raises:
            CarrierUnreachable: The network is closed or connected to nothing.
        """
        # Later than any before, also those that the journal keeps of earlier runs.
        self._inbound = max(self._inbound + 1, round(self._clock.now() * 1000))
        facts = CallFacts(
            carrier_call_id=CarrierCallId(f"mock-in-{self._inbound}"),
            call_id=None,
            direction=Direction.INBOUND,
            from_=from_,
            to=to,
            ring_timeout_s=self._settings.caller_patience_s,
            max_duration_s=INBOUND_MAX_DURATION_S,
        )
        self._begin(facts, caller or self._settings.plan_for(from_))
        return facts.carrier_call_id

    def hang_up(self, carrier_call_id: CarrierCallId) -> None:
        """Let the other side hang up; harmless when the call is over.

        Raises:
            UnknownCall: The network never had such a call, or has forgotten it.
        """
        self._find(carrier_call_id).hang_up_remote()

    def press(self, carrier_call_id: CarrierCallId, digits: tuple[Digit, ...]) -> None:
        """Let the other side press keys.

        Raises:
            UnknownCall: The network never had such a call, or has forgotten it.
        """
        call = self._find(carrier_call_id)
        for digit in digits:
            call.press(digit)

    def heard(self, carrier_call_id: CarrierCallId) -> list[HeardUtterance]:
        """Return what the other side understood; needs `speech_to_text`.

        Raises:
            UnknownCall: The network never had such a call, or has forgotten it.
        """
        return list(self._find(carrier_call_id).callee.ear.heard)

    def heard_audio(self, carrier_call_id: CarrierCallId) -> bytes:
        """Return what the other side heard, µ-law, up to `recording_s`.

        Raises:
            UnknownCall: The network never had such a call, or has forgotten it.
        """
        return bytes(self._find(carrier_call_id).callee.ear.audio)

    def heard_digits(self, carrier_call_id: CarrierCallId) -> tuple[Digit, ...]:
        """Return the keys that the other side received.

        Raises:
            UnknownCall: The network never had such a call, or has forgotten it.
        """
        return tuple(self._find(carrier_call_id).callee.digits)

    def live_calls(self) -> tuple[CarrierCallId, ...]:
        """Return the ids of all calls that have not ended, oldest first."""
        return tuple(key for key, call in self._calls.items() if call.is_live)

    async def wait_ended(self, carrier_call_id: CarrierCallId) -> None:
        """Wait until a call has ended and its end has been delivered.

        Raises:
            UnknownCall: The network never had such a call, or has forgotten it.
        """
        self._find(carrier_call_id)
        task = self._tasks.get(carrier_call_id)
        if task is not None:
            await asyncio.wait({task})

    async def close(self) -> None:
        """End all calls without further notices and stop; harmless when repeated."""
        self._is_closed = True
        tasks = [*self._tasks.values()]
        if self._pacing is not None:
            tasks.append(self._pacing)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self._pacing = None

    # -- what the carrier's call control does ------------------------------------------

    async def dial(self, order: DialOrder) -> CarrierCallId:
        """Place an outbound call; a repeated order is the same call."""
        carrier_call_id = CarrierCallId(f"mock-{order.call_id}")
        plan = self._settings.plan_for(order.to)
        await self._delay(plan)
        if plan.behaviour is Behaviour.DIAL_ERROR:
            raise CarrierRefused(
                "The simulated carrier refuses this number; dial another one.",
                carrier=CARRIER_NAME,
                status=400,
                carrier_code="dial-error",
            )
        if plan.behaviour is Behaviour.UNREACHABLE:
            await asyncio.sleep(DIAL_TIMEOUT_S)
            raise CarrierUnreachable(
                "The simulated carrier did not answer; try again later.",
                carrier=CARRIER_NAME,
            )
        if carrier_call_id not in self._calls:
            facts = CallFacts(
                carrier_call_id=carrier_call_id,
                call_id=order.call_id,
                direction=Direction.OUTBOUND,
                from_=order.from_,
                to=order.to,
                ring_timeout_s=order.ring_timeout_s,
                max_duration_s=order.max_duration_s,
                stream_token=order.stream_token,
            )
            self._begin(facts, plan)
        return carrier_call_id

    async def find_live(self, call: CallRef) -> SimulatedCall | None:
        """Return a live call, None where it has ended or was never there."""
        found = self._calls.get(call.carrier_call_id)
        if found is None:
            return None
        await self._delay(found.plan)
        return found if found.is_live else None

    # -- inside ------------------------------------------------------------------------

    def _begin(self, facts: CallFacts, plan: CalleePlan) -> None:
        if self._sink is None or self._is_closed:
            raise CarrierUnreachable(
                "The simulated network is not connected; start the Gateway first.",
                carrier=CARRIER_NAME,
            )
        call = SimulatedCall(
            facts,
            plan=plan,
            settings=self._settings,
            speech=self._speech,
            sink=self._sink,
        )
        self._forget_oldest()
        key = facts.carrier_call_id
        self._calls[key] = call
        with bind_call(facts.call_id or key):
            task = asyncio.create_task(call.run(), name=f"simulated call {key}")
        self._tasks[key] = task
        task.add_done_callback(lambda done: self._settle(key, done))
        if self._pacing is None or self._pacing.done():
            self._pacing = asyncio.create_task(self._pace(), name="simulated pacing")

    def _settle(self, key: CarrierCallId, task: asyncio.Task[None]) -> None:
        self._tasks.pop(key, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("simulated call broke", carrier_call_id=key, exc_info=error)

    def _forget_oldest(self) -> None:
        ended = [key for key in self._calls if key not in self._tasks]
        for key in ended[: max(0, len(ended) - MAX_KEPT_CALLS + 1)]:
            del self._calls[key]

    async def _pace(self) -> None:
        started_at, frames = self._clock.now(), 0
        while self._tasks:
            frames += 1
            deadline = started_at + frames * FRAME_S
            wait_s = deadline - self._clock.now()
            if wait_s < -MAX_LATENESS_S:
                _log.warning("simulated audio is late", skipped_s=round(-wait_s, 2))
                started_at, frames = self._clock.now(), 0
                deadline = started_at
            await asyncio.sleep(max(0.0, wait_s))
            for key in tuple(self._tasks):
                self._calls[key].tick(at=deadline)

    async def _delay(self, plan: CalleePlan) -> None:
        if plan.behaviour is Behaviour.SLOW:
            await asyncio.sleep(SLOW_CONTROL_S)

    def _find(self, carrier_call_id: CarrierCallId) -> SimulatedCall:
        try:
            return self._calls[carrier_call_id]
        except KeyError:
            raise UnknownCall("The simulated network has no such call.") from None


class _Control:
    """The command side of the simulated carrier."""

    def __init__(self, network: SimulatedNetwork) -> None:
        self._network = network

    async def dial(self, order: DialOrder) -> CarrierCallId:
        return await self._network.dial(order)

    async def answer(self, call: CallRef) -> None:
        if (live := await self._network.find_live(call)) is not None:
            live.answer()

    async def reject(
        self, call: CallRef, *, cause: EndCause, notice: str | None
    ) -> None:
        if (live := await self._network.find_live(call)) is not None:
            if notice is not None:
                await live.announce(notice)
            is_busy = cause is EndCause.ALL_LINES_BUSY
            live.end(cause, EndedBy.CARRIER, "busy" if is_busy else "rejected")

    async def hang_up(self, call: CallRef) -> None:
        if (live := await self._network.find_live(call)) is not None:
            live.hang_up()

    async def act(
        self,
        call: CallRef,  # noqa: ARG002 - it makes no difference
        steps: tuple[PlanStep, ...],  # noqa: ARG002 - as above
    ) -> None:
        raise Unsupported("The simulated network speaks over media streams only.")

    async def send_digits(self, call: CallRef, digits: tuple[Digit, ...]) -> None:
        live = await self._network.find_live(call)
        if live is None or not live.is_connected:
            raise CarrierRefused(
                "The simulated call is not connected, so nobody hears the keys.",
                carrier=CARRIER_NAME,
                status=404,
                carrier_code="not-connected",
            )
        live.callee.receive_digits(digits)

    async def fetch_status(self, call: CallRef) -> CarrierStatus:
        folded = call.carrier_call_id.lower()
        if any(word in folded for word in _TERMINAL_WORDS):
            return CarrierStatus.ENDED
        live = await self._network.find_live(call)
        return CarrierStatus.ENDED if live is None else CarrierStatus.LIVE

    async def close(self) -> None:
        await self._network.close()
