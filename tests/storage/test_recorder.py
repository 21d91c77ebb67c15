"""Where segments begin, where they are cut, and what is said of what is missing between them."""

import itertools
import subprocess
from dataclasses import replace

import pytest
from tests.storage.conftest import Start
from tests.storage.scripted_camera import FPS, GOP, NOON_NS, ScriptedCamera, pictures, written

from vms.common.clock import NS, ManualClock
from vms.format.hybrid import read_samples
from vms.media import AccessUnit, Codec, Gap, GapReason
from vms.storage.layout import cut_after_ns
from vms.storage.segment import Segment
from vms.storage.service import StorageService

ALL = (0, 1 << 62)
FRAME_NS = NS // FPS


async def recorded(service: StorageService, camera: str = "porch") -> list[Segment]:
    await written(service)
    return await service.segments(camera, *ALL)


async def count_pictures(service: StorageService, segment: Segment) -> int:
    with await service.open(segment.id) as opened:
        return len(read_samples(opened.read_at, opened.file)[1])


async def test_recording_begins_at_the_first_key_picture(start: Start, clock: ManualClock) -> None:
    service = await start()
    camera = ScriptedCamera(clock)
    camera.play(0.4)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    (segment,) = await recorded(service)
    assert segment.start_ns == NOON_NS + NS
    assert segment.video is Codec.H264
    assert segment.audio is None
    assert service.recording(camera.camera.id)


async def test_nothing_is_recording_before_the_first_fragment_is_on_disk(
    start: Start, clock: ManualClock
) -> None:
    service = await start()
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.push()
    assert not service.recording(camera.camera.id)
    assert await service.segments("porch", *ALL) == []


async def test_a_cut_between_two_segments_is_no_moment_without_recording(
    start: Start, clock: ManualClock
) -> None:
    service = await start(segment_s=5.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    await written(service)
    for _ in range(12 * 25):
        camera.play(1 / 25)
        assert service.recording(camera.camera.id)
    camera.disconnect()
    assert not service.recording(camera.camera.id)
    camera.reconnect(3)
    camera.push()
    assert not service.recording(camera.camera.id), "nothing of the new session is on the disk"


async def test_a_stream_of_sound_alone_begins_at_once(start: Start, clock: ManualClock) -> None:
    service = await start()
    camera = ScriptedCamera(clock, video=False, audio=True)
    service.record(camera.camera, camera.hub)
    camera.play(12)
    segments = await recorded(service)
    assert segments[0].start_ns == NOON_NS
    assert segments[0].video is None
    assert segments[0].audio is Codec.PCMU
    assert len(segments) == 2


async def test_segments_are_cut_on_key_pictures_at_the_cameras_own_times(
    start: Start, clock: ManualClock
) -> None:
    service = await start(segment_s=10.0)
    camera = ScriptedCamera(clock, audio=True)
    service.record(camera.camera, camera.hub)
    camera.play(35)
    segments = await recorded(service)
    due_ns = cut_after_ns("porch", NOON_NS, 10 * NS)
    assert [segment.closed for segment in segments] == [True] * (len(segments) - 1) + [False]
    for before, after in itertools.pairwise(segments):
        assert before.end_ns == after.start_ns
        assert due_ns <= after.start_ns < due_ns + NS
        due_ns += 10 * NS
    assert len(segments) == 4


async def test_every_picture_of_a_stream_is_in_exactly_one_segment(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=4.0)
    camera = ScriptedCamera(clock, audio=True)
    service.record(camera.camera, camera.hub)
    camera.play(20)
    await service.stop_recording(camera.camera.id)
    segments = await recorded(service)
    assert sum([await count_pictures(service, segment) for segment in segments]) == 20 * FPS


@pytest.mark.needs("ffmpeg")
async def test_a_closed_segment_plays_in_ffmpeg_without_a_complaint(start: Start, clock: ManualClock) -> None:
    service = await start()
    camera = ScriptedCamera(clock, audio=True)
    service.record(camera.camera, camera.hub)
    camera.play(6)
    await service.stop_recording(camera.camera.id)
    for segment in await recorded(service):
        ran = subprocess.run(
            ["ffmpeg", "-v", "error", "-i", segment.path, "-f", "null", "-"], capture_output=True, check=True
        )
        assert ran.stderr == b""


async def test_packet_loss_is_recorded_without_a_cut(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock, audio=True)
    service.record(camera.camera, camera.hub)
    camera.play(3.2)
    lost_ns = clock.wall_ns()
    camera.lose_packets(10)
    back_ns = clock.wall_ns()
    camera.play(2)
    (segment,) = await recorded(service)
    assert await service.gaps("porch", *ALL) == [
        Gap(lost_ns, back_ns, GapReason.PACKET_LOSS, "a packet was lost")
    ]
    fragments = (await service.index(segment.id)).fragments
    spanning = [one for one in fragments if one.start_ns < lost_ns and one.end_ns > lost_ns + FRAME_NS]
    assert spanning == [], "a fragment pretends to cover what was lost"
    assert any(one.start_ns == back_ns and one.key for one in fragments)


async def test_a_lossy_camera_does_not_flood_the_table(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=3600.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(1)
    for _ in range(400):
        camera.lose_packets(5)
        camera.play(1)
        clock.advance(5)
    gaps = await service.gaps("porch", *ALL)
    assert 1 < len(gaps) <= 60
    assert "losses in this time" in gaps[-1].detail
    await written(service)


async def test_a_lost_camera_ends_the_segment_and_leaves_a_gap_with_its_reason(
    start: Start, clock: ManualClock
) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    lost_ns = clock.wall_ns()
    camera.disconnect()
    await written(service)
    assert not service.recording(camera.camera.id)
    assert service.recording_error(camera.camera.id) is None
    assert await service.gaps("porch", *ALL) == [Gap(lost_ns, None, GapReason.CAMERA_LOST, "no answer")]
    camera.reconnect(after_s=7)
    camera.play(2)
    before, after = await recorded(service)
    assert before.closed
    assert before.end_ns == lost_ns
    assert after.start_ns == lost_ns + 7 * NS
    assert await service.gaps("porch", *ALL) == [
        Gap(lost_ns, after.start_ns, GapReason.CAMERA_LOST, "no answer")
    ]
    assert service.recording(camera.camera.id)


async def test_failed_tries_to_reach_a_lost_camera_stay_one_gap(start: Start, clock: ManualClock) -> None:
    service = await start()
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    for _ in range(5):
        camera.disconnect()
        clock.advance(3)
    assert len(await service.gaps("porch", *ALL)) == 1


@pytest.mark.parametrize("step_s", [-30.0, 30.0])
async def test_a_clock_jump_starts_a_new_segment_and_is_recorded(
    start: Start, clock: ManualClock, step_s: float
) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    jump_ns = clock.wall_ns()
    camera.jump(step_s)
    camera.play(2)
    segments = await recorded(service)
    assert sorted(segment.start_ns for segment in segments) == sorted([NOON_NS, jump_ns + round(step_s * NS)])
    assert all(segment.end_ns > segment.start_ns for segment in segments)
    (gap,) = await service.gaps("porch", *ALL)
    assert gap.reason is GapReason.CLOCK_JUMP
    assert gap.end_ns is not None
    assert gap.end_ns >= gap.start_ns
    assert ("went back" in gap.detail) == (step_s < 0)


async def test_a_timeline_that_starts_over_without_a_word_starts_a_new_segment(
    start: Start, clock: ManualClock
) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    camera.reconnect(after_s=0)
    camera.play(2)
    assert len(await recorded(service)) == 2


async def test_new_parameter_sets_start_a_new_segment(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock, audio=True)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    changed_ns = clock.wall_ns()
    camera.change_parameter_sets()
    camera.play(2)
    before, after = await recorded(service)
    assert before.end_ns == after.start_ns == changed_ns
    with await service.open(after.id) as opened:
        assert opened.file.tracks[0].codec is Codec.H264


async def test_an_equal_track_announced_again_does_not_cut(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    camera.video = replace(camera.video)
    camera.play(2)
    assert len(await recorded(service)) == 1


async def test_two_segments_of_the_same_name_get_different_files(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    for _ in range(3):
        camera.play(2)
        camera.jump(-2)
    await service.stop_recording(camera.camera.id)
    segments = await recorded(service)
    assert len({segment.path for segment in segments}) == 3
    assert {segment.path.name for segment in segments} == {
        "12-00-00.000Z-main.mp4",
        "12-00-00.000Z-main-2.mp4",
        "12-00-00.000Z-main-3.mp4",
    }


async def test_a_unit_that_breaks_the_format_ends_the_segment_and_recording_goes_on(
    start: Start, clock: ManualClock
) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    track, data = pictures()
    camera.hub.push(AccessUnit(track, data[0], 5, 5, True, False, clock.wall_ns(), 0))  # time falls
    assert "cannot be recorded" in (service.recording_error(camera.camera.id) or "")
    camera.play(3)
    before, after = await recorded(service)
    assert before.end_ns == NOON_NS + 2 * NS
    assert after.start_ns > before.end_ns
    (gap,) = await service.gaps("porch", *ALL)
    assert gap.reason is GapReason.UNKNOWN
    assert (gap.start_ns, gap.end_ns) == (before.end_ns, after.start_ns)
    assert service.recording_error(camera.camera.id) is None


async def test_turning_recording_off_leaves_the_reason(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    await service.stop_recording(camera.camera.id)
    (segment,) = await service.segments("porch", *ALL)
    assert segment.closed
    assert camera.hub.sinks == ()
    camera.play(GOP / FPS * 3)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    _, after = await recorded(service)
    assert await service.gaps("porch", *ALL) == [
        Gap(segment.end_ns, after.start_ns, GapReason.RECORDING_OFF, "")
    ]


async def test_recording_a_camera_twice_records_it_once(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    assert len(await recorded(service)) == 1


async def test_a_camera_that_was_never_reached_has_a_gap_since_then(start: Start, clock: ManualClock) -> None:
    service = await start()
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.hub.gap(Gap(0, None, GapReason.CAMERA_LOST, "no answer"))
    assert await service.gaps("porch", *ALL) == [Gap(NOON_NS, None, GapReason.CAMERA_LOST, "no answer")]


async def test_sound_whose_time_starts_over_does_not_end_the_pictures(
    start: Start, clock: ManualClock
) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock, audio=True)
    service.record(camera.camera, camera.hub)
    camera.play(2.2)
    camera.hub.push(AccessUnit(camera.audio, b"\xff" * 160, 0, 0, True, True, clock.wall_ns(), 0))
    camera.play(2)
    before, after = await recorded(service)
    assert before.end_ns == after.start_ns == NOON_NS + 3 * NS
    assert after.audio is Codec.PCMU


async def test_sound_that_is_announced_and_never_comes_is_not_listed(
    start: Start, clock: ManualClock
) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock, audio=True)
    service.record(camera.camera, camera.hub)
    camera.mute()
    camera.play(3)
    await written(service)
    (segment,) = await service.segments("porch", *ALL)
    assert segment.audio is None
    with await service.open(segment.id) as opened:
        assert opened.file.tracks == (camera.video,)
    await service.stop_recording("porch")
    (closed,) = await recorded(service)
    assert closed.audio is None
    assert b"ulaw" not in closed.path.read_bytes()


async def test_sound_that_begins_later_is_recorded_from_the_next_key_picture_on(
    start: Start, clock: ManualClock
) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock, audio=True)
    service.record(camera.camera, camera.hub)
    camera.mute()
    camera.play(3.2)
    camera.mute(False)
    camera.play(3)
    before, after = await recorded(service)
    assert before.audio is None
    assert after.audio is Codec.PCMU
    assert before.end_ns == after.start_ns == NOON_NS + 4 * NS
    left_out = service._recording._recorders["porch"].segments.units_left_out
    assert left_out == 40, "0.8 s of frames of 20 ms, counted"
    metric = next(each for each in service.metrics() if each.name == "vms_storage_units_left_out")
    assert [value for _, value in metric.samples] == [left_out]


async def test_sound_that_flowed_is_listed_in_the_next_segment_though_it_is_late(
    start: Start, clock: ManualClock
) -> None:
    service = await start(segment_s=4.0)
    camera = ScriptedCamera(clock, audio=True)
    service.record(camera.camera, camera.hub)
    for _ in range(4):  # the sound of the first 0.8 s of every second is missing
        camera.mute()
        camera.play(0.8)
        camera.mute(False)
        camera.play(0.2)
    camera.mute()
    camera.play(6)
    await service.stop_recording("porch")
    segments = await recorded(service)
    assert len(segments) <= 4, "missing sound does not cut at every key picture"
    assert segments[-1].audio is None
