"""Counts the runs of agents, in plain numbers; `metrics` turns them into Prometheus'."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from openclaw_gateway.agents.base import TextDelta, ToolAnswered, UsageReported

if TYPE_CHECKING:
    from openclaw_gateway.agents.base import AgentEvent

__all__ = ["Durations", "RunMeter", "RunWatch"]

BOUNDS_S = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)
MAX_TOOLS = 200
"""Names that are counted one by one."""


class Durations:
    """A histogram of seconds."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds

    @property
    def buckets(self) -> list[tuple[str, int]]:
        """Upper bounds in seconds, with how many durations do not exceed them."""
        total = 0
        buckets = []
        for bound, count in zip((*BOUNDS_S, "+Inf"), self._counts, strict=True):
            total += count
            buckets.append((str(bound), total))
        return buckets


@dataclass(slots=True)
class RunMeter:
    """All runs of one Gateway.

    Attributes:
        active: How many run now.
        runs: Ended runs by model and outcome (`ok`, `failed`, `cancelled`).
        tokens: Tokens by model and direction (`input`, `output`).
        tools: Tools carried out, by name and outcome (`ok`, `error`).
        first_text: Seconds to the first text, by model.
    """

    active: int = 0
    runs: Counter[tuple[str, ...]] = field(default_factory=Counter)
    tokens: Counter[tuple[str, ...]] = field(default_factory=Counter)
    tools: Counter[tuple[str, ...]] = field(default_factory=Counter)
    first_text: dict[str, Durations] = field(default_factory=dict)

    def start(self, model: str) -> RunWatch:
        """Begin to watch one run."""
        self.active += 1
        return RunWatch(meter=self, model=model, began_at=time.monotonic())

    def count_tool(self, name: str, *, is_error: bool) -> None:
        """Count one use of a tool; models also ask for tools that do not exist."""
        outcome = "error" if is_error else "ok"
        is_known = (name, outcome) in self.tools or len(self.tools) < MAX_TOOLS
        self.tools[name if is_known else "other", outcome] += 1


@dataclass(slots=True, kw_only=True)
class RunWatch:
    """Watches one run."""

    meter: RunMeter
    model: str
    began_at: float
    outcome: str = "cancelled"
    first_text_s: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0

    def note(self, event: AgentEvent) -> None:
        """Count one event."""
        match event:
            case TextDelta() if self.first_text_s is None:
                self.first_text_s = time.monotonic() - self.began_at
            case ToolAnswered(request=request, is_error=is_error):
                self.meter.count_tool(request.name, is_error=is_error)
            case UsageReported(input_tokens=read, output_tokens=written):
                self.input_tokens += read
                self.output_tokens += written
            case _:
                pass

    def fail(self) -> None:
        """Note that the run failed; else an incomplete one was cancelled."""
        self.outcome = "failed"

    def end(self, *, model: str, is_complete: bool) -> None:
        """Count the run, under the model that answered."""
        meter = self.meter
        meter.active -= 1
        meter.runs[model, "ok" if is_complete else self.outcome] += 1
        meter.tokens[model, "input"] += self.input_tokens
        meter.tokens[model, "output"] += self.output_tokens
        if self.first_text_s is not None:
            meter.first_text.setdefault(model, Durations()).add(self.first_text_s)
