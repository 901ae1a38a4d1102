"""Draw the life of a call from the table that decides it.

`python docs/generate_call_lifecycle.py` rewrites `topics/call-lifecycle.svg` and the
generated blocks of `topics/call-lifecycle.md`. The output depends on the code alone.
"""
# ruff: noqa: INP001 - a script in a folder of documents, not a package

from __future__ import annotations

import textwrap
from html import escape
from pathlib import Path

from voice_call.call.machine import TRANSITIONS
from voice_call.call.model import (
    CallPhase,
    EndCause,
    EndedBy,
    Ending,
    MediaPhase,
    TurnPhase,
    flat_state,
)
from voice_call.call.setup import CallLimits
from voice_call.call.timers import CallTimer

PAGE = Path(__file__).parent / "topics" / "call-lifecycle.md"
DRAWING = PAGE.with_suffix(".svg")

LIVE = (CallPhase.OFFERED, CallPhase.DIALING, CallPhase.RINGING, CallPhase.ANSWERED)
"""The phases that we can want to leave."""

Point = tuple[int, int]


def events_between(before: CallPhase, after: CallPhase) -> list[str]:
    """Return the names of the events that lead from one phase to another."""
    row = TRANSITIONS[before]
    return [event.__name__ for event, phase in row.items() if phase is after]


def events_that_end_any_live_call() -> list[str]:
    """Return the names of the events that end a call in each live phase."""
    rows = [events_between(phase, CallPhase.ENDED) for phase in LIVE]
    return [name for name in rows[0] if all(name in row for row in rows)]


# -- Mermaid ---------------------------------------------------------------------------


def mermaid() -> str:
    """Return the state diagram as a Mermaid block."""
    lines = ["```mermaid", "stateDiagram-v2", "    direction LR"]
    lines += ["    [*] --> offered: inbound", "    [*] --> dialing: outbound"]
    for before in CallPhase:
        for after in CallPhase:
            names = events_between(before, after)
            if names and before is not after:
                lines.append(f"    {before} --> {after}: {', '.join(names)}")
        if before in LIVE:
            lines.append(f"    {before} --> ending: we hang up")
    lines += ["    ending --> ended: no confirmation in time", "    ended --> [*]"]
    return "\n".join([*lines, "```"])


# -- tables ----------------------------------------------------------------------------

_TIMERS: dict[CallTimer, tuple[tuple[str, ...], str, str]] = {
    CallTimer.RING: (
        ("ring_timeout_s", "ring_margin_s"),
        "the dial, or the offer of an inbound call",
        "hangs up, `no-answer`; `failed` where the dial was in doubt",
    ),
    CallTimer.MAX_DURATION: (("max_duration_s",), "the answer", "hangs up, `timeout`"),
    CallTimer.STREAM_WAIT: (
        ("stream_wait_s",),
        "the answer, where a media stream is due",
        "hangs up, `error`",
    ),
    CallTimer.STREAM_GRACE: (
        ("stream_grace_s",),
        "the loss of the stream that counts",
        "hangs up, `error`",
    ),
    CallTimer.NOTIFY_TAIL: (
        ("notify_tail_s",),
        "the last word of a one-shot message",
        "hangs up, `completed`; `voicemail` at a machine",
    ),
    CallTimer.TRANSCRIPT: (
        ("transcript_timeout_s",),
        "the end of a `continue` prompt",
        "the `continue` fails; the call goes on",
    ),
    CallTimer.DEAD_AIR: (
        ("dead_air_s",),
        "the end of the caller's turn, while the agent works",
        "says a short cue; twice more, three times as far apart",
    ),
    CallTimer.DIGITS: (
        ("digits_pause_s",),
        "each key",
        "the keys count as one answer",
    ),
    CallTimer.MACHINE_BEEP: (
        ("machine_beep_s",),
        "a machine's greeting",
        "hangs up, `voicemail`",
    ),
    CallTimer.HANGUP_RETRY: (
        ("hangup_retry_s",),
        "a hang-up that the carrier did not take",
        "asks the carrier again",
    ),
    CallTimer.HANGUP_CONFIRM: (
        ("hangup_confirm_s",),
        "our wish to hang up",
        "the call counts as ended",
    ),
}


def timer_table() -> str:
    """Return the table of deadlines with the defaults of `CallLimits`."""
    limits = CallLimits()
    lines = ["| timer | default | counts from | when it is due |", "|---|---|---|---|"]
    for timer in CallTimer:
        names, begins, effect = _TIMERS[timer]
        values = " + ".join(f"{getattr(limits, name):g} s" for name in names)
        fields = ", ".join(f"`{name}`" for name in names)
        lines.append(f"| `{timer}` ({fields}) | {values} | {begins} | {effect} |")
    return "\n".join(lines)


def live_state_table() -> str:
    """Return the table of public states before the end."""
    lines = ["| phase | floor | media | state |", "|---|---|---|---|"]
    for phase in (CallPhase.OFFERED, CallPhase.DIALING, CallPhase.RINGING):
        state = flat_state(phase, MediaPhase.NONE, TurnPhase.IDLE, None)
        lines.append(f"| {phase} | any | any | `{state}` |")
    for turn in TurnPhase:
        states = {
            media: flat_state(CallPhase.ANSWERED, media, turn, None)
            for media in MediaPhase
        }
        for state in dict.fromkeys(states.values()):
            media = [each for each, shown in states.items() if shown is state]
            where = "any" if len(media) == len(MediaPhase) else ", ".join(media)
            lines.append(f"| answered, ending | {turn} | {where} | `{state}` |")
    return "\n".join(lines).replace("_", " ")


def ending_table() -> str:
    """Return the table of public states after the end."""
    lines = ["| cause | ended by | state, and end reason |", "|---|---|---|"]
    for cause in EndCause:
        states = {
            by: flat_state(
                CallPhase.ENDED,
                MediaPhase.NONE,
                TurnPhase.IDLE,
                Ending(cause=cause, by=by),
            )
            for by in EndedBy
        }
        for state in dict.fromkeys(states.values()):
            by = [each for each, shown in states.items() if shown is state]
            who = "any" if len(by) == len(EndedBy) else ", ".join(by)
            lines.append(f"| {cause.replace('_', ' ')} | {who} | `{state}` |")
    return "\n".join(lines)


def page(text: str) -> str:
    """Return the page with each generated block made anew."""
    for name, block in (
        ("diagram", mermaid()),
        ("timers", timer_table()),
        ("live-states", live_state_table()),
        ("endings", ending_table()),
    ):
        begin, end = f"<!-- generated: {name} -->\n", f"\n<!-- end: {name} -->"
        head, rest = text.split(begin)
        text = head + begin + block + end + rest.split(end)[1]
    return text


# -- the drawing -----------------------------------------------------------------------

_WIDTH, _HEIGHT = 1180, 560
_FONT = "'Inter','Segoe UI','Helvetica Neue',Arial,'DejaVu Sans',sans-serif"
_STYLE = f"""
text {{ font-family: {_FONT}; fill: #1f2937; }}
.title {{ font-size: 20px; font-weight: 700; }}
.phase {{ font-size: 16px; font-weight: 700; }}
.role {{ font-size: 12px; fill: #4b5563; }}
.stay {{ font-size: 11px; fill: #6b7280; }}
.event {{ font-size: 12.5px; font-weight: 600; }}
.wish {{ font-size: 12.5px; font-weight: 600; fill: #b45309; }}
.halo {{ paint-order: stroke; stroke: #ffffff; stroke-width: 5px; }}
.edge {{ fill: none; stroke: #475569; stroke-width: 2; }}
.ours {{ fill: none; stroke: #d97706; stroke-width: 2; stroke-dasharray: 7 5; }}
"""

_BOXES: dict[CallPhase, tuple[int, int, int, int, str, str, str]] = {
    # left, top, width, height, fill, border, what it means
    CallPhase.OFFERED: (
        60,
        110,
        200,
        76,
        "#eff6ff",
        "#3b82f6",
        "inbound, not yet taken",
    ),
    CallPhase.DIALING: (
        60,
        340,
        200,
        76,
        "#eff6ff",
        "#3b82f6",
        "outbound, at the carrier",
    ),
    CallPhase.RINGING: (370, 340, 170, 76, "#eff6ff", "#3b82f6", "the phone rings"),
    CallPhase.ANSWERED: (
        500,
        150,
        250,
        154,
        "#ecfdf5",
        "#10b981",
        "both sides can speak",
    ),
    CallPhase.ENDING: (
        930,
        150,
        210,
        116,
        "#fffbeb",
        "#f59e0b",
        "we have asked to hang up",
    ),
    CallPhase.ENDED: (
        930,
        370,
        210,
        76,
        "#f3f4f6",
        "#6b7280",
        "absorbing, announced once",
    ),
}

_ROUTES: dict[tuple[CallPhase, CallPhase], tuple[tuple[Point, ...], Point]] = {
    # corners of the line, and where its label begins
    (CallPhase.OFFERED, CallPhase.ANSWERED): (
        ((260, 130), (625, 130), (625, 150)),
        (278, 121),
    ),
    (CallPhase.DIALING, CallPhase.ANSWERED): (
        ((160, 340), (160, 240), (500, 240)),
        (178, 231),
    ),
    (CallPhase.DIALING, CallPhase.RINGING): (((260, 378), (370, 378)), (284, 369)),
    (CallPhase.RINGING, CallPhase.ANSWERED): (
        ((540, 378), (625, 378), (625, 304)),
        (638, 346),
    ),
    (CallPhase.DIALING, CallPhase.ENDED): (
        ((160, 416), (160, 500), (1035, 500), (1035, 446)),
        (178, 491),
    ),
    (CallPhase.ENDING, CallPhase.ENDED): (((1000, 266), (1000, 370)), (888, 300)),
}


_STACKED = {
    (CallPhase.RINGING, CallPhase.ANSWERED),
    (CallPhase.ENDING, CallPhase.ENDED),
}
"""Lines that run upright, with one event under the other beside them."""


def _line(points: tuple[Point, ...], css: str, arrow: str) -> str:
    """Return a line with rounded corners and an arrow head."""
    parts = [f"M{points[0][0]} {points[0][1]}"]
    for (ax, ay), (bx, by), (cx, cy) in zip(
        points, points[1:], points[2:], strict=False
    ):
        before = _towards((bx, by), (ax, ay))
        after = _towards((bx, by), (cx, cy))
        parts.append(f"L{before[0]} {before[1]}Q{bx} {by} {after[0]} {after[1]}")
    parts.append(f"L{points[-1][0]} {points[-1][1]}")
    path = "".join(parts)
    return f'<path class="{css}" d="{path}" marker-end="url(#{arrow})"/>'


def _towards(start: Point, goal: Point, radius: int = 12) -> Point:
    """Return the point `radius` px from `start` on the way to `goal` (axis-parallel)."""
    dx, dy = goal[0] - start[0], goal[1] - start[1]
    step_x = max(-radius, min(radius, dx))
    step_y = max(-radius, min(radius, dy))
    return start[0] + step_x, start[1] + step_y


def _text(at: Point, css: str, *lines: str) -> str:
    """Return lines of text, the first at `at`."""
    return "\n".join(
        f'<text class="{css}" x="{at[0]}" y="{at[1] + 16 * row}">{escape(line)}</text>'
        for row, line in enumerate(lines)
    )


def _box(phase: CallPhase) -> str:
    """Return a phase with its name, its meaning and the events that keep it."""
    x, y, width, height, fill, border, role = _BOXES[phase]
    stays = events_between(phase, phase)
    kept = f"stays on {', '.join(stays)}" if stays else "nothing leaves it"
    if phase is not CallPhase.ENDED and not stays:
        kept = ""
    rows = textwrap.wrap(kept, width=(width - 28) * 10 // 67, break_on_hyphens=False)
    shape = (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="12" '
        f'fill="{fill}" stroke="{border}" stroke-width="2"/>'
    )
    return "\n".join(
        (
            shape,
            _text((x + 14, y + 25), "phase", phase.value),
            _text((x + 14, y + 43), "role", role),
            *(
                _text((x + 14, y + 62 + 14 * row), "stay", line)
                for row, line in enumerate(rows)
            ),
        )
    )


def _edges() -> list[str]:
    shared = events_that_end_any_live_call()
    drawn = []
    for before in CallPhase:
        for after in CallPhase:
            names = events_between(before, after)
            if after is CallPhase.ENDED and before in LIVE:
                names = [name for name in names if name not in shared]
            if names and before is not after:
                points, label = _ROUTES[before, after]
                drawn.append(_line(points, "edge", "arrow"))
                rows = names if (before, after) in _STACKED else [", ".join(names)]
                drawn.append(_text(label, "event halo", *rows))
    return drawn


def svg() -> str:
    """Return the drawing."""
    title = "The life of a call"
    wishes = ("End, a limit", "or a fault:", "Hangup")
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{title}" '
            f'viewBox="0 0 {_WIDTH} {_HEIGHT}">'
        ),
        f"<title>{title}</title>",
        f"<style>{_STYLE}</style>",
        "<defs>",
        *(
            f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" '
            f'markerWidth="8" markerHeight="8" orient="auto" '
            f'markerUnits="userSpaceOnUse"><path d="M0 0L10 5L0 10z" '
            f'fill="{colour}"/></marker>'
            for name, colour in (("arrow", "#475569"), ("ours", "#d97706"))
        ),
        "</defs>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="16" fill="#ffffff"/>',
        _text((30, 42), "title", title),
        (
            '<rect x="30" y="66" width="760" height="386" rx="20" fill="#f8fafc" '
            'stroke="#cbd5e1" stroke-width="1.5"/>'
        ),
        _text((50, 92), "role", "the call lives"),
        _line(((790, 206), (930, 206)), "ours", "ours"),
        _text((806, 154), "wish halo", *wishes),
        _line(((790, 408), (930, 408)), "edge", "arrow"),
        _text((808, 399), "event halo", ", ".join(events_that_end_any_live_call())),
        _line(((1075, 266), (1075, 370)), "ours", "ours"),
        _text((1088, 305), "wish halo", "never", "confirmed"),
        *_edges(),
        *(_box(phase) for phase in CallPhase),
        _line(((30, 540), (80, 540)), "edge", "arrow"),
        _text((90, 544), "role", "an event, from the table"),
        _line(((270, 540), (320, 540)), "ours", "ours"),
        _text((330, 544), "role", "our own wish, a command or a timer"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def main() -> None:
    """Rewrite the drawing and the generated blocks of the page."""
    DRAWING.write_text(svg(), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
