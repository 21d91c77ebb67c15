"""One directory for recordings: its identity, its catalog, its quota, and whether it can be used now.

Belongs here: the state of a volume and what it may still take. Does not: writing (writer), deleting
(retention), repairing (recovery).
"""

import fcntl
import os
from pathlib import Path
from uuid import UUID

from vms.common.backoff import Backoff
from vms.common.clock import NS, Clock
from vms.config import VolumeConfig
from vms.storage.catalog_thread import CatalogThread
from vms.storage.errors import CatalogUnusable, StorageError, VolumeUnavailable
from vms.storage.identity import KnownVolumes, identify
from vms.storage.layout import CATALOG_NAME, IDENTITY_NAME
from vms.storage.live import LiveSegment
from vms.telemetry.logs import get_logger

FREE_FLOOR_BYTES = 1 << 30  # kept free on the file system, whatever the quota says …
FREE_FLOOR_SHARE = 50  # … but at most a 50th of it, so that small disks are of use
RESERVE_SHARE = 4  # what is about to be written is kept free as well, up to a 4th
_PROBE_NAME = ".vms-probe"

log = get_logger(__name__)


class Volume:
    """A volume from its configuration on, also while its disk is away.

    error: why it cannot be used; it is tried again after a back-off. None when it works.
    live: the segments being written, until they have their row. live_paths: their files, from before they are
        created; recovery leaves these alone. Both hold what failed to finish as well.
    closed_bytes: size of all segments in the catalog. room_bytes: what `free_bytes` said when last asked.
    reserve_bytes: what may be written before that is asked again; kept free, so that the disk is not full first.
    """

    def __init__(self, config: VolumeConfig, clock: Clock, known: KnownVolumes) -> None:
        self.path = config.path.absolute()
        self.quota_bytes = config.quota
        self.id: UUID | None = None
        self.error: StorageError | None = VolumeUnavailable(self.path, "is not open yet")
        self.errors = 0
        self.live: dict[UUID, LiveSegment] = {}
        self.live_paths: set[Path] = set()
        self.closed_bytes = 0
        self.room_bytes = 0
        self.reserve_bytes = 0
        self._clock = clock
        self._known = known
        self._catalog: CatalogThread | None = None
        self._identity_inode: tuple[int, int] | None = None
        self._lock_descriptor = -1
        self._backoff = Backoff(1.0, 30.0)
        self._retry_at_ns = 0
        self._told: set[str] = set()  # what was logged since the volume last worked

    @property
    def catalog(self) -> CatalogThread:
        """Raises VolumeUnavailable before the volume was opened."""
        if self._catalog is None:
            raise VolumeUnavailable(self.path, "is not open; its error says why")
        return self._catalog

    @property
    def is_open(self) -> bool:
        """Whether it has a catalog to ask; it may be unusable for writing all the same."""
        return self._catalog is not None

    @property
    def due(self) -> bool:
        """Whether what failed is worth another try: its back-off has passed."""
        return self._clock.monotonic_ns() >= self._retry_at_ns

    @property
    def used_bytes(self) -> int:
        """What counts against the quota: the catalog's segments and those being written."""
        return self.closed_bytes + sum(live.size_bytes for live in self.live.values())

    @property
    def spare_bytes(self) -> int:
        """What may still be written before something has to go; decides where a new segment goes."""
        return min(self.quota_bytes - self.used_bytes, self.room_bytes)

    def open(self) -> None:
        """Recognise or make the volume and open its catalog; blocks. Raises StorageError."""
        try:
            self.id, changed = identify(self.path, self._known)
            self._take_lock()
            self._identity_inode = self._stat_identity()
            if self._catalog is None:
                self._catalog = self._open_catalog()
        except OSError as error:
            raise VolumeUnavailable.from_os_error(self.path, error) from error
        if changed:
            log.warning(
                "another volume is at this path than before", path=str(self.path), volume=str(self.id)
            )

    def check(self) -> None:
        """That the disk that was opened is still the one at the path. Raises VolumeUnavailable."""
        try:
            found = self._stat_identity()
        except OSError as error:
            raise VolumeUnavailable.from_os_error(self.path, error) from error
        if found != self._identity_inode:
            raise VolumeUnavailable(self.path, "the disk was exchanged while in use; restart to adopt it")

    def free_bytes(self) -> int:
        """What the file system still takes above the floor that is kept free. Raises VolumeUnavailable."""
        try:
            status = os.statvfs(self.path)
        except OSError as error:
            raise VolumeUnavailable.from_os_error(self.path, error) from error
        size = status.f_blocks * status.f_frsize
        floor = min(FREE_FLOOR_BYTES, size // FREE_FLOOR_SHARE)
        floor = max(floor, min(self.reserve_bytes, size // RESERVE_SHARE))
        return status.f_bavail * status.f_frsize - floor

    def fail(self, error: StorageError) -> None:
        """Remember why it cannot be used, and leave it alone for a while."""
        if str(error) not in self._told:  # a full disk is told of by files and by the catalog, in turns
            self._told.add(str(error))
            log.error("a volume cannot be used", path=str(self.path), reason=str(error))
        self.errors += 1
        if self.due:
            self._retry_at_ns = self._clock.monotonic_ns() + round(self._backoff.next_s() * NS)
        if self.is_open and isinstance(self.error, VolumeUnavailable) and isinstance(error, CatalogUnusable):
            return  # a catalog cannot be written because of what is wrong with its disk
        self.error = error

    def probe(self) -> None:
        """See whether it takes writes, on a small file of its own; blocks. Raises VolumeUnavailable."""
        self.check()
        self.room_bytes = self.free_bytes()
        if self.room_bytes <= 0:
            raise VolumeUnavailable(
                self.path, "the disk is full, and no recording is left to delete; free space on it"
            )
        probe = self.path / _PROBE_NAME
        try:
            with probe.open("wb") as file:
                file.write(bytes(4096))
                file.flush()
                os.fsync(file.fileno())
            probe.unlink()
        except OSError as error:
            raise VolumeUnavailable.from_os_error(self.path, error) from error

    def resume(self) -> None:
        """Let segments begin on it again. The back-off goes on growing until one `works`."""
        if self.error is not None:
            log.info("a volume can be used", path=str(self.path), volume=str(self.id))
            self.error = None

    def works(self) -> None:
        """It took footage: forget what was wrong."""
        self.resume()
        self._backoff.reset()
        self._told.clear()

    def close(self) -> None:
        """Close the catalog; blocks."""
        if self._catalog is not None:
            self._catalog.close()
            self._catalog = None
        if self._lock_descriptor >= 0:
            os.close(self._lock_descriptor)
            self._lock_descriptor = -1
        self.error = VolumeUnavailable(self.path, "is closed")

    def _take_lock(self) -> None:
        # Another system would take the files that we write for torn ones, and "repair" them.
        if self._lock_descriptor >= 0:
            return
        descriptor = os.open(self.path / IDENTITY_NAME, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise VolumeUnavailable(
                self.path, "is in use by another running system, or configured twice; let one have it"
            ) from error
        self._lock_descriptor = descriptor

    def _stat_identity(self) -> tuple[int, int]:
        status = (self.path / IDENTITY_NAME).stat()
        return status.st_dev, status.st_ino

    def _open_catalog(self) -> CatalogThread:
        path = self.path / CATALOG_NAME
        try:
            return self._sound_catalog(path)
        except CatalogUnusable as error:
            if not error.damaged:
                raise
            aside = path.with_name(f"{path.name}.damaged-{self._clock.wall_ns() // NS}")
            log.error(
                "a catalog is damaged; it is set aside and rebuilt", reason=str(error), aside=str(aside)
            )
            for suffix in ("", "-wal", "-shm"):
                file = path.with_name(path.name + suffix)
                if file.exists():
                    file.rename(aside.with_name(aside.name + suffix))
            return self._sound_catalog(path)

    def _sound_catalog(self, path: Path) -> CatalogThread:
        catalog = CatalogThread(path, self.path)
        try:
            self.closed_bytes = catalog.submit(lambda each: each.size_bytes()).result()  # walks all of them
        except CatalogUnusable:
            catalog.close()
            raise
        return catalog
