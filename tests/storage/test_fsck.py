"""`vms fsck`: what is wrong with a volume is found and told apart, and put in order without losing anything."""

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.storage.scripted_camera import ScriptedCamera, written

from vms.common.clock import NS, ManualClock
from vms.common.ids import CameraId
from vms.common.secrets import KEY_NAME, make_key
from vms.config import VolumeConfig
from vms.evidence.keys import ensure_keys, open_signer
from vms.storage.layout import CATALOG_NAME, FOREIGN_SUFFIX, ZEROS_SUFFIX
from vms.storage.service import StorageService

PORCH = CameraId("porch")
ALL = (0, 1 << 62)


def now_ns() -> int:
    """Certificates are valid from when they were made on."""
    return time.time_ns() // NS * NS + 5 * NS


class Site:
    """A stopped system with some recordings, as the command finds it. open: the one that a crash left open."""

    def __init__(self, root: Path) -> None:
        self.data_dir = root / "data"
        self.volume = root / "volume"
        self.data_dir.mkdir()
        (self.data_dir / "system-id").write_text("here")
        secrets = make_key(self.data_dir / KEY_NAME)
        ensure_keys(self.data_dir, "node-a", secrets)
        self.signer = open_signer(self.data_dir, secrets)
        self.config = root / "vms.yaml"
        self.tree = {
            "data_dir": str(self.data_dir),
            "storage": {"volumes": [{"path": str(self.volume), "quota": "1GiB"}]},
        }

    def service(self, clock: ManualClock) -> StorageService:
        volume = VolumeConfig(path=self.volume, quota=1 << 30)
        return StorageService([volume], 4.0, clock, system_id="here", signer=self.signer)

    async def record(self, seconds: float, *, crash: bool = False) -> None:
        clock = ManualClock(now_ns())
        service = self.service(clock)
        await service.start()
        camera = ScriptedCamera(clock, audio=True)
        service.record(camera.camera, camera.hub)
        camera.play(seconds)
        await written(service)
        if crash:
            copy = self.volume.with_name("crashed")
            shutil.copytree(self.volume, copy)
        await service.stop()
        if crash:
            shutil.rmtree(self.volume)
            copy.rename(self.volume)

    @property
    def files(self) -> list[Path]:
        return sorted(self.volume.rglob("*.mp4"))

    def name(self, path: Path) -> str:
        return path.relative_to(self.volume).as_posix()

    def fsck(self, *options: str, status: int) -> dict[str, list[str]]:
        """What was found, names by kind; `status` is what the command must end with."""
        self.config.write_text(json.dumps(self.tree))
        command = [sys.executable, "-m", "vms", "fsck", "--config", str(self.config), "--json", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == status, (done.stdout, done.stderr)
        self.document = json.loads(done.stdout)
        found: dict[str, list[str]] = {}
        for volume in self.document["volumes"]:
            for each in volume["findings"]:
                found.setdefault(each["kind"], []).append(each["name"])
        return found

    def repaired(self) -> set[tuple[str, str]]:
        return {
            (each["kind"], each["name"])
            for volume in self.document["volumes"]
            for each in volume["findings"]
            if each["repaired"]
        }

    def contents(self) -> dict[str, bytes]:
        return {self.name(path): path.read_bytes() for path in self.volume.rglob("*/*/*") if path.is_file()}


@pytest.fixture
async def site(tmp_path: Path) -> Site:
    """Four closed recordings."""
    site = Site(tmp_path)
    await site.record(14)
    assert len(site.files) >= 3
    return site


@pytest.mark.parametrize("level", ["catalog", "structure", "digests"])
async def test_a_sound_volume_has_no_fault_at_any_level(site: Site, level: str) -> None:
    assert site.fsck("--level", level, status=0) == {}
    (volume,) = site.document["volumes"]
    assert volume["files"] == (0 if level == "catalog" else len(site.files))


async def test_without_repair_nothing_is_changed(site: Site) -> None:
    first, second, *_ = site.files
    first.unlink()
    second.write_bytes(bytes(5000))
    before = site.contents()
    site.fsck("--level", "digests", status=1)
    assert site.contents() == before


async def test_what_a_crash_left_open_is_completed_and_signed(tmp_path: Path) -> None:
    site = Site(tmp_path)
    await site.record(6.3, crash=True)
    newest = site.name(site.files[-1])
    assert site.fsck(status=1)["torn"] == [newest]
    found = site.fsck("--repair", status=0)
    assert found["torn"] == [newest]
    assert ("torn", newest) in site.repaired()
    assert site.fsck("--level", "digests", status=0) == {}


async def test_rows_and_files_that_miss_each_other_are_found_and_brought_together(site: Site) -> None:
    lost, moved, *_ = site.files
    stray = moved.with_name("23-00-00.000Z-main.mp4")
    lost.unlink()
    moved.rename(stray)
    found = site.fsck(status=1)
    assert sorted(found.pop("row_without_file")) == [site.name(lost), site.name(moved)]
    assert found == {"copy": [site.name(stray)]}, "the catalog has it under its old name"
    site.fsck("--repair", status=0)
    assert site.fsck("--level", "digests", status=0) == {}
    assert stray.exists()


@pytest.mark.parametrize("how", ["missing", "damaged"])
async def test_a_catalog_is_made_anew_from_files_alone(site: Site, how: str, tmp_path: Path) -> None:
    files = site.contents()
    for path in site.volume.glob(f"{CATALOG_NAME}*"):
        path.unlink()
    if how == "damaged":
        (site.volume / CATALOG_NAME).write_bytes(b"\xa5" * 20_000)
    found = site.fsck(status=1)
    assert found[f"catalog_{how}"] == [CATALOG_NAME]
    assert sorted(found["file_without_row"]) == sorted(files)
    site.fsck("--repair", status=0)
    assert site.fsck("--level", "digests", status=0) == {}
    assert site.contents() == files
    with sqlite3.connect(site.volume / CATALOG_NAME) as db:
        assert db.execute("SELECT count(*) FROM segment").fetchone()[0] == len(files)
        assert db.execute("SELECT count(*) FROM fragments WHERE chain IS NOT NULL").fetchone()[0] == len(
            files
        )


async def test_torn_zero_filled_and_foreign_files_are_told_apart_and_kept(site: Site) -> None:
    day = site.files[0].parent
    whole = site.files[0].read_bytes()
    strays = {
        "20-00-00.000Z-main.mp4": bytes(300_000),
        "21-00-00.000Z-main.mp4": b"GIF89a, or whatever somebody put here" * 999,
        "22-00-00.000Z-main.mp4": whole[: len(whole) // 2],
        "notes.txt": b"somebody's notes",
    }
    for name, data in strays.items():
        (day / name).write_bytes(data)
    prefix = site.name(day)
    found = site.fsck(status=1)
    assert found["zero_filled"] == [f"{prefix}/20-00-00.000Z-main.mp4"]
    assert found["foreign"] == [f"{prefix}/21-00-00.000Z-main.mp4"]
    assert found["torn"] == [f"{prefix}/22-00-00.000Z-main.mp4"]
    assert found["other_file"] == [f"{prefix}/notes.txt"]
    site.fsck("--repair", status=0)
    assert (day / f"20-00-00.000Z-main.mp4{ZEROS_SUFFIX}").read_bytes() == strays["20-00-00.000Z-main.mp4"]
    assert (day / f"21-00-00.000Z-main.mp4{FOREIGN_SUFFIX}").read_bytes() == strays["21-00-00.000Z-main.mp4"]
    assert (day / "notes.txt").read_bytes() == strays["notes.txt"]


@pytest.mark.parametrize(
    ("harm", "level", "kind"),
    [
        pytest.param(lambda data: data.__delitem__(slice(-3, None)), "structure", "torn", id="cut"),
        pytest.param(lambda data: data.extend(b"more"), "structure", "damaged", id="longer"),
        pytest.param(lambda data: data.__setitem__(-9, data[-9] ^ 4), "structure", "damaged", id="moov"),
        pytest.param(
            lambda data: data.__setitem__(data.find(b"mdat", 4000) + 30, 0xEE),
            "digests",
            "changed",
            id="media",
        ),
    ],
)
async def test_harm_inside_a_file_is_found_at_its_level(
    site: Site, harm: Callable[[bytearray], None], level: str, kind: str
) -> None:
    victim = site.files[1]
    data = bytearray(victim.read_bytes())
    harm(data)
    victim.write_bytes(data)
    assert site.fsck(status=0) == {}, "the catalog agrees with names"
    assert site.fsck("--level", level, status=1)[kind] == [site.name(victim)]


async def test_changed_media_is_never_put_in_order(site: Site) -> None:
    victim = site.files[1]
    data = bytearray(victim.read_bytes())
    data[data.find(b"mdat", 4000) + 30] ^= 0x11
    victim.write_bytes(data)
    site.fsck("--level", "digests", "--repair", status=1)
    assert victim.read_bytes() == data
    assert site.repaired() == set()


async def test_a_recording_replaced_by_another_system_s_is_untrusted(site: Site, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    forger = Site(other)
    await forger.record(14)
    victim = site.files[1]
    shutil.copy(forger.files[1], victim)
    found = site.fsck("--level", "digests", status=1)
    assert site.name(victim) in found["untrusted"] + found.get("foreign", [])


async def test_repair_refuses_while_the_system_runs(site: Site) -> None:
    clock = ManualClock(now_ns())
    service = site.service(clock)
    await service.start()
    try:
        assert site.fsck(status=0) == {}
        site.fsck("--repair", status=2)
        assert "Stop the system" in site.document["volumes"][0]["error"]
    finally:
        await service.stop()


async def test_a_file_being_written_is_no_fault(tmp_path: Path) -> None:
    site = Site(tmp_path)
    clock = ManualClock(now_ns())
    service = site.service(clock)
    await service.start()
    try:
        camera = ScriptedCamera(clock)
        service.record(camera.camera, camera.hub)
        camera.play(2)
        await written(service)
        assert list(site.fsck(status=0)) == ["being_written"]
    finally:
        await service.stop()


async def test_a_volume_that_is_not_there_cannot_be_checked(site: Site) -> None:
    shutil.rmtree(site.volume)
    site.fsck(status=2)
    assert "mounted" in site.document["volumes"][0]["error"]
