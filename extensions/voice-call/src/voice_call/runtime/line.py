"""The spoken side of one call: ears, mouth, and the agent's replies between them.

A line outlives its media streams: a stream that is lost and comes back is attached
again, with fresh ears. What happens on it is reported as call events; what the call
wants said is handed in as actions.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, assert_never

from voice_call.call.events import (
    AgentReplied,
    AgentSpeechEnded,
    AgentSpeechStarted,
    DigitPressed,
    ReplyFailed,
    SpeechOutcome,
    StreamClosed,
    StreamOpened,
)
from voice_call.carriers.base import (
    ConnectStream,
    KeepWaiting,
    StreamAudio,
    StreamDigit,
    StreamMark,
    StreamStarted,
    StreamStopped,
)
from voice_call.log import get_logger
from voice_call.reports.transcript import MomentKind
from voice_call.runtime.ears import Ears
from voice_call.runtime.mouth import Mouth
from voice_call.runtime.reply import RunningReplies

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_call.call.actions import Listen, Speak, StartReply
    from voice_call.call.events import CallerSpoke, CallEvent, CarrierEnded
    from voice_call.call.model import CallId, StreamId
    from voice_call.carriers.base import (
        MediaLink,
        MediaListener,
        PlanStep,
        StreamEvent,
    )
    from voice_call.runtime.agent import AgentTurn
    from voice_call.runtime.chronicle import Chronicle
    from voice_call.runtime.services import CallServices
    from voice_call.speech.base import RecognitionFailed

__all__ = ["Line"]

_log = get_logger(__name__)


class Line:
    """Speaks and listens on one call. Everything runs on the event loop."""

    def __init__(
        self,
        services: CallServices,
        chronicle: Chronicle,
        report: Callable[[CallEvent], None],
        *,
        call_id: CallId,
    ) -> None:
        self._call_id = call_id
        self._services = services
        self._clock = services.clock
        self._chronicle = chronicle
        self._report = report
        self._mouth = Mouth(
            tts=services.tts,
            voice=services.voice,
            clock=services.clock,
            ticker=services.ticker,
            listener=self,
        )
        self._stream: _Stream | None = None
        self._ears: Ears | None = None
        self._replies = RunningReplies(services.agent)
        self._farewells: set[asyncio.Task[None]] = set()

    # -- streams -----------------------------------------------------------------------

    def open_stream(self, started: StreamStarted, link: MediaLink) -> MediaListener:
        """Attach a media stream; an older one is closed and its news are ignored."""
        self._leave_stream()
        stream = _Stream(self, started.stream_id, link)
        self._stream = stream
        self._ears = Ears(
            self._services.hearing,
            stream_id=started.stream_id,
            clock=self._clock,
            listener=self,
        )
        self._mouth.attach(link)
        self._chronicle.stream_opened(self._clock.now())
        self._report(StreamOpened(stream_id=started.stream_id))
        return stream

    def stream_event(self, stream: _Stream, event: StreamEvent) -> None:
        """Take one event of a stream, unless another stream has taken its place."""
        if stream is not self._stream or self._ears is None:
            return
        match event:
            case StreamAudio():
                at = self._clock.now()
                self._ears.hear(event.payload, at=at)
                self._chronicle.caller_audio(event.payload, at)
            case StreamMark():
                self._mouth.mark_returned(event.name)
            case StreamDigit():
                self._chronicle.note(MomentKind.KEY, self._clock.now(), event.digit)
                self._report(DigitPressed(digit=event.digit))
            case StreamStopped():
                # First of all: nothing that is cut by it must be said again at once.
                self._report(StreamClosed(stream_id=stream.stream_id))
                self._leave_stream()
            case StreamStarted():
                pass  # it is how the stream came here
            case _:
                assert_never(event)

    def _leave_stream(self) -> None:
        stream, self._stream = self._stream, None
        ears, self._ears = self._ears, None
        if stream is not None:
            stream.link.close()
            self._mouth.detach()
        if ears is not None:
            farewell = asyncio.get_running_loop().create_task(ears.close())
            self._farewells.add(farewell)
            farewell.add_done_callback(self._farewell_done)

    def _farewell_done(self, farewell: asyncio.Task[None]) -> None:
        self._farewells.discard(farewell)
        if not farewell.cancelled() and (fault := farewell.exception()) is not None:
            _log.error("ears did not close", exc_info=fault)

    # -- what a carrier is told --------------------------------------------------------

    def plan(self) -> tuple[PlanStep, ...]:
        """Return how the carrier connects its stream, unless it has done so."""
        door = self._services.door
        if self._stream is not None or door is None:
            return (KeepWaiting(),)
        return (ConnectStream(url=door.url, token=door.issue(self._call_id)),)

    def played(self, piece_id: str) -> None:
        """Nothing to do: marks on the stream prove what was heard."""

    def carrier_ended(self, event: CarrierEnded) -> None:  # noqa: ARG002 - however it is
        """The call is over at the carrier: marks have said what was heard."""
        self.stop_speaking()

    def carrier_failed(self, detail: str) -> None:
        """Nothing to do: on a stream, the carrier is told nothing to say."""

    def is_current(self, event: CallerSpoke) -> bool:  # noqa: ARG002 - whatever it is
        """Return True: there are no earlier listenings on a stream."""
        return True

    # -- what the call wants said ------------------------------------------------------

    def speak(self, speak: Speak) -> None:
        """Say a complete text."""
        self._mouth.speak(speak)

    def listen(self, listen: Listen) -> None:
        """Nothing to do: a stream is listened to always."""

    def start_reply(self, start: StartReply, turn: AgentTurn) -> None:
        """Let the agent answer."""
        self._chronicle.reply_began(start.reply_id)
        self._mouth.begin_reply(start.reply_id)
        self._replies.start(turn, self)

    def take_back(self, utterance_id: str) -> None:
        """Stop an utterance, and the agent's run behind it."""
        self._replies.cancel(utterance_id)
        self._mouth.take_back(utterance_id)

    def stop_speaking(self) -> None:
        """Take back everything."""
        self._replies.cancel_all()
        self._mouth.stop()

    async def close(self) -> None:
        """The call is over: release everything and wait until it is released."""
        self.stop_speaking()
        self._leave_stream()
        await asyncio.gather(*self._farewells, return_exceptions=True)

    # -- from the mouth ----------------------------------------------------------------

    def agent_speech_changed(
        self, event: AgentSpeechStarted | AgentSpeechEnded
    ) -> None:
        """An utterance began to play, or is over."""
        now = self._clock.now()
        utterance_id = event.utterance_id
        if isinstance(event, AgentSpeechStarted):
            self._chronicle.agent_began(utterance_id, now)
            if self._ears is not None:
                self._ears.agent_began(
                    utterance_id, is_protected=self._mouth.is_protected(utterance_id)
                )
        else:
            self._chronicle.agent_ended(
                utterance_id,
                at=now,
                heard=event.heard,
                is_cut=event.outcome is not SpeechOutcome.PLAYED,
            )
            if event.outcome is SpeechOutcome.FAILED:
                self._chronicle.note(MomentKind.SPEECH_FAILED, now)
                _log.warning("speech failed", detail=event.detail)
            if self._ears is not None:
                self._ears.agent_finished(utterance_id)
        self._report(event)

    def sentence_sent(self, utterance_id: str, text: str) -> None:
        """A sentence is about to be played."""
        if self._ears is not None:
            self._ears.agent_says(utterance_id, text)

    def audio_sent(self, audio: bytes, at: float) -> None:
        """Audio was handed to the carrier; it is heard from time `at` on."""
        self._chronicle.agent_audio(audio, at)

    def audio_cleared(self, at: float) -> None:
        """Audio that would be heard after `at` was taken back."""
        self._chronicle.agent_audio_cleared(at)

    def first_audio(self, utterance_id: str, at: float) -> None:
        """The first audio of an utterance was synthesised."""
        self._chronicle.first_audio(utterance_id, at)

    # -- from the ears -----------------------------------------------------------------

    def caller_turn_ended(self, event: CallerSpoke, ended_at: float) -> None:
        """The other side said something; its voice ended at `ended_at`."""
        now = self._clock.now()
        self._chronicle.caller_spoke(
            event.text,
            began_at=now if event.began_at is None else event.began_at,
            ended_at=ended_at,
            transcript_at=now,
        )
        self._report(event)

    def agent_should_pause(self) -> None:
        """Voice over our speech: fall silent, for the moment."""
        self._mouth.pause()

    def agent_should_resume(self) -> None:
        """It was nothing: go on."""
        self._mouth.resume()

    def agent_was_interrupted(self, at: float) -> None:
        """The other side took the floor."""
        self._chronicle.note(MomentKind.BARGE_IN, at)
        self._mouth.interrupt()

    def turn_was_dropped(self, why: str) -> None:
        """Sound that was not a turn, and why."""
        _log.debug("sound without a turn", why=why)

    def recognition_failed(self, failure: RecognitionFailed) -> None:
        """Nothing more will be understood."""
        self._chronicle.note(MomentKind.SPEECH_FAILED, self._clock.now())
        _log.error("recognition failed", code=failure.code, detail=failure.detail)

    # -- from a reply ------------------------------------------------------------------

    def reply_has_text(self, reply_id: str) -> None:
        """The agent's first text has arrived."""
        self._chronicle.first_text(reply_id, self._clock.now())

    def reply_has_sentence(self, reply_id: str, sentence: str) -> None:
        """One more sentence is complete."""
        self._mouth.add_sentence(reply_id, sentence)

    def reply_ended(self, event: AgentReplied | ReplyFailed) -> None:
        """The reply is complete, or has failed."""
        if isinstance(event, ReplyFailed):
            self._chronicle.note(MomentKind.AGENT_FAILED, self._clock.now())
            _log.warning("agent failed", detail=event.detail)
            self._report(event)
            return
        self._report(event)
        self._mouth.finish_reply(event.reply_id)


class _Stream:
    """One media stream of a line, so that the news of a replaced one can be told."""

    def __init__(self, line: Line, stream_id: StreamId, link: MediaLink) -> None:
        self.stream_id = stream_id
        self.link = link
        self._line = line

    def receive(self, event: StreamEvent) -> None:
        """Take one stream event."""
        self._line.stream_event(self, event)
