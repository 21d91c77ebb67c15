"""How many observations fell below each of a few fixed bounds: a Prometheus histogram as plain ints.

Belongs here: counting, and the samples for `MetricKind.HISTOGRAM`. Does not: the text format (vms.telemetry.metrics).
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from vms.telemetry.metrics import SUM, Samples

LATENCY_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5)
"""From what a picture takes inside a server that has time to what no one calls live any more."""


class Histogram:
    """bounds: upper ones, each inclusive, rising. An observation costs one bisection and two additions.

    counts: by bucket, the last one without a bound. total: the sum of all observations.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = LATENCY_BOUNDS_S) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    def merge(self, other: "Histogram") -> None:
        """Add what another with the same bounds has counted."""
        if other.bounds != self.bounds:
            raise ValueError("histograms with different bounds cannot be added")
        self.counts = [mine + its for mine, its in zip(self.counts, other.counts, strict=True)]
        self.total += other.total

    @property
    def count(self) -> int:
        return sum(self.counts)

    def samples(self, labels: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], float]]:
        """Samples of a `MetricFamily` of kind HISTOGRAM; `labels` are the values of all its labels but ``le``."""
        names = [str(bound) for bound in self.bounds] + ["+Inf"]
        for name, count in zip(names, accumulate(self.counts), strict=True):
            yield (*labels, name), float(count)
        yield (*labels, SUM), self.total


def as_samples(histograms: Sequence[tuple[tuple[str, ...], Histogram]]) -> Samples:
    """The samples of several histograms of one family, by their label values."""
    return [sample for labels, histogram in histograms for sample in histogram.samples(labels)]
