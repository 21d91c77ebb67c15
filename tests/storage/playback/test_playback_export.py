import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.e2e.players import decoded, probe
from tests.storage.playback.shelf import NOON_NS, PORCH, Shelf, demux, moved, packets

from vms.common.clock import NS
from vms.common.errors import Unavailable
from vms.storage.playback import (
    Export,
    NothingRecorded,
    Playback,
    RangeTooLong,
    RecordingDamaged,
    RecordingGone,
    TooManyExports,
    files,
)
from vms.storage.playback.download import CHUNK_BYTES
from vms.storage.playback.service import MAX_EXPORTS
from vms.storage.segment import OpenSegment


async def export(playback: Playback, start_s: float, end_s: float) -> Export:
    return await playback.export(PORCH, NOON_NS + round(start_s * NS), NOON_NS + round(end_s * NS))


async def read(download: Export, first: int = 0, last: int | None = None) -> bytes:
    pieces = [
        piece async for piece in download.chunks(first, download.size_bytes - 1 if last is None else last)
    ]
    assert all(0 < len(piece) <= CHUNK_BYTES for piece in pieces)
    return b"".join(pieces)


async def save(playback: Playback, shelf: Shelf, start_s: float, end_s: float) -> Path:
    download = await export(playback, start_s, end_s)
    path = shelf.folder / "export.mp4"
    path.write_bytes(await read(download))
    assert path.stat().st_size == download.size_bytes
    await download.close()
    return path


async def test_an_export_over_files_is_bit_identical_to_the_source(shelf, playback, movie):
    shelf.record(demux(movie), file_s=4)
    path = await save(playback, shelf, -10, 60)
    assert decoded(path) == decoded(movie)
    assert packets(path, "a:0") == packets(movie, "a:0")
    streams = {stream["codec_type"]: stream for stream in probe(path)["streams"]}
    assert streams["video"]["nb_frames"] == "300"
    assert float(streams["video"]["duration"]) == pytest.approx(12, abs=0.05)


async def test_an_export_of_real_footage_is_bit_identical(shelf, playback, footage):
    shelf.record(demux(footage["vtest"]), file_s=20)
    assert decoded(await save(playback, shelf, -1, 600)) == decoded(footage["vtest"])


async def test_moov_comes_first(shelf, playback, movie):
    shelf.record(demux(movie), file_s=4)
    data = (await save(playback, shelf, 0, 60)).read_bytes()
    kinds, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        kinds.append(data[at + 4 : at + 8])
        at += size if size != 1 else int.from_bytes(data[at + 8 : at + 16])
    assert kinds == [b"ftyp", b"moov", b"mdat", b"uuid"]


async def test_an_export_is_exact_to_the_key_picture_before_its_start_and_to_its_end(
    shelf, playback, plain_movie
):
    shelf.record(demux(plain_movie), file_s=5)
    download = await export(playback, 3.35, 8.25)
    assert download.start_ns == NOON_NS + 3 * NS
    assert download.end_ns == NOON_NS + round(8.25 * NS)
    await download.close()
    path = await save(playback, shelf, 3.35, 8.25)
    assert decoded(path) == decoded(plain_movie)[30:83]  # 8.2 s begins before 8.25 s, 8.3 s does not


async def test_reordered_pictures_before_the_end_are_all_there(shelf, playback, movie):
    shelf.record(demux(movie))
    source = decoded(movie)
    for end_s in (3.01, 3.05, 3.09, 3.13, 3.5, 3.53):
        path = await save(playback, shelf, 2, end_s)
        due = int(end_s * 25) + 1
        assert decoded(path) == source[50:due]
        everything = decoded(path, "-ignore_editlist", "1")
        assert everything[: due - 50] == source[50:due]
        assert len(everything) <= due - 50 + 3  # and the pictures that the last ones need


async def test_sound_stays_with_the_picture_in_a_part(shelf, playback, movie):
    shelf.record(demux(movie), file_s=4)
    streams = {s["codec_type"]: s for s in probe(await save(playback, shelf, 5.5, 9.5))["streams"]}
    assert float(streams["video"]["duration"]) == pytest.approx(4.5, abs=0.15)
    assert float(streams["audio"]["duration"]) == pytest.approx(4.5, abs=0.15)
    assert abs(float(streams["audio"]["start_time"]) - float(streams["video"]["start_time"])) < 0.03


async def test_gaps_are_closed_up(shelf, playback, plain_movie):
    units = demux(plain_movie)
    shelf.record(units)
    shelf.record(moved(units, wall_s=100))
    download = await export(playback, 0, 200)
    assert download.breaks == 1
    await download.close()
    path = await save(playback, shelf, 0, 200)
    assert decoded(path) == decoded(plain_movie) * 2
    assert float(probe(path)["format"]["duration"]) == pytest.approx(24, abs=0.3)


async def test_the_open_recording_is_exported_up_to_its_last_whole_fragment(shelf, playback, plain_movie):
    shelf.record(demux(plain_movie), file_s=5, close=False)
    assert decoded(await save(playback, shelf, 0, 60)) == decoded(plain_movie)[:115]


async def test_two_recordings_of_the_same_time_are_exported_once(shelf, playback, plain_movie):
    units = demux(plain_movie)
    shelf.record([unit for unit in units if unit.capture_ns < NOON_NS + 7.3 * NS])
    shelf.record(moved([unit for unit in units if unit.capture_ns >= NOON_NS + 4 * NS], timeline_s=-2))
    assert decoded(await save(playback, shelf, 0, 60)) == decoded(plain_movie)


async def test_an_export_survives_the_deletion_of_its_files(shelf, playback, plain_movie):
    segments = shelf.record(demux(plain_movie), file_s=3)
    whole = (await save(playback, shelf, 0, 60)).read_bytes()
    download = await export(playback, 0, 60)
    for segment in segments:
        shelf.delete(segment.id)
    assert await read(download) == whole
    await download.close()


async def test_few_files_are_open_at_a_time(shelf, playback, plain_movie, monkeypatch):
    monkeypatch.setattr(files, "HELD_FILES", 2)
    shelf.record(demux(plain_movie), file_s=1)
    download = await export(playback, 0, 60)
    body = b""
    async for piece in download.chunks(0, download.size_bytes - 1):
        assert len(shelf.leaked) <= 2
        body += piece
    (shelf.folder / "export.mp4").write_bytes(body)
    assert decoded(shelf.folder / "export.mp4") == decoded(plain_movie)
    assert await read(download, 100, 200) == body[100:201]  # a second reader begins anew
    await download.close()


async def test_a_file_deleted_before_it_was_opened_is_a_typed_error(
    shelf, playback, plain_movie, monkeypatch
):
    monkeypatch.setattr(files, "HELD_FILES", 2)
    segments = shelf.record(demux(plain_movie), file_s=1)
    download = await export(playback, 0, 60)
    shelf.delete(segments[8].id)
    with pytest.raises(RecordingGone, match="was deleted while it was being sent"):
        await read(download)
    await download.close()


async def test_the_entity_tag_changes_exactly_when_the_bytes_do(shelf, playback, plain_movie):
    units = demux(plain_movie)
    shelf.record(units, file_s=4)
    tags = []
    for end_s in (7, 7, 8):
        download = await export(playback, 0, end_s)
        tags.append(download.etag)
        await download.close()
    assert tags[0] == tags[1] != tags[2]


@pytest.fixture(scope="module")
def shelf_of_files(tmp_path_factory, movie) -> Shelf:
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    shelf.record(demux(movie), file_s=2)
    return shelf


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(one=st.floats(0, 1), other=st.floats(0, 1))
def test_any_byte_range_is_that_slice_of_the_whole(shelf_of_files, one, other):
    async def check() -> None:
        playback = Playback(shelf_of_files)
        download = await export(playback, 1, 11)
        whole = await read(download)
        first, last = sorted(int(part * (download.size_bytes - 1)) for part in (one, other))
        assert await read(download, first, last) == whole[first : last + 1]
        await download.close()
        await playback.stop()

    asyncio.run(check())


async def test_exports_are_limited_and_a_closed_one_makes_room(shelf, playback, plain_movie):
    shelf.record(demux(plain_movie))
    running = [await export(playback, 0, 10) for _ in range(MAX_EXPORTS)]
    with pytest.raises(TooManyExports, match="try again when one has ended"):
        await export(playback, 0, 10)
    await running[0].close()
    await running[0].close()
    running[0] = await export(playback, 0, 10)
    for each in running:
        await each.close()
    assert playback.exports_active == 0


async def test_an_export_that_cannot_be_leaves_no_trace(shelf, playback, plain_movie):
    shelf.record(demux(plain_movie))
    with pytest.raises(NothingRecorded, match="ends at 2026-11-23T12:00:12"):
        await export(playback, 50, 60)
    with pytest.raises(RangeTooLong):
        await export(playback, 0, 26 * 3600)
    assert playback.exports_active == 0


async def test_a_file_that_cannot_be_read_is_named_and_not_left_out_of_an_export(
    shelf, playback, plain_movie
):
    segments = shelf.record(demux(plain_movie), file_s=4)
    data = bytearray(segments[1].path.read_bytes())
    with await shelf.open(segments[1].id) as opened:
        fragment = opened.file.fragments[1]
    data[fragment.offset : fragment.end] = bytes(fragment.size)
    segments[1].path.write_bytes(data)
    with pytest.raises(RecordingDamaged, match=f"{segments[1].id}.*ask for a range without it"):
        await export(playback, 0, 6)
    segments[1].path.write_bytes(bytes(1000))
    with pytest.raises(Unavailable, match=str(segments[1].id)):
        await export(playback, 0, 60)
    assert playback.exports_active == 0


async def test_a_reader_that_goes_away_releases_everything(shelf, playback, plain_movie):
    shelf.record(demux(plain_movie), file_s=2)
    download = await export(playback, 0, 60)
    reader = asyncio.create_task(read(download))
    await asyncio.sleep(0)
    reader.cancel()
    await asyncio.wait([reader])
    await download.close()
    assert playback.exports_active == 0


async def test_a_recording_file_is_read_by_byte_range(shelf, playback, plain_movie):
    segments = shelf.record(demux(plain_movie), file_s=6, close=False)
    for segment in segments:
        download = await playback.segment_bytes(PORCH, segment.id)
        data = segment.path.read_bytes()
        assert download.size_bytes == len(data)
        assert download.closed == segment.closed
        assert await read(download) == data
        assert await read(download, 48, 1000) == data[48:1001]
        await download.close()


async def test_an_export_over_a_change_of_encoding_has_parameter_sets_before_its_key_pictures(
    shelf, playback, plain_movie, movie
):
    shelf.record(demux(plain_movie))
    shelf.record(moved(demux(movie), wall_s=12, timeline_s=12))
    path = await save(playback, shelf, 0, 60)
    assert decoded(path) == decoded(plain_movie) + decoded(movie)
    download, whole = await export(playback, 0, 60), path.read_bytes()
    sets = download._body.inserted[0]
    assert whole.count(sets) == 12, "one a key picture of the second encoding"
    at = whole.index(sets)
    for first, last in (
        (at - 3, at + 2),
        (at, at + len(sets) - 1),
        (at + 5, at + len(sets) + 9),
        (at - 9, at + 999),
    ):
        assert await read(download, first, last) == whole[first : last + 1]
    await download.close()


async def test_a_request_for_bytes_looks_at_nothing_else_in_the_file(shelf, playback, plain_movie):
    (segment,) = shelf.record(demux(plain_movie))
    download = await playback.segment_bytes(PORCH, segment.id)
    assert not [opened for opened in shelf.opened if isinstance(opened, OpenSegment)]
    await download.close()
