"""Metrics in the Prometheus text format, read from the counters that components keep.

A component implements `MetricSource`; nothing is registered globally and nothing is counted twice. The processes
of a machine are read together: every sample bears the role and the worker that it comes from.

Belongs here: the text format, and what bounds it. Does not: asking processes (vms.app), counting (components).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

MAX_SAMPLES = 5_000
"""Of one family and process; some labels are named by people, and a monitor must not drown in them."""


SUM = "sum"
"""In place of a bound: the sum of a histogram's observations."""

Samples = Sequence[tuple[tuple[str, ...], float]]


class MetricKind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """One metric: `name` without the `_total` of counters, base units (seconds, bytes), few label values.

    samples: (label values in the order of `labels`, value). The last label of a histogram is ``le``: a sample a
    bound, as text and rising, with the observations up to it, then "+Inf" and `SUM` (vms.telemetry.histogram).
    """

    name: str
    kind: MetricKind
    help: str
    labels: tuple[str, ...]
    samples: Samples


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
                    metric = merged[family.name] = _empty(family)
                if isinstance(metric, HistogramMetricFamily):
                    _add_histograms(metric, own, family.samples[:MAX_SAMPLES])
                else:
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


def _empty(family: MetricFamily) -> Metric:
    labels = ("role", "worker", *family.labels)
    match family.kind:
        case MetricKind.COUNTER:
            return CounterMetricFamily(family.name, family.help, labels=labels)
        case MetricKind.GAUGE:
            return GaugeMetricFamily(family.name, family.help, labels=labels)
        case MetricKind.HISTOGRAM:
            return HistogramMetricFamily(family.name, family.help, labels=labels[:-1])


def _add_histograms(metric: HistogramMetricFamily, own: tuple[str, str], samples: Samples) -> None:
    buckets: dict[tuple[str, ...], list[tuple[str, float]]] = {}
    for (*values, bound), value in samples:
        known = buckets.setdefault(tuple(values), [])
        if bound != SUM:
            known.append((bound, value))
        elif known:  # the last one of its histogram; one that was cut off before it is left out whole
            metric.add_metric((*own, *values), known, value)


def prometheus_text(processes: Sequence[ProcessMetrics]) -> bytes:
    """What all processes count, in the Prometheus text exposition format 0.0.4."""
    return generate_latest(_Processes(processes))
