"""Look after a volume as a media process does: open it, see that it is still there and its room, try one that failed.

Belongs here: when and in which order. Does not: the steps (volume), what an error means for recording (recording).
"""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress

from vms.storage.errors import StorageError, VolumeUnavailable
from vms.storage.recording_volume import RecordingVolume
from vms.telemetry.logs import get_logger

TICK_S = 1.0
LOOK_INTERVAL_S = 5.0
OPEN_PATIENCE_S = 5.0  # for a volume that can be used …
OTHERS_PATIENCE_S = 0.5  # … and then for the others

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


async def until_open(volumes: Sequence[RecordingVolume], opening: Collection[asyncio.Task[None]]) -> None:
    """Wait for a volume that can be used, and then for the others only a moment: cameras are waiting."""
    with suppress(TimeoutError):
        async with asyncio.timeout(OPEN_PATIENCE_S):
            pending = set(opening)
            while pending and all(volume.error is not None for volume in volumes):
                _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if pending:
                await asyncio.wait(pending, timeout=OTHERS_PATIENCE_S)


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
