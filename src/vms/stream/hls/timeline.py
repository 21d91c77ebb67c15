"""Media sequence numbers and timestamps out of capture time, the same in every worker and after every restart.

Time is cut into slots of `SLOT_NS`. The segment of slot n has the media sequence number n, whoever makes it. It begins
with the first key picture captured in the slot, or, where there is none, with the slot's last picture: so there is one
segment a slot, numbers rise by one, and a segment is shorter than two slots, however rare key pictures are.

Belongs here: what all renditions of a stream share. Does not: their media (rendition).
"""

from bisect import bisect_right

from vms.common.clock import NS
from vms.media import AccessUnit

SLOT_NS = 2 * NS
TARGET_DURATION_S = 2 * SLOT_NS // NS
DRIFT_MAX_NS = NS // 2
"""Media time is anchored anew when it is this far from capture time: the camera's clock runs at a rate of its own."""
_BREAKS_KEPT = 256


class Timeline:
    """What the renditions of one stream agree about.

    offset_ns: of media time to the stream's own: media time is capture time, without its jitter.
    """

    def __init__(self) -> None:
        self.offset_ns: int | None = None
        self._shift = 0  # slots: capture time that was set back must not set numbers back
        self._forgotten = 0
        self._breaks: list[int] = []

    def number(self, capture_ns: int) -> int:
        """The media sequence number of the slot that a capture time lies in."""
        return capture_ns // SLOT_NS + self._shift

    def after(self, capture_ns: int, number: int) -> None:
        """Number what was captured at `capture_ns`, after a step of the clock, above `number`."""
        self._shift += max(0, number + 1 - self.number(capture_ns))

    def anchor(self, unit: AccessUnit) -> bool:
        """Whether media time had to be anchored anew at this unit, which is a discontinuity."""
        own_ns = unit.dts * NS // unit.track.clock_rate
        before = self.offset_ns
        if before is None or abs(own_ns + before - unit.capture_ns) > DRIFT_MAX_NS:
            self.offset_ns = unit.capture_ns - own_ns
            return before is not None
        return False

    def break_at(self, number: int) -> None:
        """The segment of this number, in every rendition, follows a discontinuity."""
        at = bisect_right(self._breaks, number)
        if at and self._breaks[at - 1] == number:
            return
        self._breaks.insert(at, number)
        if len(self._breaks) > _BREAKS_KEPT:
            del self._breaks[0]
            self._forgotten += 1

    def breaks_at(self, number: int) -> bool:
        return number in self._breaks

    def discontinuities(self, number: int) -> int:
        """The discontinuity sequence number of a segment.

        Counted from 0 in every worker: players keep tables by it (hls.js walks through them), so it has to be small.
        A player that meets another worker sees the same segments under other ones, and puts up with that.
        """
        return self._forgotten + bisect_right(self._breaks, number)
