"""A call's life in the simulated network, seen by the agent's side."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from voice_call.call.events import (
    Answered,
    AnsweredBy,
    CarrierEnded,
    MachineDetected,
    Offered,
    Ringing,
)
from voice_call.call.model import (
    CallId,
    CarrierCallId,
    Digit,
    Direction,
    EndCause,
    EndedBy,
)
from voice_call.carriers.base import (
    CallRef,
    CarrierStatus,
    ClearAudio,
    DialOrder,
    SendAudio,
    SendMark,
    StreamAudio,
)
from voice_call.carriers.simulated import (
    Behaviour,
    CalleePlan,
    CalleeSpeech,
    SimulatedNetwork,
    SimulatedSettings,
)
from voice_call.carriers.simulated.sound import tone
from voice_call.errors import (
    CarrierRefused,
    CarrierUnreachable,
    JournalUnwritable,
    UnknownCall,
)
from voice_call.media.g711 import mean_level
from voice_call.testing.clock import VirtualClock
from voice_call.testing.sink import RecordingSink
from voice_call.testing.speech import ToneTextToSpeech

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

ID = CarrierCallId("mock-one")
REF = CallRef(call_id=CallId("one"), carrier_call_id=ID)


@asynccontextmanager
async def a_network(
    **options: Any,
) -> AsyncIterator[tuple[SimulatedNetwork, RecordingSink]]:
    clock = VirtualClock()
    network, sink = SimulatedNetwork(clock, **options), RecordingSink(clock)
    network.connect(sink)
    try:
        yield network, sink
    finally:
        await network.close()
        left = [t for t in asyncio.all_tasks() if t.get_name().startswith("simulated")]
        assert left == []


def order(to: str = "+15550100000", **changes: Any) -> DialOrder:
    fields: dict[str, Any] = {
        "call_id": CallId("one"),
        "to": to,
        "from_": "+15550000000",
        "ring_timeout_s": 30.0,
        "max_duration_s": 300.0,
        "stream_token": "ticket",
    }
    return DialOrder(**(fields | changes))


async def test_a_dialled_call_rings_is_answered_and_opens_its_stream() -> None:
    async with a_network() as (network, sink):
        began_at = VirtualClock().now()
        assert await network.carrier.control.dial(order()) == "mock-one"
        stream = await sink.wait_stream()
        assert sink.events == [Ringing(), Answered()]
        assert [round(at - began_at, 3) for at, _ in sink.notices] == [0.05, 1.05]
        assert stream.started.carrier_call_id == "mock-one"
        assert stream.started.stream_id == "mock-one-stream-1"
        assert stream.started.token == "ticket"
        assert {n.call_id for _, n in sink.notices} == {"one"}
        assert len({n.dedupe_key for _, n in sink.notices}) == 2


async def test_the_callee_is_heard_in_frames_of_20_ms() -> None:
    async with a_network() as (network, sink):
        await network.carrier.control.dial(order())
        stream = await sink.wait_stream()
        await sink.wait_until(lambda: len(stream.events) >= 50)
        times = [at for at, event in stream.events if isinstance(event, StreamAudio)]
        gaps = {round(b - a, 4) for a, b in pairwise(times)}
        assert gaps == {0.02}
        assert {len(stream.audio)} == {8000}


async def test_marks_come_back_when_the_callee_has_heard_what_was_before() -> None:
    async with a_network() as (network, sink):
        await network.carrier.control.dial(order())
        stream = await sink.wait_stream()
        began_at = VirtualClock().now()
        stream.link.send(SendAudio(payload=b"\x10" * 1600))
        stream.link.send(SendMark(name="ten frames"))
        await sink.wait_until(lambda: stream.marks == ["ten frames"])
        assert VirtualClock().now() - began_at == pytest.approx(0.2, abs=0.021)
        assert network.heard_audio(ID).count(b"\x10") == 1600


async def test_clear_gives_marks_back_at_once_and_the_callee_hears_no_more() -> None:
    async with a_network() as (network, sink):
        await network.carrier.control.dial(order())
        stream = await sink.wait_stream()
        stream.link.send(SendAudio(payload=b"\x10" * 16000))
        stream.link.send(SendMark(name="end"))
        await asyncio.sleep(0.5)
        stream.link.send(ClearAudio())
        began_at = VirtualClock().now()
        await sink.wait_until(lambda: stream.marks == ["end"])
        assert VirtualClock().now() == began_at
        await asyncio.sleep(1)
        assert 3200 <= network.heard_audio(ID).count(b"\x10") <= 4160


async def test_our_hang_up_ends_a_call_normally() -> None:
    async with a_network() as (network, sink):
        await network.carrier.control.dial(order())
        stream = await sink.wait_stream()
        await network.carrier.control.hang_up(REF)
        await network.wait_ended(ID)
        assert sink.events[-1] == CarrierEnded(
            cause=EndCause.NORMAL, by=EndedBy.CARRIER, carrier_code="completed"
        )
        assert stream.is_stopped
        await network.carrier.control.hang_up(REF)
        assert len(sink.events) == 3


async def test_a_hang_up_before_the_answer_cancels_the_call() -> None:
    async with a_network() as (network, sink):
        await network.carrier.control.dial(order())
        await sink.wait_event(Ringing)
        await network.carrier.control.hang_up(REF)
        await network.wait_ended(ID)
        assert sink.events == [
            Ringing(),
            CarrierEnded(
                cause=EndCause.CANCELLED, by=EndedBy.CARRIER, carrier_code="canceled"
            ),
        ]


@pytest.mark.parametrize(
    ("number", "cause", "by", "code", "after_s"),
    [
        ("+15550100010", EndCause.BUSY, EndedBy.REMOTE, "busy", 0.15),
        ("+15550100011", EndCause.NO_ANSWER, EndedBy.CARRIER, "no-answer", 30.05),
        ("+15550100012", EndCause.REJECTED, EndedBy.REMOTE, "rejected", 0.55),
        ("+15550100020", EndCause.NORMAL, EndedBy.REMOTE, "completed", 16.1),
        ("+15550100033", EndCause.FAILED, EndedBy.CARRIER, "failed", 3.1),
    ],
)
async def test_magic_numbers_end_calls_in_their_way(
    number: str, cause: EndCause, by: EndedBy, code: str, after_s: float
) -> None:
    async with a_network() as (network, sink):
        began_at = VirtualClock().now()
        await network.carrier.control.dial(order(number))
        ended = await sink.wait_event(CarrierEnded)
        assert ended == CarrierEnded(cause=cause, by=by, carrier_code=code)
        assert sink.notices[-1][0] - began_at == pytest.approx(after_s, abs=0.05)


async def test_a_callee_hangs_up_in_the_middle_of_the_agents_speech() -> None:
    async with a_network() as (network, sink):
        await network.carrier.control.dial(order("+15550100020"))
        stream = await sink.wait_stream()
        stream.link.send(SendAudio(payload=tone(300, 10)))
        began_at = VirtualClock().now()
        await sink.wait_event(CarrierEnded)
        assert VirtualClock().now() - began_at == pytest.approx(1.5, abs=0.1)


async def test_a_refused_dial_raises_the_carriers_code_and_rings_nobody() -> None:
    async with a_network() as (network, sink):
        with pytest.raises(CarrierRefused) as caught:
            await network.carrier.control.dial(order("+15550100031"))
        assert (caught.value.carrier, caught.value.carrier_code) == (
            "mock",
            "dial-error",
        )
        await asyncio.sleep(5)
        assert sink.notices == []


async def test_an_unreachable_carrier_does_not_answer_a_dial() -> None:
    async with a_network() as (network, _):
        began_at = VirtualClock().now()
        with pytest.raises(CarrierUnreachable) as caught:
            await network.carrier.control.dial(order("+15550100032"))
        assert not caught.value.retryable
        assert VirtualClock().now() - began_at == pytest.approx(5.0)


async def test_a_slow_carrier_takes_its_time_for_every_request() -> None:
    async with a_network() as (network, sink):
        began_at = VirtualClock().now()
        await network.carrier.control.dial(order("+15550100030"))
        assert VirtualClock().now() - began_at == pytest.approx(1.5)
        await sink.wait_stream()
        began_at = VirtualClock().now()
        await network.carrier.control.hang_up(REF)
        assert VirtualClock().now() - began_at == pytest.approx(1.5)


async def test_a_voicemail_greets_beeps_and_then_records_in_silence() -> None:
    async with a_network() as (network, sink):
        await network.carrier.control.dial(order("+15550100013"))
        stream = await sink.wait_stream()
        await sink.wait_until(lambda: len(sink.events) == 4)
        assert sink.events == [
            Ringing(),
            Answered(),
            MachineDetected(answered_by=AnsweredBy.MACHINE_GREETING),
            MachineDetected(answered_by=AnsweredBy.MACHINE_BEEP),
        ]
        beep = tone(1000, 0.4)
        assert beep in stream.audio
        assert (
            stream.audio.index(beep) == 12160
        )  # after a greeting of 1.5 s and a frame


async def test_a_lost_stream_is_followed_by_a_new_one() -> None:
    async with a_network() as (network, sink):
        await network.carrier.control.dial(order("+15550100022"))
        first = await sink.wait_stream()
        await sink.wait_until(lambda: len(sink.streams) == 2)
        second = sink.streams[1]
        assert first.is_stopped
        first.link.send(SendMark(name="nobody hears this"))
        second.link.send(SendMark(name="here"))
        await sink.wait_until(lambda: second.marks == ["here"])
        assert first.marks == []
        assert second.started.stream_id == "mock-one-stream-2"
        assert sink.events == [Ringing(), Answered()]


async def test_a_stream_may_open_before_the_answer_is_reported() -> None:
    async with a_network() as (network, sink):
        await network.carrier.control.dial(order("+15550100023"))
        await sink.wait_stream()
        assert sink.events == [Ringing()]
        await sink.wait_event(Answered)


async def test_an_untidy_carrier_doubles_and_reorders_its_notices() -> None:
    async with a_network() as (network, sink):
        await network.carrier.control.dial(order("+15550100025"))
        await sink.wait_stream()
        await network.carrier.control.hang_up(REF)
        await network.wait_ended(ID)
        ended = sink.events[-1]
        assert sink.events == [
            Answered(),
            Ringing(),
            Ringing(),
            Answered(),
            ended,
            ended,
        ]
        assert len({notice.dedupe_key for _, notice in sink.notices}) == 3


async def test_digits_reach_the_callee_and_come_back_from_a_keypad() -> None:
    async with a_network() as (network, sink):
        await network.carrier.control.dial(order("+15550100003"))
        stream = await sink.wait_stream()
        await network.carrier.control.send_digits(REF, (Digit.FIVE, Digit.POUND))
        assert network.heard_digits(ID) == (Digit.FIVE, Digit.POUND)
        assert stream.digits == "5#"


async def test_digits_need_a_connected_call() -> None:
    async with a_network() as (network, _):
        await network.carrier.control.dial(order())
        with pytest.raises(CarrierRefused):
            await network.carrier.control.send_digits(REF, (Digit.ONE,))


async def test_the_other_side_can_be_made_to_press_and_hang_up() -> None:
    async with a_network() as (network, sink):
        await network.carrier.control.dial(order())
        stream = await sink.wait_stream()
        network.press(ID, (Digit.ONE, Digit.STAR))
        assert stream.digits == "1*"
        network.hang_up(ID)
        await network.wait_ended(ID)
        assert sink.events[-1] == CarrierEnded(
            cause=EndCause.NORMAL, by=EndedBy.REMOTE, carrier_code="completed"
        )


async def test_an_inbound_call_waits_to_be_answered() -> None:
    async with a_network() as (network, sink):
        key = await network.call_in("+15550001111", "+15550002222")
        assert key == f"mock-in-{round(VirtualClock().now() * 1000)}"
        await sink.wait_event(Offered)
        notice = sink.notices[0][1]
        assert (notice.direction, notice.call_id) == (Direction.INBOUND, None)
        assert (notice.from_, notice.to) == ("+15550001111", "+15550002222")
        await asyncio.sleep(3)
        assert sink.streams == []
        ref = CallRef(call_id=CallId("ours"), carrier_call_id=key)
        await network.carrier.control.answer(ref)
        stream = await sink.wait_stream()
        assert stream.started.token is None
        assert sink.events == [Offered(), Answered()]


async def test_an_inbound_caller_gives_up_in_the_end() -> None:
    async with a_network(settings=SimulatedSettings(caller_patience_s=8)) as (
        net,
        sink,
    ):
        key = await net.call_in("+15550001111", "+15550002222")
        await net.wait_ended(key)
        assert sink.events == [
            Offered(),
            CarrierEnded(
                cause=EndCause.CANCELLED, by=EndedBy.REMOTE, carrier_code="canceled"
            ),
        ]


@pytest.mark.parametrize(
    ("cause", "code"),
    [(EndCause.POLICY, "rejected"), (EndCause.ALL_LINES_BUSY, "busy")],
)
async def test_a_rejected_inbound_call_ends(cause: EndCause, code: str) -> None:
    async with a_network() as (network, sink):
        key = await network.call_in("+15550001111", "+15550002222")
        ref = CallRef(call_id=CallId("ours"), carrier_call_id=key)
        await network.carrier.control.reject(ref, cause=cause, notice=None)
        await network.wait_ended(key)
        assert sink.events[-1] == CarrierEnded(
            cause=cause, by=EndedBy.CARRIER, carrier_code=code
        )


async def test_a_refused_caller_hears_why_before_the_call_ends() -> None:
    speech = CalleeSpeech(text_to_speech=ToneTextToSpeech())
    async with a_network(callee_speech=speech) as (network, sink):
        key = await network.call_in("+15550001111", "+15550002222")
        ref = CallRef(call_id=CallId("ours"), carrier_call_id=key)
        await network.carrier.control.reject(
            ref, cause=EndCause.ALL_LINES_BUSY, notice="All lines are busy."
        )
        await network.wait_ended(key)
        heard = network.heard_audio(key)
        assert len(heard) >= 7000
        assert mean_level(heard) > -30
        assert isinstance(sink.events[-1], CarrierEnded)


async def test_a_caller_who_gives_up_need_not_hear_the_end_of_it() -> None:
    speech = CalleeSpeech(text_to_speech=ToneTextToSpeech())
    async with a_network(callee_speech=speech) as (network, _):
        key = await network.call_in("+15550001111", "+15550002222")
        ref = CallRef(call_id=CallId("ours"), carrier_call_id=key)
        rejecting = asyncio.create_task(
            network.carrier.control.reject(
                ref, cause=EndCause.ALL_LINES_BUSY, notice="All lines are busy. " * 50
            )
        )
        await asyncio.sleep(1)
        network.hang_up(key)
        await network.wait_ended(key)
        await asyncio.wait_for(rejecting, timeout=1)


async def test_the_carrier_ends_a_call_that_lasts_too_long() -> None:
    async with a_network() as (network, sink):
        await network.carrier.control.dial(order(max_duration_s=20.0))
        ended = await sink.wait_event(CarrierEnded)
        assert ended == CarrierEnded(
            cause=EndCause.MAX_DURATION, by=EndedBy.CARRIER, carrier_code="completed"
        )


async def test_a_repeated_dial_is_the_same_call() -> None:
    async with a_network() as (network, sink):
        await network.carrier.control.dial(order())
        await network.carrier.control.dial(order())
        await sink.wait_stream()
        assert sink.events == [Ringing(), Answered()]


@pytest.mark.parametrize(
    "key", ["mock-stale-1", "mock-ENDED", "x-completed-y", "mock-never-seen"]
)
async def test_calls_with_telling_or_unknown_ids_have_ended(key: str) -> None:
    async with a_network() as (network, _):
        ref = CallRef(call_id=CallId("a"), carrier_call_id=CarrierCallId(key))
        assert await network.carrier.control.fetch_status(ref) is CarrierStatus.ENDED


async def test_a_live_call_is_known_as_live() -> None:
    async with a_network() as (network, sink):
        await network.carrier.control.dial(order())
        assert await network.carrier.control.fetch_status(REF) is CarrierStatus.LIVE
        await sink.wait_stream()
        await network.carrier.control.hang_up(REF)
        assert await network.carrier.control.fetch_status(REF) is CarrierStatus.ENDED


async def test_a_refused_stream_ends_the_call() -> None:
    async with a_network() as (network, sink):
        sink.refuses_streams = True
        await network.carrier.control.dial(order())
        assert await sink.wait_event(CarrierEnded) == CarrierEnded(
            cause=EndCause.FAILED, by=EndedBy.CARRIER, carrier_code="stream-refused"
        )


async def test_closing_the_stream_from_our_side_ends_the_call() -> None:
    async with a_network() as (network, sink):
        await network.carrier.control.dial(order())
        (await sink.wait_stream()).link.close()
        await network.wait_ended(ID)
        assert sink.events[-1] == CarrierEnded(
            cause=EndCause.NORMAL, by=EndedBy.CARRIER, carrier_code="completed"
        )


async def test_a_failing_listener_ends_its_own_call_alone() -> None:
    async with a_network() as (network, sink):
        await network.carrier.control.dial(order())
        broken = await sink.wait_stream()
        await network.carrier.control.dial(order(call_id=CallId("two")))
        await sink.wait_until(lambda: len(sink.streams) == 2)
        broken.failure = RuntimeError("broken")
        await network.wait_ended(ID)
        assert sink.events[-1] == CarrierEnded(
            cause=EndCause.FAILED, by=EndedBy.CARRIER, carrier_code="failed"
        )
        assert network.live_calls() == ("mock-two",)


async def test_a_notice_that_was_not_stored_is_sent_again() -> None:
    async with a_network() as (network, sink):
        sink.failures = [JournalUnwritable("disk full"), JournalUnwritable("disk full")]
        await network.carrier.control.dial(order())
        await sink.wait_event(Answered)
        assert sink.events == [Ringing(), Answered()]


async def test_a_fault_of_the_sink_loses_one_notice_and_no_call() -> None:
    async with a_network() as (network, sink):
        sink.failures = [RuntimeError("broken")]
        await network.carrier.control.dial(order())
        await sink.wait_stream()
        assert sink.events == [Answered()]


async def test_a_notice_that_is_never_stored_is_given_up() -> None:
    async with a_network() as (network, sink):
        sink.failures = [JournalUnwritable("disk full")] * 5
        await network.carrier.control.dial(order())
        await sink.wait_stream()
        await asyncio.sleep(10)
        assert sink.events == [Answered()]


async def test_nothing_can_be_asked_of_an_unknown_call() -> None:
    async with a_network() as (network, _):
        for ask in (network.heard, network.heard_audio, network.heard_digits):
            with pytest.raises(UnknownCall):
                ask(CarrierCallId("mock-none"))


async def test_a_network_that_leads_nowhere_takes_no_calls() -> None:
    network = SimulatedNetwork(VirtualClock())
    with pytest.raises(CarrierUnreachable):
        await network.carrier.control.dial(order())
    await network.close()


async def test_closing_leaves_nothing_behind_and_may_be_repeated() -> None:
    async with a_network() as (network, sink):
        for n in range(5):
            await network.carrier.control.dial(order(call_id=CallId(f"call {n}")))
        await sink.wait_stream()
        await network.carrier.control.close()
        await network.close()
        with pytest.raises(CarrierUnreachable):
            await network.call_in("+15550001111", "+15550002222")


async def test_a_callee_can_be_set_for_a_number() -> None:
    settings = SimulatedSettings(
        callees={"+15550001111": CalleePlan(behaviour=Behaviour.BUSY)}
    )
    async with a_network(settings=settings) as (network, sink):
        await network.carrier.control.dial(order("+15550001111"))
        await network.wait_ended(ID)
        assert len(sink.events) == 1


class StallingClock(VirtualClock):
    """A clock that jumps, as if the process had stood still."""

    def __init__(self) -> None:
        self.stalled_s = 0.0

    def now(self) -> float:
        return super().now() + self.stalled_s


async def test_frames_that_are_far_too_late_are_skipped() -> None:
    clock = StallingClock()
    network, sink = SimulatedNetwork(clock), RecordingSink(clock)
    network.connect(sink)
    await network.carrier.control.dial(order())
    stream = await sink.wait_stream()
    await asyncio.sleep(1)
    before = len(stream.events)
    clock.stalled_s = 10.0
    await asyncio.sleep(1)
    assert 48 <= len(stream.events) - before <= 52
    await network.close()


async def test_frames_that_are_a_little_late_are_made_up_for() -> None:
    clock = StallingClock()
    network, sink = SimulatedNetwork(clock), RecordingSink(clock)
    network.connect(sink)
    await network.carrier.control.dial(order())
    stream = await sink.wait_stream()
    await asyncio.sleep(1)
    before = len(stream.events)
    clock.stalled_s = 0.4
    await asyncio.sleep(1)
    assert 68 <= len(stream.events) - before <= 72
    await network.close()


async def test_old_calls_are_forgotten_in_the_end() -> None:
    async with a_network() as (network, _):
        for n in range(202):
            key = await network.carrier.control.dial(
                order("+15550100010", call_id=CallId(f"call {n}"))
            )
            await network.wait_ended(key)
        with pytest.raises(UnknownCall):
            network.heard(CarrierCallId("mock-call 0"))
        assert network.heard(CarrierCallId("mock-call 201")) == []
        await network.wait_ended(CarrierCallId("mock-call 201"))


async def test_a_stream_may_be_closed_twice() -> None:
    async with a_network() as (network, sink):
        await network.carrier.control.dial(order())
        stream = await sink.wait_stream()
        stream.link.send(SendAudio(payload=b"\x10" * 320))
        stream.link.send(SendMark(name="goodbye"))
        await sink.wait_until(lambda: stream.marks == ["goodbye"])
        stream.link.close()
        stream.link.close()
        await network.wait_ended(ID)
        assert stream.is_stopped


async def test_audio_beyond_the_buffer_is_lost() -> None:
    async with a_network(settings=SimulatedSettings(buffer_s=0.1)) as (network, sink):
        await network.carrier.control.dial(order())
        stream = await sink.wait_stream()
        stream.link.send(SendAudio(payload=b"\x10" * 8000))
        await asyncio.sleep(1)
        assert network.heard_audio(ID).count(b"\x10") == 800
        await network.carrier.control.hang_up(REF)
        await network.wait_ended(ID)
