"""Tiers that are away, hang, or whose keeper is killed: nothing is lost, and what is elsewhere is played."""

import asyncio
import sys
from pathlib import Path
from uuid import UUID

import pytest
import yaml
from pydantic import SecretStr
from tests.storage.faults import small_disk
from tests.storage.scripted_camera import until
from tests.storage.seaweedfs import S3Server
from tests.storage.tiered import (
    AGE_S,
    ALL,
    PORCH,
    SECONDS,
    Make,
    copies,
    directory,
    local,
    names,
    shown,
)

from vms.config import EncryptionConfig, VolumeConfig
from vms.storage.playback import Playback
from vms.storage.playback.files import HeldFiles
from vms.storage.segment import OpenFile
from vms.storage.tiers import TierUnavailable
from vms.storage.tiers.moving import NOTES_NAME, MovingNotes


async def test_a_tier_that_is_away_keeps_nothing_back_and_is_tried_again_after_a_while(
    make: Make, tmp_path: Path
) -> None:
    share = tmp_path / "archive"
    tiered = make([directory(tmp_path)])
    with small_disk(share, 64 << 20):
        first = await tiered.record(1)
        tiered.clock.advance(AGE_S)
        await tiered.mover.settled()
        assert copies(tiered, "archive") == names(tiered, first)
    second = await tiered.record(2)
    tiered.clock.advance(AGE_S)
    await tiered.mover.settled()
    assert tiered.mover.alarms() == ("tier_unreachable:archive",)
    assert "not mounted" in tiered.mover.states()[0].error
    assert local(tiered) == names(tiered, second)
    failures = tiered.mover.failures
    await tiered.mover.settled()
    assert tiered.mover.failures == failures, "it is let be for a while"
    share_files = list(share.iterdir())
    assert share_files == []
    with pytest.raises(TierUnavailable, match="not mounted"):
        await tiered.library.open(first[0].id)
    assert len(await tiered.library.segments(PORCH, *ALL)) == 3
    with await tiered.library.open(second[0].id) as opened:
        assert opened.file.fragments, "what is here is read"
    with small_disk(tmp_path / "new", 64 << 20) as new:
        # A new disk in the place of the old one is not taken for it: a person says so.
        tiered.clock.advance(600)
        await tiered.mover.settled()
        assert list(new.iterdir()) == []
        (tiered.config.path / "vms-tiers.json").unlink()
        tiered.clock.advance(600)
        await tiered.mover.settled()
    assert tiered.mover.alarms() == ()
    assert local(tiered) == []


async def test_a_server_that_dies_in_the_middle_of_a_move_leaves_the_recording_where_it_was(
    make: Make, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiered = make([s3_server.tier()])
    segments = await tiered.record(3)
    before = await shown(tiered, segments)
    tiered.clock.advance(AGE_S)
    pace, pieces = tiered.mover._pace, []

    def dying(size: int) -> None:
        pieces.append(size)
        if len(pieces) == 1:
            s3_server.kill()
        pace(size)

    monkeypatch.setattr(tiered.mover._threads, "_pace", dying)
    try:
        await tiered.mover.settled()
        assert tiered.mover.alarms() == ("tier_unreachable:cloud",)
        assert local(tiered) == names(tiered, segments)
        assert await shown(tiered, segments) == before
    finally:
        s3_server.start()
    tiered.clock.advance(600)
    await tiered.mover.settled()
    assert (local(tiered), copies(tiered, "cloud")) == ([], names(tiered, segments))
    assert await shown(tiered, segments) == before


async def test_a_recording_that_cannot_be_read_does_not_keep_others_back(make: Make, tmp_path: Path) -> None:
    tiered = make([directory(tmp_path)])
    segments = await tiered.record(4)
    tiered.clock.advance(AGE_S)
    hidden = segments[1].path.with_name("hidden")
    segments[1].path.rename(hidden)
    await tiered.mover.settled()
    assert copies(tiered, "archive") == names(tiered, [segments[0], *segments[2:]])
    assert tiered.mover.alarms() == (), "the tier is not to blame"
    hidden.rename(segments[1].path)
    tiered.clock.advance(700)
    await tiered.mover.settled()
    assert copies(tiered, "archive") == names(tiered, segments)


async def test_a_download_goes_on_where_its_recording_is_now(
    make: Make, tmp_path: Path, s3_server: S3Server
) -> None:
    tiered = make([s3_server.tier(after=AGE_S), directory(tmp_path, after=2 * AGE_S)])
    segments = await tiered.record(3)
    before = await shown(tiered, segments)
    tiered.clock.advance(AGE_S)
    await tiered.mover.settled()
    assert copies(tiered, "cloud") == names(tiered, segments)
    playback = Playback(tiered.library)
    export = await playback.export(PORCH, segments[0].start_ns, segments[-1].end_ns)
    pieces = export.chunks(0, export.size_bytes - 1)
    received = [await anext(pieces)]
    tiered.clock.advance(AGE_S)
    await tiered.mover.settled()
    assert (copies(tiered, "cloud"), copies(tiered, "archive")) == ([], names(tiered, segments))
    received += [piece async for piece in pieces]
    assert b"".join(received) == before["export"]
    await export.close()
    await playback.stop()


async def test_a_download_does_not_wait_again_and_again_for_a_tier_that_it_needs_later(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiered = make([directory(tmp_path)])
    segments = await tiered.record(6)
    open_file, away, asked = tiered.library.open_file, {each.id for each in segments[2:]}, []

    async def refuse(segment_id: UUID) -> OpenFile:
        if segment_id in away:
            asked.append(segment_id)
            raise TierUnavailable("archive", "is away")
        return await open_file(segment_id)

    monkeypatch.setattr(tiered.library, "open_file", refuse)
    files = HeldFiles(tiered.library, [segment.id for segment in segments])
    for _ in range(5):
        assert (await files.get(0)).segment.id == segments[0].id
        assert (await files.get(1)).segment.id == segments[1].id
    assert len(asked) == 1
    with pytest.raises(TierUnavailable):
        await files.get(2)
    away.clear()
    assert (await files.get(2)).segment.id == segments[2].id, "it is asked when it is its turn"
    files.close()


async def test_a_tier_that_hangs_is_given_up_and_what_is_elsewhere_is_played(
    make: Make, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiered = make([s3_server.tier()])
    old = await tiered.record(2)
    tiered.clock.advance(AGE_S)
    young = await tiered.record(1)
    await tiered.mover.settled()
    monkeypatch.setattr("vms.storage.tiers.reading.ANSWER_TIMEOUT_S", 0.2)
    monkeypatch.setattr("vms.storage.tiers.reading.SILENCE_S", 60.0)
    s3_server.hang()
    try:
        with pytest.raises(TierUnavailable, match="did not answer"):
            await tiered.library.open(old[0].id)
        tier = tiered.library._volumes[0]._tiers.get("cloud")
        assert tier.timeouts == 1
        with pytest.raises(TierUnavailable, match="did not answer"):
            await tiered.library.open(old[1].id)
        assert tier.timeouts == 1, "it was not asked again"
        assert len(await tiered.library.segments(PORCH, *ALL)) == 3
        with await tiered.library.open(young[0].id) as opened:
            assert opened.file.fragments
        playlist = await Playback(tiered.library).playlist(
            PORCH, old[0].start_ns, young[0].end_ns, segment_url=str, init_url=str
        )
        assert str(young[0].id) in playlist
        assert str(old[0].id) not in playlist
    finally:
        s3_server.go_on()


async def test_the_same_reader_reads_on_when_its_server_was_killed_and_is_back(
    make: Make, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiered = make([s3_server.tier()])
    segments = await tiered.record(2)
    tiered.clock.advance(AGE_S)
    before = await shown(tiered, segments)
    await tiered.mover.settled()
    s3_server.kill()
    try:
        with pytest.raises(TierUnavailable, match="no connection"):
            await tiered.library.open(segments[0].id)
    finally:
        s3_server.start()
    assert await shown(tiered, segments) == before


async def test_an_encrypted_recording_without_its_key_says_which_is_missing(
    make: Make, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text("cd" * 32)
    key.chmod(0o600)
    tiered = make([directory(tmp_path)], encryption=EncryptionConfig(key_file=key))
    segments = await tiered.record(2)
    tiered.clock.advance(AGE_S - SECONDS)
    await tiered.mover.settled()
    assert (len(local(tiered)), len(copies(tiered, "archive"))) == (1, 1)
    key.write_text("ef" * 32)
    library = type(tiered.library)([tiered.config], tiered.clock)
    for segment in segments:
        with pytest.raises(
            Exception, match=f"recording {segment.id} cannot be read: .*which is not configured"
        ):
            await library.open(segment.id)
    await library.stop()
    key.chmod(0o644)
    library = type(tiered.library)([tiered.config], tiered.clock)
    for segment in segments:
        with pytest.raises(Exception, match=f"recording {segment.id} cannot be read: .*chmod 600"):
            await library.open(segment.id)
    key.write_text("cd" * 32)
    key.chmod(0o600)
    with await library.open(segments[0].id) as opened:
        assert opened.file.fragments, "no restart is needed"
    await library.stop()


async def test_a_tier_that_goes_away_is_told_before_something_has_to_go_there(
    make: Make, tmp_path: Path
) -> None:
    tiered = make([directory(tmp_path)])
    with small_disk(tmp_path / "archive", 16 << 20):
        await tiered.record(1)
        tiered.clock.advance(AGE_S)
        await tiered.mover.settled()
        assert tiered.mover.alarms() == ()
    tiered.clock.advance(61)
    await tiered.mover.settled()
    assert tiered.mover.alarms() == ("tier_unreachable:archive",)


async def test_a_tier_that_hangs_is_told_and_the_mover_does_not_wait_for_it(
    make: Make, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vms.storage.tiers.work.PATIENCE_S", 0.2)
    monkeypatch.setattr("vms.storage.tiers.work.STALL_S", 0.2)
    tiered = make([s3_server.tier()])
    segments = await tiered.record(2)
    await tiered.mover.settled()
    tiered.clock.advance(AGE_S)
    s3_server.hang()
    try:
        await tiered.mover.settled()
        assert tiered.mover.alarms() == ("tier_unreachable:cloud",)
        assert "did not answer" in tiered.mover.states()[0].error
        tiered.clock.advance(600)
        tiered.mover._tiers["cloud"].works()
        assert await tiered.mover.make_room(1) == 0
        assert "stood still" in tiered.mover.states()[0].error
        assert local(tiered) == names(tiered, segments)
    finally:
        s3_server.go_on()
    monkeypatch.undo()
    tiered.clock.advance(600)
    await tiered.mover.settled()
    assert (local(tiered), copies(tiered, "cloud")) == ([], names(tiered, segments))


async def test_a_source_that_is_away_keeps_its_recordings_and_is_the_one_that_is_told(
    make: Make, tmp_path: Path
) -> None:
    tiered = make([directory(tmp_path), directory(tmp_path, "vault", after=2 * AGE_S)])
    with small_disk(tmp_path / "archive", 16 << 20):
        await tiered.record(2)
        tiered.clock.advance(AGE_S)
        await tiered.mover.settled()
    tiered.mover._tiers["archive"]._check_at_ns = 1 << 62  # nobody looked yet
    tiered.clock.advance(AGE_S)
    await tiered.mover.settled()
    assert tiered.mover.alarms() == ("tier_unreachable:archive",)
    assert copies(tiered, "vault") == []


@pytest.mark.parametrize("kind", ["directory", "s3"])
async def test_a_keeper_that_is_killed_again_and_again_loses_nothing(
    make: Make, tmp_path: Path, s3_server: S3Server, kind: str
) -> None:
    tier = s3_server.tier(after=0.0) if kind == "s3" else directory(tmp_path, "cloud", after=0.0)
    tiered = make([tier])
    segments = await tiered.record(8)
    before = await shown(tiered, segments)
    await tiered.mover.stop()
    tiered.volume.close()
    config = tmp_path / "vms.yaml"
    config.write_text(yaml.safe_dump({"storage": {"volumes": [_plain(tiered.config)]}}))
    notes = tiered.config.path / NOTES_NAME
    for seed in range(4):
        rate = segments[0].size_bytes * 10  # so that a copy takes a moment
        child = await asyncio.create_subprocess_exec(
            sys.executable, Path(__file__).with_name("mover_child.py"), config, str(rate)
        )
        try:
            await until(lambda: notes.exists() and notes.stat().st_size > 2, "a copy", 30)
            await asyncio.sleep(seed * 0.07)  # another step of it each time
        finally:
            child.kill()
            await child.wait()
        assert await shown(tiered, segments) == before
    tiered.volume = tiered.open()
    tiered.mover = tiered.new_mover()
    await tiered.mover.settled()
    assert (local(tiered), copies(tiered, "cloud")) == ([], names(tiered, segments))
    assert await shown(tiered, segments) == before
    assert MovingNotes(tiered.config.path).read() == []


def _plain(config: VolumeConfig) -> object:
    tree = config.model_dump(exclude_none=True)
    for tier in tree["tiers"]:
        for name, value in tier.items():
            if isinstance(value, SecretStr):
                tier[name] = value.get_secret_value()
            elif isinstance(value, Path):
                tier[name] = str(value)
    return {**tree, "path": str(tree["path"])}
