"""Latency: parts that add up to the silence heard, and their summary."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_call.reports.latency import (
    PartSummary,
    TurnLatency,
    format_table,
    summarize,
    summarize_part,
)

T = 1_700_000_000.0


def make_turn(
    transcript: float | None = None,
    text: float | None = None,
    audio: float | None = None,
    frame: float | None = None,
    *,
    turn: int = 1,
) -> TurnLatency:
    """Stages in seconds after the end of speech."""
    times = (None if at is None else T + at for at in (transcript, text, audio, frame))
    stages = ("transcript_at", "first_text_at", "first_audio_at", "first_frame_at")
    return TurnLatency(
        turn=turn, speech_ended_at=T, **dict(zip(stages, times, strict=True))
    )


def rounded(values: tuple[float | None, ...]) -> list[float | None]:
    return [None if value is None else round(value, 3) for value in values]


@pytest.mark.parametrize(
    ("turn", "parts"),
    [
        pytest.param(
            make_turn(0.25, 0.75, 0.875, 1.0),
            [0.25, 0.5, 0.125, 0.125, 1.0],
            id="every stage, in order",
        ),
        pytest.param(
            make_turn(0.25, None, 0.875, 1.0),
            [0.25, None, 0.625, 0.125, 1.0],
            id="an unknown stage counts to the next one",
        ),
        pytest.param(
            make_turn(0.9, 0.4, 0.8, 1.0),
            [0.4, 0.0, 0.4, 0.2, 1.0],
            id="the agent began before the final transcript",
        ),
        pytest.param(
            make_turn(2.0, 0.4, 0.8, 1.0),
            [0.4, 0.0, 0.4, 0.2, 1.0],
            id="the transcript came after the answer",
        ),
        pytest.param(
            make_turn(-0.5, 0.4, 0.8, 1.0),
            [0.0, 0.4, 0.4, 0.2, 1.0],
            id="the transcript was there before the end of speech",
        ),
        pytest.param(
            make_turn(-0.5, -0.4, -0.3, -0.2),
            [0.0, 0.0, 0.0, 0.0, 0.0],
            id="the answer began before the end of speech",
        ),
        pytest.param(
            make_turn(0.3, 0.7),
            [0.3, 0.4, None, None, None],
            id="no answer was heard",
        ),
        pytest.param(make_turn(), [None] * 5, id="nothing came"),
    ],
)
def test_parts_of_a_turn(turn: TurnLatency, parts: list[float | None]) -> None:
    """Each part begins where the one before it ended."""
    assert rounded(turn.parts()) == parts


def test_the_parts_have_names() -> None:
    """The properties are the parts, in the order of the stages."""
    turn = make_turn(0.25, 0.75, 0.875, 1.0)

    assert turn.transcript_s == 0.25
    assert turn.first_text_s == 0.5
    assert turn.first_audio_s == 0.125
    assert turn.first_frame_s == 0.125
    assert turn.total_s == 1.0


times = st.none() | st.floats(min_value=-300, max_value=300)


@given(times, times, times, st.floats(min_value=-300, max_value=300))
def test_parts_sum_to_the_silence_heard(
    transcript: float | None, text: float | None, audio: float | None, frame: float
) -> None:
    """Whatever order the stages came in, no part is negative and none is lost."""
    turn = make_turn(transcript, text, audio, frame)
    *parts, total = turn.parts()
    known = [part for part in parts if part is not None]

    assert total == max(0.0, (T + frame) - T)
    assert min(known) >= 0.0
    assert math.isclose(math.fsum(known), total, abs_tol=1e-6)


@pytest.mark.parametrize(
    ("count", "p50", "p95"),
    [(1, 1.0, 1.0), (2, 1.0, 2.0), (3, 2.0, 3.0), (20, 10.0, 19.0), (100, 50.0, 95.0)],
)
def test_percentiles_are_values_that_occurred(
    count: int, p50: float, p95: float
) -> None:
    """A percentile is `sorted[ceil(p / 100 * n) - 1]`, whatever the order."""
    summary = summarize_part(float(value) for value in range(count, 0, -1))

    assert (summary.p50_s, summary.p95_s) == (p50, p95)


def test_a_summary_of_nothing_is_all_zero() -> None:
    """No value, or none that was measured, gives zeros."""
    zero = PartSummary(count=0, min_s=0, max_s=0, avg_s=0, p50_s=0, p95_s=0)

    assert summarize_part([]) == zero
    assert summarize_part([None, None]) == zero


def test_a_summary_counts_only_what_was_measured() -> None:
    """A turn without an answer counts as a turn, not as a silence."""
    summary = summarize([make_turn(0.2, 0.4, 0.6, 1.0), make_turn(0.4)])

    assert summary.count == 2
    assert summary.transcript.count == 2
    assert summary.total.count == 1


def test_a_summary_as_json_is_in_milliseconds() -> None:
    """The keys of each part are those of the `latency` command."""
    summary = summarize([make_turn(0.25, 0.5, 0.75, 1.0), make_turn(frame=2.0)])

    assert summary.to_json() == {
        "count": 2,
        "transcript": part(250, count=1),
        "firstText": part(250, count=1),
        "firstAudio": part(250, count=1),
        "firstFrame": {
            "count": 2,
            "minMs": 250,
            "maxMs": 2000,
            "avgMs": 1125,
            "p50Ms": 250,
            "p95Ms": 2000,
        },
        "total": {
            "count": 2,
            "minMs": 1000,
            "maxMs": 2000,
            "avgMs": 1500,
            "p50Ms": 1000,
            "p95Ms": 2000,
        },
    }


def part(ms: int, *, count: int) -> dict[str, int]:
    keys = ("minMs", "maxMs", "avgMs", "p50Ms", "p95Ms")
    return {"count": count, **dict.fromkeys(keys, ms)}


def test_table_for_a_terminal() -> None:
    """Turns first, then the summary; a dash stands for what was not measured."""
    table = format_table(
        [make_turn(0.25, 0.75, 0.875, 1.0), make_turn(0.5, turn=2)],
    )

    assert table.splitlines() == [
        "turn  transcript  first text  first audio  first frame  total",
        "----  ----------  ----------  -----------  -----------  -----",
        "   1         250         500          125          125   1000",
        "   2         500           -            -            -      -",
        "----  ----------  ----------  -----------  -----------  -----",
        " min         250         500          125          125   1000",
        " avg         375         500          125          125   1000",
        " p50         250         500          125          125   1000",
        " p95         500         500          125          125   1000",
        " max         500         500          125          125   1000",
        "ms",
    ]
