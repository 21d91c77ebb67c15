"""A volume as its keeper has it: with its catalog, and what counts against its quota.

Belongs here: opening what only one process may, and the sums. Does not: deleting (retention), repairing (recovery),
when things are done (keeper).
"""

import asyncio
import fcntl
import os

from vms.common.clock import NS, Clock
from vms.config import VolumeConfig
from vms.format.hybrid import Signer
from vms.storage.catalog import ON_VOLUME, Catalog
from vms.storage.catalog_thread import CatalogThread
from vms.storage.errors import CatalogUnusable, StorageError, VolumeUnavailable
from vms.storage.identity import KnownVolumes
from vms.storage.layout import CATALOG_NAME, IDENTITY_NAME
from vms.storage.locks import VolumeLocks
from vms.storage.volume import Volume
from vms.telemetry.logs import get_logger

log = get_logger(__name__)


class KeptVolume(Volume):
    """The one process that has it open writes the catalog, repairs and deletes.

    closed_bytes: size of the catalog's segments whose files are here, and not in a tier. open_bytes: of files without a
        row, as media processes say.
    locks: the evidence locks that it obeys; read when it is opened. deleting: held while footage is deleted, and
        while locks change.
    signer: signs what is repaired; None leaves that unsigned. tier_quotas: bytes, by the names of its tiers.
    beside_media: this process carries media as well; repairs leave it the interpreter half of the time.
    """

    def __init__(
        self,
        config: VolumeConfig,
        clock: Clock,
        known: KnownVolumes,
        system_id: str,
        *,
        signer: Signer | None = None,
        beside_media: bool = False,
    ) -> None:
        super().__init__(config, clock, known, system_id)
        self.beside_media = beside_media
        self.signer = signer
        self.locks = VolumeLocks(self.path)
        self.deleting = asyncio.Lock()
        self.encrypted = config.encryption is not None
        self.tier_quotas = {tier.name: tier.quota for tier in config.tiers}
        self.closed_bytes = 0
        self.open_bytes = 0
        self._catalog: CatalogThread | None = None
        self._lock_descriptor = -1

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
    def used_bytes(self) -> int:
        """What counts against the quota: the catalog's segments and those without a row yet."""
        return self.closed_bytes + self.open_bytes

    def open(self) -> None:
        """Recognise or make the volume and open its catalog; blocks. Raises StorageError."""
        super().open()
        try:
            self._take_lock()
            if self._catalog is None:
                self.locks.load()
                self._catalog = self._open_catalog()
        except OSError as error:
            raise VolumeUnavailable.from_os_error(self.path, error) from error

    def fail(self, error: StorageError) -> None:
        """As of any volume; what is wrong with the disk outweighs what is wrong with the catalog on it."""
        before = self.error
        super().fail(error)
        if self.is_open and isinstance(before, VolumeUnavailable) and isinstance(error, CatalogUnusable):
            self.error = before

    def close(self) -> None:
        """Close the catalog, and let others have the volume; blocks."""
        if self._catalog is not None:
            self._catalog.close()
            self._catalog = None
        if self._lock_descriptor >= 0:
            os.close(self._lock_descriptor)
            self._lock_descriptor = -1
        super().close()

    def _take_lock(self) -> None:
        if self._lock_descriptor >= 0:
            return
        descriptor = os.open(self.path / IDENTITY_NAME, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise VolumeUnavailable(
                self.path, "has a keeper already: it is configured twice, or an old process has not ended"
            ) from error
        self._lock_descriptor = descriptor

    def _open_catalog(self) -> CatalogThread:
        path = self.path / CATALOG_NAME
        try:
            return self._sound_catalog()
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
            return self._sound_catalog()

    def _sound_catalog(self) -> CatalogThread:
        catalog = CatalogThread(self.path / CATALOG_NAME, self.path)
        try:
            self.closed_bytes = catalog.submit(_recount).result()
        except CatalogUnusable:
            catalog.close()
            raise
        return catalog


def _recount(catalog: Catalog) -> int:
    catalog.recount()  # walks all rows, and so finds damage
    return catalog.tier_bytes()[ON_VOLUME]
