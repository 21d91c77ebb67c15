"""Metrics in the Prometheus text format, read from the counters that components keep.

A component implements `MetricSource`; nothing is registered globally and nothing is counted twice. The processes
of a machine are read together: every sample bears the role and the worker that it comes from.

Belongs here: the text format, and what bounds it. Does not: asking processes (vms.app), counting (components).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

MAX_SAMPLES = 5_000
"""Of one family and process; some labels are named by people, and a monitor must not drown in them."""


class MetricKind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """One metric: `name` without the `_total` of counters, base units (seconds, bytes), few label values.

    samples: (label values in the order of `labels`, value).
    """

    name: str
    kind: MetricKind
    help: str
    labels: tuple[str, ...]
    samples: Sequence[tuple[tuple[str, ...], float]]


class MetricSource(Protocol):
    def metrics(self) -> Iterable[MetricFamily]:
        """The component's counters as they stand now."""


@dataclass(frozen=True, slots=True)
class ProcessMetrics:
    """What one process counts."""

    role: str
    worker: str
    families: Sequence[MetricFamily]


def read(role: str, worker: str, sources: Iterable[MetricSource]) -> ProcessMetrics:
    """The counters of one process's components."""
    return ProcessMetrics(role, worker, [family for source in sources for family in source.metrics()])


class _Processes(Collector):
    def __init__(self, processes: Sequence[ProcessMetrics]) -> None:
        self._processes = processes

    def collect(self) -> Iterator[Metric]:
        merged: dict[str, Metric] = {}
        dropped: dict[tuple[str, str], int] = {}
        for process in self._processes:
            own = (process.role, process.worker)
            for family in process.families:
                metric = merged.get(family.name)
                if metric is None:
                    make = CounterMetricFamily if family.kind is MetricKind.COUNTER else GaugeMetricFamily
                    labels = ("role", "worker", *family.labels)
                    metric = merged[family.name] = make(family.name, family.help, labels=labels)
                for values, value in family.samples[:MAX_SAMPLES]:
                    metric.add_metric((*own, *values), value)  # type: ignore[attr-defined]
                excess = max(len(family.samples) - MAX_SAMPLES, 0)
                dropped[own] = dropped.get(own, 0) + excess
        yield from merged.values()
        text = "Samples left out because a family had too many"
        left_out = GaugeMetricFamily("vms_metrics_samples_left_out", text, labels=("role", "worker"))
        for own, excess in dropped.items():
            left_out.add_metric(own, excess)
        yield left_out


def prometheus_text(processes: Sequence[ProcessMetrics]) -> bytes:
    """What all processes count, in the Prometheus text exposition format 0.0.4."""
    return generate_latest(_Processes(processes))
