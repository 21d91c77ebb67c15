"""A relay between two hubs, over a Unix socket, and clips for players."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vms.common.clock import SystemClock
from vms.common.errors import NotFound, Unavailable
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.media import Hub
from vms.relay import RelayAddress, RelayPool, RelayServer, UnixAddress
from vms.virtual_camera.clip import ClipOptions, write_clip

CAMERA = CameraId("camera")


async def until(condition: Callable[[], object], timeout_s: float = 20) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.002)


class OtherLease:
    """A lease on the hub of another stream than main, counted by its relay."""

    def __init__(self, relay: "Relay", hub: Hub) -> None:
        self.hub = hub
        self._relay = relay
        relay.others_held += 1

    async def ready(self, timeout_s: float) -> None:
        if self._relay.other_fails:
            raise Unavailable(self._relay.other_fails)

    def release(self) -> None:
        self._relay.others_held -= 1


@dataclass
class Relay:
    """A process that has cameras (`hubs`), and one that subscribes to them (`pool`)."""

    path: Path
    hubs: dict[CameraId, Hub] = field(default_factory=lambda: {CAMERA: Hub(CAMERA)})
    idle_s: float = 10.0
    others: dict[StreamName, Hub] = field(default_factory=dict)
    others_held: int = 0
    other_fails: str = ""

    def __post_init__(self) -> None:
        self.clock = SystemClock()
        self.address: RelayAddress | None = UnixAddress(self.path)
        self.server = RelayServer(self.find, self.clock, path=self.path, others=self.lease_other)
        self.pool = RelayPool(lambda camera_id, stream: self.address, self.clock, idle_s=self.idle_s)

    @property
    def source(self) -> Hub:
        return self.hubs[CAMERA]

    def find(self, camera_id: CameraId) -> Hub:
        if camera_id not in self.hubs:
            raise NotFound(f"no camera {camera_id}")
        return self.hubs[camera_id]

    @property
    def players(self) -> float:
        return next(m.samples[0][1] for m in self.server.metrics() if m.name == "vms_relay_players")

    def lease_other(self, camera_id: CameraId, stream: StreamName) -> "OtherLease":
        self.find(camera_id)
        if stream not in self.others:
            raise NotFound(f"no {stream} stream")
        return OtherLease(self, self.others[stream])

    async def restart(self) -> None:
        self.server = RelayServer(self.find, self.clock, path=self.path, others=self.lease_other)
        await self.server.start()


@asynccontextmanager
async def relaying(path: Path, idle_s: float = 10.0) -> AsyncIterator[Relay]:
    relay = Relay(path, idle_s=idle_s)
    await relay.server.start()
    try:
        yield relay
    finally:
        await relay.pool.close()
        await relay.server.stop()


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[Relay]:
    async with relaying(tmp_path / "media-0.rtsp") as relay:
        yield relay


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Clips of 2 s: ``plain`` and ``b_frames`` (H.264), ``h265``."""
    folder = tmp_path_factory.mktemp("clips")
    small = ClipOptions(2, width=320, height=180, bitrate=400_000)
    wanted = {
        "plain": small,
        "b_frames": small._replace(b_frames=2, preset="veryfast"),
        "h265": small._replace(b_frames=2, codec="libx265"),
    }
    for name, options in wanted.items():
        write_clip(folder / f"{name}.mp4", options)
    return {name: folder / f"{name}.mp4" for name in wanted}
