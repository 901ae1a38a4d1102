"""The spoken side of a call without a media stream: the carrier speaks and listens.

What the call wants said is cut into pieces. A piece is given to the carrier either as
the answer to a webhook (`plan`) or, when none is waiting, by a command (`act`). Each
piece ends with a report of the carrier, which is the proof that it was heard, and whose
answer brings the next piece. When there is nothing to say the carrier listens, and what
it hears comes back as a turn of the caller with the token of that listening: an answer
to an earlier one is told by its token and dropped.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voice_call.call.actions import SpeechKind
from voice_call.call.events import (
    AgentReplied,
    AgentSpeechEnded,
    AgentSpeechStarted,
    ReplyFailed,
    SpeechOutcome,
)
from voice_call.call.model import EndCause
from voice_call.carriers.base import GatherSpeech, KeepWaiting, ReportPlayed, SayText
from voice_call.errors import Unsupported
from voice_call.log import get_logger
from voice_call.reports.transcript import MomentKind
from voice_call.runtime.reply import RunningReplies

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_call.call.actions import Listen, Speak, StartReply
    from voice_call.call.events import CallerSpoke, CallEvent, CarrierEnded
    from voice_call.carriers.base import (
        MediaLink,
        MediaListener,
        PlanStep,
        StreamStarted,
    )
    from voice_call.runtime.agent import AgentTurn
    from voice_call.runtime.chronicle import Chronicle
    from voice_call.runtime.services import CallServices

__all__ = ["CarrierVoice"]

_log = get_logger(__name__)

_PIECE_CHARACTERS = 600
"""About 40 s of speech: far below every carrier's limit for one command."""
_THINKING_S = 1.0
"""How soon a carrier asks again while the agent still works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """A part of an utterance that one command can carry."""

    piece_id: str
    utterance_id: str
    text: str


@dataclass(slots=True, kw_only=True)
class _Utterance:
    """An utterance under way; grows while a reply comes in."""

    kind: SpeechKind
    is_complete: bool
    has_started: bool = False
    pieces: int = 0
    heard: list[str] = field(default_factory=list)


class CarrierVoice:
    """Speaks and listens on one call through the carrier's own verbs.

    Args:
        services: What all calls share.
        chronicle: Watches.
        report: Takes what happens, as call events.
        act: Gives the carrier steps by command.
        url: The public URL for everything this call reports.
        is_conversation: False where the call only delivers a message.
        is_inline: True where the opening went out with the dial itself. It is heard
            without any further word of ours, so that not even a public URL is needed,
            and a call that completes has heard it.
    """

    def __init__(
        self,
        services: CallServices,
        chronicle: Chronicle,
        report: Callable[[CallEvent], None],
        *,
        act: Callable[[tuple[PlanStep, ...]], None],
        url: str,
        is_conversation: bool,
        is_inline: bool = False,
    ) -> None:
        self._services = services
        self._clock = services.clock
        self._chronicle = chronicle
        self._report = report
        self._act = act
        self._url = url
        self._is_conversation = is_conversation
        self._is_inline = is_inline
        self._inline: Speak | None = None
        self._queue: deque[_Piece] = deque()
        self._utterances: dict[str, _Utterance] = {}
        self._playing: _Piece | None = None
        self._token: str | None = None
        self._listens = 0
        self._replies = RunningReplies(services.agent)

    # -- what the call wants said ------------------------------------------------------

    def open_stream(
        self,
        started: StreamStarted,  # noqa: ARG002 - none is taken
        link: MediaLink,  # noqa: ARG002 - as above
    ) -> MediaListener:
        """Refuse: this call has no stream."""
        raise Unsupported("This call speaks through its carrier, without a stream.")

    def speak(self, speak: Speak) -> None:
        """Say a complete text."""
        if self._is_inline and speak.kind is SpeechKind.OPENING:
            self._follow_inline(speak)
            return
        self._utterances[speak.utterance_id] = _Utterance(
            kind=speak.kind, is_complete=True
        )
        for text in _cut(speak.text):
            self._enqueue(speak.utterance_id, text)
        self._push()

    def _follow_inline(self, speak: Speak) -> None:
        """The carrier is saying this already."""
        self._is_inline = False
        self._inline = speak
        self._utterances[speak.utterance_id] = _Utterance(
            kind=speak.kind, is_complete=True, has_started=True
        )
        self._chronicle.agent_began(speak.utterance_id, self._clock.now())
        self._report(AgentSpeechStarted(utterance_id=speak.utterance_id))

    def listen(self, listen: Listen) -> None:
        """Use this token for the next listening."""
        self._token = listen.turn_token

    def start_reply(self, start: StartReply, turn: AgentTurn) -> None:
        """Let the agent answer; its sentences are spoken as they come."""
        self._chronicle.reply_began(start.reply_id)
        self._utterances[start.reply_id] = _Utterance(
            kind=SpeechKind.REPLY, is_complete=False
        )
        self._replies.start(turn, self)

    def take_back(self, utterance_id: str) -> None:
        """Drop what the carrier was not given yet, and the agent's run behind it."""
        self._replies.cancel(utterance_id)
        if self._inline is not None and self._inline.utterance_id == utterance_id:
            self._inline = None
        self._drop_queued(utterance_id)
        if self._playing is not None and self._playing.utterance_id == utterance_id:
            self._playing = None
        self._end(utterance_id, SpeechOutcome.CANCELLED)

    def stop_speaking(self) -> None:
        """Take back everything."""
        self._replies.cancel_all()
        for utterance_id in tuple(self._utterances):
            self.take_back(utterance_id)

    async def close(self) -> None:
        """The call is over: release everything."""
        self.stop_speaking()

    # -- what the carrier does ---------------------------------------------------------

    def plan(self) -> tuple[PlanStep, ...]:
        """Return what the carrier shall do next, in answer to its webhook."""
        if self._inline is not None:  # it asks, so it was not given the words
            speak, self._inline = self._inline, None
            for text in _cut(speak.text):
                self._enqueue(speak.utterance_id, text)
        if self._playing is None and self._queue:
            return self._next_piece()
        if self._playing is not None or self._is_thinking:
            return (KeepWaiting(url=self._url, wait_s=_THINKING_S),)
        if not self._is_conversation:
            return (KeepWaiting(),)
        return (self._gather(),)

    def played(self, piece_id: str) -> None:
        """The carrier has played a piece; a piece it was not asked for is ignored."""
        piece = self._playing
        if piece is None or piece.piece_id != piece_id:
            return
        self._playing = None
        utterance = self._utterances[piece.utterance_id]
        utterance.heard.append(piece.text)
        self._settle(piece.utterance_id)

    def carrier_ended(self, event: CarrierEnded) -> None:
        """The call is over: what went out with the dial was heard to its end."""
        speak, self._inline = self._inline, None
        if speak is not None and event.cause is EndCause.NORMAL:
            self._utterances[speak.utterance_id].heard.append(speak.text)
            self._end(speak.utterance_id, SpeechOutcome.PLAYED)
        self.stop_speaking()

    def carrier_failed(self, detail: str) -> None:
        """The carrier did not take a piece: its utterance has failed."""
        piece, self._playing = self._playing, None
        if piece is None:
            return
        self._chronicle.note(MomentKind.SPEECH_FAILED, self._clock.now())
        self._drop_queued(piece.utterance_id)
        self._end(piece.utterance_id, SpeechOutcome.FAILED, detail)

    def is_current(self, event: CallerSpoke) -> bool:
        """Return False for the answer to an earlier listening."""
        return event.turn_token is None or event.turn_token == self._token

    @property
    def _is_thinking(self) -> bool:
        return any(not each.is_complete for each in self._utterances.values())

    def _gather(self) -> GatherSpeech:
        if self._token is None:
            self._listens += 1
            self._token = f"listen-{self._listens}"
        return GatherSpeech(
            turn_token=self._token,
            url=self._url,
            language=self._services.hearing.language,
        )

    def _push(self) -> None:
        """Give the next piece by command; one is under way at a time."""
        if self._playing is None and self._queue:
            self._act(self._next_piece())

    def _next_piece(self) -> tuple[PlanStep, ...]:
        piece = self._queue.popleft()
        self._playing = piece
        self._token = None  # what is heard from now on answers something newer
        utterance = self._utterances[piece.utterance_id]
        if not utterance.has_started:
            utterance.has_started = True
            self._chronicle.agent_began(piece.utterance_id, self._clock.now())
            self._report(AgentSpeechStarted(utterance_id=piece.utterance_id))
        return (
            SayText(
                text=piece.text,
                voice=self._services.voice.name,
                language=self._services.voice.language,
            ),
            ReportPlayed(utterance_id=piece.piece_id, url=self._url),
        )

    # -- utterances --------------------------------------------------------------------

    def _enqueue(self, utterance_id: str, text: str) -> None:
        utterance = self._utterances[utterance_id]
        utterance.pieces += 1
        piece_id = f"{utterance_id}.{utterance.pieces}"
        self._queue.append(
            _Piece(piece_id=piece_id, utterance_id=utterance_id, text=text)
        )

    def _settle(self, utterance_id: str) -> None:
        """End an utterance that is complete and was heard to its end."""
        utterance = self._utterances.get(utterance_id)
        if (
            utterance is not None
            and utterance.is_complete
            and len(utterance.heard) == utterance.pieces
        ):
            self._end(utterance_id, SpeechOutcome.PLAYED)

    def _drop_queued(self, utterance_id: str) -> None:
        self._queue = deque(
            each for each in self._queue if each.utterance_id != utterance_id
        )

    def _end(
        self, utterance_id: str, outcome: SpeechOutcome, detail: str | None = None
    ) -> None:
        utterance = self._utterances.pop(utterance_id, None)
        if utterance is None:
            return
        heard = " ".join(utterance.heard)
        is_cut = outcome is not SpeechOutcome.PLAYED
        self._chronicle.agent_ended(
            utterance_id, at=self._clock.now(), heard=heard, is_cut=is_cut
        )
        self._report(
            AgentSpeechEnded(
                utterance_id=utterance_id, outcome=outcome, heard=heard, detail=detail
            )
        )

    # -- from a reply ------------------------------------------------------------------

    def reply_has_text(self, reply_id: str) -> None:
        """The agent's first text has arrived."""
        self._chronicle.first_text(reply_id, self._clock.now())

    def reply_has_sentence(self, reply_id: str, sentence: str) -> None:
        """One more sentence is complete."""
        if reply_id in self._utterances:
            self._enqueue(reply_id, sentence)
            self._push()

    def reply_ended(self, event: AgentReplied | ReplyFailed) -> None:
        """The reply is complete, or has failed."""
        if isinstance(event, ReplyFailed):
            self._chronicle.note(MomentKind.AGENT_FAILED, self._clock.now())
            _log.warning("agent failed", detail=event.detail)
        self._report(event)
        utterance = self._utterances.get(event.reply_id)
        if utterance is None:
            return
        utterance.is_complete = True
        if utterance.pieces == 0:
            del self._utterances[event.reply_id]
        else:
            self._settle(event.reply_id)


def _cut(text: str) -> list[str]:
    """Cut a text at its spaces into pieces that one command can carry."""
    pieces = [""]
    for word in text.split():
        if len(pieces[-1]) + len(word) >= _PIECE_CHARACTERS and pieces[-1]:
            pieces.append(word)
        else:
            pieces[-1] = f"{pieces[-1]} {word}".strip()
    return pieces
