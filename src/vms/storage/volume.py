"""One directory for recordings as any process that writes to it sees it: its identity, and whether it can be used.

Belongs here: recognising and sharing it, its errors and when it is tried again. Does not: what a media process
writes (recording_volume), what its keeper knows (kept_volume).
"""

import os
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from vms.common.backoff import Backoff
from vms.common.clock import NS, Clock
from vms.config import VolumeConfig
from vms.storage.errors import StorageError, VolumeUnavailable
from vms.storage.identity import KnownVolumes, identify, make_directory, mount_of
from vms.storage.keyring import Keyring, KeyUnusable, load_keyring
from vms.storage.layout import IDENTITY_NAME
from vms.storage.owner import own, owner_of
from vms.telemetry.logs import get_logger

FREE_FLOOR_BYTES = 1 << 30  # kept free on the file system unless configured, whatever the quota says …
FREE_FLOOR_SHARE = 50  # … but at most a 50th of it, so that small disks are of use
RESERVE_SHARE = 4  # what is about to be written is kept free as well, up to a 4th

log = get_logger(__name__)


class Volume:
    """A volume from its configuration on, also while its disk is away.

    error: why it cannot be used; it is tried again after a back-off. None when it works.
    on_state_change: is called, on the loop, when `kind_of_failure` has become another.
    room_bytes: what `free_bytes` said when last asked.
    reserve_bytes: what may be written before that is asked again; kept free, so that the disk is not full first.
    """

    def __init__(self, config: VolumeConfig, clock: Clock, known: KnownVolumes, system_id: str) -> None:
        """system_id: names the system to which the volume belongs while a process of it runs."""
        self.path = config.path.absolute()
        self.quota_bytes = config.quota
        self.id: UUID | None = None
        self.error: StorageError | None = VolumeUnavailable(self.path, "is not open yet", kind="starting")
        self.errors = 0
        self.room_bytes = 0
        self.reserve_bytes = 0
        self.on_state_change: Callable[[], None] = lambda: None
        self._config = config
        self._clock = clock
        self._known = known
        self._system_id = system_id
        self._keyring: Keyring | None = None
        self._identity_inode: tuple[int, int] | None = None
        self._device = 0  # of the directory that was opened
        self._mount = self.path  # where its file system was mounted then
        self._exchanged = False  # since it was opened first
        self._stalled = False
        self._told_kind: str | None = "starting"
        self._owner_descriptor = -1
        self._backoff = Backoff(1.0, 30.0)
        self._retry_at_ns = 0
        self._told: set[str] = set()  # what was logged since the volume last worked

    @property
    def is_open(self) -> bool:
        """Whether it was recognised and is this system's; it may be unusable for writing all the same."""
        return self._owner_descriptor >= 0

    @property
    def keyring(self) -> Keyring:
        """The keys of its recordings. Raises VolumeUnavailable before it was opened."""
        if self._keyring is None:
            raise VolumeUnavailable(self.path, "is not open")
        return self._keyring

    @property
    def kind_of_failure(self) -> str | None:
        """What is wrong with it, for alarms; None when it works.

        full, read_only, io_error, gone, swapped, key, other: as VolumeUnavailable's. stalled: it has not answered for
        seconds. starting: it was not opened yet.
        """
        if self.error is not None:
            return self.error.kind if isinstance(self.error, VolumeUnavailable) else "other"
        return "stalled" if self._stalled else None

    def wall_ns(self) -> int:
        """The time by its clock."""
        return self._clock.wall_ns()

    @property
    def due(self) -> bool:
        """Whether what failed is worth another try: its back-off has passed."""
        return self._clock.monotonic_ns() >= self._retry_at_ns

    def open(self) -> None:
        """Recognise or make the volume and share it; blocks. Raises StorageError.

        A volume whose key cannot be used stays closed: nothing is written to it in the clear instead.
        """
        if self._owner_descriptor >= 0:
            return
        try:
            self._keyring = load_keyring(self._config.encryption)
        except KeyUnusable as error:
            raise VolumeUnavailable(self.path, str(error), kind="key") from error
        changed = False

        def recognise() -> None:
            nonlocal changed
            self.id, other = identify(self.path, self._known)
            changed = changed or other

        try:
            make_directory(self.path, self._known)
            self._refuse_a_strangers()
            directory = self.path.stat()
            self._known.claim((directory.st_dev, directory.st_ino), self.path)
            descriptor = own(self.path, self._system_id, recognise)
            try:
                recognise()
                self._identity_inode = self._stat_identity()
                self._device, self._mount = directory.st_dev, mount_of(self.path)
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
        """That the disk that was opened is still the one at the path; blocks. Raises VolumeUnavailable."""
        if not self.is_open:
            raise self.error or VolumeUnavailable(self.path, "is not open")
        if self._is_another():
            raise VolumeUnavailable(
                self.path, "the disk was exchanged while in use; it is looked at anew", kind="swapped"
            )

    def free_bytes(self) -> int:
        """What the file system still takes above the floor that is kept free. Raises VolumeUnavailable."""
        try:
            status = os.statvfs(self.path)
        except OSError as error:
            raise VolumeUnavailable.from_os_error(self.path, error) from error
        size = status.f_blocks * status.f_frsize
        configured = self._config.free_floor
        floor = min(FREE_FLOOR_BYTES, size // FREE_FLOOR_SHARE) if configured is None else configured
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
        self._tell_state()

    def stall(self, stalled: bool) -> None:
        """Note that it has not answered for seconds, or does again."""
        if stalled != self._stalled:
            self._stalled = stalled
            if stalled:
                log.warning("a disk does not answer; what is queued waits for it", path=str(self.path))
            self._tell_state()

    def probe(self) -> None:
        """See whether it takes writes, on a small file of its own; blocks. Raises VolumeUnavailable.

        When another disk is at its path by now, or the same one was taken out and put back, it is closed, and to be
        opened anew.
        """
        if self._is_another():
            self.close()
            self._exchanged = True
            raise VolumeUnavailable(
                self.path, "the disk was exchanged while in use; it is opened anew", kind="swapped"
            )
        self.check()
        self.room_bytes = self.free_bytes()
        if self.room_bytes <= 0:
            raise VolumeUnavailable(
                self.path,
                "the disk is full; free space on it, unless there are recordings that are being deleted",
                kind="full",
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
            self._tell_state()

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
            self._known.release(self.path)
        self.error = VolumeUnavailable(self.path, "is closed")

    def _tell_state(self) -> None:
        kind = self.kind_of_failure
        before, self._told_kind = self._told_kind, kind
        if kind != before and (before != "starting" or kind is not None):
            self.on_state_change()

    def _refuse_a_strangers(self) -> None:
        """A disk that was put in while we run and is another system's is not taken without being asked."""
        if self._exchanged and owner_of(self.path) not in (None, self._system_id):
            raise VolumeUnavailable(
                self.path,
                "the disk that is there now is another system's; put the right one back, or restart to adopt it",
                kind="swapped",
            )

    def _is_another(self) -> bool:
        """Whether another disk is at the path than was opened. Raises VolumeUnavailable when none is."""
        try:
            return self._stat_identity() != self._identity_inode
        except FileNotFoundError as error:
            with suppress(OSError):
                if os.path.ismount(self._mount) and self._mount.stat().st_dev != self._device:
                    return True  # a new disk, with nothing on it yet
            raise VolumeUnavailable.from_os_error(self.path, error) from error
        except OSError as error:
            raise VolumeUnavailable.from_os_error(self.path, error) from error

    def _stat_identity(self) -> tuple[int, int]:
        status = (self.path / IDENTITY_NAME).stat()
        return status.st_dev, status.st_ino
