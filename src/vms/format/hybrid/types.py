"""What the recording format consists of, as values.

Belongs here: the types that writer, reader and recovery share with their callers.
Does not: bytes (layout, index), decisions (recovery).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from vms.media import Track

if TYPE_CHECKING:
    from vms.format.hybrid.integrity import Proof

ReadAt = Callable[[int, int], bytes]
"""``read_at(offset, size)`` gives at most `size` bytes of the file from `offset`; fewer only at its end."""


@dataclass(frozen=True, slots=True)
class SegmentIdentity:
    """Whose footage a file is. It stands in the file, so that files alone can rebuild a catalog."""

    segment_id: UUID
    camera_id: str
    stream: str


@dataclass(frozen=True, slots=True)
class FragmentTrack:
    """What a fragment holds of one track; a track without samples in it has no entry.

    first_dts, duration: ticks of the track's clock, on the stream's timeline.
    """

    track_id: int
    first_dts: int
    duration: int
    samples: int


@dataclass(frozen=True, slots=True)
class Fragment:
    """One fragment: the bytes ``prft moof mdat`` at `offset`.

    start_ns: wall-clock capture time (UTC) of its first sample, of video where it has any.
    duration_ns: how long the track that `start_ns` speaks of lasts in it.
    key: decoding can start here: its first picture is a key picture, or the file has no video at all.
    """

    offset: int
    size: int
    start_ns: int
    duration_ns: int
    key: bool
    tracks: tuple[FragmentTrack, ...]

    @property
    def end(self) -> int:
        """The offset of the first byte after it."""
        return self.offset + self.size

    @property
    def end_ns(self) -> int:
        return self.start_ns + self.duration_ns


@dataclass(frozen=True, slots=True)
class WrittenFragment:
    """A fragment to be written: `buffers`, one after the other, belong at `fragment.offset`.

    At most 1,024 buffers (IOV_MAX), so one ``pwritev`` takes them. Media data in them is not copied.
    """

    fragment: Fragment
    buffers: list[bytes]


@dataclass(frozen=True, slots=True)
class Finish:
    """What closes a file: write `tail` at `tail_offset`, sync, write `flip` at `flip_offset`, sync."""

    tail_offset: int
    tail: bytes
    flip_offset: int
    flip: bytes


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """A recording file as its reader sees it.

    init: offset and size of the init segment (the second ``ftyp`` and its ``moov``).
    fragments: the complete ones, contiguous, in file order.
    closed: it has its final ``moov`` and its flip.
    size: bytes that are valid: the whole of a closed file; of an open one up to its last complete fragment.
    movie: offset and size of the final ``moov``; None unless closed.
    in_band: ids of the tracks whose samples carry parameter sets (``avc3``, ``hev1``).
    proof: digests and signature of a closed file, as read, not checked; None: it is not signed.
    """

    identity: SegmentIdentity
    tracks: tuple[Track, ...]
    init: tuple[int, int]
    fragments: list[Fragment]
    closed: bool
    size: int
    movie: tuple[int, int] | None = None
    in_band: frozenset[int] = frozenset()
    proof: "Proof | None" = None


class RecoveryAction(StrEnum):
    INTACT = "intact"  # nothing to do
    FLIP = "flip"  # the tail is whole: truncate to `truncate_to`, write the flip
    REBUILD = "rebuild"  # truncate to `truncate_to`, append `tail` there, sync, write the flip
    EMPTY = "empty"  # no complete fragment: nothing of it can be played


@dataclass(frozen=True, slots=True)
class Recovery:
    """How to bring a file that was not closed into order; see `RecoveryAction`.

    truncate_to: bytes to keep. `tail` is empty unless REBUILD; `flip` is empty for INTACT and EMPTY.
    segment: the file as it will be read afterwards; None for EMPTY.
    """

    action: RecoveryAction
    truncate_to: int
    tail: bytes
    flip_offset: int
    flip: bytes
    segment: SegmentFile | None
