"""One call, driven: what goes out, what is written down, who is told."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from voice_call.call.actions import Ask, CallEnded, End, Say, SendDigits
from voice_call.call.events import (
    AgentSpeechEnded,
    Answered,
    StreamClosed,
)
from voice_call.call.model import CallMode, CallState, Digit, EndCause, EndedBy
from voice_call.call.policy import InboundRules
from voice_call.call.setup import CallLimits
from voice_call.carriers.base import CarrierStatus
from voice_call.errors import (
    CallOver,
    CarrierRefused,
    CarrierUnreachable,
    NotConnected,
    SpeechError,
    TranscriptTimeout,
    TurnInProgress,
)
from voice_call.runtime.agent import EndCallRequested
from voice_call.testing.agents import ScriptedAgent
from voice_call.testing.carriers import ManualCarrier, ManualStream
from voice_call.testing.journals import MoodyJournal
from voice_call.testing.offices import Office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from typing import Any

    from voice_call.runtime.session import CallSession

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def office(**settings: Any) -> AsyncIterator[Office[ManualCarrier]]:
    async with Office(ManualCarrier(), **settings) as it:
        yield it


async def connected(
    it: Office[ManualCarrier],
    message: str | None = "Hello there.",
    mode: CallMode = CallMode.CONVERSATION,
) -> tuple[CallSession, ManualStream]:
    session = await it.place(message, mode=mode)
    stream = await it.network.pick_up(f"manual-{session.opened.call_id}")
    return session, stream


def said(session: CallSession) -> list[tuple[str, str]]:
    return [(e.speaker.value, e.text) for e in session.machine.transcript]


def written(it: Office[ManualCarrier], session: CallSession) -> list[str]:
    entries = it.journal.entries(session.opened.call_id)
    return [type(entry.what).__name__ for entry in entries]


# -- placing ---------------------------------------------------------------------------


async def test_a_call_is_written_down_before_it_is_dialed():
    async with office() as it:
        session = await it.place()
        assert written(it, session) == ["CallOpened", "Dialed"]
        assert [order.to for order in it.network.dialed] == ["+15550100999"]


@pytest.mark.parametrize("comes_first", ["answer", "stream"])
async def test_the_opening_is_spoken_once_whatever_comes_first(comes_first: str):
    async with office() as it:
        session = await it.place("Hello there.")
        carrier_id = f"manual-{session.opened.call_id}"
        if comes_first == "answer":
            await it.network.report(carrier_id, Answered())
            it.network.open_stream(carrier_id)
        else:
            it.network.open_stream(carrier_id)
            await it.network.report(carrier_id, Answered())
        await asyncio.sleep(5)
        assert it.tts.spoken == ["Hello there."]
        assert said(session) == [("bot", "Hello there.")]


async def test_an_answer_reported_twice_is_answered_once():
    async with office() as it:
        session = await it.place()
        carrier_id = f"manual-{session.opened.call_id}"
        await it.network.report(carrier_id, Answered(), key="a")
        await it.network.report(carrier_id, Answered(), key="a")
        it.network.open_stream(carrier_id)
        await asyncio.sleep(5)
        assert it.tts.spoken == ["Hello there."]
        assert written(it, session).count("Answered") == 1


async def test_a_refused_dial_ends_the_call_as_failed():
    async with office() as it:
        it.network.faults["dial"] = [
            CarrierRefused("No.", carrier="manual", carrier_code="21211")
        ]
        session = await it.place()
        assert session.machine.state is CallState.FAILED
        assert session.machine.ending is not None
        assert session.machine.ending.carrier_code == "21211"
        assert it.manager.live() == []


async def test_a_dial_without_an_answer_is_never_sent_again():
    async with office() as it:
        it.network.faults["dial"] = [CarrierUnreachable("No answer.", carrier="manual")]
        session = await it.place()
        await session.wait_closed()
        assert session.machine.state is CallState.FAILED
        assert len(it.network.dialed) == 1


async def test_a_call_ended_while_it_is_dialed_is_hung_up_once_its_id_is_known():
    async with office() as it:
        it.network.delays["dial"] = 1.0
        session = await it.place()
        await session.command(End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL))
        assert it.network.hung_up == []
        await session.wait_closed()
        assert len(it.network.hung_up) == 1
        assert session.machine.state is CallState.HANGUP_BOT


# -- one-shot messages -----------------------------------------------------------------


async def test_a_message_hangs_up_after_proof_of_playout_and_a_tail():
    async with office() as it:
        session, stream = await connected(it, "Dinner is ready.", CallMode.NOTIFY)
        began = it.clock.now()
        await session.wait_closed()
        # 13 letters of 60 ms, and notifyHangupDelaySec.
        assert it.clock.now() - began == pytest.approx(0.78 + 3.0, abs=0.1)
        assert stream.sent_s == pytest.approx(0.78, abs=0.02)
        assert session.machine.state is CallState.COMPLETED
        assert said(session) == [("bot", "Dinner is ready.")]


async def test_a_message_waits_for_marks_that_are_late():
    async with office() as it:
        session, stream = await connected(it, "Dinner is ready.", CallMode.NOTIFY)
        stream.returns_marks = False
        began = it.clock.now()
        await session.wait_closed()
        # A lost mark is given up 2 s after its audio.
        assert it.clock.now() - began == pytest.approx(0.78 + 2.0 + 3.0, abs=0.1)


async def test_a_message_that_cannot_be_spoken_ends_the_call_with_an_error():
    async with office() as it:
        it.tts.failing = True
        session, _ = await connected(it, "Dinner is ready.", CallMode.NOTIFY)
        await session.wait_closed()
        assert session.machine.state is CallState.ERROR
        assert it.tts.spoken == ["Dinner is ready."] * 2


# -- continue --------------------------------------------------------------------------


async def test_continue_returns_what_the_other_side_answers():
    async with office() as it:
        session, stream = await connected(it, None)
        it.stt.expect("At noon.")
        asking = asyncio.create_task(session.ask(Ask(ask_id="q", text="When?")))
        await asyncio.sleep(1)
        await stream.speak(1.0)
        assert await asking == "At noon."
        assert said(session) == [("bot", "When?"), ("user", "At noon.")]
        assert it.agent.turns == []


async def test_continue_times_out_counted_from_the_end_of_the_prompt():
    async with office(limits=CallLimits(transcript_timeout_s=10.0)) as it:
        session, _ = await connected(it, None)
        began = it.clock.now()
        with pytest.raises(TranscriptTimeout, match="10000 ms"):
            await session.ask(Ask(ask_id="q", text="When?"))
        assert it.clock.now() - began == pytest.approx(0.24 + 10.0, abs=0.1)


async def test_continue_fails_when_the_call_ends():
    async with office() as it:
        session, _ = await connected(it, None)
        asking = asyncio.create_task(session.ask(Ask(ask_id="q", text="When?")))
        await asyncio.sleep(1)
        await it.network.hang_up_remote(f"manual-{session.opened.call_id}")
        with pytest.raises(CallOver):
            await asking


async def test_only_one_continue_waits_at_a_time():
    async with office() as it:
        session, stream = await connected(it, None)
        it.stt.expect("At noon.")
        asking = asyncio.create_task(session.ask(Ask(ask_id="q", text="When?")))
        await asyncio.sleep(1)
        with pytest.raises(TurnInProgress):
            await session.ask(Ask(ask_id="r", text="Where?"))
        await stream.speak(1.0)
        assert await asking == "At noon."


async def test_continue_on_an_ended_call_is_refused():
    async with office() as it:
        session, _ = await connected(it, None)
        await session.command(End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL))
        await session.wait_closed()
        with pytest.raises(CallOver):
            await session.ask(Ask(ask_id="q", text="When?"))


async def test_continue_fails_where_its_prompt_cannot_be_spoken():
    async with office() as it:
        session, _ = await connected(it, None)
        it.tts.failing = True
        with pytest.raises(SpeechError):
            await session.ask(Ask(ask_id="q", text="When?"))


async def test_an_answer_that_nobody_waits_for_any_more_is_dropped():
    async with office() as it:
        session, stream = await connected(it, None)
        it.stt.expect("At noon.")
        asking = asyncio.create_task(session.ask(Ask(ask_id="q", text="When?")))
        await asyncio.sleep(1)
        asking.cancel()
        await stream.speak(1.0)
        await asyncio.sleep(1)
        assert said(session)[-1] == ("user", "At noon.")


# -- speak and keys --------------------------------------------------------------------


async def test_speak_is_said_after_what_is_being_said():
    async with office() as it:
        session, _ = await connected(it)
        await session.command(Say(utterance_id="s", text="And this."))
        await asyncio.sleep(5)
        assert said(session) == [("bot", "Hello there."), ("bot", "And this.")]


async def test_speak_before_the_answer_is_refused_and_not_written():
    async with office() as it:
        session = await it.place()
        with pytest.raises(NotConnected):
            await session.command(Say(utterance_id="s", text="And this."))
        assert "Say" not in written(it, session)


async def test_keys_are_sent_through_the_carrier():
    async with office() as it:
        session, _ = await connected(it)
        await session.send_digits(SendDigits(digits=(Digit.ONE, Digit.POUND)))
        assert it.network.digits == [Digit.ONE, Digit.POUND]
        assert "SendDigits" in written(it, session)


async def test_keys_that_the_carrier_refuses_raise():
    async with office() as it:
        session, _ = await connected(it)
        it.network.faults["send_digits"] = [CarrierRefused("No.", carrier="manual")]
        with pytest.raises(CarrierRefused):
            await session.send_digits(SendDigits(digits=(Digit.ONE,)))


# -- replies ---------------------------------------------------------------------------


async def test_the_first_sentence_is_heard_before_the_reply_is_complete():
    agent = ScriptedAgent(["It is noon. ", 5.0, "And it is warm."])
    async with office(agent=agent) as it:
        session, stream = await connected(it, None)
        it.stt.expect("What time is it?")
        await stream.speak(1.0)
        await it.wait_until(lambda: stream.sent_s > 0.4)
        assert session.machine.state is CallState.SPEAKING
        assert agent.finished == []
        await asyncio.sleep(10)
        assert said(session) == [
            ("user", "What time is it?"),
            ("bot", "It is noon. And it is warm."),
        ]


async def test_an_agent_is_told_what_was_heard_and_what_was_said_before():
    async with office() as it:
        session, stream = await connected(it)
        await asyncio.sleep(3)
        it.stt.expect("What time is it?")
        await stream.speak(1.0)
        await asyncio.sleep(3)
        (turn,) = it.agent.turns
        assert turn.heard == ("What time is it?",)
        assert turn.peer == "+15550100999"
        assert turn.session_key == "voice:15550100999"
        assert [entry.text for entry in turn.history] == [
            "Hello there.",
            "What time is it?",
        ]
        assert turn.call_id == session.opened.call_id


@pytest.mark.parametrize(
    "steps", [[RuntimeError("secret")], [100.0]], ids=["breaks", "takes too long"]
)
async def test_an_agent_that_gives_no_reply_is_apologised_for(steps: list[Any]):
    async with office(agent=ScriptedAgent(steps), agent_timeout_s=5.0) as it:
        session, stream = await connected(it, None)
        it.stt.expect("What time is it?")
        await stream.speak(1.0)
        await asyncio.sleep(20)
        assert said(session)[-1] == (
            "bot",
            "I am sorry, something went wrong. Could you say that again?",
        )
        assert session.machine.state is CallState.LISTENING


async def test_the_agent_hangs_up_once_its_last_word_was_heard():
    agent = ScriptedAgent([EndCallRequested(), "Goodbye and thank you."])
    async with office(agent=agent) as it:
        session, stream = await connected(it, None)
        it.stt.expect("Bye.")
        await stream.speak(1.0)
        await it.wait_until(lambda: bool(agent.finished))
        assert it.network.hung_up == []
        await session.wait_closed()
        assert stream.sent_s == pytest.approx(18 * 0.06, abs=0.02)
        assert said(session)[-1] == ("bot", "Goodbye and thank you.")
        assert session.machine.state is CallState.HANGUP_BOT


async def test_newer_speech_of_the_caller_makes_an_older_reply_void():
    agent = ScriptedAgent([4.0, "The old reply."], ["The new reply."])
    async with office(agent=agent, limits=CallLimits(dead_air_s=0.0)) as it:
        session, stream = await connected(it, None)
        it.stt.expect("What time is it?", "No, what day is it?")
        await stream.speak(1.0)
        await asyncio.sleep(1)
        await stream.speak(1.0)
        await asyncio.sleep(8)
        assert agent.cancelled == ["reply-1"]
        assert agent.turns[1].heard == ("What time is it?", "No, what day is it?")
        assert it.tts.spoken == ["The new reply."]
        assert said(session)[-1] == ("bot", "The new reply.")


async def test_a_slow_agent_is_covered_by_a_cue_that_gives_way():
    agent = ScriptedAgent([2.6, "Here it is."])
    async with office(agent=agent) as it:
        session, stream = await connected(it, None)
        it.stt.expect("What time is it?")
        await stream.speak(1.0)
        await asyncio.sleep(8)
        assert it.tts.spoken == ["One moment, please.", "Here it is."]
        assert said(session)[-1] == ("bot", "Here it is.")


# -- the floor -------------------------------------------------------------------------

_LONG = ["This is the first sentence. ", "This is the second sentence. ", "And more."]


async def test_a_barge_in_cuts_the_transcript_to_what_was_heard():
    async with office(agent=ScriptedAgent(_LONG, ["All right."])) as it:
        session, stream = await connected(it, None)
        it.stt.expect("Tell me.", "Stop it please now.")
        await stream.speak(1.0)
        await it.wait_until(lambda: stream.sent_s > 1.0)
        await stream.speak(1.5)
        await asyncio.sleep(5)
        entries = session.machine.transcript
        assert [entry.is_cut for entry in entries] == [False, True, False, False]
        assert "".join(_LONG).startswith(entries[1].text)
        assert 0 < len(entries[1].text) < len(_LONG[0]) + len(_LONG[1])
        assert entries[2].text == "Stop it please now."
        assert entries[3].text == "All right."


async def test_a_backchannel_does_not_stop_the_agent():
    async with office(agent=ScriptedAgent(_LONG)) as it:
        session, stream = await connected(it, None)
        it.stt.expect("Tell me.", "mm-hm")
        await stream.speak(1.0)
        await it.wait_until(lambda: stream.sent_s > 1.0)
        await stream.speak(0.4)
        await asyncio.sleep(10)
        assert said(session) == [
            ("user", "Tell me."),
            (
                "bot",
                "This is the first sentence. This is the second sentence. And more.",
            ),
        ]


async def test_a_stream_lost_while_the_agent_pauses_is_not_mute_afterwards():
    async with office(agent=ScriptedAgent(_LONG, ["Here I am."])) as it:
        session, stream = await connected(it, None)
        it.stt.expect("Tell me.")
        await stream.speak(1.0)
        await it.wait_until(lambda: stream.sent_s > 1.0)
        await stream.make_sound(1.0)  # voice without words: the agent pauses
        stream.stop()
        again = it.network.open_stream(f"manual-{session.opened.call_id}")
        await asyncio.sleep(5)
        assert again.sent_s > 0
        assert said(session)[-1] == ("bot", "Here I am.")


async def test_a_prompt_is_heard_though_the_agent_was_paused_before_it():
    async with office(agent=ScriptedAgent(_LONG)) as it:
        session, stream = await connected(it, None)
        it.stt.expect("Tell me.")
        await stream.speak(1.0)
        await it.wait_until(lambda: stream.sent_s > 1.0)
        await stream.make_sound(1.0)
        asking = asyncio.create_task(session.ask(Ask(ask_id="q", text="When?")))
        await asyncio.sleep(2)
        assert said(session)[-1] == ("bot", "When?")
        asking.cancel()


# -- streams ---------------------------------------------------------------------------


async def test_a_stream_that_comes_back_in_time_goes_on():
    async with office() as it:
        session, stream = await connected(it, "Hello there, how are you today?")
        await asyncio.sleep(0.5)
        stream.stop()
        await asyncio.sleep(1.5)
        assert session.machine.state is CallState.LISTENING
        again = it.network.open_stream(f"manual-{session.opened.call_id}")
        await asyncio.sleep(5)
        # The opening was cut short, so it is made up for, from its beginning.
        assert again.sent_s == pytest.approx(24 * 0.06, abs=0.02)
        assert said(session)[-1] == ("bot", "Hello there, how are you today?")
        assert stream.is_closed


async def test_callers_are_understood_on_a_stream_that_came_back():
    async with office() as it:
        session, stream = await connected(it, None)
        it.stt.expect("One.", "Two.")
        await stream.speak(1.0)
        await asyncio.sleep(4)
        stream.stop()
        again = it.network.open_stream(f"manual-{session.opened.call_id}")
        await again.speak(1.0)
        await asyncio.sleep(4)
        assert [text for who, text in said(session) if who == "user"] == [
            "One.",
            "Two.",
        ]


async def test_a_stream_that_does_not_come_back_ends_the_call():
    async with office() as it:
        session, stream = await connected(it)
        began = it.clock.now()
        stream.stop()
        await session.wait_closed()
        assert it.clock.now() - began == pytest.approx(2.0, abs=0.1)
        assert session.machine.state is CallState.ERROR
        assert it.manager.live() == []


async def test_a_stream_of_an_ended_call_is_refused():
    async with office() as it:
        session, stream = await connected(it)
        it.network.confirms = False
        await session.command(End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL))
        with pytest.raises(CallOver):
            it.network.open_stream(f"manual-{session.opened.call_id}")
        assert not stream.is_closed


# -- ending ----------------------------------------------------------------------------


async def test_a_hang_up_that_fails_is_tried_again():
    async with office() as it:
        session, _ = await connected(it)
        it.network.faults["hang_up"] = [CarrierUnreachable("No.", carrier="manual")]
        began = it.clock.now()
        await session.command(End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL))
        await session.wait_closed()
        assert it.clock.now() - began == pytest.approx(2.0, abs=0.1)
        assert len(it.network.hung_up) == 2


async def test_a_hang_up_that_is_never_confirmed_ends_the_call_by_itself():
    async with office() as it:
        session, _ = await connected(it)
        it.network.confirms = False
        began = it.clock.now()
        await session.command(End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL))
        await session.wait_closed()
        assert it.clock.now() - began == pytest.approx(15.0, abs=0.1)
        assert it.manager.live() == []


async def test_call_control_that_breaks_down_ends_its_own_call_only():
    async with office() as it:
        session, _ = await connected(it)
        other, _ = await connected(it)
        it.network.faults["hang_up"] = [ZeroDivisionError()]
        await session.command(End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL))
        await session.wait_closed()
        assert it.manager.live() == [other]
        assert other.machine.state is CallState.LISTENING


async def test_a_call_gives_its_place_free_though_its_end_cannot_be_written():
    journal = MoodyJournal.in_memory()
    async with office(journal=journal) as it:
        session, _ = await connected(it, None)
        carrier_id = f"manual-{session.opened.call_id}"
        await it.network.hang_up_remote(carrier_id)
        journal.refusals = 1
        await session.wait_closed()
        assert it.manager.live() == []
        assert "CallEnded" not in written(it, session)


async def test_events_after_the_end_change_nothing():
    async with office() as it:
        session, _ = await connected(it)
        await it.network.hang_up_remote(f"manual-{session.opened.call_id}")
        ending = session.machine.ending
        session.receive_soon(
            StreamClosed(stream_id=session.machine.stream_id or "")  # type: ignore[arg-type]
        )
        assert session.machine.ending == ending
        assert AgentSpeechEnded.__name__ in written(it, session)


async def test_a_call_whose_words_no_file_can_keep_gives_its_place_free(tmp_path: Path):
    async with office(records=tmp_path) as it:
        session, stream = await connected(it, None)
        it.stt.expect("Good \ud800 morning.")
        await stream.speak(1.0)
        await asyncio.sleep(2)
        await it.network.hang_up_remote(f"manual-{session.opened.call_id}")
        await session.wait_closed()
        assert it.manager.live() == []
        assert (tmp_path / session.opened.call_id / "timeline.svg").exists()


async def test_a_call_gives_its_place_free_though_its_records_break(tmp_path: Path):
    async with office(records=tmp_path / "\0") as it:
        session = await it.place()
        await it.network.hang_up_remote(f"manual-{session.opened.call_id}")
        await session.wait_closed()
        assert it.manager.live() == []
        assert written(it, session)[-1] == "CallEnded"


# -- ends that nobody reports ----------------------------------------------------------


async def test_an_end_that_is_not_reported_is_asked_for():
    async with office() as it:
        session, _ = await connected(it)
        it.network.confirms, it.network.status = False, CarrierStatus.ENDED
        await session.command(End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL))
        await asyncio.sleep(1.0)
        assert session.machine.is_over
        assert session.machine.ending.by is EndedBy.OPERATOR
        assert len(it.network.asked) == 1


async def test_an_end_that_is_reported_is_not_asked_for():
    async with office() as it:
        session, _ = await connected(it)
        await session.command(End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL))
        await asyncio.sleep(1.0)
        assert it.network.asked == []


async def test_an_end_that_is_reported_while_it_is_asked_for_counts_once():
    async with office() as it:
        session, _ = await connected(it)
        it.network.confirms, it.network.status = False, CarrierStatus.ENDED
        it.network.delays["fetch_status"] = 1.0
        await session.command(End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL))
        await asyncio.sleep(1.0)
        await it.network.hang_up_remote(session.carrier_call_id)
        await asyncio.sleep(2.0)
        whats = [each.what for each in it.journal.entries(session.opened.call_id)]
        assert isinstance(whats[-1], CallEnded)


async def test_a_refused_caller_is_gone_when_the_carrier_says_so():
    async with office(inbound=InboundRules()) as it:
        it.network.confirms, it.network.status = False, CarrierStatus.ENDED
        await it.network.offer()
        await asyncio.sleep(1.0)
        assert it.manager.live() == []


async def test_a_call_that_goes_on_all_the_same_is_not_given_up_at_once():
    async with office() as it:
        session, _ = await connected(it)
        it.network.confirms = False
        await session.command(End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL))
        await asyncio.sleep(1.0)
        assert not session.machine.is_over
