"""A segment while it is being written, shared by the loop that fills it and the threads that write it.

The loop appends fragments to `writer`; the volume's thread writes them and then counts them in
`visible`. Each field has one writing side, named below; the GIL makes a single store or load of it atomic.

Belongs here: the state of one open segment. Does not: doing the writing (writer), deciding when to cut
(recorder), reading what was written (library).
"""

import asyncio
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from vms.format.hybrid import PreviousFile, SegmentIdentity, SegmentWriter
from vms.media import AccessUnit, Track
from vms.storage.body import WritableBody
from vms.storage.errors import StorageError


class SegmentOwner(Protocol):
    """Who is told, on the loop, how a segment fares."""

    def segment_began(self, live: "LiveSegment") -> None:
        """Its first fragment is in the file: footage is being kept from its start on."""

    def segment_failed(self, live: "LiveSegment", error: StorageError) -> None:
        """The disk refused it: nothing after its last visible fragment is kept."""


class LiveSegment:
    """One segment from its first unit until its file is closed.

    previous: the recording before it, of the same camera and stream, which its signature will name. A LiveSegment is
    let go of as soon as its file is closed, so that closed segments are not kept in a row.
    """

    __slots__ = (
        "announced",
        "begun",
        "body",
        "chain_digest",
        "closed",
        "created",
        "digests",
        "directory_synced",
        "error",
        "finished",
        "identity",
        "lock",
        "owner",
        "path",
        "previous",
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
        previous: "LiveSegment | PreviousFile | None" = None,
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
        self.body: WritableBody | None = None  # the volume thread's, then its finishing thread's
        self.visible = 0  # fragments in the file; the volume thread's
        self.digests: list[
            bytes
        ] = []  # of the fragments in the file, where it will be signed; the volume thread's
        self.previous = previous  # the loop's until it begins, then the finishing threads'
        self.chain_digest: bytes | None = None  # of the closed file; the finishing thread's
        self.error: StorageError | None = None  # the threads'
        self.announced = False  # the owner was told that it began; the volume thread's
        self.directory_synced = False  # the syncing thread's
        self.lock = threading.Lock()  # between syncing and finishing, which are different threads
        self.closed = threading.Event()  # its file was let go of, whole or not; the finishing thread's
        self.finished = asyncio.Event()  # nothing more will be written to it; the loop's

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
        """Bytes of the fragments that are in the file."""
        visible = self.visible
        return self.writer.fragments[visible - 1].end if visible else 0

    @property
    def end_ns(self) -> int:
        visible = self.visible
        return self.writer.fragments[visible - 1].end_ns if visible else self.start_ns

    @property
    def given_end_ns(self) -> int:
        """The end of what it was given, in the file or on its way."""
        fragments = self.writer.fragments
        return fragments[-1].end_ns if fragments else self.start_ns

    def link(self) -> PreviousFile | None:
        """What the signature of the next recording says of this one.

        None until its file is closed, and for good when it was not closed whole, or nothing is signed: what repair
        finds in it is not known here.
        """
        chain_digest = self.chain_digest
        return None if chain_digest is None else PreviousFile(self.identity.segment_id, chain_digest)

    def settle_previous(self) -> None:
        """Let go of the segment before, if its file is closed, and keep what is to be said of it."""
        previous = self.previous
        if isinstance(previous, LiveSegment) and previous.closed.is_set():
            self.previous = previous.link()
