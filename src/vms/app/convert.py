"""Values of the services ↔ the messages that carry them between processes.

Belongs here: field by field, nothing else. Does not: sending (vms.bus), meaning (the services).
"""

from collections.abc import Iterable, Sequence

from vms.common.ids import CameraId
from vms.ingest.status import CameraState, StreamStatus
from vms.media import Codec, MediaKind, Track
from vms.media.messages import track_message, track_of
from vms.proto import camera_pb2, worker_pb2
from vms.telemetry.metrics import MetricFamily, MetricKind, ProcessMetrics


def tracks_of(messages: Iterable[camera_pb2.Track]) -> tuple[Track, ...]:
    """The tracks whose codec this version knows."""
    known = {codec.value for codec in Codec}
    return tuple(track_of(message) for message in messages if message.codec in known)


def camera_status_message(
    camera_id: CameraId, status: StreamStatus, tracks: Sequence[Track], reorders: bool
) -> camera_pb2.CameraStatus:
    """Without what recording says of it."""
    return camera_pb2.CameraStatus(
        camera_id=camera_id,
        state=status.state.value,
        reason=status.reason,
        reason_code=status.reason_code,
        tracks=[track_message(track) for track in tracks],
        reorders=reorders,
        fps=status.fps,
        bitrate=status.bitrate,
        last_frame_ns=status.last_frame_ns,
        clock_offset_ms=status.clock_offset_ms,
    )


def stream_status(message: camera_pb2.CameraStatus) -> StreamStatus:
    tracks = tracks_of(message.tracks)
    video = next((track for track in tracks if track.kind is MediaKind.VIDEO), None)
    audio = next((track for track in tracks if track.kind is MediaKind.AUDIO), None)

    def given(name: str) -> bool:
        return message.HasField(name)

    return StreamStatus(
        state=CameraState(message.state),
        reason=message.reason if given("reason") else None,
        reason_code=message.reason_code if given("reason_code") else None,
        codec=video.codec if video else None,
        width=video.width if video else None,
        height=video.height if video else None,
        fps=message.fps if given("fps") else None,
        bitrate=message.bitrate if given("bitrate") else None,
        audio=audio.codec if audio else None,
        last_frame_ns=message.last_frame_ns if given("last_frame_ns") else None,
        clock_offset_ms=message.clock_offset_ms if given("clock_offset_ms") else None,
    )


def metrics_message(metrics: ProcessMetrics) -> worker_pb2.Metrics:
    families = [
        worker_pb2.MetricFamily(
            name=family.name,
            kind=family.kind.value,
            help=family.help,
            labels=family.labels,
            samples=[worker_pb2.MetricSample(labels=labels, value=value) for labels, value in family.samples],
        )
        for family in metrics.families
    ]
    return worker_pb2.Metrics(role=metrics.role, worker=metrics.worker, families=families)


def process_metrics(message: worker_pb2.Metrics) -> ProcessMetrics:
    families = [
        MetricFamily(
            family.name,
            MetricKind(family.kind),
            family.help,
            tuple(family.labels),
            [(tuple(sample.labels), sample.value) for sample in family.samples],
        )
        for family in message.families
    ]
    return ProcessMetrics(message.role, message.worker, families)
