"""A whole system on an encrypted volume: recorded, found, opened, crashed and repaired, and nothing in the clear."""

from pathlib import Path

import pytest
from tests.storage.conftest import Start
from tests.storage.faults import crashed_copy
from tests.storage.scripted_camera import ScriptedCamera, pictures, until, written

from vms.common.clock import ManualClock
from vms.common.ids import CameraId
from vms.config import EncryptionConfig, KeySource, VolumeConfig
from vms.storage.keyring import new_key_file
from vms.storage.service import StorageService

ALL = (0, 1 << 62)
PORCH = CameraId("porch")


@pytest.fixture
def encryption(tmp_path: Path) -> EncryptionConfig:
    new_key_file(tmp_path / "volume.key")
    return EncryptionConfig(key_file=tmp_path / "volume.key")


def nothing_in_the_clear(volume: Path) -> int:
    """How many recordings were looked at."""
    files = sorted(volume.rglob("*.mp4"))
    for file in files:
        raw = file.read_bytes()
        for word in (b"porch", b"moof", b"mdat", b"ftyp", *(each[:24] for each in pictures()[1])):
            assert word not in raw, f"{word!r} in {file}"
    return len(files)


async def footage(service: StorageService) -> list[bytes]:
    """The media of every fragment, as a reader gets it."""
    found = []
    for segment in await service.segments(PORCH, *ALL):
        with await service.open(segment.id) as opened:
            found += [opened.read_at(each.offset, each.size) for each in opened.file.fragments]
    return found


async def test_what_is_recorded_encrypted_is_found_and_read_while_it_grows_and_after(
    start: Start, clock: ManualClock, tmp_path: Path, encryption: EncryptionConfig
) -> None:
    volume = tmp_path / "volume"
    service = await start(volumes=[VolumeConfig(path=volume, encryption=encryption)], segment_s=5.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(12)
    await written(service)
    segments = await service.segments(PORCH, *ALL)
    assert [segment.closed for segment in segments][-1] is False
    assert len(segments) >= 3
    joined = b"".join(await footage(service))
    assert all(picture in joined for picture in pictures()[1])
    assert nothing_in_the_clear(volume) == len(segments)


async def test_a_crash_of_an_encrypted_system_is_repaired_with_its_key(
    start: Start, clock: ManualClock, tmp_path: Path, encryption: EncryptionConfig
) -> None:
    config = VolumeConfig(path=tmp_path / "volume", encryption=encryption)
    service = await start(volumes=[config], segment_s=60.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(7)
    await written(service)
    before = await footage(service)
    copy = crashed_copy(service, tmp_path / "copy")
    (torn,) = copy.rglob("*.mp4")
    with torn.open("ab") as file:
        file.write(b"vrec torn")
    after = await start(volumes=[VolumeConfig(path=copy, encryption=encryption)])
    await until(lambda: after._keepers[0].found.repaired == 1, "the repair")
    (segment,) = await after.segments(PORCH, *ALL)
    assert segment.closed
    assert await footage(after) == before
    assert nothing_in_the_clear(copy) == 1


async def test_after_a_change_of_keys_old_and_new_recordings_are_read(
    start: Start, clock: ManualClock, tmp_path: Path, encryption: EncryptionConfig
) -> None:
    volume = tmp_path / "volume"
    new_key_file(tmp_path / "new.key")
    changed = EncryptionConfig(
        key_file=tmp_path / "new.key", previous=(KeySource(key_file=tmp_path / "volume.key"),)
    )
    for chosen in (None, encryption, changed):
        service = await start(volumes=[VolumeConfig(path=volume, encryption=chosen)], segment_s=60.0)
        camera = ScriptedCamera(clock)
        service.record(camera.camera, camera.hub)
        camera.play(3)
        await written(service)
        await service.stop()
    service = await start(volumes=[VolumeConfig(path=volume, encryption=changed)])
    assert len(await service.segments(PORCH, *ALL)) == 3
    assert b"".join(await footage(service)).count(pictures()[1][0]) == 6


async def test_a_missing_key_is_said_and_recording_goes_to_no_plain_file(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    missing = EncryptionConfig(key_file=tmp_path / "nowhere.key")
    service = await start(volumes=[VolumeConfig(path=tmp_path / "volume", encryption=missing)])
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(3)
    assert not service.recording(PORCH)
    assert "nowhere.key" in (service.recording_error(PORCH) or "")
    assert service._recording.volumes[0].kind_of_failure == "key"
    assert list(tmp_path.rglob("*.mp4")) == []
    (tmp_path / "nowhere.key").touch(0o600)
    (tmp_path / "nowhere.key").write_text(bytes(32).hex())
    for _ in range(3):
        clock.advance(40)
        await service._recording.look()
        for keeper in service._keepers:
            await keeper.look()
    camera.play(3)
    await written(service)
    assert service.recording(PORCH), "the key came back"
