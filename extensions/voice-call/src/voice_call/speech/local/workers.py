"""What all calls of the process share: the models, and the threads they compute on.

Synthesis and recognition share two threads; voice activity has its own, because a
window of 32 ms must not wait behind a sentence of 150 ms.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Shared", "speech_pool", "voice_pool"]

Model = TypeVar("Model")


@cache
def speech_pool() -> ThreadPoolExecutor:
    """Return the threads for synthesis and recognition."""
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="speech")


@cache
def voice_pool() -> ThreadPoolExecutor:
    """Return the thread for voice activity."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="voice-activity")


class Shared(Generic[Model]):
    """One model per process, loaded by whoever needs it first.

    Calls come and go while the model stays, so nothing here releases it.
    """

    def __init__(self, load: Callable[[], Model]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._model: Model | None = None

    def get(self) -> Model:
        """Return the model; blocks while it is being loaded, so call it in a pool.

        Raises:
            SpeechError: It could not be loaded; the next call tries again.
        """
        with self._lock:
            if self._model is None:
                self._model = self._load()
            return self._model
