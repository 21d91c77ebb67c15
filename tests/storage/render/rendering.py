"""A render service over a shelf of recordings, and looking at what it makes."""

import asyncio
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
from tests.storage.playback.shelf import Shelf

from vms.common.clock import NS, ManualClock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.storage.render import ExportJob, ExportOrder, JobState, RenderService
from vms.storage.render.evidence import Evidence
from vms.storage.render.export_keys import ExportKeys
from vms.storage.render.room import MOST_EXPORTS_BYTES
from vms.storage.segment import Segment


@dataclass
class Renderer:
    """A service that can be started again, as after the end of its process."""

    shelf: Shelf
    data_dir: Path
    # Now, for keys are valid from when they are made on
    clock: ManualClock = field(default_factory=lambda: ManualClock(time.time_ns() // NS * NS))
    may_keep: Callable[[Segment], bool] = lambda _: True
    evidence: Evidence = field(default_factory=lambda: Evidence(node="attic"))
    volumes: tuple[VolumeConfig, ...] = ()
    most_exports_bytes: int = MOST_EXPORTS_BYTES
    service: RenderService = field(init=False)

    async def start(self) -> None:
        self.service = RenderService(
            self.shelf,
            self.data_dir,
            self.clock,
            threads=1,
            may_keep=self._keeps,
            evidence=lambda: self.evidence,
            keys=ExportKeys(self.volumes),
            most_exports_bytes=self.most_exports_bytes,
        )
        await self.service.start()

    def _keeps(self, segment: Segment) -> bool:
        return self.may_keep(segment)

    async def stop(self) -> None:
        await self.service.stop()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    @property
    def cache_file(self) -> Path:
        return self.data_dir / "cache" / "thumbnails.sqlite"

    async def ended(self, job_id: str) -> ExportJob:
        """The job, once it has ended."""
        async with asyncio.timeout(60):
            while not (job := self.service.exports.get(job_id)).state.ended:
                await asyncio.sleep(0.01)
        return job

    async def done(self, order: ExportOrder) -> Path:
        """The file of an export that is expected to succeed."""
        job = await self.ended((await self.service.create(order)).id)
        assert job.state is JobState.DONE, job.error
        assert job.file_name is not None
        assert job.progress == 1.0
        return self.data_dir / "exports" / job.id / job.file_name

    def files_of(self, job_id: str) -> set[str]:
        directory = self.data_dir / "exports" / job_id
        return {path.name for path in directory.iterdir()} if directory.exists() else set()


def also_of(shelf: Shelf, segments: list[Segment], camera_id: CameraId) -> None:
    """Make recordings those of another camera."""
    for segment in segments:
        shelf.files[segment.id] = replace(segment, camera_id=camera_id)


def probe(path: Path) -> dict[str, Any]:
    """What ffprobe says of streams and their number of pictures."""
    command = [
        "ffprobe",
        "-v",
        "error",
        "-count_frames",
        "-show_streams",
        "-show_format",
        "-of",
        "json",
        str(path),
    ]
    run = subprocess.run(command, capture_output=True, timeout=60, check=True)
    tree: dict[str, Any] = json.loads(run.stdout)
    return tree


def pictures(path: Path) -> list["av.VideoFrame"]:
    """All pictures of a file, decoded."""
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def luma_rows(frame: "av.VideoFrame", top: int, count: int) -> list[bytes]:
    """Rows of luma of a picture."""
    plane = frame.reformat(format="yuv420p").planes[0]
    data = bytes(plane)
    return [
        data[row * plane.line_size : row * plane.line_size + plane.width] for row in range(top, top + count)
    ]
