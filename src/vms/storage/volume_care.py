"""Look after a volume as a media process does: open it, see that it is still there and its room, try one that failed.

Belongs here: when and in which order. Does not: the steps (volume), what an error means for recording (recording).
"""

import asyncio

from vms.storage.errors import StorageError, VolumeUnavailable
from vms.storage.recording_volume import RecordingVolume
from vms.telemetry.logs import get_logger

TICK_S = 1.0
LOOK_INTERVAL_S = 5.0

log = get_logger(__name__)


async def look_after(volume: RecordingVolume) -> None:
    """Do what is due; a volume that fails says so itself. The disk is waited for in a thread."""
    try:
        if volume.error is None:
            await asyncio.to_thread(volume.check)
            volume.room_bytes = await asyncio.to_thread(volume.free_bytes)
        elif not volume.is_open and volume.due:
            await asyncio.to_thread(volume.open)
            volume.room_bytes = await asyncio.to_thread(volume.free_bytes)
            volume.resume()
        elif volume.due:
            await asyncio.to_thread(volume.probe)
            volume.resume()
    except StorageError as error:
        volume.fail(error)
    except Exception as error:
        log.error("looking after a volume failed", path=str(volume.path), exc_info=error)
        reason = f"an unexpected {type(error).__name__}: {error}"
        volume.fail(VolumeUnavailable(volume.path, reason))


async def keep_looking(volume: RecordingVolume, opened: asyncio.Task[None]) -> None:
    """Look after a volume again and again, after it was opened once; one that failed is looked at every second."""
    loop = asyncio.get_running_loop()
    await opened
    look_at_s = loop.time() + LOOK_INTERVAL_S
    while True:
        await asyncio.sleep(TICK_S)
        if volume.error is not None or loop.time() >= look_at_s:
            look_at_s = loop.time() + LOOK_INTERVAL_S
            await look_after(volume)
