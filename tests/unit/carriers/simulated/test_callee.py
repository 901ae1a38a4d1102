"""Callees that talk: who waits for whom, who interrupts, what is understood."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from voice_call.call.events import CarrierEnded, DigitPressed, Ringing
from voice_call.call.model import CallId, CarrierCallId, Digit, EndCause, EndedBy
from voice_call.carriers.base import CallRef, DialOrder, SendAudio
from voice_call.carriers.simulated import (
    Behaviour,
    CalleePlan,
    CalleeSpeech,
    Persona,
    SimulatedNetwork,
    SimulatedSettings,
)
from voice_call.carriers.simulated.personas import (
    PERSONAS,
    HangUp,
    Murmur,
    Pause,
    Press,
    Say,
    Step,
)
from voice_call.media.audio import FRAME_BYTES
from voice_call.media.g711 import mean_level
from voice_call.testing.clock import VirtualClock
from voice_call.testing.sink import RecordingListener, RecordingSink
from voice_call.testing.speech import (
    EnergyVoiceDetector,
    ScriptedSpeechToText,
    ToneTextToSpeech,
    tone,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

ID = CarrierCallId("mock-one")
TALK_2_S = SendAudio(payload=tone(2))


@asynccontextmanager
async def a_call(
    *script: Step,
    persona: str = "scripted",
    behaviour: Behaviour = Behaviour.ANSWERS,
    speech: CalleeSpeech | None = None,
) -> AsyncIterator[tuple[SimulatedNetwork, RecordingSink]]:
    clock = VirtualClock()
    who = PERSONAS[persona]
    if script:
        who = Persona(name="test", what="Test.", script=script)
    network = SimulatedNetwork(
        clock,
        settings=SimulatedSettings(callee=CalleePlan(persona=who, behaviour=behaviour)),
        callee_speech=speech or CalleeSpeech(text_to_speech=ToneTextToSpeech()),
    )
    sink = RecordingSink(clock)
    network.connect(sink)
    order = DialOrder(
        call_id=CallId("one"),
        to="+15550001111",
        from_="+15550000000",
        ring_timeout_s=30.0,
        max_duration_s=300.0,
    )
    await network.carrier.control.dial(order)
    await sink.wait_event(Ringing)
    try:
        yield network, sink
    finally:
        await network.close()


def spans_s(stream: RecordingListener) -> list[tuple[float, float]]:
    """Return when the callee's voice was heard, in seconds since the stream began."""
    spans: list[tuple[float, float]] = []
    audio = stream.audio
    for start in range(0, len(audio), FRAME_BYTES):
        if mean_level(audio[start : start + FRAME_BYTES]) < -50:
            continue
        began_at, ended_at = start / 8000, (start + FRAME_BYTES) / 8000
        if spans and began_at - spans[-1][1] < 0.1:
            spans[-1] = (spans[-1][0], ended_at)
        else:
            spans.append((began_at, ended_at))
    return [(round(a, 1), round(b, 1)) for a, b in spans]


async def test_a_line_is_said_after_the_agent_has_finished() -> None:
    async with a_call(Say(text="abcdefghij")) as (_, sink):
        stream = await sink.wait_stream()
        stream.link.send(TALK_2_S)
        await asyncio.sleep(6)
        assert spans_s(stream) == [(2.7, 3.3)]


async def test_each_line_waits_for_new_words_of_the_agent() -> None:
    async with a_call(Say(text="abcdefghij"), Say(text="abcde")) as (_, sink):
        stream = await sink.wait_stream()
        stream.link.send(TALK_2_S)
        await asyncio.sleep(6)
        stream.link.send(TALK_2_S)
        await asyncio.sleep(4)
        assert [round(end - begin, 1) for begin, end in spans_s(stream)] == [0.6, 0.3]
        assert spans_s(stream)[1][0] == pytest.approx(8.7, abs=0.11)


async def test_an_impatient_callee_goes_on_when_the_agent_says_nothing() -> None:
    async with a_call(Say(text="abcdefghij")) as (_, sink):
        stream = await sink.wait_stream()
        await asyncio.sleep(17)
        assert spans_s(stream) == [(15.0, 15.6)]


async def test_a_callee_may_speak_at_once() -> None:
    async with a_call(Pause(duration_s=1), Say(text="abcdefghij", is_at_once=True)) as (
        _,
        sink,
    ):
        stream = await sink.wait_stream()
        await asyncio.sleep(3)
        assert spans_s(stream) == [(1.0, 1.6)]


async def test_an_interruption_comes_in_the_middle_of_the_agents_speech() -> None:
    async with a_call(Say(text="abcdefghij", barge_in_after_s=1.0)) as (_, sink):
        stream = await sink.wait_stream()
        stream.link.send(SendAudio(payload=tone(5)))
        await asyncio.sleep(4)
        assert spans_s(stream) == [(1.0, 1.6)]


async def test_an_interruption_of_a_short_speech_is_said_after_it() -> None:
    async with a_call(Say(text="abcdefghij", barge_in_after_s=3.0)) as (_, sink):
        stream = await sink.wait_stream()
        stream.link.send(SendAudio(payload=tone(1)))
        await asyncio.sleep(4)
        assert spans_s(stream) == [(1.7, 2.3)]


async def test_a_murmur_during_speech_does_not_take_the_turn() -> None:
    async with a_call(Murmur(text="abcde"), Say(text="abcdefghij")) as (_, sink):
        stream = await sink.wait_stream()
        stream.link.send(SendAudio(payload=tone(3)))
        await asyncio.sleep(6)
        assert spans_s(stream) == [(1.0, 1.3), (3.7, 4.3)]


async def test_keys_are_pressed_and_the_phone_is_hung_up() -> None:
    script = (Press(digits=(Digit.ONE, Digit.STAR)), HangUp())
    async with a_call(*script) as (network, sink):
        stream = await sink.wait_stream()
        stream.link.send(TALK_2_S)
        await asyncio.sleep(4)
        assert stream.digits == "1*"
        stream.link.send(TALK_2_S)
        await network.wait_ended(ID)
        assert sink.events[-1] == CarrierEnded(
            cause=EndCause.NORMAL, by=EndedBy.REMOTE, carrier_code="completed"
        )


async def test_keys_are_reported_as_notices_where_no_stream_is() -> None:
    async with a_call(Press(digits=(Digit.SEVEN,)), behaviour=Behaviour.NO_STREAM) as (
        _,
        sink,
    ):
        assert await sink.wait_event(DigitPressed) == DigitPressed(digit=Digit.SEVEN)
        assert sink.streams == []


async def test_an_echo_is_200_ms_late_and_20_db_quieter() -> None:
    async with a_call(persona="echo") as (_, sink):
        stream = await sink.wait_stream()
        stream.link.send(SendAudio(payload=tone(1)))
        await asyncio.sleep(2)
        assert spans_s(stream) == [(0.2, 1.2)]
        level = mean_level(stream.audio[2400:8000])
        assert level == pytest.approx(mean_level(tone(1)) - 20, abs=1)


async def test_an_echo_mixes_with_the_callees_own_voice() -> None:
    who = Persona(
        name="x", what="X.", script=(Say(text="ab", is_at_once=True),), echoes=True
    )
    clock = VirtualClock()
    network = SimulatedNetwork(
        clock, callee_speech=CalleeSpeech(text_to_speech=ToneTextToSpeech())
    )
    sink = RecordingSink(clock)
    network.connect(sink)
    key = await network.call_in("+15550001111", "", caller=CalleePlan(persona=who))
    await network.carrier.control.answer(
        CallRef(call_id=CallId("x"), carrier_call_id=key)
    )
    stream = await sink.wait_stream()
    await asyncio.sleep(1)
    assert spans_s(stream) == [(0.0, 0.1)]
    await network.close()


async def test_what_a_callee_understands_is_kept_with_its_times() -> None:
    speech = CalleeSpeech(
        speech_to_text=ScriptedSpeechToText(["good morning", "goodbye"], delay_s=0.2),
        voice_detector=EnergyVoiceDetector(),
    )
    async with a_call(persona="silent", speech=speech) as (network, sink):
        stream = await sink.wait_stream()
        began_at = VirtualClock().now()
        stream.link.send(TALK_2_S)
        await asyncio.sleep(4)
        (first,) = network.heard(ID)
        assert first.text == "good morning"
        assert first.began_at - began_at == pytest.approx(0.0, abs=0.05)
        assert first.ended_at - began_at == pytest.approx(2.0, abs=0.05)
        stream.link.send(TALK_2_S)
        await asyncio.sleep(1)
        network.hang_up(ID)
        await network.wait_ended(ID)
        assert [said.text for said in network.heard(ID)] == ["good morning", "goodbye"]


async def test_a_recogniser_that_is_too_slow_is_not_waited_for() -> None:
    speech = CalleeSpeech(speech_to_text=ScriptedSpeechToText(["hm"], delay_s=60))
    async with a_call(persona="silent", speech=speech) as (network, sink):
        (await sink.wait_stream()).link.send(TALK_2_S)
        await asyncio.sleep(1)
        network.hang_up(ID)
        await network.wait_ended(ID)
        assert network.heard(ID) == []


async def test_a_recogniser_that_breaks_leaves_the_call_alive() -> None:
    engine = ScriptedSpeechToText(["hm"])
    async with a_call(persona="silent", speech=CalleeSpeech(speech_to_text=engine)) as (
        network,
        sink,
    ):
        (await sink.wait_stream()).link.send(TALK_2_S)
        await asyncio.sleep(1)
        engine.fail()
        await asyncio.sleep(4)
        assert network.heard(ID) == []
        assert network.live_calls() == (ID,)


async def test_interim_words_are_not_kept() -> None:
    engine = ScriptedSpeechToText(["one two"])
    async with a_call(persona="silent", speech=CalleeSpeech(speech_to_text=engine)) as (
        network,
        sink,
    ):
        (await sink.wait_stream()).link.send(TALK_2_S)
        await asyncio.sleep(0.5)
        for recognition in engine._open:
            recognition.request_interim()
        await asyncio.sleep(0.5)
        assert network.heard(ID) == []


async def test_a_callee_that_loses_its_voice_ends_the_call() -> None:
    engine = ToneTextToSpeech()
    engine.failing = True
    async with a_call(
        Say(text="Hello."), speech=CalleeSpeech(text_to_speech=engine)
    ) as (_, sink):
        assert await sink.wait_event(CarrierEnded) == CarrierEnded(
            cause=EndCause.FAILED, by=EndedBy.CARRIER, carrier_code="failed"
        )


async def test_recordings_are_bounded() -> None:
    clock = VirtualClock()
    network = SimulatedNetwork(clock, settings=SimulatedSettings(recording_s=0.5))
    sink = RecordingSink(clock)
    network.connect(sink)
    key = await network.call_in("+15550001111", "+15550002222")
    await network.carrier.control.answer(
        CallRef(call_id=CallId("x"), carrier_call_id=key)
    )
    await sink.wait_stream()
    await asyncio.sleep(2)
    assert len(network.heard_audio(key)) == 4000
    await network.close()
