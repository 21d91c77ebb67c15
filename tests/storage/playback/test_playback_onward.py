"""Recordings from a time on, as live view shows them: whole, each moment once, up to what is being recorded."""

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import pytest
from tests.storage.playback.shelf import NOON_NS, PORCH, Shelf, demux, moved, with_telephone_sound

from vms.common.clock import NS, ManualClock
from vms.common.errors import Unavailable
from vms.media import AccessUnit, Gap, GapReason, MediaKind
from vms.storage.errors import SegmentUnreadable
from vms.storage.playback import NothingRecorded, onward
from vms.storage.playback.onward import Init, Media, Missing, Onward, Watched
from vms.storage.segment import OpenFile


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(wall_ns=NOON_NS + 24 * 3600 * NS)


@pytest.fixture
async def player(shelf: Shelf, clock: ManualClock) -> AsyncIterator[Onward]:
    player = Onward(shelf, clock)
    yield player
    await player.stop()


async def watch(player: Onward, from_s: float) -> list[Watched]:
    async with asyncio.timeout(20):
        return [each async for each in player.play(PORCH, NOON_NS + round(from_s * NS))]


def kinds(watched: Sequence[Watched]) -> str:
    """I, M and - in order; what comes several times on end is there once."""
    letters = [{Init: "I", Media: "M", Missing: "-"}[type(each)] for each in watched]
    return "".join(letter for at, letter in enumerate(letters) if at == 0 or letters[at - 1] != letter)


def media(watched: Sequence[Watched]) -> list[Media]:
    return [each for each in watched if isinstance(each, Media)]


def pictures(watched: Sequence[Watched]) -> int:
    """How many an independent decoder finds."""
    data = b"".join(each.data for each in watched if not isinstance(each, Missing))
    with av.open(io.BytesIO(data), format="mp4") as container:
        return sum(1 for _ in container.decode(video=0))


def pieces(units: Sequence[AccessUnit], *parts: tuple[float, float]) -> list[list[AccessUnit]]:
    """The units captured in each of some parts, in seconds after noon."""
    return [[u for u in units if left * NS <= u.capture_ns - NOON_NS < right * NS] for left, right in parts]


async def test_all_files_from_the_key_picture_before_a_time_on_are_one_stream(
    shelf: Shelf, player: Onward, plain_movie: Path
) -> None:
    shelf.record(demux(plain_movie), file_s=3)
    watched = await watch(player, 4.5)
    assert kinds(watched) == "IM", "files that carry on from each other need one init"
    found = media(watched)
    assert found[0].start_ns == NOON_NS + 4 * NS
    assert found[0].media_s == pytest.approx(5, abs=0.2)
    assert all(abs(after.start_ns - before.end_ns) < NS // 100 for before, after in pairwise(found))
    assert found[-1].end_ns == pytest.approx(NOON_NS + 12 * NS, abs=NS // 100)
    assert pictures(watched) == 80


async def test_many_stretches_show_what_one_does(
    shelf: Shelf, player: Onward, plain_movie: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.record(demux(plain_movie), file_s=3)
    whole = await watch(player, 0)
    monkeypatch.setattr(onward, "STRETCH_NS", 1_700_000_000)
    assert await watch(player, 0) == whole


async def test_a_hole_is_told_with_the_recorder_s_reason_and_one_without_as_unknown(
    shelf: Shelf, player: Onward, plain_movie: Path
) -> None:
    first, second, third = pieces(demux(plain_movie), (0, 3), (5, 8), (10, 12))
    for units in (first, second, third):
        shelf.record(units)
    recorded = Gap(NOON_NS + 3 * NS, NOON_NS + 5 * NS, GapReason.CAMERA_LOST, "")
    shelf.recorded_gaps.append(recorded)
    watched = await watch(player, 1)
    assert kinds(watched) == "IM-IM-IM"
    one, other = [each for each in watched if isinstance(each, Missing)]
    assert (one.reason, other.reason) == (GapReason.CAMERA_LOST, GapReason.UNKNOWN)
    assert [one.start_ns, one.end_ns] == pytest.approx([NOON_NS + 3 * NS, NOON_NS + 5 * NS], abs=NS // 100)
    assert other.end_ns == NOON_NS + 10 * NS


async def test_a_time_before_all_recordings_begins_with_a_gap_however_long(
    shelf: Shelf, player: Onward, plain_movie: Path
) -> None:
    shelf.record(demux(plain_movie))
    watched = await watch(player, -5 * 3600)
    assert kinds(watched) == "-IM"
    assert watched[0] == Missing(NOON_NS - 5 * 3600 * NS, NOON_NS, GapReason.UNKNOWN)


async def test_nothing_at_all_is_an_error_that_says_what_is_near(
    shelf: Shelf, player: Onward, plain_movie: Path
) -> None:
    shelf.record(demux(plain_movie))
    with pytest.raises(NothingRecorded, match="the recording before it ends at"):
        await watch(player, 3600)


async def test_the_open_recording_is_shown_as_it_grows_until_recording_has_stopped(
    shelf: Shelf, player: Onward, clock: ManualClock, plain_movie: Path
) -> None:
    (whole,) = shelf.record(demux(plain_movie), close=False)
    shelf.files[whole.id] = replace(whole, size_bytes=whole.size_bytes // 2)
    clock.step_wall((whole.end_ns + NS - clock.wall_ns()) / NS)
    watched: list[Watched] = []
    waits = 0

    async with asyncio.timeout(20), aclosing(player.play(PORCH, NOON_NS + 2 * NS)) as playing:
        while True:
            following = asyncio.ensure_future(anext(playing, None))
            done, _ = await asyncio.wait([following], timeout=0.2)
            if not done:  # it waits for more
                waits += 1
                if waits == 1:
                    shelf.files[whole.id] = whole
                else:
                    clock.step_wall((whole.end_ns + 3600 * NS - clock.wall_ns()) / NS)
            each = await following
            if each is None:
                break
            watched.append(each)
    assert waits >= 2
    assert kinds(watched) == "IM", "what grew is no new beginning"
    starts = [each.start_ns for each in media(watched)]
    assert starts == sorted(set(starts))
    assert media(watched)[-1].end_ns == whole.end_ns
    assert pictures(watched) > 80


async def test_a_gap_that_lasts_is_told_at_the_end(
    shelf: Shelf, player: Onward, clock: ManualClock, plain_movie: Path
) -> None:
    (segment,) = shelf.record(demux(plain_movie))
    clock.step_wall((segment.end_ns + 5 * NS - clock.wall_ns()) / NS)
    shelf.recorded_gaps.append(Gap(segment.end_ns, None, GapReason.CAMERA_LOST, ""))
    watched = await watch(player, 8)
    assert watched[-1] == Missing(segment.end_ns, clock.wall_ns(), GapReason.CAMERA_LOST)


async def test_sound_that_browsers_take_is_named_and_other_sound_is_hidden(
    shelf: Shelf, player: Onward, clock: ManualClock, sounding_movie: Path
) -> None:
    units = demux(sounding_movie)
    shelf.record(units)
    shelf.record(moved(with_telephone_sound(units), wall_s=100))
    watched = await watch(player, 0)
    heard, silent = [each for each in watched if isinstance(each, Init)]
    assert heard.mime.startswith('video/mp4; codecs="avc1.')
    assert heard.mime.endswith(',mp4a.40.2"')
    assert "," not in silent.mime
    assert (b"soun" in heard.data, b"soun" in silent.data) == (True, False)


async def test_a_file_that_cannot_be_read_is_a_gap_and_alone_an_error(
    shelf: Shelf, player: Onward, plain_movie: Path
) -> None:
    first, *_ = shelf.record(demux(plain_movie), file_s=3)
    first.path.write_bytes(b"x" * first.size_bytes)
    assert kinds(await watch(player, 0)) == "-IM"
    shelf.files = {first.id: first}
    with pytest.raises(SegmentUnreadable):
        await watch(player, 0)


async def test_a_viewer_that_leaves_leaves_no_file_open(
    shelf: Shelf, player: Onward, plain_movie: Path
) -> None:
    shelf.record(demux(plain_movie), file_s=3)
    for count in range(6):
        async with aclosing(player.play(PORCH, NOON_NS)) as playing:
            for _ in range(count):
                await anext(playing)
    assert len(shelf.opened) > 5
    assert not shelf.leaked


async def test_a_file_that_was_deleted_while_it_is_watched_is_watched_to_its_end(
    shelf: Shelf, player: Onward, plain_movie: Path
) -> None:
    for segment in shelf.record(demux(plain_movie), file_s=6):
        last = segment
    async with aclosing(player.play(PORCH, NOON_NS)) as playing:
        watched = [await anext(playing)]
        for segment_id in list(shelf.files):
            shelf.delete(segment_id)
        watched += [each async for each in playing]
    assert media(watched)[-1].end_ns == last.end_ns
    assert any(track.kind is MediaKind.VIDEO for track in shelf.opened[0].file.tracks)  # type: ignore[attr-defined]


async def test_a_disk_that_does_not_answer_is_told_and_its_file_is_closed_when_it_does(
    shelf: Shelf, player: Onward, plain_movie: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.record(demux(plain_movie))
    answers = threading.Event()

    def silent(opened: OpenFile, reads: object) -> bytes:
        answers.wait(20)
        return opened.read_at(0, 1)

    monkeypatch.setattr(onward, "read_parts", silent)
    monkeypatch.setattr(onward, "READ_TIMEOUT_S", 0.05)
    with pytest.raises(Unavailable, match="was not read in"):
        await watch(player, 0)
    assert shelf.leaked, "a thread is in it"
    answers.set()
    async with asyncio.timeout(20):
        while shelf.leaked:
            await asyncio.sleep(0.01)
