"""Key pictures of recordings: which is nearest to a moment, and decoding it alone.

Only the sample itself is read, and the box before it that says where it lies.

Belongs here: finding and decoding one picture. Does not: who waits for it (thumbnails), keeping it (thumbnail_cache).
"""

from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass, replace
from uuid import UUID

from vms.common.clock import NS, rfc3339
from vms.common.errors import NotFound
from vms.common.ids import CameraId
from vms.format.errors import FormatError
from vms.format.hybrid import SegmentFile, read_samples
from vms.format.picture import small_jpeg
from vms.media import MediaKind
from vms.storage.playback.errors import PictureUnavailable
from vms.storage.playback.ports import RecordingStore
from vms.storage.playback.search import check_range, nothing_recorded
from vms.storage.segment import OpenFile, Segment

REACH_NS = 3 * NS
"""A moment where nothing is recorded shows a picture that is no further away."""
MOST_KNOWN = 128
MOST_SAMPLE_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class KeyPicture:
    """One key picture of a recording. index: of its fragment in `file`, which lists key fragments alone."""

    segment: Segment
    file: SegmentFile
    index: int

    @property
    def time_ns(self) -> int:
        return self.file.fragments[self.index].start_ns

    @property
    def offset(self) -> int:
        """Of its fragment in the file: with the segment's id it names the picture."""
        return self.file.fragments[self.index].offset


class KeyPictures:
    """Finds key pictures; where those of the MOST_KNOWN recordings asked for last lie is remembered."""

    def __init__(self, store: RecordingStore) -> None:
        self._store = store
        self._known: OrderedDict[UUID, SegmentFile] = OrderedDict()

    async def find(self, camera_id: CameraId, at_ns: int) -> KeyPicture:
        """The newest at or before `at_ns` in the recording of that moment, else the nearest within REACH_NS.

        Raises NothingRecorded with the reason, PictureUnavailable, RangeInvalid, Unavailable.
        """
        check_range(at_ns, at_ns + 1)
        near = await self._store.segments(camera_id, max(at_ns - REACH_NS, 0), at_ns + REACH_NS)
        for segment in sorted(near, key=lambda segment: _rank(segment, at_ns)):
            try:
                return await self._picture_of(segment, at_ns)
            except NotFound:  # deleted since it was listed
                continue
        raise await nothing_recorded(self._store, camera_id, at_ns, at_ns + 1)

    async def open(self, picture: KeyPicture) -> OpenFile:
        """The file that it is in; whoever asked closes it. Raises NotFound, Unavailable."""
        return await self._store.open_file(picture.segment.id)

    async def _picture_of(self, segment: Segment, at_ns: int) -> KeyPicture:
        file = self._known.get(segment.id)
        if file is None:
            with await self._store.open(segment.id) as opened:
                file = opened.file
            file = replace(file, fragments=[each for each in file.fragments if each.key], movie=None)
            if file.closed:
                self._known[segment.id] = file
                if len(self._known) > MOST_KNOWN:
                    self._known.popitem(last=False)
        else:
            self._known.move_to_end(segment.id)
        if not file.fragments:
            raise PictureUnavailable(f"recording {segment.id} holds no key picture")
        index = bisect_right(file.fragments, at_ns, key=lambda fragment: fragment.start_ns) - 1
        return KeyPicture(segment, file, max(index, 0))


def _rank(segment: Segment, at_ns: int) -> tuple[int, int]:
    """What covers the moment comes first, of several the one that reaches furthest; then the nearest."""
    if segment.start_ns <= at_ns < segment.end_ns:
        return 0, -segment.end_ns
    return 1, segment.start_ns - at_ns if segment.start_ns > at_ns else at_ns - segment.end_ns


def decode_key_picture(opened: OpenFile, picture: KeyPicture, width: int) -> bytes:
    """Its JPEG, `width` pixels wide (even). Blocks: for a thread. Raises PictureUnavailable, Unavailable."""
    try:
        return _decode(opened, picture, width)
    except (FormatError, OSError) as error:
        raise PictureUnavailable(
            f"the key picture of {rfc3339(picture.time_ns)} in recording {picture.segment.id} cannot be "
            f"decoded: {error}"
        ) from error


def _decode(opened: OpenFile, picture: KeyPicture, width: int) -> bytes:
    file = picture.file
    video = next((track for track in file.tracks if track.kind is MediaKind.VIDEO), None)
    if video is None:
        raise FormatError("it holds no pictures")
    table = read_samples(opened.read_at, file, picture.index, picture.index + 1).get(video.id)
    if table is None:
        raise FormatError("its key fragment holds no pictures")
    size = table.sizes[0]
    if size > MOST_SAMPLE_BYTES:
        raise FormatError(f"it is larger than {MOST_SAMPLE_BYTES >> 20} MiB")
    unit = opened.read_at(table.offsets[0], size)
    if len(unit) != size:
        raise FormatError("it was cut short")
    return small_jpeg(table.track, unit, width)
