"""Playback of what the real recorder writes."""

from tests.e2e.players import decoded
from tests.storage.scripted_camera import ScriptedCamera, written

from vms.common.clock import NS, ManualClock
from vms.media import GapReason
from vms.storage.playback import Playback
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
