"""A tier on a disk or a share: what is there is whole, and nothing goes where no tier is."""

import errno
import os
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from tests.storage.faults import small_disk

from vms.config import TierConfig
from vms.storage import disk
from vms.storage.body import PlainBody
from vms.storage.tiers import CopyDiffers, TierFull, TierUnavailable
from vms.storage.tiers.directory import IDENTITY_NAME, MEMORY_NAME, DirectoryTier
from vms.storage.tiers.pace import MovePace, MoveStopped
from vms.storage.tiers.store import SourceUnreadable

NAME = "porch/2026-11-23/14-05-00.000Z-main.mp4"
OTHER = "porch/2026-11-24/14-05-00.000Z-main.mp4"
DATA = random.Random(7).randbytes(3_300_001)
VOLUME = uuid4()


def tier(share: Path, volume: Path, volume_id: UUID = VOLUME, **options: object) -> DirectoryTier:
    tree: dict[str, object] = {"name": "archive", "path": share, "after": 60.0}
    volume.mkdir(exist_ok=True)
    return DirectoryTier(TierConfig.model_validate(tree | options), volume_id, volume / MEMORY_NAME)


def body(data: bytes = DATA) -> PlainBody:
    descriptor = os.memfd_create("recording")
    os.write(descriptor, data)
    return PlainBody(descriptor)


def everything(store: DirectoryTier, name: str) -> bytes:
    opened = store.open(name)
    try:
        return opened.read_at(0, opened.size_bytes)
    finally:
        opened.close()


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_copy_is_read_back_by_range_and_listed_and_removed(tmp_path: Path) -> None:
    store = tier(tmp_path / "share", tmp_path / "volume")
    assert store.put_file(NAME, body()) == len(DATA)
    assert store.put_file(OTHER, body(b"other")) == 5
    with_range = store.open(NAME)
    assert with_range.size_bytes == len(DATA)
    assert with_range.read_at(1_000_000, 70_000) == DATA[1_000_000:1_070_000]
    assert with_range.read_at(len(DATA) - 3, 100) == DATA[-3:]
    with_range.close()
    assert [(each.name, each.size_bytes) for each in store.list()] == [(NAME, len(DATA)), (OTHER, 5)]
    assert [each.name for each in store.list("porch/2026-11-24/")] == [OTHER]
    assert [each.name for each in store.list("po")] == [NAME, OTHER]
    assert list(store.list("yard")) == []
    store.delete([NAME, "porch/2026-11-23/no-such.mp4"])
    assert [each.name for each in store.list()] == [OTHER]
    with pytest.raises(FileNotFoundError):
        store.open(NAME)
    store.delete([OTHER])
    assert files(tmp_path / "share") == [IDENTITY_NAME], "nothing is left, not even directories' files"


def test_foreign_files_in_a_tier_are_no_recordings(tmp_path: Path) -> None:
    store = tier(tmp_path / "share", tmp_path / "volume")
    store.put_file(NAME, body())
    folder = tmp_path / "share" / str(VOLUME) / "porch" / "2026-11-23"
    (folder / "notes.txt").write_text("hello")
    (folder / f".{Path(NAME).name}.0a1b2c3d.new").write_bytes(b"half a copy")
    assert [each.name for each in store.list()] == [NAME]


def test_a_share_that_is_not_mounted_is_not_written_into_and_not_taken_for_empty(tmp_path: Path) -> None:
    share = tmp_path / "share"
    with small_disk(share, 32 << 20):
        store = tier(share, tmp_path / "volume")
        store.put_file(NAME, body())
        assert everything(store, NAME) == DATA
    # Unmounted: an empty directory is there.
    for attempt in (
        lambda: store.put_file(OTHER, body()),
        lambda: store.delete([NAME]),
        lambda: store.open(NAME),
        lambda: list(store.list()),
        store.check,
    ):
        with pytest.raises(TierUnavailable, match=r"tier archive: .* is not mounted; mount it"):
            attempt()
    assert list(share.iterdir()) == []


def test_another_share_at_the_same_place_is_told_from_the_right_one(tmp_path: Path) -> None:
    share, volume = tmp_path / "share", tmp_path / "volume"
    tier(share, volume).put_file(NAME, body())
    share.rename(tmp_path / "right")
    tier(share, tmp_path / "other volume").put_file(NAME, body())
    with pytest.raises(TierUnavailable, match="another tier"):
        tier(share, volume).put_file(OTHER, body())
    share.rename(tmp_path / "wrong")
    (tmp_path / "right").rename(share)
    assert everything(tier(share, volume), NAME) == DATA


def test_two_volumes_share_a_tier(tmp_path: Path) -> None:
    one = tier(tmp_path / "share", tmp_path / "one")
    two = DirectoryTier(
        TierConfig(name="archive", path=tmp_path / "share", after=60.0),
        uuid4(),
        tmp_path / "one" / MEMORY_NAME,
    )
    one.put_file(NAME, body(b"one"))
    two.put_file(NAME, body(b"two"))
    assert (everything(one, NAME), everything(two, NAME)) == (b"one", b"two")
    two.delete([NAME])
    assert everything(one, NAME) == b"one"


def test_a_full_disk_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with small_disk(tmp_path / "share", 2 << 20) as share:
        store = tier(share, tmp_path / "volume")
        store.put_file(OTHER, body(b"fits"))
        with pytest.raises(TierFull, match="tier archive: its disk is full"):
            store.put_file(NAME, body())
        assert [each.name for each in store.list()] == [OTHER]
        assert not [name for name in files(share) if name.endswith(".new")]


def test_a_share_that_became_read_only_is_told_and_still_read(tmp_path: Path) -> None:
    with small_disk(tmp_path / "share", 16 << 20) as share:
        store = tier(share, tmp_path / "volume")
        store.put_file(NAME, body())
        subprocess.run(["mount", "-o", "remount,ro", share], check=True)
        for attempt in (lambda: store.put_file(OTHER, body()), lambda: store.delete([NAME])):
            with pytest.raises(TierUnavailable, match="mounted read-only"):
                attempt()
        assert everything(store, NAME) == DATA


def test_a_disk_that_damages_what_it_writes_is_found_out_before_the_copy_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tier(tmp_path / "share", tmp_path / "volume")
    write = disk.write_all

    def damaging(descriptor: int, buffers: list[bytes], offset: int) -> None:
        write(descriptor, buffers, offset)
        if offset:
            write(descriptor, [b"\x00"], offset + 17)

    monkeypatch.setattr(disk, "write_all", damaging)
    with pytest.raises(CopyDiffers, match="check the disk"):
        store.put_file(NAME, body(b"\xff" * 3_000_000))
    assert list(store.list()) == []
    assert files(tmp_path / "share") == [IDENTITY_NAME]


def test_a_copy_replaces_what_an_interrupted_one_left(tmp_path: Path) -> None:
    store = tier(tmp_path / "share", tmp_path / "volume")
    store.put_file(NAME, body(b"older, and longer than what comes" * 1000))
    partial = tmp_path / "share" / str(VOLUME) / NAME
    partial = partial.with_name(f".{partial.name}.0a1b2c3d.new")
    partial.write_bytes(b"x" * 9_000_000)
    store.put_file(NAME, body())
    assert everything(store, NAME) == DATA
    assert not partial.exists()
    partial.write_bytes(b"x")
    store.delete([NAME])
    assert not partial.exists(), "what is left of a copy goes with it"


def test_a_recording_that_cannot_be_read_is_not_the_tiers_fault(tmp_path: Path) -> None:
    class Broken(PlainBody):
        def read_at(self, offset: int, size: int) -> bytes:
            if offset > 1_000_000:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().read_at(offset, size)

    descriptor = os.memfd_create("broken")
    os.write(descriptor, DATA)
    store = tier(tmp_path / "share", tmp_path / "volume")
    with pytest.raises(SourceUnreadable, match="Input/output error"):
        store.put_file(NAME, Broken(descriptor))
    assert list(store.list()) == []


def test_a_copy_ends_when_the_system_does(tmp_path: Path) -> None:
    store, pace = tier(tmp_path / "share", tmp_path / "volume"), MovePace()
    pace.stop()
    with pytest.raises(MoveStopped):
        store.put_file(NAME, body(), pace)
    assert files(tmp_path / "share") == [IDENTITY_NAME]


def test_a_damaged_identity_is_told_with_what_to_do(tmp_path: Path) -> None:
    store = tier(tmp_path / "share", tmp_path / "volume")
    store.put_file(NAME, body())
    (tmp_path / "share" / IDENTITY_NAME).write_text("{")
    with pytest.raises(TierUnavailable, match="is damaged; restore it"):
        store.put_file(OTHER, body())
    (tmp_path / "volume" / MEMORY_NAME).write_text("[1")
    with pytest.raises(TierUnavailable, match="remove it to accept"):
        store.check()


def test_a_share_that_cannot_sync_directories_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(directory: Path) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    store = tier(tmp_path / "share", tmp_path / "volume")
    store.put_file(OTHER, body(b"makes the memory of the volume"))
    monkeypatch.setattr(disk, "fsync_directory", refuse)
    store.put_file(NAME, body())
    assert everything(store, NAME) == DATA
    store.delete([NAME])
    assert [each.name for each in store.list()] == [OTHER]


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_whoever_makes_a_tier_first_names_it_for_all_volumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    volumes = [tmp_path / f"volume-{number}" for number in range(8 if links else 1)]
    stores = [tier(tmp_path / "share", volume, uuid4()) for volume in volumes]
    with ThreadPoolExecutor(8) as threads:
        sizes = list(threads.map(lambda store: store.put_file(NAME, body(b"all the same")), stores))
    assert sizes == [12] * len(stores)
    memories = {(volume / MEMORY_NAME).read_text() for volume in volumes}
    assert len(memories) == 1
    for store in stores:
        store.check()
    assert [name for name in files(tmp_path / "share") if name.startswith("vms-tier")] == [IDENTITY_NAME]
