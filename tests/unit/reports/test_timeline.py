"""The picture of a call: valid XML, to scale, complete, nothing over anything."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_call.call.model import CallId, CallState, Direction, Speaker
from voice_call.reports.labels import text_width
from voice_call.reports.latency import TurnLatency
from voice_call.reports.timeline import render_svg
from voice_call.reports.transcript import CallReport, Moment, MomentKind, SpeechSpan

T = 1_700_000_000.0
SVG = "{http://www.w3.org/2000/svg}"
LEFT_PX, RIGHT_PX = 88.0, 1104.0
"""Where second 0 and the end of the call are drawn in a picture of 1200 pixels."""


def span(
    speaker: Speaker, began: float, ended: float, text: str, *, is_cut: bool = False
) -> SpeechSpan:
    return SpeechSpan(
        speaker=speaker,
        began_at=T + began,
        ended_at=T + ended,
        text=text,
        is_cut=is_cut,
    )


def answer(turn: int, ended: float, first_frame: float) -> TurnLatency:
    return TurnLatency(
        turn=turn,
        speech_ended_at=T + ended,
        transcript_at=T + ended + 0.25,
        first_frame_at=T + first_frame,
    )


AGENT, CALLER = Speaker.AGENT, Speaker.CALLER
EMPTY = CallReport(
    call_id=CallId("5f3c2a9e-7d51-4c08-9d53-0a6b3c1e7f11"),
    carrier="plivo",
    direction=Direction.INBOUND,
    from_="+15550001234",
    to="+15550009876",
    state=CallState.HANGUP_USER,
    started_at=T - 5,
    answered_at=T,
    ended_at=T + 64,
)
CALL = replace(
    EMPTY,
    spans=(
        span(AGENT, 0.5, 4, "Hello, this is the front desk. How can I help you?"),
        span(CALLER, 5, 9, "I'd like to book a table for four on Friday evening."),
        span(AGENT, 10, 15, "For Friday I have a table at six or at", is_cut=True),
        span(CALLER, 14.5, 16, "Eight is fine."),
        span(AGENT, 17, 21, "Great, Friday at eight. May I have your name?"),
        span(CALLER, 22, 25, 'It\'s "Müller & <Sons>".'),
        span(AGENT, 26, 31, "Thank you. Is there anything that I should note?"),
        span(CALLER, 32, 37, "One of us cannot eat peanuts, and we bring a dog."),
        span(AGENT, 39, 46, "Dogs are welcome on the terrace. I noted the peanuts."),
        span(CALLER, 58, 60, "Thanks, bye."),
        span(AGENT, 61, 63, "Goodbye!"),
    ),
    latencies=(
        answer(1, 9, 10),
        answer(2, 16, 17),
        answer(3, 25, 26),
        answer(4, 37, 39),
        answer(5, 60, 61),
        TurnLatency(turn=6, speech_ended_at=T + 63.5),
    ),
    moments=(
        Moment(at=T + 14.9, kind=MomentKind.BARGE_IN),
        Moment(at=T + 40, kind=MomentKind.STREAM_LOST),
        Moment(at=T + 57, kind=MomentKind.KEY, text="1"),
    ),
)


def draw(report: CallReport, **options: int) -> ET.Element:
    return ET.fromstring(render_svg(report, **options))


def shapes(picture: ET.Element, tag: str, kind: str) -> list[ET.Element]:
    """Return the marks of the call itself, without those of the legend."""
    return [
        shape
        for shape in picture.iter(SVG + tag)
        if shape.get("class") == kind and shape.find(SVG + "title") is not None
    ]


def words(picture: ET.Element, kind: str = "words") -> list[str]:
    return [
        text.text or ""
        for text in picture.iter(SVG + "text")
        if text.get("class") == kind
    ]


def story(shape: ET.Element) -> str:
    return shape.findtext(SVG + "title") or ""


def number(shape: ET.Element, name: str) -> float:
    return float(shape.get(name, "nan"))


def box(text: ET.Element) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of drawn words."""
    size = {"head": 17, "wait-text": 11, "lane": 13}.get(text.get("class", ""), 12)
    width = text_width(text.text or "", size_px=size)
    shift = {"start": 0.0, "middle": 0.5, "end": 1.0}[text.get("text-anchor", "start")]
    left = number(text, "x") - shift * width
    y = number(text, "y")
    return left, y - 0.75 * size, left + width, y + 0.2 * size


def overlaps(picture: ET.Element) -> list[tuple[str, str]]:
    texts = list(picture.iter(SVG + "text"))
    found = []
    for index, one in enumerate(texts):
        left, top, right, bottom = box(one)
        for other in texts[index + 1 :]:
            left2, top2, right2, bottom2 = box(other)
            if left < right2 and left2 < right and top < bottom2 and top2 < bottom:
                found.append((one.text or "", other.text or ""))
    return found


def test_the_picture_is_accessible() -> None:
    """It is one image with a title and a description, found by their ids."""
    picture = draw(CALL)
    title, description = picture[0], picture[1]

    assert picture.get("role") == "img"
    assert (
        picture.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    )
    assert title.text == "Inbound call via plivo: the other side hung up"
    assert description.text == (
        "64.0 s in two lanes. The caller speaks 5 times, the agent 6 times; "
        "barge-ins: 1. The caller waits 5 times for an answer, half of them at most "
        "1000 ms, the longest 2000 ms."
    )


def test_the_picture_is_for_light_and_dark() -> None:
    """The style follows what the reader prefers."""
    assert "@media (prefers-color-scheme:dark)" in render_svg(CALL)


def test_the_picture_needs_nothing_from_elsewhere() -> None:
    """No script, link or font."""
    svg = render_svg(CALL).replace("http://www.w3.org/2000/svg", "")

    assert "http" not in svg
    assert "<script" not in svg
    assert "url(" not in svg


def test_speech_is_drawn_to_scale() -> None:
    """A bar begins and ends where the speech did."""
    bars = shapes(draw(CALL), "rect", "caller")
    per_second = (RIGHT_PX - LEFT_PX) / 64

    assert [round(number(bar, "x"), 1) for bar in bars] == [
        round(LEFT_PX + at * per_second, 1) for at in (5, 14.5, 22, 32, 58)
    ]
    assert [round(number(bar, "width"), 1) for bar in bars] == [
        round(length * per_second, 1) for length in (4, 1.5, 3, 5, 2)
    ]


def test_each_speaker_has_a_lane() -> None:
    """The caller above, the agent below."""
    picture = draw(CALL)

    (caller_y,) = {number(bar, "y") for bar in shapes(picture, "rect", "caller")}
    (agent_y,) = {number(bar, "y") for bar in shapes(picture, "rect", "agent")}
    assert caller_y + 28 < agent_y
    assert words(picture, "lane") == ["Caller", "Agent"]


def test_a_bar_has_its_words_as_tooltip() -> None:
    """Whole, with time and length."""
    bars = shapes(draw(CALL), "rect", "agent")

    assert story(bars[1]) == (
        "00:10.0 5.0 s For Friday I have a table at six or at — interrupted"
    )


def test_silences_are_drawn_to_scale_and_labelled() -> None:
    """From the end of the caller's speech to the agent's first frame."""
    picture = draw(CALL)
    waits = shapes(picture, "rect", "wait")

    assert words(picture, "wait-text") == [
        "1000 ms",
        "1000 ms",
        "1000 ms",
        "2000 ms",
        "1000 ms",
    ]
    assert number(waits[3], "width") == pytest.approx(2 * 1016 / 64, abs=0.1)
    assert story(waits[0]) == (
        "turn 1: transcript 250 ms, first frame 750 ms, silence heard 1000 ms"
    )


def test_a_barge_in_is_marked_once() -> None:
    """The cut bar and the moment are the same thing, told twice."""
    assert [story(mark) for mark in draw(CALL).iter(SVG + "g")] == ["00:15.0 barge-in"]


def test_a_barge_in_without_heard_words_is_marked() -> None:
    """The agent was interrupted before it had a bar of its own."""
    report = replace(EMPTY, moments=(Moment(at=T + 7, kind=MomentKind.BARGE_IN),))

    assert [story(mark) for mark in draw(report).iter(SVG + "g")] == [
        "00:07.0 barge-in"
    ]


def test_an_interrupted_line_ends_in_a_dash() -> None:
    """Also where it had to be shortened."""
    assert "For Friday I have a table at six or at —" in words(draw(CALL))
    assert "For… —" in words(draw(CALL, width=800))


def test_things_of_note_stand_under_the_axis() -> None:
    """Kind and words; barge-ins have their own mark."""
    picture = draw(CALL)

    assert words(picture)[-2:] == ["stream lost", "key: 1"]
    assert [story(mark) for mark in shapes(picture, "path", "moment")] == [
        "00:40.0 stream lost",
        "00:57.0 key: 1",
    ]


def test_the_legend_names_what_is_drawn() -> None:
    """Things of note only where there are any."""
    assert words(draw(CALL), "quiet")[-5:] == [
        "caller speaks",
        "agent speaks",
        "silence heard",
        "barge-in",
        "of note",
    ]
    assert words(draw(EMPTY), "quiet")[-1] == "barge-in"


def test_the_axis_counts_seconds() -> None:
    """From the answer on, in round steps."""
    texts = words(draw(CALL), "quiet")

    assert [text for text in texts if text.endswith(" s")] == [
        f"{second} s" for second in range(0, 61, 5)
    ]


@pytest.mark.parametrize(
    ("length_s", "last"),
    [(2.0, "2 s"), (600.0, "600 s"), (7200.0, "7200 s"), (360_000.0, "360000 s")],
)
def test_the_axis_fits_any_length(length_s: float, last: str) -> None:
    """Short calls and those of days."""
    picture = draw(replace(EMPTY, ended_at=T + length_s))

    ticks = [text for text in words(picture, "quiet") if text.endswith(" s")]
    assert ticks[0] == "0 s"
    assert ticks[-1] == last
    assert overlaps(picture) == []


def test_numbers_are_masked() -> None:
    """A picture is easily shared."""
    svg = render_svg(CALL)

    assert "…1234 → …9876" in svg
    assert "555" not in svg


def test_unknown_numbers_have_a_name() -> None:
    """A caller may withhold its number."""
    assert "unknown → unknown" in render_svg(replace(EMPTY, from_="", to=""))


@pytest.mark.parametrize(
    ("state", "headline"),
    [
        (CallState.NO_ANSWER, "Inbound call via plivo: no answer"),
        (CallState.HANGUP_BOT, "Inbound call via plivo: hung up by us"),
        (CallState.ACTIVE, "Inbound call via plivo: active"),
    ],
)
def test_the_headline_says_how_the_call_went(state: CallState, headline: str) -> None:
    """In words where the flat state has none."""
    assert words(draw(replace(EMPTY, state=state)), "head") == [headline]


def test_a_call_without_words_says_so() -> None:
    """Nobody answered, or nobody spoke."""
    unanswered = replace(EMPTY, answered_at=None)

    assert "Nothing was said." in words(draw(unanswered), "quiet")
    assert "Nothing was said." not in words(draw(CALL), "quiet")


def test_a_call_that_is_not_over_is_drawn_up_to_now() -> None:
    """The last thing known is the end."""
    bars = shapes(draw(replace(CALL, ended_at=None)), "rect", "agent")

    assert number(bars[-1], "x") + number(bars[-1], "width") == pytest.approx(
        RIGHT_PX, abs=0.2
    )


@pytest.mark.parametrize("width", [480, 800, 1200, 2000])
def test_no_words_overlap(width: int) -> None:
    """In a call of a minute with eleven utterances, and within the picture."""
    picture = draw(CALL, width=width)

    assert overlaps(picture) == []
    assert all(
        left >= 0 and right <= width
        for text in picture.iter(SVG + "text")
        if text.get("class") == "words"
        for left, _, right, _ in [box(text)]
    )


def test_close_silences_are_labelled_in_two_rows_at_most() -> None:
    """A third at the same place has its tooltip only."""
    turns = tuple(answer(turn, 10 + turn * 0.1, 11) for turn in (1, 2, 3))
    picture = draw(replace(EMPTY, latencies=turns))

    assert words(picture, "wait-text") == ["900 ms", "800 ms"]
    assert len(shapes(picture, "rect", "wait")) == 3
    assert overlaps(picture) == []


def test_a_picture_is_never_too_narrow_to_read() -> None:
    """480 pixels are the least."""
    assert draw(CALL, width=10).get("width") == "480"


seconds = st.floats(min_value=-100, max_value=4000)
spans = st.builds(
    SpeechSpan,
    speaker=st.sampled_from(Speaker),
    began_at=seconds.map(lambda at: T + at),
    ended_at=seconds.map(lambda at: T + at),
    text=st.text(max_size=60),
    is_cut=st.booleans(),
)
moments = st.builds(
    Moment,
    at=seconds.map(lambda at: T + at),
    kind=st.sampled_from(MomentKind),
    text=st.text(max_size=20),
)


@given(st.lists(spans, max_size=12), st.lists(moments, max_size=5))
def test_whatever_happened_can_be_drawn(
    said: list[SpeechSpan], noted: list[Moment]
) -> None:
    """Impossible times and any text give valid XML within the picture."""
    picture = draw(replace(EMPTY, spans=tuple(said), moments=tuple(noted)))

    for bar in picture.iter(SVG + "rect"):
        assert number(bar, "width") > 0
        assert 0 <= number(bar, "x") <= 1200
