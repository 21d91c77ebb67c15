"""Records three cameras in real time into the directory given, until it is killed; prints what it was given."""

import asyncio
import sys
from pathlib import Path

from tests.storage.scripted_camera import FPS, ScriptedCamera

from vms.common.clock import SystemClock
from vms.config import VolumeConfig
from vms.storage.service import StorageService


async def main(volume: Path) -> None:
    clock = SystemClock()
    service = StorageService([VolumeConfig(path=volume, quota=1 << 30)], 2.0, clock)
    await service.start()
    cameras = [ScriptedCamera(clock, name, audio=True) for name in ("porch", "yard", "gate")]
    for camera in cameras:
        service.record(camera.camera, camera.hub)
    while True:
        capture_ns = clock.wall_ns()
        for camera in cameras:
            camera.push()
        print(capture_ns, flush=True)
        await asyncio.sleep(1 / FPS)


asyncio.run(main(Path(sys.argv[1])))
