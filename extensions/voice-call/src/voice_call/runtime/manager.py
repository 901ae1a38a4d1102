"""All calls of a Gateway: place, take, find, drain, recover.

The manager knows which calls there are; what happens inside one is its session's
business. A place among the outbound calls is taken before anything is awaited, so two
requests at the same time cannot both get the last one.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from voice_call.call.actions import End, Ignored
from voice_call.call.events import (
    AgentSpeechEnded,
    Answered,
    CarrierEnded,
    Offered,
    Ringing,
    SpeechOutcome,
    StreamClosed,
)
from voice_call.call.model import (
    CallId,
    CallMode,
    CarrierCallId,
    Direction,
    EndCause,
    EndedBy,
    MediaPhase,
)
from voice_call.call.policy import (
    Admit,
    InboundRules,
    OutboundRules,
    Refuse,
    judge_inbound,
    judge_outbound,
)
from voice_call.call.setup import CallLimits, CallSetup, Phrases, Refusal
from voice_call.carriers.base import CallRef, CarrierStatus, EndCall
from voice_call.errors import (
    CarrierError,
    InvalidNumber,
    JournalCorrupt,
    JournalError,
    LimitReached,
    MessageRequired,
    MessageTooLong,
    NumberRefused,
    ShuttingDown,
    UnknownCall,
)
from voice_call.log import get_logger
from voice_call.phone_numbers import mask, parse_e164
from voice_call.runtime.journal_codec import CallOpened
from voice_call.runtime.recovery import RebuiltCall, pack_setup, rebuild
from voice_call.runtime.session import CallSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voice_call.carriers.base import (
        CarrierNotice,
        MediaLink,
        MediaListener,
        PlanStep,
        StreamStarted,
    )
    from voice_call.runtime.journal_codec import JournalEntry
    from voice_call.runtime.services import CallServices

__all__ = ["CallManager", "ManagerSettings", "PlaceOrder", "check_message"]

_log = get_logger(__name__)

MAX_MESSAGE_CHARACTERS = 20_000
"""About twenty minutes of speech; more is a mistake rather than a message."""
_REFUSALS = {each.code: each for each in (InvalidNumber, LimitReached, NumberRefused)}
_MOST_OPEN_CALLS = 10_000
_LAST_WORDS_S = 5.0
"""How long a drain waits for calls that it had to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerSettings:
    """How calls are made and taken.

    Attributes:
        from_number: Caller id of outbound calls, E.164.
        outbound: Which numbers may be dialled, and how many calls at once.
        inbound: Whose calls are taken, and how many at once.
        greeting: What inbound callers hear first.
        has_streams: True where audio comes and goes over media streams.
        limits: How long calls may wait for things.
        phrases: What calls themselves say.
        session_key: Which conversation memory a call uses, from the other side's
            number and the call's id.
    """

    from_number: str
    outbound: OutboundRules
    inbound: InboundRules
    greeting: str
    session_key: Callable[[str, CallId], str]
    has_streams: bool = True
    limits: CallLimits = field(default_factory=CallLimits)
    phrases: Phrases = field(default_factory=Phrases)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder:
    """What somebody wants who wants a call placed.

    Attributes:
        to: Callee.
        message: What is said first, or None.
        mode: What the call is for.
        session_key: Which conversation memory to use; None for the usual one.
    """

    to: str
    message: str | None
    mode: CallMode
    session_key: str | None = None


def check_message(message: str | None) -> str:
    """Return a message that can be spoken.

    Raises:
        MessageRequired: It is empty.
        MessageTooLong: It is longer than 20,000 characters.
    """
    text = (message or "").strip()
    if not text:
        raise MessageRequired("message required: say what should be said on the call.")
    if len(text) > MAX_MESSAGE_CHARACTERS:
        raise MessageTooLong(
            f"The message has {len(text)} characters; the limit is "
            f"{MAX_MESSAGE_CHARACTERS}. Say it in parts."
        )
    return text


class CallManager:
    """Every call there is."""

    def __init__(self, services: CallServices, settings: ManagerSettings) -> None:
        self._services = services
        self._settings = settings
        self._sessions: dict[CallId, CallSession] = {}
        self._by_carrier: dict[CarrierCallId, CallId] = {}
        self._deliveries: set[asyncio.Task[None]] = set()
        self._is_draining = False

    # -- looking -----------------------------------------------------------------------

    def live(self) -> list[CallSession]:
        """Return the calls that have not ended, oldest first."""
        return list(self._sessions.values())

    def session(self, call_or_carrier_id: str) -> CallSession:
        """Return a live call by our id or by the carrier's.

        Raises:
            UnknownCall: There is no such live call.
        """
        session = self._live(call_or_carrier_id)
        if session is None:
            raise UnknownCall(
                "No live call has this id; `openclaw voicecall status` lists the calls."
            )
        return session

    def _live(self, name: str) -> CallSession | None:
        call_id = self._by_carrier.get(CarrierCallId(name), CallId(name))
        session = self._sessions.get(call_id)
        if session is None:  # perhaps a name from before a restart
            known = self._services.journal.find(name)
            session = None if known is None else self._sessions.get(known)
        return session

    def describe(self, call_or_carrier_id: str) -> CallSession | RebuiltCall:
        """Return a call, live or ended.

        Raises:
            UnknownCall: There never was such a call.
        """
        try:
            return self.session(call_or_carrier_id)
        except UnknownCall:
            call_id = self._services.journal.find(call_or_carrier_id)
            if call_id is None:
                raise
        return self._rebuild(self._services.journal.entries(call_id))

    def _rebuild(self, entries: list[JournalEntry]) -> RebuiltCall:
        summary = self._services.journal.summary(entries[0].call_id)
        newest_id = None if summary is None else summary.carrier_call_id
        return rebuild(entries, carrier_call_id=newest_id)

    # -- placing -----------------------------------------------------------------------

    async def place(self, order: PlaceOrder) -> CallSession:
        """Place a call; returns as soon as it is written down and being dialled.

        Raises:
            CallError: It must not or cannot be placed; nothing was dialled.
            JournalError: It could not be written down; nothing was dialled.
        """
        if self._is_draining:
            raise ShuttingDown("The Gateway is about to stop; try again later.")
        to = self._admit(order.to)
        opening = order.message
        if opening is not None or order.mode is CallMode.NOTIFY:
            opening = check_message(opening)
        call_id = CallId(str(uuid.uuid4()))
        setup = self._setup(call_id, Direction.OUTBOUND, order.mode, opening, None)
        opened = CallOpened(
            call_id=call_id,
            carrier=self._services.carrier.name,
            direction=Direction.OUTBOUND,
            mode=order.mode,
            from_=self._settings.from_number,
            to=to,
            session_key=order.session_key or self._settings.session_key(to, call_id),
            opening=opening,
            limits=pack_setup(setup),
        )
        return await self._begin(CallSession(opened, setup, self._services, self))

    def _admit(self, number: str) -> str:
        """Return the number in E.164 form, if it may be dialled now."""
        live_calls = self._count(Direction.OUTBOUND)
        decision = judge_outbound(
            number, self._settings.outbound, live_calls=live_calls
        )
        match decision:
            case Admit():
                return parse_e164(number)
            case Refuse():
                raise _REFUSALS.get(decision.code, NumberRefused)(decision.why)
            case _:
                assert_never(decision)

    def _count(self, direction: Direction) -> int:
        return sum(
            each.opened.direction is direction and each.machine.setup.refusal is None
            for each in self._sessions.values()
        )

    def _setup(
        self,
        call_id: CallId,
        direction: Direction,
        mode: CallMode,
        opening: str | None,
        refusal: Refusal | None,
    ) -> CallSetup:
        return CallSetup(
            call_id=call_id,
            direction=direction,
            mode=mode,
            opening=opening,
            has_streams=self._settings.has_streams,
            refusal=refusal,
            limits=self._settings.limits,
            phrases=self._settings.phrases,
        )

    async def _begin(self, session: CallSession) -> CallSession:
        """Enter a call among the live ones, then start it; both or neither."""
        self._enter(session)
        try:
            await session.begin()
        except BaseException:
            self._leave(session)
            raise
        return session

    def _enter(self, session: CallSession) -> None:
        self._sessions[session.opened.call_id] = session
        if session.carrier_call_id is not None:
            self._by_carrier[session.carrier_call_id] = session.opened.call_id

    def _leave(self, session: CallSession) -> None:
        call_id = session.opened.call_id
        self._sessions.pop(call_id, None)
        for alias in [key for key, to in self._by_carrier.items() if to == call_id]:
            del self._by_carrier[alias]

    # -- from the carrier (CarrierSink) ------------------------------------------------

    async def deliver(self, notice: CarrierNotice) -> None:
        """Take what the carrier reports; returns when it is durable.

        Cancelling this does not take the notice back: once it is written, it must take
        effect as well, for the carrier's next report of it would be a repetition.

        Raises:
            JournalError: It could not be written; the carrier must report it again.
        """
        taking = asyncio.get_running_loop().create_task(self._deliver(notice))
        self._deliveries.add(taking)
        taking.add_done_callback(self._delivered)
        await asyncio.shield(taking)

    def _delivered(self, taking: asyncio.Task[None]) -> None:
        self._deliveries.discard(taking)
        if not taking.cancelled():
            taking.exception()  # told to whoever waits, if anybody still does

    async def _deliver(self, notice: CarrierNotice) -> None:
        session = self._find_for(notice)
        if session is None:
            session = await self._take(notice)
        if session is None:
            await self._set_aside(notice)
            return
        is_renamed = self._is_new_name(notice.carrier_call_id, session)
        if isinstance(notice.event, AgentSpeechEnded):
            session.played(notice.event.utterance_id)
            return
        await session.receive(
            notice.event,
            dedupe_key=notice.dedupe_key,
            carrier_call_id=notice.carrier_call_id if is_renamed else None,
        )

    def _find_for(self, notice: CarrierNotice) -> CallSession | None:
        session = self._live(notice.carrier_call_id)
        if session is None and notice.call_id is not None:
            session = self._sessions.get(notice.call_id)
        return session

    def _is_new_name(self, name: CarrierCallId, session: CallSession) -> bool:
        """Return False for the name in use and for older ones, whose news come late."""
        if name == session.carrier_call_id or name in self._by_carrier:
            return False
        return self._services.journal.find(name) is None

    async def _take(self, notice: CarrierNotice) -> CallSession | None:
        """Make a call out of an inbound offer; None where it is not one."""
        is_offer = isinstance(notice.event, (Offered, Ringing, Answered))
        if notice.direction is not Direction.INBOUND or not is_offer:
            return None
        if self._services.journal.find(notice.carrier_call_id) is not None:
            return None  # late news of a call that is over
        caller = notice.from_ or ""
        refusal = self._refusal(caller)
        call_id = CallId(str(uuid.uuid4()))
        greeting = self._settings.greeting
        setup = self._setup(
            call_id, Direction.INBOUND, CallMode.CONVERSATION, greeting, refusal
        )
        opened = CallOpened(
            call_id=call_id,
            carrier=self._services.carrier.name,
            direction=Direction.INBOUND,
            mode=CallMode.CONVERSATION,
            from_=caller,
            to=notice.to or self._settings.from_number,
            session_key=self._settings.session_key(caller, call_id),
            opening=greeting,
            limits=pack_setup(setup),
            carrier_call_id=notice.carrier_call_id,
        )
        return await self._begin(CallSession(opened, setup, self._services, self))

    def _refusal(self, caller: str) -> Refusal | None:
        if self._is_draining:
            return Refusal(cause=EndCause.ALL_LINES_BUSY)
        decision = judge_inbound(
            caller,
            self._settings.inbound,
            live_calls=self._count(Direction.INBOUND),
        )
        match decision:
            case Admit():
                return None
            case Refuse():
                _log.info("inbound call refused", why=decision.why, caller=mask(caller))
                return Refusal(cause=decision.cause, notice=decision.notice)
            case _:
                assert_never(decision)

    async def _set_aside(self, notice: CarrierNotice) -> None:
        """Keep news of a call that is over; say that news of no call came."""
        journal = self._services.journal
        call_id = journal.find(notice.carrier_call_id)
        if call_id is None:
            _log.warning("notice without a call", what=type(notice.event).__name__)
            return
        await journal.append(
            call_id,
            Ignored(event=notice.event, why="the call has ended"),
            at=self._services.clock.now(),
            dedupe_key=notice.dedupe_key,
        )

    def plan(self, carrier_call_id: CarrierCallId) -> tuple[PlanStep, ...]:
        """Return what a carrier shall do with a call now, in answer to its webhook."""
        try:
            return self.session(carrier_call_id).plan()
        except UnknownCall:
            return (EndCall(),)

    def open_stream(self, started: StreamStarted, link: MediaLink) -> MediaListener:
        """Bind a media stream to its call.

        Raises:
            CallError: There is no such live call.
        """
        return self.session(started.carrier_call_id).open_stream(started, link)

    # -- from the sessions (CallOwner) -------------------------------------------------

    def call_named(self, session: CallSession, carrier_call_id: CarrierCallId) -> None:
        """Find the call under its carrier's new id, too, unless it is over by now."""
        if session.opened.call_id in self._sessions:
            self._by_carrier[carrier_call_id] = session.opened.call_id

    def call_closed(self, session: CallSession) -> None:
        """Give the call's place free."""
        self._leave(session)

    # -- stopping and starting ---------------------------------------------------------

    async def drain(self, limit_s: float) -> None:
        """Refuse new calls, let live ones end, end the rest after `limit_s` seconds."""
        self._is_draining = True
        if await self._wait_for_all(limit_s):
            return
        _log.warning("ending calls that are still live", calls=len(self._sessions))
        for session in self.live():
            if not session.machine.is_ending:
                await self._end(session)
        await self._wait_for_all(_LAST_WORDS_S)

    async def _end(self, session: CallSession) -> None:
        try:
            await session.command(End(by=EndedBy.SYSTEM, cause=EndCause.CANCELLED))
        except JournalError as fault:  # it is hung up all the same
            _log.error(
                "the end of a call is not written down",
                call_id=session.opened.call_id,
                code=fault.code,
            )

    async def _wait_for_all(self, limit_s: float) -> bool:
        waits = [asyncio.ensure_future(each.wait_closed()) for each in self.live()]
        if not waits:
            return True
        _, pending = await asyncio.wait(waits, timeout=limit_s)
        for wait in pending:
            wait.cancel()
        return not pending

    async def recover(self) -> None:
        """Take up the calls that an earlier process left open. Never dials.

        Each is rebuilt from the journal and asked after at its carrier. Calls that the
        carrier does not know any more, or never knew, are over; the others go on, with
        what is left of their time. All are asked after at once: a slow carrier must not
        keep the last call waiting for the answers about all others.
        """
        calls = list(self._open_calls())
        sessions = [self._revive(call) for call in calls]
        await asyncio.gather(*map(self._take_up, sessions, calls))

    def _open_calls(self) -> Iterator[RebuiltCall]:
        journal = self._services.journal
        for summary in journal.calls(limit=_MOST_OPEN_CALLS, is_open=True):
            try:
                yield self._rebuild(journal.entries(summary.call_id))
            except JournalCorrupt as fault:
                # One damaged call must not keep the others, and new ones, from going on.
                _log.error("call lost", call_id=summary.call_id, detail=str(fault))

    def _revive(self, rebuilt: RebuiltCall) -> CallSession:
        session = CallSession(
            rebuilt.opened,
            rebuilt.machine.setup,
            self._services,
            self,
            machine=rebuilt.machine,
        )
        session.carrier_call_id = rebuilt.facts.carrier_call_id
        self._enter(session)
        return session

    async def _take_up(self, session: CallSession, rebuilt: RebuiltCall) -> None:
        status = await self._ask_after(session)
        _log.info("open call found", call_id=session.opened.call_id, carrier=status)
        machine = session.machine
        if status is CarrierStatus.ENDED and not machine.is_over:
            await session.receive(CarrierEnded(cause=EndCause.LOST, by=EndedBy.CARRIER))
            return
        if machine.media is MediaPhase.OPEN and machine.stream_id is not None:
            await session.receive(StreamClosed(stream_id=machine.stream_id))
        for utterance_id in rebuilt.speaking:
            await session.receive(
                AgentSpeechEnded(
                    utterance_id=utterance_id,
                    outcome=SpeechOutcome.CANCELLED,
                    heard="",  # nobody can prove what was
                )
            )
        session.revive()

    async def _ask_after(self, session: CallSession) -> CarrierStatus:
        carrier_call_id = session.carrier_call_id
        if carrier_call_id is None:
            return CarrierStatus.ENDED
        ref = CallRef(call_id=session.opened.call_id, carrier_call_id=carrier_call_id)
        try:
            return await self._services.carrier.control.fetch_status(ref)
        except CarrierError as fault:
            _log.warning("carrier did not say", call_id=ref.call_id, code=fault.code)
        except Exception:  # noqa: BLE001 - must not keep the other calls from their end
            _log.exception("asking the carrier broke down", call_id=ref.call_id)
        return CarrierStatus.UNKNOWN
