"""How old pictures are on their way through a stream process: from the camera to us, and from us to the last send.

Belongs here: what is measured where, as histograms that cost a bisection a picture. Does not: what browsers see
(vms.api.viewer_reports), the quantiles of one stream's newest pictures (vms.stream.webrtc.metrics).
"""

from collections.abc import Iterable

from vms.common.clock import NS, Clock
from vms.media import AccessUnit
from vms.telemetry.histogram import Histogram, as_samples
from vms.telemetry.metrics import MetricFamily, MetricKind

LATENCY_METRIC = "vms_latency_seconds"
LATENCY_HELP = "how long pictures took, by stage of their way from the camera to the screen"


class StreamLatencies:
    """Of all pictures that one process sends on; whoever sends them tells it.

    camera_to_server: from capture to this process, so the camera's encoder and network, ingest and relay are in it.
    inside: from there until the last viewer's last packet was given to the kernel.
    before_capture: pictures that came before they were captured, by the clocks; the camera's is ahead of ours then,
        and they are in no histogram.
    """

    def __init__(self, clock: Clock) -> None:
        self.camera_to_server = Histogram()
        self.inside = Histogram()
        self.before_capture = 0
        self._clock = clock

    def arrived(self, unit: AccessUnit) -> None:
        """A picture is here, and some viewer will get it."""
        since_arrival_ns = self._clock.monotonic_ns() - unit.arrival_ns
        age_ns = self._clock.wall_ns() - since_arrival_ns - unit.capture_ns
        if age_ns < 0:
            self.before_capture += 1
        else:
            self.camera_to_server.observe(age_ns / NS)

    def sent(self, after_ns: int) -> None:
        """The last viewer of a picture was served, so long after it came."""
        self.inside.observe(after_ns / NS)

    def metrics(self) -> Iterable[MetricFamily]:
        stages = [(("camera_to_server",), self.camera_to_server), (("inside",), self.inside)]
        yield MetricFamily(
            LATENCY_METRIC, MetricKind.HISTOGRAM, LATENCY_HELP, ("stage", "le"), as_samples(stages)
        )
        yield MetricFamily(
            "vms_latency_clock_offsets",
            MetricKind.COUNTER,
            "pictures that came before their capture time: the camera's clock is ahead of ours, or ours stepped back",
            (),
            [((), float(self.before_capture))],
        )
