"""The flat public state, for every combination of the three axes and each ending."""

from __future__ import annotations

import itertools

import pytest

from voice_call.call.model import (
    CallPhase,
    CallState,
    EndCause,
    EndedBy,
    Ending,
    MediaPhase,
    TurnPhase,
    flat_state,
)

BEFORE_THE_ANSWER = {
    CallPhase.OFFERED: "initiated",
    CallPhase.DIALING: "initiated",
    CallPhase.RINGING: "ringing",
}

CONNECTED = {
    (MediaPhase.NONE, TurnPhase.IDLE): "answered",
    (MediaPhase.NONE, TurnPhase.CALLER_SPEAKING): "listening",
    (MediaPhase.NONE, TurnPhase.AWAITING_AGENT): "listening",
    (MediaPhase.NONE, TurnPhase.AGENT_SPEAKING): "speaking",
    (MediaPhase.CONNECTING, TurnPhase.IDLE): "answered",
    (MediaPhase.CONNECTING, TurnPhase.CALLER_SPEAKING): "listening",
    (MediaPhase.CONNECTING, TurnPhase.AWAITING_AGENT): "listening",
    (MediaPhase.CONNECTING, TurnPhase.AGENT_SPEAKING): "speaking",
    (MediaPhase.OPEN, TurnPhase.IDLE): "active",
    (MediaPhase.OPEN, TurnPhase.CALLER_SPEAKING): "listening",
    (MediaPhase.OPEN, TurnPhase.AWAITING_AGENT): "listening",
    (MediaPhase.OPEN, TurnPhase.AGENT_SPEAKING): "speaking",
    (MediaPhase.CLOSED, TurnPhase.IDLE): "answered",
    (MediaPhase.CLOSED, TurnPhase.CALLER_SPEAKING): "listening",
    (MediaPhase.CLOSED, TurnPhase.AWAITING_AGENT): "listening",
    (MediaPhase.CLOSED, TurnPhase.AGENT_SPEAKING): "speaking",
}

NORMAL_ENDINGS = {
    EndedBy.REMOTE: "hangup-user",
    EndedBy.AGENT: "hangup-bot",
    EndedBy.OPERATOR: "hangup-bot",
    EndedBy.CARRIER: "completed",
    EndedBy.SYSTEM: "completed",
}

OTHER_ENDINGS = {
    EndCause.BUSY: "busy",
    EndCause.NO_ANSWER: "no-answer",
    EndCause.REJECTED: "busy",
    EndCause.CANCELLED: "hangup-bot",
    EndCause.MACHINE: "voicemail",
    EndCause.MAX_DURATION: "timeout",
    EndCause.SILENCE: "timeout",
    EndCause.MEDIA_LOST: "error",
    EndCause.POLICY: "hangup-bot",
    EndCause.ALL_LINES_BUSY: "busy",
    EndCause.FAILED: "failed",
    EndCause.ERROR: "error",
    EndCause.LOST: "completed",
}


@pytest.mark.parametrize(("phase", "state"), BEFORE_THE_ANSWER.items())
@pytest.mark.parametrize("media", MediaPhase)
@pytest.mark.parametrize("turn", TurnPhase)
def test_before_the_answer_only_the_phase_counts(
    phase: CallPhase, state: str, media: MediaPhase, turn: TurnPhase
) -> None:
    assert flat_state(phase, media, turn, None) == state


@pytest.mark.parametrize("phase", [CallPhase.ANSWERED, CallPhase.ENDING])
@pytest.mark.parametrize(("axes", "state"), CONNECTED.items())
def test_from_the_answer_on_the_floor_and_the_media_count(
    phase: CallPhase, axes: tuple[MediaPhase, TurnPhase], state: str
) -> None:
    assert flat_state(phase, *axes, None) == state


@pytest.mark.parametrize(("by", "state"), NORMAL_ENDINGS.items())
def test_a_normal_ending_is_named_after_who_ended_it(by: EndedBy, state: str) -> None:
    ending = Ending(cause=EndCause.NORMAL, by=by)
    assert flat_state(CallPhase.ENDED, MediaPhase.NONE, TurnPhase.IDLE, ending) == state


@pytest.mark.parametrize(("cause", "state"), OTHER_ENDINGS.items())
@pytest.mark.parametrize("by", EndedBy)
def test_any_other_ending_is_named_after_its_cause(
    cause: EndCause, state: str, by: EndedBy
) -> None:
    ending = Ending(cause=cause, by=by)
    assert flat_state(CallPhase.ENDED, MediaPhase.OPEN, TurnPhase.IDLE, ending) == state


def test_an_ending_outweighs_everything_else() -> None:
    ending = Ending(cause=EndCause.BUSY, by=EndedBy.CARRIER)
    for axes in itertools.product(CallPhase, MediaPhase, TurnPhase):
        assert flat_state(*axes, ending) == "busy"


def test_the_tables_name_every_value_of_each_axis() -> None:
    assert set(CONNECTED) == set(itertools.product(MediaPhase, TurnPhase))
    assert set(NORMAL_ENDINGS) == set(EndedBy)
    assert {EndCause.NORMAL, *OTHER_ENDINGS} == set(EndCause)


def test_every_public_state_can_be_reached() -> None:
    shown = {
        *BEFORE_THE_ANSWER.values(),
        *CONNECTED.values(),
        *NORMAL_ENDINGS.values(),
        *OTHER_ENDINGS.values(),
    }
    assert shown == set(CallState)
