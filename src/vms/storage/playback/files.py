"""The recording files behind one download, few of them open at a time.

Files ahead of the reader are opened before they are needed: retention deletes the oldest first, and an
open file stays readable after its deletion. So a download that runs at least as fast as recording does
never loses a file, and never holds more than HELD_FILES descriptors.

One that was moved meanwhile is read on where it is now; bytes of a closed recording are the same everywhere.
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from vms.common.errors import NotFound, Unavailable
from vms.storage.playback.errors import RecordingGone
from vms.storage.playback.ports import RecordingStore
from vms.storage.segment import OpenFile

HELD_FILES = 64
AHEAD_PAUSE_S = 10.0


class HeldFiles:
    """Files by their place in `segment_ids`, the order in which they will be read."""

    def __init__(self, store: RecordingStore, segment_ids: Sequence[UUID] = ()) -> None:
        self.segment_ids = list(segment_ids)
        self._store = store
        self._open: dict[int, OpenFile] = {}
        self._gone: set[int] = set()
        self._ahead_from_s = 0.0  # until then (loop time) no file is opened before it is needed

    def add(self, opened: OpenFile) -> int:
        """Take over an open file as the last one; its place. Beyond HELD_FILES it is closed for now."""
        place = len(self.segment_ids)
        self.segment_ids.append(opened.segment.id)
        if len(self._open) < HELD_FILES:
            self._open[place] = opened
        else:
            opened.close()
        return place

    async def get(self, place: int) -> OpenFile:
        """The file at `place`, open; those before it are closed, those after it opened.

        Raises RecordingGone when it was deleted, Unavailable when the disk refuses.
        """
        for earlier in [other for other in self._open if other < place]:
            self._open.pop(earlier).close()
        for later in [other for other in self._open if other >= place + HELD_FILES]:
            self._open.pop(later).close()  # a new reader began before the last one's place
        if place not in self._open:
            await self._reopen(place, needed=True)
        now_s = asyncio.get_running_loop().time()
        for ahead in range(place + 1, min(place + HELD_FILES, len(self.segment_ids))):
            if now_s < self._ahead_from_s:
                break
            if ahead not in self._open and ahead not in self._gone:
                await self._reopen(ahead, needed=False)
        return self._open[place]

    async def again(self, place: int) -> OpenFile:
        """The file at `place`, opened anew because it cannot be read any more where it was.

        Raises as `get`.
        """
        before = self._open.pop(place, None)
        if before is not None:
            before.close()
        await self._reopen(place, needed=True)
        return self._open[place]

    def close(self) -> None:
        """Close every file; harmless when done before."""
        for opened in self._open.values():
            opened.close()
        self._open.clear()

    async def _reopen(self, place: int, *, needed: bool) -> None:
        try:
            self._open[place] = await self._store.open_file(self.segment_ids[place])
        except Unavailable:
            if needed:
                raise
            # It may be in a tier that is away now, and back when it is its turn.
            self._ahead_from_s = asyncio.get_running_loop().time() + AHEAD_PAUSE_S
        except NotFound as error:
            self._gone.add(place)
            if needed:
                raise RecordingGone(
                    f"recording {self.segment_ids[place]} was deleted while it was being sent; "
                    "ask for a range that begins later"
                ) from error
