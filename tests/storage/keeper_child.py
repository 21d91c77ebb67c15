"""Keeps the volume given at the control socket given, until it is told to stop or killed; prints a line when it is ready."""

import asyncio
import signal
import sys
from pathlib import Path

from vms.bus.local import LocalServer
from vms.common.clock import SystemClock
from vms.config import VolumeConfig
from vms.storage.keeper import VolumeKeeper
from vms.storage.keeper_control import keeper_methods


async def main(volume: Path, socket: Path, system_id: str) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    keeper = VolumeKeeper(VolumeConfig(path=volume, quota=1 << 30), SystemClock(), system_id=system_id)
    server = LocalServer(socket, keeper_methods(keeper))
    await keeper.start()
    await server.start()
    await keeper.recovered.wait()
    print("ready", flush=True)
    await stopping.wait()
    await server.stop()
    await keeper.stop()


asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
