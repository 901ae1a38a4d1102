"""Embedded voice activity: one Silero model for all calls, fed in batches.

A model run costs almost the same for one window as for ten, so windows that become ready
within about 30 ms are put into one run. Silence does not reach the model at all.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voice_call.media.audio import SAMPLE_RATE_HZ
from voice_call.media.g711 import mean_level
from voice_call.media.vad import EnergyGate
from voice_call.speech.local.models import SILERO_VAD, load_library, open_session
from voice_call.speech.local.telephone import from_telephone
from voice_call.speech.local.workers import Shared, voice_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voice_call.speech.local.telephone import Samples

__all__ = ["SileroVoiceDetector"]

logger = logging.getLogger(__name__)

_WINDOW_BYTES = 256
"""What the model takes at 8 kHz: 32 ms."""
_CONTEXT_BYTES = 32
"""What it wants to see again of the window before."""
_STATE_SHAPE = (2, 128)
_COLLECT_S = 0.03

_CLEARLY_NOT_VOICE = 0.15
_RESET_WINDOWS = 62
"""About 2 s. The model's memory of a long silence would deafen it."""

_LOUD_DBFS = -35.0
"""What counts as voice if the model fails while it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """32 ms of one call.

    Attributes:
        audio: The window with the context in front of it; empty if it was silent.
        at: When it ended.
    """

    audio: bytes
    at: float


class SileroVoiceDetector:
    """Tells voice from other sound for all calls, on one thread."""

    def __init__(self) -> None:
        self._probes: set[_SileroProbe] = set()
        self._running: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def warm_up(self) -> None:
        """Load the model.

        Raises:
            SpeechError: The engine is not installed, or is damaged.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(voice_pool(), _SILERO.get)

    def open(self, report: Callable[[float, float], None]) -> _SileroProbe:
        """Begin to watch one call."""
        probe = _SileroProbe(self, report)
        self._probes.add(probe)
        return probe

    async def close(self) -> None:
        """Stop watching every call."""
        for probe in tuple(self._probes):
            probe.close()
        if self._running is not None:
            await self._running

    def _note_window(self) -> None:
        """Run at once when every call has a window, else soon."""
        if self._running is not None:
            return  # looks for more when it is done
        if all(probe.waiting for probe in self._probes):
            self._run()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_COLLECT_S, self._run)

    def _run(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        work = [(probe, probe.take()) for probe in self._probes if probe.waiting]
        if not any(window.audio for _, windows in work for window in windows):
            for probe, windows in work:
                probe.tell([(0.0, window) for window in windows])
            return
        loop = asyncio.get_running_loop()
        self._running = loop.create_task(self._compute(work))

    async def _compute(
        self, work: Sequence[tuple[_SileroProbe, list[_Window]]]
    ) -> None:
        loop = asyncio.get_running_loop()
        memories = [probe.memory for probe, _ in work]
        windows = [windows for _, windows in work]
        try:
            answers = await loop.run_in_executor(
                voice_pool(), _answer, memories, windows
            )
        except Exception:  # a call must not go deaf because the model failed
            logger.exception("The voice detector failed; loudness decides instead")
            answers = [[_guess(window) for window in row] for row in windows]
        finally:
            self._running = None
        for (probe, row), probabilities in zip(work, answers, strict=True):
            probe.tell(list(zip(probabilities, row, strict=True)))
        if any(probe.waiting for probe in self._probes):
            self._note_window()


class _Memory:
    """What the model remembers of one call. Touched only by the model's thread."""

    __slots__ = ("state", "windows_without_voice")

    def __init__(self) -> None:
        self.state: Samples | None = None
        self.windows_without_voice = 0

    def note(self, probability: float, state: Samples | None) -> None:
        """Keep the new state, or forget everything in a long stretch without voice."""
        is_voice = probability >= _CLEARLY_NOT_VOICE
        self.windows_without_voice = 0 if is_voice else self.windows_without_voice + 1
        if self.windows_without_voice >= _RESET_WINDOWS:
            self.windows_without_voice = 0
            self.state = None
        elif state is not None:
            self.state = state


class _SileroProbe:
    """Watches one call."""

    __slots__ = (
        "_buffer",
        "_context",
        "_detector",
        "_gate",
        "_is_audible",
        "_report",
        "memory",
        "waiting",
    )

    def __init__(
        self, detector: SileroVoiceDetector, report: Callable[[float, float], None]
    ) -> None:
        self._detector = detector
        self._report: Callable[[float, float], None] | None = report
        self._buffer = bytearray()
        self._context = bytes([0xFF]) * _CONTEXT_BYTES
        self._gate = EnergyGate()
        self._is_audible = False  # something in the window that is being filled
        self.memory = _Memory()
        self.waiting: list[_Window] = []

    def push(self, audio: bytes, *, at: float) -> None:
        """Take one frame of audio that ended at time `at`."""
        if self._report is None:
            return
        is_audible = self._gate.is_worth_detecting(audio)
        self._is_audible = self._is_audible or is_audible
        self._buffer += audio
        while len(self._buffer) >= _WINDOW_BYTES:
            rest = len(self._buffer) - _WINDOW_BYTES
            self._add(bytes(self._buffer[:_WINDOW_BYTES]), at - rest / SAMPLE_RATE_HZ)
            del self._buffer[:_WINDOW_BYTES]
            self._is_audible = is_audible and rest > 0
        if self.waiting:
            self._detector._note_window()  # noqa: SLF001 - the two are one thing

    def close(self) -> None:
        """Stop watching."""
        self._report = None
        self.waiting.clear()
        self._detector._probes.discard(self)  # noqa: SLF001 - the two are one thing

    def take(self) -> list[_Window]:
        """Return the windows that wait, and forget them."""
        windows, self.waiting = self.waiting, []
        return windows

    def tell(self, answers: Sequence[tuple[float, _Window]]) -> None:
        """Report each window's probability, unless the probe was closed meanwhile."""
        for probability, window in answers:
            if self._report is not None:
                self._report(probability, window.at)

    def _add(self, audio: bytes, at: float) -> None:
        heard = self._context + audio if self._is_audible else b""
        self.waiting.append(_Window(audio=heard, at=at))
        self._context = audio[-_CONTEXT_BYTES:]


class _Silero:
    """The loaded model (Silero VAD v6, MIT licence), run at 8 kHz."""

    def __init__(self) -> None:
        self._np: Any = load_library("numpy")
        self._session = open_session(SILERO_VAD)
        self._rate = self._np.array(SAMPLE_RATE_HZ, self._np.int64)
        self._blank = self._np.zeros(_STATE_SHAPE, self._np.float32)

    def run(self, windows: Sequence[bytes], memories: Sequence[_Memory]) -> list[float]:
        """Return the probability of voice in one window of each call."""
        samples = from_telephone(b"".join(windows)).reshape(len(windows), -1)
        states = [
            self._blank if memory.state is None else memory.state for memory in memories
        ]
        probabilities, after = self._session.run(
            None,
            {
                "input": samples,
                "state": self._np.stack(states, axis=1),
                "sr": self._rate,
            },
        )
        answers = [float(row[0]) for row in probabilities]
        for index, (memory, answer) in enumerate(zip(memories, answers, strict=True)):
            memory.note(answer, after[:, index].copy())
        return answers


_SILERO = Shared(_Silero)


def _answer(
    memories: Sequence[_Memory], rows: Sequence[Sequence[_Window]]
) -> list[list[float]]:
    """Return the probabilities for several windows of several calls, in their order.

    Windows of one call depend on each other; the first windows of all calls go into one
    run, then the second ones, and so on.
    """
    model = _SILERO.get()
    answers: list[list[float]] = [[] for _ in rows]
    for turn in range(max(map(len, rows))):
        batch: list[int] = []
        for index, row in enumerate(rows):
            if turn >= len(row):
                continue
            if row[turn].audio:
                batch.append(index)
            else:
                memories[index].note(0.0, None)
                answers[index].append(0.0)
        if batch:
            windows = [rows[index][turn].audio for index in batch]
            found = model.run(windows, [memories[index] for index in batch])
            for index, probability in zip(batch, found, strict=True):
                answers[index].append(probability)
    return answers


def _guess(window: _Window) -> float:
    return 1.0 if mean_level(window.audio) > _LOUD_DBFS else 0.0
