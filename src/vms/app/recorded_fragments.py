"""Recordings for live view that goes back in time: what storage plays, as the WebSocket takes it.

Belongs here: translating. Does not: reading recordings (vms.storage.playback.onward), the pace (vms.stream.websocket).
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from vms.common.clock import Clock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.storage.library import RecordingLibrary
from vms.storage.playback.onward import Init, Media, Missing, Onward, Watched
from vms.stream.websocket.recorded import Recorded, RecordedFragment, RecordedGap, RecordedInit


class RecordedPlayback:
    """Implements RecordedFragments over volumes, with their keys and tiers."""

    def __init__(self, volumes: Sequence[VolumeConfig], clock: Clock) -> None:
        self._library = RecordingLibrary(volumes, clock)
        self._onward = Onward(self._library, clock)

    async def stop(self) -> None:
        """End the threads; what is being watched fails."""
        await self._onward.stop()
        await self._library.stop()

    async def play(self, camera_id: CameraId, from_ns: int) -> AsyncGenerator[Recorded, None]:
        """From the key picture at or before a time on. Raises NotFound, Unavailable."""
        async with aclosing(self._onward.play(camera_id, from_ns)) as watched:
            async for each in watched:
                yield _translated(each)


def _translated(each: Watched) -> Recorded:
    match each:
        case Init():
            return RecordedInit(each.mime, each.data)
        case Media():
            return RecordedFragment(each.start_ns, each.end_ns, each.media_s, each.data)
        case Missing():
            return RecordedGap(each.start_ns, each.end_ns, each.reason.value)
