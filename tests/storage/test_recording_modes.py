"""What of a stream is recorded: around events, by schedule, and when nobody can tell of events."""

import asyncio
from pathlib import Path

import pytest
from tests.storage.conftest import Start
from tests.storage.numbered_camera import NumberedCamera, numbers_kept
from tests.storage.scripted_camera import FPS, GOP, NOON_NS, until, written

from vms.common.camera import Camera, EventRecording, RecordMode, Schedule, ScheduledMode, ScheduleEntry
from vms.common.clock import NS, ManualClock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.format.hybrid import PreviousFile
from vms.media import Gap, GapReason
from vms.storage.camera_recorder import LATE_NS, CameraRecorder
from vms.storage.errors import VolumeUnavailable
from vms.storage.recording_state import RecordingState
from vms.storage.service import StorageService

ALL = (0, 1 << 62)
PORCH = CameraId("porch")
GROUP_S = GOP / FPS
PRE_S, POST_S = 5.0, 4.0


def around_events(camera: Camera, **changes: object) -> Camera:
    fields: dict[str, object] = {
        "record": RecordMode.EVENTS,
        "events": EventRecording(pre_roll=PRE_S, post_roll=POST_S),
    }
    return camera.model_copy(update={**fields, **changes})


def scheduled(camera: Camera, *entries: ScheduleEntry) -> Camera:
    return around_events(
        camera, record=RecordMode.SCHEDULE, schedule=Schedule(time_zone="UTC", entries=entries)
    )


def recorder(service: StorageService) -> CameraRecorder:
    return service._recording._recorders[PORCH]


async def drained(service: StorageService) -> None:
    """Wait until nothing that was let through waits in memory."""
    await until(
        lambda: not recorder(service)._open or not recorder(service)._memory, "the pre-roll to be written"
    )


def at_s(unit_ns: int) -> float:
    return (unit_ns - NOON_NS) / NS


async def pictures_kept(service: StorageService, camera: NumberedCamera) -> list[float]:
    """The capture times of the pictures in files, in seconds since noon; each is there once."""
    await written(service)
    kept = await numbers_kept(service)
    assert set(kept.values()) <= {1}, "a picture is recorded twice"
    return sorted(at_s(camera.hub.log[number].capture_ns) for number in camera.pictures() if number in kept)


def expected(start_s: float, end_s: float) -> list[float]:
    return [index / FPS for index in range(round(start_s * FPS), round(end_s * FPS))]


async def test_an_event_records_its_pre_roll_from_memory_and_its_post_roll(
    start: Start, clock: ManualClock
) -> None:
    service = await start(segment_s=60.0)
    camera = NumberedCamera(clock, audio=True)
    service.record(around_events(camera.camera), camera.hub)
    camera.play(20.4)
    assert await pictures_kept(service, camera) == []
    service.event(PORCH, clock.wall_ns(), "motion")
    await drained(service)
    camera.play(20)
    assert await pictures_kept(service, camera) == expected(15, 25)
    sound = [number for number, unit in enumerate(camera.hub.log) if 15 <= at_s(unit.capture_ns) < 25]
    assert sorted(await numbers_kept(service)) == sound
    first, second = await service.gaps(PORCH, *ALL)
    assert first == Gap(NOON_NS, NOON_NS + 15 * NS, GapReason.NO_EVENT, "")
    assert second == Gap(NOON_NS + 25 * NS, None, GapReason.NO_EVENT, "")


async def test_events_that_follow_each_other_make_one_recording(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=60.0)
    camera = NumberedCamera(clock)
    service.record(around_events(camera.camera), camera.hub)
    camera.play(10)
    for _ in range(5):
        service.event(PORCH, clock.wall_ns(), "alarm")
        camera.play(3)
    camera.play(10)
    await drained(service)
    assert await pictures_kept(service, camera) == expected(5, 26)
    assert len(await service.segments(PORCH, *ALL)) == 1


async def test_an_event_soon_after_footage_ended_leaves_no_picture_out(
    start: Start, clock: ManualClock
) -> None:
    service = await start(segment_s=60.0)
    camera = NumberedCamera(clock, audio=True)
    service.record(around_events(camera.camera), camera.hub)
    camera.play(10)
    service.event(PORCH, clock.wall_ns(), "motion")
    camera.play(POST_S + 2.5)
    assert recorder(service).state is RecordingState.WAITING_EVENT
    service.event(PORCH, clock.wall_ns(), "motion")
    camera.play(10)
    await drained(service)
    assert await pictures_kept(service, camera) == expected(5, 21)
    assert [gap.reason for gap in await service.gaps(PORCH, *ALL) if gap.end_ns is not None] == [
        GapReason.NO_EVENT
    ], "nothing is missing between the two"


async def test_an_event_of_another_kind_records_nothing(start: Start, clock: ManualClock) -> None:
    service = await start()
    camera = NumberedCamera(clock)
    service.record(around_events(camera.camera), camera.hub)
    camera.play(3)
    service.event(PORCH, clock.wall_ns(), "door_opened")
    service.event(CameraId("unknown"), clock.wall_ns(), "motion")
    camera.play(3)
    assert await pictures_kept(service, camera) == []


async def test_a_late_event_reaches_back_in_memory_and_no_further_than_its_end(
    start: Start, clock: ManualClock
) -> None:
    service = await start(segment_s=60.0)
    camera = NumberedCamera(clock)
    service.record(
        around_events(camera.camera, events=EventRecording(pre_roll=20.0, post_roll=2.0)), camera.hub
    )
    camera.play(30)
    service.event(PORCH, NOON_NS + 15 * NS, "motion")  # its pre-roll is gone in part
    await drained(service)
    camera.play(2)
    assert await pictures_kept(service, camera) == expected(7, 17)
    service.event(PORCH, NOON_NS + 1 * NS, "motion")
    await drained(service)
    assert await pictures_kept(service, camera) == expected(7, 17)


async def test_a_camera_that_is_cut_off_still_gives_its_pre_roll(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=60.0)
    camera = NumberedCamera(clock)
    service.record(around_events(camera.camera), camera.hub)
    camera.play(10)
    camera.disconnect()
    clock.advance(1)
    service.event(PORCH, clock.wall_ns(), "alarm")
    await drained(service)
    assert await pictures_kept(service, camera) == expected(6, 10)
    assert await service.gaps(PORCH, *ALL) == [
        Gap(NOON_NS, NOON_NS + 6 * NS, GapReason.NO_EVENT, ""),
        Gap(NOON_NS + 10 * NS, None, GapReason.CAMERA_LOST, "no answer"),
    ]


async def test_without_an_event_a_lost_camera_is_told_when_its_pre_roll_is_too_old(
    start: Start, clock: ManualClock
) -> None:
    service = await start()
    camera = NumberedCamera(clock)
    service.record(around_events(camera.camera), camera.hub)
    camera.play(10)
    camera.disconnect()
    clock.advance(PRE_S + LATE_NS / NS)
    service._recording.tick()
    assert recorder(service).memory_bytes == 0
    assert recorder(service).state is RecordingState.FAILED
    assert await service.gaps(PORCH, *ALL) == [
        Gap(NOON_NS, NOON_NS + 10 * NS, GapReason.NO_EVENT, ""),
        Gap(NOON_NS + 10 * NS, None, GapReason.CAMERA_LOST, "no answer"),
    ]


async def test_a_loss_within_the_pre_roll_is_told(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=60.0)
    camera = NumberedCamera(clock)
    service.record(around_events(camera.camera), camera.hub)
    camera.play(8)
    lost_ns = clock.wall_ns()
    camera.lose_packets(10)
    back_ns = clock.wall_ns()
    camera.play(1)
    service.event(PORCH, clock.wall_ns(), "motion")
    await drained(service)
    await written(service)
    assert Gap(lost_ns, back_ns, GapReason.PACKET_LOSS, "a packet was lost") in await service.gaps(
        PORCH, *ALL
    )


async def test_what_cannot_hear_of_events_records_everything(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=60.0)
    camera = NumberedCamera(clock)
    service.record(around_events(camera.camera), camera.hub)
    camera.play(20)
    service._recording.hear(False)
    camera.play(20)
    await drained(service)
    assert recorder(service).unheard
    assert service.recording(PORCH)
    service._recording.hear(True)
    camera.play(10)
    kept = await pictures_kept(service, camera)
    assert kept == expected(12, 40 + POST_S), "also what memory had when it was noticed"
    assert recorder(service).state is RecordingState.WAITING_EVENT


async def test_a_connection_that_was_lost_for_a_moment_counts_as_an_event(
    start: Start, clock: ManualClock
) -> None:
    service = await start(segment_s=60.0)
    camera = NumberedCamera(clock)
    service.record(around_events(camera.camera), camera.hub)
    camera.play(20)
    service._recording.events_missed()
    camera.play(20)
    await drained(service)
    assert await pictures_kept(service, camera) == expected(12, 20 + POST_S)


async def test_memory_stays_bounded_and_what_does_not_fit_shortens_the_pre_roll(
    start: Start, clock: ManualClock
) -> None:
    limit_bytes = 200_000
    service = await start(pre_roll_limit_bytes=limit_bytes)
    cameras = [NumberedCamera(clock, f"c{index}", audio=True) for index in range(6)]
    for camera in cameras:
        service.record(
            around_events(camera.camera, events=EventRecording(pre_roll=60.0, post_roll=1.0)), camera.hub
        )
    budget = service._recording.budget
    for _ in range(40 * FPS):
        for camera in cameras:
            camera.push()
            assert budget.used_bytes <= limit_bytes
        clock.advance(1 / FPS)
    assert budget.used_bytes > limit_bytes / 2, "what may be used is used"
    assert all(each.shortened > 0 for each in service._recording._recorders.values())
    metrics = {family.name: family for family in service.metrics()}
    assert metrics["vms_storage_pre_roll_shortened"].samples[0][1] > 0
    for camera in cameras:
        await service.stop_recording(camera.camera.id)
    assert budget.used_bytes == 0


async def test_a_pre_roll_is_let_through_in_steps_while_the_loop_goes_on(
    start: Start, clock: ManualClock
) -> None:
    service = await start(segment_s=60.0)
    camera = NumberedCamera(clock, audio=True)
    service.record(
        around_events(camera.camera, events=EventRecording(pre_roll=60.0, post_roll=5.0)), camera.hub
    )
    camera.play(70)
    service.event(PORCH, clock.wall_ns(), "motion")
    turns = 0
    while recorder(service)._memory:
        await asyncio.sleep(0)
        turns += 1
    assert turns > 60 * 3 * FPS / 32 * 0.9
    await service.stop_recording(PORCH)
    assert await pictures_kept(service, camera) == expected(10, 70)


async def test_a_pre_roll_waits_for_a_disk_that_is_slow(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    service = await start(segment_s=60.0)
    camera = NumberedCamera(clock)
    service.record(around_events(camera.camera), camera.hub)
    camera.play(10)
    (volume,) = service._recording.volumes
    error, volume.error = volume.error, VolumeUnavailable(volume.path, "busy")
    service.event(PORCH, clock.wall_ns(), "motion")
    await asyncio.sleep(0)
    camera.play(2)
    assert recorder(service).memory_bytes > 0
    volume.error = error
    camera.play(6)
    await drained(service)
    assert await pictures_kept(service, camera) == expected(5, 14)


async def test_a_schedule_starts_and_ends_recording_to_the_second(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=60.0)
    camera = NumberedCamera(clock, audio=True)
    service.record(scheduled(camera.camera, ScheduleEntry(start="12:01", end="12:02")), camera.hub)
    assert service.recording_state(PORCH) is RecordingState.NOT_SCHEDULED
    camera.play(0.3)
    clock.advance(50.1)
    camera.play(20)
    await written(service)
    assert service.recording_state(PORCH) is RecordingState.RECORDING
    camera.play(49.3)
    camera.play(20)
    assert service.recording_state(PORCH) is RecordingState.NOT_SCHEDULED
    kept = await pictures_kept(service, camera)
    assert 60 - GROUP_S <= kept[0] <= 60, "the group of pictures that was on when it began"
    assert 120 - 2 / FPS < kept[-1] < 120
    assert len(kept) == round((kept[-1] - kept[0]) * FPS) + 1
    first, second = await service.gaps(PORCH, *ALL)
    assert (first.start_ns, first.reason) == (NOON_NS, GapReason.NOT_SCHEDULED)
    assert first.end_ns is not None
    assert at_s(first.end_ns) == pytest.approx(kept[0])
    assert (second.reason, second.end_ns) == (GapReason.NOT_SCHEDULED, None)
    assert at_s(second.start_ns) == pytest.approx(120, abs=2 / FPS)


async def test_a_schedule_goes_from_events_to_continuous_and_back(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=600.0)
    camera = NumberedCamera(clock)
    service.record(
        scheduled(
            camera.camera,
            ScheduleEntry(record=ScheduledMode.EVENTS),
            ScheduleEntry(start="12:01", end="12:02"),
        ),
        camera.hub,
    )
    camera.play(150)
    kept = await pictures_kept(service, camera)
    assert kept == expected(52, 120), "what was in memory goes with it"
    assert [(gap.reason, gap.end_ns) for gap in await service.gaps(PORCH, *ALL)] == [
        (GapReason.NO_EVENT, NOON_NS + 52 * NS),
        (GapReason.NO_EVENT, None),
    ]


async def test_the_schedules_end_counts_while_the_camera_is_away(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=60.0)
    camera = NumberedCamera(clock)
    service.record(scheduled(camera.camera, ScheduleEntry(start="12:00", end="12:01")), camera.hub)
    camera.play(10)
    camera.disconnect()
    clock.advance(60)
    service._recording.tick()
    assert service.recording_state(PORCH) is RecordingState.NOT_SCHEDULED
    await written(service)
    assert await service.gaps(PORCH, *ALL) == [
        Gap(NOON_NS + 10 * NS, NOON_NS + 60 * NS, GapReason.CAMERA_LOST, "no answer"),
        Gap(NOON_NS + 60 * NS, None, GapReason.NOT_SCHEDULED, ""),
    ]
    clock.advance(86_400 - 70)
    service._recording.tick()
    assert (await service.gaps(PORCH, *ALL))[-1] == Gap(
        NOON_NS + 86_400 * NS, None, GapReason.CAMERA_LOST, "no answer"
    )


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
async def test_the_schedule_is_looked_up_anew_when_the_clock_is_set(
    start: Start, clock: ManualClock, step_s: float
) -> None:
    service = await start(segment_s=60.0)
    camera = NumberedCamera(clock)
    service.record(scheduled(camera.camera, ScheduleEntry(start="11:30", end="12:30")), camera.hub)
    camera.play(3)
    assert service.recording_state(PORCH) is not RecordingState.NOT_SCHEDULED
    clock.step_wall(step_s)
    camera.play(1)
    assert service.recording_state(PORCH) is RecordingState.NOT_SCHEDULED
    clock.step_wall(-step_s)
    camera.play(2)
    await written(service)
    assert service.recording_state(PORCH) is RecordingState.RECORDING


async def test_a_change_of_mode_takes_effect_without_losing_a_picture(
    start: Start, clock: ManualClock
) -> None:
    service = await start(segment_s=600.0)
    camera = NumberedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(10.4)
    service.record(around_events(camera.camera), camera.hub)
    camera.play(20)
    service.record(camera.camera, camera.hub)
    camera.play(10)
    await drained(service)
    await service.stop_recording(PORCH)
    assert await pictures_kept(service, camera) == expected(0, 11) + expected(23, 40.4)


async def test_a_stopped_system_is_no_missing_event(start: Start, clock: ManualClock, tmp_path: Path) -> None:
    volumes = [VolumeConfig(path=tmp_path / "volume", quota=1 << 30)]
    service = await start(volumes=volumes)
    camera = NumberedCamera(clock)
    service.record(around_events(camera.camera), camera.hub)
    camera.play(20)
    await service.stop()
    stopped_ns = clock.wall_ns()
    clock.advance(3600)
    again = await start(volumes=volumes)
    camera = NumberedCamera(clock)
    again.record(around_events(camera.camera), camera.hub)
    await again._recording.precedents_known()
    camera.play(20)
    gaps = await again.gaps(PORCH, *ALL)
    assert [gap.reason for gap in gaps] == [
        GapReason.NO_EVENT,
        GapReason.SYSTEM_STOPPED,
        GapReason.NO_EVENT,
    ]
    assert (gaps[1].start_ns, gaps[1].end_ns) == (stopped_ns, stopped_ns + 3600 * NS)


async def test_every_file_follows_the_one_before_it(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=4.0)
    camera = NumberedCamera(clock)
    service.record(camera.camera, camera.hub)
    before = None
    for _ in range(4):
        camera.play(4)
        live = recorder(service).live
        assert live is not None
        if before is not None:
            previous = live.previous
            assert previous is not None
            linked = previous if isinstance(previous, PreviousFile) else previous.identity
            assert linked.segment_id == before.identity.segment_id
        before = live


async def test_somebody_is_told_of_a_camera_that_is_not_recorded_and_of_a_volume_that_fails(
    start: Start, clock: ManualClock
) -> None:
    service = await start()
    told: list[tuple[str, bool]] = []
    watch = service._recording.watch
    watch.on_camera = lambda camera_id, error: told.append((camera_id, error is None))
    watch.on_volume = lambda path, error, kind: told.append((path.name, error is None))
    camera = NumberedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    await written(service)
    service._recording.tick()
    assert told == []
    camera.disconnect()
    for _ in range(7):
        clock.advance(1)
        service._recording.tick()
    assert told == [(PORCH, False)]
    camera.reconnect(0)
    camera.play(2)
    await written(service)
    service._recording.tick()
    assert told == [(PORCH, False), (PORCH, True)]
    (volume,) = service._recording.volumes
    volume.fail(VolumeUnavailable(volume.path, "is gone", kind="gone"))
    service._recording.tick()
    service._recording.tick()
    volume.works()
    service._recording.tick()
    assert told[2:] == [("volume", False), ("volume", True)]


async def test_a_camera_on_a_disk_that_stalls_goes_on_elsewhere_at_its_next_key_picture(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    volumes = [VolumeConfig(path=tmp_path / name, quota=1 << 30) for name in ("a", "b")]
    service = await start(volumes=volumes, segment_s=600.0)
    camera = NumberedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(5.4)
    live = recorder(service).live
    assert live is not None
    (writer,) = [each for each in service._recording.writers if live.path.is_relative_to(each.volume.path)]
    writer.stalled = True
    camera.play(5)
    await service.stop_recording(PORCH)
    assert await pictures_kept(service, camera) == expected(0, 10.4)
    before, after = await service.segments(PORCH, *ALL)
    assert before.end_ns == after.start_ns == NOON_NS + 6 * NS
    assert {before.path.parts[-4], after.path.parts[-4]} == {"a", "b"}
    assert await service.gaps(PORCH, 0, NOON_NS + 10 * NS) == []


async def test_an_event_while_every_disk_refuses_leaves_the_reason(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=60.0)
    camera = NumberedCamera(clock)
    service.record(around_events(camera.camera), camera.hub)
    camera.play(10)
    (volume,) = service._recording.volumes
    volume.error = VolumeUnavailable(volume.path, "is gone")
    service.event(PORCH, clock.wall_ns(), "motion")
    for _ in range(30):  # the event goes on
        camera.play(1)
        service.event(PORCH, clock.wall_ns(), "motion")
    assert recorder(service).state is RecordingState.FAILED
    assert "is gone" in (service.recording_error(PORCH) or "")
    volume.error = None
    camera.play(3)
    await drained(service)
    kept = await pictures_kept(service, camera)
    assert kept[0] <= 41 - PRE_S - LATE_NS / NS - 10, "what memory held is recorded after all"
    reasons = [gap.reason for gap in await service.gaps(PORCH, *ALL)]
    assert reasons == [GapReason.NO_EVENT, GapReason.DISK_ERROR]
