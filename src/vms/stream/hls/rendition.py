"""One track as segments and parts: a ring of the newest ones in memory.

Belongs here: where segments and parts begin and end, what is kept. Does not: playlists (playlist), who waits (muxer).
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from vms.common.clock import NS
from vms.format.mp4.live import LiveSample, build_live_fragment, build_live_init, live_data
from vms.media import AccessUnit, MediaKind, Track
from vms.stream.hls.parts import UNKNOWN_TARGET_NS, step_ns
from vms.stream.hls.timeline import SLOT_NS, Timeline

RING_SEGMENTS = 16
RING_MAX_BYTES = 32 << 20
INITS_KEPT = 4
_NUMBERS_A_SEGMENT = 256


@dataclass(frozen=True, slots=True)
class Part:
    """independent: it has a picture with which decoding can begin (RFC 8216bis §4.4.4.9)."""

    data: bytes = field(repr=False)
    duration_ns: int
    independent: bool


@dataclass(slots=True)
class Segment:
    """init: the name of its init segment. missing: nothing was captured in its slot (EXT-X-GAP). size: in bytes.

    lines: in a playlist, once it is complete, without and with its parts.
    """

    number: int
    capture_ns: int
    init: str
    parts: list[Part] = field(default_factory=list)
    complete: bool = False
    missing: bool = False
    duration_ns: int = 0
    size: int = 0
    lines: dict[bool, list[str]] = field(default_factory=dict, repr=False)

    def add(self, part: Part) -> None:
        self.parts.append(part)
        self.duration_ns += part.duration_ns
        self.size += len(part.data)

    @property
    def body(self) -> Sequence[bytes]:
        """The segment is its parts, one after the other."""
        return [part.data for part in self.parts]


class Rendition:
    """Takes the units of one track in decoding order. A unit is held back until the next one says how long it lasts.

    changes: how often something was added; playlists are made anew then.
    """

    def __init__(self, timeline: Timeline, part_target_ns: int = UNKNOWN_TARGET_NS) -> None:
        self.segments: deque[Segment] = deque()
        self.inits: dict[str, bytes] = {}
        self.part_target_ns = part_target_ns
        self.changes = 0
        self.bytes = 0
        self.overruns = 0
        self.track: Track | None = None
        self._timeline = timeline
        self._offset_ns = 0
        self._init = ""
        self._pending: AccessUnit | None = None
        self._broken = True  # nothing can be decoded before the next key picture
        self._fresh = False  # the next unit follows a gap, or has other parameters
        self._skipping = False  # up to the next slot
        self._duration = 0
        self._capture_ns = 0
        self._samples: list[LiveSample] = []
        self._first_dts = 0
        self._part_ns = 0
        self._step_ns = self._part_due_ns = part_target_ns  # how long parts should be, and this one
        self._keys: tuple[int | None, int | None] = (None, None)  # dts of the newest two key pictures

    @property
    def open(self) -> Segment | None:
        """The newest segment, while it grows."""
        return self.segments[-1] if self.segments and not self.segments[-1].complete else None

    def push(self, unit: AccessUnit) -> None:
        """Take one unit. FormatError when it cannot be written."""
        pending = self._pending
        if pending is not None and unit.discontinuity:
            self.interrupt()
        elif pending is not None:
            self._pending = None
            most = self.part_target_ns * unit.track.clock_rate // NS
            self._duration = min(max(unit.dts - pending.dts, 1), max(most, 1))
            self._take(pending, unit)
        if self._broken or unit.discontinuity:
            if not unit.key:
                self._broken = True
                return
            self._broken, self._fresh = False, bool(self.segments)
        self._pending = unit

    def interrupt(self) -> None:
        """Something is missing from here on: what there is becomes a part, and goes on at a key picture."""
        pending, self._pending = self._pending, None
        if pending is not None and self._duration:
            self._take(pending, None)
        self._close_part()
        self._broken = True

    def segment(self, number: int) -> Segment | None:
        if not self.segments:
            return None
        index = number - self.segments[0].number
        return self.segments[index] if 0 <= index < len(self.segments) else None

    def _take(self, unit: AccessUnit, following: AccessUnit | None) -> None:
        if unit.track is not self.track:
            self._use(unit.track)
        if unit.key:
            self._keys = (self._keys[1], unit.dts)
        number = self._number(unit)
        newest = self.segments[-1] if self.segments else None
        next_number = self._timeline.number(following.capture_ns) if following is not None else number
        last = newest is not None and not self._skipping and next_number > number
        if newest is None or number > newest.number:
            if unit.key or (last and not self._fresh):
                self._begin(number, unit)
            elif newest is None or newest.complete or self._fresh:
                return
        elif self._fresh and (
            self._init != newest.init or unit.capture_ns < self._capture_ns or newest.complete
        ):
            self._skipping = True
        if self._skipping:
            return
        self._fresh = False
        self._add(unit)
        self._foresee(following, next_number)

    def _number(self, unit: AccessUnit) -> int:
        number = self._timeline.number(unit.capture_ns)
        if self._fresh and self.segments and number < self.segments[-1].number - 1:
            self._timeline.after(unit.capture_ns, self.segments[-1].number)
            number = self._timeline.number(unit.capture_ns)
        return number

    def _use(self, track: Track) -> None:
        init = build_live_init(track)
        name = f"init-{sha256(init).hexdigest()[:16]}"
        if self._init and name != self._init:
            self._close_part()
            self._fresh = True
        self.track, self._init = track, name
        self.inits[name] = init
        while len(self.inits) > INITS_KEPT:
            del self.inits[next(iter(self.inits))]

    def _begin(self, number: int, unit: AccessUnit) -> None:
        self._complete()
        timeline = self._timeline
        drifted = unit.track.kind is MediaKind.VIDEO and timeline.anchor(unit)
        if timeline.offset_ns is None:
            timeline.anchor(unit)
        self._offset_ns = timeline.offset_ns or 0
        if self.segments:
            if self._fresh or drifted:
                timeline.break_at(number)
            self._fill(number)
        self._fresh = self._skipping = False
        self.segments.append(Segment(number, unit.capture_ns, self._init))
        frame_ns = max(self._duration * NS // unit.track.clock_rate, 1)
        self._step_ns = step_ns(unit.capture_ns, self._every_ns(unit), frame_ns, self.part_target_ns)
        self._part_due_ns = self._step_ns
        self._evict()

    def _every_ns(self, unit: AccessUnit) -> int:
        """From the key picture before to this one, by the stream's own clock: capture times have jitter. 0: unknown."""
        before = self._keys[0]
        if not unit.key or before is None:
            return 0
        return max((unit.dts - before) * NS // unit.track.clock_rate, 0)

    def _fill(self, number: int) -> None:
        """Segments for slots in which there was nothing; after more of them than are kept all begins anew."""
        newest = self.segments[-1]
        if number - newest.number > RING_SEGMENTS:
            self.segments.clear()
            self.bytes = 0
            return
        for missing in range(newest.number + 1, number):
            capture_ns = newest.capture_ns + newest.duration_ns + (missing - newest.number - 1) * SLOT_NS
            gap = Segment(missing, capture_ns, newest.init, complete=True, missing=True, duration_ns=SLOT_NS)
            self.segments.append(gap)

    def _add(self, unit: AccessUnit) -> None:
        rate = unit.track.clock_rate
        duration_ns = self._duration * NS // rate
        if self._samples and self._full(duration_ns):
            self._close_part()
        if not self._samples:
            self._first_dts = unit.dts + self._offset_ns * rate // NS
        self._samples.append(LiveSample(live_data(unit), self._duration, unit.pts - unit.dts, unit.key))
        self._part_ns += duration_ns
        self._capture_ns = unit.capture_ns

    def _foresee(self, following: AccessUnit | None, next_number: int) -> None:
        """End the part, or the segment, as soon as it is certain that the next unit is not in it."""
        newest = self.segments[-1]
        if following is None:
            return
        if next_number <= newest.number:
            if self._full(self._duration * NS // following.track.clock_rate):
                self._close_part()
        elif following.key and not following.discontinuity:
            self._complete()

    def _full(self, more_ns: int) -> bool:
        """Whether the part ends nearer to where it should without the next unit."""
        part_ns = self._part_ns
        return part_ns + more_ns > self.part_target_ns or 2 * part_ns + more_ns > 2 * self._part_due_ns

    def _close_part(self) -> None:
        segment = self.open
        if not self._samples or segment is None or self.track is None:
            return
        samples, self._samples = self._samples, []
        number = (segment.number * _NUMBERS_A_SEGMENT + len(segment.parts)) & 0xFFFF_FFFF
        data = build_live_fragment(number, self.track.id, self._first_dts, samples)
        segment.add(Part(data, self._part_ns, any(sample.key for sample in samples)))
        self._part_due_ns += self._step_ns - self._part_ns
        self._part_ns = 0
        self.bytes += len(data)
        self.changes += 1
        self._evict()

    def _complete(self) -> None:
        self._close_part()
        segment = self.open
        if segment is not None:
            segment.complete = True
            self.changes += 1

    def _evict(self) -> None:
        while len(self.segments) > RING_SEGMENTS or (self.bytes > RING_MAX_BYTES and len(self.segments) > 1):
            self.bytes -= self.segments.popleft().size
        if self.bytes > RING_MAX_BYTES:  # one segment alone: no player could follow
            self.segments[-1].complete = True
            self.overruns += 1
            self._skipping = True
