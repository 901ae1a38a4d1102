from __future__ import annotations

import pytest

from voice_call.call.model import TurnPhase
from voice_call.call.turns import (
    AgentSentenceSent,
    AgentSpeechBegan,
    AgentSpeechFinished,
    BeginSegment,
    CallerTurnBegan,
    CallerTurnEnded,
    DropReason,
    EndSegment,
    InterruptAgent,
    PauseAgent,
    RequestInterim,
    ResumeAgent,
    TranscriptHeard,
    TurnAction,
    TurnDropped,
    TurnInput,
    TurnSettings,
    TurnTaker,
    VoiceBegan,
    VoiceEnded,
)


class Line:
    """One call's turn-taking, driven as the session drives it: one timer, no sleep."""

    def __init__(self, **settings) -> None:
        self.taker = TurnTaker(TurnSettings(**settings))
        self.log: list[tuple[float, TurnAction]] = []

    def to(self, at: float) -> list[tuple[float, TurnAction]]:
        """Let time pass; return what was done meanwhile, and when."""
        start = len(self.log)
        while (due := self.taker.next_deadline()) is not None and due <= at:
            self._note(due, self.taker.tick(due))
        self._note(at, self.taker.tick(at))
        return self.log[start:]

    def put(self, at: float, signal: TurnInput) -> list[TurnAction]:
        """Give one input; return what it caused, and nothing that fell due before."""
        self.to(at)
        actions = self.taker.receive(signal, now=at)
        self._note(at, actions)
        return list(actions)

    def voice(self, began: float, ended: float) -> None:
        self.put(began, VoiceBegan(at=began))
        self.put(ended, VoiceEnded(at=ended))

    def interim(self, at: float, text: str, segment: int = 1) -> list[TurnAction]:
        heard = TranscriptHeard(segment=segment, text=text, is_final=False)
        return self.put(at, heard)

    def final(self, at: float, text: str, segment: int = 1) -> list[TurnAction]:
        heard = TranscriptHeard(
            segment=segment, text=text, is_final=True, confidence=0.9
        )
        return self.put(at, heard)

    def agent(self, at: float, text: str = "", *, is_protected: bool = False) -> None:
        self.put(at, AgentSentenceSent(utterance_id="u1", text=text))
        self.put(at, AgentSpeechBegan(utterance_id="u1", is_protected=is_protected))

    def agent_ends(self, at: float) -> list[TurnAction]:
        return self.put(at, AgentSpeechFinished(utterance_id="u1"))

    def all(self, *kinds: type) -> list[TurnAction]:
        return [action for _, action in self.log if isinstance(action, kinds)]

    def _note(self, at: float, actions: tuple[TurnAction, ...]) -> None:
        self.log += [(at, action) for action in actions]


def turn(
    text: str,
    began: float,
    ended: float,
    segment: int = 1,
    confidence: float | None = 0.9,
) -> CallerTurnEnded:
    return CallerTurnEnded(
        segment=segment,
        text=text,
        confidence=confidence,
        voice_began_at=began,
        voice_ended_at=ended,
    )


BEGAN = CallerTurnBegan(segment=1, voice_began_at=10.0)
INTERRUPT = InterruptAgent(utterance_id="u1")
PAUSE = PauseAgent(utterance_id="u1")
RESUME = ResumeAgent(utterance_id="u1")


# -- the end of a turn -----------------------------------------------------------------


def test_a_new_call_is_idle_and_waits_for_nothing():
    taker = TurnTaker()
    assert taker.phase is TurnPhase.IDLE
    assert taker.next_deadline() is None
    assert taker.tick(1e9) == ()


def test_voice_begins_a_segment():
    line = Line()
    assert line.put(10.1, VoiceBegan(at=10.0)) == [BeginSegment(segment=1)]
    assert line.taker.phase is TurnPhase.CALLER_SPEAKING


def test_lasting_voice_has_the_floor_before_any_word_is_known():
    line = Line()
    line.put(10.0, VoiceBegan(at=10.0))
    assert line.to(10.29) == []
    assert line.to(10.3) == [(10.3, BEGAN)]


def test_words_have_the_floor_at_once():
    line = Line()
    line.put(10.0, VoiceBegan(at=10.0))
    assert line.interim(10.1, "hello") == [BEGAN]
    assert line.to(11.0) == []


def test_words_are_asked_for_as_soon_as_the_voice_ends():
    line = Line()
    line.put(10.0, VoiceBegan(at=10.0))
    assert line.put(11.1, VoiceEnded(at=11.0)) == [RequestInterim(segment=1)]


@pytest.mark.parametrize(
    ("text", "ends_at"),
    [
        ("", 11.5),
        ("I'd like to book a table.", 11.5),
        ("I'd like to book a", 12.2),
        ("It's five five five", 12.2),
        ("No, thank you.", 11.3),
    ],
)
def test_words_move_the_end_of_a_turn(text, ends_at):
    line = Line()
    line.voice(10.0, 11.0)
    line.interim(11.2, text)
    assert line.taker.next_deadline() == pytest.approx(ends_at)
    assert line.to(15.0)[0][1] == EndSegment(segment=1)


def test_the_silence_is_counted_from_the_acoustic_end():
    line = Line()
    line.put(10.0, VoiceBegan(at=10.0))
    line.put(11.4, VoiceEnded(at=11.0))
    assert line.to(11.5) == [(11.5, EndSegment(segment=1))]


def test_an_interim_that_comes_late_ends_a_closed_answer_at_once():
    line = Line()
    line.voice(10.0, 11.0)
    line.interim(11.45, "Yes.")
    assert line.taker.tick(11.45) == (EndSegment(segment=1),)


def test_voice_before_the_deadline_continues_the_segment():
    line = Line()
    line.voice(10.0, 11.0)
    assert line.put(11.4, VoiceBegan(at=11.4)) == []
    assert line.to(13.0) == []
    line.interim(12.0, "A table")
    assert line.to(12.9) == []
    line.put(13.0, VoiceEnded(at=13.0))
    line.to(13.5)
    assert line.final(13.7, "A table for two.") == [turn("A table for two.", 10, 13)]
    assert line.all(BeginSegment) == [BeginSegment(segment=1)]


def test_the_final_transcript_ends_the_turn():
    line = Line()
    line.voice(10.0, 11.0)
    line.to(11.5)
    assert line.final(11.6, "Hello.") == [turn("Hello.", 10.0, 11.0)]
    assert line.taker.phase is TurnPhase.AWAITING_AGENT
    assert line.taker.next_deadline() is None


def test_a_turn_always_begins_before_it_ends():
    line = Line()
    line.voice(10.0, 10.2)
    assert line.final(10.8, "Yes.") == [BEGAN, turn("Yes.", 10.0, 10.2)]


@pytest.mark.parametrize("text", ["", "  ", "...", "?"])
def test_an_empty_final_makes_no_turn(text):
    line = Line()
    line.voice(10.0, 11.0)
    line.to(11.5)
    assert line.final(11.6, text) == [
        TurnDropped(segment=1, why=DropReason.NOTHING_SAID)
    ]
    assert line.taker.phase is TurnPhase.IDLE


@pytest.mark.parametrize("text", ["Yeah.", "Okay.", "Mm-hm."])
def test_a_backchannel_word_is_an_answer_when_the_agent_is_silent(text):
    line = Line()
    line.voice(10.0, 10.5)
    line.to(11.0)
    assert line.final(11.1, text)[-1] == turn(text, 10.0, 10.5)


def test_a_cough_leaves_the_agent_awaited():
    line = Line()
    line.voice(10.0, 11.0)
    line.final(11.6, "Hello.")
    line.voice(12.0, 12.2)
    assert line.taker.phase is TurnPhase.CALLER_SPEAKING
    line.to(13.0)
    line.final(13.0, "", segment=2)
    assert line.taker.phase is TurnPhase.AWAITING_AGENT
    assert line.all(CallerTurnBegan) == [BEGAN]


def test_words_while_the_agent_thinks_are_a_turn_of_their_own():
    line = Line()
    line.voice(10.0, 11.0)
    line.final(11.6, "A table.")
    line.voice(12.0, 13.0)
    line.to(13.5)
    assert line.final(13.6, "For two.", segment=2) == [turn("For two.", 12, 13, 2)]


def test_a_segment_may_begin_while_the_last_one_awaits_its_final():
    line = Line()
    line.voice(10.0, 11.0)
    line.to(11.5)
    line.put(11.6, VoiceBegan(at=11.6))
    assert line.final(11.8, "One.") == [turn("One.", 10, 11)]
    assert line.taker.phase is TurnPhase.CALLER_SPEAKING
    line.put(12.6, VoiceEnded(at=12.6))
    line.to(13.1)
    assert line.final(13.2, "Two.", segment=2) == [turn("Two.", 11.6, 12.6, 2)]


def test_finals_of_two_segments_may_change_places():
    line = Line()
    line.voice(10.0, 11.0)
    line.to(11.5)
    line.voice(11.6, 12.6)
    line.to(13.1)
    assert line.final(13.2, "Two.", segment=2) == [turn("Two.", 11.6, 12.6, 2)]
    assert line.final(13.3, "One.", segment=1) == [turn("One.", 10, 11)]


def test_a_recogniser_that_never_answers_makes_no_turn():
    line = Line()
    line.voice(10.0, 11.0)
    line.to(11.5)
    assert line.to(16.5) == [
        (16.5, TurnDropped(segment=1, why=DropReason.NO_TRANSCRIPT))
    ]


def test_words_that_come_after_the_end_of_a_segment_wait_for_the_final():
    line = Line()
    line.voice(10.0, 10.2)
    line.to(10.7)
    assert line.interim(10.8, "A table") == []
    assert line.taker.next_deadline() == pytest.approx(15.7)


def test_known_words_stand_in_for_a_final_that_never_comes():
    line = Line()
    line.voice(10.0, 11.0)
    line.interim(11.2, "A table for two.")
    line.to(16.5)
    assert line.all(CallerTurnEnded) == [
        turn("A table for two.", 10.0, 11.0, confidence=None)
    ]
    assert line.final(17.0, "A table for two.") == []


def test_a_final_after_all_patience_still_counts():
    line = Line()
    line.voice(10.0, 11.0)
    line.to(16.5)
    assert line.final(17.0, "Hello.") == [
        CallerTurnBegan(segment=2, voice_began_at=17.0),
        turn("Hello.", 17.0, 17.0, segment=2),
    ]


def test_one_overdue_segment_does_not_drag_the_next_along():
    line = Line()
    line.voice(10.0, 11.0)
    line.voice(14.0, 15.0)
    line.to(16.5)
    assert [dropped.segment for dropped in line.all(TurnDropped)] == [1]
    assert line.final(17.0, "Two.", segment=2) == [turn("Two.", 14, 15, 2)]


# -- recognisers that find endpoints themselves ----------------------------------------


def test_a_final_unasked_for_ends_the_turn_early():
    line = Line()
    line.voice(10.0, 11.0)
    assert line.final(11.2, "Hello.") == [turn("Hello.", 10.0, 11.0)]
    assert line.to(20.0) == []
    assert line.all(EndSegment) == []


def test_a_final_in_mid_voice_begins_a_new_segment():
    line = Line()
    line.put(10.0, VoiceBegan(at=10.0))
    assert line.final(12.0, "One.") == [
        turn("One.", 10.0, 12.0),
        BeginSegment(segment=2),
    ]
    line.put(13.0, VoiceEnded(at=13.0))
    assert line.final(13.2, "Two.", segment=2) == [turn("Two.", 12.0, 13.0, 2)]


def test_a_segment_cut_from_voice_that_was_over_has_no_length():
    line = Line()
    line.put(10.0, VoiceBegan(at=10.0))
    line.final(12.0, "One.")
    line.put(12.1, VoiceEnded(at=11.9))
    assert line.final(12.3, "Two.", segment=2)[-1] == turn("Two.", 12.0, 12.0, 2)


def test_a_repeated_final_is_no_second_turn():
    line = Line()
    line.voice(10.0, 11.0)
    line.final(11.6, "Hello.")
    assert line.final(11.8, "Hello.") == []
    line.voice(12.0, 13.0)
    assert line.final(13.2, "Hello.") == []
    assert len(line.all(CallerTurnEnded)) == 1


def test_late_words_of_an_old_segment_are_dropped():
    line = Line()
    line.voice(10.0, 11.0)
    line.final(11.6, "One.")
    line.voice(12.0, 13.0)
    line.final(13.6, "Two.", segment=2)
    assert line.final(14.0, "One!", segment=1) == []
    assert line.interim(14.1, "One?", segment=1) == []


def test_a_recogniser_with_its_own_numbers_is_understood():
    line = Line()
    line.voice(10.0, 10.2)
    line.to(15.7)  # a cough that the recogniser never numbered
    line.voice(16.0, 17.0)
    assert line.interim(17.1, "Hel", segment=1) == []
    assert line.final(17.2, "Hello.", segment=1) == [turn("Hello.", 16, 17, 2)]
    line.voice(18.0, 19.0)
    assert line.final(19.2, "There?", segment=2) == [turn("There?", 18, 19, 3)]


def test_words_without_any_voice_are_heard():
    line = Line()
    assert line.interim(9.9, "Hel") == []
    assert line.final(10.0, "Hello.") == [BEGAN, turn("Hello.", 10.0, 10.0)]


def test_silence_without_any_voice_is_nothing():
    line = Line()
    assert line.final(10.0, "") == []
    assert line.taker.phase is TurnPhase.IDLE


# -- barge-in --------------------------------------------------------------------------


def test_the_phase_follows_the_agent():
    line = Line()
    line.agent(5.0)
    assert line.taker.phase is TurnPhase.AGENT_SPEAKING
    line.agent_ends(8.0)
    assert line.taker.phase is TurnPhase.IDLE


def test_short_voice_over_the_agent_does_nothing():
    line = Line()
    line.agent(5.0)
    line.voice(10.0, 10.2)
    line.interim(10.3, "stop")
    line.to(10.7)
    assert line.final(10.8, "stop") == [
        TurnDropped(segment=1, why=DropReason.TOO_LITTLE)
    ]
    assert line.taker.phase is TurnPhase.AGENT_SPEAKING


def test_lasting_voice_asks_for_words_and_words_interrupt():
    line = Line()
    line.agent(5.0)
    line.put(10.0, VoiceBegan(at=10.0))
    assert line.to(10.3) == [(10.3, RequestInterim(segment=1))]
    assert line.interim(10.5, "No wait") == [INTERRUPT, BEGAN]
    assert line.taker.phase is TurnPhase.CALLER_SPEAKING
    line.put(11.0, VoiceEnded(at=11.0))
    line.to(11.5)
    assert line.final(11.6, "No, wait.") == [turn("No, wait.", 10.0, 11.0)]


def test_early_words_interrupt_once_the_voice_has_lasted():
    line = Line()
    line.agent(5.0)
    line.put(10.0, VoiceBegan(at=10.0))
    assert line.interim(10.2, "No wait") == []
    assert line.to(10.3) == [(10.3, INTERRUPT), (10.3, BEGAN)]


def test_words_are_asked_for_again_while_the_voice_goes_on():
    line = Line()
    line.agent(5.0)
    line.put(10.0, VoiceBegan(at=10.0))
    line.interim(10.4, "mm-hm")
    asked = [at for at, action in line.to(11.2) if isinstance(action, RequestInterim)]
    assert asked == pytest.approx([10.7, 11.1])


def test_asking_again_never_spins():
    line = Line(interim_every_s=0.0)
    line.agent(5.0)
    line.put(10.0, VoiceBegan(at=10.0))
    line.interim(10.1, "mm")
    assert len(line.to(11.0)) < 20


@pytest.mark.parametrize("text", ["mm-hm", "Yeah.", "okay, right", "uh huh, I see"])
def test_a_backchannel_does_not_stop_the_agent(text):
    line = Line()
    line.agent(5.0)
    line.put(10.0, VoiceBegan(at=10.0))
    line.interim(10.5, text)
    line.put(11.2, VoiceEnded(at=11.2))
    line.to(11.7)
    assert line.final(11.8, text) == [
        TurnDropped(segment=1, why=DropReason.BACKCHANNEL)
    ]
    assert line.all(PauseAgent, InterruptAgent, CallerTurnBegan) == []


def test_more_words_after_a_backchannel_stop_the_agent():
    line = Line()
    line.agent(5.0)
    line.put(10.0, VoiceBegan(at=10.0))
    assert line.interim(10.5, "yeah") == []
    assert line.interim(10.9, "yeah but wait") == [INTERRUPT, BEGAN]


def test_a_backchannel_word_is_an_answer_once_the_agent_has_finished():
    line = Line()
    line.agent(5.0, "Shall I book it for Tuesday?")
    line.voice(10.0, 10.4)
    line.agent_ends(10.6)
    line.to(10.9)
    assert line.final(11.0, "Yeah.")[-1] == turn("Yeah.", 10.0, 10.4)


def test_a_whole_utterance_known_only_at_its_end_interrupts():
    line = Line()
    line.agent(5.0)
    line.voice(10.0, 10.6)
    line.to(11.1)
    assert line.final(11.3, "Stop.") == [INTERRUPT, BEGAN, turn("Stop.", 10.0, 10.6)]


def test_more_words_may_be_required():
    line = Line(barge_in_min_words=2)
    line.agent(5.0)
    line.voice(10.0, 10.6)
    assert line.interim(10.7, "stop") == []
    assert line.final(11.2, "stop") == [
        TurnDropped(segment=1, why=DropReason.TOO_LITTLE)
    ]
    line.put(12.0, VoiceBegan(at=12.0))
    assert line.interim(12.5, "stop now", segment=2)[0] == INTERRUPT


def test_no_words_at_all_never_interrupt():
    line = Line(barge_in_min_words=0)
    line.agent(5.0)
    line.put(10.0, VoiceBegan(at=10.0))
    line.interim(10.5, "")
    assert line.all(InterruptAgent) == []


def test_words_found_without_voice_interrupt_too():
    line = Line()
    line.agent(5.0)
    assert line.final(10.0, "Stop.") == [INTERRUPT, BEGAN, turn("Stop.", 10.0, 10.0)]


def test_an_interrupted_agent_is_interrupted_once():
    line = Line()
    line.agent(5.0)
    line.put(10.0, VoiceBegan(at=10.0))
    line.interim(10.5, "no wait")
    line.interim(10.7, "no wait please")
    line.put(10.8, AgentSpeechBegan(utterance_id="u1"))
    line.agent_ends(10.9)
    assert line.to(11.2) == []
    assert line.all(InterruptAgent) == [INTERRUPT]


def test_interim_words_count_where_the_final_of_an_interruption_is_empty():
    line = Line()
    line.agent(5.0)
    line.put(10.0, VoiceBegan(at=10.0))
    line.interim(10.5, "no wait")
    line.put(11.0, VoiceEnded(at=11.0))
    assert line.final(11.6, "") == [turn("no wait", 10.0, 11.0)]


def test_after_an_interruption_even_a_backchannel_is_a_turn():
    line = Line()
    line.agent(5.0, "Okay")
    line.put(10.0, VoiceBegan(at=10.0))
    line.interim(10.5, "no wait")
    line.put(11.0, VoiceEnded(at=11.0))
    assert line.final(11.6, "okay") == [turn("okay", 10.0, 11.0)]


# -- false interruptions ---------------------------------------------------------------


def paused(**settings) -> Line:
    line = Line(**settings)
    line.agent(5.0)
    line.put(10.0, VoiceBegan(at=10.0))
    line.to(10.7)
    assert line.all(PauseAgent) == [PAUSE]
    return line


def test_voice_without_words_pauses_the_agent():
    line = Line()
    line.agent(5.0)
    line.put(10.0, VoiceBegan(at=10.0))
    line.to(10.69)
    assert line.all(PauseAgent) == []
    assert (10.7, PAUSE) in line.to(10.7)
    assert line.taker.phase is TurnPhase.AGENT_SPEAKING


def test_words_interrupt_a_paused_agent():
    line = paused()
    assert line.interim(10.9, "hold on") == [INTERRUPT, BEGAN]
    line.to(20.0)
    assert line.all(ResumeAgent) == []


def test_a_final_interrupts_a_paused_agent():
    line = paused()
    line.put(11.0, VoiceEnded(at=11.0))
    assert line.final(11.6, "Hold on.")[0] == INTERRUPT


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", DropReason.NOTHING_SAID),
        ("mm-hm", DropReason.BACKCHANNEL),
        ("the bakery on Main Street", DropReason.ECHO),
    ],
)
def test_a_final_that_says_nothing_resumes_the_agent(text, why):
    line = paused()
    line.put(
        10.8, AgentSentenceSent(utterance_id="u1", text="The bakery on Main Street.")
    )
    line.put(11.0, VoiceEnded(at=11.0))
    assert line.final(11.6, text) == [TurnDropped(segment=1, why=why), RESUME]
    line.to(20.0)
    assert line.all(ResumeAgent) == [RESUME]


def test_silence_resumes_the_agent():
    line = paused()
    line.put(11.0, VoiceEnded(at=11.0))
    assert line.to(12.4) == [(11.5, EndSegment(segment=1))]
    assert line.to(12.5) == [(12.5, RESUME)]


def test_endless_voice_without_words_resumes_the_agent_and_does_not_pause_it_again():
    line = paused()
    line.to(12.1)
    assert line.all(ResumeAgent) == []
    line.to(30.0)
    assert line.all(PauseAgent, ResumeAgent) == [PAUSE, RESUME]


def test_new_voice_may_pause_the_agent_again():
    line = paused()
    line.put(11.0, VoiceEnded(at=11.0))
    line.final(11.6, "")
    line.put(13.0, VoiceBegan(at=13.0))
    line.to(13.7)
    assert line.all(PauseAgent, ResumeAgent) == [PAUSE, RESUME, PAUSE]


def test_a_paused_agent_that_finishes_is_not_resumed():
    line = paused()
    line.agent_ends(10.9)
    line.put(11.0, VoiceEnded(at=11.0))
    line.final(11.6, "")
    line.to(20.0)
    assert line.all(ResumeAgent, InterruptAgent) == []


def test_known_words_do_not_pause_the_agent():
    line = Line()
    line.agent(5.0)
    line.put(10.0, VoiceBegan(at=10.0))
    line.interim(10.4, "uh")
    line.to(12.0)
    assert line.all(PauseAgent) == []


# -- speech that began before the agent's ----------------------------------------------


def test_an_agent_that_starts_into_speech_is_interrupted_when_it_goes_on():
    line = Line()
    line.put(9.0, VoiceBegan(at=9.0))
    line.interim(9.5, "I would like")
    line.agent(10.0)
    assert line.to(10.29) == []
    assert line.to(10.3) == [(10.3, INTERRUPT)]
    line.put(11.0, VoiceEnded(at=11.0))
    assert line.final(11.6, "I would like tea.") == [turn("I would like tea.", 9, 11)]


def test_an_agent_that_starts_into_wordless_voice_pauses_after_a_while():
    line = Line()
    line.put(9.0, VoiceBegan(at=9.0))
    line.agent(10.0)
    line.to(10.69)
    assert line.all(PauseAgent) == []
    line.to(10.7)
    assert line.all(PauseAgent) == [PAUSE]


def test_speech_that_was_over_before_is_no_barge_in():
    line = Line()
    line.voice(9.0, 9.8)
    line.agent(10.0, "Hello, this is Anna.")
    assert line.interim(10.1, "Hi there?") == []
    line.to(10.3)
    assert line.final(10.5, "Hi there?")[-1] == turn("Hi there?", 9.0, 9.8)
    assert line.all(InterruptAgent) == []
    assert line.taker.phase is TurnPhase.AGENT_SPEAKING
    line.agent_ends(12.0)
    assert line.taker.phase is TurnPhase.AWAITING_AGENT


# -- protected speech and barge-in switched off ----------------------------------------


def test_nothing_interrupts_protected_speech():
    line = Line()
    line.agent(9.0, is_protected=True)
    line.put(10.0, VoiceBegan(at=10.0))
    line.interim(10.5, "no wait")
    line.to(12.0)
    line.put(12.0, VoiceEnded(at=12.0))
    line.to(12.5)
    assert line.final(12.6, "No, wait.") == [
        TurnDropped(segment=1, why=DropReason.PROTECTED)
    ]
    assert line.all(PauseAgent, InterruptAgent, CallerTurnBegan) == []


def test_words_during_protected_speech_are_dropped_afterwards_too():
    line = Line()
    line.agent(9.0, is_protected=True)
    line.voice(10.0, 10.9)
    line.agent_ends(11.0)
    line.to(11.4)
    assert line.final(11.5, "Hello?") == [
        TurnDropped(segment=1, why=DropReason.PROTECTED)
    ]


def test_speech_that_goes_on_after_protected_speech_counts():
    line = Line()
    line.agent(9.0, is_protected=True)
    line.put(10.0, VoiceBegan(at=10.0))
    line.agent_ends(10.5)
    assert line.to(10.5) == [(10.5, BEGAN)]
    line.put(11.0, VoiceEnded(at=11.0))
    assert line.final(11.6, "Who is there?") == [turn("Who is there?", 10, 11)]


def test_voice_that_is_young_when_the_agent_finishes_must_last_first():
    line = Line()
    line.agent(9.0, is_protected=True)
    line.put(10.0, VoiceBegan(at=10.0))
    line.agent_ends(10.1)
    assert line.to(10.2) == []
    assert line.to(10.3) == [(10.3, BEGAN)]


def test_with_barge_in_off_words_count_after_the_agent_has_finished():
    line = Line(barge_in_enabled=False)
    line.agent(9.0)
    line.voice(10.0, 11.0)
    line.to(11.5)
    assert line.final(11.6, "No, wait.") == []
    assert line.agent_ends(15.0) == [BEGAN, turn("No, wait.", 10.0, 11.0)]
    assert line.taker.phase is TurnPhase.AWAITING_AGENT
    line.put(16.0, AgentSpeechBegan(utterance_id="u2"))
    assert line.put(17.0, AgentSpeechFinished(utterance_id="u2")) == []


def test_with_barge_in_off_a_backchannel_counts_never():
    line = Line(barge_in_enabled=False)
    line.agent(9.0)
    line.voice(10.0, 11.0)
    assert line.final(11.6, "Mm-hm.") == [
        TurnDropped(segment=1, why=DropReason.BACKCHANNEL)
    ]


def test_with_barge_in_off_nothing_pauses_the_agent():
    line = Line(barge_in_enabled=False)
    line.agent(9.0)
    line.put(10.0, VoiceBegan(at=10.0))
    assert line.to(14.0) == []


# -- echo ------------------------------------------------------------------------------

QUESTION = "Hello, this is Anna from the bakery. Do you want it on Tuesday?"


def test_the_agent_is_not_stopped_by_its_own_words():
    line = Line()
    line.agent(5.0, QUESTION)
    line.put(10.0, VoiceBegan(at=10.0))
    assert line.interim(10.6, "this is Anna from") == []
    line.put(12.0, VoiceEnded(at=12.0))
    line.to(12.5)
    assert line.final(12.6, "This is Anna from the bakery.") == [
        TurnDropped(segment=1, why=DropReason.ECHO)
    ]
    assert line.all(PauseAgent, InterruptAgent, CallerTurnBegan) == []


@pytest.mark.parametrize(
    ("began", "text", "is_echo"),
    [
        (9.5, "do you want it on Tuesday", True),  # over the agent, ends after it
        (9.5, "Tuesday", True),  # its last word comes back
        (9.5, "on Tuesday", True),
        (9.5, "Anna", False),  # takes up a word: an answer
        (9.5, "want it on Wednesday instead", False),
        (10.5, "do you want it on Tuesday", True),  # the loudspeaker lags behind
        (10.5, "on Tuesday", False),  # an answer, in the agent's own words
        (10.5, "want it on", False),
        (11.5, "do you want it on Tuesday", False),  # too late for an echo
    ],
)
def test_an_echo_is_told_from_an_answer(began, text, is_echo):
    line = Line()
    line.agent(5.0, QUESTION)
    line.to(min(began, 9.9))
    if began < 10.0:
        line.put(began, VoiceBegan(at=began))
    line.agent_ends(10.0)
    if began >= 10.0:
        line.put(began, VoiceBegan(at=began))
    line.put(began + 0.8, VoiceEnded(at=began + 0.8))
    line.to(began + 1.3)
    last = line.final(began + 1.4, text)[-1]
    if is_echo:
        assert last == TurnDropped(segment=1, why=DropReason.ECHO)
    else:
        assert isinstance(last, CallerTurnEnded)


def test_an_echo_after_the_agent_does_not_take_the_floor():
    line = Line()
    line.agent(5.0, QUESTION)
    line.agent_ends(9.9)
    line.put(10.0, VoiceBegan(at=10.0))
    assert line.interim(10.2, "Do you want it on") == []
    assert line.to(10.6) == []
    assert line.interim(10.7, "no that is too late for me") == [BEGAN]


def test_the_echo_test_can_be_switched_off():
    line = Line(echo_similarity=1.1)
    line.agent(5.0, QUESTION)
    line.put(10.0, VoiceBegan(at=10.0))
    assert line.interim(10.6, "this is Anna from")[0] == INTERRUPT


# -- late, doubled and impossible inputs -----------------------------------------------


def test_doubled_voice_edges_are_ignored():
    line = Line()
    line.put(10.0, VoiceBegan(at=10.0))
    assert line.put(10.1, VoiceBegan(at=10.1)) == []
    line.put(11.0, VoiceEnded(at=11.0))
    assert line.put(11.1, VoiceEnded(at=11.1)) == []
    assert line.to(11.5) == [(11.5, EndSegment(segment=1))]


def test_voice_that_ends_without_having_begun_is_ignored():
    assert Line().put(10.0, VoiceEnded(at=10.0)) == []


def test_times_in_the_future_are_taken_as_now():
    line = Line()
    line.put(10.0, VoiceBegan(at=99.0))
    line.put(11.0, VoiceEnded(at=99.0))
    assert line.taker.next_deadline() == pytest.approx(11.5)


def test_voice_cannot_end_before_it_began():
    line = Line()
    line.put(10.0, VoiceBegan(at=10.0))
    line.put(10.5, VoiceEnded(at=3.0))
    assert line.final(11.0, "Hi.")[-1] == turn("Hi.", 10.0, 10.0)


def test_a_doubled_beginning_of_the_agent_is_ignored():
    line = Line()
    line.agent(5.0)
    line.agent(6.0)
    line.agent_ends(7.0)
    assert line.taker.phase is TurnPhase.IDLE


def test_an_end_of_speech_that_never_began_is_ignored():
    line = Line()
    assert line.agent_ends(5.0) == []
    line.agent(6.0)
    assert line.taker.phase is TurnPhase.IDLE


def test_the_end_of_another_utterance_does_not_end_this_one():
    line = Line()
    line.agent(5.0)
    line.put(6.0, AgentSpeechFinished(utterance_id="other"))
    assert line.taker.phase is TurnPhase.AGENT_SPEAKING


def test_a_new_utterance_ends_the_one_before():
    line = paused()
    line.put(10.8, AgentSpeechBegan(utterance_id="u2"))
    assert line.agent_ends(10.9) == []
    assert line.interim(11.2, "hold on please") == [
        InterruptAgent(utterance_id="u2"),
        BEGAN,
    ]


def test_protection_ends_with_the_utterance():
    line = Line()
    line.agent(5.0, is_protected=True)
    line.put(8.0, AgentSpeechBegan(utterance_id="u2"))
    line.put(10.0, VoiceBegan(at=10.0))
    assert line.interim(10.5, "hold on")[0] == InterruptAgent(utterance_id="u2")


def test_a_late_tick_does_everything_that_was_due():
    line = Line()
    line.voice(10.0, 11.0)
    assert line.taker.tick(60.0) == (EndSegment(segment=1),)
    assert line.taker.next_deadline() == pytest.approx(65.0)
