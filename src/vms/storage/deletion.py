"""Delete recordings, and nothing that is locked.

Order: row marked → unlink → directory → row gone. Whatever step is interrupted, the next start ends it. Copies in tiers
are noted with the mark, and removed by whoever moves recordings. Everything that deletes footage comes through here.

Belongs here: the order, and the gate. Does not: which recordings (selection, retention).
"""

import asyncio
from collections.abc import Sequence

from vms.storage import disk
from vms.storage.catalog import ON_VOLUME, Catalog
from vms.storage.errors import CatalogUnusable, VolumeUnavailable
from vms.storage.kept_volume import KeptVolume
from vms.storage.segment import Segment
from vms.telemetry.logs import get_logger

log = get_logger(__name__)


async def delete(volume: KeptVolume, segments: Sequence[Segment]) -> list[Segment]:
    """Delete those that no lock covers, and give them. Raises StorageError; doing it again is safe.

    Locks do not change meanwhile: what is put before is obeyed, what is put later finds these gone.
    """
    async with volume.deleting:
        going = [segment for segment in segments if not volume.locks.times.protects(segment)]
        if going:
            await _delete(volume, going)
    return going


async def _delete(volume: KeptVolume, segments: Sequence[Segment]) -> None:
    ids = [segment.id for segment in segments]
    try:
        await volume.catalog.run(lambda each: each.mark_deleting(ids))
    except CatalogUnusable as error:
        if volume.room_bytes > 0:
            raise
        # On a full disk not even the mark can be written. Rows without files are dropped at a start.
        log.warning("deleting without a mark, to make room", path=str(volume.path), reason=str(error))
        segments = [segment for segment in segments if segment.tier == ON_VOLUME]
        ids = [segment.id for segment in segments]
    # One that is in a tier has no file here, or one that is too much since it was moved.
    try:
        await asyncio.to_thread(disk.remove_all, [segment.path for segment in segments], volume.path)
    except OSError as error:
        raise VolumeUnavailable.from_os_error(volume.path, error) from error
    volume.closed_bytes -= await volume.catalog.run(lambda each: each.remove(ids))


def end_deletions(volume: KeptVolume) -> None:
    """End what an earlier life began; blocks. Raises StorageError.

    What was locked since it was marked, and has its file still, is kept again.
    """

    def begun(catalog: Catalog) -> list[Segment]:
        return catalog.deleting()

    marked = volume.catalog.submit(begun).result()
    if not marked:
        return
    try:
        kept = [
            segment
            for segment in marked
            if volume.locks.times.protects(segment) and (segment.tier != ON_VOLUME or segment.path.exists())
        ]
        going = [segment for segment in marked if segment not in kept]
        disk.remove_all([segment.path for segment in going], volume.path)
    except OSError as error:
        raise VolumeUnavailable.from_os_error(volume.path, error) from error

    def end(catalog: Catalog) -> int:
        catalog.keep_again(segment.id for segment in kept)
        return catalog.remove(segment.id for segment in going)

    volume.closed_bytes -= volume.catalog.submit(end).result()
