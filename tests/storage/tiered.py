"""A volume with recordings, its mover and its readers, each as the process that has it makes it."""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import UUID

import pytest
from tests.storage.scripted_camera import NOON_NS, pictures

from vms.common.clock import NS, ManualClock
from vms.common.ids import CameraId, uuid7
from vms.config import EncryptionConfig, TierConfig, VolumeConfig
from vms.format.hybrid import SegmentIdentity, SegmentWriter
from vms.media import AccessUnit
from vms.storage.bodies import create_body
from vms.storage.catalog import CatalogRow
from vms.storage.identity import KnownVolumes
from vms.storage.kept_volume import KeptVolume
from vms.storage.keyring import load_keyring
from vms.storage.layout import recording_name
from vms.storage.library import RecordingLibrary
from vms.storage.playback import Playback
from vms.storage.segment import Segment
from vms.storage.tiers import TierMover, TierStore, open_tiers

PORCH = CameraId("porch")
SECONDS = 4
ALL = (0, 1 << 62)


class TieredVolume:
    """Recordings of SECONDS each, one after the other from NOON_NS on; the clock stands at their end."""

    def __init__(
        self, folder: Path, tiers: Sequence[TierConfig], *, encryption: EncryptionConfig | None = None
    ) -> None:
        self.config = VolumeConfig(path=folder, tiers=tuple(tiers), encryption=encryption)
        self.clock = ManualClock(NOON_NS)
        self.volume = self.open()
        self.mover = self.new_mover()
        self.library = RecordingLibrary([self.config], self.clock)

    def open(self) -> KeptVolume:
        volume = KeptVolume(self.config, self.clock, KnownVolumes(None), "a system")
        volume.open()
        return volume

    def new_mover(self) -> TierMover:
        assert self.volume.id is not None
        self.stores = dict(open_tiers(self.config, self.volume.id))
        return TierMover(self.volume, self.stores, self.clock, rate_bytes_s=1 << 40)

    def store(self, name: str) -> TierStore:
        return self.stores[name]

    async def restart(self) -> None:
        """As after the end of the keeper's process, however it ended."""
        await self.mover.stop()
        self.volume.close()
        self.volume = self.open()
        self.mover = self.new_mover()

    async def stop(self) -> None:
        await self.library.stop()
        await self.mover.stop()
        self.volume.close()

    async def record(self, count: int) -> list[Segment]:
        """More recordings, oldest first, closed and with their rows."""
        made = [self._write() for _ in range(count)]
        rows = [CatalogRow(segment) for segment in made]
        self.volume.closed_bytes += await self.volume.catalog.run(lambda each: each.add(rows))
        return made

    def _write(self) -> Segment:
        track, data = pictures()
        start_ns = self.clock.wall_ns()
        identity = SegmentIdentity(uuid7(start_ns), PORCH, "main")
        writer = SegmentWriter([track], identity)
        parts: list[bytes | memoryview] = []
        first = (start_ns - NOON_NS) // NS * 25  # one timeline over all files
        for number in range(SECONDS * 25):
            dts = (first + number) * 3600
            unit = AccessUnit(
                track,
                data[number % len(data)],
                dts,
                dts,
                number % 25 == 0,
                False,
                start_ns + number * NS // 25,
                0,
            )
            if written := writer.push(unit):
                parts += written.buffers
        if last := writer.flush():
            parts += last.buffers
        finish = writer.finish()
        media = b"".join([writer.header(), *parts])
        path = self.config.path / recording_name(PORCH, start_ns, "main")
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o640)
        body = create_body(descriptor, load_keyring(self.config.encryption))
        body.write([media], 0)
        body.write([finish.tail], finish.tail_offset)
        body.write([finish.flip], finish.flip_offset)
        body.close()
        self.clock.advance(SECONDS)
        return Segment(
            id=identity.segment_id,
            camera_id=PORCH,
            stream="main",
            path=path,
            start_ns=start_ns,
            end_ns=writer.fragments[-1].end_ns,
            size_bytes=len(media) + len(finish.tail),
            closed=True,
            video=track.codec,
            audio=None,
        )


AGE_S = 3600.0
Make = Callable[..., TieredVolume]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """``make(tiers)`` gives a volume with these tiers; all of it is stopped at the end."""
    async with AsyncExitStack() as stack:

        def build(tiers: Sequence[TierConfig], **options: EncryptionConfig | None) -> TieredVolume:
            tiered = TieredVolume(tmp_path / "volume", tiers, **options)
            stack.push_async_callback(tiered.stop)
            return tiered

        yield build


def directory(tmp_path: Path, name: str = "archive", **options: object) -> TierConfig:
    tree: dict[str, object] = {"name": name, "path": tmp_path / name, "after": AGE_S}
    return TierConfig.model_validate(tree | options)


def local(tiered: TieredVolume) -> list[str]:
    """Names of recordings on the volume."""
    return sorted(
        path.relative_to(tiered.config.path).as_posix() for path in tiered.config.path.rglob("*.mp4")
    )


def names(tiered: TieredVolume, segments: Sequence[Segment]) -> list[str]:
    return sorted(segment.path.relative_to(tiered.config.path).as_posix() for segment in segments)


def copies(tiered: TieredVolume, tier: str) -> list[str]:
    return sorted(each.name for each in tiered.store(tier).list())


async def shown(tiered: TieredVolume, segments: Sequence[Segment]) -> dict[str, bytes]:
    """Everything that a person may look at, as bytes."""
    playback = Playback(tiered.library)
    try:
        first, last = segments[0], segments[-1]

        def url(segment_id: UUID) -> str:
            return f"{segment_id}.mp4"

        playlist = await playback.playlist(PORCH, first.start_ns, last.end_ns, segment_url=url, init_url=url)
        seen = {
            "playlist": playlist.encode(),
            "snapshot": await playback.snapshot(PORCH, last.start_ns + 10**9),
        }
        export = await playback.export(PORCH, first.start_ns, last.end_ns)
        seen["export"] = b"".join([piece async for piece in export.chunks(0, export.size_bytes - 1)])
        await export.close()
        for segment in segments:
            download = await playback.segment_bytes(PORCH, segment.id)
            pieces = [piece async for piece in download.chunks(0, download.size_bytes - 1)]
            await download.close()
            seen[str(segment.id)] = b"".join(pieces)
        return seen
    finally:
        await playback.stop()
