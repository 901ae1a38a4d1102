"""What the parts of one network share."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voice_call.testing.twilio_network.records import NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from voice_call.clock import Clock
    from voice_call.testing.twilio_network.line import Pacer
    from voice_call.testing.twilio_network.sockets import MediaDialer
    from voice_call.testing.twilio_network.tunnel import Tunnel
    from voice_call.testing.twilio_network.webhooks import Courier

__all__ = ["Timing", "Wiring", "new_sid"]


def new_sid(prefix: str) -> str:
    """Return a new id: two letters and 32 hexadecimal digits."""
    return prefix + uuid.uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How fast the network is, in seconds.

    Attributes:
        dial_s: From an accepted call to the first ring.
        seconds_per_character: Of the carrier's voice and of a callee's words.
        time_limit_s: Of a call without `TimeLimit`.
    """

    dial_s: float = 0.05
    seconds_per_character: float = 0.06
    time_limit_s: float = 4 * 3600.0


@dataclass(slots=True, kw_only=True)
class Wiring:
    """What the parts of one network share.

    Attributes:
        errors: The account's error log.
        changed: Called whenever something may be worth another look.
    """

    account_sid: str
    auth_token: str
    clock: Clock
    timing: Timing
    tunnels: Sequence[Tunnel]
    courier: Courier
    pacer: Pacer
    dial_media: MediaDialer
    changed: Callable[[], None]
    errors: list[NetworkError] = field(default_factory=list)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def log_error(self, code: int, message: str, *, call_sid: str) -> None:
        """Write into the error log."""
        entry = NetworkError(
            code=code, message=message, call_sid=call_sid, at=self.clock.now()
        )
        self.errors.append(entry)
        self.changed()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside, until the network stops."""
        self.start_task(work).set_name("beside")

    def start_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something that is waited for or broken off, until the network stops."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._finish)
        return task

    def _finish(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            loop = task.get_loop()
            loop.call_exception_handler({"message": "network part", "exception": error})
        self.changed()
