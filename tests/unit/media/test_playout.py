"""The playout, step by step: pacing, marks, what was heard, barge-in."""

from __future__ import annotations

import pytest

from voice_call.media.audio import ClearAudio, SendAudio, SendMark
from voice_call.media.playout import (
    Playout,
    PlayoutSettings,
    PlayoutStep,
    UtteranceCut,
    UtterancePlayed,
    UtteranceStarted,
)

T = 1_700_000_000.0
SECOND = bytes(range(160)) * 50  # 8000 bytes


def near(at: float) -> float:
    """Return something equal to `at`, give or take the rounding of large floats."""
    return pytest.approx(at, abs=1e-4)


def sound(steps: tuple[PlayoutStep, ...]) -> bytes:
    return b"".join(step.payload for step in steps if isinstance(step, SendAudio))


def sizes(steps: tuple[PlayoutStep, ...]) -> list[int]:
    return [len(step.payload) for step in steps if isinstance(step, SendAudio)]


def marks(steps: tuple[PlayoutStep, ...]) -> list[str]:
    return [step.name for step in steps if isinstance(step, SendMark)]


def run(playout: Playout, until: float, *, since: float = T) -> tuple[PlayoutStep, ...]:
    """Advance whenever something is due, up to `until`."""
    steps: list[PlayoutStep] = [*playout.advance(since)]
    while (due := playout.next_due()) is not None and due <= until:
        steps += playout.advance(max(due, since))
    return tuple(steps)


def filled(*sentences: tuple[str, bytes], settings: PlayoutSettings | None = None):
    """Return a playout with one finished utterance `u`."""
    playout = Playout(settings)
    add(playout, "u", *sentences)
    return playout


def add(playout: Playout, utterance_id: str, *sentences: tuple[str, bytes]) -> None:
    playout.begin(utterance_id)
    for text, audio in sentences:
        playout.begin_sentence(utterance_id, text)
        playout.append(utterance_id, audio)
    playout.finish(utterance_id)


def played(utterance_id: str, heard: str, at: float, *, is_proved: bool = True):
    return UtterancePlayed(
        utterance_id=utterance_id,
        heard=heard,
        at=near(at),
        is_proved=is_proved,
    )


def cut(utterance_id: str, heard: str, at: float) -> UtteranceCut:
    return UtteranceCut(utterance_id=utterance_id, heard=heard, at=near(at))


# -- pacing ----------------------------------------------------------------------------


def test_the_first_message_is_short_and_the_lead_is_filled_at_once() -> None:
    steps = filled(("One.", SECOND)).advance(T)
    assert steps[0] == UtteranceStarted(utterance_id="u", at=T)
    assert sizes(steps) == [160, 480, 480, 480]


def test_the_next_message_is_due_when_the_lead_has_room_for_it() -> None:
    playout = filled(("One.", SECOND))
    playout.advance(T)
    assert playout.next_due() == near(T + 0.06)
    assert playout.advance(T + 0.05) == ()
    assert sizes(playout.advance(T + 0.06)) == [480]


def test_a_stall_is_caught_up_at_once() -> None:
    playout = filled(("One.", SECOND))
    playout.advance(T)
    assert sizes(playout.advance(T + 0.19)) == [480, 480, 480]
    assert playout.next_due() == near(T + 0.24)
    assert playout.underruns == 0


def test_stalls_of_50_ms_never_run_the_carrier_dry_nor_add_up() -> None:
    """60 s of audio; each tenth tick of 20 ms comes 50 ms late."""
    playout = filled(("Long.", SECOND * 60))
    sent, now = 0, T
    for tick in range(3000):
        now = T + tick * 0.02 + (0.05 if tick % 10 == 0 else 0.0)
        sent += len(sound(playout.advance(now)))
        assert -0.02 <= sent / 8000 - (now - T) <= 0.2 + 1e-5 or sent == 480_000
    assert playout.underruns == 0


def test_a_stall_longer_than_the_lead_is_an_underrun() -> None:
    playout = filled(("One.", SECOND))
    playout.advance(T)
    assert sizes(playout.advance(T + 0.5)) == [160, 480, 480, 480]
    assert playout.underruns == 1
    assert playout.next_due() == near(T + 0.56)


def test_late_synthesis_is_an_underrun_and_the_clock_starts_anew() -> None:
    playout = Playout()
    playout.begin("u")
    playout.append("u", SECOND[:800])
    assert sizes(playout.advance(T)) == [160, 480, 160]
    assert playout.next_due() is None
    playout.append("u", SECOND)
    assert sizes(playout.advance(T + 3)) == [160, 480, 480, 480]
    assert playout.underruns == 1


def test_silence_between_utterances_is_no_underrun() -> None:
    playout = filled(("One.", SECOND[:160]))
    playout.advance(T)
    add(playout, "v", ("Two.", SECOND[:160]))
    playout.advance(T + 1)
    assert playout.underruns == 0


def test_messages_follow_the_settings() -> None:
    settings = PlayoutSettings(first_message_s=0.04, message_s=0.1, lead_s=0.4)
    steps = filled(("One.", SECOND), settings=settings).advance(T)
    assert sizes(steps) == [320, 800, 800, 800]


@pytest.mark.parametrize(
    "wrong",
    [
        {"first_message_s": 0.01},
        {"first_message_s": 0.1},
        {"message_s": 0.3},
        {"mark_grace_s": -1.0},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="needed"):
        PlayoutSettings(**wrong)


def test_time_that_runs_backwards_is_taken_as_standing_still() -> None:
    playout = filled(("One.", SECOND))
    playout.advance(T)
    assert playout.advance(T - 100) == ()
    assert sizes(playout.advance(T + 0.06)) == [480]


# -- frames ----------------------------------------------------------------------------


def test_only_the_end_of_an_utterance_is_padded() -> None:
    playout = filled(("One.", b"\x01" * 100), ("Two.", b"\x02" * 100))
    assert sound(run(playout, T + 1)) == b"\x01" * 100 + b"\x02" * 100 + b"\xff" * 120


@pytest.mark.parametrize("chunk", [1, 7, 159, 160, 161, 1000, 8000])
def test_chunks_of_any_length_give_the_same_bytes(chunk: int) -> None:
    playout = Playout()
    playout.begin("u")
    for start in range(0, 1234, chunk):
        playout.append("u", SECOND[:1234][start : start + chunk])
    playout.finish("u")
    assert sound(run(playout, T + 1)) == SECOND[:1234] + b"\xff" * 46


def test_less_than_a_frame_waits_for_more() -> None:
    playout = Playout()
    playout.begin("u")
    playout.append("u", SECOND[:159])
    assert playout.next_due() is None
    assert playout.advance(T) == ()
    playout.append("u", SECOND[159:160])
    assert sound(playout.advance(T)) == SECOND[:160]


def test_utterances_are_played_in_the_order_in_which_they_began() -> None:
    playout = Playout()
    playout.begin("a")
    playout.begin("b")
    playout.append("b", b"\x0b" * 160)
    playout.finish("b")
    assert playout.advance(T) == ()
    playout.append("a", b"\x0a" * 160)
    playout.finish("a")
    assert sound(playout.advance(T)) == b"\x0a" * 160 + b"\x0b" * 160


def test_the_backlog_is_what_waits_to_be_sent() -> None:
    playout = filled(("One.", SECOND))
    add(playout, "v", ("Two.", SECOND[:800]))
    assert playout.backlog_s == 1.1
    playout.advance(T)
    assert playout.backlog_s == 0.9


@pytest.mark.parametrize("utterance_id", ["ended", "never begun"])
def test_news_of_unknown_utterances_are_ignored(utterance_id: str) -> None:
    playout = Playout()
    playout.begin("ended")
    playout.interrupt(T)
    playout.begin_sentence(utterance_id, "Late.")
    playout.append(utterance_id, SECOND)
    playout.finish(utterance_id)
    assert playout.cancel(utterance_id, T) == ()
    assert not playout.is_active
    assert playout.next_due() is None


def test_a_finished_utterance_takes_no_more_audio() -> None:
    playout = filled(("One.", SECOND[:160]))
    playout.append("u", SECOND)
    assert sound(run(playout, T + 1)) == SECOND[:160]


def test_an_utterance_cannot_begin_twice() -> None:
    playout = Playout()
    playout.begin("u")
    with pytest.raises(ValueError, match="has begun already"):
        playout.begin("u")


# -- marks -----------------------------------------------------------------------------


def test_each_sentence_and_the_end_are_marked() -> None:
    steps = filled(("One.", SECOND[:320]), ("Two.", SECOND[:160])).advance(T)
    assert [type(step) for step in steps] == [
        UtteranceStarted,
        SendAudio,
        SendAudio,
        SendMark,
        SendAudio,
        SendMark,
    ]
    assert sizes(steps) == [160, 160, 160]


def test_an_end_that_is_known_later_is_marked_later() -> None:
    playout = Playout()
    playout.begin("u")
    playout.begin_sentence("u", "One.")
    playout.append("u", SECOND[:160])
    assert marks(playout.advance(T)) == []
    playout.finish("u")
    assert playout.next_due() == T
    assert marks(playout.advance(T)) == ["m1"]


def test_the_end_is_marked_even_behind_a_sentence_without_audio() -> None:
    playout = Playout()
    add(playout, "u", ("One.", SECOND[:160]), ("Silent.", b""))
    assert marks(playout.advance(T)) == ["m1"]
    assert playout.mark_returned("m1", T + 0.1) == (played("u", "One.", T + 0.1),)


def test_an_end_behind_a_marked_sentence_gets_a_mark_of_its_own() -> None:
    playout = Playout()
    playout.begin("u")
    playout.begin_sentence("u", "One.")
    playout.append("u", SECOND[:160])
    playout.begin_sentence("u", "Never synthesised.")
    assert marks(playout.advance(T)) == ["m1"]
    assert playout.mark_returned("m1", T + 0.1) == ()
    playout.finish("u")
    assert marks(playout.advance(T + 0.2)) == ["m2"]
    assert playout.mark_returned("m2", T + 0.3) == (played("u", "One.", T + 0.3),)


def test_the_last_mark_proves_that_all_was_heard() -> None:
    playout = filled(("One two.", SECOND[:800]), ("Three.", SECOND[:800]))
    names = marks(run(playout, T + 1))
    assert playout.mark_returned(names[0], T + 0.1) == ()
    assert playout.is_active
    assert playout.mark_returned(names[1], T + 0.2) == (
        played("u", "One two. Three.", T + 0.2),
    )
    assert not playout.is_active


def test_a_mark_proves_what_was_sent_before_it() -> None:
    """The first utterance's own mark got lost."""
    playout = filled(("One.", SECOND[:160]))
    add(playout, "v", ("Two.", SECOND[:160]))
    playout.advance(T)
    assert playout.mark_returned("m2", T + 0.1) == (
        played("u", "One.", T + 0.1),
        played("v", "Two.", T + 0.1),
    )


@pytest.mark.parametrize("name", ["m1", "m99", ""])
def test_unknown_and_doubled_marks_mean_nothing(name: str) -> None:
    playout = filled(("One.", SECOND[:160]))
    playout.advance(T)
    playout.mark_returned("m1", T + 0.1)
    assert playout.mark_returned(name, T + 0.2) == ()


def test_a_lost_mark_is_given_up_and_its_audio_counts_as_played() -> None:
    playout = filled(("One.", SECOND[:800]))
    playout.advance(T)
    assert playout.next_due() == near(T + 2.1)
    assert playout.advance(T + 2.09) == ()
    assert playout.advance(T + 2.1) == (played("u", "One.", T + 0.1, is_proved=False),)
    assert playout.next_due() is None
    assert playout.mark_returned("m1", T + 3) == ()


def test_an_utterance_without_audio_has_been_played_at_once() -> None:
    playout = filled()
    assert playout.next_due() is not None
    assert playout.advance(T) == (played("u", "", T),)


def test_an_utterance_without_audio_waits_for_those_before_it() -> None:
    playout = filled(("One.", SECOND[:160]))
    add(playout, "empty")
    assert not any(isinstance(step, UtterancePlayed) for step in playout.advance(T))
    assert playout.mark_returned("m1", T + 0.1) == (
        played("u", "One.", T + 0.1),
        played("empty", "", T + 0.1),
    )


# -- what was heard --------------------------------------------------------------------


def test_between_marks_the_clock_says_what_was_heard() -> None:
    playout = filled(("one two three four five six seven eight", SECOND))
    run(playout, T + 0.5)
    assert playout.heard_position_s(T + 0.5) == pytest.approx(0.5)
    assert playout.interrupt(T + 0.5) == (
        ClearAudio(),
        cut("u", "one two three four", T + 0.5),
    )


def test_never_more_is_heard_than_was_sent() -> None:
    playout = filled(("one two three four five six seven eight", SECOND))
    playout.advance(T)  # 200 ms
    assert playout.heard_position_s(T + 60) == pytest.approx(0.2)
    assert playout.interrupt(T + 60)[-1] == cut("u", "one two", T + 60)


def test_nothing_is_heard_beyond_a_mark_that_is_out() -> None:
    playout = filled(("One two.", SECOND[:800]), ("Three four.", SECOND[:800]))
    run(playout, T + 0.2)
    assert playout.interrupt(T + 0.2)[-1] == cut("u", "One two.", T + 0.2)


def test_half_a_word_is_not_heard() -> None:
    playout = filled(("Immediately.", SECOND))
    run(playout, T + 0.9)
    assert playout.interrupt(T + 0.9)[-1] == cut("u", "", T + 0.9)


def test_a_sentence_that_is_still_synthesised_is_taken_as_long() -> None:
    """27 characters are about 1.8 s of speech, though only 0.5 s have come."""
    playout = Playout()
    playout.begin("u")
    playout.begin_sentence("u", "seven words in this sentence")
    playout.append("u", SECOND[:4000])
    run(playout, T + 0.5)
    assert playout.interrupt(T + 0.5)[-1] == cut("u", "seven", T + 0.5)


def test_audio_without_text_has_no_words() -> None:
    playout = Playout()
    playout.begin("u")
    playout.append("u", SECOND[:800])
    playout.begin_sentence("u", "One.")
    playout.append("u", SECOND[:800])
    playout.finish("u")
    run(playout, T + 0.2)
    assert playout.mark_returned("m2", T + 0.2) == (played("u", "One.", T + 0.2),)


def test_an_idle_playout_was_heard_to_position_zero() -> None:
    assert Playout().heard_position_s(T) == 0.0


def test_it_is_audible_while_the_carrier_has_audio() -> None:
    playout = filled(("One.", SECOND[:800]))
    assert not playout.is_audible(T)
    playout.advance(T)
    assert playout.is_audible(T + 0.09)
    assert not playout.is_audible(T + 0.1)


# -- interrupt -------------------------------------------------------------------------


def test_an_interruption_clears_first_and_drops_everything() -> None:
    playout = filled(("One two.", SECOND))
    add(playout, "waiting", ("Three.", SECOND))
    run(playout, T + 0.6)
    assert playout.interrupt(T + 0.6) == (
        ClearAudio(),
        cut("u", "One", T + 0.6),
        cut("waiting", "", T + 0.6),
    )
    assert not playout.is_active
    assert playout.next_due() is None
    assert playout.advance(T + 1) == ()


def test_nothing_at_the_carrier_needs_no_clear() -> None:
    playout = filled(("One.", SECOND[:160]))
    assert playout.interrupt(T) == (cut("u", "", T),)


def test_proved_audio_needs_no_clear() -> None:
    playout = filled(("One.", SECOND[:160]))
    playout.begin("v")
    playout.advance(T)
    playout.mark_returned("m1", T + 0.1)
    assert playout.interrupt(T + 0.1) == (cut("v", "", T + 0.1),)


def test_marks_that_come_back_because_of_a_clear_prove_nothing() -> None:
    playout = filled(("One.", SECOND[:800]))
    playout.advance(T)
    playout.interrupt(T + 0.01)
    assert playout.mark_returned("m1", T + 0.02) == ()


def test_names_of_marks_are_never_used_twice() -> None:
    playout = filled(("One.", SECOND[:160]))
    first = marks(playout.advance(T))
    playout.interrupt(T)
    add(playout, "u", ("Two.", SECOND[:160]))
    assert first == ["m1"]
    assert marks(playout.advance(T)) == ["m2"]


# -- pause and resume ------------------------------------------------------------------


def test_a_pause_clears_and_holds_everything_back() -> None:
    playout = filled(("One.", SECOND))
    playout.advance(T)
    assert playout.pause(T + 0.1) == (ClearAudio(),)
    assert playout.is_paused
    assert playout.next_due() is None
    assert playout.advance(T + 5) == ()


def test_a_pause_before_the_first_audio_holds_it_back() -> None:
    playout = filled(("One.", SECOND))
    assert playout.pause(T) == ()
    assert playout.advance(T) == ()
    assert sizes(playout.resume(T + 1)) == [160, 480, 480, 480]


def test_a_sentence_that_has_just_begun_is_said_again() -> None:
    playout = filled(("One.", SECOND))
    run(playout, T + 0.5)
    playout.pause(T + 0.5)
    steps = playout.resume(T + 2)
    assert not playout.is_paused
    assert sound(steps) == SECOND[:1600]
    assert not any(isinstance(step, UtteranceStarted) for step in steps)


def test_a_sentence_before_the_pause_is_not_said_again() -> None:
    playout = filled(("One.", b"\x01" * 800), ("Two.", b"\x02" * 8000))
    names = marks(run(playout, T + 0.3))
    playout.mark_returned(names[0], T + 0.12)
    playout.pause(T + 0.3)
    assert sound(playout.resume(T + 1)) == b"\x02" * 1600


def test_a_long_sentence_goes_on_in_a_quiet_moment() -> None:
    """The last pause between words lies 300 ms before the place that was reached."""
    loud, quiet = b"\x00" * 160, b"\xf0" * 160
    audio = loud * 85 + quiet + loud * 64
    playout = filled(("Long.", audio))
    run(playout, T + 2.0)
    playout.pause(T + 2.0)
    assert sound(playout.resume(T + 3)) == (quiet + loud * 64)[:1600]


def test_a_resumed_utterance_is_played_to_its_end() -> None:
    playout = filled(("One two.", SECOND))
    run(playout, T + 0.5)
    playout.pause(T + 0.5)
    names = marks((*playout.resume(T + 1), *run(playout, T + 3, since=T + 1)))
    assert playout.mark_returned(names[-1], T + 2.1) == (
        played("u", "One two.", T + 2.1),
    )
    assert playout.underruns == 0


def test_what_was_heard_stays_heard_after_a_resume() -> None:
    playout = filled(("one two three four five six seven eight", SECOND))
    run(playout, T + 0.5)
    playout.pause(T + 0.5)
    playout.resume(T + 1)
    assert playout.interrupt(T + 1.1)[-1] == cut("u", "one two three four", T + 1.1)


def test_audio_that_comes_during_a_pause_is_kept() -> None:
    playout = Playout()
    playout.begin("u")
    playout.append("u", SECOND[:160])
    playout.advance(T)
    playout.pause(T + 0.01)
    playout.append("u", SECOND[160:320])
    playout.finish("u")
    assert playout.next_due() is None
    assert sound(playout.resume(T + 1)) == SECOND[:320]


def test_an_utterance_that_was_over_at_the_pause_is_only_marked_again() -> None:
    playout = filled(("One.", SECOND[:800]))
    playout.advance(T)
    assert playout.pause(T + 0.15) == (ClearAudio(),)
    assert playout.mark_returned("m1", T + 0.16) == ()
    assert playout.resume(T + 1) == (SendMark(name="m2"),)
    assert playout.mark_returned("m2", T + 1.1) == (played("u", "One.", T + 1.1),)


def test_a_pause_can_end_in_an_interruption() -> None:
    playout = filled(("One two.", SECOND))
    run(playout, T + 0.6)
    playout.pause(T + 0.6)
    assert playout.interrupt(T + 0.9) == (cut("u", "One", T + 0.9),)
    assert not playout.is_paused


# -- taking back -----------------------------------------------------------------------


def test_an_utterance_that_waits_is_taken_back_silently() -> None:
    playout = filled(("One.", SECOND))
    add(playout, "v", ("Two.", SECOND))
    playout.advance(T)
    assert playout.cancel("v", T + 0.1) == (cut("v", "", T + 0.1),)
    assert sizes(playout.advance(T + 0.1)) == [480]


def test_an_utterance_in_play_is_cleared_and_the_next_one_goes_on() -> None:
    playout = filled(("One two.", b"\x01" * 8000))
    add(playout, "v", ("Three.", b"\x02" * 800))
    run(playout, T + 0.6)
    assert playout.cancel("u", T + 0.6) == (ClearAudio(), cut("u", "One", T + 0.6))
    assert sound(playout.advance(T + 0.6)) == b"\x02" * 800


def test_taking_back_keeps_what_others_have_at_the_carrier() -> None:
    """Both are in the carrier's buffer; the first is cancelled, the second sent anew."""
    playout = filled(("One.", b"\x01" * 480))
    add(playout, "v", ("Two.", b"\x02" * 480))
    playout.advance(T)
    assert playout.cancel("u", T + 0.01)[0] == ClearAudio()
    steps = playout.advance(T + 0.01)
    assert sound(steps) == b"\x02" * 480
    assert playout.mark_returned(marks(steps)[-1], T + 0.1) == (
        played("v", "Two.", T + 0.1),
    )


def test_taking_back_what_was_heard_already_clears_nothing() -> None:
    playout = filled(("One.", SECOND[:160]))
    add(playout, "v", ("Two.", SECOND[:1600]))
    playout.advance(T)
    assert playout.cancel("u", T + 0.05) == (cut("u", "One.", T + 0.05),)
    assert playout.mark_returned("m1", T + 0.06) == ()
    assert playout.interrupt(T + 0.06)[0] == ClearAudio()


def test_taking_back_ends_an_empty_utterance_behind_it() -> None:
    playout = Playout()
    playout.begin("u")
    add(playout, "empty")
    assert playout.cancel("u", T) == (cut("u", "", T), played("empty", "", T))


def test_audio_that_was_proved_is_released_and_the_rest_goes_out_unharmed() -> None:
    audio = bytes(i * 7 % 251 for i in range(2500))
    playout = filled(("One.", audio[:1001]), ("Two.", audio[1001:]))
    first = playout.advance(T)
    playout.mark_returned("m1", T + 0.13)
    rest = run(playout, T + 1, since=T + 0.13)
    assert sound(first) + sound(rest) == audio + b"\xff" * 60
