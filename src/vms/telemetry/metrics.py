"""Metrics in the Prometheus text format, read from the counters that components keep.

A component implements `MetricSource`; nothing is registered globally and nothing is counted twice.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector


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


class _Sources(Collector):
    def __init__(self, sources: Sequence[MetricSource]) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        for source in self._sources:
            for family in source.metrics():
                make = CounterMetricFamily if family.kind is MetricKind.COUNTER else GaugeMetricFamily
                metric = make(family.name, family.help, labels=family.labels)
                for labels, value in family.samples:
                    metric.add_metric(labels, value)
                yield metric


def prometheus_text(sources: Sequence[MetricSource]) -> bytes:
    """Everything the sources say, in the Prometheus text exposition format 0.0.4."""
    return generate_latest(_Sources(sources))
