"""One volume's writer by itself: segments are given to it as a recorder does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.storage.scripted_camera import FPS, GOP, NOON_NS, pictures, until

from vms.common.clock import NS, Clock, ManualClock, SystemClock
from vms.common.ids import uuid7
from vms.config import VolumeConfig
from vms.format.hybrid import PreviousFile, SegmentIdentity
from vms.media import AccessUnit
from vms.storage.errors import StorageError
from vms.storage.identity import KnownVolumes
from vms.storage.layout import recording_name
from vms.storage.live import LiveSegment
from vms.storage.recording_volume import RecordingVolume
from vms.storage.writer import VolumeWriter

SYSTEM = "one system"


class Owner:
    """Hears how its segments fare. Implements SegmentOwner."""

    def __init__(self) -> None:
        self.began: list[UUID] = []
        self.failed: list[StorageError] = []

    def segment_began(self, live: LiveSegment) -> None:
        self.began.append(live.identity.segment_id)

    def segment_failed(self, live: LiveSegment, error: StorageError) -> None:
        self.failed.append(error)


class Film:
    """One camera's segments on one writer or several, one after the other."""

    def __init__(self, writer: VolumeWriter, camera_id: str = "porch") -> None:
        self.writer = writer
        self.camera_id = camera_id
        self.owner = Owner()
        self.live: LiveSegment | None = None
        self.closed: list[LiveSegment] = []
        self._frame = 0

    def play(self, seconds: float, previous: LiveSegment | PreviousFile | None = None) -> None:
        """Give pictures to the current segment; one is begun when there is none."""
        track, data = pictures()
        for _ in range(round(seconds * FPS)):
            index, dts = self._frame % len(data), self._frame * 90_000 // FPS
            at_ns = NOON_NS + self._frame * NS // FPS
            unit = AccessUnit(track, data[index], dts, dts, index % GOP == 0, False, at_ns, 0)
            self._frame += 1
            if self.live is None:
                identity = SegmentIdentity(uuid7(at_ns), self.camera_id, "main")
                path = self.writer.volume.path / recording_name(self.camera_id, at_ns, "main")
                self.live = LiveSegment(identity, (track,), unit, path, self.owner, previous=previous)
                continue
            written = self.live.writer.push(unit)
            if written is not None:
                self._give(written)

    def cut(self) -> LiveSegment:
        """Finish the current segment."""
        live = self.live
        assert live is not None
        last = live.writer.flush()
        if last is not None:
            self._give(last)
        self.writer.finish(live)
        self.live = None
        self.closed.append(live)
        return live

    def _give(self, written: Any) -> None:
        assert self.live is not None
        if not self.live.begun:
            self.live.begun = True
            self.writer.begin(self.live)
        self.writer.append(self.live, written)


@asynccontextmanager
async def running(
    path: Path, clock: Clock | None = None, *, config: VolumeConfig | None = None, **options: Any
) -> AsyncIterator[VolumeWriter]:
    """A writer on an open volume, stopped at the end."""
    known = options.pop("known", None) or KnownVolumes(None)
    volume = RecordingVolume(config or VolumeConfig(path=path), clock or ManualClock(NOON_NS), known, SYSTEM)
    await asyncio.to_thread(volume.open)
    volume.room_bytes = await asyncio.to_thread(volume.free_bytes)
    volume.resume()
    writer = VolumeWriter(volume, **options)
    writer.start()
    try:
        yield writer
    finally:
        await writer.stop(10.0)
        await asyncio.to_thread(volume.close)


async def look_after(volume: RecordingVolume) -> None:
    """What the recording service does with a volume every few seconds."""
    try:
        if volume.error is None:
            await asyncio.to_thread(volume.check)
        elif not volume.is_open:
            await asyncio.to_thread(volume.open)
            volume.resume()
        else:
            await asyncio.to_thread(volume.probe)
            volume.resume()
    except StorageError as error:
        volume.fail(error)


async def drained(writer: VolumeWriter) -> None:
    """Wait until nothing is queued."""
    await until(lambda: writer.queue_bytes == 0, "the queue")


class Ticks:
    """Counts on the loop, to see that it runs: the longest it was away, in seconds of its own clock."""

    def __init__(self) -> None:
        self.count = 0
        self.worst_s = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Ticks":
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        clock = SystemClock()
        while True:
            before_ns = clock.monotonic_ns()
            await asyncio.sleep(0.01)
            self.count += 1
            self.worst_s = max(self.worst_s, (clock.monotonic_ns() - before_ns) / NS - 0.01)
