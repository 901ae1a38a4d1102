"""Drives ONE call: events in, actions carried out, one timer armed.

The session decides nothing: the machine does. It writes what happens to the journal,
hands it to the machine, and passes the machine's actions on: call control to
`Signalling`, words to `Line`, answers to whoever waits.

Order: what a carrier reports is durable before it takes effect. One thing is written at
a time, and what happens meanwhile on our side, deadlines included, waits behind it, so
that the journal tells events in the order in which the machine saw them, and replay
gives the same call again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol, assert_never

from voice_call.call.actions import (
    AnswerCall,
    Ask,
    AskFailed,
    AskResolved,
    CallEnded,
    Dial,
    FailureCode,
    Hangup,
    Ignored,
    Listen,
    PhaseChanged,
    RejectCall,
    SendDigits,
    SendKeys,
    Speak,
    StartReply,
    TakeBack,
    TranscriptAdded,
)
from voice_call.call.events import (
    CallerSpoke,
    CarrierEnded,
    Dialed,
    StreamClosed,
)
from voice_call.call.machine import CallMachine
from voice_call.call.model import CallMode, EndCause, EndedBy
from voice_call.carriers.base import CallRef, DialOrder, EndCall
from voice_call.errors import CallOver, CarrierError, SpeechError, TranscriptTimeout
from voice_call.log import get_logger
from voice_call.reports.record import CallFacts
from voice_call.reports.transcript import MomentKind
from voice_call.runtime.agent import AgentTurn
from voice_call.runtime.alarm import Alarm
from voice_call.runtime.carrier_voice import CarrierVoice
from voice_call.runtime.chronicle import Chronicle
from voice_call.runtime.line import Line
from voice_call.runtime.signalling import Signalling

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from typing import Any

    from voice_call.call.actions import CallAction, CallCommand
    from voice_call.call.events import CallEvent
    from voice_call.call.model import CarrierCallId
    from voice_call.call.setup import CallSetup
    from voice_call.carriers.base import (
        MediaLink,
        MediaListener,
        PlanStep,
        StreamStarted,
    )
    from voice_call.runtime.journal_codec import CallOpened
    from voice_call.runtime.services import CallServices
    from voice_call.runtime.spoken_path import SpokenPath

__all__ = ["CallOwner", "CallSession"]

_log = get_logger(__name__)

_END_REPORT_S = 0.5
"""How long a carrier may take to report an end that it was asked for. Not all carriers
report every end: Twilio tells nobody of an inbound call that it was told to refuse."""


class CallOwner(Protocol):
    """Who keeps the list of calls."""

    def call_named(self, session: CallSession, carrier_call_id: CarrierCallId) -> None:
        """The carrier has a new id for the call."""
        ...

    def call_closed(self, session: CallSession) -> None:
        """The call is over and everything of it is released."""
        ...


class CallSession:
    """One call, alive.

    Attributes:
        opened: What was fixed about it, as the journal has it.
        machine: Where it stands.
        carrier_call_id: The carrier's newest id, None until known.
    """

    def __init__(
        self,
        opened: CallOpened,
        setup: CallSetup,
        services: CallServices,
        owner: CallOwner,
        *,
        machine: CallMachine | None = None,
    ) -> None:
        self.opened = opened
        self.carrier_call_id = opened.carrier_call_id
        self._services = services
        self._clock = services.clock
        self._journal = services.journal
        self._owner = owner
        self.machine = machine or CallMachine(setup, now=self._clock.now())
        folder = services.records / opened.call_id if services.records else None
        self._chronicle = Chronicle(folder=folder)
        self._line = self._make_path(setup)
        self._signalling = Signalling(services.carrier.control, self._receive_result)
        self._alarm = Alarm(self._clock, self._tick)
        self._tasks: set[asyncio.Task[None]] = set()
        self._asks: dict[str, asyncio.Future[str]] = {}
        self._turnstile = asyncio.Lock()
        self._is_writing = False
        self._deferred: deque[CallEvent] = deque()
        self._closed = asyncio.Event()

    @property
    def _goes_inline(self) -> bool:
        """Whether the message goes out with the dial, in the carrier's own voice."""
        setup = self.machine.setup
        return setup.mode is CallMode.NOTIFY and not setup.has_streams

    def _make_path(self, setup: CallSetup) -> SpokenPath:
        services, call_id = self._services, self.opened.call_id
        if setup.has_streams:
            return Line(services, self._chronicle, self.receive_soon, call_id=call_id)
        return CarrierVoice(
            services,
            self._chronicle,
            self.receive_soon,
            act=self._act_at_carrier,
            url=f"{services.webhook_url}?callId={call_id}",
            is_conversation=setup.mode is CallMode.CONVERSATION,
            is_inline=self._goes_inline,
        )

    # -- life --------------------------------------------------------------------------

    async def begin(self) -> None:
        """Write the call down, then start it.

        Raises:
            JournalError: It could not be written; the call does not exist.
        """
        await self._journal.append(
            self.opened.call_id,
            self.opened,
            at=self.machine.started_at,
            carrier_call_id=self.opened.carrier_call_id,
        )
        self._carry_out(self.machine.start(now=self._clock.now()))

    def revive(self) -> None:
        """Go on with a call that was rebuilt from the journal."""
        ending = self.machine.ending
        if ending is None:
            self._tick()
        else:  # it ended, and the process died before that was written down
            self._carry_out((CallEnded(ending=ending),))

    async def wait_closed(self) -> None:
        """Wait until the call is over and everything of it is released."""
        await self._closed.wait()

    @property
    def facts(self) -> CallFacts:
        """What a public record needs beside the machine."""
        return CallFacts(
            carrier=self.opened.carrier,
            carrier_call_id=self.carrier_call_id,
            from_=self.opened.from_,
            to=self.opened.to,
            session_key=self.opened.session_key,
        )

    # -- inputs ------------------------------------------------------------------------

    async def receive(
        self,
        event: CallEvent,
        *,
        dedupe_key: str | None = None,
        carrier_call_id: CarrierCallId | None = None,
    ) -> bool:
        """Take what a carrier reports; returns when it is durable and has taken effect.

        Returns:
            False where it was reported before.

        Raises:
            JournalError: It could not be written and has had no effect.
        """
        is_stale = isinstance(event, CallerSpoke) and not self._line.is_current(event)
        what = Ignored(event=event, why="it answers an earlier listening")
        async with self._turnstile:
            if isinstance(event, CarrierEnded) and not self.machine.is_over:
                # What was heard of us belongs into the transcript, so before the end.
                self._line.carrier_ended(event)
            at = self._clock.now()
            with self._writing():
                is_new = await self._journal.append(
                    self.opened.call_id,
                    what if is_stale else event,
                    at=at,
                    dedupe_key=dedupe_key,
                    carrier_call_id=carrier_call_id,
                )
                if is_new:
                    if carrier_call_id is not None:
                        self._take_name(carrier_call_id, event)
                    if not is_stale:
                        self._apply(event, at)
        return is_new

    def receive_soon(self, event: CallEvent) -> None:
        """Take what happens on our own side."""
        if self._is_writing:
            self._deferred.append(event)
        else:
            self._take_own(event)

    async def command(self, command: CallCommand) -> None:
        """Carry out what somebody asks of the call; returns when it is durable.

        Raises:
            CallError: It cannot be done now.
            JournalError: It could not be written.
        """
        async with self._turnstile:
            at = self._clock.now()
            actions = self.machine.request(command, now=at)
            with self._writing():
                # Nobody waits for the disk to hear us speak, or to see us hang up.
                self._carry_out(actions)
                await self._journal.append(self.opened.call_id, command, at=at)

    async def ask(self, command: Ask) -> str:
        """Say something and return what the other side answers.

        Raises:
            CallError: No answer: the call ended, nobody spoke, or one waits already.
            SpeechError: The prompt could not be spoken.
        """
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._asks[command.ask_id] = answer
        try:
            await self.command(command)
            return await answer
        finally:
            self._asks.pop(command.ask_id, None)

    async def send_digits(self, command: SendDigits) -> None:
        """Send DTMF digits; returns when the carrier has taken them.

        Raises:
            CallError: The call is not connected.
            CarrierError: The carrier did not take them.
        """
        await self.command(command)
        await self._signalling.send_digits(self._ref(), command.digits)

    def open_stream(self, started: StreamStarted, link: MediaLink) -> MediaListener:
        """Attach a media stream of this call.

        Raises:
            CallOver: The call has ended, or is about to.
        """
        if self.machine.is_ending:
            raise CallOver("The call of this stream has ended.")
        return self._line.open_stream(started, link)

    def played(self, piece_id: str) -> None:
        """Take the carrier's word that it has played something we had it say."""
        self._line.played(piece_id)

    def plan(self) -> tuple[PlanStep, ...]:
        """Return what the carrier shall do now, in answer to its webhook."""
        if self.machine.setup.refusal is not None:
            return (EndCall(is_refusal=self.machine.answered_at is None),)
        if self.machine.is_ending:
            return (EndCall(),)
        return self._line.plan()

    # -- steps -------------------------------------------------------------------------

    async def _receive_result(
        self, event: CallEvent, *, carrier_call_id: CarrierCallId | None = None
    ) -> None:
        await self.receive(event, carrier_call_id=carrier_call_id)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Let what happens on our own side wait until something is written."""
        self._is_writing = True
        try:
            yield
        finally:
            self._is_writing = False
            while self._deferred:
                self._take_own(self._deferred.popleft())
            self._alarm.set(self.machine.next_deadline())

    def _take_name(self, carrier_call_id: CarrierCallId, event: CallEvent) -> None:
        """Take a new name; the answer to a dial can be older than news of the call."""
        if self.carrier_call_id is None or not isinstance(event, Dialed):
            self.carrier_call_id = carrier_call_id
        self._owner.call_named(self, carrier_call_id)

    def _take_own(self, event: CallEvent) -> None:
        at = self._clock.now()
        self._journal.append_soon(self.opened.call_id, event, at=at)
        self._apply(event, at)

    def _apply(self, event: CallEvent, at: float) -> None:
        self._carry_out(self.machine.receive(event, now=at))
        if isinstance(event, Dialed) and self.machine.is_over:
            # It was given up while it was being dialled; nobody else will end it.
            self._spawn(self._signalling.hang_up(self._ref()))
        if isinstance(event, StreamClosed) and not self.machine.is_ending:
            self._chronicle.note(MomentKind.STREAM_LOST, at)

    def _tick(self) -> None:
        if not self._is_writing:  # else the alarm is set again once it is written
            self._carry_out(self.machine.tick(self._clock.now()))

    def _carry_out(self, actions: tuple[CallAction, ...]) -> None:
        for action in actions:
            self._act(action)
        self._alarm.set(self.machine.next_deadline())

    def _act(self, action: CallAction) -> None:
        match action:
            case Dial() | AnswerCall() | RejectCall() | Hangup():
                self._signal(action)
            case Speak() | Listen() | StartReply() | TakeBack():
                self._talk(action)
            case AskResolved():
                self._settle_ask(action.ask_id, action.text)
            case AskFailed():
                self._settle_ask(action.ask_id, _ask_error(action))
            case Ignored():
                at = self._clock.now()
                self._journal.append_soon(self.opened.call_id, action, at=at)
            case CallEnded():
                self._alarm.cancel()
                self._spawn(self._close(action))
            case SendKeys() | TranscriptAdded() | PhaseChanged():
                pass  # keys are sent by whoever asked
            case _:
                assert_never(action)

    def _talk(self, action: Speak | Listen | StartReply | TakeBack) -> None:
        if isinstance(action, Speak):
            self._line.speak(action)
        elif isinstance(action, Listen):
            self._line.listen(action)
        elif isinstance(action, StartReply):
            self._line.start_reply(action, self._turn(action))
        else:
            self._line.take_back(action.utterance_id)

    def _signal(self, action: Dial | AnswerCall | RejectCall | Hangup) -> None:
        if isinstance(action, Dial):
            self._spawn(self._signalling.dial(self._order()))
        elif isinstance(action, AnswerCall):
            self._spawn(self._signalling.answer(self._ref()))
        elif isinstance(action, RejectCall):
            self._spawn(self._see_off(self._signalling.reject(self._ref(), action)))
        else:
            self._line.stop_speaking()
            if self.carrier_call_id is not None:  # else it is hung up once dialled
                self._spawn(self._see_off(self._signalling.hang_up(self._ref())))

    async def _see_off(self, goodbye: Coroutine[Any, Any, None]) -> None:
        """Say goodbye, and ask for the end of the call if nobody reports it soon."""
        await goodbye
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_REPORT_S):
                await self._closed.wait()
        if self.machine.is_over or not await self._signalling.has_ended(self._ref()):
            return
        if not self.machine.is_over:  # nobody has reported it meanwhile
            ended = CarrierEnded(cause=EndCause.NORMAL, by=EndedBy.CARRIER)
            await self.receive(ended)

    def _act_at_carrier(self, steps: tuple[PlanStep, ...]) -> None:
        self._spawn(self._act_now(steps))

    async def _act_now(self, steps: tuple[PlanStep, ...]) -> None:
        try:
            await self._signalling.act(self._ref(), steps)
        except CarrierError as fault:
            _log.warning("carrier did not speak", code=fault.code)
            self._line.carrier_failed(str(fault))

    def _settle_ask(self, ask_id: str, answer: str | Exception) -> None:
        waiting = self._asks.get(ask_id)
        if waiting is None or waiting.done():
            return
        if isinstance(answer, str):
            waiting.set_result(answer)
        else:
            waiting.set_exception(answer)

    async def _close(self, ended: CallEnded) -> None:
        """Release the call, then tell, whatever goes wrong."""
        try:
            await self._release(ended)
        finally:
            self._closed.set()
            self._owner.call_closed(self)

    async def _release(self, ended: CallEnded) -> None:
        """Let everything go; the last entry in the journal is the call's end."""
        try:
            await self._line.close()
            await self._journal.append(self.opened.call_id, ended, at=self._clock.now())
        finally:
            if self._chronicle.folder is not None:
                await asyncio.to_thread(
                    self._chronicle.close, self.opened, self.machine
                )

    # -- small things ------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            _log.error(
                "work for a call broke down",
                call_id=self.opened.call_id,
                exc_info=fault,
            )

    def _ref(self) -> CallRef:
        assert self.carrier_call_id is not None
        return CallRef(
            call_id=self.opened.call_id, carrier_call_id=self.carrier_call_id
        )

    def _order(self) -> DialOrder:
        setup = self.machine.setup
        return DialOrder(
            call_id=self.opened.call_id,
            to=self.opened.to,
            from_=self.opened.from_,
            ring_timeout_s=setup.limits.ring_timeout_s,
            max_duration_s=setup.limits.max_duration_s,
            notify_text=setup.opening if self._goes_inline else None,
            webhook_url=self._services.webhook_url,
        )

    def _turn(self, start: StartReply) -> AgentTurn:
        opened = self.opened
        is_outbound = self.machine.setup.is_outbound
        return AgentTurn(
            call_id=opened.call_id,
            reply_id=start.reply_id,
            session_key=opened.session_key,
            direction=opened.direction,
            peer=opened.to if is_outbound else opened.from_,
            heard=start.heard,
            history=self.machine.transcript,
            language=self._services.hearing.language,
            timeout_s=self._services.agent_timeout_s,
        )


def _ask_error(failed: AskFailed) -> Exception:
    match failed.code:
        case FailureCode.CALL_ENDED:
            return CallOver("The call ended before an answer came.")
        case FailureCode.TRANSCRIPT_TIMEOUT:
            return TranscriptTimeout(f"No answer came: {failed.detail}.")
        case FailureCode.SPEECH_FAILED:
            return SpeechError(f"No answer came: {failed.detail}.", engine="tts")
        case _:
            assert_never(failed.code)
