"""A segment while it is being written, shared by the loop that fills it and the threads that write it.

The loop appends fragments to `writer`; the volume's thread writes them and then counts them in
`visible`, so readers never see a byte that is not in the file. Each field has one writing side, named below; the
GIL makes a single store or load of it atomic.

Belongs here: the state of one open segment and views of it. Does not: doing the writing (writer), deciding
when to cut (recorder).
"""

import asyncio
import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from vms.common.ids import CameraId
from vms.format.hybrid import Fragment, SegmentFile, SegmentIdentity, SegmentWriter, read_segment
from vms.media import AccessUnit, Codec, MediaKind, Track
from vms.storage.errors import StorageError
from vms.storage.segment import Segment, SegmentIndex


class SegmentOwner(Protocol):
    """Who is told, on the loop, how a segment fares."""

    def segment_began(self, live: "LiveSegment") -> None:
        """Its first fragment is in the file: footage is being kept from its start on."""

    def segment_failed(self, live: "LiveSegment", error: StorageError) -> None:
        """The disk refused it: nothing after its last visible fragment is kept."""


class LiveSegment:
    """One segment from its first unit to its row in the catalog."""

    __slots__ = (
        "announced",
        "begun",
        "created",
        "descriptor",
        "directory_synced",
        "error",
        "finished",
        "identity",
        "lock",
        "owner",
        "path",
        "start_ns",
        "visible",
        "writer",
    )

    def __init__(
        self,
        identity: SegmentIdentity,
        tracks: tuple[Track, ...],
        first: AccessUnit,
        path: Path,
        owner: SegmentOwner,
        *,
        expected: Collection[int] = (),
    ) -> None:
        """Raises FormatError when the tracks or the first unit cannot be recorded. expected: as SegmentWriter's."""
        self.identity = identity
        self.start_ns = first.capture_ns
        self.owner = owner
        # the loop's up to the finish, then its thread's
        self.writer = SegmentWriter(tracks, identity, expected=expected)
        self.writer.push(first)
        self.begun = False  # it has a fragment, and the volume thread was told of it; the loop's
        self.path = path  # the volume thread's: a clash of names changes it
        self.created = False  # its file exists; the volume thread's
        self.descriptor = -1  # the volume thread's, then its finishing thread's
        self.visible = 0  # fragments in the file; the volume thread's
        self.error: StorageError | None = None  # the threads'
        self.announced = False  # the owner was told that it began; the volume thread's
        self.directory_synced = False  # the syncing thread's
        self.lock = threading.Lock()  # between syncing and finishing, which are different threads
        self.finished = asyncio.Event()  # it has its row, or failed to get it; the loop's

    @property
    def tracks(self) -> tuple[Track, ...]:
        """What it lists; before its first fragment, what it may list."""
        return self.writer.tracks

    @property
    def header(self) -> bytes:
        """Its first bytes, once it has begun."""
        return self.writer.header()

    @property
    def size_bytes(self) -> int:
        """Bytes that readers may see."""
        visible = self.visible
        return self.writer.fragments[visible - 1].end if visible else len(self.header)

    @property
    def end_ns(self) -> int:
        visible = self.visible
        return self.writer.fragments[visible - 1].end_ns if visible else self.start_ns

    @property
    def given_end_ns(self) -> int:
        """The end of what it was given, in the file or on its way."""
        fragments = self.writer.fragments
        return fragments[-1].end_ns if fragments else self.start_ns

    def segment(self, closed: bool = False, size_bytes: int | None = None) -> Segment:
        """The segment as it stands; once it is `closed`, without tracks that nothing came for."""
        tracks = recorded_tracks(self.tracks, self.writer.fragments) if closed else self.tracks
        return Segment(
            id=self.identity.segment_id,
            camera_id=CameraId(self.identity.camera_id),
            stream=self.identity.stream,
            path=self.path,
            start_ns=self.start_ns,
            end_ns=max(self.end_ns, self.start_ns),
            size_bytes=self.size_bytes if size_bytes is None else size_bytes,
            closed=closed,
            video=codec_of(tracks, MediaKind.VIDEO),
            audio=codec_of(tracks, MediaKind.AUDIO),
        )

    def index(self) -> SegmentIndex:
        return SegmentIndex(self._skeleton().init, self.writer.fragments[: self.visible])

    def file(self) -> SegmentFile:
        """The file's structure up to what readers may see."""
        fragments = self.writer.fragments[: self.visible]
        size = fragments[-1].end if fragments else len(self.header)
        return replace(self._skeleton(), fragments=fragments, size=size)

    def _skeleton(self) -> SegmentFile:
        header = self.header
        return read_segment(lambda offset, size: header[offset : offset + size], len(header))


def recorded_tracks(tracks: Sequence[Track], fragments: Iterable[Fragment]) -> tuple[Track, ...]:
    """Those of which there are samples in `fragments`."""
    held = {part.track_id for fragment in fragments for part in fragment.tracks}
    return tuple(track for track in tracks if track.id in held)


def codec_of(tracks: tuple[Track, ...], kind: MediaKind) -> Codec | None:
    """The codec of the first track of a kind."""
    return next((track.codec for track in tracks if track.kind is kind), None)
