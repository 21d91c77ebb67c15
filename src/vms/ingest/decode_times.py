"""Decoding times for streams that carry only presentation times.

RTP timestamps are presentation times (RFC 6184 §5.1). A picture that `depth` others overtake is decoded
`depth` places earlier than it is shown, so the decoding time of the n-th picture to arrive is the n-th
smallest presentation time, `depth` places back.
"""

from heapq import heappush, heappushpop

MAX_DEPTH = 16  # ITU-T H.264 A.3.1: no decoded picture buffer is deeper


class DecodeTimes:
    """Presentation times in decoding order → decoding times, strictly rising, never after presentation.

    depth: the stream's declared reordering (`Track.max_reorder`); it deepens when the stream turns out to
    reorder more, as streams without VUI do. `frame_ticks` is the distance assumed before two are known.
    """

    def __init__(self, depth: int, frame_ticks: int) -> None:
        self.depth = min(depth, MAX_DEPTH)
        self._frame_ticks = frame_ticks
        self._waiting: list[int] = []
        self._last_pts: int | None = None
        self._last_dts: int | None = None
        self._settling = False  # a deepening has not worked through yet

    def next(self, pts: int) -> int:
        """The decoding time of the next picture in decoding order."""
        if self.depth == 0:
            if self._last_dts is None or pts > self._last_dts:  # so it goes without B-frames
                self._last_pts = self._last_dts = pts
                return pts
            if self._last_pts is not None and pts < self._last_pts:
                self._waiting.append(self._last_pts)
                self._deepen()
        self._last_pts = pts
        if self.depth == 0:
            dts = pts
        elif len(self._waiting) < self.depth:
            missing = self.depth - len(self._waiting)
            heappush(self._waiting, pts)
            dts = self._waiting[0] - missing * self._frame_ticks
        else:
            dts = heappushpop(self._waiting, pts)
        if self._last_dts is not None and dts <= self._last_dts:
            if dts < self._last_dts and not self._settling:
                self._deepen()
            dts = self._last_dts + 1
        else:
            self._settling = False
        self._last_dts = dts
        return dts

    def _deepen(self) -> None:
        self.depth = min(self.depth + 1, MAX_DEPTH)
        self._settling = True
