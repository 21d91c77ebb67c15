"""Playback of what the real recorder writes."""

import time

import pytest
from tests.e2e.players import decoded
from tests.evidence.evidence_material import install
from tests.storage.scripted_camera import ScriptedCamera, written

from vms.common.clock import NS, ManualClock
from vms.config import EncryptionConfig, VolumeConfig
from vms.evidence.report import Verdict
from vms.evidence.verify import verify_file
from vms.media import GapReason
from vms.storage.keyring import new_key_file
from vms.storage.playback import Playback, RecordingVerifier
from vms.storage.service import StorageService


async def shown(playback: Playback, folder, start_ns: int, end_ns: int) -> tuple[list[str], list[str]]:
    """Decoded pictures of the export and of the playlist of a range."""
    porch = "porch"
    download = await playback.export(porch, start_ns, end_ns)
    movie = folder / "export.mp4"
    movie.write_bytes(b"".join([piece async for piece in download.chunks(0, download.size_bytes - 1)]))
    await download.close()
    listed = await playback.timeline(porch, start_ns, end_ns)
    paths = {segment.id: segment.path for segment in listed.segments}
    text = await playback.playlist(
        porch, start_ns, end_ns, segment_url=lambda each: f"{paths[each]}", init_url=str
    )
    playlist = folder / "playback.m3u8"
    playlist.write_text(text)
    return decoded(movie), decoded(playlist, "-allowed_extensions", "ALL")


async def test_what_is_being_recorded_can_be_watched_and_stays_the_same_when_closed(
    start, clock: ManualClock, tmp_path
):
    service: StorageService = await start(segment_s=4.0)
    camera, playback = ScriptedCamera(clock), Playback(service)
    begin_ns = clock.wall_ns()
    service.record(camera.camera, camera.hub)
    camera.play(10.6)
    await written(service)
    open_movie, open_playlist = await shown(playback, tmp_path, begin_ns, clock.wall_ns())
    assert open_movie == open_playlist
    assert len(open_movie) >= 250
    jpeg = await playback.snapshot("porch", begin_ns + 9 * NS)
    assert jpeg.startswith(b"\xff\xd8")
    await service.stop_recording("porch")
    movie, playlist = await shown(playback, tmp_path, begin_ns, clock.wall_ns())
    assert movie == playlist
    assert len(movie) == 265
    assert movie[: len(open_movie)] == open_movie
    timeline = await playback.timeline("porch", begin_ns, clock.wall_ns())
    assert len(timeline.spans) == 1
    assert len(timeline.segments) >= 2
    await playback.stop()


async def test_a_camera_that_came_back_leaves_two_spans_and_a_gap(start, clock: ManualClock, tmp_path):
    service: StorageService = await start(segment_s=60.0)
    camera, playback = ScriptedCamera(clock), Playback(service)
    begin_ns = clock.wall_ns()
    service.record(camera.camera, camera.hub)
    camera.play(3)
    camera.disconnect()
    camera.reconnect(after_s=20)
    camera.play(3)
    await service.stop_recording("porch")
    timeline = await playback.timeline("porch", begin_ns, clock.wall_ns())
    assert len(timeline.spans) == 2
    assert next(gap.reason for gap in timeline.gaps) is GapReason.CAMERA_LOST
    text = await playback.playlist("porch", begin_ns, clock.wall_ns(), segment_url=str, init_url=str)
    assert text.count("#EXT-X-DISCONTINUITY") == 1
    movie, _ = await shown(playback, tmp_path, begin_ns, clock.wall_ns())
    assert len(movie) == 150
    await playback.stop()


@pytest.mark.parametrize("encrypted", [False, True])
async def test_what_was_recorded_is_exported_with_its_proof_and_verifies_where_it_lies(
    start, tmp_path, encrypted
):
    clock = ManualClock(wall_ns=time.time_ns())  # keys are certified from yesterday on
    installation = install(tmp_path / "data")
    new_key_file(tmp_path / "volume.key")
    encryption = EncryptionConfig(key_file=tmp_path / "volume.key") if encrypted else None
    volume = VolumeConfig(path=tmp_path / "volume", quota=1 << 30, encryption=encryption)
    service: StorageService = await start(
        segment_s=4.0, volumes=[volume], signer=installation.signer, clock=clock
    )
    camera, playback = ScriptedCamera(clock), Playback(service)
    verifier = RecordingVerifier(service, lambda: installation.trust)
    begin_ns = clock.wall_ns()
    service.record(camera.camera, camera.hub)
    camera.play(10.6)
    camera.disconnect()
    camera.reconnect(after_s=20)
    camera.play(3)
    await service.stop_recording("porch")
    for start_ns, exact in ((begin_ns, False), (begin_ns + round(3.7 * NS), True)):
        download = await playback.export("porch", start_ns, clock.wall_ns(), exact=exact)
        data = b"".join([piece async for piece in download.chunks(0, download.size_bytes - 1)])
        await download.close()
        report = verify_file(
            "export.mp4", lambda at, size, data=data: data[at : at + size], len(data), installation.trust
        )
        assert report.verdict is Verdict.VERIFIED, report.findings
        assert any("break: 2" in note for note in report.notes)
    verification = await verifier.verify("porch", begin_ns, clock.wall_ns())
    assert verification.state == "verified"
    assert len(verification.segments) >= 3
    assert [segment.follows for segment in verification.segments[1:]] == [True] * (
        len(verification.segments) - 1
    )
    await verifier.stop()
    await playback.stop()
