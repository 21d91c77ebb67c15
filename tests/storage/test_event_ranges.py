"""Which footage keepers are told shows events."""

import itertools
from pathlib import Path

from tests.storage.conftest import Start
from tests.storage.scripted_camera import NOON_NS, ScriptedCamera

from vms.common.camera import EventRecording
from vms.common.clock import NS, ManualClock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.storage.errors import KeeperAway
from vms.storage.event_ranges import EventRanges
from vms.storage.keeper_link import RANGES_LIMIT
from vms.storage.keeping import EventRange

PORCH = CameraId("porch")


def seconds(ranges: list[tuple[int, int]]) -> list[tuple[float, float]]:
    return [((start - NOON_NS) / NS, (end - NOON_NS) / NS) for start, end in ranges]


async def test_events_of_any_recorded_camera_become_ranges_on_every_volume(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    volumes = [VolumeConfig(path=tmp_path / name, quota=1 << 30) for name in ("a", "b")]
    service = await start(volumes=volumes)
    camera = ScriptedCamera(clock)
    settings = EventRecording(kinds=("motion", "alarm"), pre_roll=10.0, post_roll=30.0)
    service.record(camera.camera.model_copy(update={"events": settings}), camera.hub)
    clock.advance(100)
    for at_s, kind in ((20, "motion"), (40, "motion"), (45, "alarm"), (99, "motion"), (99, "door_opened")):
        service.event(PORCH, NOON_NS + at_s * NS, kind)
    await service._recording.report()
    found = await service._library.event_ranges(PORCH, 0, 1 << 62)
    assert seconds(found) == [(10, 70), (35, 75), (89, 129)]
    for keeper in service._keepers:
        assert await keeper._ask(lambda catalog: catalog.has_event(PORCH, NOON_NS, NOON_NS + 200 * NS))


async def test_ranges_wait_for_a_keeper_that_is_away_and_their_number_is_bounded(
    start: Start, clock: ManualClock
) -> None:
    service = await start()
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    (link,) = service._recording.links
    keeper = link.keeper

    class Away:
        def __getattr__(self, name: str) -> object:
            async def fail(*arguments: object) -> None:
                raise KeeperAway("away")

            return fail

    link.keeper = Away()
    clock.advance(1e6)
    for at_s in range(0, 300_000, 100):
        service.event(PORCH, NOON_NS + at_s * NS, "motion")
    await link.report()
    assert link.ranges_waiting == 3_000
    for index in range(RANGES_LIMIT):
        link.note(EventRange(PORCH, index, index + 1, "x"))
    assert link.ranges_waiting == RANGES_LIMIT
    assert link.ranges_dropped == 3_000
    link.keeper = keeper
    await link.report()
    assert link.ranges_waiting == 0


def test_a_day_of_motion_is_a_range_an_hour_without_holes() -> None:
    told: dict[int, EventRange] = {}
    ranges = EventRanges(lambda each: told.update({each.start_ns: each}))
    camera = ScriptedCamera(ManualClock(NOON_NS)).camera
    for at_s in range(0, 86_400, 5):
        ranges.add(camera, at_s * NS, "motion")
    found = sorted(told.values(), key=lambda each: each.start_ns)
    assert 24 <= len(found) <= 26
    assert all(one.end_ns >= other.start_ns for one, other in itertools.pairwise(found))
    assert found[-1].end_ns == (86_395 + 30) * NS


def test_a_late_event_is_a_range_of_its_own_and_does_not_break_the_newest() -> None:
    told: list[EventRange] = []
    ranges = EventRanges(told.append)
    camera = ScriptedCamera(ManualClock(NOON_NS)).camera
    for at_s in (1000, 10, 1005):
        ranges.add(camera, at_s * NS, "motion")
    assert [(each.start_ns // NS, each.end_ns // NS) for each in told] == [(990, 1030), (0, 40), (990, 1035)]
