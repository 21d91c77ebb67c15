"""The processes of the relay bench: one that has cameras, one that subscribes to them.

Both measure between two words of the bench on their pipe. A unit carries the monotonic time of its push as
its capture time, which crosses the relay exactly; the monotonic clock is the same in every process.

Belongs here: what runs in the processes. Does not: starting them and their figures (relay).
"""

import asyncio
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import av
import uvloop

from vms.common.clock import SystemClock
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.format.codecs import video_track
from vms.media import AccessUnit, Codec, Gap, Hub, Track
from vms.relay import HubLease, PublicRtsp, RelayPool, RelayServer, UnixAddress
from vms.telemetry.logs import configure_logs
from vms.virtual_camera import configuration_record

FPS = 25
TICKS = 90_000 // FPS


@dataclass(frozen=True, slots=True)
class Setup:
    """streams: how many cameras. path: of the relay's socket. port: where players are served."""

    footage: Path
    streams: int
    path: Path
    port: int


@dataclass(frozen=True, slots=True)
class Measured:
    """cpu_s, wall_s: of the process between the two words. delays_ns: from push to a sink, a unit each."""

    cpu_s: float
    wall_s: float
    delays_ns: list[int]


class Arrivals:
    """A sink that notes how long units have been on their way."""

    def __init__(self, delays_ns: list[int]) -> None:
        self._delays_ns = delays_ns

    def push(self, unit: AccessUnit) -> None:
        self._delays_ns.append(time.monotonic_ns() - unit.capture_ns)

    def gap(self, gap: Gap) -> None:
        raise RuntimeError(f"a gap in the bench: {gap}")


class OwnHub:
    """A lease on a hub of this process."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    async def ready(self, timeout_s: float) -> None:
        """It is."""

    def release(self) -> None:
        """Nothing is held."""


def camera(number: int) -> CameraId:
    return CameraId(f"camera-{number}")


def run_source(pipe: Connection, setup: Setup) -> None:
    """Have cameras, each pushing a picture every 40 ms at a moment of its own; serve them to all who ask."""
    configure_logs(json=False, level="error")
    uvloop.run(_source(pipe, setup))


def run_subscriber(pipe: Connection, setup: Setup) -> None:
    """Subscribe to every camera."""
    configure_logs(json=False, level="error")
    uvloop.run(_subscriber(pipe, setup))


async def _source(pipe: Connection, setup: Setup) -> None:
    track, pictures = _load(setup.footage)
    clock = SystemClock()
    hubs = {camera(number): Hub(camera(number)) for number in range(setup.streams)}
    delays_ns: list[int] = []
    for hub in hubs.values():
        hub.announce([track])
        hub.attach(Arrivals(delays_ns))
    relay = RelayServer(hubs.__getitem__, clock, path=setup.path)

    async def resolve(camera_id: CameraId, stream: StreamName) -> HubLease:
        return OwnHub(hubs[camera_id])

    public = PublicRtsp(resolve, clock, token=None, port=setup.port)
    await relay.start()
    await public.start()
    tasks = [
        asyncio.create_task(_push(hub, track, pictures, number / setup.streams / FPS))
        for number, hub in enumerate(hubs.values())
    ]
    await _measure(pipe, delays_ns)
    for task in tasks:
        task.cancel()
    await public.stop()
    await relay.stop()


async def _subscriber(pipe: Connection, setup: Setup) -> None:
    pool = RelayPool(lambda camera_id, stream: UnixAddress(setup.path), SystemClock())
    delays_ns: list[int] = []
    leases = [pool.acquire(camera(number)) for number in range(setup.streams)]
    for lease in leases:
        await lease.ready(10)
        lease.hub.attach(Arrivals(delays_ns))
    await _measure(pipe, delays_ns)
    await pool.close()


async def _measure(pipe: Connection, delays_ns: list[int]) -> None:
    pipe.send("ready")
    while await _word(pipe) == "measure":
        delays_ns.clear()
        cpu_s, began_s = time.process_time(), time.monotonic()
        await _word(pipe)
        cpu_s, wall_s = time.process_time() - cpu_s, time.monotonic() - began_s
        pipe.send(Measured(cpu_s, wall_s, list(delays_ns)))


async def _word(pipe: Connection) -> str:
    """The next thing that the bench says."""
    said = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(pipe.fileno(), said.set)
    try:
        await said.wait()
    finally:
        loop.remove_reader(pipe.fileno())
    return str(pipe.recv())


async def _push(hub: Hub, track: Track, pictures: list[tuple[bytes, bool]], phase_s: float) -> None:
    loop = asyncio.get_running_loop()
    began_s = loop.time() + phase_s
    number = 0
    while True:
        await asyncio.sleep(began_s + number / FPS - loop.time())
        data, key = pictures[number % len(pictures)]
        ticks = 90_000 + number * TICKS
        now_ns = time.monotonic_ns()
        hub.push(AccessUnit(track, data, ticks, ticks, key, False, now_ns, now_ns))
        number += 1


def _load(footage: Path) -> tuple[Track, list[tuple[bytes, bool]]]:
    with av.open(str(footage)) as container:
        stream = container.streams.video[0]
        record = configuration_record.parse(Codec.H264, bytes(stream.codec_context.extradata or b""))
        pictures = [
            (record.access_unit(bytes(packet)), packet.is_keyframe)
            for packet in container.demux(stream)
            if packet.size
        ]
    return video_track(1, Codec.H264, record.parameter_sets), pictures
