"""Volumes are recognised: a missing, exchanged or doubly used disk is noticed."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from tests.storage.conftest import Start
from tests.storage.faults import small_disk

from vms.common.clock import ManualClock
from vms.config import VolumeConfig
from vms.storage.errors import VolumeUnavailable
from vms.storage.identity import KnownVolumes, identify
from vms.storage.layout import IDENTITY_NAME
from vms.storage.volume import Volume


def test_a_volume_keeps_its_identity(tmp_path: Path) -> None:
    memory = tmp_path / "state" / "volumes.json"
    first, changed = identify(tmp_path / "volume", KnownVolumes(memory))
    assert not changed
    assert identify(tmp_path / "volume", KnownVolumes(memory)) == (first, False)


def test_another_disk_at_the_same_path_is_noticed(tmp_path: Path) -> None:
    memory = tmp_path / "volumes.json"
    first, _ = identify(tmp_path / "volume", KnownVolumes(memory))
    (tmp_path / "volume").rename(tmp_path / "old")
    second, changed = identify(tmp_path / "volume", KnownVolumes(memory))
    assert changed
    assert second != first


def test_a_disk_that_is_not_mounted_is_not_replaced_by_its_mount_point(tmp_path: Path) -> None:
    memory = tmp_path / "volumes.json"
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        first, _ = identify(disk, KnownVolumes(memory))
        assert first
    with pytest.raises(VolumeUnavailable, match="not mounted"):
        identify(tmp_path / "disk", KnownVolumes(memory))
    assert list((tmp_path / "disk").iterdir()) == []


def test_a_damaged_identity_file_is_a_typed_error(tmp_path: Path) -> None:
    identify(tmp_path / "volume", KnownVolumes(None))
    (tmp_path / "volume" / IDENTITY_NAME).write_text("{}")
    with pytest.raises(VolumeUnavailable, match="damaged"):
        identify(tmp_path / "volume", KnownVolumes(None))


def test_a_damaged_memory_of_volumes_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "volumes.json").write_text("[1]")
    with pytest.raises(VolumeUnavailable, match="damaged"):
        KnownVolumes(tmp_path / "volumes.json")


def test_a_volume_in_use_is_not_used_by_a_second_system(tmp_path: Path, clock: ManualClock) -> None:
    config = VolumeConfig(path=tmp_path / "volume")
    first, second = (Volume(config, clock, KnownVolumes(None), name) for name in ("one", "two"))
    first.open()
    with pytest.raises(VolumeUnavailable, match="another running system"):
        second.open()
    first.close()
    second.open()
    second.close()


@pytest.mark.parametrize("systems", [["one"] * 8, ["one", "two"] * 4])
def test_processes_that_come_at_once_agree_whose_volume_it_is(
    tmp_path: Path, clock: ManualClock, systems: list[str]
) -> None:
    config = VolumeConfig(path=tmp_path / "volume")
    memory = tmp_path / "volumes.json"
    volumes = [Volume(config, clock, KnownVolumes(memory), system) for system in systems]

    def opened(volume: Volume) -> bool:
        try:
            volume.open()
        except VolumeUnavailable:
            return False
        return True

    with ThreadPoolExecutor(len(volumes)) as threads:
        came_in = list(threads.map(opened, volumes))
    winners = {system for system, own in zip(systems, came_in, strict=True) if own}
    assert len(winners) == 1
    assert came_in == [system in winners for system in systems], "all of one system, none of the other"
    assert len({volume.id for volume, own in zip(volumes, came_in, strict=True) if own}) == 1
    for volume in volumes:
        volume.close()


def test_processes_remember_their_volumes_in_one_file(tmp_path: Path) -> None:
    memory = tmp_path / "volumes.json"
    first, second = KnownVolumes(memory), KnownVolumes(memory)
    identify(tmp_path / "a", first)
    identify(tmp_path / "b", second)
    again = KnownVolumes(memory)
    assert again.get(tmp_path / "a") is not None
    assert again.get(tmp_path / "b") is not None


async def test_two_paths_to_one_volume_are_one_volume(
    start: Start, tmp_path: Path, clock: ManualClock
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    service = await start(volumes=[VolumeConfig(path=tmp_path / name) for name in ("real", "link")])
    errors = [keeper.volume.error for keeper in service._keepers]
    assert sum(error is None for error in errors) == 1
    errors = [volume.error for volume in service._recording.volumes]
    assert sum(error is None for error in errors) == 1


def test_a_volume_in_a_folder_of_a_disk_that_is_not_mounted_is_not_made_anew(tmp_path: Path) -> None:
    memory = tmp_path / "volumes.json"
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        identify(disk / "vms" / "one", KnownVolumes(memory))
    with pytest.raises(VolumeUnavailable, match=f"not mounted at {tmp_path / 'disk'}") as caught:
        identify(tmp_path / "disk" / "vms" / "one", KnownVolumes(memory))
    assert caught.value.kind == "gone"
    assert list((tmp_path / "disk").iterdir()) == [], "the system disk is not filled instead"
    (tmp_path / "disk").rmdir()
    with small_disk(tmp_path / "disk", 1 << 20) as another:
        _, changed = identify(another / "vms" / "one", KnownVolumes(memory))
        assert changed, "a new disk is mounted there: it is taken, with a warning"


def test_what_the_version_before_remembered_is_understood(tmp_path: Path) -> None:
    memory = tmp_path / "volumes.json"
    (tmp_path / "disk").mkdir()
    memory.write_text(json.dumps({str(tmp_path / "disk"): {"id": str(uuid4()), "mounted": True}}))
    with pytest.raises(VolumeUnavailable, match="not mounted"):
        identify(tmp_path / "disk", KnownVolumes(memory))
    known = {"id": str(uuid4()), "mounted": False, "from a newer version": 1}
    memory.write_text(json.dumps({str(tmp_path / "volume"): known}))
    _, changed = identify(tmp_path / "volume", KnownVolumes(memory))
    assert changed
