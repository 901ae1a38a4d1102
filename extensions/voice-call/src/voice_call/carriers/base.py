"""What a carrier is: two pure codecs, call control, and abilities as data.

The route says which carrier a request belongs to; nothing guesses from the shape of a
message. Protocols, not base classes: a missing ability is data in `Capabilities`, which
the runtime asks before it promises anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from voice_call.media.audio import ClearAudio, SendAudio, SendMark, StreamCommand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voice_call.call.events import CallEvent
    from voice_call.call.model import (
        CallId,
        CarrierCallId,
        Digit,
        Direction,
        EndCause,
        StreamId,
    )

__all__ = [
    "CallControl",
    "CallRef",
    "Capabilities",
    "Carrier",
    "CarrierNotice",
    "CarrierSink",
    "CarrierStatus",
    "ClearAudio",
    "ConnectStream",
    "DialOrder",
    "EndCall",
    "GatherSpeech",
    "HttpRequest",
    "HttpResponse",
    "KeepWaiting",
    "MediaLink",
    "MediaListener",
    "PlanStep",
    "ReportPlayed",
    "SayText",
    "SendAudio",
    "SendMark",
    "StreamAudio",
    "StreamCodec",
    "StreamCommand",
    "StreamDigit",
    "StreamEvent",
    "StreamMark",
    "StreamStarted",
    "StreamStopped",
    "Verdict",
    "WebhookCodec",
]


# -- abilities -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a carrier can do.

    Attributes:
        streams_audio: Media streams in both directions (8 kHz G.711, 20 ms frames).
        marks_playout: The stream says when audio of ours has been played.
        clears_playout: The stream can drop audio that it has not played yet.
        speaks_text: Native speech on a live call, without a stream.
        recognises_speech: Native speech recognition, without a stream.
        sends_digits: DTMF out on a live call.
        detects_machines: Answering-machine detection on a dial.
        transfers: Hand a live call to another number.
        dial_is_idempotent: A dial can be repeated safely with the same key.
    """

    streams_audio: bool
    marks_playout: bool
    clears_playout: bool
    speaks_text: bool
    recognises_speech: bool
    sends_digits: bool
    detects_machines: bool
    transfers: bool
    dial_is_idempotent: bool


# -- call control ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRef:
    """Both names of a call."""

    call_id: CallId
    carrier_call_id: CarrierCallId


@dataclass(frozen=True, slots=True, kw_only=True)
class DialOrder:
    """What a carrier needs to place a call.

    Attributes:
        call_id: Our id; also the idempotency key where the carrier takes one.
        to: Callee, E.164.
        from_: Caller id, E.164.
        ring_timeout_s: How long to let it ring, in seconds.
        max_duration_s: The carrier's own limit behind ours, in seconds.
        stream_token: Single-use secret that the media stream must present, if any.
        notify_text: A one-shot message that may be sent inline with the dial.
        webhook_url: The public URL that the carrier calls back, None where none is known.
        machine_detection: True where answering-machine detection is wanted.
    """

    call_id: CallId
    to: str
    from_: str
    ring_timeout_s: float
    max_duration_s: float
    stream_token: str | None = None
    notify_text: str | None = None
    webhook_url: str | None = None
    machine_detection: bool = False


class CarrierStatus(StrEnum):
    """What a carrier knows of a call when asked."""

    LIVE = "live"
    ENDED = "ended"
    UNKNOWN = "unknown"
    """The carrier could not tell; the call is kept and its timers decide."""


class CallControl(Protocol):
    """The command side of a carrier. Every method raises `CarrierError`."""

    async def dial(self, order: DialOrder) -> CarrierCallId:
        """Place a call. Never retried here: the caller of this method decides."""
        ...

    async def answer(self, call: CallRef) -> None:
        """Pick up an inbound call; harmless when repeated."""
        ...

    async def reject(
        self, call: CallRef, *, cause: EndCause, notice: str | None
    ) -> None:
        """Refuse an inbound call, after saying `notice` where the carrier can."""
        ...

    async def hang_up(self, call: CallRef) -> None:
        """End a call; harmless when it has ended already."""
        ...

    async def act(self, call: CallRef, steps: tuple[PlanStep, ...]) -> None:
        """Make a live call without a media stream take these steps now."""
        ...

    async def send_digits(self, call: CallRef, digits: tuple[Digit, ...]) -> None:
        """Send DTMF digits without disturbing a media stream."""
        ...

    async def fetch_status(self, call: CallRef) -> CarrierStatus:
        """Ask whether a call still lives."""
        ...

    async def close(self) -> None:
        """Release connections; the carrier is not used again."""
        ...


# -- webhooks (pure) -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A webhook as it arrived.

    Attributes:
        method: Upper case.
        url: The public URL that the carrier called, rebuilt by the server.
        headers: Names in lower case; the last of repeated ones.
        body: Raw bytes.
        url_alternatives: Other spellings of the same URL that the carrier may have
            signed, such as with or without the port; likelier ones first.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    url_alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """What the carrier gets back."""

    status: int = 200
    body: bytes = b"OK"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a webhook is the carrier's.

    Attributes:
        is_genuine: True where the signature holds.
        request_key: Identity of the request, from signed material only; equal for a
            repeated request. Present where `is_genuine`.
        reason: Why not, for the log.
    """

    is_genuine: bool
    request_key: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierNotice:
    """One event as a carrier reports it, with everything needed to find its call.

    Attributes:
        event: What happened.
        carrier_call_id: The carrier's id of the call.
        call_id: Our id, where the carrier echoes it.
        dedupe_key: Equal for repeated reports of the same event, None if unknowable.
        direction: Present where a new call may be made from this notice.
        from_: Caller, E.164 or empty if withheld.
        to: Callee, E.164.
    """

    event: CallEvent
    carrier_call_id: CarrierCallId
    call_id: CallId | None = None
    dedupe_key: str | None = None
    direction: Direction | None = None
    from_: str | None = None
    to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectStream:
    """Open a media stream in both directions, and stay on it.

    Attributes:
        url: Where to, `wss://…` without a query (Twilio drops queries).
        token: Single-use secret that the stream must present when it starts.
    """

    url: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SayText:
    """Say something with the carrier's own voice.

    Attributes:
        text: Word for word; the codec escapes it.
        voice: The carrier's name for a voice, None for its default.
        language: BCP 47 tag.
    """

    text: str
    voice: str | None
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherSpeech:
    """Listen with the carrier's own recogniser, and report what was said.

    Attributes:
        turn_token: Comes back with the answer, so that a late one can be told.
        url: Where the answer is reported to.
        language: BCP 47 tag.
    """

    turn_token: str
    url: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPlayed:
    """Report as soon as everything before has been heard: the proof of playout.

    Attributes:
        utterance_id: Comes back in an `AgentSpeechEnded` notice.
        url: Where to report; the answer says how the call goes on.
    """

    utterance_id: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepWaiting:
    """Keep the call as it is; never a document that ends a live call.

    Attributes:
        url: Where to ask again after `wait_s` seconds, None to wait to be told.
        wait_s: How long to wait, in seconds.
    """

    url: str | None = None
    wait_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCall:
    """Hang up, or refuse a call that is not answered yet."""

    is_refusal: bool = False


PlanStep = ConnectStream | SayText | GatherSpeech | ReportPlayed | KeepWaiting | EndCall
"""One step of what a carrier is told in answer to a webhook."""


class WebhookCodec(Protocol):
    """The pure half of a carrier's HTTP side."""

    @property
    def required_headers(self) -> tuple[tuple[str, ...], ...]:
        """Alternatives of header names; one complete set must be present."""
        ...

    def verify(self, request: HttpRequest, *, now: float) -> Verdict:
        """Say whether the request is genuine. Never raises on bad input."""
        ...

    def decode(self, request: HttpRequest, *, request_key: str) -> list[CarrierNotice]:
        """Return what the request reports; raises `RemoteProtocolError`."""
        ...

    def directs_call(self, request: HttpRequest) -> bool:
        """Return True where the answer says how the call goes on, False for a report."""
        ...

    def respond(
        self, request: HttpRequest, steps: tuple[PlanStep, ...]
    ) -> HttpResponse:
        """Return the answer that makes the carrier take these steps.

        Without steps the answer only acknowledges: it acts on no call.
        """
        ...


# -- media streams (pure) --------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStarted:
    """The first message of a stream: which call it belongs to, and its secret."""

    stream_id: StreamId
    carrier_call_id: CarrierCallId
    token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAudio:
    """Audio from the other side: G.711 µ-law, 8 kHz, usually 160 bytes (20 ms)."""

    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamMark:
    """A mark of ours came back: everything sent before it was played or cleared."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDigit:
    """The other side pressed a key."""

    digit: Digit


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStopped:
    """The stream is over."""


StreamEvent = StreamStarted | StreamAudio | StreamMark | StreamDigit | StreamStopped


class StreamCodec(Protocol):
    """The pure half of a carrier's media socket."""

    def decode(self, message: bytes) -> StreamEvent | None:
        """Return what a message says, None if it says nothing of interest.

        Raises:
            RemoteProtocolError: The message breaks the carrier's protocol.
        """
        ...

    def encode(self, command: StreamCommand, *, stream_id: StreamId) -> bytes:
        """Return the message that carries out a command."""
        ...


# -- live media, as the runtime sees it ------------------------------------------------


class MediaLink(Protocol):
    """A live stream towards the other side. Methods never block and never raise."""

    def send(self, command: StreamCommand) -> None:
        """Send a command; dropped silently when the stream is gone."""
        ...

    def close(self) -> None:
        """Close the stream from our side."""
        ...


class MediaListener(Protocol):
    """What a live stream reports to. Called from the event loop, never blocks."""

    def receive(self, event: StreamEvent) -> None:
        """Take one stream event."""
        ...


class CarrierSink(Protocol):
    """Where a carrier's news go: the manager of all calls."""

    async def deliver(self, notice: CarrierNotice) -> None:
        """Take a notice; returns when it is durable.

        Raises:
            JournalError: It could not be stored; the carrier must send it again.
        """
        ...

    def open_stream(self, started: StreamStarted, link: MediaLink) -> MediaListener:
        """Bind a stream to its call.

        Raises:
            CallError: No live call, or not its token.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """Everything the runtime knows of a carrier.

    Attributes:
        name: Short name, as in the setting `provider`.
        capabilities: What it can do.
        control: Its command side.
        webhooks: Its HTTP codec, None where it has no webhooks.
        streams: Its media codec, None where media does not come over a socket.
        verify_upgrade: Says whether it signed the opening of a media socket, from the
            socket's public URL and the request's headers (names in lower case); None
            where it does not sign them.
    """

    name: str
    capabilities: Capabilities
    control: CallControl
    webhooks: WebhookCodec | None = None
    streams: StreamCodec | None = None
    verify_upgrade: Callable[[str, Mapping[str, str]], bool] | None = None
