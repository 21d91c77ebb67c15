"""What viewers measured and said over their socket: part of the latency metrics.

Belongs here: which stages are taken. Does not: what browsers report to the API (vms.api.viewer_reports; a viewer tells
one or the other), what this process measures itself (vms.stream.latency).
"""

from collections.abc import Iterable, Mapping

from vms.common.ids import CameraId
from vms.stream.latency import LATENCY_HELP, LATENCY_METRIC
from vms.telemetry.histogram import Histogram, as_samples
from vms.telemetry.metrics import MetricFamily, MetricKind

STAGES: Mapping[str, str] = {
    "network": "server_to_browser",
    "browser": "in_browser",
    "total": "camera_to_screen",
}
"""A viewer's word for a stage, and that of the metrics. Of other words no notice is taken: series stay few."""
MOST_S = 60.0  # older than that is no live picture, or a clock that is wrong


class ViewerStages:
    """All reports of this process's viewers, added up."""

    def __init__(self) -> None:
        self._histograms = {stage: Histogram() for stage in STAGES.values()}

    def add(self, camera_id: CameraId, stages: Mapping[str, float]) -> None:
        """Seconds by a viewer's word for a stage."""
        for word, seconds in stages.items():
            stage = STAGES.get(word)
            if stage is not None and seconds <= MOST_S:
                self._histograms[stage].observe(seconds)

    def metrics(self) -> Iterable[MetricFamily]:
        stages = [((stage,), histogram) for stage, histogram in self._histograms.items()]
        yield MetricFamily(
            LATENCY_METRIC, MetricKind.HISTOGRAM, LATENCY_HELP, ("stage", "le"), as_samples(stages)
        )
