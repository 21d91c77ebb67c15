"""Which volume a new segment goes to: one that can write it, has room for it, and has the most bandwidth left.

Room weighs as well, by its square root: a disk with a quarter of the room of another has to have twice its bandwidth
free. So disks that are hardly busy fill evenly, and footage on a small one does not go long before that on a large one.

Belongs here: the choice, as a pure function of what volumes say of themselves. Does not: measuring (disk_load),
whether a volume works (volume, writer).
"""

import math
from collections.abc import Sequence
from typing import Protocol, TypeVar

ROOM_S = 60.0  # what a segment writes until the keeper has looked at the room several times


class Candidate(Protocol):
    """What a volume's writer says of it."""

    @property
    def ready(self) -> bool:
        """It takes new segments."""

    @property
    def stalled(self) -> bool:
        """It has not answered for seconds; what is queued is written when it does."""

    @property
    def free_bytes_per_s(self) -> float:
        """What more its disk would take; below 0 when it is given too much already."""

    @property
    def spare_bytes(self) -> int:
        """What may be written before something has to go."""


_Candidate = TypeVar("_Candidate", bound=Candidate)


def choose(writers: Sequence[_Candidate], expected_bytes_per_s: float) -> _Candidate | None:
    """The writer for a segment that will need so much; None when none is ready.

    Whoever follows it tells the writer to `expect` as much, so that many choices at once spread. One that stalls is
    chosen when there is no other. Where there is hardly room anywhere, room alone decides.
    """
    ready = [each for each in writers if each.ready]
    answering = [each for each in ready if not each.stalled] or ready
    need_bytes = expected_bytes_per_s * ROOM_S
    roomy = [each for each in answering if each.spare_bytes > need_bytes]
    if not roomy:
        return max(answering, key=lambda each: each.spare_bytes, default=None)

    most_bytes = max(each.spare_bytes for each in roomy)

    def score(each: _Candidate) -> tuple[float, int]:
        free = each.free_bytes_per_s
        return free * math.sqrt(each.spare_bytes / most_bytes) if free > 0 else free, each.spare_bytes

    return max(roomy, key=score)


def should_move(writer: Candidate, writers: Sequence[Candidate]) -> bool:
    """Whether what is written to a writer that stalls should go on elsewhere: there is one that answers."""
    return writer.stalled and any(each.ready and not each.stalled for each in writers)
