"""What the Gateway counts, as Prometheus text.

Everything is counted in plain numbers where it happens, and read here when somebody
asks. A plugin adds its own with `PluginApi.register_metrics`: a function that returns
families, each JSON-shaped:

    {"name": "voicecall_calls", "type": "counter", "help": "Calls that ended.",
     "samples": [{"labels": {"state": "completed"}, "value": 3}]}

`type` is `counter`, `gauge` or `histogram`. A sample of a histogram has, instead of
`value`, `buckets` (pairs of an upper bound such as "0.5" or "+Inf" and how many
observations do not exceed it) and `sum`. A plugin that returns something else costs
only its own families; it is logged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from openclaw_gateway.agents.meter import RunMeter

__all__ = ["Collect", "MetricsPage", "agent_families", "family"]

_log = structlog.get_logger(__name__)

Family = Mapping[str, Any]
Collect = Callable[[], Iterable[Family]]


class MetricsPage:
    """Reads all sources and writes the page.

    Args:
        sources: Returns who is asked at this moment: an owner's name and its function.
    """

    def __init__(self, sources: Callable[[], Iterable[tuple[str, Collect]]]) -> None:
        self._sources = sources
        self._failures: Counter[str] = Counter()
        self._registry: Any = None

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return the page and its content type.

        Args:
            accept: The request's Accept header; decides about the format.
        """
        # Imported when somebody scrapes: a Gateway that nobody watches does without.
        from prometheus_client import (  # noqa: PLC0415
            CollectorRegistry,
            ProcessCollector,
        )
        from prometheus_client.exposition import choose_encoder  # noqa: PLC0415

        if self._registry is None:
            self._registry = CollectorRegistry(auto_describe=False)
            ProcessCollector(registry=self._registry)
            self._registry.register(self)
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterable[Any]:
        """Yield the families of all sources, as `prometheus_client` wants them."""
        names: set[str] = set()
        for owner, collect in self._sources():
            try:
                shaped = [_shape(each) for each in collect()]
            except Exception:  # noqa: BLE001 - a plugin's fault must not hide the rest
                self._failures[owner] += 1
                _log.exception("metrics not readable", owner=owner)
                continue
            for each in shaped:
                if each.name not in names:  # the first to use a name keeps it
                    names.add(each.name)
                    yield each
        failures = family(
            "openclaw_metrics_failures",
            "counter",
            "Sources of metrics that could not be read.",
            {(owner,): count for owner, count in self._failures.items()},
            labels=("owner",),
        )
        yield _shape(failures)


def family(
    name: str,
    kind: str,
    text: str,
    values: Mapping[tuple[str, ...], float],
    *,
    labels: tuple[str, ...] = (),
) -> Family:
    """Return a family of counters or gauges.

    Args:
        name: Without `_total`.
        kind: `counter` or `gauge`.
        text: What is counted.
        values: The numbers, by the values of the labels.
        labels: The names of the labels.
    """
    samples = [
        {"labels": dict(zip(labels, key, strict=True)), "value": value}
        for key, value in values.items()
    ]
    return {"name": name, "type": kind, "help": text, "samples": samples}


def agent_families(meter: RunMeter) -> Iterable[Family]:
    """Yield what is known about the runs of agents."""
    yield family(
        "openclaw_agent_runs_active",
        "gauge",
        "Runs at this moment.",
        {(): meter.active},
    )
    yield family(
        "openclaw_agent_runs",
        "counter",
        "Runs that ended, by outcome: ok, failed, cancelled.",
        meter.runs,
        labels=("model", "outcome"),
    )
    yield family(
        "openclaw_agent_tokens",
        "counter",
        "Tokens that models read (input) and wrote (output).",
        meter.tokens,
        labels=("model", "direction"),
    )
    yield family(
        "openclaw_agent_tools",
        "counter",
        "Tools that agents used.",
        meter.tools,
        labels=("tool", "outcome"),
    )
    yield {
        "name": "openclaw_agent_first_text_seconds",
        "type": "histogram",
        "help": "Time from a request to the first text of the answer.",
        "samples": [
            {
                "labels": {"model": model},
                "buckets": durations.buckets,
                "sum": durations.sum_s,
            }
            for model, durations in meter.first_text.items()
        ],
    }


def _shape(source: Family) -> Any:
    from prometheus_client import core  # noqa: PLC0415 - see `render`

    name, text = str(source["name"]), str(source["help"])
    samples = source["samples"]
    labels = sorted({str(key) for sample in samples for key in sample["labels"]})
    match source["type"]:
        case "counter":
            shaped: Any = core.CounterMetricFamily(name, text, labels=labels)
        case "gauge":
            shaped = core.GaugeMetricFamily(name, text, labels=labels)
        case "histogram":
            shaped = core.HistogramMetricFamily(name, text, labels=labels)
        case other:
            raise ValueError(f"{name}: {other!r} is no type of metric.")
    for sample in samples:
        values = [str(sample["labels"].get(label, "")) for label in labels]
        if source["type"] == "histogram":
            buckets = [(str(bound), float(count)) for bound, count in sample["buckets"]]
            shaped.add_metric(values, buckets=buckets, sum_value=float(sample["sum"]))
        else:
            shaped.add_metric(values, float(sample["value"]))
    return shaped
