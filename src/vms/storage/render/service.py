"""The render role's services as one: thumbnails and exports.

Belongs here: what belongs together, its start and end. Does not: processes (vms.app), sockets (control).
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from vms.common.clock import Clock
from vms.common.errors import VmsError
from vms.common.ids import CameraId
from vms.storage.playback import Playback
from vms.storage.playback.ports import RecordingStore
from vms.storage.render.evidence import Evidence
from vms.storage.render.export_keys import ExportKeys
from vms.storage.render.job_files import EXPORTS
from vms.storage.render.jobs import ExportJobs
from vms.storage.render.making import ExportMaker
from vms.storage.render.room import MOST_EXPORTS_BYTES, Room
from vms.storage.render.thumbnail_cache import ThumbnailCache
from vms.storage.render.thumbnails import Thumbnails
from vms.storage.render.values import ExportJob, ExportOrder, Strip, Thumbnail
from vms.storage.segment import Segment
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricFamily, MetricKind

log = get_logger(__name__)

PURGE_S = 60.0
"""Pictures of footage that was deleted are gone after this at the latest."""
CACHE = Path("cache") / "thumbnails.sqlite"


class RenderService:
    """Implements `Rendering`."""

    def __init__(
        self,
        recordings: RecordingStore,
        data_dir: Path,
        clock: Clock,
        *,
        threads: int,
        may_keep: Callable[[Segment], bool],
        evidence: Callable[[], Evidence],
        keys: ExportKeys,
        most_exports_bytes: int = MOST_EXPORTS_BYTES,
    ) -> None:
        """threads: thumbnails decoded at once. may_keep: whether pictures of a recording may lie on disk as they are.

        evidence: how exports are signed and verified; asked in a thread. keys: that their files are encrypted with.
        """
        self._recordings = recordings
        self.playback = Playback(recordings)
        self.thumbnails = Thumbnails(recordings, ThumbnailCache(data_dir / CACHE, clock, may_keep), threads)
        room = Room(data_dir / EXPORTS, most_exports_bytes)
        maker = ExportMaker(self.playback, recordings, clock, room, evidence=evidence, keys=keys)
        self.exports = ExportJobs(data_dir / EXPORTS, maker, room, clock)
        self._purging: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises OSError when exports cannot be kept."""
        await self.thumbnails.cache.start()
        await self.exports.start()
        self._purging = asyncio.create_task(self._purge())

    async def stop(self) -> None:
        if self._purging is not None:
            self._purging.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._purging
        await self.exports.stop()
        self.thumbnails.close()
        await self.thumbnails.cache.stop()
        await self.playback.stop()

    # -- what is offered ----------------------------------------------------------------------------------

    async def thumbnail(self, camera_id: CameraId, at_ns: int, width: int) -> Thumbnail:
        return await self.thumbnails.thumbnail(camera_id, at_ns, width)

    async def strip(self, camera_id: CameraId, start_ns: int, end_ns: int, count: int, width: int) -> Strip:
        return await self.thumbnails.strip(camera_id, start_ns, end_ns, count, width)

    async def create(self, order: ExportOrder) -> ExportJob:
        return await self.exports.create(order)

    async def jobs(self) -> Sequence[ExportJob]:
        return self.exports.list()

    async def job(self, job_id: str) -> ExportJob:
        return self.exports.get(job_id)

    async def cancel(self, job_id: str) -> None:
        await self.exports.cancel(job_id)

    def metrics(self) -> Iterable[MetricFamily]:
        """The counters as they stand."""
        thumbnails, cache, exports = self.thumbnails, self.thumbnails.cache, self.exports
        counters = (
            ("vms_thumbnails_decoded", "Thumbnails decoded out of recordings", thumbnails.decoded),
            ("vms_thumbnails_failed", "Key pictures that could not be decoded", thumbnails.failed),
            ("vms_thumbnails_refused", "Questions whose place newer ones took", thumbnails.turns.refused),
            ("vms_thumbnails_from_memory", "Thumbnails answered from memory", cache.hits_memory),
            ("vms_thumbnails_from_disk", "Thumbnails answered from disk", cache.hits_disk),
            ("vms_thumbnails_purged", "Recordings whose thumbnails were deleted with them", cache.purged),
            ("vms_exports_made", "Exports finished in the background", exports.made),
            ("vms_exports_failed", "Exports in the background that failed", exports.failed),
        )
        gauges = (
            ("vms_thumbnails_disk_bytes", "Thumbnails kept on disk", cache.disk_bytes),
            ("vms_exports_waiting", "Exports that wait or are being made", exports.waiting),
        )
        for kind, values in ((MetricKind.COUNTER, counters), (MetricKind.GAUGE, gauges)):
            for name, text, value in values:
                yield MetricFamily(name, kind, text, (), [((), value)])

    async def _purge(self) -> None:
        while True:
            try:
                await self.thumbnails.cache.purge(self._recordings)
            except VmsError as error:
                log.warning("thumbnails of deleted footage are not forgotten yet", reason=str(error))
            await asyncio.sleep(PURGE_S)
