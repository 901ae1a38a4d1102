"""A call as JSON and as Markdown."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from voice_call.call.model import (
    CallId,
    CallState,
    Direction,
    EndCause,
    EndedBy,
    Ending,
    Speaker,
    TranscriptEntry,
)
from voice_call.reports.latency import TurnLatency
from voice_call.reports.transcript import (
    CallReport,
    Moment,
    MomentKind,
    SpeechSpan,
    offset,
    to_json,
    to_markdown,
)

T = 1_700_000_000.0
UNANSWERED = CallReport(
    call_id=CallId("5f3c2a9e-7d51-4c08-9d53-0a6b3c1e7f11"),
    carrier="twilio",
    direction=Direction.OUTBOUND,
    from_="+15550001234",
    to="+15550009876",
    state=CallState.NO_ANSWER,
    started_at=T,
    ended_at=T + 30,
    ending=Ending(cause=EndCause.NO_ANSWER, by=EndedBy.CARRIER),
)
ANSWERED = CallReport(
    call_id=CallId("5f3c2a9e-7d51-4c08-9d53-0a6b3c1e7f11"),
    carrier="telnyx",
    direction=Direction.INBOUND,
    from_="+15550001234",
    to="+15550009876",
    state=CallState.HANGUP_USER,
    started_at=T,
    answered_at=T + 5,
    ended_at=T + 80.25,
    ending=Ending(
        cause=EndCause.NORMAL,
        by=EndedBy.REMOTE,
        carrier_code="normal_clearing",
        detail="The caller hung up.",
    ),
    entries=(
        TranscriptEntry(
            at=T + 5.5, speaker=Speaker.AGENT, text="Hello, how can", is_cut=True
        ),
        TranscriptEntry(at=T + 6.25, speaker=Speaker.CALLER, text="A table for two."),
    ),
    latencies=(
        TurnLatency(
            turn=1,
            speech_ended_at=T + 8,
            transcript_at=T + 8.25,
            first_text_at=T + 8.75,
            first_audio_at=T + 8.875,
            first_frame_at=T + 9,
        ),
        TurnLatency(turn=2, speech_ended_at=T + 70),
    ),
    spans=(
        SpeechSpan(
            speaker=Speaker.AGENT,
            began_at=T + 5.5,
            ended_at=T + 7,
            text="Hello, how can",
            is_cut=True,
        ),
    ),
    moments=(
        Moment(at=T + 7, kind=MomentKind.BARGE_IN),
        Moment(at=T + 20, kind=MomentKind.KEY, text="1"),
    ),
)


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (T + 5, "00:00.0"),
        (T + 5.04, "00:00.0"),
        (T + 64.96, "01:00.0"),
        (T + 66.25, "01:01.2"),
        (T + 5 + 6001.5, "100:01.5"),
        (T + 3.5, "-00:01.5"),
    ],
)
def test_offsets_count_from_the_answer(at: float, text: str) -> None:
    """Minutes, seconds and tenths; rounded before they are split."""
    assert offset(ANSWERED, at) == text


def test_offsets_of_an_unanswered_call_count_from_its_start() -> None:
    """There is no better zero."""
    assert offset(UNANSWERED, T + 12.5) == "00:12.5"


@pytest.mark.parametrize(
    ("report", "seconds"),
    [
        pytest.param(ANSWERED, 75.25, id="from answer to end"),
        pytest.param(UNANSWERED, None, id="never answered"),
        pytest.param(replace(ANSWERED, ended_at=None), None, id="not over"),
        pytest.param(replace(ANSWERED, ended_at=T), 0.0, id="never negative"),
    ],
)
def test_duration_is_the_time_connected(
    report: CallReport, seconds: float | None
) -> None:
    """Ringing does not count."""
    assert report.duration_s == seconds


def test_json_holds_the_whole_call() -> None:
    """Every documented key, times relative to the answer."""
    data = to_json(ANSWERED)
    summary = data.pop("latencySummary")

    assert data == {
        "callId": "5f3c2a9e-7d51-4c08-9d53-0a6b3c1e7f11",
        "carrier": "telnyx",
        "direction": "inbound",
        "from": "…1234",
        "to": "…9876",
        "state": "hangup-user",
        "startedAt": "2023-11-14T22:13:20.000+00:00",
        "answeredAt": "2023-11-14T22:13:25.000+00:00",
        "endedAt": "2023-11-14T22:14:40.250+00:00",
        "durationS": 75.25,
        "ending": {
            "cause": "normal",
            "by": "remote",
            "carrierCode": "normal_clearing",
            "detail": "The caller hung up.",
        },
        "transcript": [
            {"atS": 0.5, "speaker": "bot", "text": "Hello, how can", "isCut": True},
            {
                "atS": 1.25,
                "speaker": "user",
                "text": "A table for two.",
                "isCut": False,
            },
        ],
        "latencies": [
            {
                "turn": 1,
                "speechEndedAtS": 3.0,
                "transcriptMs": 250,
                "firstTextMs": 500,
                "firstAudioMs": 125,
                "firstFrameMs": 125,
                "totalMs": 1000,
            },
            {
                "turn": 2,
                "speechEndedAtS": 65.0,
                "transcriptMs": None,
                "firstTextMs": None,
                "firstAudioMs": None,
                "firstFrameMs": None,
                "totalMs": None,
            },
        ],
        "speech": [
            {
                "speaker": "bot",
                "beganAtS": 0.5,
                "endedAtS": 2.0,
                "text": "Hello, how can",
                "isCut": True,
            }
        ],
        "moments": [
            {"atS": 2.0, "kind": "barge_in", "text": ""},
            {"atS": 15.0, "kind": "key", "text": "1"},
        ],
    }
    assert summary["total"]["p50Ms"] == 1000


def test_json_is_json() -> None:
    """No value needs an encoder of its own."""
    data = to_json(ANSWERED)

    assert json.loads(json.dumps(data)) == data


def test_json_of_a_call_that_is_not_over() -> None:
    """What is not known yet is null."""
    data = to_json(
        replace(UNANSWERED, state=CallState.RINGING, ended_at=None, ending=None)
    )

    assert data["answeredAt"] is None
    assert data["endedAt"] is None
    assert data["durationS"] is None
    assert data["ending"] is None


def test_json_shows_numbers_when_asked() -> None:
    """Otherwise the last four digits only."""
    data = to_json(ANSWERED, show_numbers=True)

    assert (data["from"], data["to"]) == ("+15550001234", "+15550009876")


def test_markdown_page() -> None:
    """Facts, transcript with cut marks, things of note, latency."""
    assert to_markdown(ANSWERED) == (
        """\
# Call 5f3c2a9e-7d51-4c08-9d53-0a6b3c1e7f11

| | |
| --- | --- |
| Carrier | telnyx |
| Direction | inbound |
| From | …1234 |
| To | …9876 |
| State | hangup-user |
| Started | 2023-11-14 22:13:20 UTC |
| Answered | 2023-11-14 22:13:25 UTC |
| Ended | 2023-11-14 22:14:40 UTC |
| Connected | 75.2 s |
| Ended by | remote (normal); carrier code normal\\_clearing; The caller hung up. |

## Transcript

- `00:00.5` **Agent:** Hello, how can —
- `00:01.2` **Caller:** A table for two.

## Of note

- `00:02.0` barge in
- `00:15.0` key: 1

## Latency

| turn | transcript | first text | first audio | first frame | silence |
| ---: | ---: | ---: | ---: | ---: | ---: |
| 1 | 250 | 500 | 125 | 125 | 1000 |
| 2 | – | – | – | – | – |

Milliseconds. Silence heard before an answer: p50 1000, p95 1000, max 1000 ms; \
answered turns: 1.
"""
    )


def test_markdown_of_a_call_that_nobody_answered() -> None:
    """Sections with nothing to say are left out."""
    page = to_markdown(UNANSWERED)

    assert "| Answered | – |\n" in page
    assert "| Ended by | carrier (no answer) |\n" in page
    assert page.endswith("## Transcript\n\nNothing was said.\n")


def test_markdown_of_a_call_that_is_not_over() -> None:
    """There is no ending to tell."""
    assert "Ended by" not in to_markdown(replace(ANSWERED, ending=None))


def test_markdown_shows_numbers_when_asked() -> None:
    """Otherwise the last four digits only."""
    assert "| From | +15550001234 |" in to_markdown(ANSWERED, show_numbers=True)
    assert "1555" not in to_markdown(ANSWERED)


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("a | b", "a \\| b"),
        ("<script>x</script>", "\\<script\\>x\\</script\\>"),
        ("![x](http://example.com)", "!\\[x\\](http://example.com)"),
        ("**bold** `code` \\", "\\*\\*bold\\*\\* \\`code\\` \\\\"),
        ("one\n\n# two", "one \\# two"),
    ],
)
def test_what_was_said_cannot_become_markup(said: str, written: str) -> None:
    """Speech is remote input."""
    entry = TranscriptEntry(at=T + 5, speaker=Speaker.CALLER, text=said)

    page = to_markdown(replace(UNANSWERED, answered_at=T + 5, entries=(entry,)))

    assert page.endswith(f"- `00:00.0` **Caller:** {written}\n")
