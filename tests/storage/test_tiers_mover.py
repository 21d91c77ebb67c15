"""Recordings on their way through tiers: nothing is lost, whatever ends when, and all of it plays as before."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.storage.faults import small_disk
from tests.storage.seaweedfs import S3Server
from tests.storage.tiered import AGE_S, ALL, PORCH, Make, TieredVolume, copies, directory, local, names, shown

from vms.common.clock import NS
from vms.config import EncryptionConfig
from vms.storage import disk, recovery
from vms.storage.errors import SegmentNotFound
from vms.storage.recent import days_of
from vms.storage.repair import RecoveryCounters
from vms.storage.tiers.moving import MovingNotes


class Ended(Exception):
    """The system ends here."""


def _after(thing: object, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was called is done, and then the system ends."""
    real = getattr(thing, method)

    def call(*args: object, **kwargs: object) -> object:
        real(*args, **kwargs)
        raise Ended

    monkeypatch.setattr(thing, method, call)


def _instead(
    thing: object,
    method: str,
    monkeypatch: pytest.MonkeyPatch,
    where: Callable[..., bool] = lambda *_: True,
) -> None:
    real = getattr(thing, method)

    def call(*args: object, **kwargs: object) -> object:
        if not where(*args):
            return real(*args, **kwargs)
        raise Ended

    monkeypatch.setattr(thing, method, call)


STEPS: dict[str, Callable[[TieredVolume, pytest.MonkeyPatch], None]] = {
    "before the note": lambda tiered, patch: _instead(MovingNotes, "add", patch),
    "after the note": lambda tiered, patch: _after(MovingNotes, "add", patch),
    "in the copy": lambda tiered, patch: _after(disk, "write_all", patch),
    "before the copy is named": lambda tiered, patch: _instead(
        Path, "replace", patch, lambda _, target: target.suffix == ".mp4"
    ),
    "after the copy": lambda tiered, patch: _after(tiered.store("archive"), "put_file", patch),
    "before the row": lambda tiered, patch: _instead(type(tiered.volume.catalog._catalog), "moved", patch),
    "after the row": lambda tiered, patch: _after(type(tiered.volume.catalog._catalog), "moved", patch),
    "before the old copy goes": lambda tiered, patch: _instead(disk, "remove_each", patch),
    "after the old copy went": lambda tiered, patch: _after(disk, "remove_each", patch),
    "before that is noted": lambda tiered, patch: _instead(
        type(tiered.volume.catalog._catalog), "removed", patch
    ),
    "after the note is gone": lambda tiered, patch: _after(MovingNotes, "drop", patch),
}


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize("kind", ["directory", "s3"])
async def test_what_is_old_moves_and_plays_as_before_bit_for_bit(
    make: Make, tmp_path: Path, s3_server: S3Server, kind: str, encrypted: bool
) -> None:
    tier = s3_server.tier(name="archive") if kind == "s3" else directory(tmp_path)
    encryption = None
    if encrypted:
        key = tmp_path / "key"
        key.write_text("ab" * 32)
        key.chmod(0o600)
        encryption = EncryptionConfig(key_file=key)
    tiered = make([tier], encryption=encryption)
    old = await tiered.record(3)
    tiered.clock.advance(AGE_S)
    young = await tiered.record(2)
    before = await shown(tiered, [*old, *young])
    stored = {segment.path: segment.path.read_bytes() for segment in old}
    await tiered.mover.settled()
    assert local(tiered) == names(tiered, young)
    assert copies(tiered, "archive") == names(tiered, old)
    for segment in old:
        copy = tiered.store("archive").open(segment.path.relative_to(tiered.config.path).as_posix())
        assert copy.read_at(0, copy.size_bytes) == stored[segment.path], "as it lay on the disk"
        copy.close()
    assert [each.tier for each in await tiered.library.segments(PORCH, *ALL)] == ["archive"] * 3 + [""] * 2
    assert await shown(tiered, [*old, *young]) == before
    for segment in old:
        with await tiered.library.open(segment.id) as opened:
            assert opened.file.fragments
        index = await tiered.library.index(segment.id)
        assert index.fragments == opened.file.fragments
    assert tiered.volume.closed_bytes == sum(segment.size_bytes for segment in young)
    (state,) = tiered.mover.states()
    assert (state.name, state.kind, state.error) == ("archive", kind, "")
    assert state.used_bytes == sum(segment.size_bytes for segment in old)
    assert (tiered.mover.moved, tiered.mover.alarms()) == (3, ())


async def test_recordings_go_from_tier_to_tier_by_their_age(
    make: Make, tmp_path: Path, s3_server: S3Server
) -> None:
    tiers = [directory(tmp_path), s3_server.tier(after=3 * AGE_S)]
    tiered = make(tiers)
    oldest = await tiered.record(2)
    tiered.clock.advance(2 * AGE_S)
    older = await tiered.record(2)
    before = await shown(tiered, [*oldest, *older])
    tiered.clock.advance(AGE_S)
    await tiered.mover.settled()
    await tiered.mover.settled()
    assert local(tiered) == []
    assert copies(tiered, "archive") == names(tiered, older)
    assert copies(tiered, "cloud") == names(tiered, oldest)
    assert await shown(tiered, [*oldest, *older]) == before


@pytest.mark.parametrize("step", STEPS)
async def test_wherever_a_move_ends_nothing_is_lost_and_the_next_life_finishes_it(
    make: Make, tmp_path: Path, step: str
) -> None:
    tiered = make([directory(tmp_path)])
    segments = await tiered.record(3)
    before = await shown(tiered, segments)
    tiered.clock.advance(AGE_S)
    with pytest.MonkeyPatch.context() as patch:
        STEPS[step](tiered, patch)
        with capture_logs() as logged:
            await tiered.mover.settled()
    assert [each["exc_info"].__class__ for each in logged if "exc_info" in each] == [Ended]
    assert await shown(tiered, segments) == before, "in the state that the end left"
    await tiered.restart()
    assert await shown(tiered, segments) == before
    await tiered.mover.settled()
    assert local(tiered) == []
    assert copies(tiered, "archive") == names(tiered, segments)
    assert not [path for path in (tmp_path / "archive").rglob("*") if path.name.endswith(".new")]
    assert MovingNotes(tiered.config.path).read() == []
    assert await tiered.volume.catalog.run(lambda each: each.removals(10)) == []
    assert await shown(tiered, segments) == before
    assert tiered.volume.closed_bytes == 0


async def test_a_copy_that_got_no_row_goes_when_its_recording_will_not_move_there(
    make: Make, tmp_path: Path
) -> None:
    tiered = make([directory(tmp_path)])
    segments = await tiered.record(1)
    tiered.clock.advance(AGE_S)
    with pytest.MonkeyPatch.context() as patch:
        STEPS["after the copy"](tiered, patch)
        await tiered.mover.settled()
    assert copies(tiered, "archive") == names(tiered, segments)
    tiered.clock.step_wall(-AGE_S)  # it is too young again
    await tiered.restart()
    await tiered.mover.settled()
    assert copies(tiered, "archive") == []
    assert local(tiered) == names(tiered, segments)


async def test_what_is_being_copied_is_not_taken_for_what_an_earlier_life_left(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiered = make([directory(tmp_path)])
    segments = await tiered.record(2)
    before = await shown(tiered, segments)
    store, put = tiered.store("archive"), tiered.store("archive").put_file
    loop = asyncio.get_running_loop()

    def with_a_look(name: str, body: object, pace: object) -> int:
        size = put(name, body, pace)  # type: ignore[arg-type]
        look = asyncio.run_coroutine_threadsafe(tiered.mover._leftovers.resume(), loop)
        look.result(30)  # the first look of a keeper, while room is still being made
        return size

    monkeypatch.setattr(store, "put_file", with_a_look)
    await tiered.mover.make_room(1 << 40)
    assert copies(tiered, "archive") == names(tiered, segments)
    assert await shown(tiered, segments) == before


async def test_making_room_first_forgets_no_note_of_an_earlier_life(make: Make, tmp_path: Path) -> None:
    tiered = make([directory(tmp_path)])
    segments = await tiered.record(3)
    tiered.clock.advance(AGE_S)
    with pytest.MonkeyPatch.context() as patch:
        STEPS["after the copy"](tiered, patch)
        await tiered.mover.settled()
    left = copies(tiered, "archive")
    assert left
    await tiered.restart()
    with pytest.MonkeyPatch.context() as patch:
        _instead(type(tiered.store("archive")), "put_file", patch)
        with pytest.raises(Ended):
            await tiered.mover.make_room(1)
    assert copies(tiered, "archive") == [], "they got no row, and their recordings are on the volume"
    assert local(tiered) == names(tiered, segments)


async def test_an_old_file_that_cannot_be_removed_holds_up_no_other(make: Make, tmp_path: Path) -> None:
    tiered = make([directory(tmp_path)])
    segments = await tiered.record(3)
    tiered.clock.advance(AGE_S)
    with pytest.MonkeyPatch.context() as patch:
        _instead(disk, "remove_each", patch)
        await tiered.mover.settled()
    segments[0].path.unlink()
    segments[0].path.mkdir()  # a name that cannot be unlinked, as of an immutable file
    for _ in range(2):
        await tiered.mover.settled()
        await tiered.mover.look()  # raises what failed
    assert local(tiered) == names(tiered, segments[:1])
    left = await tiered.volume.catalog.run(lambda each: each.removals(10))
    assert [each.segment.id for each in left] == [segments[0].id]


@pytest.mark.parametrize("way", ["told", "found"])
async def test_a_recording_of_the_same_millisecond_gets_a_name_of_its_own(
    make: Make, tmp_path: Path, way: str
) -> None:
    tiered = make([directory(tmp_path)])
    (moved,) = await tiered.record(1)
    tiered.clock.advance(AGE_S)
    await tiered.mover.settled()
    tiered.clock.step_wall((moved.start_ns - tiered.clock.wall_ns()) / NS)  # the clock was set back
    second = tiered._write()
    assert second.path == moved.path, "its writer knows of no other"
    counters = RecoveryCounters()
    if way == "told":
        settled = recovery.settle(tiered.volume, names(tiered, [second]), counters)
    else:
        day = days_of(second.path.parent.parent)[0]
        settled = recovery.reconcile(tiered.volume, day, counters)
    assert settled.names == names(tiered, [second])
    tiered.clock.advance(AGE_S)
    await tiered.mover.settled()
    assert len(copies(tiered, "archive")) == 2
    for segment in (moved, second):
        with await tiered.library.open(segment.id) as opened:
            assert opened.file.identity.segment_id == segment.id


async def test_a_copy_may_be_the_only_one_when_the_catalog_knows_nothing_so_it_stays(
    make: Make, tmp_path: Path
) -> None:
    tiered = make([directory(tmp_path)])
    segments = await tiered.record(1)
    tiered.clock.advance(AGE_S)
    with pytest.MonkeyPatch.context() as patch:
        _instead(MovingNotes, "drop", patch)
        await tiered.mover.settled()
    await tiered.mover.stop()
    tiered.volume.close()
    for file in tiered.config.path.glob("vms-catalog*"):
        file.unlink()
    tiered.volume = tiered.open()
    tiered.mover = tiered.new_mover()
    await tiered.mover.settled()
    assert copies(tiered, "archive") == names(tiered, segments)


async def test_a_recording_that_is_deleted_while_it_is_copied_is_not_left_in_the_tier(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiered = make([directory(tmp_path)])
    segments = await tiered.record(2)
    tiered.clock.advance(AGE_S)
    store, put = tiered.store("archive"), tiered.store("archive").put_file

    def deleting(name: str, body: object, pace: object) -> int:
        size = put(name, body, pace)  # type: ignore[arg-type]
        if name == names(tiered, segments)[0]:
            tiered.volume.catalog.submit(lambda each: each.mark_deleting([segments[0].id])).result()
        return size

    monkeypatch.setattr(store, "put_file", deleting)
    await tiered.mover.settled()
    assert copies(tiered, "archive") == names(tiered, segments[1:])
    assert MovingNotes(tiered.config.path).read() == []


async def test_what_is_deleted_in_a_tier_goes_from_it(make: Make, tmp_path: Path) -> None:
    tiered = make([directory(tmp_path)])
    segments = await tiered.record(2)
    tiered.clock.advance(AGE_S)
    await tiered.mover.settled()
    gone = segments[0].id
    await tiered.volume.catalog.run(lambda each: each.mark_deleting([gone]))
    await tiered.volume.catalog.run(lambda each: each.remove([gone]))
    await tiered.mover.settled()
    assert copies(tiered, "archive") == names(tiered, segments[1:])
    with pytest.raises(SegmentNotFound):
        await tiered.library.open(gone)


async def test_a_full_volume_moves_its_oldest_before_their_time(make: Make, tmp_path: Path) -> None:
    tiered = make([directory(tmp_path)])
    segments = await tiered.record(5)
    before = await shown(tiered, segments)
    wanted = segments[0].size_bytes + 1
    freed = await tiered.mover.make_room(wanted)
    assert freed == sum(segment.size_bytes for segment in segments[:2])
    assert local(tiered) == names(tiered, segments[2:])
    assert await tiered.mover.make_room(1 << 40) == sum(segment.size_bytes for segment in segments[2:])
    assert await tiered.mover.make_room(1 << 40) == 0, "there is nothing left"
    assert await shown(tiered, segments) == before


async def test_no_room_is_made_where_the_tiers_take_no_more(make: Make, tmp_path: Path) -> None:
    with small_disk(tmp_path / "archive", 160 << 10):
        tiered = make([directory(tmp_path)])
        segments = await tiered.record(8)
        room = (160 << 10) // segments[0].size_bytes
        assert room < 8, "the disk is smaller than what is recorded"
        freed = await tiered.mover.make_room(1 << 40)
        assert freed < sum(segment.size_bytes for segment in segments)
        assert tiered.mover.alarms() == ("tier_full:archive",)
        assert sorted(local(tiered) + copies(tiered, "archive")) == names(tiered, segments)


async def test_room_is_not_waited_for_longer_than_told(make: Make, s3_server: S3Server) -> None:
    tiered = make([s3_server.tier()])
    segments = await tiered.record(2)
    tiered.store("cloud").check()
    s3_server.hang()
    try:
        assert await tiered.mover.make_room(1, within_s=0.3) == 0
    finally:
        s3_server.go_on()
    assert await tiered.mover.make_room(1, within_s=60) > 0, "what was begun went on"
    assert sorted(local(tiered) + copies(tiered, "cloud")) == names(tiered, segments)


async def test_a_tier_over_its_quota_passes_its_oldest_on(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiers = [directory(tmp_path), directory(tmp_path, "vault", after=1000 * AGE_S)]
    tiered = make(tiers)
    segments = await tiered.record(6)
    tiered.clock.advance(AGE_S)
    size = segments[0].size_bytes
    monkeypatch.setattr(tiered.store("archive"), "quota_bytes", 3 * size + 10)
    for _ in range(4):
        await tiered.mover.settled()
    assert local(tiered) == []
    assert len(copies(tiered, "archive")) == 3
    assert copies(tiered, "vault") == names(tiered, segments[:3])
    assert tiered.mover.alarms() == ()


async def test_the_last_tier_over_its_quota_takes_no_more_until_something_goes(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiered = make([directory(tmp_path)])
    segments = await tiered.record(6)
    tiered.clock.advance(AGE_S)
    monkeypatch.setattr(tiered.store("archive"), "quota_bytes", 2 * segments[0].size_bytes)
    await tiered.mover.settled()
    assert tiered.mover.alarms() == ("tier_full:archive",)
    kept = len(copies(tiered, "archive"))
    assert 3 <= kept <= 4, "beyond the quota by what was on its way"
    ids = [segment.id for segment in segments[: kept - 1]]
    await tiered.volume.catalog.run(lambda each: each.mark_deleting(ids))
    await tiered.volume.catalog.run(lambda each: each.remove(ids))
    await tiered.mover.settled()
    assert len(local(tiered)) < 6 - kept


async def test_stopping_gives_up_what_was_begun(make: Make, s3_server: S3Server) -> None:
    tiered = make([s3_server.tier()])
    segments = await tiered.record(3)
    before = await shown(tiered, segments)
    tiered.clock.advance(AGE_S)
    await tiered.mover.look()
    await tiered.mover.stop()
    assert tiered.mover.moved < 3
    assert await shown(tiered, segments) == before
    await tiered.restart()
    await tiered.mover.settled()
    assert (local(tiered), copies(tiered, "cloud")) == ([], names(tiered, segments))
    assert await shown(tiered, segments) == before
