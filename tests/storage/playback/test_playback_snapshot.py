import asyncio
import io
from functools import cache
from operator import sub
from pathlib import Path

import av
import pytest
from tests.storage.playback.shelf import NOON_NS, PORCH, demux, moved

from vms.common.clock import NS, parse_rfc3339, rfc3339
from vms.common.errors import NotFound, Unavailable
from vms.media import Gap, GapReason, MediaKind
from vms.storage.playback import NothingRecorded, PictureUnavailable, RangeInvalid, snapshot


def at(seconds: float) -> int:
    return NOON_NS + round(seconds * NS)


def small(frame: av.VideoFrame) -> bytes:
    """Luma of a picture, 80 × 60, a byte each."""
    plane = frame.reformat(80, 60, "gray").planes[0]
    return b"".join(bytes(plane)[row : row + 80] for row in range(0, 60 * plane.line_size, plane.line_size))


@cache
def pictures(movie: Path) -> list[bytes]:
    with av.open(str(movie)) as container:
        return [small(frame) for frame in container.decode(video=0)]


def nearest(jpeg: bytes, movie: Path) -> int:
    """The number of the picture of a movie that a JPEG shows."""
    assert jpeg.startswith(b"\xff\xd8")
    assert jpeg.endswith(b"\xff\xd9")
    with av.open(io.BytesIO(jpeg), format="jpeg_pipe") as container:
        seen = small(next(container.decode(video=0)))
    apart = [sum(map(abs, map(sub, each, seen))) / len(seen) for each in pictures(movie)]
    assert min(apart) < 5
    return apart.index(min(apart))


async def test_a_snapshot_is_the_picture_that_was_shown_then(shelf, playback, plain_movie):
    shelf.record(demux(plain_movie), file_s=5)
    for seconds, number in ((0, 0), (0.05, 0), (0.1, 1), (3.99, 39), (5, 50), (11.45, 114)):
        assert nearest(await playback.snapshot(PORCH, at(seconds)), plain_movie) == number


async def test_reordered_pictures_are_told_apart(shelf, playback, movie):
    shelf.record(demux(movie))
    for number in (0, 1, 2, 3, 24, 25, 26, 137, 138, 139, 140):
        jpeg = await playback.snapshot(PORCH, at(number / 25 + 0.01))
        assert nearest(jpeg, movie) == number


async def test_the_last_picture_stands_until_the_next_file_begins(shelf, playback, plain_movie):
    units = demux(plain_movie)
    shelf.record(units)
    shelf.record(moved(units, wall_s=12.4))
    assert nearest(await playback.snapshot(PORCH, at(12.2)), plain_movie) == 119


async def test_a_moment_inside_a_gap_is_not_found_and_says_why(shelf, playback, plain_movie):
    units = demux(plain_movie)
    shelf.record(units)
    shelf.record(moved(units, wall_s=100))
    shelf.recorded_gaps.append(Gap(at(12), at(100), GapReason.CAMERA_LOST, "no answer from the camera"))
    with pytest.raises(NothingRecorded, match=r"no answer from the camera.*ends at .*12:00:12.*begins at"):
        await playback.snapshot(PORCH, at(50))
    with pytest.raises(NothingRecorded):
        await playback.snapshot(PORCH, at(12.2))
    shelf.recorded_gaps[0] = Gap(at(12), at(100), GapReason.NO_FRAMES)
    with pytest.raises(NothingRecorded, match="the camera sent no pictures"):
        await playback.snapshot(PORCH, at(50))


async def test_the_same_picture_is_decoded_once(shelf, playback, plain_movie):
    shelf.record(demux(plain_movie))
    first = await playback.snapshot(PORCH, at(3.31))
    assert await playback.snapshot(PORCH, at(3.39)) == first
    assert (playback.snapshots.decoded, playback.snapshots.cached) == (1, 1)


async def test_the_cache_is_bounded(shelf, playback, plain_movie, monkeypatch):
    monkeypatch.setattr(snapshot, "CACHED_BYTES", 20_000)
    shelf.record(demux(plain_movie))
    for number in range(20):
        await playback.snapshot(PORCH, at(number / 2))
    assert playback.snapshots.cached_bytes <= 20_000
    await playback.snapshot(PORCH, at(9.5))
    assert playback.snapshots.cached == 1


async def test_too_many_at_once_are_refused(shelf, playback, plain_movie, monkeypatch):
    monkeypatch.setattr(snapshot, "MAX_WAITING", 2)
    shelf.record(demux(plain_movie))
    asked = [playback.snapshot(PORCH, at(number)) for number in range(5)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, Unavailable)]
    assert len(refused) == playback.snapshots.refused == 3
    assert "try again" in str(refused[0])


async def test_who_stops_waiting_leaves_no_file_open(shelf, playback, plain_movie):
    shelf.record(demux(plain_movie))
    tasks = [asyncio.create_task(playback.snapshot(PORCH, at(number))) for number in range(8)]
    while not shelf.opened:
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await playback.snapshot(PORCH, at(9))
    await playback.stop()
    async with asyncio.timeout(20):
        while shelf.leaked:  # what was begun is finished by the threads
            await asyncio.sleep(0.001)
    assert all(task.cancelled() for task in tasks)


async def test_a_recording_without_pictures_has_no_snapshot(shelf, playback, movie):
    shelf.record([unit for unit in demux(movie) if unit.track.kind is MediaKind.AUDIO])
    with pytest.raises(PictureUnavailable, match="holds no pictures"):
        await playback.snapshot(PORCH, at(3))


async def test_a_damaged_recording_is_a_typed_error(shelf, playback, plain_movie):
    segment, *_ = shelf.record(demux(plain_movie))
    data = bytearray(segment.path.read_bytes())
    fragment_end = 50_000
    data[1_000:fragment_end] = bytes(fragment_end - 1_000)
    segment.path.write_bytes(data)
    with pytest.raises(PictureUnavailable, match=str(segment.id)):
        await playback.snapshot(PORCH, at(1))


async def test_a_time_before_1970_and_an_unknown_camera(shelf, playback):
    with pytest.raises(RangeInvalid):
        await playback.snapshot(PORCH, -1)
    with pytest.raises(NotFound, match="has no recordings"):
        await playback.snapshot(PORCH, at(0))


async def test_the_start_of_a_recording_as_it_is_printed_finds_its_first_picture(
    shelf, playback, plain_movie
):
    shelf.record(moved(demux(plain_movie), wall_s=0.000_456))
    printed = parse_rfc3339(rfc3339(NOON_NS + 456_000))
    assert printed == NOON_NS
    assert nearest(await playback.snapshot(PORCH, printed), plain_movie) == 0
    with pytest.raises(NothingRecorded):
        await playback.snapshot(PORCH, NOON_NS - 1_000_000)
    with pytest.raises(NothingRecorded):
        await playback.snapshot(PORCH, NOON_NS + 455_999)


async def test_the_start_of_a_gap_as_it_is_printed_finds_the_last_picture(shelf, playback, plain_movie):
    shelf.record(moved(demux(plain_movie), wall_s=0.000_456))
    shelf.recorded_gaps.append(Gap(at(12.000_456), None, GapReason.CAMERA_LOST))
    assert nearest(await playback.snapshot(PORCH, at(12)), plain_movie) == 119
    with pytest.raises(NothingRecorded):
        await playback.snapshot(PORCH, at(12.001))
