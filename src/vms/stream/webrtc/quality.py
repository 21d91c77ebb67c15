"""When a viewer that cannot take the main stream gets the smaller one, and when it may try again.

Belongs here: the rule, and what a session chose. Does not: what is measured (vms.stream.webrtc.reception), the switch itself
(vms.stream.webrtc.viewer).
"""

from dataclasses import dataclass, field

from vms.common.clock import NS
from vms.common.stream_name import StreamName

MOST_LOST = 0.1  # of the packets: more than NACK makes good without pictures that freeze
LOSSY_NS = 5 * NS
QUIET_NS = 30 * NS
MOST_QUIET_NS = 16 * QUIET_NS


class QualityPolicy:
    """Main or sub for one viewer that wants main.

    Down after more than MOST_LOST for LOSSY_NS, or at once when its queue overran. Up again after QUIET_NS without
    either; each time that goes wrong within as long again, the next wait is twice as long.
    """

    __slots__ = ("_choice", "_lossy_since_ns", "_quiet_ns", "_skipped", "_stable_from_ns", "_up_ns")

    def __init__(self) -> None:
        self._choice = StreamName.MAIN
        self._quiet_ns = QUIET_NS
        self._lossy_since_ns: int | None = None
        self._skipped = 0
        self._stable_from_ns = 0  # since when nothing was wrong
        self._up_ns: int | None = None  # when main was tried again

    def step(self, now_ns: int, fraction_lost: float | None, frames_skipped: int) -> StreamName:
        """What the viewer should get, asked about once a second.

        fraction_lost: of its newest report. frames_skipped: since the session began.
        """
        skipped, self._skipped = frames_skipped > self._skipped, frames_skipped
        lossy = fraction_lost is not None and fraction_lost > MOST_LOST
        if not lossy:
            self._lossy_since_ns = None
        elif self._lossy_since_ns is None:
            self._lossy_since_ns = now_ns
        if skipped or lossy or not self._stable_from_ns:
            self._stable_from_ns = now_ns
        if self._choice is StreamName.MAIN:
            if skipped or (self._lossy_since_ns is not None and now_ns - self._lossy_since_ns >= LOSSY_NS):
                self._down(now_ns)
            elif self._up_ns is not None and now_ns - self._up_ns >= self._quiet_ns:
                self._up_ns, self._quiet_ns = None, QUIET_NS  # it held
        elif now_ns - self._stable_from_ns >= self._quiet_ns:
            self._choice, self._up_ns = StreamName.MAIN, now_ns
        return self._choice

    def retry(self, now_ns: int) -> None:
        """Main is wanted at once, as when a tile is enlarged; when that goes wrong it counts as any attempt."""
        if self._choice is not StreamName.MAIN:
            self._choice, self._up_ns = StreamName.MAIN, now_ns

    def _down(self, now_ns: int) -> None:
        if self._up_ns is not None:
            self._quiet_ns = min(2 * self._quiet_ns, MOST_QUIET_NS)
            self._up_ns = None
        self._choice = StreamName.SUB
        self._stable_from_ns = now_ns
        self._lossy_since_ns = None


@dataclass(slots=True)
class Choice:
    """Which stream a session wants and gets. fixed: the camera has no other one that could be sent."""

    wanted: StreamName
    current: StreamName = field(init=False)
    quality: QualityPolicy = field(default_factory=QualityPolicy)
    switching: bool = False
    fixed: bool = False

    def __post_init__(self) -> None:
        self.current = self.wanted
