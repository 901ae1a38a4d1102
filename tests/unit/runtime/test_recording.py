"""Stereo recordings: the right sample on the right side, and nothing never heard."""

from __future__ import annotations

import os
import stat
import tracemalloc
import wave
from array import array
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_call.runtime.recording import LIMIT_S, StereoRecording

T = 1_700_000_000.0
RATE = 8000
FRAME = 160

# µ-law codes and the samples that they stand for (ITU-T G.711, table 2b).
HIGH, HIGH_PCM = 0x80, 32124
LOW, LOW_PCM = 0x00, -32124
SOFT, SOFT_PCM = 0xFE, 8


def tone(code: int, seconds: float) -> bytes:
    return bytes([code]) * round(seconds * RATE)


def read(path: Path) -> tuple[array[int], array[int]]:
    """Return the samples of the left and of the right side."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        assert file.getframerate() == RATE
        samples = array("h", file.readframes(file.getnframes()))
    return samples[0::2], samples[1::2]


def runs(samples: array[int]) -> list[tuple[int, int, int]]:
    """Return the stretches that are not silent: first sample, end, value."""
    edges = [0]
    edges += [n + 1 for n, (a, b) in enumerate(pairwise(samples)) if a != b]
    edges.append(len(samples))
    return [(a, b, samples[a]) for a, b in pairwise(edges) if b > a and samples[a]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recording.wav"


@pytest.fixture
def recording(path: Path) -> StereoRecording:
    return StereoRecording(path, began_at=T)


def test_each_side_has_its_channel(recording: StereoRecording, path: Path) -> None:
    """The caller left, ending when its frame came; the agent right, from its time."""
    recording.caller(tone(HIGH, 0.02), T + 0.5)
    recording.agent(tone(LOW, 0.04), T + 0.25)
    recording.close()

    left, right = read(path)
    assert runs(left) == [(3840, 4000, HIGH_PCM)]
    assert runs(right) == [(2000, 2320, LOW_PCM)]
    assert len(left) == 4000


def test_what_was_said_together_stands_together(
    recording: StereoRecording, path: Path
) -> None:
    """Over several seconds, with the agent far ahead of its time."""
    recording.agent(tone(LOW, 8), T + 1)
    for frame in range(1, 501):
        code = HIGH if 201 <= frame <= 250 else SOFT
        recording.caller(tone(code, 0.02), T + frame * 0.02)
    recording.close()

    left, right = read(path)
    assert runs(left) == [
        (0, 32000, SOFT_PCM),
        (32000, 40000, HIGH_PCM),
        (40000, 80000, SOFT_PCM),
    ]
    assert runs(right) == [(8000, 72000, LOW_PCM)]


def test_what_was_taken_back_is_absent(recording: StereoRecording, path: Path) -> None:
    """A barge-in ends the agent's sound where it was cut, to the sample."""
    recording.agent(tone(LOW, 10), T + 1)
    for frame in range(1, 151):
        recording.caller(tone(SOFT, 0.02), T + frame * 0.02)
    recording.agent_cut(T + 2.5)
    recording.agent(tone(HIGH, 0.5), T + 4)
    for frame in range(151, 401):
        recording.caller(tone(SOFT, 0.02), T + frame * 0.02)
    recording.close()

    _, right = read(path)
    assert runs(right) == [(8000, 20000, LOW_PCM), (32000, 36000, HIGH_PCM)]


def test_a_cut_that_comes_too_late_keeps_what_is_in_the_file(
    recording: StereoRecording, path: Path
) -> None:
    """Sound waits two seconds at least; what is older counts as heard."""
    recording.agent(tone(LOW, 20), T)
    recording.caller(tone(SOFT, 0.02), T + 10)
    recording.agent_cut(T + 1)
    recording.close()

    _, right = read(path)
    ((start, end, value),) = runs(right)
    assert (start, value) == (0, LOW_PCM)
    assert 7.9 * RATE <= end <= 8 * RATE


def test_sound_after_the_end_of_the_call_is_absent(
    recording: StereoRecording, path: Path
) -> None:
    """Sent ahead, but nobody was there any more."""
    recording.agent(tone(LOW, 10), T)
    recording.close(at=T + 1.5)

    assert runs(read(path)[1]) == [(0, 12000, LOW_PCM)]


def test_gaps_are_silent(recording: StereoRecording, path: Path) -> None:
    """Also those longer than what is kept in memory."""
    recording.caller(tone(HIGH, 0.02), T + 0.02)
    recording.caller(tone(LOW, 0.02), T + 120)
    recording.close()

    left, right = read(path)
    assert runs(left) == [(0, 160, HIGH_PCM), (959840, 960000, LOW_PCM)]
    assert not any(right)
    assert path.stat().st_size == 44 + 4 * 960000


def test_jitter_leaves_no_clicks(recording: StereoRecording, path: Path) -> None:
    """Frames up to 60 ms off are strung together."""
    for frame, jitter in enumerate((0, 0.015, -0.01, 0.055, 0.02, -0.015), start=1):
        recording.caller(tone(HIGH, 0.02), T + frame * 0.02 + jitter)
    recording.close()

    assert runs(read(path)[0]) == [(0, 960, HIGH_PCM)]


def test_a_stalled_network_does_not_shift_the_rest(
    recording: StereoRecording, path: Path
) -> None:
    """The sound of the stall comes all at once afterwards, and fills its gap."""
    for frame in range(1, 101):
        code = HIGH if frame == 80 else SOFT
        came_at = 0.82 if 20 < frame <= 40 else frame * 0.02
        recording.caller(tone(code, 0.02), T + came_at)
    recording.close()

    left, _ = read(path)
    ((start, end),) = [(a, b) for a, b, value in runs(left) if value == HIGH_PCM]
    assert end - start == FRAME
    assert abs(start - 79 * FRAME) <= 0.06 * RATE
    assert sum(b - a for a, b, _ in runs(left)) == 100 * FRAME


def test_sound_far_too_early_replaces_what_was_there(
    recording: StereoRecording, path: Path
) -> None:
    """No network explains it, so its time is taken at its word."""
    recording.caller(tone(SOFT, 1), T + 1.0)
    recording.caller(tone(HIGH, 0.02), T + 0.02)
    recording.close()

    assert runs(read(path)[0]) == [(0, 160, HIGH_PCM), (160, 8000, SOFT_PCM)]


def test_the_last_word_on_a_sample_wins(recording: StereoRecording, path: Path) -> None:
    """Overlapping sound of the agent."""
    recording.agent(tone(LOW, 1), T)
    recording.agent(tone(HIGH, 0.25), T + 0.5)
    recording.close()

    assert runs(read(path)[1]) == [
        (0, 4000, LOW_PCM),
        (4000, 6000, HIGH_PCM),
        (6000, 8000, LOW_PCM),
    ]


def test_rounding_leaves_no_gap_in_the_agents_sound(
    recording: StereoRecording, path: Path
) -> None:
    """Times of frames are off by a sample at most."""
    for frame in range(100):
        recording.agent(tone(LOW, 0.02), T + frame * 0.0201)
    recording.close()

    gaps = [b[0] - a[1] for a, b in pairwise(runs(read(path)[1]))]
    assert all(gap > 0.002 * RATE for gap in gaps)
    assert len(gaps) < 10


def test_sound_from_before_the_recording_is_left_out(
    recording: StereoRecording, path: Path
) -> None:
    """A frame that straddles the beginning keeps its rest."""
    recording.caller(tone(LOW, 0.02), T - 5)
    recording.caller(tone(HIGH, 0.02), T + 0.005)
    recording.close()

    assert runs(read(path)[0]) == [(0, 40, HIGH_PCM)]


def test_late_sound_is_left_out_once_its_place_is_written(
    recording: StereoRecording, path: Path
) -> None:
    """The file is never rewritten."""
    recording.caller(tone(SOFT, 0.02), T + 10)
    recording.caller(tone(HIGH, 0.02), T + 1)
    recording.close()

    assert runs(read(path)[0]) == [(79840, 80000, SOFT_PCM)]


def test_without_sound_of_the_caller_the_agents_moves_time_on(
    recording: StereoRecording, path: Path
) -> None:
    """It is never more than a minute ahead."""
    for second in range(90):
        recording.agent(tone(LOW, 1), T + second)

    assert path.stat().st_size == 44 + 4 * 29 * RATE
    recording.close()
    assert runs(read(path)[1]) == [(0, 90 * RATE, LOW_PCM)]


def test_a_recording_ends_at_its_limit(recording: StereoRecording, path: Path) -> None:
    """A clock gone wild cannot break the format's limit of 4 GB."""
    recording.caller(tone(SOFT, 0.02), T + 1e12)
    recording.caller(tone(SOFT, 0.02), T - 1e12)
    recording.close()

    with wave.open(str(path)) as file:
        assert file.getnframes() == LIMIT_S * RATE


def test_an_empty_recording_is_a_valid_file(
    recording: StereoRecording, path: Path
) -> None:
    """No sound, no samples."""
    recording.close()

    assert [len(side) for side in read(path)] == [0, 0]


def test_a_file_whose_process_died_is_valid(
    recording: StereoRecording, path: Path
) -> None:
    """It lacks the last seconds only."""
    for frame in range(1, 501):
        recording.caller(tone(SOFT, 0.02), T + frame * 0.02)

    left, _ = read(path)
    assert 7 * RATE <= len(left) <= 8 * RATE
    assert runs(left) == [(0, len(left), SOFT_PCM)]
    recording.close()


def test_only_the_owner_can_read_it(recording: StereoRecording, path: Path) -> None:
    """Whatever the umask says."""
    recording.close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_recording_is_never_overwritten(
    recording: StereoRecording, path: Path
) -> None:
    """The second one is refused."""
    recording.close()

    with pytest.raises(FileExistsError):
        StereoRecording(path, began_at=T)


def test_after_the_end_everything_is_ignored(
    recording: StereoRecording, path: Path
) -> None:
    """Frames may still be on their way."""
    recording.close()
    recording.caller(tone(HIGH, 5), T + 5)
    recording.agent(tone(HIGH, 5), T + 100)
    recording.agent_cut(T)
    recording.close()

    assert path.stat().st_size == 44


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_once(recording: StereoRecording) -> None:
    """The error goes to whoever keeps the recording; later sound is ignored."""
    device = os.open("/dev/full", os.O_RDWR)
    os.dup2(device, recording._file.fileno())  # the disk fills up from now on
    os.close(device)

    with pytest.raises(OSError, match="No space left"):
        recording.caller(tone(SOFT, 0.02), T + 10)
    recording.caller(tone(SOFT, 0.02), T + 20)
    recording.close()


def test_a_long_call_needs_little_memory(path: Path) -> None:
    """Ten minutes in which both speak: 19 MB of file, less than one of memory."""
    tracemalloc.start()
    recording = StereoRecording(path, began_at=T)
    for frame in range(1, 30_001):
        at = T + frame * 0.02
        recording.caller(tone(SOFT, 0.02), at)
        if frame % 250 == 1:  # five seconds, sent ahead at once
            recording.agent(tone(LOW, 5), at)
    recording.close()
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert path.stat().st_size >= 44 + 600 * RATE * 4
    assert peak_bytes < 1_000_000


events = st.lists(
    st.tuples(
        st.sampled_from(["caller", "agent", "cut"]),
        st.integers(min_value=0, max_value=400),
        st.floats(min_value=-5, max_value=9),
    ),
    max_size=30,
)


@given(events)
def test_no_order_of_times_breaks_it(
    tmp_path_factory: pytest.TempPathFactory, happened: list[tuple[str, int, float]]
) -> None:
    """Late, early, doubled and overlapping sound gives a valid file in time order."""
    path = tmp_path_factory.mktemp("calls") / "recording.wav"
    recording = StereoRecording(path, began_at=T)
    for kind, length, at in happened:
        match kind:
            case "caller":
                recording.caller(bytes([SOFT]) * length, T + at)
            case "agent":
                recording.agent(bytes([LOW]) * length, T + at)
            case _:
                recording.agent_cut(T + at)
    recording.close()

    left, right = read(path)
    assert {value for _, _, value in runs(left)} <= {SOFT_PCM}
    assert {value for _, _, value in runs(right)} <= {LOW_PCM}
    assert len(left) <= 10 * RATE
