"""Whatever happens in whatever order, each unit that should be kept is in one file, once, and gaps tell the rest."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.storage.numbered_camera import NumberedCamera, numbers_kept
from tests.storage.scripted_camera import FPS, GOP, NOON_NS, until, written

from vms.common.camera import EventRecording, RecordMode, ScheduledMode
from vms.common.clock import NS, ManualClock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.media import GapReason, MediaKind
from vms.storage.camera_recorder import LATE_NS
from vms.storage.errors import VolumeUnavailable
from vms.storage.recording_plan import RecordingPlan
from vms.storage.schedule import InForce
from vms.storage.service import StorageService

PORCH = CameraId("porch")
PRE_NS, POST_NS = 3 * NS, 2 * NS
GROUP_NS = GOP * NS // FPS
MODES = (ScheduledMode.CONTINUOUS, ScheduledMode.EVENTS, None)
EDGE_NS = NS // 10  # between a picture and the edge of a gap
FOREVER_NS = 1 << 62

actions = st.lists(
    st.one_of(
        st.tuples(st.just("play"), st.integers(1, 4 * FPS)),
        st.tuples(st.just("event"), st.sampled_from([0, 0, 7, 20, 40])),  # frames ago
        st.tuples(st.just("lose"), st.integers(1, GOP)),
        st.tuples(st.just("disconnect"), st.integers(1, 12)),  # seconds
        st.tuples(st.just("deaf"), st.integers(1, 3 * FPS)),
        st.tuples(st.just("wait"), st.integers(1, 5)),  # turns of the loop
    ),
    min_size=3,
    max_size=25,
)
schedules = st.lists(st.tuples(st.integers(1, 150), st.sampled_from(MODES)), min_size=0, max_size=6)


@dataclass
class Model:
    """What was asked for, in time. changes: (from ns, mode), by time."""

    changes: list[tuple[int, ScheduledMode | None]]
    events: list[tuple[int, int]] = field(default_factory=list)  # at, told
    deaf: list[tuple[int, int]] = field(default_factory=list)
    refused: list[tuple[int, int]] = field(default_factory=list)  # from, to: no volume took anything

    def in_force(self, at_ns: int) -> InForce:
        mode, until_ns = self.changes[0][1], None
        for from_ns, each in self.changes:
            if from_ns > at_ns:
                until_ns = from_ns
                break
            mode = each
        return InForce(mode, until_ns)

    def mode_began_ns(self, at_ns: int) -> int:
        """Since when the mode at a time is as it is."""
        mode, began_ns = self.in_force(at_ns).mode, 0
        for from_ns, each in self.changes:
            if from_ns > at_ns:
                break
            began_ns = began_ns if each is self.in_force(max(from_ns - 1, 0)).mode else from_ns
        assert self.in_force(began_ns).mode is mode or began_ns == 0
        return began_ns

    def must(self, at_ns: int, start_ns: int, end_ns: int) -> bool:
        """Whether a unit of a group of pictures [start, end) has to be kept."""
        mode, began_ns = self.in_force(at_ns).mode, self.mode_began_ns(at_ns)
        if mode is None or start_ns < began_ns:
            return False  # the group that is on at a change: see `may`
        if mode is ScheduledMode.CONTINUOUS or any(a <= at_ns < b for a, b in self.deaf):
            return True
        return any(
            start_ns < event_ns + POST_NS and end_ns > event_ns - PRE_NS and event_ns >= began_ns
            for event_ns, told_ns in self.events
            if not self.ended_within(at_ns, told_ns)
        )

    def ended_within(self, start_ns: int, end_ns: int) -> bool:
        """Whether the schedule ended recording in between: nothing of before is kept for later."""
        return any(mode is None and start_ns < from_ns <= end_ns for from_ns, mode in self.changes)

    def may(self, at_ns: int, start_ns: int, end_ns: int) -> bool:
        """Whether it may be kept: it is wanted, or its group of pictures or a window around it is."""
        if self.in_force(at_ns).mode is None:  # but for the group that is on when recording begins
            return any(start_ns < from_ns < end_ns for from_ns, mode in self.changes if mode is not None)
        slack_ns = GROUP_NS + LATE_NS
        windows = [(event_ns - PRE_NS, event_ns + POST_NS) for event_ns, _ in self.events]
        windows += [(a - PRE_NS, b + POST_NS) for a, b in self.deaf]
        windows += [
            (from_ns - PRE_NS, self.in_force(from_ns).until_ns or FOREVER_NS)
            for from_ns, mode in self.changes
            if mode is ScheduledMode.CONTINUOUS
        ]
        # What waits for a volume waits in one row: an event takes what came meanwhile with it, wanted or not.
        windows += self.refused
        return any(start_ns < b + slack_ns and end_ns > a - slack_ns for a, b in windows)


async def happen(
    service: StorageService, camera: NumberedCamera, model: Model, steps: list[tuple[str, int]]
) -> None:
    clock = camera.clock
    assert isinstance(clock, ManualClock)
    recording = service._recording
    newest_event_ns = 0
    for what, amount in steps:
        if what == "play":
            camera.play(amount / FPS)
        elif what == "event":
            at_ns = max(clock.wall_ns() - amount * NS // FPS, newest_event_ns)
            newest_event_ns = at_ns
            model.events.append((at_ns, clock.wall_ns()))
            service.event(PORCH, at_ns, "motion")
        elif what == "lose":
            camera.lose_packets(amount)
        elif what == "disconnect":
            camera.disconnect()
            for _ in range(amount):
                clock.advance(1)
                recording.tick()
            camera.reconnect(0)
        elif what == "refuse":
            refused_ns = clock.wall_ns()
            for volume in recording.volumes:
                volume.error = VolumeUnavailable(volume.path, "is away for a moment")
            camera.play(amount / FPS)
            await asyncio.sleep(0)
            for volume in recording.volumes:
                volume.error = None
            model.refused.append((refused_ns, clock.wall_ns()))
        elif what == "deaf":
            deaf_ns = clock.wall_ns()
            recording.hear(False)
            camera.play(amount / FPS)
            recording.hear(True)
            model.deaf.append((deaf_ns, clock.wall_ns()))
        for _ in range(amount if what == "wait" else 1):
            await asyncio.sleep(0)
        recording.tick()


def groups(camera: NumberedCamera) -> list[tuple[int, int, int]]:
    """(unit, start, end) of the group of pictures of each unit that has one."""
    log = camera.hub.log
    keys = [n for n, unit in enumerate(log) if unit.key and unit.track.kind is MediaKind.VIDEO]
    found = []
    for first, following in pairwise([*keys, len(log)]):
        end_ns = log[following - 1].capture_ns + 1
        found += [(number, log[first].capture_ns, end_ns) for number in range(first, following)]
    return found


async def scenario(
    steps: list[tuple[str, int]],
    flips: list[tuple[int, ScheduledMode | None]],
    first: ScheduledMode | None,
    *,
    whole: bool = True,
) -> None:
    clock = ManualClock(NOON_NS)
    changes = [(0, first)]
    changes += sorted(
        {NOON_NS + tenths * NS // 10 + NS // 50: mode for tenths, mode in flips}.items(),
        key=lambda each: each[0],
    )
    model = Model(changes)
    with tempfile.TemporaryDirectory() as folder:
        service = StorageService([VolumeConfig(path=Path(folder) / "volume", quota=1 << 30)], 5.0, clock)
        await service.start()
        try:
            camera = NumberedCamera(clock, audio=True)
            settings_ = EventRecording(pre_roll=PRE_NS / NS, post_roll=POST_NS / NS)
            service.record(
                camera.camera.model_copy(update={"record": RecordMode.EVENTS, "events": settings_}),
                camera.hub,
            )
            recorder = service._recording._recorders[PORCH]
            recorder.follow(RecordingPlan(model.in_force, PRE_NS, POST_NS))
            recorder._follow_plan(clock.wall_ns(), None)
            await happen(service, camera, model, steps)
            await until(lambda: not recorder._open or not recorder._memory)
            await service.stop_recording(PORCH)
            await written(service)
            await check(service, camera, model, whole=whole)
            assert service._recording.budget.used_bytes == 0
        finally:
            await service.stop()


async def check(service: StorageService, camera: NumberedCamera, model: Model, *, whole: bool) -> None:
    kept = await numbers_kept(service)
    assert set(kept.values()) <= {1}, "a unit is recorded twice"
    gaps = await service.gaps(PORCH, 0, FOREVER_NS)
    wanting = {GapReason.NO_EVENT, GapReason.NOT_SCHEDULED}
    for number, start_ns, end_ns in groups(camera):
        unit = camera.hub.log[number]
        at_ns, video = unit.capture_ns, unit.track.kind is MediaKind.VIDEO
        if whole and model.must(at_ns, start_ns, end_ns):
            assert number in kept, f"{unit.track.kind} at {(at_ns - NOON_NS) / NS} s is missing"
        if number in kept:
            assert model.may(at_ns, start_ns, end_ns), (
                f"unit at {(at_ns - NOON_NS) / NS} s should not be kept"
            )
        covered = [
            gap for gap in gaps if gap.start_ns <= at_ns and (gap.end_ns is None or at_ns < gap.end_ns)
        ]
        near = any(
            abs(at_ns - edge_ns) < EDGE_NS
            for gap in gaps
            for edge_ns in (gap.start_ns, gap.end_ns)
            if edge_ns is not None
        )
        if video and number not in kept:
            assert covered or near, f"nothing says why {(at_ns - NOON_NS) / NS} s is missing"
        if video and number in kept and not near:
            assert not [gap for gap in covered if gap.reason in wanting], (
                f"a gap where there is footage, {(at_ns - NOON_NS) / NS} s"
            )


@settings(max_examples=60, deadline=None)
@given(steps=actions, flips=schedules, first=st.sampled_from(MODES))
def test_each_unit_that_is_wanted_is_kept_once_and_gaps_tell_the_rest(
    steps: list[tuple[str, int]], flips: list[tuple[int, ScheduledMode | None]], first: ScheduledMode | None
) -> None:
    asyncio.run(scenario(steps, flips, first))


@settings(max_examples=30, deadline=None)
@given(steps=actions)
def test_around_events_alone_likewise(steps: list[tuple[str, int]]) -> None:
    asyncio.run(scenario(steps, [], ScheduledMode.EVENTS))


refusals = st.lists(
    st.one_of(
        actions.filter(bool).map(lambda steps: steps[0]), st.tuples(st.just("refuse"), st.integers(1, 400))
    ),
    min_size=3,
    max_size=20,
)


@settings(max_examples=40, deadline=None)
@example(
    steps=[("refuse", 1), ("refuse", 274), ("event", 0)],
    flips=[(1, ScheduledMode.CONTINUOUS), (2, ScheduledMode.EVENTS)],
    first=ScheduledMode.EVENTS,
)
@given(steps=refusals, flips=schedules, first=st.sampled_from(MODES))
def test_while_disks_refuse_now_and_then_gaps_tell_what_is_missing(
    steps: list[tuple[str, int]], flips: list[tuple[int, ScheduledMode | None]], first: ScheduledMode | None
) -> None:
    asyncio.run(scenario(steps, flips, first, whole=False))
