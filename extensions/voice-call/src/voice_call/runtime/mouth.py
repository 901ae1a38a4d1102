"""What the agent says on one call: text in, paced audio and proof of playout out.

Each utterance has a task of its own that synthesises sentence after sentence, ahead of
the playout but never by more than `_BACKLOG_S`, so that a very long text neither waits
nor fills the memory. `Playout` decides what is sent when and what was heard; the shared
ticker moves it on. A filler gives way as soon as the reply that it covers has sound.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, assert_never

from voice_call.call.actions import SpeechKind
from voice_call.call.events import AgentSpeechEnded, AgentSpeechStarted, SpeechOutcome
from voice_call.errors import SpeechError
from voice_call.media.audio import ClearAudio, SendAudio, SendMark
from voice_call.media.playout import (
    Playout,
    UtteranceCut,
    UtterancePlayed,
    UtteranceStarted,
)
from voice_call.speech.sentences import SentenceSplitter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from voice_call.call.actions import Speak
    from voice_call.carriers.base import MediaLink
    from voice_call.clock import Clock
    from voice_call.media.playout import PlayoutStep
    from voice_call.runtime.ticker import Ticker
    from voice_call.speech.base import TextToSpeech, Voice

__all__ = ["Mouth", "MouthListener"]

_BACKLOG_S = 20.0
"""Synthesised but unsent audio at which synthesis waits."""
_BACKLOG_POLL_S = 0.25


class MouthListener(Protocol):
    """What a mouth tells its call."""

    def agent_speech_changed(
        self, event: AgentSpeechStarted | AgentSpeechEnded
    ) -> None:
        """An utterance began to play, or is over."""
        ...

    def sentence_sent(self, utterance_id: str, text: str) -> None:
        """A sentence is about to be played."""
        ...

    def audio_sent(self, audio: bytes, at: float) -> None:
        """Audio was handed to the carrier; it is heard from time `at` on."""
        ...

    def audio_cleared(self, at: float) -> None:
        """Audio that would be heard after `at` was taken back."""
        ...

    def first_audio(self, utterance_id: str, at: float) -> None:
        """The first audio of an utterance was synthesised."""
        ...


@dataclass(slots=True, kw_only=True)
class _Utterance:
    """An utterance under way; its sentences arrive while it is spoken."""

    utterance_id: str
    kind: SpeechKind
    is_protected: bool
    sentences: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)
    task: asyncio.Task[None] | None = None
    has_begun: bool = False
    has_sound: bool = False
    outcome: SpeechOutcome = SpeechOutcome.CANCELLED
    detail: str | None = None


class Mouth:
    """Speaks on one call. All methods run on the event loop and never block."""

    def __init__(
        self,
        *,
        tts: TextToSpeech,
        voice: Voice,
        clock: Clock,
        ticker: Ticker,
        listener: MouthListener,
    ) -> None:
        self._tts = tts
        self._voice = voice
        self._clock = clock
        self._ticker = ticker
        self._listener = listener
        self._playout = Playout()
        self._link: MediaLink | None = None
        self._utterances: dict[str, _Utterance] = {}
        self._playing: str | None = None
        self._sent_until = 0.0

    # -- the line ----------------------------------------------------------------------

    def attach(self, link: MediaLink) -> None:
        """Speak on this stream from now on."""
        self._link = link

    def detach(self) -> None:
        """The stream is gone; what was not heard is cancelled."""
        self._link = None
        self.stop()

    def mark_returned(self, name: str) -> None:
        """The carrier has played everything before the mark."""
        self._carry_out(self._playout.mark_returned(name, self._clock.now()))
        self._keep_ticking()

    # -- speaking ----------------------------------------------------------------------

    def speak(self, speak: Speak) -> None:
        """Say a complete text."""
        utterance = self._open(
            speak.utterance_id, speak.kind, is_protected=speak.is_protected
        )
        splitter = SentenceSplitter()
        for sentence in (*splitter.feed(speak.text), *splitter.finish()):
            utterance.sentences.put_nowait(sentence)
        utterance.sentences.put_nowait(None)
        self._begin(utterance)

    def begin_reply(self, utterance_id: str) -> None:
        """Expect sentences of a reply; it takes its place when the first one comes."""
        self._open(utterance_id, SpeechKind.REPLY, is_protected=False)

    def add_sentence(self, utterance_id: str, sentence: str) -> None:
        """Say one more sentence; ignored where the utterance was taken back."""
        utterance = self._utterances.get(utterance_id)
        if utterance is not None:
            self._begin(utterance)
            utterance.sentences.put_nowait(sentence)

    def finish_reply(self, utterance_id: str) -> None:
        """No more sentences will come."""
        utterance = self._utterances.get(utterance_id)
        if utterance is None:
            return
        if utterance.has_begun:
            utterance.sentences.put_nowait(None)
        else:
            self._close(utterance)

    def take_back(self, utterance_id: str) -> None:
        """Drop what was not heard of one utterance."""
        utterance = self._utterances.get(utterance_id)
        if utterance is not None:
            self._end(utterance, SpeechOutcome.CANCELLED)

    # -- the floor ---------------------------------------------------------------------

    def pause(self) -> None:
        """Fall silent, for the moment."""
        self._carry_out(self._playout.pause(self._clock.now()))

    def resume(self) -> None:
        """Go on where the other side stopped hearing us."""
        self._carry_out(self._playout.resume(self._clock.now()))
        self._keep_ticking()

    def interrupt(self) -> None:
        """Fall silent for good: the other side has the floor."""
        self._end_all(SpeechOutcome.INTERRUPTED)

    def stop(self) -> None:
        """Cancel everything."""
        self._end_all(SpeechOutcome.CANCELLED)

    # -- utterances --------------------------------------------------------------------

    def _open(
        self, utterance_id: str, kind: SpeechKind, *, is_protected: bool
    ) -> _Utterance:
        utterance = _Utterance(
            utterance_id=utterance_id, kind=kind, is_protected=is_protected
        )
        self._utterances[utterance_id] = utterance
        return utterance

    def _begin(self, utterance: _Utterance) -> None:
        if utterance.has_begun:
            return
        utterance.has_begun = True
        self._playout.begin(utterance.utterance_id)
        utterance.task = asyncio.get_running_loop().create_task(
            self._synthesize(utterance)
        )

    async def _synthesize(self, utterance: _Utterance) -> None:
        try:
            while (sentence := await utterance.sentences.get()) is not None:
                await self._wait_for_room()
                await self._synthesize_sentence(utterance, sentence)
        except SpeechError as fault:
            self._end(utterance, SpeechOutcome.FAILED, str(fault))
            return
        except Exception as fault:  # noqa: BLE001 - an engine may break in any way
            detail = f"the speech engine broke down ({type(fault).__name__})"
            self._end(utterance, SpeechOutcome.FAILED, detail)
            return
        self._playout.finish(utterance.utterance_id)
        self._keep_ticking()

    async def _synthesize_sentence(self, utterance: _Utterance, sentence: str) -> None:
        audio: AsyncIterator[bytes] = self._tts.synthesize(sentence, voice=self._voice)
        self._playout.begin_sentence(utterance.utterance_id, sentence)
        # Told first: its beginning can come back as an echo while its end is made.
        self._listener.sentence_sent(utterance.utterance_id, sentence)
        async with aclosing(audio) as chunks:  # type: ignore[type-var]  # engines yield from async generators
            async for chunk in chunks:
                self._add_sound(utterance, chunk)

    def _add_sound(self, utterance: _Utterance, chunk: bytes) -> None:
        if not utterance.has_sound:
            utterance.has_sound = True
            self._listener.first_audio(utterance.utterance_id, self._clock.now())
            if utterance.kind is SpeechKind.REPLY:
                self._drop_fillers()
        self._playout.append(utterance.utterance_id, chunk)
        self._keep_ticking()

    def _drop_fillers(self) -> None:
        for each in tuple(self._utterances.values()):
            if each.kind is SpeechKind.FILLER:
                self._end(each, SpeechOutcome.CANCELLED)

    async def _wait_for_room(self) -> None:
        while self._playout.backlog_s > _BACKLOG_S:  # noqa: ASYNC110 - seconds of slack make a slow poll harmless
            await asyncio.sleep(_BACKLOG_POLL_S)

    def _end(
        self, utterance: _Utterance, outcome: SpeechOutcome, detail: str | None = None
    ) -> None:
        utterance.outcome = outcome
        utterance.detail = detail
        if utterance.has_begun:
            self._carry_out(
                self._playout.cancel(utterance.utterance_id, self._clock.now())
            )
        if self._is_open(utterance):
            self._close(utterance)
        if self._playing is None and self._playout.is_paused:
            self.resume()  # the pause was about an utterance that is no more
        self._keep_ticking()

    def _end_all(self, outcome: SpeechOutcome) -> None:
        """End what there is; what is said because of that is not touched."""
        ending = tuple(self._utterances.values())
        steps = self._playout.interrupt(self._clock.now())
        for utterance in ending:
            utterance.outcome = outcome
        self._carry_out(steps)
        for utterance in ending:
            if self._is_open(utterance):
                self._close(utterance)
        self._keep_ticking()

    def _is_open(self, utterance: _Utterance) -> bool:
        """Tell an utterance from a new one that has taken its place and id."""
        return self._utterances.get(utterance.utterance_id) is utterance

    def _close(self, utterance: _Utterance, heard: str = "") -> None:
        """Report the end of an utterance, once, and release what it held."""
        del self._utterances[utterance.utterance_id]
        if self._playing == utterance.utterance_id:
            self._playing = None
        task = utterance.task
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        self._listener.agent_speech_changed(
            AgentSpeechEnded(
                utterance_id=utterance.utterance_id,
                outcome=utterance.outcome,
                heard=heard,
                detail=utterance.detail,
            )
        )

    # -- playout -----------------------------------------------------------------------

    def _keep_ticking(self) -> None:
        if self._playout.next_due() is not None:
            self._ticker.add(self._tick)

    def _tick(self, now: float) -> float | None:
        """Move the playout on; called by the ticker while there is something to do."""
        self._carry_out(self._playout.advance(now))
        return self._playout.next_due()

    def _carry_out(self, steps: Iterable[PlayoutStep]) -> None:
        for step in steps:
            match step:
                case SendAudio():
                    self._send_audio(step)
                case SendMark():
                    self._send(step)
                case ClearAudio():
                    self._sent_until = 0.0
                    self._send(step)
                    self._listener.audio_cleared(self._clock.now())
                case UtteranceStarted():
                    self._playing = step.utterance_id
                    self._listener.agent_speech_changed(
                        AgentSpeechStarted(utterance_id=step.utterance_id)
                    )
                case UtterancePlayed():
                    self._finish(step.utterance_id, step.heard, SpeechOutcome.PLAYED)
                case UtteranceCut():
                    self._finish(step.utterance_id, step.heard, None)
                case _:
                    assert_never(step)

    def _finish(
        self, utterance_id: str, heard: str, outcome: SpeechOutcome | None
    ) -> None:
        utterance = self._utterances.get(utterance_id)
        if utterance is None:
            return
        if outcome is not None:
            utterance.outcome = outcome
        self._close(utterance, heard)

    def _send_audio(self, step: SendAudio) -> None:
        heard_at = max(self._clock.now(), self._sent_until)
        self._sent_until = heard_at + len(step.payload) / 8000
        self._send(step)
        self._listener.audio_sent(step.payload, heard_at)

    def _send(self, step: SendAudio | SendMark | ClearAudio) -> None:
        if self._link is not None:
            self._link.send(step)

    def is_protected(self, utterance_id: str) -> bool:
        """Return True where an utterance must not be interrupted."""
        utterance = self._utterances.get(utterance_id)
        return utterance is not None and utterance.is_protected
