from uuid import uuid4

import pytest
from tests.storage.playback.shelf import NOON_NS, PORCH, demux, moved

from vms.common.clock import NS
from vms.common.errors import NotFound
from vms.common.ids import CameraId
from vms.media import Gap, GapReason
from vms.storage.playback import RangeInvalid, RangeTooLong, search


async def test_a_timeline_of_real_files_covers_what_the_footage_covers(shelf, playback, plain_movie):
    units = demux(plain_movie)
    shelf.record(units, file_s=3)
    shelf.record(moved(units, wall_s=60), close=False)
    shelf.recorded_gaps.append(Gap(NOON_NS + 12 * NS, NOON_NS + 60 * NS, GapReason.CAMERA_LOST))
    shelf.recorded_gaps.append(Gap(NOON_NS + 72 * NS, None, GapReason.NO_FRAMES))
    timeline = await playback.timeline(PORCH, NOON_NS - 100 * NS, NOON_NS + 1000 * NS)
    spans = [((span.start_ns - NOON_NS) / NS, (span.end_ns - NOON_NS) / NS) for span in timeline.spans]
    assert spans == [(0, pytest.approx(12)), (60, pytest.approx(71.5, abs=0.11))]
    assert [(gap.reason, gap.end_ns) for gap in timeline.gaps] == [
        (GapReason.CAMERA_LOST, NOON_NS + 60 * NS),
        (GapReason.NO_FRAMES, None),
    ]


async def test_the_empty_edge_of_a_range_is_a_gap_when_there_are_recordings_beyond(
    shelf, playback, plain_movie
):
    units = demux(plain_movie)
    shelf.record(units)
    shelf.record(moved(units, wall_s=90 * 86400))
    timeline = await playback.timeline(PORCH, NOON_NS + 86400 * NS, NOON_NS + 2 * 86400 * NS)
    assert [(gap.start_ns, gap.end_ns, gap.reason) for gap in timeline.gaps] == [
        (NOON_NS + 86400 * NS, NOON_NS + 2 * 86400 * NS, GapReason.UNKNOWN)
    ]
    assert timeline.spans == []


async def test_a_timeline_that_would_be_too_large_is_refused(shelf, playback, plain_movie, monkeypatch):
    with pytest.raises(RangeTooLong, match="366 days"):
        await playback.timeline(PORCH, 0, NOON_NS)
    with pytest.raises(RangeInvalid):
        await playback.timeline(PORCH, NOON_NS, NOON_NS)
    monkeypatch.setattr(search, "MAX_SEGMENTS", 3)
    units = demux(plain_movie)
    for day in range(4):
        shelf.record(moved(units, wall_s=day * 86400))
    with pytest.raises(RangeTooLong, match="ends by 2026-11-26"):
        await playback.timeline(PORCH, NOON_NS, NOON_NS + 10 * 86400 * NS)


async def test_a_recording_of_another_camera_is_not_found(shelf, playback, plain_movie):
    (segment,) = shelf.record(demux(plain_movie))
    with pytest.raises(NotFound, match="garden has no recording"):
        await playback.segment_bytes(CameraId("garden"), segment.id)
    with pytest.raises(NotFound):
        await playback.segment_bytes(PORCH, uuid4())


async def test_counters_are_metrics(shelf, playback, plain_movie):
    shelf.record(demux(plain_movie))
    download = await playback.export(PORCH, NOON_NS, NOON_NS + 5 * NS)
    values = {family.name: family.samples[0][1] for family in playback.metrics()}
    assert values["vms_playback_exports"] == values["vms_playback_exports_active"] == 1
    await download.close()
