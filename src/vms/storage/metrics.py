"""The storage service's counters as metrics.

Belongs here: names and units. Does not: counting, which every component does itself.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

from vms.storage.gaps import GapStore
from vms.storage.keeper import VolumeKeeper
from vms.storage.recorder import Recorder
from vms.telemetry.metrics import MetricFamily, MetricKind

_COUNTER, _GAUGE = MetricKind.COUNTER, MetricKind.GAUGE
_BY_VOLUME: tuple[tuple[str, MetricKind, str, Callable[[VolumeKeeper], float]], ...] = (
    ("usable", _GAUGE, "1 while the volume takes recordings", lambda k: k.volume.error is None),
    ("errors", _COUNTER, "Times the volume refused something", lambda k: k.volume.errors),
    ("quota_bytes", _GAUGE, "What recordings may use", lambda k: k.volume.quota_bytes),
    ("used_bytes", _GAUGE, "What recordings use", lambda k: k.volume.used_bytes),
    ("free_bytes", _GAUGE, "Free on the file system above its floor", lambda k: k.volume.room_bytes),
    ("written_bytes", _COUNTER, "Media written", lambda k: k.writer.bytes_written),
    ("fragments", _COUNTER, "Fragments written", lambda k: k.writer.fragments_written),
    ("segments", _COUNTER, "Segments finished", lambda k: k.writer.segments_finished),
    ("segments_failed", _COUNTER, "Segments that a write error cut", lambda k: k.writer.segments_failed),
    ("segments_open", _GAUGE, "Segments being written", lambda k: len(k.volume.live)),
    ("segments_unfinished", _GAUGE, "Segments waiting for repair", lambda k: len(k.writer.unfinished)),
    ("queue_bytes", _GAUGE, "Media waiting for the disk", lambda k: k.writer.queue_bytes),
    ("overruns", _COUNTER, "Segments cut because the disk was too slow", lambda k: k.writer.overruns),
    ("sync_seconds", _COUNTER, "Time spent making media durable", lambda k: k.writer.sync_s),
    ("sync_rounds", _COUNTER, "Times all open segments were made durable", lambda k: k.writer.sync_rounds),
    ("last_sync_seconds", _GAUGE, "How long the newest such round took", lambda k: k.writer.last_sync_s),
    ("expired_segments", _COUNTER, "Segments deleted for their age", lambda k: k.retention.expired),
    ("displaced_segments", _COUNTER, "Segments deleted for room", lambda k: k.retention.displaced),
    ("deleted_bytes", _COUNTER, "Deleted by retention", lambda k: k.retention.deleted_bytes),
)


def storage_metrics(
    keepers: Sequence[VolumeKeeper], recorders: Sequence[Recorder], gaps: GapStore
) -> Iterator[MetricFamily]:
    """Every family, labelled by the path of the volume where it is one volume's."""
    for name, kind, text, read in _BY_VOLUME:
        samples = [((str(keeper.volume.path),), float(read(keeper))) for keeper in keepers]
        yield MetricFamily(f"vms_storage_{name}", kind, text, ("volume",), samples)
    found = [
        ((str(keeper.volume.path), what), float(count))
        for keeper in keepers
        for what, count in asdict(keeper.found).items()
    ]
    yield MetricFamily(
        "vms_storage_recovered_files", _COUNTER, "What recovery met", ("volume", "what"), found
    )
    recording = sum(recorder.recording for recorder in recorders)
    yield MetricFamily("vms_storage_recordings", _GAUGE, "Cameras being recorded", (), [((), recording)])
    failing = sum(recorder.error is not None for recorder in recorders)
    yield MetricFamily(
        "vms_storage_recordings_failing", _GAUGE, "Cameras whose footage is not kept", (), [((), failing)]
    )
    left_out = sum(recorder.units_left_out for recorder in recorders)
    text = "Units of tracks that began in the middle of a segment, up to its end"
    yield MetricFamily("vms_storage_units_left_out", _COUNTER, text, (), [((), left_out)])
    yield MetricFamily(
        "vms_storage_gaps_abandoned", _COUNTER, "Gaps no catalog would take", (), [((), gaps.abandoned)]
    )
