"""A clip of one camera: what it shows when, and copying it out of recordings as it is.

Belongs here: from a range to the bytes of a clip. Does not: drawing the time into it (burn_in), which files an export
consists of (making).
"""

import hashlib
import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Self

from vms.common.clock import NS, rfc3339
from vms.common.ids import CameraId
from vms.media import Gap
from vms.storage.playback import Export, Playback
from vms.storage.playback.cutlist import Cut, cut_list, leading_track, of_track
from vms.storage.playback.ports import RecordingStore
from vms.storage.playback.timeline import TOUCH_NS
from vms.storage.render.export_files import WrittenFile
from vms.storage.render.progress import Progress
from vms.storage.render.room import Room

_BATCH_BYTES = 4 << 20  # so that a thread is asked seldom


@dataclass(frozen=True, slots=True)
class Piece:
    """From `clip_s` seconds of the clip on it shows [start_ns, end_ns) without a break."""

    clip_s: float
    start_ns: int
    end_ns: int

    def until(self, end_ns: int) -> Self:
        """The same piece with another end."""
        return replace(self, end_ns=end_ns)


class Sink:
    """Where a clip is written: counts and hashes what goes through. Blocks: for a thread."""

    def __init__(self, file: WrittenFile, progress: Progress, room: Room) -> None:
        self.size_bytes = 0
        self._file = file
        self._progress = progress
        self._room = room
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Raises Stopped, NoRoomForExport, OSError."""
        self._progress.check()
        self._room.check(len(data))
        self._file.write(data)
        self._digest.update(data)
        self.size_bytes += len(data)
        self._progress.size_bytes += len(data)


def can_cut_exactly(playback: Playback) -> bool:
    """Whether exports can begin and end at a moment between key pictures."""
    return "exact" in inspect.signature(playback.export).parameters


@asynccontextmanager
async def copied_clip(
    playback: Playback, camera_id: CameraId, start_ns: int, end_ns: int, *, exact: bool
) -> AsyncIterator[Export]:
    """The clip, to be read. Raises what Playback.export does."""
    options = {"exact": True} if exact and can_cut_exactly(playback) else {}
    export = await playback.export(camera_id, start_ns, end_ns, **options)
    try:
        yield export
    finally:
        await export.close()


async def copy(export: Export, sink: Sink, progress: Progress, tell: Callable[[float], None]) -> None:
    """Write the whole of `export` to `sink`. tell: is given the share that is done."""
    batch: list[bytes] = []
    held = written = 0
    async for chunk in export.chunks(0, export.size_bytes - 1):
        batch.append(chunk)
        held += len(chunk)
        if held >= _BATCH_BYTES or written + held == export.size_bytes:
            data = b"".join(batch)
            await progress.run(lambda data=data: sink.write(data))  # type: ignore[misc]
            written += held
            batch, held = [], 0
            tell(written / export.size_bytes)


async def pieces_of(
    recordings: RecordingStore, camera_id: CameraId, start_ns: int, end_ns: int, begins_ns: int
) -> list[Piece]:
    """What a copied clip of the range shows when. begins_ns: of its first picture."""
    pieces: list[Piece] = []
    at_s = 0.0
    async with aclosing(cut_list(recordings, camera_id, start_ns, end_ns)) as files:
        async for cuts in files:
            try:
                for cut in cuts:
                    from_ns = cut.start_ns if pieces else max(cut.start_ns, begins_ns)
                    until_ns = min(cut.end_ns, cut.until_ns)
                    if until_ns <= from_ns:
                        continue
                    carries_on = cut.joined and pieces and abs(cut.start_ns - pieces[-1].end_ns) <= TOUCH_NS
                    if carries_on:
                        pieces[-1] = pieces[-1].until(until_ns)
                    else:
                        pieces.append(Piece(at_s, from_ns, until_ns))
                    at_s += _lasts_s(cut) - (from_ns - cut.start_ns) / NS
            finally:
                cuts[0].opened.close()
    return pieces


def _lasts_s(cut: Cut) -> float:
    """How long a cut lasts in a clip: as its timeline says, which a clock that is adjusted differs from."""
    leader = leading_track(cut.file.tracks)
    parts = [of_track(fragment, leader.id) for fragment in cut.fragments]
    ticks = sum(part.duration for part in parts if part is not None)
    beyond_ns = max(cut.end_ns - cut.until_ns, 0)
    return ticks / leader.clock_rate - beyond_ns / NS


def missing(gaps: Sequence[Gap], end_ns: int) -> list[dict[str, object]]:
    """Gaps as a manifest has them."""
    return [
        {
            "start": rfc3339(gap.start_ns),
            "end": rfc3339(end_ns if gap.end_ns is None else min(gap.end_ns, end_ns)),
            "reason": gap.reason.value,
            "detail": gap.detail,
        }
        for gap in gaps
    ]
