"""The live-view service's counters as metrics."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from vms.common.clock import NS
from vms.common.ids import CameraId
from vms.stream.webrtc.counters import ViewerCounters
from vms.stream.webrtc.egress import Egress
from vms.stream.webrtc.egresses import StreamKey
from vms.stream.webrtc.reception import Reception
from vms.stream.webrtc.viewer import Viewer
from vms.telemetry.metrics import MetricFamily, MetricKind
from vms.wire.webrtc.endpoint import WebRtcEndpoint
from vms.wire.webrtc.peer import CloseReason
from vms.wire.webrtc.tcp import TcpPort
from vms.wire.webrtc.udp import UdpPort

VIEWER_COUNTERS = {
    "frames": "pictures sent to viewers",
    "frames_skipped": "pictures left out for viewers that were too slow",
    "nacks": "packets that viewers asked for again",
    "resent": "packets sent again",
    "key_requests": "key pictures that viewers asked for",
    "key_requests_answered": "key pictures given from the current group of pictures",
    "packets_lost": "packets that viewers report as lost",
    "switches": "changes of a viewer to another stream of the camera",
}
QUANTILES = (0.5, 0.95, 0.99)
RECEPTION: Mapping[str, tuple[str, Callable[[Reception], float | None]]] = {
    "jitter_seconds": ("interarrival jitter, over the viewers", lambda r: r.jitter_s),
    "lost_fraction": (
        "of the packets since each viewer's report before, over the viewers",
        lambda r: r.fraction_lost,
    ),
    "round_trip_seconds": ("to the viewers and back", lambda r: r.round_trip_s),
    "estimated_bits_per_second": ("what viewers think that they can take", lambda r: r.estimated_bps),
}
"""What viewers report, as quantiles by camera: name, text, value."""


def stream_metrics(
    endpoint: WebRtcEndpoint,
    egresses: Mapping[StreamKey, Egress],
    totals: Mapping[CameraId, ViewerCounters],
    viewers: Sequence[Viewer],
    *,
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
        "vms_stream_viewers", gauge, "viewers being sent to", _sums(egresses, lambda egress: egress.watching)
    )
    yield _by_stream(
        "vms_stream_viewers_by_stream",
        gauge,
        "viewers being sent to, by the camera's stream",
        egresses,
        lambda egress: egress.watching,
    )
    yield _by_stream(
        "vms_stream_frames_overrun",
        counter,
        "frames that no viewer got because serving could not keep up",
        egresses,
        lambda egress: egress.frames_overrun,
    )
    yield _by_stream(
        "vms_stream_units_refused",
        counter,
        "pictures and sounds that are broken or too large to be sent",
        egresses,
        lambda egress: egress.units_refused,
    )
    yield _by_stream(
        "vms_stream_key_requests_passed_on",
        counter,
        "key pictures asked of the camera, because the current group of pictures could not be given",
        egresses,
        lambda egress: egress.key_requests,
    )
    yield from _reception(viewers)
    for name, text in VIEWER_COUNTERS.items():
        values = {camera_id: float(getattr(total, name)) for camera_id, total in totals.items()}
        yield _by_camera(f"vms_stream_{name}", counter, text, values)
    yield MetricFamily(
        "vms_stream_last_viewer_delay_seconds",
        gauge,
        "from a picture's arrival to its last viewer, over the newest pictures",
        ("camera", "stream", "quantile"),
        [
            ((key.camera_id, key.stream.value, str(quantile)), _quantile(ordered, quantile) / NS)
            for key, egress in egresses.items()
            if (ordered := sorted(egress.delays_ns))
            for quantile in QUANTILES
        ],
    )
    yield from _transport(endpoint)


def _plain(name: str, kind: MetricKind, text: str, value: float) -> MetricFamily:
    return MetricFamily(name, kind, text, (), [((), float(value))])


def _by_camera(name: str, kind: MetricKind, text: str, values: Mapping[CameraId, float]) -> MetricFamily:
    return MetricFamily(
        name, kind, text, ("camera",), [((camera_id,), float(value)) for camera_id, value in values.items()]
    )


def _by_stream(
    name: str,
    kind: MetricKind,
    text: str,
    egresses: Mapping[StreamKey, Egress],
    value: Callable[[Egress], int],
) -> MetricFamily:
    """A series a stream: a sum over those that are watched would fall when one of them is left."""
    samples = [((key.camera_id, key.stream.value), float(value(egress))) for key, egress in egresses.items()]
    return MetricFamily(name, kind, text, ("camera", "stream"), samples)


def _sums(egresses: Mapping[StreamKey, Egress], value: Callable[[Egress], int]) -> dict[CameraId, float]:
    """By camera, over its streams."""
    sums: dict[CameraId, float] = {}
    for key, egress in egresses.items():
        sums[key.camera_id] = sums.get(key.camera_id, 0) + value(egress)
    return sums


def _reception(viewers: Sequence[Viewer]) -> Iterable[MetricFamily]:
    """What viewers report, aggregated by camera: a series a viewer would be thousands."""
    for name, (text, of) in RECEPTION.items():
        found: dict[CameraId, list[float]] = {}
        for viewer in viewers:
            value = of(viewer.reception)
            if value is not None:
                found.setdefault(viewer.camera_id, []).append(value)
        yield MetricFamily(
            f"vms_stream_viewer_{name}",
            MetricKind.GAUGE,
            text,
            ("camera", "quantile"),
            [
                ((camera_id, str(quantile)), _quantile(sorted(values), quantile))
                for camera_id, values in found.items()
                for quantile in QUANTILES
            ],
        )


def _quantile(ordered: Sequence[float], quantile: float) -> float:
    return ordered[int(quantile * (len(ordered) - 1))]


def _transport(endpoint: WebRtcEndpoint) -> Iterable[MetricFamily]:
    """Sockets, TCP connections and handshakes."""
    gauge, counter = MetricKind.GAUGE, MetricKind.COUNTER
    ports: list[UdpPort | TcpPort] = [*endpoint.ports.values(), *endpoint.tcp_connections]
    sent = sum(port.datagrams_sent for port in ports) + endpoint.tcp_datagrams_sent
    yield _plain("vms_stream_datagrams_sent", counter, "datagrams", sent)
    sent_bytes = sum(port.bytes_sent for port in ports) + endpoint.tcp_bytes_sent
    yield _plain("vms_stream_bytes_sent", counter, "bytes", sent_bytes)
    refused = sum(port.refused for port in ports) + endpoint.tcp_sends_refused
    yield _plain("vms_stream_sends_refused", counter, "sends the kernel refused", refused)
    yield _plain("vms_stream_datagrams_received", counter, "datagrams", endpoint.datagrams_received)
    yield _plain(
        "vms_stream_datagrams_ignored", counter, "datagrams from nobody known", endpoint.datagrams_ignored
    )
    yield _plain(
        "vms_stream_tcp_connections", gauge, "ICE over TCP: open connections", len(endpoint.tcp_connections)
    )
    yield _plain(
        "vms_stream_tcp_connections_refused",
        counter,
        "ICE over TCP: connections that were not taken, or proved nothing",
        endpoint.tcp_refused,
    )
    handshakes = endpoint.handshakes
    yield _plain(
        "vms_stream_handshakes_waiting", gauge, "viewers whose DTLS waits for its turn", handshakes.waiting
    )
    yield _plain(
        "vms_stream_handshake_datagrams_dropped",
        counter,
        "DTLS datagrams of viewers of whom enough waited",
        handshakes.datagrams_dropped,
    )
