"""The storage components' counters as metrics.

Belongs here: names and units. Does not: counting, which every component does itself.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from vms.storage.camera_recorder import CameraRecorder
from vms.storage.gaps import GapStore
from vms.storage.keeper_link import KeeperLink
from vms.storage.preroll import MemoryBudget
from vms.storage.recording_state import RecordingState
from vms.storage.watch import RecordingWatch
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
    ("unsigned", _COUNTER, "Segments closed without the signature they should have", lambda w: w.unsigned),
    ("stalls", _COUNTER, "Times the disk did not answer for seconds", lambda w: w.stalls),
    ("stalled", _GAUGE, "1 while the disk does not answer", lambda w: w.stalled),
    ("busy_ratio", _GAUGE, "Share of time the disk is busy with what is written", lambda w: w.load.busy),
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
    ("locked_bytes", _GAUGE, "Recordings under evidence locks", lambda k: k.locked.size_bytes),
    ("locks", _GAUGE, "Evidence locks that are obeyed", lambda k: len(k.volume.locks.holding)),
)
_OF_LINKS: tuple[tuple[str, MetricKind, str, Callable[[KeeperLink], float]], ...] = (
    ("keeper_answers", _GAUGE, "1 while the volume's keeper answers", lambda each: bool(each.answers)),
    ("segments_unsettled", _GAUGE, "Closed files the keeper has not taken over", lambda each: each.unsettled),
    ("event_ranges_untold", _GAUGE, "Event footage the keeper has not heard of", lambda e: e.ranges_waiting),
    ("event_ranges_dropped", _COUNTER, "Event ranges given up", lambda each: each.ranges_dropped),
)


def recording_metrics(
    writers: Sequence[VolumeWriter],
    links: Sequence[KeeperLink],
    recorders: Sequence[CameraRecorder],
    gaps: GapStore,
    *,
    budget: MemoryBudget,
    watch: RecordingWatch,
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
    states = [recorder.state for recorder in recorders]
    counts = [((state.value,), float(states.count(state))) for state in RecordingState]
    yield MetricFamily("vms_storage_cameras", _GAUGE, "Cameras by what recording does", ("state",), counts)
    for name, kind, text, value in (
        ("pre_roll_bytes", _GAUGE, "Footage in memory that waits for an event", budget.used_bytes),
        ("pre_roll_limit_bytes", _GAUGE, "What may wait there", budget.limit_bytes),
        (
            "pre_roll_shortened",
            _COUNTER,
            "Groups of pictures that left a pre-roll because memory was short",
            sum(recorder.shortened for recorder in recorders),
        ),
        (
            "recordings_unheard",
            _GAUGE,
            "Cameras recorded all the time because events cannot be heard",
            sum(recorder.unheard for recorder in recorders),
        ),
        ("recordings_failed", _GAUGE, "Cameras that somebody was told of", watch.failed_cameras),
    ):
        yield MetricFamily(f"vms_storage_{name}", kind, text, (), [((), float(value))])
    left_out = sum(recorder.segments.units_left_out for recorder in recorders)
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
    tiers = [
        ((str(keeper.volume.path), tier.name), float(tier.used_bytes))
        for keeper in keepers
        for tier in (keeper.mover.states() if keeper.mover is not None else ())
    ]
    text = "What recordings use in tiers"
    yield MetricFamily("vms_storage_tier_bytes", _GAUGE, text, ("volume", "tier"), tiers)
    alarms = [((str(keeper.volume.path), slug), 1.0) for keeper in keepers for slug in keeper.alarms]
    text = "1 for what a person has to look at"
    yield MetricFamily("vms_storage_alarms", _GAUGE, text, ("volume", "alarm"), alarms)
    found = [
        ((str(keeper.volume.path), what), float(count))
        for keeper in keepers
        for what, count in asdict(keeper.found).items()
    ]
    yield MetricFamily(
        "vms_storage_recovered_files", _COUNTER, "What recovery met", ("volume", "what"), found
    )
