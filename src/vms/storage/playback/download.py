"""Bytes of recording files as one body of known size, read in pieces while they are sent.

Belongs here: byte positions, reading off the event loop, entity tags.
Does not: HTTP (vms.api), what the bytes are (export, hls).
"""

import asyncio
import hashlib
from array import array
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from concurrent.futures import Executor

from vms.common.errors import Unavailable
from vms.format.errors import FormatError
from vms.format.mp4.progressive import Extent
from vms.storage.playback.errors import RecordingGone
from vms.storage.playback.files import HeldFiles
from vms.storage.segment import OpenFile, Segment
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

CHUNK_BYTES = 256 << 10
_INSERTED = 1 << 31


class Body:
    """`header`, then the extents in order; `Extent.source` is the file's place in a HeldFiles, or bytes.

    About 28 bytes an extent; no extent is empty.
    """

    def __init__(self, header: bytes | bytearray, extents: Iterable[Extent]) -> None:
        self.header = header
        self.inserted: list[bytes] = []
        self.places = array("I")  # of a file, or of what is `inserted`, counted from _INSERTED
        self.offsets = array("Q")
        self.starts = array("Q")  # position in the body; one more than extents, the last is the size
        position = len(header)
        for extent in extents:
            self.places.append(self._place(extent.source))
            self.offsets.append(extent.offset)
            self.starts.append(position)
            position += extent.size
        self.starts.append(position)

    @property
    def size_bytes(self) -> int:
        return self.starts[-1]

    def _place(self, source: Hashable) -> int:
        if isinstance(source, int):
            return source
        assert isinstance(source, bytes)
        if source not in self.inserted:  # parameter sets: as many as there are encodings
            self.inserted.append(source)
        return _INSERTED + self.inserted.index(source)

    def digest(self) -> "hashlib._Hash":
        """A hash over the header and where everything else lies; not over media data."""
        digest = hashlib.sha256(self.header)
        for column in (self.places, self.offsets, self.starts):
            digest.update(memoryview(column).cast("B"))
        for data in self.inserted:
            digest.update(data)
        return digest

    def reads(self, position: int, size: int) -> tuple[int, list[tuple[int, int]]]:
        """Where up to `size` bytes from `position`, behind the header, lie: a file's place, (offset, size)….

        Never crosses from one file to the next.
        """
        index = bisect_right(self.starts, position) - 1
        place = self.places[index]
        found: list[tuple[int, int]] = []
        while size > 0 and index < len(self.places) and self.places[index] == place:
            skipped = position - self.starts[index]
            take = min(size, self.starts[index + 1] - position)
            found.append((self.offsets[index] + skipped, take))
            size -= take
            position += take
            index += 1
        return place, found


class Download:
    """A body that is sent while it is read. Implements the API's `ByteSource`.

    etag: strong (RFC 9110 §8.8.1), without its quotes: the same tag means the same bytes, so that a
        download can be resumed by Range.
    """

    def __init__(
        self,
        body: Body,
        files: HeldFiles,
        executor: Executor,
        etag: str,
        released: Callable[[], None] | None = None,
    ) -> None:
        self.etag = etag
        self._body = body
        self._files = files
        self._executor = executor
        self._released = released
        self._reads: set[asyncio.Future[bytes]] = set()

    @property
    def size_bytes(self) -> int:
        return self._body.size_bytes

    async def chunks(self, first: int, last: int) -> AsyncIterator[bytes]:
        """The bytes from `first` to `last`, both included, in pieces of at most CHUNK_BYTES.

        One reader at a time. Raises RecordingGone when retention was faster than the reader, Unavailable
        when the disk fails; the pieces given before are right.
        """
        position, end, header = first, min(last + 1, self.size_bytes), self._body.header
        while position < end:
            size = min(CHUNK_BYTES, end - position)
            if position < len(header):
                piece = bytes(header[position : min(position + size, len(header))])
            else:
                place, reads = self._body.reads(position, size)
                if place >= _INSERTED:
                    data = self._body.inserted[place - _INSERTED]
                    piece = b"".join(data[offset : offset + size] for offset, size in reads)
                else:
                    piece = await self._read_file(place, reads)
            yield piece
            position += len(piece)

    async def close(self) -> None:
        """Close the files, after reads that are under way; harmless when done before."""
        if self._reads:
            await asyncio.wait(self._reads)
        self._files.close()
        released, self._released = self._released, None
        if released is not None:
            released()

    async def _read_file(self, place: int, reads: list[tuple[int, int]]) -> bytes:
        """Raises RecordingGone, Unavailable."""
        opened = await self._files.get(place)
        try:
            return await self._read(opened, reads)
        except (RecordingGone, Unavailable) as error:
            if not opened.segment.closed:
                raise  # it grows where it is
            log.info("a recording is opened anew while it is sent", reason=str(error))
        return await self._read(await self._files.again(place), reads)

    async def _read(self, opened: OpenFile, reads: list[tuple[int, int]]) -> bytes:
        future = asyncio.get_running_loop().run_in_executor(self._executor, read_parts, opened, reads)
        self._reads.add(future)
        future.add_done_callback(self._reads.discard)
        # A reader that is cancelled must not leave a thread on a descriptor that is closed and reused.
        return await asyncio.shield(future)


def read_parts(opened: OpenFile, reads: list[tuple[int, int]]) -> bytes:
    """Runs in a thread. Raises RecordingGone, Unavailable."""
    pieces = []
    for offset, size in reads:
        try:
            piece = opened.read_at(offset, size)
        except FileNotFoundError as error:
            raise RecordingGone(
                f"recording {opened.segment.id} was deleted while it was being sent"
            ) from error
        except OSError as error:
            raise Unavailable(
                f"recording {opened.segment.id} cannot be read: {error.strerror}; check the disk"
            ) from error
        except FormatError as error:
            raise Unavailable(
                f"recording {opened.segment.id} cannot be read: {error}; it was changed"
            ) from error
        if len(piece) != size:
            raise RecordingGone(f"recording {opened.segment.id} was cut short while it was being sent")
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def segment_etag(segment: Segment) -> str:
    """The entity tag of a recording file as far as it may be read.

    Bytes of a file never change, but for 16 at its head when it is closed.
    """
    state = "closed" if segment.closed else "open"
    return f"{segment.id.hex}-{state}-{segment.size_bytes}"


class SegmentDownload(Download):
    """One recording file, up to its last whole fragment. closed: it will not grow."""

    def __init__(self, opened: OpenFile, files: HeldFiles, executor: Executor) -> None:
        segment, place = opened.segment, files.add(opened)
        body = Body(b"", [Extent(place, 0, segment.size_bytes)])
        super().__init__(body, files, executor, segment_etag(segment))
        self.closed = segment.closed
