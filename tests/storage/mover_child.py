"""A keeper's process that moves recordings, to be killed: ``mover_child.py CONFIG.yaml RATE_BYTES_S``."""

import asyncio
import sys
from pathlib import Path

from vms.common.clock import SystemClock
from vms.config import load_config
from vms.storage.identity import KnownVolumes
from vms.storage.kept_volume import KeptVolume
from vms.storage.tiers import TierMover, open_tiers


async def main(config: Path, rate_bytes_s: int) -> None:
    (volume_config,) = load_config(config).volumes()
    clock = SystemClock()
    volume = KeptVolume(volume_config, clock, KnownVolumes(None), "a system")
    volume.open()
    assert volume.id is not None
    mover = TierMover(volume, open_tiers(volume_config, volume.id), clock, rate_bytes_s=rate_bytes_s)
    while True:
        await mover.settled()
        print(mover.moved, flush=True)


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
