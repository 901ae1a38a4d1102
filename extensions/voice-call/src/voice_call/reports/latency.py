"""How long a caller waited for an answer, and where the time went.

One clock, and parts that add up: whatever order the stages came in, the parts of a turn
sum to the silence that the caller heard, and none is negative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "LatencySummary",
    "PartSummary",
    "TurnLatency",
    "format_table",
    "summarize",
    "summarize_part",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnLatency:
    """When the stages of one answer were reached, in seconds since 1970.

    A stage that is not known is None; its time then counts to the next known one. A
    stage that came after a later one (an agent may begin before the final transcript
    is there) cost the caller nothing and counts as reached together with that one.

    Attributes:
        turn: Number of the turn, counted from 1.
        speech_ended_at: The other side stopped speaking.
        transcript_at: Its final transcript was there.
        first_text_at: The agent gave its first words.
        first_audio_at: The synthesiser gave its first audio.
        first_frame_at: The first frame of the answer went to the carrier.
    """

    turn: int
    speech_ended_at: float
    transcript_at: float | None = None
    first_text_at: float | None = None
    first_audio_at: float | None = None
    first_frame_at: float | None = None

    @property
    def transcript_s(self) -> float | None:
        """From the end of speech to the final transcript, in seconds."""
        return self.parts()[0]

    @property
    def first_text_s(self) -> float | None:
        """From there to the agent's first words, in seconds."""
        return self.parts()[1]

    @property
    def first_audio_s(self) -> float | None:
        """From there to the first synthesised audio, in seconds."""
        return self.parts()[2]

    @property
    def first_frame_s(self) -> float | None:
        """From there to the first frame that went out, in seconds."""
        return self.parts()[3]

    @property
    def total_s(self) -> float | None:
        """The silence that the caller heard, in seconds; None without an answer."""
        if self.first_frame_at is None:
            return None
        return max(0.0, self.first_frame_at - self.speech_ended_at)

    def parts(self) -> tuple[float | None, ...]:
        """Return the four parts in their order, then the total, in seconds."""
        reached = [
            self.transcript_at,
            self.first_text_at,
            self.first_audio_at,
            self.first_frame_at,
        ]
        latest = math.inf
        for stage in reversed(range(len(reached))):
            at = reached[stage]
            if at is not None:
                reached[stage] = latest = min(at, latest)
        before = self.speech_ended_at
        parts: list[float | None] = []
        for at in reached:
            if at is None:
                parts.append(None)
                continue
            after = max(before, at)
            parts.append(after - before)
            before = after
        return (*parts, self.total_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSummary:
    """How one part was distributed; all zero where nothing was measured.

    Attributes:
        count: How many values there were.
        min_s: The shortest, in seconds.
        max_s: The longest.
        avg_s: The mean.
        p50_s: Half of the values are at most this.
        p95_s: 95 % of the values are at most this.
    """

    count: int
    min_s: float
    max_s: float
    avg_s: float
    p50_s: float
    p95_s: float

    def to_json(self) -> dict[str, int]:
        """Return the keys of `openclaw voicecall latency`, in whole milliseconds."""
        return {
            "count": self.count,
            "minMs": _milliseconds(self.min_s),
            "maxMs": _milliseconds(self.max_s),
            "avgMs": _milliseconds(self.avg_s),
            "p50Ms": _milliseconds(self.p50_s),
            "p95Ms": _milliseconds(self.p95_s),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySummary:
    """The distribution of every part over several turns.

    Attributes:
        count: How many turns there were, answered or not.
        transcript: End of speech to final transcript.
        first_text: From there to the agent's first words.
        first_audio: From there to the first synthesised audio.
        first_frame: From there to the first frame that went out.
        total: The silence that the caller heard; counts answered turns only.
    """

    count: int
    transcript: PartSummary
    first_text: PartSummary
    first_audio: PartSummary
    first_frame: PartSummary
    total: PartSummary

    def to_json(self) -> dict[str, object]:
        """Return one object per part, in whole milliseconds."""
        return {
            "count": self.count,
            "transcript": self.transcript.to_json(),
            "firstText": self.first_text.to_json(),
            "firstAudio": self.first_audio.to_json(),
            "firstFrame": self.first_frame.to_json(),
            "total": self.total.to_json(),
        }


def summarize_part(values: Iterable[float | None]) -> PartSummary:
    """Summarize durations in seconds; None stands for "not measured" and is skipped."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return PartSummary(count=0, min_s=0, max_s=0, avg_s=0, p50_s=0, p95_s=0)
    return PartSummary(
        count=len(known),
        min_s=known[0],
        max_s=known[-1],
        avg_s=math.fsum(known) / len(known),
        p50_s=_percentile(known, 50),
        p95_s=_percentile(known, 95),
    )


def summarize(turns: Iterable[TurnLatency]) -> LatencySummary:
    """Summarize the turns of one call, or of many."""
    every = tuple(turns)
    return LatencySummary(
        count=len(every),
        transcript=summarize_part(turn.transcript_s for turn in every),
        first_text=summarize_part(turn.first_text_s for turn in every),
        first_audio=summarize_part(turn.first_audio_s for turn in every),
        first_frame=summarize_part(turn.first_frame_s for turn in every),
        total=summarize_part(turn.total_s for turn in every),
    )


def format_table(turns: Sequence[TurnLatency]) -> str:
    """Return a table for a terminal, in milliseconds: every turn, then the summary."""
    heading = (
        "turn",
        "transcript",
        "first text",
        "first audio",
        "first frame",
        "total",
    )
    rows: list[tuple[str, ...]] = [heading]
    rows.extend((str(turn.turn), *map(_cell, turn.parts())) for turn in turns)
    rows.extend(_summary_rows(summarize(turns)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    rule = "  ".join("-" * width for width in widths)
    body = 1 + len(turns)
    return "\n".join((lines[0], rule, *lines[1:body], rule, *lines[body:], "ms"))


def _summary_rows(summary: LatencySummary) -> list[tuple[str, ...]]:
    parts = (
        summary.transcript,
        summary.first_text,
        summary.first_audio,
        summary.first_frame,
        summary.total,
    )
    return [
        ("min", *(_cell(part.min_s) for part in parts)),
        ("avg", *(_cell(part.avg_s) for part in parts)),
        ("p50", *(_cell(part.p50_s) for part in parts)),
        ("p95", *(_cell(part.p95_s) for part in parts)),
        ("max", *(_cell(part.max_s) for part in parts)),
    ]


def _percentile(ordered: Sequence[float], percent: int) -> float:
    return ordered[math.ceil(percent * len(ordered) / 100) - 1]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _cell(seconds: float | None) -> str:
    return "-" if seconds is None else str(_milliseconds(seconds))
