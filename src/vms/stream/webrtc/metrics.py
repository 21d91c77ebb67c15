"""The live-view service's counters as metrics."""

from collections.abc import Iterable, Mapping

from vms.common.clock import NS
from vms.common.ids import CameraId
from vms.stream.webrtc.egress import Egress
from vms.stream.webrtc.viewer import ViewerCounters
from vms.telemetry.metrics import MetricFamily, MetricKind
from vms.wire.webrtc.endpoint import WebRtcEndpoint
from vms.wire.webrtc.peer import CloseReason

VIEWER_COUNTERS = {
    "frames": "pictures sent to viewers",
    "frames_skipped": "pictures left out for viewers that were too slow",
    "nacks": "packets that viewers asked for again",
    "resent": "packets sent again",
    "key_requests": "key pictures that viewers asked for",
    "key_requests_answered": "key pictures given from the current group of pictures",
    "packets_lost": "packets that viewers report as lost",
}
QUANTILES = (0.5, 0.95, 0.99)


def stream_metrics(
    endpoint: WebRtcEndpoint,
    egresses: Mapping[CameraId, Egress],
    totals: Mapping[CameraId, ViewerCounters],
    sessions_begun: int,
    ended: Mapping[CloseReason, int],
) -> Iterable[MetricFamily]:
    """Families of the service, its viewers by camera, and its sockets."""
    gauge, counter = MetricKind.GAUGE, MetricKind.COUNTER
    yield _plain("vms_stream_sessions", counter, "viewer sessions begun", sessions_begun)
    yield MetricFamily(
        "vms_stream_sessions_ended",
        counter,
        "viewer sessions ended, by reason",
        ("reason",),
        [((reason.value,), ended.get(reason, 0)) for reason in CloseReason],
    )
    yield _by_camera(
        "vms_stream_viewers",
        gauge,
        "viewers being sent to",
        {camera_id: len(egress.viewers) for camera_id, egress in egresses.items()},
    )
    yield _by_camera(
        "vms_stream_frames_overrun",
        counter,
        "frames that no viewer got because serving could not keep up",
        {camera_id: egress.frames_overrun for camera_id, egress in egresses.items()},
    )
    yield _by_camera(
        "vms_stream_units_refused",
        counter,
        "pictures and sounds that are broken or too large to be sent",
        {camera_id: egress.units_refused for camera_id, egress in egresses.items()},
    )
    for name, text in VIEWER_COUNTERS.items():
        values = {camera_id: float(getattr(total, name)) for camera_id, total in totals.items()}
        yield _by_camera(f"vms_stream_{name}", counter, text, values)
    yield MetricFamily(
        "vms_stream_last_viewer_delay_seconds",
        gauge,
        "from a picture's arrival to its last viewer, over the newest pictures",
        ("camera", "quantile"),
        [
            ((camera_id, str(quantile)), ordered[int(quantile * (len(ordered) - 1))] / NS)
            for camera_id, egress in egresses.items()
            if (ordered := sorted(egress.delays_ns))
            for quantile in QUANTILES
        ],
    )
    ports = list(endpoint.ports.values())
    yield _plain("vms_stream_datagrams_sent", counter, "datagrams", sum(p.datagrams_sent for p in ports))
    yield _plain("vms_stream_bytes_sent", counter, "bytes", sum(p.bytes_sent for p in ports))
    yield _plain(
        "vms_stream_sends_refused", counter, "sends the kernel refused", sum(p.refused for p in ports)
    )
    yield _plain("vms_stream_datagrams_received", counter, "datagrams", endpoint.datagrams_received)
    yield _plain(
        "vms_stream_datagrams_ignored", counter, "datagrams from nobody known", endpoint.datagrams_ignored
    )


def _plain(name: str, kind: MetricKind, text: str, value: float) -> MetricFamily:
    return MetricFamily(name, kind, text, (), [((), float(value))])


def _by_camera(name: str, kind: MetricKind, text: str, values: Mapping[CameraId, float]) -> MetricFamily:
    return MetricFamily(
        name, kind, text, ("camera",), [((camera_id,), float(value)) for camera_id, value in values.items()]
    )
