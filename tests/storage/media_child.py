"""Records cameras in real time into the volume given, until it is told to stop or killed; prints what it was given.

A line on its input makes each camera lose packets.
"""

import asyncio
import signal
import sys
from pathlib import Path

from tests.storage.scripted_camera import FPS, ScriptedCamera

from vms.common.clock import NS, SystemClock
from vms.config import VolumeConfig
from vms.media import Gap, GapReason
from vms.storage.keeper_control import KeeperClient
from vms.storage.recording import RecordingService


async def main(volume: Path, socket: Path, system_id: str, names: list[str]) -> None:
    clock, stopping = SystemClock(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    config = VolumeConfig(path=volume, quota=1 << 30)
    service = RecordingService(
        [(config, KeeperClient(socket))], 2.0, clock, system_id=system_id, worker=f"media-{names[0]}"
    )
    await service.start()
    cameras = [ScriptedCamera(clock, name, audio=True) for name in names]
    for camera in cameras:
        service.record(camera.camera, camera.hub)

    def lose() -> None:
        sys.stdin.readline()
        now_ns = clock.wall_ns()
        for camera in cameras:
            camera.hub.gap(Gap(now_ns - NS // 10, now_ns, GapReason.PACKET_LOSS, "a packet was lost"))

    loop.add_reader(sys.stdin, lose)
    while not stopping.is_set():
        capture_ns = clock.wall_ns()
        for camera in cameras:
            camera.push()
        print(capture_ns, flush=True)
        await asyncio.sleep(1 / FPS)
    loop.remove_reader(sys.stdin)
    await service.stop()


asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4:]))
