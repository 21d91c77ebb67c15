"""The storage components' counters as metrics.

Belongs here: names and units. Does not: counting, which every component does itself.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from vms.storage.gaps import GapStore
from vms.storage.keeper_link import KeeperLink
from vms.storage.recorder import Recorder
from vms.storage.writer import VolumeWriter
from vms.telemetry.metrics import MetricFamily, MetricKind

if TYPE_CHECKING:
    from vms.storage.keeper import VolumeKeeper

_COUNTER, _GAUGE = MetricKind.COUNTER, MetricKind.GAUGE
_OF_WRITERS: tuple[tuple[str, MetricKind, str, Callable[[VolumeWriter], float]], ...] = (
    ("usable", _GAUGE, "1 while the volume takes recordings", lambda w: w.volume.error is None),
    ("errors", _COUNTER, "Times the volume refused something", lambda w: w.volume.errors),
    ("written_bytes", _COUNTER, "Media written", lambda w: w.bytes_written),
    ("fragments", _COUNTER, "Fragments written", lambda w: w.fragments_written),
    ("segments", _COUNTER, "Segments finished", lambda w: w.segments_finished),
    ("segments_failed", _COUNTER, "Segments that a write error cut", lambda w: w.segments_failed),
    ("segments_open", _GAUGE, "Segments being written", lambda w: len(w.volume.live)),
    ("queue_bytes", _GAUGE, "Media waiting for the disk", lambda w: w.queue_bytes),
    ("overruns", _COUNTER, "Segments cut because the disk was too slow", lambda w: w.overruns),
    ("sync_seconds", _COUNTER, "Time spent making media durable", lambda w: w.sync_s),
    ("sync_rounds", _COUNTER, "Times all open segments were made durable", lambda w: w.sync_rounds),
    ("last_sync_seconds", _GAUGE, "How long the newest such round took", lambda w: w.last_sync_s),
)
_OF_KEEPERS: tuple[tuple[str, MetricKind, str, Callable[["VolumeKeeper"], float]], ...] = (
    ("kept", _GAUGE, "1 while the volume's keeper can do its work", lambda k: k.volume.error is None),
    ("keeper_errors", _COUNTER, "Times the keeper was refused something", lambda k: k.volume.errors),
    ("quota_bytes", _GAUGE, "What recordings may use", lambda k: k.volume.quota_bytes),
    ("used_bytes", _GAUGE, "What recordings use", lambda k: k.volume.used_bytes),
    ("free_bytes", _GAUGE, "Free on the file system above its floor", lambda k: k.volume.room_bytes),
    ("writers", _GAUGE, "Media processes that report", lambda k: k.reports.workers),
    ("files_without_row", _GAUGE, "Files being written, or to be repaired", lambda k: k.unsettled.count),
    ("expired_segments", _COUNTER, "Segments deleted for their age", lambda k: k.retention.expired),
    ("displaced_segments", _COUNTER, "Segments deleted for room", lambda k: k.retention.displaced),
    ("deleted_bytes", _COUNTER, "Deleted by retention", lambda k: k.retention.deleted_bytes),
)
_OF_LINKS: tuple[tuple[str, MetricKind, str, Callable[[KeeperLink], float]], ...] = (
    ("keeper_answers", _GAUGE, "1 while the volume's keeper answers", lambda each: bool(each.answers)),
    ("segments_unsettled", _GAUGE, "Closed files the keeper has not taken over", lambda each: each.unsettled),
)


def recording_metrics(
    writers: Sequence[VolumeWriter],
    links: Sequence[KeeperLink],
    recorders: Sequence[Recorder],
    gaps: GapStore,
) -> Iterator[MetricFamily]:
    """Every family of a media process, labelled by the path of the volume where it is one volume's."""
    paths = [str(writer.volume.path) for writer in writers]
    for name, kind, text, read in _OF_WRITERS:
        samples = [((path,), float(read(each))) for path, each in zip(paths, writers, strict=True)]
        yield MetricFamily(f"vms_storage_{name}", kind, text, ("volume",), samples)
    for name, kind, text, read_link in _OF_LINKS:
        samples = [((path,), float(read_link(each))) for path, each in zip(paths, links, strict=True)]
        yield MetricFamily(f"vms_storage_{name}", kind, text, ("volume",), samples)
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
        "vms_storage_gaps_abandoned", _COUNTER, "Gaps no keeper would take", (), [((), gaps.abandoned)]
    )


def keeper_metrics(keepers: Sequence["VolumeKeeper"]) -> Iterator[MetricFamily]:
    """Every family of keepers, labelled by the path of their volume."""
    for name, kind, text, read in _OF_KEEPERS:
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
