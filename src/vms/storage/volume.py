"""One directory for recordings as any process that writes to it sees it: its identity, and whether it can be used.

Belongs here: recognising and sharing it, its errors and when it is tried again. Does not: what a media process
writes (recording_volume), what its keeper knows (kept_volume).
"""

import os
from uuid import UUID

from vms.common.backoff import Backoff
from vms.common.clock import NS, Clock
from vms.config import VolumeConfig
from vms.storage.errors import StorageError, VolumeUnavailable
from vms.storage.identity import KnownVolumes, identify, make_directory
from vms.storage.layout import IDENTITY_NAME
from vms.storage.owner import own
from vms.telemetry.logs import get_logger

FREE_FLOOR_BYTES = 1 << 30  # kept free on the file system, whatever the quota says …
FREE_FLOOR_SHARE = 50  # … but at most a 50th of it, so that small disks are of use
RESERVE_SHARE = 4  # what is about to be written is kept free as well, up to a 4th

log = get_logger(__name__)


class Volume:
    """A volume from its configuration on, also while its disk is away.

    error: why it cannot be used; it is tried again after a back-off. None when it works.
    room_bytes: what `free_bytes` said when last asked.
    reserve_bytes: what may be written before that is asked again; kept free, so that the disk is not full first.
    """

    def __init__(self, config: VolumeConfig, clock: Clock, known: KnownVolumes, system_id: str) -> None:
        """system_id: names the system to which the volume belongs while a process of it runs."""
        self.path = config.path.absolute()
        self.quota_bytes = config.quota
        self.id: UUID | None = None
        self.error: StorageError | None = VolumeUnavailable(self.path, "is not open yet")
        self.errors = 0
        self.room_bytes = 0
        self.reserve_bytes = 0
        self._clock = clock
        self._known = known
        self._system_id = system_id
        self._identity_inode: tuple[int, int] | None = None
        self._owner_descriptor = -1
        self._backoff = Backoff(1.0, 30.0)
        self._retry_at_ns = 0
        self._told: set[str] = set()  # what was logged since the volume last worked

    @property
    def is_open(self) -> bool:
        """Whether it was recognised and is this system's; it may be unusable for writing all the same."""
        return self._owner_descriptor >= 0

    @property
    def due(self) -> bool:
        """Whether what failed is worth another try: its back-off has passed."""
        return self._clock.monotonic_ns() >= self._retry_at_ns

    def open(self) -> None:
        """Recognise or make the volume and share it; blocks. Raises StorageError."""
        if self._owner_descriptor >= 0:
            return
        changed = False

        def recognise() -> None:
            nonlocal changed
            self.id, other = identify(self.path, self._known)
            changed = changed or other

        try:
            make_directory(self.path, self._known)
            directory = self.path.stat()
            self._known.claim((directory.st_dev, directory.st_ino), self.path)
            descriptor = own(self.path, self._system_id, recognise)
            try:
                recognise()
                self._identity_inode = self._stat_identity()
            except BaseException:
                os.close(descriptor)
                raise
        except OSError as error:
            raise VolumeUnavailable.from_os_error(self.path, error) from error
        self._owner_descriptor = descriptor
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
        self.error = error

    def probe(self) -> None:
        """See whether it takes writes, on a small file of its own; blocks. Raises VolumeUnavailable."""
        self.check()
        self.room_bytes = self.free_bytes()
        if self.room_bytes <= 0:
            raise VolumeUnavailable(
                self.path,
                "the disk is full; free space on it, unless there are recordings that are being deleted",
            )
        probe = self.path / f".vms-probe-{os.getpid()}-{id(self)}"
        try:
            with probe.open("wb") as file:
                file.write(bytes(4096))
                file.flush()
                os.fsync(file.fileno())
            probe.unlink()
        except OSError as error:
            raise VolumeUnavailable.from_os_error(self.path, error) from error

    def resume(self) -> None:
        """Let it be used again. The back-off goes on growing until it `works`."""
        if self.error is not None:
            log.info("a volume can be used", path=str(self.path), volume=str(self.id))
            self.error = None

    def works(self) -> None:
        """It took what was written: forget what was wrong."""
        self.resume()
        self._backoff.reset()
        self._told.clear()

    def close(self) -> None:
        """Let others have it; blocks."""
        if self._owner_descriptor >= 0:
            os.close(self._owner_descriptor)
            self._owner_descriptor = -1
        self.error = VolumeUnavailable(self.path, "is closed")

    def _stat_identity(self) -> tuple[int, int]:
        status = (self.path / IDENTITY_NAME).stat()
        return status.st_dev, status.st_ino
