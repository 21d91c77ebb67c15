"""The counters of HLS as metrics."""

from collections.abc import Iterable, Mapping

from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.stream.hls.muxer import HlsMuxer
from vms.telemetry.metrics import MetricFamily, MetricKind


def hls_metrics(
    streams: Mapping[tuple[CameraId, StreamName], HlsMuxer], requests: int
) -> Iterable[MetricFamily]:
    """Families of the service and of what it makes now."""
    gauge, counter = MetricKind.GAUGE, MetricKind.COUNTER
    yield MetricFamily("vms_hls_requests", counter, "requests for HLS", (), [((), requests)])
    told = [
        ("vms_hls_waiting", gauge, "requests that wait for a part", "waiters"),
        ("vms_hls_bytes", gauge, "bytes of segments in memory", "kept_bytes"),
        ("vms_hls_units_refused", counter, "units that could not be written", "units_refused"),
        ("vms_hls_overruns", counter, "segments cut off because they were too large", "overruns"),
    ]
    for name, kind, text, field in told:
        samples = [
            ((camera, stream.value), getattr(muxer, field)) for (camera, stream), muxer in streams.items()
        ]
        yield MetricFamily(name, kind, text, ("camera", "stream"), samples)
