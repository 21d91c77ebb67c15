"""Finding recordings and opening them: the reading side of storage.

It reads volumes and catalogs by itself and asks no other process, so it works whoever is dead. A recording is told by
its row; one that has none yet, because it is being written or because its keeper is away, by its file.

Belongs here: queries over all volumes. Does not: one volume (library_volume), how footage is played (playback).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple, TypeVar
from uuid import UUID

from vms.common.clock import NS, Clock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.format.errors import FormatError
from vms.media import Gap
from vms.storage.errors import CatalogUnusable, SegmentNotFound, SegmentUnreadable
from vms.storage.fragment_table import FragmentTableDamaged
from vms.storage.gaps import merge_gaps
from vms.storage.keyring import KeyUnknown, KeyUnusable
from vms.storage.library_volume import LibraryVolume
from vms.storage.segment import OpenFile, OpenSegment, Segment, SegmentIndex
from vms.telemetry.logs import get_logger

ANSWER_TIMEOUT_S = 10.0  # a volume that is slower is left out …
SILENCE_S = 10.0  # … and not asked for so long
STOP_TIMEOUT_S = 2.0

log = get_logger(__name__)
_MOVES = 3  # between a look at a row and opening: more than one tier after the other is next to impossible
_Result = TypeVar("_Result")
_Opened = TypeVar("_Opened", bound=OpenFile)


class _Place(NamedTuple):
    """Where a segment is, as last seen. has_row: it is closed, and its catalog knows it."""

    volume: LibraryVolume
    segment: Segment
    has_row: bool


class RecordingLibrary:
    """Answers what was recorded on some volumes. What is on a volume that cannot be read now is left out.

    Ranges are half open, in wall-clock ns (UTC). All methods are the event loop's; nothing here waits for a disk on it.
    """

    def __init__(self, volumes: Sequence[VolumeConfig], clock: Clock) -> None:
        """volumes: with their keys and tiers; their directories may be missing, and come later."""
        self._volumes = [LibraryVolume(config, clock) for config in volumes]
        self._silent_until_s: dict[LibraryVolume, float] = {}

    async def stop(self) -> None:
        """Close the catalogs and end the threads."""
        closing = [asyncio.create_task(volume.close()) for volume in self._volumes]
        if closing:
            await asyncio.wait(closing, timeout=STOP_TIMEOUT_S)

    # -- finding ----------------------------------------------------------------------------------------

    async def segments(self, camera_id: CameraId, start_ns: int, end_ns: int) -> list[Segment]:
        """Segments that share time with the range, open ones included, by start."""
        # Files first: one that gets its row meanwhile is then found twice, not missed.
        files = await self._ask_all(lambda volume: volume.without_row(camera_id, start_ns, end_ns))
        rows = await self._ask_all(
            lambda volume: volume.catalog.ask(lambda each: each.overlapping(camera_id, start_ns, end_ns))
        )
        found = {segment.id: segment for segments in (*files, *rows) for segment in segments}
        return sorted(found.values(), key=lambda segment: segment.start_ns)

    async def coverage(
        self, camera_id: CameraId, start_ns: int, end_ns: int, join_ns: int = NS // 2
    ) -> list[tuple[int, int]]:
        """Runs of recorded time (start, end) that share time with the range, whole, in order.

        Holes shorter than `join_ns` are closed. Months are cheap: the catalogs merge them.
        """
        files = await self._ask_all(lambda volume: volume.without_row(camera_id, start_ns, end_ns))
        rows = await self._ask_all(
            lambda volume: volume.catalog.ask(
                lambda each: each.coverage(camera_id, start_ns, end_ns, join_ns)
            )
        )
        runs = [(segment.start_ns, segment.end_ns) for segments in files for segment in segments]
        runs += [run for volume_runs in rows for run in volume_runs]
        merged: list[tuple[int, int]] = []
        for first, last in sorted(runs):
            if merged and first - join_ns <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(merged[-1][1], last)
            else:
                merged.append((first, last))
        return merged

    async def event_ranges(self, camera_id: CameraId, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
        """Event footage (start, end) that shares time with the range, by start; of several kinds it may overlap."""
        known = await self._ask_all(
            lambda volume: volume.catalog.ask(lambda each: each.event_ranges(camera_id, start_ns, end_ns))
        )
        return sorted({(each.start_ns, each.end_ns) for ranges in known for each in ranges})

    async def gaps(self, camera_id: CameraId, start_ns: int, end_ns: int) -> list[Gap]:
        """What is known to be missing in the range, and why, by start; a lasting one has no end."""
        known = await self._ask_all(
            lambda volume: volume.catalog.ask(lambda each: each.gaps(camera_id, start_ns, end_ns))
        )
        return merge_gaps(known, start_ns, end_ns)

    async def segment(self, segment_id: UUID) -> Segment:
        """One segment. Raises SegmentNotFound."""
        return (await self._locate(segment_id)).segment

    async def index(self, segment_id: UUID) -> SegmentIndex:
        """Where a segment's parts lie, for a playlist: of one with a row, without opening its file.

        Raises SegmentNotFound, SegmentUnreadable.
        """
        for index in await self._ask_all(
            lambda volume: volume.catalog.ask(lambda each: each.index(segment_id))
        ):
            if index is not None:
                return index
        with await self.open(segment_id) as opened:
            return SegmentIndex(opened.file.init, opened.file.fragments)

    # -- opening ----------------------------------------------------------------------------------------

    async def open(self, segment_id: UUID) -> OpenSegment:
        """Open a segment's file to read what is in it. Raises SegmentNotFound, SegmentUnreadable, TierUnavailable."""

        async def attempt(place: _Place) -> OpenSegment | None:
            if place.has_row:
                return await place.volume.open_closed(place.segment)
            return await place.volume.open_growing(place.segment)

        return await self._open(segment_id, attempt)

    async def open_file(self, segment_id: UUID) -> OpenFile:
        """Open a segment's file for its bytes alone: `segment.size_bytes` of them, without a look at its index.

        Raises as `open`.
        """
        return await self._open(segment_id, lambda place: place.volume.open_file(place.segment))

    # -- private ----------------------------------------------------------------------------------------

    async def _open(
        self, segment_id: UUID, attempt: Callable[["_Place"], Awaitable[_Opened | None]]
    ) -> _Opened:
        """A file that is gone was deleted, or has just been moved: then it is looked for where it is now."""
        place = await self._locate(segment_id)
        for _ in range(_MOVES):
            with suppress(FileNotFoundError), _typed(segment_id):
                opened = await attempt(place)
                if opened is not None:
                    return opened
            before, place = place, await self._locate(segment_id)
            if place == before:
                break
        raise SegmentNotFound(segment_id)

    async def _locate(self, segment_id: UUID) -> "_Place":
        """Where a segment is. Raises SegmentNotFound."""

        async def by_row(volume: LibraryVolume) -> tuple[LibraryVolume, Segment | None]:
            return volume, await volume.catalog.ask(lambda catalog: catalog.find(segment_id))

        async def by_file(volume: LibraryVolume) -> tuple[LibraryVolume, Segment | None]:
            return volume, await volume.find_file(segment_id)

        for way in (by_row, by_file):
            for volume, segment in await self._ask_all(way):
                if segment is not None:
                    return _Place(volume, segment, way is by_row)
        raise SegmentNotFound(segment_id)

    async def _ask_all(self, question: Callable[[LibraryVolume], Awaitable[_Result]]) -> list[_Result]:
        """The answer of every volume that has one now."""
        now_s = asyncio.get_running_loop().time()
        asked = [volume for volume in self._volumes if self._silent_until_s.get(volume, 0.0) <= now_s]
        answers = await asyncio.gather(*(self._ask(volume, question) for volume in asked))
        return [answer for found in answers for answer in found]

    async def _ask(
        self, volume: LibraryVolume, question: Callable[[LibraryVolume], Awaitable[_Result]]
    ) -> list[_Result]:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return [await question(volume)]
        except CatalogUnusable:  # said by its reader
            return []
        except FragmentTableDamaged as error:
            log.warning("a fragment table is damaged", path=str(volume.path), reason=str(error))
        except TimeoutError:
            self._silent_until_s[volume] = asyncio.get_running_loop().time() + SILENCE_S
            log.error("a disk does not answer; its recordings are left out", path=str(volume.path))
        except OSError as error:
            log.warning("a volume cannot be read", path=str(volume.path), reason=error.strerror or str(error))
        return []


@contextmanager
def _typed(segment_id: UUID) -> Iterator[None]:
    """Errors of a disk, of a damaged file and of keys as those of storage; that a file is gone stays as it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SegmentUnreadable(segment_id, error.strerror or str(error)) from error
    except FormatError as error:
        raise SegmentUnreadable(segment_id, str(error)) from error
    except (KeyUnusable, KeyUnknown) as error:
        raise SegmentUnreadable(segment_id, str(error), advice="") from error
