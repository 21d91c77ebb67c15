"""A hub that plays a clip when a viewer asks for a key picture, and a service that shows it by SRT."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from vms.common.clock import SystemClock
from vms.common.errors import NotFound
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.media import AccessUnit, Hub
from vms.stream import own_hubs
from vms.stream.srt import Push, SrtAccess, SrtService
from vms.wire.srt import SrtOptions

CAMERA = CameraId("porch")
SECRET = b"s" * 32
PASSPHRASE = "correct-horse-battery"
LATENCY_MS = 500
"""In which a busy machine has to let both sides work: what is later than that is left out."""
DELIVERED_S = 0.8  # after it was acknowledged


class Clip:
    """Pushes `units` into its hub once, at `speed` times their own, from the first request for a key picture on."""

    def __init__(self, units: Sequence[AccessUnit], *, speed: float = 4.0) -> None:
        self.units = units
        self.hub = Hub("porch")
        self.hub.announce(list({unit.track.id: unit.track for unit in units}.values()))
        self.hub.on_key_request = self._begin
        self.played = asyncio.Event()
        self._speed = speed
        self._task: asyncio.Task[None] | None = None

    def _begin(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._play())

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        begun_s, first = loop.time(), self.units[0]
        for unit in self.units:
            at_s = unit.dts / unit.track.clock_rate - first.dts / first.track.clock_rate
            await asyncio.sleep(max(0.0, begun_s + at_s / self._speed - loop.time()))
            self.hub.push(unit)
        self.played.set()


@asynccontextmanager
async def served(
    hub: Hub,
    *,
    passphrase: str | None = None,
    options: SrtOptions | None = None,
    pushes: Sequence[Push] = (),
    listens: bool = True,
    port: int = 0,
    max_viewers: int = 100,
) -> AsyncIterator[SrtService]:
    """A started service that knows one camera's main stream, on loopback."""

    def own(camera_id: CameraId) -> Hub:
        if camera_id != CAMERA:
            raise NotFound(f"no camera {camera_id} is being pulled")
        return hub

    def known(camera_id: CameraId, stream: StreamName) -> bool:
        return camera_id == CAMERA and stream is StreamName.MAIN

    clock = SystemClock()
    service = SrtService(
        own_hubs(own),
        SrtAccess(SECRET, passphrase, known, clock),
        clock,
        address=("127.0.0.1", port) if listens else None,
        options=options or SrtOptions(latency_ms=LATENCY_MS),
        pushes=pushes,
        max_viewers=max_viewers,
    )
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


async def sent_out(service: SrtService) -> None:
    """Wait until every viewer has acknowledged everything."""
    async with asyncio.timeout(20):
        while any(viewer.connection.unsent for viewer in service.viewers):
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program, with pipes; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def output_of(process: asyncio.subprocess.Process) -> tuple[list[str], str]:
    """The lines that a program has written when it ends, and its complaints."""
    async with asyncio.timeout(30):
        output, errors = await process.communicate()
    return output.decode().splitlines(), errors.decode()
