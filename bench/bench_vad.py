"""What voice activity costs with many calls, and whether finished calls leave memory.

Run: `python bench/bench_vad.py`. Under a minute. Three figures, all from this one run:
processor time per second of call for 25 calls through the shared detector; the same for
one model per call, as a ratio; and resident memory before and after 200 calls.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import time
from pathlib import Path

import numpy as np

from voice_call.media.audio import FRAME_BYTES, FRAME_S, SILENT_FRAME
from voice_call.speech.base import Voice
from voice_call.speech.local import LocalTextToSpeech, SileroVoiceDetector
from voice_call.speech.local.models import SILERO_VAD, open_session
from voice_call.speech.local.telephone import from_telephone

CALLS = 25
SECONDS = 10.0
FINISHED_CALLS = 200
TALK_SHARE = 0.4
PAGE_MB = resource.getpagesize() / 2**20


def resident_mb() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MB


def frames_of(speech: bytes, seconds: float, offset: int) -> list[bytes]:
    """Return a caller who speaks for part of the time, and is silent in between."""
    count = round(seconds / FRAME_S)
    spoken = [
        speech[start : start + FRAME_BYTES]
        for start in range(0, len(speech) - FRAME_BYTES, FRAME_BYTES)
    ]
    period = round(len(spoken) / TALK_SHARE)
    places = [(offset + index) % period for index in range(count)]
    return [spoken[place] if place < len(spoken) else SILENT_FRAME for place in places]


async def run_shared(calls: list[list[bytes]]) -> tuple[float, int]:
    """Push all calls at the pace of real time; return processor seconds and windows."""
    detector, windows = SileroVoiceDetector(), 0

    def take(_probability: float, _at: float) -> None:
        nonlocal windows
        windows += 1

    await detector.warm_up()
    probes = [detector.open(take) for _ in calls]
    loop, spent = asyncio.get_running_loop(), time.process_time()
    start = loop.time()
    for index, frames in enumerate(zip(*calls, strict=True)):
        at = start + index * FRAME_S
        await asyncio.sleep(max(0.0, at - loop.time()))
        for probe, frame in zip(probes, frames, strict=True):
            probe.push(frame, at=at)
    await asyncio.sleep(0.2)
    await detector.close()
    return time.process_time() - spent, windows


class OwnModel:
    """The usual way: a call has its own session, asked on the loop for each window."""

    RATE = np.array(8000, np.int64)

    def __init__(self) -> None:
        self._session = open_session(SILERO_VAD)
        self._state = np.zeros((2, 1, 128), np.float32)
        self._context = np.zeros(32, np.float32)
        self._buffer = b""

    def push(self, frame: bytes) -> None:
        self._buffer += frame
        while len(self._buffer) >= 256:
            samples = from_telephone(self._buffer[:256])
            self._buffer = self._buffer[256:]
            window = np.concatenate([self._context, samples])[None]
            inputs = {"input": window, "state": self._state, "sr": self.RATE}
            _, self._state = self._session.run(None, inputs)
            self._context = samples[-32:]


async def run_one_session_per_call(calls: list[list[bytes]]) -> float:
    """Push the same calls at the same pace; return processor seconds."""
    models = [OwnModel() for _ in calls]
    loop, spent = asyncio.get_running_loop(), time.process_time()
    start = loop.time()
    for index, frames in enumerate(zip(*calls, strict=True)):
        await asyncio.sleep(max(0.0, start + index * FRAME_S - loop.time()))
        for model, frame in zip(models, frames, strict=True):
            model.push(frame)
    return time.process_time() - spent


async def finish_calls(speech: bytes, count: int) -> None:
    """Let short calls begin and end, ten at a time."""
    detector = SileroVoiceDetector()
    frames = frames_of(speech, 1.0, 0)
    for _ in range(count // 10):
        probes = [detector.open(lambda _probability, _at: None) for _ in range(10)]
        for probe in probes:
            for frame in frames:
                probe.push(frame, at=0.0)
        await asyncio.sleep(0.05)
        for probe in probes:
            probe.close()
    await detector.close()


async def main() -> None:
    text = "Hello, I would like to book a table for four people tomorrow at seven."
    synthesis = LocalTextToSpeech().synthesize(text, voice=Voice())
    speech = b"".join([chunk async for chunk in synthesis])
    calls = [frames_of(speech, SECONDS, 37 * number) for number in range(CALLS)]
    spent, windows = await run_shared(calls)
    shared_ms = 1000 * spent / (CALLS * SECONDS)
    own_ms = 1000 * await run_one_session_per_call(calls) / (CALLS * SECONDS)
    await finish_calls(speech, 50)
    before_mb = resident_mb()
    await finish_calls(speech, FINISHED_CALLS)
    growth_mb = resident_mb() - before_mb
    print(f"{CALLS} calls, {TALK_SHARE:.0%} speech, {windows} windows answered")
    print(f"shared, batched, gated: {shared_ms:.2f} ms CPU per call-second")
    print(f"one session per call:   {own_ms:.2f} ms CPU per call-second")
    print(f"ratio: {own_ms / shared_ms:.1f}")
    print(f"memory after {FINISHED_CALLS} more calls: {growth_mb:+.1f} MB")


if __name__ == "__main__":
    asyncio.run(main())
