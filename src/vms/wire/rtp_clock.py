"""Presentation times → RTP timestamps that only advance, for receivers that know of no discontinuity.

Belongs here: the RTP clock of one track, whoever sends it. Does not: packets, sender reports.
"""

import secrets

from vms.common.clock import NS
from vms.media import AccessUnit

TIMELINE_TOLERANCE_S = 1
MAX_STEP_S = 60


class RtpClock:
    """Timestamps follow `pts` with a random start (RFC 3550 §5.1). Where the stream timeline starts over or jumps,
    they go on by the capture time that passed, MAX_STEP_S at most.
    """

    def __init__(self, clock_rate: int) -> None:
        self._rate = clock_rate
        self._base = secrets.randbits(32)
        self._last: AccessUnit | None = None

    def at(self, pts: int) -> int:
        """What a unit of the timeline as it is now would be stamped with, not reduced to 32 bits."""
        return self._base + pts

    def timestamp(self, unit: AccessUnit) -> int:
        """The timestamp of the next unit in decoding order, not reduced to 32 bits."""
        last, self._last = self._last, unit
        if last is not None and (unit.discontinuity or unit.dts <= last.dts):
            passed = unit.dts - last.dts
            by_capture = (unit.capture_ns - last.capture_ns) * self._rate // NS
            if passed <= 0 or abs(passed - by_capture) > TIMELINE_TOLERANCE_S * self._rate:
                step = min(max(by_capture, self._rate // 100), MAX_STEP_S * self._rate)
                self._base += step - passed
        return self._base + unit.pts
