"""The evidence locks that a volume obeys, in a file on it: read before anything may be deleted, whoever is alive.

The database of the installation has the truth; here is a volume's own copy, so that locks hold when the catalog was
lost, the disk hangs in another machine, or the database was restored from an old backup. When in doubt a lock holds: it
is let go by a newer set without it, or by name, never by an older set. A file that cannot be read locks everything, also
one that is empty, that the disk refuses, or of which only what was set aside is left.

Belongs here: which locks hold, and keeping them. Does not: who makes and releases them (vms.gateway), deleting
(deletion).
"""

import json
import shutil
import threading
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from vms.common.clock import NS
from vms.common.evidence_lock import EvidenceLock
from vms.common.ids import CameraId, camera_id
from vms.storage.coverage_runs import merge
from vms.storage.errors import StorageError, VolumeUnavailable
from vms.storage.identity import write_durably
from vms.storage.layout import recording_start_ns
from vms.storage.segment import Segment
from vms.telemetry.logs import get_logger

LOCKS_NAME = "vms-locks.json"
DAMAGED = ".damaged-"
"""Between the name of a file that was set aside and when that was."""
_VERSION = 1
_EVER_NS = (1 << 62) - 1
_FRAGMENT_NS = 2 * NS  # more than a fragment holds, and than a name tells less than the exact time

log = get_logger(__name__)


class LocksUnreadable(StorageError):
    """The file of a volume's locks is damaged, or of a newer version. Nothing is deleted on the volume meanwhile."""


@dataclass(frozen=True, slots=True)
class LockedTimes:
    """Which times of which cameras are locked. everything: all of them, because the locks are not known."""

    spans: Mapping[CameraId, Sequence[tuple[int, int]]] = field(default_factory=dict)
    everything: bool = False

    def until(self, camera: CameraId, start_ns: int, end_ns: int) -> int | None:
        """The end of a locked time that shares time with [start_ns, end_ns); None when it may be deleted."""
        if self.everything:
            return _EVER_NS
        spans = self.spans.get(camera, ())
        at = bisect_right(spans, start_ns, key=lambda span: span[1])  # the first that ends behind the start
        return spans[at][1] if at < len(spans) and spans[at][0] < end_ns else None

    def first(self, camera: CameraId) -> int | None:
        """When the first locked time of a camera begins; None when nothing of it is locked."""
        if self.everything:
            return -_EVER_NS
        spans = self.spans.get(camera, ())
        return spans[0][0] if spans else None

    def protects(self, segment: Segment) -> bool:
        """Whether a recording must not be deleted."""
        return (
            self.until(segment.camera_id, segment.start_ns, max(segment.end_ns, segment.start_ns + 1))
            is not None
        )


class VolumeLocks:
    """The locks of one volume; any thread may read `times`, and change them.

    revision: of the newest set that was put. error: why the file cannot be read; None when it can.
    unnamed: locks that hold although an older set, as of a restored database, did not name them.
    """

    def __init__(self, volume: Path) -> None:
        self.times = LockedTimes(everything=True)  # until they were read
        self.revision = 0
        self.error: LocksUnreadable | None = None
        self._path = volume / LOCKS_NAME
        self._locks: dict[UUID, EvidenceLock] = {}
        self._unnamed: frozenset[UUID] = frozenset()
        self._changing = (
            threading.Lock()
        )  # who gave up waiting for a slow disk has left a thread that goes on

    @property
    def holding(self) -> Sequence[EvidenceLock]:
        return list(self._locks.values())

    @property
    def unnamed(self) -> int:
        return len(self._unnamed)

    def protects_file(self, path: Path) -> bool:
        """Whether what may be in a recording file without one whole fragment is locked, as its name tells."""
        start_ns = recording_start_ns(path)
        if start_ns is None:
            return self.times.everything
        camera = CameraId(path.parent.parent.name)
        return self.times.until(camera, start_ns, start_ns + _FRAGMENT_NS) is not None

    def load(self) -> None:
        """Read the file; blocks, and raises nothing: what is wrong with it is in `error`."""
        self.times = LockedTimes(everything=True)
        try:
            data = self._read()
            revision, locks, unnamed = _parse(data) if data is not None else (0, {}, frozenset())
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self.error = LocksUnreadable(
                f"{self._path}: the evidence locks cannot be read ({error}), so nothing is deleted on this volume; they"
                " are written anew when the system's database is reached, and the old file is kept beside"
            )
            log.error("evidence locks cannot be read; nothing is deleted", reason=str(self.error))
            return
        self._hold(revision, locks, unnamed)

    def put(self, locks: Sequence[EvidenceLock], revision: int, *, aside: str) -> bool:
        """Obey a set, durably; blocks. Gives whether anything changed. Raises VolumeUnavailable: then it obeys more, not less.

        aside: what is added to the name of a damaged file.
        """
        with self._changing:
            return self._put(locks, revision, aside)

    def _put(self, locks: Sequence[EvidenceLock], revision: int, aside: str) -> bool:
        named = {lock.id: lock for lock in locks}
        older = self.error is None and revision < self.revision
        held = {key: lock for key, lock in self._locks.items() if key not in named}
        kept = {key: lock for key, lock in held.items() if older or key in self._unnamed}
        wanted = kept | {key: lock for key, lock in named.items() if lock.holds}
        newest = max(self.revision, revision)
        unnamed = frozenset(kept)
        same = (wanted, newest, unnamed) == (self._locks, self.revision, self._unnamed)
        if same and self.error is None and not self.times.everything:
            return False
        self.times = _times(self._locks.values(), wanted.values(), everything=self.times.everything)
        try:
            if self.error is not None:
                self._set_aside(aside)
            write_durably(self._path, _text(newest, wanted.values(), unnamed))
        except OSError as error:
            raise VolumeUnavailable.from_os_error(self._path.parent, error) from error
        for key in kept.keys() - self._unnamed:
            log.warning(
                "an evidence lock holds that an older set of locks does not name; was the database restored?",
                lock=str(key),
                camera=kept[key].camera_id,
            )
        self._hold(newest, wanted, unnamed)
        return True

    def _read(self) -> bytes | None:
        """None where there never were locks. Raises OSError, and ValueError where there were."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            if any(self._path.parent.glob(f"{LOCKS_NAME}{DAMAGED}*")):
                raise ValueError("it is gone, and only a damaged one is left") from None
            return None

    def _set_aside(self, aside: str) -> None:
        """A copy: until the new one is written, the damaged file says that there are locks. Raises OSError."""
        copy = self._path.with_name(self._path.name + aside)
        try:
            shutil.copyfile(self._path, copy)
        except FileNotFoundError:
            return
        except OSError:  # it cannot be read to its end
            self._path.rename(copy)

    def _hold(self, revision: int, locks: dict[UUID, EvidenceLock], unnamed: frozenset[UUID]) -> None:
        self.error = None
        self.revision, self._locks, self._unnamed = revision, locks, unnamed
        self.times = _times(locks.values())


def _times(*locks: Iterable[EvidenceLock], everything: bool = False) -> LockedTimes:
    spans: dict[CameraId, list[tuple[int, int]]] = {}
    for each in locks:
        for lock in each:
            spans.setdefault(lock.camera_id, []).append((lock.start_ns, lock.end_ns))
    return LockedTimes({camera: merge(sorted(found), 0) for camera, found in spans.items()}, everything)


def _text(revision: int, locks: Iterable[EvidenceLock], unnamed: frozenset[UUID]) -> bytes:
    rows = [
        asdict(lock) | {"id": str(lock.id)} | ({"unnamed": True} if lock.id in unnamed else {})
        for lock in locks
    ]
    tree = {"version": _VERSION, "revision": revision, "count": len(rows), "locks": rows}
    return json.dumps(tree, indent=1).encode()


def _parse(data: bytes) -> tuple[int, dict[UUID, EvidenceLock], frozenset[UUID]]:
    """Raises ValueError, KeyError, TypeError for what `_text` did not write."""
    tree: dict[str, Any] = json.loads(data)
    if tree["version"] != _VERSION:
        raise ValueError(f"version {tree['version']}")
    locks, unnamed = {}, set()
    for row in _rows(tree):
        if row.pop("unnamed", False):
            unnamed.add(UUID(row["id"]))
        lock = EvidenceLock(**row | {"id": UUID(row["id"]), "camera_id": camera_id(row["camera_id"])})
        if not (isinstance(lock.start_ns, int) and isinstance(lock.end_ns, int)):
            raise TypeError(f"lock {lock.id} has no times")
        locks[lock.id] = lock
    if len(locks) != tree["count"]:
        raise ValueError(f"{len(locks)} locks of {tree['count']}")
    return int(tree["revision"]), locks, frozenset(unnamed)


def _rows(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (dict(row) for row in tree["locks"])
