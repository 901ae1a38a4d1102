"""The contract of a carrier, as checks that every carrier must pass.

For built-in carriers and for those of third parties alike. The checks of the codecs are
pure: give them a `Carrier` and some bytes. The checks of calls need a network at the
other end: describe it with a `CarrierUnderTest`, real or simulated, and run each member
of `CALL_CHECKS`. A check returns when the carrier keeps its word and raises
`AssertionError` with one sentence when it does not.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voice_call.call.events import Answered, CarrierEnded, Ringing
from voice_call.call.model import CallId, CarrierCallId, Digit, EndCause, StreamId
from voice_call.carriers.base import (
    CallRef,
    Carrier,
    CarrierNotice,
    CarrierStatus,
    ClearAudio,
    DialOrder,
    HttpRequest,
    SendAudio,
    SendMark,
    StreamAudio,
    StreamCommand,
    StreamDigit,
    StreamMark,
    StreamStarted,
    StreamStopped,
)
from voice_call.errors import CarrierError, RemoteProtocolError
from voice_call.media.audio import FRAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from voice_call.call.events import CallEvent
    from voice_call.testing.sink import RecordingListener, RecordingSink

__all__ = [
    "CALL_CHECKS",
    "CarrierUnderTest",
    "check_abilities_agree",
    "check_stream_codec",
    "check_webhook_codec",
]

CARRIERS_EVENTS = (StreamStarted, StreamAudio, StreamMark, StreamDigit, StreamStopped)
STREAM_COMMANDS: tuple[StreamCommand, ...] = (
    SendAudio(payload=b"\xff" * FRAME_BYTES),
    SendAudio(payload=b""),
    SendAudio(payload=b"\x00" * 10 * FRAME_BYTES),
    SendMark(name="mark-1"),
    ClearAudio(),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierUnderTest:
    """A carrier with a network behind it.

    Attributes:
        carrier: What is tested.
        sink: Where its notices and streams arrive.
        answering_number: Is answered by somebody who listens.
        busy_number: Is always busy.
        refused_number: The carrier refuses to dial it.
        hang_up_remote: Lets the other side hang up.
        from_number: Our number.
    """

    carrier: Carrier
    sink: RecordingSink
    answering_number: str
    busy_number: str
    refused_number: str
    hang_up_remote: Callable[[CarrierCallId], None]
    from_number: str = "+15550000000"

    def order(self, to: str, *, call_id: str = "contract") -> DialOrder:
        """Return an order to dial a number."""
        return DialOrder(
            call_id=CallId(call_id),
            to=to,
            from_=self.from_number,
            ring_timeout_s=30.0,
            max_duration_s=300.0,
            stream_token="contract-token",  # noqa: S106 - a made-up one
        )

    async def connect(self) -> tuple[CallRef, RecordingListener]:
        """Dial, and wait until the media stream is open."""
        order = self.order(self.answering_number)
        carrier_call_id = await self.carrier.control.dial(order)
        listener = await self.sink.wait_stream()
        ref = CallRef(call_id=order.call_id, carrier_call_id=carrier_call_id)
        return ref, listener

    async def ended(self) -> CarrierEnded:
        """Wait for the end of the call."""
        event = await self.sink.wait_event(CarrierEnded)
        assert isinstance(event, CarrierEnded)
        return event


# -- pure checks -----------------------------------------------------------------------


def check_abilities_agree(carrier: Carrier) -> None:
    """Check that the abilities claimed do not contradict each other."""
    able = carrier.capabilities
    assert carrier.name, "A carrier has a name."
    assert carrier.name == carrier.name.lower(), "A carrier's name is in lower case."
    assert able.streams_audio or not able.marks_playout, "Marks need a media stream."
    assert able.streams_audio or not able.clears_playout, "Clear needs a media stream."
    assert able.streams_audio or (able.speaks_text and able.recognises_speech), (
        "A carrier without media streams must speak and understand by itself."
    )


def check_webhook_codec(carrier: Carrier, request: HttpRequest, *, now: float) -> None:
    """Check that any request gets a verdict, and a genuine one notices or an error."""
    codec = carrier.webhooks
    if codec is None:
        return
    assert codec.required_headers, "One alternative of headers must exist."
    verdict = codec.verify(request, now=now)
    assert verdict == codec.verify(request, now=now), "A verdict can be repeated."
    assert verdict.is_genuine == (verdict.request_key is not None), (
        "A request has a key if, and only if, it is genuine."
    )
    if verdict.request_key is None:
        assert verdict.reason, "A refusal names its reason."
    try:
        notices = codec.decode(request, request_key=verdict.request_key or "none")
    except RemoteProtocolError:
        return
    for notice in notices:
        assert isinstance(notice, CarrierNotice), "A webhook decodes to notices."
        assert notice.carrier_call_id, "A notice names its call."


def check_stream_codec(carrier: Carrier, message: bytes) -> None:
    """Check that any message decodes to an event, nothing, or the documented error."""
    codec = carrier.streams
    if codec is None:
        return
    for command in STREAM_COMMANDS:
        encoded = codec.encode(command, stream_id=StreamId("stream-1"))
        assert isinstance(encoded, bytes), "A command is encoded as bytes."
    try:
        event = codec.decode(message)
    except RemoteProtocolError:
        return
    assert event is None or isinstance(event, CARRIERS_EVENTS), (
        "A message decodes to a stream event or to nothing."
    )


# -- checks of calls -------------------------------------------------------------------


async def check_a_call_rings_and_is_answered(under_test: CarrierUnderTest) -> None:
    """Ringing and answered are reported, for the call that was dialled."""
    order = under_test.order(under_test.answering_number)
    carrier_call_id = await under_test.carrier.control.dial(order)
    assert carrier_call_id, "A dial returns the carrier's id."
    await under_test.sink.wait_event(Ringing)
    await under_test.sink.wait_event(Answered)
    ids = {notice.carrier_call_id for _, notice in under_test.sink.notices}
    assert ids == {carrier_call_id}, "Notices carry the id that the dial returned."


async def check_notices_can_be_told_apart(under_test: CarrierUnderTest) -> None:
    """Different events have different keys."""
    ref, _ = await under_test.connect()
    await under_test.carrier.control.hang_up(ref)
    await under_test.ended()
    events: dict[str, CallEvent] = {}
    for _, notice in under_test.sink.notices:
        if notice.dedupe_key is not None:
            known = events.setdefault(notice.dedupe_key, notice.event)
            assert known == notice.event, "Different events must not share a key."


async def check_a_stream_presents_its_call_and_token(
    under_test: CarrierUnderTest,
) -> None:
    """A media stream names its call and brings the token of the dial."""
    ref, listener = await under_test.connect()
    assert listener.started.carrier_call_id == ref.carrier_call_id, (
        "A stream names its call."
    )
    assert listener.started.token == "contract-token", (  # noqa: S105 - a made-up one
        "A stream presents the token of the dial."
    )


async def check_audio_flows_towards_us(under_test: CarrierUnderTest) -> None:
    """Audio comes in frames of 20 ms, also while nobody speaks."""
    _, listener = await under_test.connect()
    await under_test.sink.wait_until(
        lambda: len(listener.audio) >= 25 * FRAME_BYTES, within_s=5.0
    )


async def check_marks_come_back_in_order(under_test: CarrierUnderTest) -> None:
    """Marks come back in order, after what was sent before them has been played."""
    if not under_test.carrier.capabilities.marks_playout:
        return
    _, listener = await under_test.connect()
    heard_before = len(listener.audio)
    listener.link.send(SendAudio(payload=b"\x20" * 25 * FRAME_BYTES))
    for name in ("first", "second"):
        listener.link.send(SendMark(name=name))
    await under_test.sink.wait_until(lambda: "second" in listener.marks)
    assert listener.marks == ["first", "second"], "Marks come back in order."
    passed_frames = (len(listener.audio) - heard_before) // FRAME_BYTES
    assert passed_frames >= 20, "A mark does not come back before its audio is played."  # noqa: PLR2004 - 25 frames, less what a network holds


async def check_clear_gives_marks_back(under_test: CarrierUnderTest) -> None:
    """After a clear the marks of what was dropped come back."""
    able = under_test.carrier.capabilities
    if not (able.clears_playout and able.marks_playout):
        return
    _, listener = await under_test.connect()
    listener.link.send(SendAudio(payload=b"\x20" * 3000 * FRAME_BYTES))
    listener.link.send(SendMark(name="dropped"))
    listener.link.send(ClearAudio())
    await under_test.sink.wait_until(
        lambda: listener.marks == ["dropped"], within_s=2.0
    )


async def check_hang_up_is_harmless_when_repeated(under_test: CarrierUnderTest) -> None:
    """A hang-up ends the call, its stream too, and may be repeated."""
    ref, listener = await under_test.connect()
    await under_test.carrier.control.hang_up(ref)
    await under_test.ended()
    await under_test.sink.wait_until(lambda: listener.is_stopped)
    await under_test.carrier.control.hang_up(ref)
    listener.link.send(SendMark(name="nobody hears this"))
    listener.link.close()


async def check_the_other_side_hangs_up(under_test: CarrierUnderTest) -> None:
    """A hang-up by the other side is a normal end."""
    ref, _ = await under_test.connect()
    under_test.hang_up_remote(ref.carrier_call_id)
    ended = await under_test.ended()
    assert ended.cause is EndCause.NORMAL, "A hang-up by the other side is normal."


async def check_busy_is_said_so(under_test: CarrierUnderTest) -> None:
    """A busy number ends the call as busy, with the carrier's own word."""
    order = under_test.order(under_test.busy_number)
    await under_test.carrier.control.dial(order)
    ended = await under_test.ended()
    assert ended.cause is EndCause.BUSY, "A busy number ends the call as busy."
    assert ended.carrier_code, "The carrier's own word is kept."


async def check_a_refused_dial_names_the_carrier(under_test: CarrierUnderTest) -> None:
    """A refused dial raises `CarrierError` and reports no call."""
    order = under_test.order(under_test.refused_number)
    refusal: CarrierError | None = None
    try:
        await under_test.carrier.control.dial(order)
    except CarrierError as error:
        refusal = error
    assert refusal is not None, "A dial that the carrier refuses raises CarrierError."
    assert refusal.carrier == under_test.carrier.name, "An error names its carrier."
    assert order.to not in str(refusal), "No error shows a phone number."


async def check_status_follows_the_call(under_test: CarrierUnderTest) -> None:
    """A live call is live, an ended one is not, and neither is an unknown one."""
    control = under_test.carrier.control
    ref, _ = await under_test.connect()
    assert await control.fetch_status(ref) is CarrierStatus.LIVE, "The call is live."
    await control.hang_up(ref)
    await under_test.ended()
    assert await control.fetch_status(ref) is not CarrierStatus.LIVE, "It has ended."
    unknown = CallRef(
        call_id=CallId("nobody"), carrier_call_id=CarrierCallId("no-such-call")
    )
    assert await control.fetch_status(unknown) is not CarrierStatus.LIVE, (
        "A call that never was is not live."
    )


async def check_digits_are_sent(under_test: CarrierUnderTest) -> None:
    """Keys are sent on a live call without disturbing its stream."""
    if not under_test.carrier.capabilities.sends_digits:
        return
    ref, listener = await under_test.connect()
    await under_test.carrier.control.send_digits(ref, (Digit.ONE, Digit.POUND))
    heard = len(listener.audio)
    await asyncio.sleep(0.2)
    assert len(listener.audio) > heard, "The stream goes on while keys are sent."


CALL_CHECKS: tuple[Callable[[CarrierUnderTest], Awaitable[None]], ...] = (
    check_a_call_rings_and_is_answered,
    check_notices_can_be_told_apart,
    check_a_stream_presents_its_call_and_token,
    check_audio_flows_towards_us,
    check_marks_come_back_in_order,
    check_clear_gives_marks_back,
    check_hang_up_is_harmless_when_repeated,
    check_the_other_side_hangs_up,
    check_busy_is_said_so,
    check_a_refused_dial_names_the_carrier,
    check_status_follows_the_call,
    check_digits_are_sent,
)
"""Every check of calls; each needs a fresh `CarrierUnderTest`."""
