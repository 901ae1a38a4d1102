"""A call centre ready for use: real manager, journal and sessions, made-up speech.

It lives in virtual time. The carrier is a `ManualCarrier`, or any network that has a
`carrier`, such as `SimulatedNetwork`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from voice_call.call.model import CallMode
from voice_call.call.policy import InboundPolicy, InboundRules, OutboundRules
from voice_call.call.setup import CallLimits
from voice_call.call.turns import TurnSettings
from voice_call.media.vad import VoiceGateSettings
from voice_call.runtime.ears import Hearing
from voice_call.runtime.journal import Journal
from voice_call.runtime.manager import CallManager, ManagerSettings, PlaceOrder
from voice_call.runtime.services import CallServices
from voice_call.runtime.ticker import Ticker
from voice_call.speech.base import Voice
from voice_call.testing.agents import ScriptedAgent
from voice_call.testing.clock import VirtualClock
from voice_call.testing.speech import (
    EnergyVoiceDetector,
    ScriptedSpeechToText,
    ToneTextToSpeech,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from voice_call.carriers.base import Carrier, CarrierSink
    from voice_call.runtime.session import CallSession

__all__ = ["CALLEE", "Exchange", "Office"]

CALLEE = "+15550100999"
"""An ordinary number."""


class Exchange(Protocol):
    """A telephone network with a carrier that leads to it."""

    @property
    def carrier(self) -> Carrier:
        """What the runtime is given."""
        ...

    def connect(self, sink: CarrierSink) -> None:
        """Say where notices and streams go."""
        ...

    async def close(self) -> None:
        """Stop."""
        ...


ExchangeT = TypeVar("ExchangeT", bound=Exchange)


class Office(Generic[ExchangeT]):
    """A call centre; make it inside the running event loop, and close it.

    Attributes:
        network: Who carries the calls.
        clock: The virtual clock.
        journal: Where everything is kept.
        agent: Who answers.
        tts: How the agent sounds.
        stt: What the agent understands.
        services: What calls are built from.
        manager: All calls.
    """

    def __init__(
        self,
        network: ExchangeT,
        *,
        journal: Journal | None = None,
        agent: ScriptedAgent | None = None,
        agent_timeout_s: float = 30.0,
        limits: CallLimits | None = None,
        turns: TurnSettings | None = None,
        max_calls: int = 4,
        inbound: InboundRules | None = None,
        greeting: str = "Hello, how can I help?",
        records: Path | None = None,
    ) -> None:
        self.network = network
        self.clock = VirtualClock()
        self.journal = journal or Journal.in_memory()
        self.agent = agent or ScriptedAgent()
        self.tts = ToneTextToSpeech()
        self.stt = ScriptedSpeechToText()
        self.ticker = Ticker(self.clock)
        self.services = CallServices(
            clock=self.clock,
            journal=self.journal,
            carrier=network.carrier,
            agent=self.agent,
            agent_timeout_s=agent_timeout_s,
            tts=self.tts,
            voice=Voice(),
            hearing=Hearing(
                stt=self.stt,
                detector=EnergyVoiceDetector(),
                turns=turns or TurnSettings(),
                gate=VoiceGateSettings(window_s=0.02),
                language="en-US",
            ),
            ticker=self.ticker,
            records=records,
        )
        self.settings = ManagerSettings(
            from_number="+15550100000",
            outbound=OutboundRules(max_calls=max_calls),
            inbound=inbound or InboundRules(policy=InboundPolicy.OPEN),
            greeting=greeting,
            session_key=lambda number, _: f"voice:{number.lstrip('+')}",
            limits=limits or CallLimits(),
        )
        self.manager = CallManager(self.services, self.settings)
        network.connect(self.manager)

    async def __aenter__(self) -> Self:
        """Return the office."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the office."""
        await self.close()

    def restart(self) -> CallManager:
        """Forget all calls, as a new process does, and return the new manager."""
        self.manager = CallManager(self.services, self.settings)
        self.network.connect(self.manager)
        return self.manager

    async def close(self) -> None:
        """End all calls and release everything."""
        await self.manager.drain(0.0)
        await self.network.close()
        self.ticker.close()
        await self.journal.close()

    async def place(
        self,
        message: str | None = "Hello there.",
        *,
        to: str = CALLEE,
        mode: CallMode = CallMode.CONVERSATION,
    ) -> CallSession:
        """Place a call, and let the dial happen."""
        session = await self.manager.place(
            PlaceOrder(to=to, message=message, mode=mode)
        )
        await asyncio.sleep(0.01)
        return session

    async def wait_until(
        self, is_met: Callable[[], bool], *, within_s: float = 60.0
    ) -> None:
        """Wait until something is true, to 10 ms.

        Raises:
            TimeoutError: It was not within `within_s`.
        """
        async with asyncio.timeout(within_s):
            while not is_met():  # noqa: ASYNC110 - virtual time makes polling exact
                await asyncio.sleep(0.01)
