"""One recording file as the rest of the system sees it.

Belongs here: what a recording is called, what it covers, and reading its bytes.
Does not: finding recordings (catalog), writing them (recorder, writer), what their bytes mean
(vms.format.hybrid).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

from vms.common.ids import CameraId, camera_id
from vms.format.errors import FormatError
from vms.format.hybrid import Fragment, SegmentFile
from vms.media import Codec, MediaKind, Track
from vms.storage.body import Body


@dataclass(frozen=True, slots=True)
class Segment:
    """One recording file. Immutable once `closed`; an open one is a picture of the moment.

    start_ns, end_ns: wall clock (UTC) of the capture of its first picture and of the end of its last,
        half open; of an open segment, the end of what readers may see.
    size_bytes: of an open segment, what readers may see.
    stream: which feed of the camera (``main``).
    video, audio: None when the segment has no such track.
    path: where it is on its volume, or was before it was moved. tier: where it is now; "" is its volume.
    """

    id: UUID
    camera_id: CameraId
    stream: str
    path: Path
    start_ns: int
    end_ns: int
    size_bytes: int
    closed: bool
    video: Codec | None
    audio: Codec | None
    tier: str = ""


@dataclass(frozen=True, slots=True)
class SegmentIndex:
    """Where the parts of a recording file lie, without opening it: enough for a playlist.

    init: offset and size of the initialisation segment (ISO 14496-12 §8.16: ftyp and moov).
    fragments: in file order; `Fragment.tracks` is empty when the index came from a catalog.
    """

    init: tuple[int, int]
    fragments: Sequence[Fragment]


def describe(path: Path, file: SegmentFile) -> Segment:
    """The segment that a file with at least one fragment holds; a closed one lists only what there are samples of.

    Raises FormatError when it names a camera that cannot be.
    """
    try:
        camera = camera_id(file.identity.camera_id)
    except ValueError as error:
        raise FormatError(f"names a camera that cannot be: {error}") from error
    tracks = recorded_tracks(file.tracks, file.fragments) if file.closed else file.tracks
    return Segment(
        id=file.identity.segment_id,
        camera_id=camera,
        stream=file.identity.stream,
        path=path,
        start_ns=file.fragments[0].start_ns,
        end_ns=max(fragment.end_ns for fragment in file.fragments),
        size_bytes=file.size,
        closed=file.closed,
        video=_codec_of(tracks, MediaKind.VIDEO),
        audio=_codec_of(tracks, MediaKind.AUDIO),
    )


def recorded_tracks(tracks: Sequence[Track], fragments: Iterable[Fragment]) -> tuple[Track, ...]:
    """Those of which there are samples in `fragments`."""
    held = {part.track_id for fragment in fragments for part in fragment.tracks}
    return tuple(track for track in tracks if track.id in held)


def _codec_of(tracks: Sequence[Track], kind: MediaKind) -> Codec | None:
    """The codec of the first track of a kind."""
    return next((track.codec for track in tracks if track.kind is kind), None)


class OpenFile:
    """A recording file open for reading; a context manager that closes it. Its structure was not looked at.

    segment: what was asked for, as it stood when it was opened. body: its bytes; belongs to this object.
    Reads go on to work when retention deletes a file of the volume meanwhile, and mostly so in a tier.
    """

    def __init__(self, segment: Segment, body: Body) -> None:
        self.segment = segment
        self.closed = False
        self._body = body

    @property
    def body(self) -> Body:
        return self._body

    @property
    def size_bytes(self) -> int:
        """How many bytes there are now; may ask a disk, so call it in a thread. Raises OSError."""
        return self._body.size_bytes

    def read_at(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset`; blocks on a disk or a network, so call it in a thread.

        Raises OSError, Unavailable when a tier does not answer, FormatError when encrypted bytes were changed.
        """
        return self._body.read_at(offset, size)

    def close(self) -> None:
        """Let go of the file; harmless when done before."""
        if not self.closed:
            self.closed = True
            self._body.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class OpenSegment(OpenFile):
    """An open recording file and what is in it.

    file: its structure; of a segment still being written, up to the last fragment that was written whole.
    """

    def __init__(self, segment: Segment, file: SegmentFile, body: Body) -> None:
        super().__init__(segment, body)
        self.file = file

    def without_index(self) -> OpenFile:
        """The same open file without its structure, which may be large; this object is closed by it."""
        self.closed = True
        return OpenFile(self.segment, self._body)
