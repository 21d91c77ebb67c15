"""Decide what of a camera's stream is recorded: all of it, what lies around events, or nothing.

A sink of the hub. Around events alone, units go through memory: the newest pre-roll waits there as whole groups of
pictures. An event lets them through, in steps so that the loop goes on, and everything behind them up to the end of the
post-roll. What memory lets go without an event becomes the gap `no_event`, so gaps are told as late as footage would be.

A window of footage ends with a group of pictures: the next group is the first of the next pre-roll, and no picture is in
neither or in both. Where the schedule ends recording, footage ends at that picture.

Belongs here: modes, events, what waits in memory. Does not: segments (recorder), schedules (schedule), where events come
from (triggers).
"""

import asyncio
from collections.abc import Callable, Sequence

from vms.common.camera import ScheduledMode
from vms.common.clock import NS, Clock
from vms.common.ids import CameraId
from vms.media import AccessUnit, Gap, GapReason, Hub, MediaKind, Track
from vms.storage.gaps import GapLog
from vms.storage.live import LiveSegment
from vms.storage.preroll import Group, MemoryBudget, PreRoll
from vms.storage.recorder import Recorder
from vms.storage.recording_plan import RecordingPlan
from vms.storage.recording_state import RecordingState

LATE_NS = 2 * NS  # so late an event may be told of; its pre-roll is still in memory
HOLD_NS = 10 * NS  # so long what an event let through may wait for a volume, beyond the pre-roll
STEP_UNITS = 32  # so many units go from memory to a segment at once
_RETRY_S = 0.05
_BACK_NS = 2 * NS  # times that lie so far behind are a clock that was set, not a late unit
_FOREVER_NS = 1 << 62
_INTENDED = (GapReason.NO_EVENT, GapReason.NOT_SCHEDULED)


class CameraRecorder:
    """Records one stream of one camera by a plan. Counter: shortened (groups that left a pre-roll for memory)."""

    def __init__(
        self,
        camera_id: CameraId,
        hub: Hub,
        plan: RecordingPlan,
        *,
        segments: Callable[[Callable[[], Sequence[Track]]], Recorder],
        gaps: GapLog,
        clock: Clock,
        budget: MemoryBudget,
    ) -> None:
        """segments: makes the recorder behind this one, given what says of which tracks the stream consists."""
        self.camera_id = camera_id
        self.hub = hub
        self._attached = False
        self.segments = segments(self._tracks)
        self._plan = plan
        self._gaps = gaps
        self._clock = clock
        self._memory = PreRoll(budget, self._let_go)
        self._fed = 0  # items of the memory's head that the segment has
        self._fed_tracks: Sequence[Track] | None = None
        self._stepping: asyncio.Handle | None = None
        self._mode: ScheduledMode | None = None
        self._mode_from_ns = self._mode_until_ns = 0  # the times in which it holds for sure
        self._nothing_since_ns = 0
        self._deaf = False
        self._open = False  # what comes is recorded …
        self._direct = False  # … with nothing in memory before it
        self._until_ns = 0  # while open: groups that begin before
        self._event_until_ns = 0
        self._ended_ns = 0  # end of the last window; 0 once it is known what follows

    # -- life -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Attach to the hub, unless that was done."""
        if self not in self.hub.sinks:
            self._nothing_since_ns = now_ns = self._clock.wall_ns()
            self._enter(self._look_up(now_ns), now_ns)
            self.hub.attach(self)
            self._attached = True

    def stop(self) -> LiveSegment | None:
        """Leave the hub and finish the segment; gives it, so that its end can be awaited."""
        self.hub.detach(self)
        self._attached = False
        if self._stepping is not None:
            self._stepping.cancel()
        self._settle_memory()
        live = self.segments.live
        self.segments.cut()
        self._open = self._direct = False
        return live

    def abandon(self, reason: str) -> None:
        """Let go of everything, after `stop` failed too."""
        self._open = False
        self._memory.clear()
        self.segments.abandon(reason)

    def follow(self, plan: RecordingPlan) -> None:
        """Record by another plan from the next unit on."""
        self._plan = plan
        self._mode_until_ns = 0

    # -- as it stands -----------------------------------------------------------------------------------

    @property
    def dropped(self) -> bool:
        """Whether the hub has let go of it, since it raised."""
        return self._attached and self not in self.hub.sinks

    @property
    def live(self) -> LiveSegment | None:
        """The segment that is being filled."""
        return self.segments.live

    @property
    def recording(self) -> bool:
        """Whether what the camera delivers now is being kept."""
        return self._open and self.segments.recording and self in self.hub.sinks

    @property
    def error(self) -> str | None:
        """Why nothing is being kept although it should; None while all is well."""
        return self.segments.error if self._open else None

    @property
    def state(self) -> RecordingState:
        if self._mode is None:
            return RecordingState.NOT_SCHEDULED
        if self.recording:
            return RecordingState.RECORDING
        if self._mode is ScheduledMode.EVENTS and not self._deaf and self._flows and self.error is None:
            begun = self.segments.live is not None and self.segments.live.error is None
            return RecordingState.RECORDING if begun else RecordingState.WAITING_EVENT
        return RecordingState.FAILED

    @property
    def failure(self) -> str:
        """Why it is in the state failed, for a person."""
        lasting = self.hub.lasting_gap
        if self.error is not None:
            return self.error
        if lasting is not None:
            return lasting.detail or lasting.reason.value
        return "the camera delivers no picture that a recording can begin with"

    @property
    def unheard(self) -> bool:
        """Whether it records all the time because events cannot be heard of."""
        return self._deaf and self._mode is ScheduledMode.EVENTS

    @property
    def memory_bytes(self) -> int:
        return self._memory.size_bytes

    @property
    def shortened(self) -> int:
        return self._memory.shortened

    @property
    def _flows(self) -> bool:
        return self.hub.lasting_gap is None and self.hub.last_unit is not None

    # -- told by the service ----------------------------------------------------------------------------

    def event(self, at_ns: int) -> None:
        """Something happened at a time (wall clock) that footage is wanted of; told late, perhaps twice."""
        self._event_until_ns = max(self._event_until_ns, at_ns + self._plan.post_roll_ns)
        if self._mode is not ScheduledMode.EVENTS or self._deaf:
            return
        self._until_ns = max(self._until_ns, self._event_until_ns)
        if not self._open and self._wanted(self._memory.head):
            self._memory.let_go(at_ns - self._plan.pre_roll_ns)
            self._open_if_wanted()

    def hear(self, heard: bool) -> None:
        """Events can, or cannot, be heard of. While they cannot, everything is recorded."""
        if heard is not self._deaf:
            return
        self._deaf = not heard
        if self._mode is ScheduledMode.EVENTS:
            if heard:
                self._until_ns = 0
                self.missed()
            else:
                self._until_ns = _FOREVER_NS
                self._set_open()

    def missed(self) -> None:
        """Events of the last seconds may have been missed: what memory has is recorded as if there had been one."""
        self._event_until_ns = max(self._event_until_ns, self._clock.wall_ns() + self._plan.post_roll_ns)
        if self._mode is ScheduledMode.EVENTS and not self._deaf:
            self._until_ns = max(self._until_ns, self._event_until_ns)
            if not self._open:
                self._open_if_wanted()

    def tick(self, now_ns: int) -> None:
        """Once a second: what no unit brings about."""
        if not self._flows:
            if not self._mode_from_ns <= now_ns < self._mode_until_ns:
                self._follow_plan(now_ns, None)
            if not self._open:
                self._memory.let_go(now_ns - self._kept_ns)
        latest_ns = now_ns + self._plan.post_roll_ns
        if self._event_until_ns > latest_ns + _BACK_NS:  # the clock was set back
            self._event_until_ns = latest_ns
            if self._mode is ScheduledMode.EVENTS and not self._deaf:
                self._until_ns = latest_ns

    # -- called by the hub ------------------------------------------------------------------------------

    def push(self, unit: AccessUnit) -> None:
        if not self._mode_from_ns <= unit.capture_ns < self._mode_until_ns:
            self._follow_plan(unit.capture_ns, unit)
        if self._mode is None:
            return
        if self._direct:
            if not (unit.key and unit.capture_ns >= self._until_ns and self._leads(unit)):
                self.segments.push(unit)
                return
            self._close()
        self._remember(unit)

    def gap(self, gap: Gap) -> None:
        if self._mode is None:
            return  # nothing is missing; a gap that lasts is the hub's to tell later
        if self._direct:
            self.segments.gap(gap)
            return
        self._memory.mark(gap)
        if self._open:
            self._go_on()
        else:
            self._memory.let_go(-_FOREVER_NS)

    # -- modes ------------------------------------------------------------------------------------------

    def _follow_plan(self, at_ns: int, unit: AccessUnit | None) -> None:
        due = self._mode_from_ns <= self._mode_until_ns <= at_ns
        changed_ns = self._mode_until_ns if due else at_ns
        mode = self._look_up(at_ns)
        if mode is self._mode:
            return
        if mode is not None and self._mode is None:
            self._take_up(changed_ns, unit)
        self._enter(mode, changed_ns)

    def _look_up(self, at_ns: int) -> ScheduledMode | None:
        found = self._plan.in_force(at_ns)
        self._mode_from_ns = at_ns - _BACK_NS
        self._mode_until_ns = _FOREVER_NS if found.until_ns is None else found.until_ns
        return found.mode

    def _enter(self, mode: ScheduledMode | None, changed_ns: int) -> None:
        self._mode = mode
        if mode is None:
            self._nothing_since_ns = changed_ns
            self._settle_memory()
            end_ns = self.segments.cut()
            self._open = self._direct = False
            self._gaps.open(end_ns or self._ended_ns or changed_ns, GapReason.NOT_SCHEDULED)
            self._ended_ns = 0
        elif mode is ScheduledMode.CONTINUOUS or self._deaf:
            self._until_ns = _FOREVER_NS
            if not self._open:  # memory goes with it: an event that is told soon may want it
                self._set_open()
        else:  # what is open stays so up to the next group of pictures
            self._until_ns = max(self._event_until_ns, changed_ns) if self._open else self._event_until_ns

    def _take_up(self, changed_ns: int, unit: AccessUnit | None) -> None:
        """Recording begins in the middle of a stream: with the group of pictures that it is in, or with its gap."""
        lasting = self.hub.lasting_gap
        if lasting is not None:
            self._gaps.open(changed_ns, lasting.reason, lasting.detail)
        group = self.hub.gop
        if unit is None or not group or group[0].capture_ns < self._nothing_since_ns:
            return
        for each in group:
            if each is not unit:
                self._memory.push(each, self.hub.tracks)

    # -- memory -----------------------------------------------------------------------------------------

    @property
    def _kept_ns(self) -> int:
        return self._plan.pre_roll_ns + LATE_NS

    def _remember(self, unit: AccessUnit) -> None:
        begins = self._memory.push(unit, self.hub.tracks)
        if self._open:
            self._drain(STEP_UNITS)
            if self._memory.too_large:
                self._drain(None)
            return
        if begins:
            self._memory.let_go(unit.capture_ns - self._kept_ns)
            self._open_if_wanted()
        if self._memory.too_large and not self._open:
            self._memory.shorten()

    def _wanted(self, item: Group | Gap | None) -> bool:
        return isinstance(item, Group) and item.start_ns < self._until_ns

    def _open_if_wanted(self) -> None:
        if self._wanted(self._memory.head):
            self._set_open()

    def _set_open(self) -> None:
        self._open = True
        self._direct = not self._memory
        self._ended_ns = 0
        self._go_on()

    def _close(self) -> None:
        """Here a window of footage ends, before a group of pictures."""
        self._ended_ns = self.segments.cut() or 0
        self._open = self._direct = False
        self._fed_tracks = None

    def _let_go(self, item: Group | Gap) -> None:
        """What was in memory is not recorded."""
        if isinstance(item, Gap):
            start_ns = max(item.start_ns, self._ended_ns) or self._clock.wall_ns()
            self._gaps.open(start_ns, item.reason, item.detail)
        else:
            self._gaps.open(self._ended_ns or item.start_ns, GapReason.NO_EVENT)
        self._ended_ns = 0

    def _settle_memory(self) -> None:
        """Record what is on its way, and let the rest go."""
        if self._open:
            self._drain(None)
        self._memory.clear()
        self._fed, self._fed_tracks = 0, None

    # -- from memory to the segment ---------------------------------------------------------------------

    def _tracks(self) -> Sequence[Track]:
        return self.hub.tracks if self._fed_tracks is None else self._fed_tracks

    def _go_on(self) -> None:
        """Let through what memory has, whether or not more comes from the camera."""
        if self._memory and self._stepping is None:
            self._stepping = asyncio.get_running_loop().call_soon(self._step)

    def _step(self) -> None:
        self._stepping = None
        if self._open and self._memory:
            held = not self._drain(STEP_UNITS)
            if self._open and self._memory:
                loop = asyncio.get_running_loop()
                self._stepping = loop.call_later(_RETRY_S if held else 0.0, self._step)

    def _drain(self, most: int | None) -> bool:
        """Give up to `most` units to the segment, None: all. False when they have to wait for a volume."""
        left = _FOREVER_NS if most is None else most
        while left > 0 and (head := self._memory.head) is not None:
            if isinstance(head, Gap):
                self._memory.pop()
                self.segments.gap(head)
                continue
            if self._fed == 0:
                if not self._wanted(head):
                    self._close()
                    break
                if most is not None and self._must_hold(head):
                    return False
                self._fed_tracks = head.tracks
            left -= self._feed(head, left)
        if not self._memory:
            self._fed_tracks = None
            self._direct = self._open
        return True

    def _feed(self, head: Group, most: int) -> int:
        part = head.items[self._fed : self._fed + most]
        for item in part:
            if isinstance(item, Gap):
                self.segments.gap(item)
            else:
                self.segments.push(item)
        self._fed += len(part)
        if self._fed == len(head.items):  # what is still to come of it goes its way directly
            self._memory.pop()
            self._fed = 0
        return len(part)

    def _must_hold(self, head: Group) -> bool:
        last = self.hub.last_unit
        age_ns = last.capture_ns - head.start_ns if last is not None else 0
        return age_ns < self._kept_ns + HOLD_NS and not self.segments.has_room

    def _leads(self, unit: AccessUnit) -> bool:
        return unit.track.kind is MediaKind.VIDEO or self.hub.track(MediaKind.VIDEO) is None
