"""One volume as a reader sees it: its catalog, and the files that have no row yet.

Whoever reads asks nobody: directories and catalog are enough, whoever is alive.

Belongs here: finding things on one volume, in threads. Does not: what several volumes say together (library).
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from vms.common.clock import Clock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.format.hybrid import read_segment
from vms.storage.bodies import open_body, open_reader
from vms.storage.body import Body
from vms.storage.catalog import Catalog
from vms.storage.catalog_reader import CatalogReader
from vms.storage.errors import CatalogUnusable
from vms.storage.growing import GrowingFiles
from vms.storage.layout import DAY_NS, MAIN_STREAM, is_camera_directory, recording_name
from vms.storage.recent import DayDirectory, recent_days, recordings_in
from vms.storage.segment import OpenFile, OpenSegment, Segment
from vms.storage.tiers.reading import PatientBody, PatientTier, ReadTiers
from vms.storage.volume_keys import VolumeKeys

_THREADS = 2
_REACH_NS = 2 * DAY_NS  # from the start of a day to the end of a recording that began on it
_COPIES = 4  # of a name; more than two recordings of one camera and millisecond are next to impossible
_MS_NS = 1_000_000

_Result = TypeVar("_Result")


class LibraryVolume:
    """Reads one volume. Methods that ask the disk raise OSError, those that ask the catalog CatalogUnusable."""

    def __init__(self, config: VolumeConfig, clock: Clock) -> None:
        self.path = config.path.absolute()
        self.catalog = CatalogReader(self.path)
        self._clock = clock
        self._keys = VolumeKeys(config.encryption)
        self._tiers = ReadTiers(config)
        self._growing = GrowingFiles(self._keys.keyring)
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"read-{self.path.name}")

    async def close(self) -> None:
        """End the threads when they are done."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._tiers.close()
        await self.catalog.close()

    async def without_row(self, camera_id: CameraId, start_ns: int, end_ns: int) -> list[Segment]:
        """Recordings of a camera that share time with the range and have no row: open ones, and the newest.

        Nothing of it is read but where the camera's newest days share time with the range.
        """
        days = await self._run(lambda: self._list(camera_id, start_ns, end_ns))
        if not days:
            return []
        known: set[str] = set()
        with suppress(CatalogUnusable):  # then all of them are told by their files
            known = await self.catalog.ask(lambda catalog: _names(catalog, [day for day, _ in days]))
        names = [name for _, names in days for name in names if name not in known]
        found = await self._run(lambda: [self._growing.look(self.path / name) for name in names])
        return [
            segment
            for segment in found
            if segment is not None
            and segment.camera_id == camera_id
            and segment.start_ns < end_ns
            and segment.end_ns > start_ns
        ]

    async def find_file(self, segment_id: UUID) -> Segment | None:
        """A recording by its file, whether or not it has a row."""
        return await self._run(lambda: self._find_file(segment_id))

    async def open_growing(self, segment: Segment) -> OpenSegment | None:
        """A recording without a row, open for reading; None when it is gone."""
        return await self._run(lambda: self._growing.open(segment.path))

    async def open_closed(self, segment: Segment) -> OpenSegment:
        """A closed recording open for reading, wherever it is. Raises FormatError, KeyUnusable, TierUnavailable as well."""
        if segment.tier:
            tier = await self._tier(segment.tier)
            return await tier.run(lambda: _with_index(segment, self._open_in(tier, segment)))
        return await self._run(lambda: _with_index(segment, self._open(segment)))

    async def open_file(self, segment: Segment) -> OpenFile:
        """A recording's file, open for reading. Raises as `open_closed`."""
        if segment.tier:
            tier = await self._tier(segment.tier)
            return await tier.run(lambda: OpenFile(segment, self._open_in(tier, segment)))
        return await self._run(lambda: OpenFile(segment, self._open(segment)))

    async def _tier(self, name: str) -> PatientTier:
        return await self._run(lambda: self._tiers.get(name))

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    # -- in threads -------------------------------------------------------------------------------------

    def _open(self, segment: Segment) -> Body:
        with self._keys.explained():
            descriptor = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
            return open_body(descriptor, self._keys.keyring())

    def _open_in(self, tier: PatientTier, segment: Segment) -> Body:
        """Runs in a thread of the tier."""
        stored = tier.store.open(segment.path.relative_to(self.path).as_posix())
        try:
            with self._keys.explained():
                body = open_reader(stored.read_at, stored.size_bytes, self._keys.keyring(), stored.close)
        except BaseException:
            stored.close()
            raise
        return PatientBody(tier, body)

    def _list(self, camera_id: CameraId, start_ns: int, end_ns: int) -> list[tuple[DayDirectory, list[str]]]:
        days = recent_days(self.path / camera_id, self._clock.wall_ns())
        return [
            (day, recordings_in(day))
            for day in days
            if day.start_ns < end_ns and day.start_ns + _REACH_NS > start_ns
        ]

    def _find_file(self, segment_id: UUID) -> Segment | None:
        remembered = self._growing.path_of(segment_id)
        for path in [remembered] if remembered is not None else self._places(segment_id):
            segment = self._growing.look(path)
            if segment is not None and segment.id == segment_id:
                return segment
        return None

    def _places(self, segment_id: UUID) -> Iterator[Path]:
        """Where a recording can be: the id and the name of a file both tell the millisecond of its start."""
        if segment_id.version != 7:
            return
        start_ns = (segment_id.int >> 80) * _MS_NS
        try:
            cameras = [each.name for each in self.path.iterdir() if is_camera_directory(each.name)]
        except FileNotFoundError:
            return
        for camera in cameras:
            for copy in range(1, _COPIES + 1):
                path = self.path / recording_name(camera, start_ns, MAIN_STREAM, copy)
                if not path.exists():
                    break
                yield path


def _names(catalog: Catalog, days: list[DayDirectory]) -> set[str]:
    """The names of the recordings of some days that have a row."""
    return {
        name
        for day in days
        for name in catalog.names_started_between(day.camera_id, day.start_ns, day.start_ns + DAY_NS)
    }


def _with_index(segment: Segment, body: Body) -> OpenSegment:
    """Runs in a thread; of a tier's body in one of the tier. Takes over the body."""
    reader = body.inner if isinstance(body, PatientBody) else body
    try:
        return OpenSegment(segment, read_segment(reader.read_at, reader.size_bytes), body)
    except BaseException:
        body.close()
        raise
