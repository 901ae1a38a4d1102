"""From probabilities of voice to the moments when voice began and ended.

`VoiceGate` turns the detector's answers into edges. `EnergyGate` says which frames are
worth asking the detector about, since asking costs a hundred times more than listening
for any sound at all. Both are pure and hold the state of one call.
"""

from __future__ import annotations

from dataclasses import dataclass

from voice_call.media.audio import FRAME_S
from voice_call.media.g711 import SILENCE_DBFS, mean_level

__all__ = [
    "EnergyGate",
    "EnergyGateSettings",
    "VoiceBegan",
    "VoiceEdge",
    "VoiceEnded",
    "VoiceGate",
    "VoiceGateSettings",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceBegan:
    """Voice began at `at`: the start of the first window with voice in it."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceEnded:
    """Voice ended at `at`: the end of the last window with voice in it."""

    at: float


VoiceEdge = VoiceBegan | VoiceEnded


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceGateSettings:
    """When sound counts as voice. The defaults fit a Silero detector at 8 kHz.

    Attributes:
        start_probability: Voice begins at this probability or more; the model's own
            threshold, with no false alarm on tones, music and noise.
        start_windows: So many windows in a row. Two: one alone is often a click, and
            each further one delays the answer to a barge-in by a window.
        end_probability: Voice goes on at this probability or more. Below the start, so
            that a soft syllable does not end it.
        release_s: How long it must stay below. Bridges the closure of a plosive (about
            100 ms); rounded to whole windows. Whether a turn is over is not decided
            here but by longer pauses.
        window_s: How much audio one probability is about: 256 samples.
        min_level_dbfs: Windows quieter than this never begin voice. Speech on the
            telephone network arrives at about −20 dBFS; what is 30 dB below is
            another room's.
    """

    start_probability: float = 0.5
    start_windows: int = 2
    end_probability: float = 0.35
    release_s: float = 0.13
    window_s: float = 0.032
    min_level_dbfs: float = -50.0


class VoiceGate:
    """Finds the edges of voice on one call."""

    def __init__(self, settings: VoiceGateSettings | None = None) -> None:
        self._settings = settings or VoiceGateSettings()
        self._is_open = False
        self._candidates = 0  # windows in a row that could begin voice
        self._began_at = 0.0
        self._voiced_until = 0.0
        self._seen_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether there is voice now."""
        return self._is_open

    def receive(
        self, probability: float, *, at: float, level_dbfs: float | None = None
    ) -> VoiceEdge | None:
        """Take the probability of voice in the window that ended at `at`.

        Args:
            probability: 0..1.
            at: Seconds since 1970. A gap after the window before breaks a row.
            level_dbfs: How loud the window was, None if not known.
        """
        if self._is_open:
            return self._go_on(probability, at)
        return self._wait(probability, at, level_dbfs)

    def _wait(
        self, probability: float, at: float, level_dbfs: float | None
    ) -> VoiceBegan | None:
        settings = self._settings
        if at - self._seen_until > 2 * settings.window_s:
            self._candidates = 0
        self._seen_until = at
        is_loud = level_dbfs is None or level_dbfs >= settings.min_level_dbfs
        if not is_loud or probability < settings.start_probability:
            self._candidates = 0
            return None
        if not self._candidates:
            self._began_at = at - settings.window_s
        self._candidates += 1
        if self._candidates < settings.start_windows:
            return None
        self._candidates = 0
        self._is_open = True
        self._voiced_until = at
        return VoiceBegan(at=self._began_at)

    def _go_on(self, probability: float, at: float) -> VoiceEnded | None:
        settings = self._settings
        self._seen_until = at
        if probability >= settings.end_probability:
            self._voiced_until = at
            return None
        release_s = settings.release_s - settings.window_s / 2
        if at - self._voiced_until < release_s:
            return None
        self._is_open = False
        return VoiceEnded(at=self._voiced_until)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyGateSettings:
    """Which frames may hold voice.

    Attributes:
        margin_db: A frame this much above the noise floor is worth detecting.
        min_level_dbfs: One below this never is: an idle line.
        max_floor_dbfs: The noise floor is never taken to be above this, so that loud
            speech is detected in whatever noise.
        rise_db_per_s: How fast the floor follows louder noise. Slow: speech has pauses
            in which the floor falls back at once.
        hangover_s: Frames after a loud one that are detected too. Longer than the
            release of the voice gate, so that it sees voice end.
    """

    margin_db: float = 6.0
    min_level_dbfs: float = -55.0
    max_floor_dbfs: float = -36.0
    rise_db_per_s: float = 3.0
    hangover_s: float = 0.4


class EnergyGate:
    """Tells frames worth detecting from idle line and steady noise, on one call."""

    def __init__(self, settings: EnergyGateSettings | None = None) -> None:
        settings = settings or EnergyGateSettings()
        self._settings = settings
        self._floor = SILENCE_DBFS
        self._level = SILENCE_DBFS
        self._rise_db = settings.rise_db_per_s * FRAME_S
        self._hangover_frames = round(settings.hangover_s / FRAME_S)
        self._frames_left = 0

    @property
    def level_dbfs(self) -> float:
        """How loud the last frame was."""
        return self._level

    def is_worth_detecting(self, frame: bytes) -> bool:
        """Take the next 20 ms of µ-law audio; True where it may belong to voice."""
        settings = self._settings
        level = self._level = mean_level(frame)
        floor = min(level, self._floor + self._rise_db, settings.max_floor_dbfs)
        self._floor = max(floor, settings.min_level_dbfs - settings.margin_db)
        if level >= self._floor + settings.margin_db:
            self._frames_left = self._hangover_frames
            return True
        if self._frames_left:
            self._frames_left -= 1
            return True
        return False
