"""One call as a record: for programs as JSON, for people as Markdown.

Times inside a report are seconds since 1970; whatever is rendered counts from the
moment the call was answered (from its start, where nobody answered).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from voice_call.call.model import Speaker
from voice_call.phone_numbers import mask
from voice_call.reports.latency import summarize

if TYPE_CHECKING:
    from voice_call.call.model import (
        CallId,
        CallState,
        Direction,
        Ending,
        TranscriptEntry,
    )
    from voice_call.reports.latency import TurnLatency

__all__ = [
    "CallReport",
    "Moment",
    "MomentKind",
    "SpeechSpan",
    "offset",
    "to_json",
    "to_markdown",
]


class MomentKind(StrEnum):
    """What kind of thing is worth a mark in a report."""

    BARGE_IN = "barge_in"
    KEY = "key"
    STREAM_LOST = "stream_lost"
    STREAM_RESUMED = "stream_resumed"
    SPEECH_FAILED = "speech_failed"
    AGENT_FAILED = "agent_failed"
    MACHINE = "machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something of note that happened in a call.

    Attributes:
        at: When, in seconds since 1970.
        kind: What.
        text: A few words for people; no secrets, no phone numbers.
    """

    at: float
    kind: MomentKind
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechSpan:
    """A stretch of time in which somebody spoke.

    Attributes:
        speaker: Who.
        began_at: In seconds since 1970.
        ended_at: In seconds since 1970; for the agent, when it was last heard.
        text: What was said.
        is_cut: True where the agent was interrupted.
    """

    speaker: Speaker
    began_at: float
    ended_at: float
    text: str = ""
    is_cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReport:
    """Everything that a call leaves behind. Times are seconds since 1970.

    Attributes:
        call_id: Our id.
        carrier: The carrier's name, for example `twilio`.
        direction: Who placed the call.
        from_: The calling number, E.164, or empty. Whatever is rendered shows its last
            four digits only, unless the numbers are asked for.
        to: The called number, likewise.
        state: The flat public state.
        started_at: When the call began for us.
        answered_at: When it was picked up, if it was.
        ended_at: When it ended, if it has.
        ending: How it ended, if it has.
        entries: The transcript.
        latencies: What the caller waited for, turn by turn.
        spans: Who spoke when.
        moments: What else is worth knowing.
    """

    call_id: CallId
    carrier: str
    direction: Direction
    from_: str
    to: str
    state: CallState
    started_at: float
    answered_at: float | None = None
    ended_at: float | None = None
    ending: Ending | None = None
    entries: tuple[TranscriptEntry, ...] = ()
    latencies: tuple[TurnLatency, ...] = ()
    spans: tuple[SpeechSpan, ...] = ()
    moments: tuple[Moment, ...] = ()

    @property
    def zero_at(self) -> float:
        """The moment that offsets count from."""
        return self.started_at if self.answered_at is None else self.answered_at

    @property
    def duration_s(self) -> float | None:
        """How long both sides were connected; None before the end or unanswered."""
        if self.answered_at is None or self.ended_at is None:
            return None
        return max(0.0, self.ended_at - self.answered_at)


def offset(report: CallReport, at: float) -> str:
    """Return when something was, as `mm:ss.s` after the answer (`-` before it)."""
    tenths = round((at - report.zero_at) * 10)
    minutes, rest = divmod(abs(tenths), 600)
    sign = "-" if tenths < 0 else ""
    return f"{sign}{minutes:02d}:{rest // 10:02d}.{rest % 10}"


# -- for programs ----------------------------------------------------------------------


def to_json(report: CallReport, *, show_numbers: bool = False) -> dict[str, Any]:
    """Return the report as JSON-ready data.

    Keys: `callId carrier direction from to state`, `startedAt answeredAt endedAt` (ISO
    8601, UTC, or null), `durationS`, `ending` (`cause by carrierCode detail`, or null),
    `transcript[]` (`atS speaker text isCut`), `latencies[]` (`turn speechEndedAtS
    transcriptMs firstTextMs firstAudioMs firstFrameMs totalMs`; null where not
    measured), `latencySummary`, `speech[]` (`speaker beganAtS endedAtS text isCut`),
    `moments[]` (`atS kind text`). Keys that end in `AtS`, and `atS`, are seconds after
    the answer, rounded to milliseconds.
    """
    return {
        "callId": report.call_id,
        "carrier": report.carrier,
        "direction": report.direction.value,
        "from": report.from_ if show_numbers else mask(report.from_),
        "to": report.to if show_numbers else mask(report.to),
        "state": report.state.value,
        "startedAt": _iso(report.started_at),
        "answeredAt": _iso(report.answered_at),
        "endedAt": _iso(report.ended_at),
        "durationS": _rounded(report.duration_s),
        "ending": _ending_json(report.ending),
        "transcript": [
            {
                "atS": _since(report, entry.at),
                "speaker": entry.speaker.value,
                "text": entry.text,
                "isCut": entry.is_cut,
            }
            for entry in report.entries
        ],
        "latencies": [_latency_json(report, turn) for turn in report.latencies],
        "latencySummary": summarize(report.latencies).to_json(),
        "speech": [
            {
                "speaker": span.speaker.value,
                "beganAtS": _since(report, span.began_at),
                "endedAtS": _since(report, span.ended_at),
                "text": span.text,
                "isCut": span.is_cut,
            }
            for span in report.spans
        ],
        "moments": [
            {
                "atS": _since(report, moment.at),
                "kind": moment.kind.value,
                "text": moment.text,
            }
            for moment in report.moments
        ],
    }


def _ending_json(ending: Ending | None) -> dict[str, str | None] | None:
    if ending is None:
        return None
    return {
        "cause": ending.cause.value,
        "by": ending.by.value,
        "carrierCode": ending.carrier_code,
        "detail": ending.detail,
    }


def _latency_json(
    report: CallReport, turn: TurnLatency
) -> dict[str, int | float | None]:
    return {
        "turn": turn.turn,
        "speechEndedAtS": _since(report, turn.speech_ended_at),
        "transcriptMs": _milliseconds(turn.transcript_s),
        "firstTextMs": _milliseconds(turn.first_text_s),
        "firstAudioMs": _milliseconds(turn.first_audio_s),
        "firstFrameMs": _milliseconds(turn.first_frame_s),
        "totalMs": _milliseconds(turn.total_s),
    }


def _since(report: CallReport, at: float) -> float:
    return round(at - report.zero_at, 3)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _iso(at: float | None) -> str | None:
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


# -- for people ------------------------------------------------------------------------

_NAMES = {Speaker.AGENT: "Agent", Speaker.CALLER: "Caller"}
_SPECIAL = frozenset("\\`*_{}[]<>#|~&")
"""What Markdown or HTML could take for more than a character."""


def to_markdown(report: CallReport, *, show_numbers: bool = False) -> str:
    """Return the report as a Markdown page.

    What was said is remote input: it is escaped, and cannot become markup. An
    interrupted line ends in a dash.
    """
    parts = [f"# Call {_plain(report.call_id)}", _facts(report, show_numbers)]
    parts += ["## Transcript", _lines(report)]
    if report.moments:
        parts += ["## Of note", _notes(report)]
    if report.latencies:
        parts += ["## Latency", _latency_table(report)]
    return "\n\n".join(parts) + "\n"


def _facts(report: CallReport, show_numbers: bool) -> str:  # noqa: FBT001 - private
    number = str if show_numbers else mask
    rows = [
        ("Carrier", report.carrier),
        ("Direction", report.direction.value),
        ("From", number(report.from_)),
        ("To", number(report.to)),
        ("State", report.state.value),
        ("Started", _day_time(report.started_at)),
        ("Answered", _day_time(report.answered_at)),
        ("Ended", _day_time(report.ended_at)),
    ]
    if report.duration_s is not None:
        rows.append(("Connected", f"{report.duration_s:.1f} s"))
    if report.ending is not None:
        rows.append(("Ended by", _how_it_ended(report.ending)))
    return "\n".join(
        ("| | |", "| --- | --- |", *(f"| {key} | {_plain(val)} |" for key, val in rows))
    )


def _how_it_ended(ending: Ending) -> str:
    words = [f"{ending.by.value} ({ending.cause.value.replace('_', ' ')})"]
    if ending.carrier_code:
        words.append(f"carrier code {ending.carrier_code}")
    if ending.detail:
        words.append(ending.detail)
    return "; ".join(words)


def _lines(report: CallReport) -> str:
    if not report.entries:
        return "Nothing was said."
    return "\n".join(
        f"- `{offset(report, entry.at)}` **{_NAMES[entry.speaker]}:** "
        f"{_plain(entry.text)}{' —' if entry.is_cut else ''}"
        for entry in report.entries
    )


def _notes(report: CallReport) -> str:
    return "\n".join(
        f"- `{offset(report, moment.at)}` {moment.kind.value.replace('_', ' ')}"
        f"{': ' + _plain(moment.text) if moment.text else ''}"
        for moment in report.moments
    )


def _latency_table(report: CallReport) -> str:
    total = summarize(report.latencies).total
    rows = [
        "| turn | transcript | first text | first audio | first frame | silence |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    rows.extend(
        f"| {turn.turn} | {' | '.join(map(_cell, turn.parts()))} |"
        for turn in report.latencies
    )
    return "\n".join(rows) + (
        f"\n\nMilliseconds. Silence heard before an answer: p50 {_cell(total.p50_s)}, "
        f"p95 {_cell(total.p95_s)}, max {_cell(total.max_s)} ms; "
        f"answered turns: {total.count}."
    )


def _cell(seconds: float | None) -> str:
    return "–" if seconds is None else str(round(seconds * 1000))


def _day_time(at: float | None) -> str:
    if at is None:
        return "–"
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _plain(text: str) -> str:
    one_line = " ".join(text.split())
    return "".join(f"\\{char}" if char in _SPECIAL else char for char in one_line)
