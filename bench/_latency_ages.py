"""How old pictures were when they were shown, and how often one stood for too long.

Belongs here: what is noted of each picture. Does not: players (_latency_sides), figures (latency).
"""

import time
from collections.abc import Sequence
from itertools import pairwise
from operator import sub
from statistics import median
from typing import Any

from vms.virtual_camera import CameraOptions, ClockReading

CAMERA = CameraOptions(pattern=True)
"""What its pictures are like."""
WARM_UP_S = 3.0
PATIENCE_S = 30.0
"""For which a player may show nothing."""
FREEZE_MS = 150.0
"""A picture is frozen that stands longer than usual by this, and than three usual intervals: as WebRTC counts."""


class Ages:
    """Of the pictures from WARM_UP_S after the first one on, for `seconds`, and longer if there are not two by then."""

    def __init__(self, seconds: float) -> None:
        self.complete = False
        self.shown_ms: list[float] = []
        self._seconds = seconds
        self._began_s: float | None = None
        self._ages_ms: list[float] = []
        self._unreadable = 0

    def note(self, reading: ClockReading | None, shown_ms: float) -> None:
        """A picture. shown_ms: milliseconds since the Unix epoch."""
        now_s = time.monotonic()
        if self._began_s is None:
            self._began_s = now_s + WARM_UP_S
        if now_s < self._began_s:
            return
        if reading is None:
            self._unreadable += 1
        else:
            self._ages_ms.append(shown_ms - reading.wall_ms)
            self.shown_ms.append(shown_ms)
        noted = len(self._ages_ms) + self._unreadable
        self.complete = noted > 1 and now_s > self._began_s + self._seconds

    def result(self) -> dict[str, Any]:
        return {"ages_ms": self._ages_ms, "unreadable": self._unreadable}


def freezes(shown_ms: Sequence[float]) -> int:
    """How often a picture stood for too long; shown_ms: when each was shown."""
    if len(shown_ms) < 2:
        return 0
    usual_ms = median(map(sub, shown_ms[1:], shown_ms))
    longest_ms = max(3 * usual_ms, usual_ms + FREEZE_MS)
    return sum(after - before > longest_ms for before, after in pairwise(shown_ms))
