"""What the agent hears on one call: audio in, turns of the other side out.

Every frame goes to the voice detector and to the recogniser, from the first one on.
The detector's probabilities become edges (`VoiceGate`), edges and transcripts become
turns (`TurnTaker`), and the turn-taker says what to do with the recogniser and with our
own speech.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, assert_never

from voice_call.call.events import CallerSpoke
from voice_call.call.turns import (
    AgentSentenceSent,
    AgentSpeechBegan,
    AgentSpeechFinished,
    BeginSegment,
    CallerTurnBegan,
    CallerTurnEnded,
    EndSegment,
    InterruptAgent,
    PauseAgent,
    RequestInterim,
    ResumeAgent,
    TranscriptHeard,
    TurnDropped,
    TurnTaker,
)
from voice_call.media.vad import VoiceGate
from voice_call.runtime.alarm import Alarm
from voice_call.speech.base import RecognitionFailed, Transcript

if TYPE_CHECKING:
    from voice_call.call.model import StreamId
    from voice_call.call.turns import TurnAction, TurnInput, TurnSettings
    from voice_call.clock import Clock
    from voice_call.media.vad import VoiceGateSettings
    from voice_call.speech.base import (
        Recognition,
        SpeechToText,
        VoiceDetector,
        VoiceProbe,
    )

__all__ = ["Ears", "EarsListener", "Hearing"]


class EarsListener(Protocol):
    """What ears tell their call."""

    def caller_turn_ended(self, event: CallerSpoke, ended_at: float) -> None:
        """The other side said something; its voice ended at `ended_at`."""
        ...

    def agent_should_pause(self) -> None:
        """Voice over our speech: fall silent, for the moment."""
        ...

    def agent_should_resume(self) -> None:
        """It was nothing: go on."""
        ...

    def agent_was_interrupted(self, at: float) -> None:
        """The other side took the floor."""
        ...

    def turn_was_dropped(self, why: str) -> None:
        """Sound that was not a turn, and why."""
        ...

    def recognition_failed(self, failure: RecognitionFailed) -> None:
        """Nothing more will be understood."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """What ears are made of.

    Attributes:
        stt: The recogniser, shared by all calls.
        detector: The voice detector, shared by all calls.
        turns: Thresholds of turn-taking.
        gate: Thresholds of voice activity.
        language: BCP 47 tag of what will be spoken.
    """

    stt: SpeechToText
    detector: VoiceDetector
    turns: TurnSettings
    gate: VoiceGateSettings
    language: str


class Ears:
    """Listens to one stream. All methods run on the event loop and never block.

    A call that loses its stream gets new ears, which count segments from 1 again; so
    the stream's id makes the id of an utterance unique within the call.
    """

    def __init__(
        self,
        hearing: Hearing,
        *,
        stream_id: StreamId,
        clock: Clock,
        listener: EarsListener,
    ) -> None:
        self._stream_id = stream_id
        self._clock = clock
        self._listener = listener
        self._gate = VoiceGate(hearing.gate)
        self._turns = TurnTaker(hearing.turns)
        self._alarm = Alarm(clock, self._tick)
        self._probe: VoiceProbe = hearing.detector.open(self._on_probability)
        self._recognition: Recognition = hearing.stt.open(
            self._on_transcript, language=hearing.language
        )
        self._is_closed = False

    # -- sound -------------------------------------------------------------------------

    def hear(self, audio: bytes, *, at: float) -> None:
        """Take one frame of audio that ended at time `at`."""
        self._recognition.push(audio)
        self._probe.push(audio, at=at)

    async def close(self) -> None:
        """Stop listening."""
        self._is_closed = True
        self._alarm.cancel()
        self._probe.close()
        await self._recognition.close()

    # -- our own speech ----------------------------------------------------------------

    def agent_began(self, utterance_id: str, *, is_protected: bool) -> None:
        """An utterance of ours began to play."""
        self._input(
            AgentSpeechBegan(utterance_id=utterance_id, is_protected=is_protected)
        )

    def agent_says(self, utterance_id: str, text: str) -> None:
        """A sentence of ours is about to be heard; its echo does not count."""
        self._input(AgentSentenceSent(utterance_id=utterance_id, text=text))

    def agent_finished(self, utterance_id: str) -> None:
        """An utterance of ours is over."""
        self._input(AgentSpeechFinished(utterance_id=utterance_id))

    # -- turns -------------------------------------------------------------------------

    def _on_probability(self, probability: float, at: float) -> None:
        edge = self._gate.receive(probability, at=at)
        if edge is not None:
            self._input(edge)

    def _on_transcript(self, report: Transcript | RecognitionFailed) -> None:
        match report:
            case Transcript():
                self._input(
                    TranscriptHeard(
                        segment=report.segment,
                        text=report.text,
                        is_final=report.is_final,
                        confidence=report.confidence,
                    )
                )
            case RecognitionFailed():
                self._listener.recognition_failed(report)
            case _:
                assert_never(report)

    def _input(self, what: TurnInput) -> None:
        if not self._is_closed:
            self._carry_out(self._turns.receive(what, now=self._clock.now()))

    def _tick(self) -> None:
        self._carry_out(self._turns.tick(self._clock.now()))

    def _carry_out(self, actions: tuple[TurnAction, ...]) -> None:
        for action in actions:
            self._act(action)
        self._alarm.set(None if self._is_closed else self._turns.next_deadline())

    def _act(self, action: TurnAction) -> None:
        match action:
            case BeginSegment():
                self._recognition.begin_segment()
            case RequestInterim():
                self._recognition.request_interim()
            case EndSegment():
                self._recognition.end_segment()
            case PauseAgent():
                self._listener.agent_should_pause()
            case ResumeAgent():
                self._listener.agent_should_resume()
            case InterruptAgent():
                self._listener.agent_was_interrupted(self._clock.now())
            case CallerTurnBegan():
                pass  # the turn is reported when it is complete
            case CallerTurnEnded():
                self._listener.caller_turn_ended(
                    CallerSpoke(
                        utterance_id=f"{self._stream_id}-segment-{action.segment}",
                        text=action.text,
                        confidence=action.confidence,
                        began_at=action.voice_began_at,
                    ),
                    action.voice_ended_at,
                )
            case TurnDropped():
                self._listener.turn_was_dropped(action.why)
            case _:
                assert_never(action)
