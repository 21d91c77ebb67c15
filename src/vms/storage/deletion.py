"""Delete recordings, and nothing that is locked.

Order: row marked → unlink → directory → row gone. Whatever step is interrupted, the next start ends it. Copies in tiers
are noted with the mark, and removed by whoever moves recordings. Everything that deletes footage comes through here.

A file that cannot be removed, as one that somebody made immutable, is said and stays marked; the others go.

Belongs here: the order, and the gate. Does not: which recordings (selection, retention).
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from uuid import UUID

from vms.storage import disk
from vms.storage.catalog import ON_VOLUME, Catalog
from vms.storage.errors import CatalogUnusable, VolumeUnavailable
from vms.storage.kept_volume import KeptVolume
from vms.storage.segment import Segment
from vms.telemetry.logs import get_logger

log = get_logger(__name__)


async def delete(volume: KeptVolume, segments: Sequence[Segment]) -> Sequence[Segment]:
    """Delete those that no lock covers, and give those that are gone: some of them, or there were none to delete.

    Locks do not change meanwhile: what is put before is obeyed, what is put later finds these gone. Raises StorageError;
    doing it again is safe.
    """
    async with volume.deleting:
        going = [segment for segment in segments if not volume.locks.times.protects(segment)]
        return await _delete(volume, going) if going else ()


async def _delete(volume: KeptVolume, segments: Sequence[Segment]) -> Sequence[Segment]:
    ids = [segment.id for segment in segments]
    try:
        # A recording in a tier has a file here where moving it has not ended yet.
        here = await volume.catalog.run(lambda each: each.left_here(ids))
        await volume.catalog.run(lambda each: each.mark_deleting(ids))
    except CatalogUnusable as error:
        segments = [segment for segment in segments if segment.tier == ON_VOLUME]
        if volume.room_bytes > 0 or not segments:
            raise
        # On a full disk not even the mark can be written. Rows without files are dropped at a start.
        log.warning("deleting without a mark, to make room", path=str(volume.path), reason=str(error))
        here = frozenset()
    paths = [segment.path for segment in segments if segment.tier == ON_VOLUME or segment.id in here]
    try:
        staying = await asyncio.to_thread(disk.remove_each, paths, volume.path)
    except OSError as error:
        raise VolumeUnavailable.from_os_error(volume.path, error) from error
    gone = [segment for segment in segments if segment.path not in staying]
    if not gone:
        reason = next(iter(staying.values()))
        raise VolumeUnavailable.from_os_error(volume.path, reason) from reason
    _say(staying)
    volume.closed_bytes -= await volume.catalog.run(
        lambda each: each.remove([segment.id for segment in gone])
    )
    return gone


def end_deletions(volume: KeptVolume) -> None:
    """End what an earlier life began; blocks. Raises StorageError.

    What was locked since it was marked, and has its file still, is kept again.
    """

    def begun(catalog: Catalog) -> tuple[list[Segment], Collection[UUID]]:
        found = catalog.deleting()
        return found, catalog.left_here(segment.id for segment in found)

    marked, here = volume.catalog.submit(begun).result()
    if not marked:
        return
    try:
        kept = [
            segment
            for segment in marked
            if volume.locks.times.protects(segment) and (segment.tier != ON_VOLUME or segment.path.exists())
        ]
        going = [segment for segment in marked if segment not in kept]
        paths = [segment.path for segment in going if segment.tier == ON_VOLUME or segment.id in here]
        staying = disk.remove_each(paths, volume.path)
    except OSError as error:
        raise VolumeUnavailable.from_os_error(volume.path, error) from error
    _say(staying)

    def end(catalog: Catalog) -> int:
        catalog.keep_again(segment.id for segment in kept)
        return catalog.remove(segment.id for segment in going if segment.path not in staying)

    volume.closed_bytes -= volume.catalog.submit(end).result()


def _say(staying: Mapping[Path, OSError]) -> None:
    for path, error in staying.items():
        log.error(
            "a recording cannot be deleted; it is tried again at the next start. Is it immutable (lsattr)?",
            path=str(path),
            reason=error.strerror or str(error),
        )
