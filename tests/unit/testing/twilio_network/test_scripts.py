"""TwiML on calls, in virtual time."""

from __future__ import annotations

import httpx
import pytest

from unit.testing.twilio_network.office import ALICE, BOB, PUBLIC, Office, response
from voice_call.testing.twilio_network import (
    Callee,
    CallStatus,
    Keys,
    Nothing,
    Speech,
)
from voice_call.testing.twilio_network.script import APOLOGY

pytestmark = pytest.mark.anyio


async def test_a_caller_hears_what_is_said_for_as_long_as_it_takes() -> None:
    async with Office() as office:
        call = await office.run(response('<Say voice="Polly.Amy">Hello there</Say>'))
        (text,) = call.heard_texts
        assert (text.text, text.voice, text.language) == (
            "Hello there",
            "Polly.Amy",
            "en-US",
        )
        assert text.is_complete
        assert text.duration_s == pytest.approx(11 * 0.06)
        assert call.status is CallStatus.COMPLETED
        assert call.duration_s == pytest.approx(11 * 0.06)
        assert office.codes == []


async def test_an_inbound_call_is_asked_about_while_it_rings() -> None:
    async with Office() as office:
        await office.run(response("<Hangup/>"))
        (form,) = office.application.forms("/voice")
        assert form["CallStatus"] == "ringing"
        assert form["Direction"] == "inbound"
        assert (form["From"], form["To"]) == (ALICE, BOB)
        assert form["FromCity"] == ""


@pytest.mark.parametrize(
    ("verbs", "status"),
    [
        ("<Reject/>", CallStatus.NO_ANSWER),
        ('<Reject reason="busy"/>', CallStatus.BUSY),
        ("<Hangup/>", CallStatus.COMPLETED),
        ("", CallStatus.COMPLETED),
        ("<Say>x</Say><Reject/>", CallStatus.COMPLETED),
    ],
)
async def test_a_document_decides_how_a_call_ends(
    verbs: str, status: CallStatus
) -> None:
    async with Office() as office:
        call = await office.run(response(verbs))
        assert call.status is status
        assert (call.answered_at is None) == (status is not CallStatus.COMPLETED)


async def test_a_leading_pause_lets_it_ring() -> None:
    async with Office() as office:
        call = await office.run(response('<Pause length="3"/><Say>Hi</Say>'))
        assert call.answered_at - call.created_at == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((200, "text/xml", ""), 12100),
        ((200, "text/xml", "<Response><Say>"), 12100),
        ((200, "text/xml", " <?xml version='1.0'?><Response/>"), 12100),
        ((200, "text/xml", "<Reply/>"), 12102),
        ((200, "application/json", "{}"), 12300),
        ((200, "", "<Response/>"), 12300),
        ((404, "text/xml", "<Response/>"), 11200),
        ((500, "text/xml", "<Response/>"), 11200),
        (httpx.ConnectError("refused"), 11205),
        (httpx.ReadTimeout("late"), 11200),
    ],
)
async def test_a_bad_answer_ends_the_call_with_an_apology(
    answer: tuple[int, str, str] | Exception, code: int
) -> None:
    async with Office() as office:
        office.application.at("/voice", answer)
        call = office.network.call_in(ALICE, BOB, f"{PUBLIC}/voice")
        await office.network.wait_ended(call)
        assert office.codes == [code]
        assert call.heard == APOLOGY
        assert call.status is CallStatus.COMPLETED


async def test_a_fallback_url_is_told_what_went_wrong() -> None:
    async with Office() as office:
        office.application.at("/broken", (500, "text/xml", ""))
        office.application.at("/spare", response("<Say>Spare</Say>"))
        call = office.network.call_in(
            ALICE, BOB, f"{PUBLIC}/broken", fallback_url=f"{PUBLIC}/spare"
        )
        await office.network.wait_ended(call)
        (form,) = office.application.forms("/spare")
        assert form["ErrorCode"] == "11200"
        assert form["ErrorUrl"] == f"{PUBLIC}/broken"
        assert call.heard == "Spare"


async def test_plain_text_is_read_aloud() -> None:
    async with Office() as office:
        office.application.at("/voice", (200, "text/plain", "Just words"))
        call = office.network.call_in(ALICE, BOB, f"{PUBLIC}/voice")
        await office.network.wait_ended(call)
        assert call.heard == "Just words"


@pytest.mark.parametrize(
    ("verbs", "code"),
    [
        ("<say>x</say>", 12200),
        ('<Say mood="glad">x</Say>', 12200),
        ("<Say/>", 13520),
        ('<Say voice="robot">x</Say>', 13512),
        ('<Gather input="speech" speechTimeout="auto"/>', 13335),
        ("<Redirect>ftp://agent.example.com/</Redirect>", 11100),
        ("<Play>/song</Play>", 12300),
        ("<Dial>+15550100003</Dial>", 0),
    ],
)
async def test_a_doubtful_verb_is_logged(verbs: str, code: int) -> None:
    async with Office() as office:
        office.application.at("/song", (200, "text/html", "no song"))
        await office.run(response(verbs))
        assert office.codes == [code]


async def test_ssml_is_heard_as_words() -> None:
    async with Office() as office:
        call = await office.run(
            response('<Say voice="Polly.Amy">One <emphasis>two</emphasis> three</Say>')
        )
        assert call.heard == "One two three"
        assert office.codes == []


async def test_keys_of_the_agent_are_heard() -> None:
    async with Office() as office:
        call = await office.run(response('<Play digits="12w#"/>'))
        assert call.heard_digits == "12#"
        assert call.duration_s == pytest.approx(3 * 0.25 + 0.5)


async def test_a_song_is_fetched() -> None:
    async with Office() as office:
        office.application.at("/song.wav", (200, "audio/wav", ""))
        call = await office.run(response("<Play>song.wav</Play>"))
        assert call.played_urls == [f"{PUBLIC}/song.wav"]
        assert office.application.hooks[-1].method == "GET"


async def test_a_redirect_goes_on_elsewhere_relative_to_its_document() -> None:
    async with Office() as office:
        office.application.at("/a/next", response("<Say>Next</Say>"))
        office.application.at("/a/first", response("<Redirect>next</Redirect>"))
        call = office.network.call_in(ALICE, BOB, f"{PUBLIC}/a/first")
        await office.network.wait_ended(call)
        assert call.heard == "Next"


async def test_words_answer_a_gather() -> None:
    async with Office() as office:
        office.application.at("/answer", response("<Say>Thanks</Say>"))
        gather = (
            '<Gather input="speech" action="/answer" speechTimeout="2"'
            ' partialResultCallback="/partial"><Say>Who?</Say></Gather>'
        )
        caller = Callee(
            replies=(Speech(text="It is me", partials=("It", "It is"), confidence=0.8),)
        )
        call = await office.run(response(gather), caller=caller)
        (form,) = office.application.forms("/answer")
        assert (form["SpeechResult"], form["Confidence"]) == ("It is me", "0.8")
        assert "Digits" not in form
        partials = office.application.forms("/partial")
        assert [form["UnstableSpeechResult"] for form in partials] == ["It", "It is"]
        assert [form["SequenceNumber"] for form in partials] == ["0", "1"]
        assert call.heard == "Who? Thanks"


@pytest.mark.parametrize(
    ("attributes", "keys", "digits"),
    [
        ("", "12#", "12"),
        ('numDigits="2"', "1234", "12"),
        ('finishOnKey="*"', "1#*", "1#"),
        ('finishOnKey="" timeout="1"', "1#", "1#"),
        ('timeout="1"', "7", "7"),
        ('input="dtmf speech"', "5#", "5"),
    ],
)
async def test_keys_answer_a_gather(attributes: str, keys: str, digits: str) -> None:
    async with Office() as office:
        office.application.at("/answer", response("<Hangup/>"))
        gather = f'<Gather action="/answer" {attributes}><Say>Press</Say></Gather>'
        caller = Callee(replies=(Keys(digits=keys),))
        await office.run(response(gather), caller=caller)
        (form,) = office.application.forms("/answer")
        assert form["Digits"] == digits


@pytest.mark.parametrize("reply", [Nothing(), Keys(digits="#"), Speech(text="Hm")])
async def test_a_gather_without_a_result_goes_on(reply: Keys | Nothing) -> None:
    async with Office() as office:
        gather = '<Gather action="/answer" timeout="3"/><Say>Nobody</Say>'
        caller = Callee(replies=(reply,))
        call = await office.run(response(gather), caller=caller)
        assert office.application.forms("/answer") == []
        assert call.heard == "Nobody"


async def test_an_empty_result_is_sent_where_asked_for() -> None:
    async with Office() as office:
        office.application.at("/answer", response("<Hangup/>"))
        gather = '<Gather action="/answer" actionOnEmptyResult="true" timeout="3"/>'
        call = await office.run(response(gather))
        (form,) = office.application.forms("/answer")
        assert "Digits" not in form
        assert "SpeechResult" not in form
        assert call.duration_s == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("barge_in", "is_complete", "answers"), [("true", False, 1), ("false", True, 0)]
)
async def test_words_can_interrupt_a_prompt(
    barge_in: str, *, is_complete: bool, answers: int
) -> None:
    async with Office() as office:
        office.application.at("/answer", response("<Hangup/>"))
        prompt = "<Say>" + "A long story. " * 20 + "</Say>"
        gather = (
            f'<Gather input="speech" action="/answer" bargeIn="{barge_in}">'
            f"{prompt}</Gather>"
        )
        reply = Speech(text="Stop", after_s=1.0, is_barging_in=True)
        call = await office.run(response(gather), caller=Callee(replies=(reply,)))
        assert call.heard_texts[0].is_complete is is_complete
        assert len(office.application.forms("/answer")) == answers


async def test_a_test_can_talk_and_press_by_hand() -> None:
    async with Office() as office:
        office.application.at("/answer", response("<Hangup/>"))
        gather = '<Gather input="dtmf speech" numDigits="1" action="/answer"/>'
        office.application.at("/voice", response(gather))
        call = office.network.call_in(ALICE, BOB, f"{PUBLIC}/voice")
        assert call.say("Too early") is False
        await office.network.wait_until(lambda: call.ear is not None)
        assert call.press("4") is True
        await office.network.wait_ended(call)
        assert office.application.forms("/answer")[0]["Digits"] == "4"


async def test_a_hang_up_cuts_what_is_said() -> None:
    async with Office() as office:
        caller = Callee(hangs_up_after_s=0.6)
        call = await office.run(response("<Say>" + "x" * 100 + "</Say>"), caller=caller)
        (text,) = call.heard_texts
        assert text.duration_s == pytest.approx(0.6)
        assert not text.is_complete


async def test_the_end_of_an_inbound_call_is_reported_where_asked_for() -> None:
    async with Office() as office:
        await office.run(response("<Hangup/>"), status_callback=f"{PUBLIC}/status")
        (form,) = office.application.forms("/status")
        assert form["CallStatus"] == "completed"
