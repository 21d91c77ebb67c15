"""Thumbnails: which picture, from where, and what becomes of them when footage goes."""

import asyncio
import io
from pathlib import Path

import av
import pytest
from tests.storage.playback.shelf import NOON_NS, PORCH, Shelf, demux, moved
from tests.storage.render.rendering import Renderer

from vms.common.clock import NS
from vms.common.errors import InvalidInput
from vms.common.ids import CameraId
from vms.media import Gap, GapReason
from vms.storage.playback import NothingRecorded
from vms.storage.render import turns
from vms.storage.render.errors import NoLongerWanted
from vms.storage.render.turns import Turns


def size_of(jpeg: bytes) -> tuple[int, int]:
    with av.open(io.BytesIO(jpeg), format="mjpeg") as container:
        frame = next(container.decode(video=0))
        return frame.width, frame.height


async def test_a_moment_shows_the_key_picture_at_or_before_it(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    shelf.record(demux(plain_movie), file_s=5)
    for at_s, key_s in ((0.0, 0), (0.99, 0), (1.0, 1), (4.7, 4), (5.05, 5), (11.9, 11)):
        found = await renderer.service.thumbnail(PORCH, NOON_NS + int(at_s * NS), 160)
        assert found.time_ns == NOON_NS + key_s * NS
        assert size_of(found.jpeg) == (160, 120)


async def test_it_is_the_same_picture_that_a_snapshot_of_that_moment_shows(
    shelf: Shelf, renderer: Renderer, movie: Path
) -> None:
    shelf.record(demux(movie))
    found = await renderer.service.thumbnail(PORCH, NOON_NS + 7 * NS + NS // 2, 160)
    whole = await renderer.service.playback.snapshot(PORCH, found.time_ns)
    other = await renderer.service.playback.snapshot(PORCH, found.time_ns + 3 * NS)
    assert difference(found.jpeg, whole) < 6 < difference(found.jpeg, other)


def difference(left: bytes, right: bytes) -> float:
    """The mean difference of luma of two pictures."""
    planes = []
    for jpeg in (left, right):
        with av.open(io.BytesIO(jpeg), format="mjpeg") as container:
            frame = next(container.decode(video=0)).reformat(width=160, height=120, format="gray")
            planes.append(bytes(frame.planes[0]))
    pairs = zip(*planes, strict=True)
    return sum(abs(a - b) for a, b in pairs) / len(planes[0])


async def test_near_the_edge_of_a_gap_the_nearest_picture_is_shown_and_within_it_none(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    units = demux(plain_movie)
    shelf.record(units)
    shelf.record(moved(units, wall_s=60, timeline_s=60))
    shelf.recorded_gaps = [
        Gap(NOON_NS + 12 * NS, NOON_NS + 60 * NS, GapReason.CAMERA_LOST, "the cable was cut")
    ]
    after_end = await renderer.service.thumbnail(PORCH, NOON_NS + 14 * NS, 160)
    assert after_end.time_ns == NOON_NS + 11 * NS
    before_start = await renderer.service.thumbnail(PORCH, NOON_NS + 58 * NS, 160)
    assert before_start.time_ns == NOON_NS + 60 * NS
    with pytest.raises(NothingRecorded, match="the cable was cut"):
        await renderer.service.thumbnail(PORCH, NOON_NS + 30 * NS, 160)
    with pytest.raises(NothingRecorded, match="no recordings"):
        await renderer.service.thumbnail(CameraId("attic"), NOON_NS, 160)


async def test_pictures_of_a_file_that_is_still_written_are_shown(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    shelf.record(demux(plain_movie), close=False)
    assert (await renderer.service.thumbnail(PORCH, NOON_NS + 5 * NS, 160)).time_ns == NOON_NS + 5 * NS


@pytest.mark.parametrize("width", [79, 641, 0, -1])
async def test_other_widths_are_refused(renderer: Renderer, width: int) -> None:
    with pytest.raises(InvalidInput, match="80 to 640"):
        await renderer.service.thumbnail(PORCH, NOON_NS, width)


async def test_it_is_decoded_once_for_all_who_ask_and_survives_a_restart(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    shelf.record(demux(plain_movie))
    asked = [renderer.service.thumbnail(PORCH, NOON_NS + n, 160) for n in range(20)]
    first, *others = await asyncio.gather(*asked)
    assert all(other == first for other in others)
    assert renderer.service.thumbnails.decoded == 1
    await renderer.restart()
    assert await renderer.service.thumbnail(PORCH, NOON_NS, 160) == first
    assert renderer.service.thumbnails.decoded == 0
    assert renderer.service.thumbnails.cache.hits_disk == 1
    await renderer.service.thumbnail(PORCH, NOON_NS, 160)
    assert renderer.service.thumbnails.cache.hits_memory == 1


async def test_of_footage_that_was_deleted_no_picture_stays(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    gone, kept, *_ = shelf.record(demux(plain_movie), file_s=5)
    lost = await renderer.service.thumbnail(PORCH, gone.start_ns, 160)
    found = await renderer.service.thumbnail(PORCH, kept.start_ns, 160)
    assert any(lost.jpeg[100:400] in data for data in on_disk(renderer))
    shelf.delete(gone.id)
    await renderer.service.thumbnails.cache.purge(shelf)
    cache = renderer.service.thumbnails.cache
    assert cache.purged == 1
    assert cache.memory_bytes == cache.disk_bytes == len(found.jpeg)
    assert not any(lost.jpeg[100:400] in data for data in on_disk(renderer)), "overwritten, not only unlinked"
    assert any(found.jpeg[100:400] in data for data in on_disk(renderer))
    assert (await renderer.service.thumbnail(PORCH, kept.start_ns, 160)) == found
    assert renderer.service.thumbnails.decoded == 2


def on_disk(renderer: Renderer) -> list[bytes]:
    """The bytes of all files of the cache. Only the log grows with every picture; the database at checkpoints."""
    return [path.read_bytes() for path in renderer.cache_file.parent.iterdir()]


async def test_a_recording_that_moved_to_another_tier_keeps_its_pictures(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    (segment,) = shelf.record(demux(plain_movie))
    await renderer.service.thumbnail(PORCH, segment.start_ns, 160)
    segment.path.rename(segment.path.with_suffix(".moved"))
    await renderer.service.thumbnails.cache.purge(shelf)
    assert renderer.service.thumbnails.cache.purged == 0
    assert renderer.service.thumbnails.cache.disk_bytes > 0


async def test_pictures_of_encrypted_volumes_stay_in_memory(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    renderer.may_keep = lambda _: False
    (segment,) = shelf.record(demux(plain_movie))
    found = await renderer.service.thumbnail(PORCH, segment.start_ns, 160)
    assert await renderer.service.thumbnail(PORCH, segment.start_ns, 160) == found
    assert renderer.service.thumbnails.decoded == 1
    assert renderer.service.thumbnails.cache.disk_bytes == 0
    assert not any(found.jpeg[100:400] in data for data in on_disk(renderer))
    shelf.delete(segment.id)
    await renderer.service.thumbnails.cache.purge(shelf)
    assert renderer.service.thumbnails.cache.memory_bytes == 0


@pytest.mark.parametrize("damage", ["garbage", "overwritten", "empty directory"])
async def test_a_damaged_cache_is_thrown_away(
    shelf: Shelf, renderer: Renderer, plain_movie: Path, damage: str
) -> None:
    (segment,) = shelf.record(demux(plain_movie))
    found = await renderer.service.thumbnail(PORCH, segment.start_ns, 160)
    await renderer.stop()
    await asyncio.to_thread(lambda: None)
    file = renderer.cache_file
    while renderer.cache_file.with_name(file.name + "-wal").exists():
        await asyncio.sleep(0.01)  # the cache's thread closes it
    if damage == "garbage":
        file.write_bytes(b"no database" * 1000)
    elif damage == "overwritten":
        data = bytearray(file.read_bytes())
        data[4096:] = b"\xa5" * (len(data) - 4096)
        file.write_bytes(data)
    else:
        file.unlink()
    await renderer.start()
    assert await renderer.service.thumbnail(PORCH, segment.start_ns, 160) == found
    assert renderer.service.thumbnails.decoded == 1
    await renderer.restart()
    assert await renderer.service.thumbnail(PORCH, segment.start_ns, 160) == found
    assert renderer.service.thumbnails.decoded == 0, "the new file keeps what was put into it"


async def test_without_a_place_to_keep_them_thumbnails_are_made_all_the_same(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    (segment,) = shelf.record(demux(plain_movie))
    await renderer.stop()
    for path in renderer.cache_file.parent.iterdir():
        path.unlink()
    renderer.cache_file.parent.rmdir()
    renderer.cache_file.parent.write_text("in the way")
    await renderer.start()
    assert (await renderer.service.thumbnail(PORCH, segment.start_ns, 160)).jpeg
    assert (await renderer.service.thumbnail(PORCH, segment.start_ns, 160)).jpeg
    assert renderer.service.thumbnails.decoded == 1


async def test_the_cache_stays_below_its_bound(shelf: Shelf, renderer: Renderer, plain_movie: Path) -> None:
    (segment,) = shelf.record(demux(plain_movie))
    cache = renderer.service.thumbnails.cache
    one = len((await renderer.service.thumbnail(PORCH, segment.start_ns, 160)).jpeg)
    cache._store._most_bytes = bound = 6 * one
    for second in range(12):
        for width in (96, 160, 240):
            renderer.clock.advance(1)
            await renderer.service.thumbnail(PORCH, segment.start_ns + second * NS, width)
            assert cache.disk_bytes <= bound
    assert cache.disk_bytes > 0
    assert renderer.service.thumbnails.decoded == 36


async def test_the_newest_question_is_answered_first_and_the_oldest_is_given_up() -> None:
    order: list[int] = []
    asked = Turns(1)
    go = asyncio.Event()

    async def ask(number: int) -> None:
        async with asked.turn():
            order.append(number)
            await go.wait()

    tasks = [asyncio.create_task(ask(number)) for number in range(turns.MOST_WAITING + 3)]
    for _ in range(3):
        await asyncio.sleep(0)
    go.set()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [number for number, end in enumerate(ended) if isinstance(end, NoLongerWanted)] == [1, 2]
    assert order == [0, *range(turns.MOST_WAITING + 2, 2, -1)]
    assert asked.refused == 2


async def test_a_question_that_nobody_waits_for_is_not_decoded(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    (segment,) = shelf.record(demux(plain_movie))
    thumbnails = renderer.service.thumbnails
    async with thumbnails.turns.turn():
        waiting = [
            asyncio.create_task(renderer.service.thumbnail(PORCH, segment.start_ns + n * NS, 160))
            for n in (1, 1, 2)
        ]
        while len(thumbnails._making) < 2 or len(thumbnails.turns._waiting) < 2:
            await asyncio.sleep(0)
        waiting[2].cancel()
        waiting[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting[2]
    assert (await waiting[1]).time_ns == segment.start_ns + NS
    assert thumbnails.decoded == 1


async def test_a_turn_that_comes_to_one_who_has_just_left_is_passed_on() -> None:
    asked = Turns(1)
    first = asked.turn()
    await first.__aenter__()

    async def ask() -> None:
        async with asked.turn():
            pass

    leaving, staying = asyncio.create_task(ask()), None
    await asyncio.sleep(0)
    await first.__aexit__(None, None, None)  # the turn is given to `leaving`, which has not run yet
    leaving.cancel()
    staying = asyncio.create_task(ask())
    await asyncio.wait_for(staying, 20)
    assert leaving.cancelled() or leaving.done()


async def test_a_strip_shows_a_range_in_one_picture(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    units = demux(plain_movie)
    shelf.record(units)
    shelf.record(moved(units, wall_s=48, timeline_s=48))
    strip = await renderer.service.strip(PORCH, NOON_NS, NOON_NS + 60 * NS, 20, 96)
    assert (strip.columns, strip.width, strip.height) == (10, 96, 72)
    assert size_of(strip.jpeg) == (960, 144)
    # middles of 3 s; where nothing is recorded the nearest within 3 s is shown
    shown = [None if at_ns is None else (at_ns - NOON_NS) // NS for at_ns in strip.times_ns]
    assert shown == [1, 4, 7, 10, 11] + [None] * 10 + [48, 49, 52, 55, 58]
    cell = crop(strip.jpeg, 0, 0, 96, 72)
    alone = await renderer.service.thumbnail(PORCH, NOON_NS + NS, 96)
    assert difference(alone.jpeg, cell) < 6
    assert renderer.service.thumbnails.decoded == 10


def crop(jpeg: bytes, left: int, top: int, width: int, height: int) -> bytes:
    """A part of a picture, as a picture."""
    from vms.format.picture import encode_jpeg

    with av.open(io.BytesIO(jpeg), format="mjpeg") as container:
        frame = next(container.decode(video=0))
    part = av.VideoFrame(width, height, "yuvj420p")
    for number, (into, source) in enumerate(zip(part.planes, frame.planes, strict=True)):
        shift = 1 if number else 0
        data = bytes(source)
        target = memoryview(into)
        for row in range(into.height):
            at = (row + (top >> shift)) * source.line_size + (left >> shift)
            target[row * into.line_size : row * into.line_size + into.width] = data[at : at + into.width]
    return encode_jpeg(part, 2)


async def test_strips_have_bounds(renderer: Renderer) -> None:
    for count in (0, 101):
        with pytest.raises(InvalidInput, match="1 to 100"):
            await renderer.service.strip(PORCH, NOON_NS, NOON_NS + NS, count, 160)
    with pytest.raises(InvalidInput, match="empty"):
        await renderer.service.strip(PORCH, NOON_NS, NOON_NS, 5, 160)
    strip = await renderer.service.strip(PORCH, NOON_NS, NOON_NS + NS, 3, 160)
    assert strip.times_ns == (None, None, None)
    assert size_of(strip.jpeg) == (480, 90)
