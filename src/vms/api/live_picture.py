"""The newest picture of a live camera as JPEG, decoded from the group of pictures that its hub keeps.

Requests for one camera that come together share one decode; it runs in a thread, where it releases the GIL.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vms.common.errors import Unavailable
from vms.common.ids import CameraId
from vms.format.errors import FormatError
from vms.media import AccessUnit, Hub, MediaKind, Track

DECODES_AT_ONCE = 2
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
    """Pictures of the cameras whose hubs `hub` finds."""

    def __init__(self, hub: Callable[[CameraId], Hub], decode: Decode = decode_with_libav) -> None:
        self._hub = hub
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
        hub = self._hub(camera_id)
        async with self._slots:
            units = [unit for unit in hub.gop if unit.track.kind is MediaKind.VIDEO]
            if not units:
                raise Unavailable(
                    f"{camera_id}: no picture has come yet, or the camera is not live; its state says why"
                )
            if len(units) > GOP_MAX_PICTURES:
                units = units[:1]
            try:
                return await asyncio.to_thread(self._picture, units)
            except FormatError as error:
                raise Unavailable(f"{camera_id}: the newest picture cannot be decoded: {error}") from error

    def _picture(self, units: Sequence[AccessUnit]) -> Picture:
        jpeg = self._decode(units[0].track, [unit.data for unit in units])
        return Picture(jpeg, units[-1].capture_ns)
