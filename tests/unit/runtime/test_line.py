"""The spoken side of one call: streams that come and go, and what is reported."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from voice_call.call.actions import Speak, SpeechKind, StartReply
from voice_call.call.events import (
    AgentReplied,
    AgentSpeechEnded,
    AgentSpeechStarted,
    CallerSpoke,
    DigitPressed,
    ReplyFailed,
    SpeechOutcome,
    StreamClosed,
    StreamOpened,
)
from voice_call.call.model import CallId, CarrierCallId, Digit, Direction, StreamId
from voice_call.carriers.base import StreamDigit, StreamStarted
from voice_call.reports.transcript import MomentKind
from voice_call.runtime.agent import AgentTurn
from voice_call.runtime.chronicle import Chronicle
from voice_call.runtime.line import Line
from voice_call.testing.carriers import ManualCarrier, ManualStream
from voice_call.testing.offices import Office

if TYPE_CHECKING:
    from voice_call.call.events import CallEvent

pytestmark = pytest.mark.anyio


class Desk:
    """A line without a call, and everything it reports."""

    def __init__(self) -> None:
        self.office = Office(ManualCarrier())
        self.events: list[CallEvent] = []
        self.chronicle = Chronicle(folder=None)
        self.line = Line(
            self.office.services,
            self.chronicle,
            self.events.append,
            call_id=CallId("call-1"),
        )
        self._streams = 0

    def open(self) -> ManualStream:
        self._streams += 1
        stream = ManualStream(StreamId(f"stream-{self._streams}"))
        started = StreamStarted(
            stream_id=stream.stream_id, carrier_call_id=CarrierCallId("c"), token=None
        )
        stream.listener = self.line.open_stream(started, stream)
        stream.receive(started)
        return stream

    def say(self, text: str, name: str = "u") -> None:
        self.line.speak(Speak(utterance_id=name, text=text, kind=SpeechKind.SAY))

    def reply(self, reply_id: str = "reply-1") -> None:
        turn = AgentTurn(
            call_id=CallId("call-1"),
            reply_id=reply_id,
            session_key="main",
            direction=Direction.OUTBOUND,
            peer="",
            heard=("Hi.",),
            history=(),
            language="en-US",
            timeout_s=5.0,
        )
        self.line.start_reply(StartReply(reply_id=reply_id, heard=("Hi.",)), turn)

    @property
    def moments(self) -> list[MomentKind]:
        return [each.kind for each in self.chronicle.moments]


# -- streams ---------------------------------------------------------------------------


async def test_a_stream_is_reported_when_it_opens_and_when_it_is_lost():
    it = Desk()
    stream = it.open()
    stream.stop()
    assert it.events == [
        StreamOpened(stream_id=StreamId("stream-1")),
        StreamClosed(stream_id=StreamId("stream-1")),
    ]
    assert stream.is_closed


async def test_the_loss_of_a_stream_is_reported_before_the_speech_it_cut():
    it = Desk()
    stream = it.open()
    it.say("This is a sentence.")
    await asyncio.sleep(0.5)
    stream.stop()
    assert [type(each) for each in it.events] == [
        StreamOpened,
        AgentSpeechStarted,
        StreamClosed,
        AgentSpeechEnded,
    ]


async def test_news_of_a_stream_that_was_replaced_do_not_count():
    it = Desk()
    old = it.open()
    it.open()
    old.receive(StreamDigit(digit=Digit.ONE))
    old.stop()
    assert it.events == [
        StreamOpened(stream_id=StreamId("stream-1")),
        StreamOpened(stream_id=StreamId("stream-2")),
    ]
    assert old.is_closed


async def test_a_key_is_reported_and_noted():
    it = Desk()
    it.open().receive(StreamDigit(digit=Digit.POUND))
    assert it.events[-1] == DigitPressed(digit=Digit.POUND)
    assert it.moments == [MomentKind.KEY]


async def test_every_stream_gets_ears_of_its_own():
    it = Desk()
    it.office.stt.expect("One.", "Two.")
    for _ in range(2):
        stream = it.open()
        await stream.speak(0.5)
        await asyncio.sleep(1)
    spoken = [each for each in it.events if isinstance(each, CallerSpoke)]
    assert [(each.text, each.utterance_id) for each in spoken] == [
        ("One.", "stream-1-segment-1"),
        ("Two.", "stream-2-segment-1"),
    ]
    assert it.office.stt._open[0]._report is None
    assert len(it.chronicle.latencies) == 2


async def test_ears_that_do_not_close_harm_nothing(caplog: pytest.LogCaptureFixture):
    it = Desk()
    it.open()
    ears = it.line._ears
    assert ears is not None

    async def close() -> None:
        raise ZeroDivisionError

    ears.close = close  # type: ignore[method-assign]
    await it.line.close()
    await asyncio.sleep(0)
    assert "ears did not close" in caplog.text


# -- speech ----------------------------------------------------------------------------


async def test_speech_is_reported_with_what_was_heard():
    it = Desk()
    it.open()
    it.say("Hello there.")
    await asyncio.sleep(3)
    assert it.events[1:] == [
        AgentSpeechStarted(utterance_id="u"),
        AgentSpeechEnded(
            utterance_id="u", outcome=SpeechOutcome.PLAYED, heard="Hello there."
        ),
    ]
    assert [(span.text, span.is_cut) for span in it.chronicle.spans] == [
        ("Hello there.", False)
    ]


async def test_failed_speech_is_noted():
    it = Desk()
    it.open()
    it.office.tts.failing = True
    it.say("Hello there.")
    await asyncio.sleep(1)
    assert it.moments == [MomentKind.SPEECH_FAILED]


async def test_speech_without_a_stream_is_reported_all_the_same():
    it = Desk()
    it.say("Hello there.")
    await asyncio.sleep(5)
    assert [type(each) for each in it.events] == [AgentSpeechStarted, AgentSpeechEnded]


async def test_a_caller_who_takes_the_floor_is_noted():
    it = Desk()
    stream = it.open()
    it.office.stt.expect("Stop it please now.")
    it.say("This is a sentence that takes quite some time to be said.")
    await asyncio.sleep(0.5)
    await stream.speak(1.5)
    await asyncio.sleep(1)
    assert it.moments == [MomentKind.BARGE_IN]
    ended = [each for each in it.events if isinstance(each, AgentSpeechEnded)]
    assert [each.outcome for each in ended] == [SpeechOutcome.INTERRUPTED]


async def test_a_cough_pauses_speech_and_lets_it_go_on():
    it = Desk()
    stream = it.open()
    it.office.stt.expect("")
    it.say("This is a sentence that takes quite some time to be said.")
    await asyncio.sleep(0.5)
    await stream.speak(1.0)
    await asyncio.sleep(8)
    assert it.events[-1] == AgentSpeechEnded(
        utterance_id="u",
        outcome=SpeechOutcome.PLAYED,
        heard="This is a sentence that takes quite some time to be said.",
    )


async def test_a_recogniser_that_breaks_down_is_noted():
    it = Desk()
    it.open()
    it.office.stt.fail()
    await asyncio.sleep(0.1)
    assert it.moments == [MomentKind.SPEECH_FAILED]


# -- replies ---------------------------------------------------------------------------


async def test_a_reply_is_spoken_and_measured():
    it = Desk()
    stream = it.open()
    it.office.stt.expect("Hi.")
    it.office.agent.expect("All right. ", 1.0, "So be it.")
    await stream.speak(0.5)
    await asyncio.sleep(1)
    it.reply()
    await asyncio.sleep(5)
    assert (
        AgentReplied(reply_id="reply-1", has_words=True, ends_call=False) in it.events
    )
    (latency,) = it.chronicle.latencies
    assert latency.first_text_at is not None
    assert latency.first_audio_at is not None
    assert latency.first_frame_at is not None
    assert it.events[-1] == AgentSpeechEnded(
        utterance_id="reply-1",
        outcome=SpeechOutcome.PLAYED,
        heard="All right. So be it.",
    )


async def test_a_failed_reply_is_reported_and_noted():
    it = Desk()
    it.open()
    it.office.agent.expect(ValueError("secret"))
    it.reply()
    await asyncio.sleep(1)
    assert it.events[-1] == ReplyFailed(
        reply_id="reply-1", detail="the agent broke down (ValueError)"
    )
    assert it.moments == [MomentKind.AGENT_FAILED]


async def test_taking_a_reply_back_cancels_the_agent():
    it = Desk()
    it.open()
    it.office.agent.expect("All right. ", 3.0, "So be it.")
    it.reply()
    await asyncio.sleep(0.5)
    it.line.take_back("reply-1")
    it.line.take_back("nothing")
    await asyncio.sleep(5)
    assert it.office.agent.cancelled == ["reply-1"]
    assert [type(each) for each in it.events] == [
        StreamOpened,
        AgentSpeechStarted,
        AgentSpeechEnded,
    ]


async def test_a_closed_line_leaves_nothing():
    it = Desk()
    before = asyncio.all_tasks()
    stream = it.open()
    it.office.agent.expect("All right. ", 3.0, "So be it.")
    it.reply()
    it.say("Hello there.")
    await asyncio.sleep(0.5)
    await it.line.close()
    await asyncio.sleep(0.1)
    assert asyncio.all_tasks() == before
    assert stream.is_closed
    assert it.line._replies._tasks == {}
    assert it.office.ticker._dues == {}
