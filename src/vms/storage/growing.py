"""Recording files without a row, read as they grow.

What was read of a file is remembered, so that asking again costs what is new. A fragment counts once it is whole:
the writer appends it with one call, and the size of a file grows only over bytes that are in it.

Belongs here: scanning one file on from where it was, and remembering many. Does not: which files (library), what is
in a fragment (vms.format.hybrid).
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from vms.format.errors import FormatError
from vms.format.hybrid import SegmentFile, read_segment
from vms.format.hybrid.layout import FLIP_OFFSET
from vms.format.hybrid.scan import read_fragment
from vms.storage.bodies import open_body
from vms.storage.body import Body
from vms.storage.keyring import Keyring, KeyUnknown
from vms.storage.segment import OpenSegment, Segment, describe

REMEMBERED_FRAGMENTS = 200_000  # over all files of a volume; 100 bytes or so each
_REMEMBERED_FILES = 10_000


class GrowingFile:
    """One file. Methods block; any thread may call them."""

    def __init__(self, path: Path, keyring: Callable[[], Keyring] = Keyring) -> None:
        """keyring: gives the keys that it may be encrypted with."""
        self.path = path
        self._keyring = keyring
        self._lock = threading.Lock()
        self._file: SegmentFile | None = None
        self._inode = self._opened_inode = 0
        self._segment: Segment | None = None

    @property
    def fragments(self) -> int:
        """How many are remembered."""
        file = self._file
        return len(file.fragments) if file is not None else 0

    def look(self) -> Segment | None:
        """The segment as far as it is whole; None before its first fragment, and of a file that is gone or not ours.

        Raises OSError from the disk.
        """
        with self._lock:
            if self._segment is not None and self._segment.closed:
                return self._segment if self.path.exists() else None
            body = self._open()
            if body is None:
                return None
            try:
                return self._advance(body)[0]
            finally:
                body.close()

    def open(self) -> OpenSegment | None:
        """The segment open for reading; None as of `look`. Raises OSError from the disk."""
        with self._lock:
            body = self._open()
            if body is None:
                return None
            try:
                segment, file = self._advance(body)
            except BaseException:
                body.close()
                raise
            if segment is None or file is None:
                body.close()
                return None
            return OpenSegment(segment, file, body)

    def _open(self) -> Body | None:
        """None when it is gone, and of an encrypted one without its key or whose beginning is not there yet."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        self._opened_inode = os.fstat(descriptor).st_ino
        try:
            return open_body(descriptor, self._keyring())
        except (FormatError, KeyUnknown):
            return None

    def _advance(self, body: Body) -> tuple[Segment | None, SegmentFile | None]:
        """Read what is new. Of a closed file only the segment is remembered: it is read by its index at once."""
        size = body.size_bytes
        known = self._file
        if known is not None and (self._opened_inode != self._inode or size < known.size):
            known = None
        try:
            if known is None or body.read_at(FLIP_OFFSET + 4, 4) == b"mdat":
                file = read_segment(body.read_at, size)
            else:
                file = _read_on(known, body.read_at, size)
                if file is known:
                    return self._segment, file
            segment = describe(self.path, file) if file.fragments else None
        except FormatError:  # not even its beginning is there yet, or it is none of ours
            return None, None
        self._inode = self._opened_inode
        self._segment = segment
        self._file = None if file.closed else file
        return segment, file


class GrowingFiles:
    """The files of one volume that were looked at, the ones that were not for the longest time forgotten first."""

    def __init__(self, keyring: Callable[[], Keyring] = Keyring) -> None:
        """keyring: gives the keys that they may be encrypted with."""
        self._keyring = keyring
        self._lock = threading.Lock()
        self._files: OrderedDict[Path, GrowingFile] = OrderedDict()
        self._paths: dict[UUID, Path] = {}
        self._sizes: dict[Path, int] = {}  # in fragments
        self._fragments = 0

    def look(self, path: Path) -> Segment | None:
        """See `GrowingFile.look`."""
        file = self._file(path)
        segment = file.look()
        with self._lock:
            if segment is None:
                self._drop(path)
            elif path in self._files:
                self._paths[segment.id] = path
                self._fragments += file.fragments - self._sizes.get(path, 0)
                self._sizes[path] = file.fragments
                self._forget_oldest()
        return segment

    def open(self, path: Path) -> OpenSegment | None:
        """See `GrowingFile.open`."""
        return self._file(path).open()

    def path_of(self, segment_id: UUID) -> Path | None:
        """Where a recording is that was looked at, if it is remembered."""
        return self._paths.get(segment_id)

    def _file(self, path: Path) -> GrowingFile:
        with self._lock:
            file = self._files.get(path)
            if file is None:
                file = self._files[path] = GrowingFile(path, self._keyring)
            self._files.move_to_end(path)
            return file

    def _forget_oldest(self) -> None:
        while len(self._files) > 1 and (
            self._fragments > REMEMBERED_FRAGMENTS or len(self._files) > _REMEMBERED_FILES
        ):
            self._drop(next(iter(self._files)))

    def _drop(self, path: Path) -> None:
        self._files.pop(path, None)
        self._fragments -= self._sizes.pop(path, 0)
        for segment_id in [id_ for id_, known in self._paths.items() if known == path]:
            del self._paths[segment_id]


def _read_on(known: SegmentFile, read_at: Callable[[int, int], bytes], size: int) -> SegmentFile:
    """An open file with the fragments that came since it was `known`."""
    tracks = {track.id: track for track in known.tracks}
    fragments, end = list(known.fragments), known.size
    while end < size:
        try:
            found, number = read_fragment(read_at, end, size, tracks)
        except FormatError:  # not whole yet, or the index that closes the file
            break
        if number != len(fragments) + 1:
            break
        fragments.append(found.fragment)
        end = found.fragment.end
    if end == known.size:
        return known
    return replace(known, fragments=fragments, size=end)
