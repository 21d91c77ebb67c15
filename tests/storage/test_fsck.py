"""`vms fsck`: what is wrong with a volume is found and told apart, and put in order without losing anything."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.storage.fsck_site import Site, now_ns, put, signature_of, stored, torn_and_changed, torn_of
from tests.storage.scripted_camera import ScriptedCamera, written
from tests.storage.seaweedfs import S3Server

from vms.common.clock import ManualClock
from vms.config import TierConfig
from vms.format.hybrid import plan_recovery
from vms.storage.layout import CATALOG_NAME, FOREIGN_SUFFIX, UNREADABLE_SUFFIX, ZEROS_SUFFIX


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
    await site.record(5.3, crash=True)
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


async def test_torn_zero_filled_and_foreign_files_are_told_apart_and_kept(site: Site, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    neighbour = Site(other)
    await neighbour.record(14)
    day = site.files[0].parent
    whole = neighbour.files[0].read_bytes()
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
    assert ("torn", f"{prefix}/22-00-00.000Z-main.mp4") in site.repaired()
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
    shorter = {"size_differs": [site.name(victim)]} if kind == "torn" else {}
    assert site.fsck(status=len(shorter)) == shorter, "names and sizes agree"
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


# -- what a forger would have signed -------------------------------------------------------------------------


async def test_what_was_closed_once_and_changed_since_is_not_signed_again(site: Site) -> None:
    victim = site.files[-1]
    forged = torn_and_changed(victim.read_bytes())
    victim.write_bytes(forged)
    assert site.fsck("--level", "structure", status=1)["torn"] == [site.name(victim)]
    site.fsck("--repair", "--level", "structure", status=0)
    assert signature_of(victim) is None, "repair has signed a forgery"
    kept = victim.with_name(victim.name + UNREADABLE_SUFFIX)
    assert kept.read_bytes() == forged
    assert kept.stat().st_mode & 0o007 == 0


async def test_a_copy_of_a_recording_that_was_changed_is_not_signed_at_a_start(site: Site) -> None:
    victim = site.files[-1]
    stray = victim.with_name("23-00-00.000Z-main.mp4")
    stray.write_bytes(torn_and_changed(victim.read_bytes()))
    service = site.service(ManualClock(now_ns()))
    await service.start()
    await service.recovered()
    await service.stop()
    assert signature_of(stray) is None, "repair has signed a forgery"
    assert signature_of(victim) is not None


async def test_a_recording_of_which_only_the_end_is_damaged_gets_back_its_own_signature(site: Site) -> None:
    victim = site.files[1]
    whole = victim.read_bytes()
    data = bytearray(whole)
    data[data.rfind(b"vtal") + 9] ^= 1
    victim.write_bytes(data)
    for path in site.volume.glob(f"{CATALOG_NAME}*"):
        path.unlink()
    site.fsck("--repair", status=0)
    assert victim.read_bytes() == whole
    assert site.fsck("--level", "digests", status=0) == {}


async def test_a_signature_that_is_gone_is_a_fault_where_there_was_one(site: Site) -> None:
    victim = site.files[1]
    whole = victim.read_bytes()
    torn = torn_of(whole)
    plan = plan_recovery(lambda offset, size: torn[offset : offset + size], len(torn))
    data = bytearray(torn[: plan.truncate_to] + plan.tail)
    data[plan.flip_offset : plan.flip_offset + 16] = plan.flip
    victim.write_bytes(data)
    assert signature_of(victim) is None
    assert site.fsck("--level", "digests", status=1)["changed"] == [site.name(victim)]


# -- encrypted ---------------------------------------------------------------------------------------------


async def test_an_encrypted_volume_is_checked_and_put_in_order_with_its_keys(tmp_path: Path) -> None:
    site = Site(tmp_path)
    old_key = site.encrypt()
    await site.record(9)
    site.encrypt()
    await site.record(5.3, crash=True)
    assert len(site.files) >= 4
    assert not any(b"moof" in path.read_bytes() for path in site.files)
    assert list(site.fsck("--level", "digests", status=1)) == ["torn"]
    site.fsck("--level", "digests", "--repair", status=0)
    for path in site.volume.glob(f"{CATALOG_NAME}*"):
        path.unlink()
    assert len(site.fsck(status=1)["file_without_row"]) == len(site.files)
    site.fsck("--repair", status=0)
    assert site.fsck("--level", "digests", status=0) == {}
    assert not any(b"moof" in path.read_bytes() for path in site.files)
    old_key.rename(tmp_path / "elsewhere")
    site.fsck("--level", "digests", status=2)
    assert str(old_key) in site.document["volumes"][0]["error"]
    site.options["encryption"].pop("previous")  # type: ignore[attr-defined]
    before = site.contents()
    found = site.fsck("--level", "digests", "--repair", status=1)
    assert list(found) == ["key_unknown"]
    assert len(found["key_unknown"]) >= 2
    assert site.contents() == before, "what cannot be read now is left alone"
    site.fsck(status=0)


@pytest.mark.parametrize("how", ["chunk", "header", "cut", "exchanged"])
async def test_what_was_changed_in_an_encrypted_file_is_found_and_never_signed_again(
    tmp_path: Path, how: str
) -> None:
    site = Site(tmp_path)
    site.encrypt()
    await site.record(9)
    victim, other = site.files[1:3]
    data = bytearray(victim.read_bytes())
    match how:
        case "chunk":
            data[len(data) // 2] ^= 1
        case "header":
            data[40] ^= 1
        case "cut":
            del data[len(data) // 2 :]
        case _:
            data = bytearray(other.read_bytes())
    victim.write_bytes(data)
    name = site.name(victim)
    found = site.fsck("--level", "digests", status=1)
    expected = {"cut": "torn", "exchanged": "foreign"}.get(how, "damaged")
    assert name in found[expected], found
    site.fsck("--level", "structure", "--repair", status=int(how != "cut"))
    if how == "cut":
        assert victim.with_name(victim.name + UNREADABLE_SUFFIX).read_bytes() == data
        assert site.fsck("--level", "digests", status=0)["unsigned"] == [name]
    else:
        copies = {path.read_bytes() for path in victim.parent.iterdir()}
        assert bytes(data) in copies, "it is kept as it is"


# -- tiers -------------------------------------------------------------------------------------------------


@pytest.fixture(params=["directory", "s3"])
def tier(request: pytest.FixtureRequest, tmp_path: Path) -> TierConfig:
    if request.param == "directory":
        return TierConfig(name="cloud", path=tmp_path / "shelf", after=0)
    server: S3Server = request.getfixturevalue("s3_server")
    return server.tier(after=0.0)


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
async def test_recordings_in_a_tier_are_checked_and_found_again_without_a_catalog(
    tmp_path: Path, tier: TierConfig, encrypted: bool
) -> None:
    site = Site(tmp_path)
    if encrypted:
        site.encrypt()
    await site.record(9)
    names = [site.name(path) for path in site.files]
    site.add_tier(tier)
    await site.move()
    assert site.fsck("--level", "digests", status=0) == {}
    assert site.document["volumes"][0]["files"] == len(names)
    for path in site.volume.glob(f"{CATALOG_NAME}*"):
        path.unlink()
    assert site.fsck(status=1)["object_without_row"] == names
    site.fsck("--repair", status=0)
    assert site.fsck("--level", "digests", status=0) == {}
    assert site.document["volumes"][0]["files"] == len(names)


async def test_what_is_gone_changed_or_left_over_in_a_tier_is_told_apart(
    tmp_path: Path, tier: TierConfig
) -> None:
    site = Site(tmp_path)
    await site.record(14)
    kept = {site.name(path): path.read_bytes() for path in site.files}
    site.add_tier(tier)
    await site.move()
    gone, changed, left, *_ = kept
    data = bytearray(kept[changed])
    data[data.find(b"mdat", 4000) + 30] ^= 1
    with site.store() as store:
        store.delete([gone])
        put(store, changed, bytes(data))
    (site.volume / left).parent.mkdir(parents=True)
    (site.volume / left).write_bytes(kept[left])
    found = site.fsck("--level", "digests", status=1)
    assert found == {"row_without_file": [gone], "changed": [changed], "deletion_unfinished": [left]}
    site.fsck("--level", "digests", "--repair", status=1)
    assert site.repaired() == {("row_without_file", gone), ("deletion_unfinished", left)}
    assert not (site.volume / left).exists()
    assert site.fsck("--level", "digests", status=1) == {"changed": [changed]}


async def test_a_tier_that_is_away_or_not_configured_is_a_fault_and_loses_no_rows(
    tmp_path: Path, tier: TierConfig
) -> None:
    site = Site(tmp_path)
    await site.record(6)
    site.add_tier(tier)
    await site.move()
    tiers = site.options["tiers"]
    away = dict(tiers[0])  # type: ignore[index]
    if tier.path is not None:
        (tmp_path / "shelf").rename(tmp_path / "unmounted")
        (tmp_path / "shelf").mkdir()
    else:
        away["endpoint"] = "http://127.0.0.1:9"
    for wrong in ([away], []):
        site.options["tiers"] = wrong
        assert site.fsck("--level", "structure", status=1) == {"tier_away": [""]}
        assert site.fsck("--repair", status=1) == {"tier_away": [""]}
    site.options["tiers"] = tiers
    if tier.path is not None:
        (tmp_path / "shelf").rmdir()
        (tmp_path / "unmounted").rename(tmp_path / "shelf")
    assert site.fsck("--level", "digests", status=0) == {}


async def test_a_tier_in_which_nothing_lies_any_more_is_doubted_and_loses_no_rows(
    tmp_path: Path, tier: TierConfig
) -> None:
    site = Site(tmp_path)
    await site.record(6)
    site.add_tier(tier)
    await site.move()
    with site.store() as store:
        kept = {each.name: stored(store, each.name) for each in list(store.list())}
        store.delete(list(kept))
    assert list(site.fsck("--repair", status=1)) == ["tier_away"]
    with site.store() as store:
        for name, data in kept.items():
            put(store, name, data)
    assert site.fsck("--level", "digests", status=0) == {}
