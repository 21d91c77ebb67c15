"""The newest picture of a live camera as JPEG, decoded from the group of pictures that its hub keeps.

Requests for one camera that come together share one decode; it runs in a thread, where it releases the GIL.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from vms.api.ports import HubLease
from vms.common.errors import Unavailable
from vms.common.ids import CameraId
from vms.format.errors import FormatError
from vms.media import AccessUnit, MediaKind, Subscription, Track

DECODES_AT_ONCE = 2
READY_TIMEOUT_S = 3.0  # for a subscription to the process that pulls the camera
BURST_TIMEOUT_S = 0.5  # for its first pictures, which come at once where there are any
PAUSE_S = 0.03  # less than live pictures are apart
GOP_MAX_PICTURES = 300
"""Of a longer group only the key picture is decoded: the newest would cost seconds of a core."""


@dataclass(frozen=True, slots=True)
class Picture:
    """jpeg: the encoded picture. capture_ns: when it was taken, Unix nanoseconds."""

    jpeg: bytes
    capture_ns: int


Decode = Callable[[Track, Sequence[bytes]], bytes]
"""A run of access units that starts at a key picture → the last one as JPEG; blocks."""


def decode_with_libav(track: Track, units: Sequence[bytes]) -> bytes:
    """The decoder of vms.format.picture, imported when the first picture is asked for: it loads FFmpeg."""
    from vms.format.picture import decode_jpeg

    return decode_jpeg(track, units)


class LivePictures:
    """Pictures of the cameras whose hubs `lease` gives."""

    def __init__(self, lease: Callable[[CameraId], HubLease], decode: Decode = decode_with_libav) -> None:
        self._lease = lease
        self._decode = decode
        self._slots = asyncio.Semaphore(DECODES_AT_ONCE)
        self._running: dict[CameraId, asyncio.Task[Picture]] = {}

    async def newest(self, camera_id: CameraId) -> Picture:
        """Raises NotFound for an unknown camera, Unavailable while no picture that can be decoded has come."""
        running = self._running.get(camera_id)
        if running is None:
            running = asyncio.create_task(self._decode_newest(camera_id))
            self._running[camera_id] = running
            running.add_done_callback(lambda task: self._finished(camera_id, task))
        return await asyncio.shield(running)

    def _finished(self, camera_id: CameraId, task: asyncio.Task[Picture]) -> None:
        del self._running[camera_id]
        if not task.cancelled():
            task.exception()  # whoever asked has it; when all of them left, nobody does

    async def _decode_newest(self, camera_id: CameraId) -> Picture:
        lease = self._lease(camera_id)
        try:
            async with self._slots:
                units = await _newest_group(lease)
                if not units:
                    raise Unavailable(
                        f"{camera_id}: no picture has come yet, or the camera is not live; its state says why"
                    )
                try:
                    return await asyncio.to_thread(self._picture, units)
                except FormatError as error:
                    text = f"{camera_id}: the newest picture cannot be decoded: {error}"
                    raise Unavailable(text) from error
        finally:
            lease.release()

    def _picture(self, units: Sequence[AccessUnit]) -> Picture:
        jpeg = self._decode(units[0].track, [unit.data for unit in units])
        return Picture(jpeg, units[-1].capture_ns)


async def _newest_group(lease: HubLease) -> Sequence[AccessUnit]:
    """Pictures since the newest key picture; of a subscription that has just begun, once they have come."""
    await lease.ready(READY_TIMEOUT_S)
    if not lease.hub.gop:
        with Subscription(lease.hub) as arriving, suppress(TimeoutError):
            async with asyncio.timeout(BURST_TIMEOUT_S):
                await anext(arriving)
                while True:  # a burst comes without pauses
                    await asyncio.wait_for(anext(arriving), PAUSE_S)
    units = [unit for unit in lease.hub.gop if unit.track.kind is MediaKind.VIDEO]
    return units if len(units) <= GOP_MAX_PICTURES else units[:1]
