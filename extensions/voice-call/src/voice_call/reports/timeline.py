"""A picture of a call: who spoke when, and how long the caller waited, to scale.

One SVG file without scripts, fonts or links, for light and dark surroundings. Words
that do not fit are shortened; every mark has its whole story as a tooltip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voice_call.call.model import CallState, Speaker
from voice_call.phone_numbers import mask
from voice_call.reports.labels import Label, fit, place, text_width, xml_text
from voice_call.reports.latency import summarize
from voice_call.reports.transcript import MomentKind, offset

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from voice_call.reports.labels import PlacedLabel
    from voice_call.reports.latency import TurnLatency
    from voice_call.reports.transcript import CallReport, Moment, SpeechSpan

__all__ = ["render_svg"]

_LEFT = 88.0
_RIGHT = 96.0
"""Margin on the right: room for the words of the last utterance."""
_TOP = 84.0
_BAR = 28.0
_BETWEEN = 58.0
"""Between the two lanes: where the silences are drawn."""
_ROW = 18.0
_TEXT_PX = 12.0
_MAX_ROWS = 4
_MAX_LABEL = 250.0
_SAME_BARGE_IN_S = 1.0
_TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
_MIN_TICK_PX = 64.0

_STYLE = """
.call-timeline{font-family:ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,\
"Helvetica Neue",Arial,sans-serif;font-size:12px}
.call-timeline .paper{fill:#ffffff}
.call-timeline text{fill:#1d2433}
.call-timeline .head{font-size:17px;font-weight:600}
.call-timeline .lane{font-size:13px;font-weight:600}
.call-timeline .quiet{fill:#5d6779}
.call-timeline .track{fill:#f2f4f8}
.call-timeline .grid{stroke:#e3e7ee;stroke-width:1}
.call-timeline .axis{stroke:#9aa4b5;stroke-width:1}
.call-timeline .leader{stroke:#b9c1ce;stroke-width:1}
.call-timeline .caller{fill:#2f6fed}
.call-timeline .agent{fill:#12956f}
.call-timeline .wait{fill:#e8930c}
.call-timeline .wait-edge{stroke:#e8930c;stroke-width:1;stroke-dasharray:2 2}
.call-timeline .wait-text{fill:#96590a;font-size:11px;font-weight:600}
.call-timeline .barge{stroke:#d6322a;stroke-width:1.5}
.call-timeline .barge-mark{fill:#d6322a}
.call-timeline .moment{fill:#7d56c9}
@media (prefers-color-scheme:dark){
.call-timeline .paper{fill:#12161f}
.call-timeline text{fill:#e7ebf3}
.call-timeline .quiet{fill:#9aa5b8}
.call-timeline .track{fill:#1b212d}
.call-timeline .grid{stroke:#29313f}
.call-timeline .axis{stroke:#647087}
.call-timeline .leader{stroke:#475166}
.call-timeline .caller{fill:#6b9bff}
.call-timeline .agent{fill:#3cc79b}
.call-timeline .wait{fill:#f5b040}
.call-timeline .wait-edge{stroke:#f5b040}
.call-timeline .wait-text{fill:#f5b040}
.call-timeline .barge{stroke:#ff6f66}
.call-timeline .barge-mark{fill:#ff6f66}
.call-timeline .moment{fill:#b596f5}
}
"""


def render_svg(report: CallReport, *, width: int = 1200) -> str:
    """Return the call as an SVG picture, a complete XML document.

    Args:
        report: The call; phone numbers show their last four digits only.
        width: In pixels, at least 480; the height follows from what was said.
    """
    return _Picture(report, width=max(width, 480)).render()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """Turns times into pixels."""

    zero_at: float
    length_s: float
    left: float
    right: float

    def x(self, at: float) -> float:
        share = (at - self.zero_at) / self.length_s
        return self.left + min(max(share, 0.0), 1.0) * (self.right - self.left)


class _Picture:
    """One drawing, from top to bottom."""

    def __init__(self, report: CallReport, *, width: int) -> None:
        self._report = report
        self._width = width
        self._scale = _Scale(
            zero_at=report.zero_at,
            length_s=_length_s(report),
            left=_LEFT,
            right=width - _RIGHT,
        )
        self._callers = _of(Speaker.CALLER, report.spans)
        self._agents = _of(Speaker.AGENT, report.spans)
        self._moments = sorted(
            (one for one in report.moments if one.kind is not MomentKind.BARGE_IN),
            key=lambda one: one.at,
        )
        caller_labels = self._labels(self._callers)
        agent_labels = self._labels(self._agents)
        self._caller_labels = caller_labels
        self._agent_labels = agent_labels
        self._caller_y = _TOP + _rows(caller_labels) * _ROW + 8
        self._agent_y = self._caller_y + _BAR + _BETWEEN
        self._axis_y = self._agent_y + _BAR + _rows(agent_labels) * _ROW + 22

    def render(self) -> str:
        moment_labels = self._moment_labels()
        legend_y = self._axis_y + 44 + (_rows(moment_labels) + 1) * _ROW
        if not self._moments:
            legend_y = self._axis_y + 56
        height = legend_y + 24
        body = [
            *self._heading(),
            *self._grid(),
            *self._tracks(),
            *self._waits(),
            *self._speech("caller", self._callers, self._caller_y),
            *self._speech("agent", self._agents, self._agent_y),
            *self._words(self._caller_labels, self._caller_y, -1),
            *self._words(self._agent_labels, self._agent_y + _BAR, 1),
            *self._barge_in_marks(),
            *self._moment_marks(moment_labels),
            *self._legend(legend_y),
        ]
        return "\n".join(
            (
                '<?xml version="1.0" encoding="UTF-8"?>',
                *self._opening(height),
                *body,
                "</svg>\n",
            )
        )

    # -- frame -------------------------------------------------------------------------

    def _opening(self, height: float) -> Iterable[str]:
        name = "".join(filter(str.isalnum, self._report.call_id))
        ids = f"title-{name}", f"desc-{name}"
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="call-timeline" role="img" '
            f'aria-labelledby="{ids[0]} {ids[1]}" width="{self._width}" '
            f'height="{height:.0f}" viewBox="0 0 {self._width} {height:.0f}">'
        )
        yield f'<title id="{ids[0]}">{xml_text(_headline(self._report))}</title>'
        yield f'<desc id="{ids[1]}">{xml_text(self._description())}</desc>'
        yield f"<style>{_STYLE}</style>"
        yield _rect("paper", 0, 0, self._width, height, radius=12)

    def _description(self) -> str:
        total = summarize(self._report.latencies).total
        words = [
            f"{_seconds(self._scale.length_s)} in two lanes.",
            f"The caller speaks {_times(len(self._callers))},",
            f"the agent {_times(len(self._agents))};",
            f"barge-ins: {len(self._barge_ins())}.",
        ]
        if total.count:
            words.append(
                f"The caller waits {_times(total.count)} for an answer, "
                f"half of them at most {_ms(total.p50_s)}, "
                f"the longest {_ms(total.max_s)}."
            )
        return " ".join(words)

    def _heading(self) -> Iterable[str]:
        room = self._width - 48.0
        headline = fit(_headline(self._report), width=room, size_px=17)
        facts = fit(self._facts(), width=room, size_px=_TEXT_PX)
        yield _text("head", 24, 36, headline)
        yield _text("quiet", 24, 57, facts)

    def _facts(self) -> str:
        report = self._report
        words = [f"{mask(report.from_) or 'unknown'} → {mask(report.to) or 'unknown'}"]
        words.append(_seconds(self._scale.length_s))
        total = summarize(report.latencies).total
        if total.count:
            words.append(
                f"silence before an answer: median {_ms(total.p50_s)}, "
                f"longest {_ms(total.max_s)}"
            )
        words.append(f"call {report.call_id}")
        return "  ·  ".join(words)

    def _grid(self) -> Iterable[str]:
        scale = self._scale
        per_second = (scale.right - scale.left) / scale.length_s
        fitting = (tick for tick in _TICKS_S if tick * per_second >= _MIN_TICK_PX)
        step = next(fitting, max(_TICKS_S[-1], int(scale.length_s)))
        for second in range(0, int(scale.length_s) + 1, step):
            x = scale.x(scale.zero_at + second)
            yield _line("grid", x, self._caller_y - 6, x, self._axis_y)
            yield _text("quiet", x, self._axis_y + 17, f"{second} s", anchor="middle")
        yield _line("axis", scale.left, self._axis_y, scale.right, self._axis_y)

    def _tracks(self) -> Iterable[str]:
        length = self._scale.right - self._scale.left
        for name, y in (("Caller", self._caller_y), ("Agent", self._agent_y)):
            yield _rect("track", self._scale.left, y, length, _BAR, radius=6)
            yield _text("lane", 24, y + _BAR / 2 + 4.5, name)
        if not self._report.spans:
            middle = self._caller_y + _BAR + _BETWEEN / 2 + 4
            yield _text("quiet", self._scale.left + 8, middle, "Nothing was said.")

    # -- speech ------------------------------------------------------------------------

    def _speech(
        self, kind: str, spans: Sequence[SpeechSpan], y: float
    ) -> Iterable[str]:
        for span in spans:
            x = self._scale.x(span.began_at)
            length = max(self._scale.x(span.ended_at) - x, 2.0)
            story = (
                f"{offset(self._report, span.began_at)} "
                f"{_seconds(span.ended_at - span.began_at)} "
                f"{span.text}{' — interrupted' if span.is_cut else ''}"
            )
            radius = min(5.0, length / 2)
            yield _rect(kind, x, y, length, _BAR, radius=radius, story=story)

    def _labels(self, spans: Sequence[SpeechSpan]) -> tuple[PlacedLabel, ...]:
        labels = []
        for span in spans:
            x = self._scale.x(span.began_at)
            room = min(_MAX_LABEL, self._width - 16 - x)
            text, tail = span.text, ""
            if span.is_cut:
                text, tail = text.rstrip(".,;:-–— "), " —"
            labels.append(Label(x=x, text=text, max_width=room, tail=tail))
        return place(labels, size_px=_TEXT_PX, max_rows=_MAX_ROWS)

    def _words(
        self, labels: Sequence[PlacedLabel], edge: float, direction: int
    ) -> Iterable[str]:
        for label in labels:
            far = edge + direction * (label.row * _ROW + 16)
            baseline = far if direction > 0 else far + 9
            yield _line("leader", label.x + 0.5, edge, label.x + 0.5, far + 1)
            yield _text("words", label.x + 5, baseline, label.text)

    # -- marks -------------------------------------------------------------------------

    def _waits(self) -> Iterable[str]:
        top = self._caller_y + _BAR
        row_ends = [0.0, 0.0]
        for turn in sorted(self._report.latencies, key=lambda one: one.speech_ended_at):
            if turn.first_frame_at is None or turn.total_s is None:
                continue
            begin = self._scale.x(turn.speech_ended_at)
            end = max(self._scale.x(turn.first_frame_at), begin + 2)
            yield _line("wait-edge", begin, top, begin, top + 14)
            yield _line("wait-edge", end, top + 14, end, top + _BETWEEN)
            story = _wait_story(turn)
            yield _rect("wait", begin, top + 10, end - begin, 8, radius=2, story=story)
            words = _ms(turn.total_s)
            first = end - 5 - text_width(words, size_px=_TEXT_PX)  # 11 px, but bold
            row = next((row for row in (0, 1) if row_ends[row] < first), None)
            if row is not None:
                row_ends[row] = end
                y = top + 32 + row * 14
                yield _text("wait-text", end - 5, y, words, anchor="end")

    def _barge_ins(self) -> list[float]:
        """Return when the agent was interrupted, each interruption once."""
        report = self._report
        times = [span.ended_at for span in self._agents if span.is_cut]
        for one in report.moments:
            if one.kind is MomentKind.BARGE_IN and not any(
                abs(one.at - at) < _SAME_BARGE_IN_S for at in times
            ):
                times.append(one.at)
        return sorted(times)

    def _barge_in_marks(self) -> Iterable[str]:
        for at in self._barge_ins():
            x = self._scale.x(at)
            top, bottom = self._agent_y - 12, self._agent_y + _BAR + 3
            story = xml_text(f"{offset(self._report, at)} barge-in")
            yield f"<g><title>{story}</title>"
            yield _line("barge", x, top, x, bottom)
            yield _triangle(x, top + 3)
            yield "</g>"

    def _moment_labels(self) -> tuple[PlacedLabel, ...]:
        labels = []
        for moment in self._moments:
            x = self._scale.x(moment.at)
            room = min(_MAX_LABEL, self._width - 16 - x)
            labels.append(Label(x=x, text=_moment_words(moment), max_width=room))
        return place(labels, size_px=_TEXT_PX, max_rows=_MAX_ROWS)

    def _moment_marks(self, labels: Sequence[PlacedLabel]) -> Iterable[str]:
        y = self._axis_y + 30
        yield from self._words(labels, y, 1)
        for moment in self._moments:
            story = f"{offset(self._report, moment.at)} {_moment_words(moment)}"
            yield _diamond(self._scale.x(moment.at), y, story=story)

    def _legend(self, y: float) -> Iterable[str]:
        x = _LEFT
        entries = ["caller", "agent", "wait", "barge-mark"]
        names = ["caller speaks", "agent speaks", "silence heard", "barge-in"]
        if self._moments:
            entries.append("moment")
            names.append("of note")
        for kind, name in zip(entries, names, strict=True):
            if kind == "barge-mark":
                yield _triangle(x + 6, y - 8)
            elif kind == "moment":
                yield _diamond(x + 6, y - 4)
            else:
                yield _rect(kind, x, y - 9, 12, 10, radius=3)
            yield _text("quiet", x + 18, y, name)
            x += 18 + text_width(name, size_px=_TEXT_PX) + 22


# -- words -----------------------------------------------------------------------------


def _headline(report: CallReport) -> str:
    direction = report.direction.value.capitalize()
    return f"{direction} call via {report.carrier}: {_how_it_stands(report.state)}"


def _how_it_stands(state: CallState) -> str:
    match state:
        case CallState.HANGUP_USER:
            return "the other side hung up"
        case CallState.HANGUP_BOT:
            return "hung up by us"
        case _:
            return state.value.replace("-", " ")


def _moment_words(moment: Moment) -> str:
    kind = moment.kind.value.replace("_", " ")
    return f"{kind}: {moment.text}" if moment.text else kind


def _wait_story(turn: TurnLatency) -> str:
    names = ("transcript", "first text", "first audio", "first frame", "silence heard")
    parts = zip(names, turn.parts(), strict=True)
    return f"turn {turn.turn}: " + ", ".join(
        f"{name} {_ms(part)}" for name, part in parts if part is not None
    )


def _ms(seconds: float) -> str:
    return f"{round(seconds * 1000)} ms"


def _seconds(seconds: float) -> str:
    return f"{max(seconds, 0.0):.1f} s"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


# -- measures --------------------------------------------------------------------------


def _length_s(report: CallReport) -> float:
    """Return how much time the picture shows: to the end, or to the last thing known."""
    known = [report.zero_at + 1.0]
    known += [span.ended_at for span in report.spans]
    known += [moment.at for moment in report.moments]
    if report.ended_at is not None:
        known.append(report.ended_at)
    return max(known) - report.zero_at


def _of(speaker: Speaker, spans: Iterable[SpeechSpan]) -> tuple[SpeechSpan, ...]:
    mine = (span for span in spans if span.speaker is speaker)
    return tuple(sorted(mine, key=lambda span: span.began_at))


def _rows(labels: Sequence[PlacedLabel]) -> int:
    return max((label.row + 1 for label in labels), default=0)


# -- shapes ----------------------------------------------------------------------------


def _rect(
    kind: str,
    x: float,
    y: float,
    width: float,
    height: float,
    *,
    radius: float,
    story: str | None = None,
) -> str:
    shape = (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" rx="{radius:.1f}"'
    )
    return f"{shape}/>" if story is None else f"{shape}>{_tooltip(story)}</rect>"


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(kind: str, x: float, y: float, words: str, *, anchor: str = "start") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{xml_text(words)}</text>"
    )


def _triangle(x: float, y: float) -> str:
    return f'<path class="barge-mark" d="M{x - 6:.1f} {y:.1f}h12l-6 9z"/>'


def _diamond(x: float, y: float, *, story: str = "") -> str:
    return (
        f'<path class="moment" d="M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z">'
        f"{_tooltip(story) if story else ''}</path>"
    )


def _tooltip(story: str) -> str:
    return f"<title>{xml_text(story)}</title>"
