"""How one export is made: its clips, and where they go.

Belongs here: the steps, from an order to a finished file. Does not: when (jobs), clips themselves (clip, burn_in), what
an archive holds beside them (archive).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from vms.common.clock import Clock, rfc3339
from vms.common.errors import NotFound
from vms.common.ids import CameraId
from vms.format.errors import FormatError
from vms.media import Gap
from vms.storage.body import Body
from vms.storage.playback import Playback
from vms.storage.playback.cutlist import cut_list
from vms.storage.playback.errors import NothingRecorded
from vms.storage.playback.ports import RecordingStore
from vms.storage.playback.search import nothing_recorded
from vms.storage.render.archive import Archive, check_archive, clip_name
from vms.storage.render.burn_in import BurntClip, Wanted
from vms.storage.render.clip import Piece, Sink, can_cut_exactly, copied_clip, copy, pieces_of
from vms.storage.render.errors import ExportDamaged
from vms.storage.render.evidence import Evidence, verify_clip
from vms.storage.render.export_files import ExportFiles, measure
from vms.storage.render.export_keys import ExportKeys
from vms.storage.render.progress import Progress
from vms.storage.render.room import Room
from vms.storage.render.values import ExportOrder
from vms.storage.segment import Segment
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

PICTURES = "making the clips"
CHECKING = "checking what was written"
_CLIPS_SHARE = 0.9  # of the progress; the rest is for checking
_LOOSE_NAME = "clip.mp4"


@dataclass(slots=True)
class Clip:
    """One camera's part of an export. name: of its file; None where nothing was recorded, and `nothing` says why.

    damaged: pictures that could not be decoded, of a burnt clip.
    """

    camera_id: CameraId
    name: str | None = None
    size_bytes: int = 0
    sha256: str = ""
    pieces: list[Piece] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    nothing: str = ""
    verified: bool | None = None
    burnt: bool = False
    damaged: int = 0


@dataclass(frozen=True, slots=True)
class Made:
    """A finished export: a file in its directory."""

    file_name: str
    size_bytes: int
    verified: bool | None


@dataclass(frozen=True, slots=True)
class _Making:
    """One export while it is made, and what that takes."""

    order: ExportOrder
    files: ExportFiles
    progress: Progress
    evidence: Evidence


class ExportMaker:
    """Makes exports, one at a time."""

    def __init__(
        self,
        playback: Playback,
        recordings: RecordingStore,
        clock: Clock,
        room: Room,
        *,
        evidence: Callable[[], Evidence],
        keys: ExportKeys,
    ) -> None:
        """evidence: asked once an export, in a thread. keys: that its files are encrypted with."""
        self._playback = playback
        self._recordings = recordings
        self._clock = clock
        self._room = room
        self._evidence = evidence
        self._keys = keys

    async def make(self, order: ExportOrder, directory: Path, progress: Progress) -> Made:
        """Make the export in `directory`, which holds nothing else that matters.

        Raises NothingRecorded when that is so of all cameras, NoRoomForExport, RecordingDamaged, RecordingGone,
        ExportDamaged, KeyUnusable, OSError, Stopped.
        """
        evidence = await progress.run(self._evidence)
        footage = await self._footage(order)
        keyring = await progress.run(lambda: self._keys.choose(footage))
        making = _Making(order, ExportFiles(directory, keyring), progress, evidence)
        if order.packed:
            return await self._make_archive(making)
        return await self._make_single(making)

    async def estimate_bytes(self, order: ExportOrder) -> int:
        """About how large the export will be. Raises NothingRecorded when nothing is."""
        total = 0
        footage = await self._footage(order)
        for segment in footage:
            lasts_ns = max(segment.end_ns - segment.start_ns, 1)
            shared_ns = min(segment.end_ns, order.end_ns) - max(segment.start_ns, order.start_ns)
            total += segment.size_bytes * max(shared_ns, 0) // lasts_ns
        if not footage:
            raise await self._nothing(order)
        return total

    # -- private ----------------------------------------------------------------------------------------

    async def _footage(self, order: ExportOrder) -> list[Segment]:
        found: list[Segment] = []
        for camera_id in order.cameras:
            found += await self._recordings.segments(camera_id, order.start_ns, order.end_ns)
        return found

    async def _make_single(self, making: _Making) -> Made:
        order, files, progress = making.order, making.files, making.progress
        name = f"{order.cameras[0]}_{_moment(order.start_ns)}.mp4"
        clip = await self._clip(making, order.cameras[0], name, (0.0, _CLIPS_SHARE))
        if clip.nothing:
            raise await self._nothing(order)
        progress.stage = CHECKING
        await progress.run(lambda: _check_file(files, name, clip, progress))
        if order.burn_in is None:
            clip.verified = await progress.run(lambda: _verify(making, name))
        return Made(name, clip.size_bytes, clip.verified)

    async def _make_archive(self, making: _Making) -> Made:
        order, files, progress = making.order, making.files, making.progress
        name = f"export_{_moment(order.start_ns)}.zip"
        file = await progress.run(lambda: files.create(name))
        archive = Archive(file, order, making.evidence, self._clock.wall_ns())
        try:
            clips = []
            for number, camera_id in enumerate(order.cameras):
                whole = _CLIPS_SHARE / len(order.cameras)
                share = number * whole, (number + 1) * whole
                clip = await self._clip(making, camera_id, _LOOSE_NAME, share)
                if not clip.nothing:
                    await self._pack(making, archive, clip)
                clips.append(clip)
            if all(clip.nothing for clip in clips):
                raise await self._nothing(order)
            progress.stage = CHECKING
            listed = await progress.run(lambda: archive.finish(clips, exact=self._exact(order)))
        except BaseException:
            await progress.settle(archive.abandon)
            raise
        await progress.run(lambda: _check_archive(files, name, listed, progress))
        copied = [clip.verified for clip in clips if not clip.nothing]
        verified = None if None in copied else all(copied)
        return Made(name, file.size_bytes, verified)

    async def _pack(self, making: _Making, archive: Archive, clip: Clip) -> None:
        """Move a clip into the archive. It was a file of its own first: it is verified as one, and a burnt one is not
        written in order.
        """
        progress = making.progress
        if not clip.burnt:
            clip.verified = await progress.run(lambda: _verify(making, _LOOSE_NAME))
        name = clip.name = clip_name(clip.camera_id)

        def add() -> None:
            with _reading(making.files, _LOOSE_NAME) as body:
                archive.add(name, body, progress, self._room)
            making.files.remove(_LOOSE_NAME)

        await progress.run(add)

    async def _clip(
        self, making: _Making, camera_id: CameraId, name: str, share: tuple[float, float]
    ) -> Clip:
        order = making.order
        making.progress.stage = PICTURES
        timeline = await self._playback.timeline(camera_id, order.start_ns, order.end_ns)
        clip = Clip(camera_id, name, gaps=timeline.gaps, burnt=order.burn_in is not None)
        tell = making.progress.part(*share)
        try:
            if order.burn_in is not None:
                await self._burn(making, clip, name, tell)
            else:
                await self._copy(making, clip, name, tell)
        except NothingRecorded as error:
            clip.name, clip.nothing = None, str(error)
        tell(1.0)
        return clip

    async def _copy(self, making: _Making, clip: Clip, name: str, tell: Callable[[float], None]) -> None:
        order, progress = making.order, making.progress
        async with copied_clip(
            self._playback, clip.camera_id, order.start_ns, order.end_ns, exact=order.exact
        ) as export:
            clip.pieces = await pieces_of(
                self._recordings, clip.camera_id, order.start_ns, order.end_ns, export.start_ns
            )
            await progress.run(lambda: self._room.reserve(export.size_bytes))
            file = await progress.run(lambda: making.files.create(name))
            try:
                sink = Sink(file, progress, self._room)
                await copy(export, sink, progress, tell)
                await progress.run(file.finish)
            except BaseException:
                await progress.settle(file.throw_away)
                raise
        clip.size_bytes, clip.sha256 = sink.size_bytes, sink.sha256

    async def _burn(self, making: _Making, clip: Clip, name: str, tell: Callable[[float], None]) -> None:
        order, progress = making.order, making.progress
        zone = ZoneInfo(order.burn_in or "UTC")
        shown = order.start_ns, order.end_ns
        wanted = Wanted(clip.camera_id, *shown, zone, clip.gaps, order.exact)
        burnt = await progress.run(
            lambda: BurntClip(
                making.files.create(name), wanted, progress=progress, tell=tell, room=self._room
            )
        )
        try:
            files = cut_list(self._recordings, clip.camera_id, *shown)
            async with aclosing(files):
                async for cuts in files:
                    try:
                        await progress.run(lambda cuts=cuts: burnt.add(cuts))  # type: ignore[misc]
                    finally:
                        cuts[0].opened.close()
            if not burnt.frames:
                raise await nothing_recorded(self._recordings, clip.camera_id, *shown)
            await progress.run(burnt.finish)
        except BaseException:
            await progress.settle(burnt.abandon)
            raise
        clip.pieces, clip.damaged = burnt.pieces, burnt.damaged
        if burnt.damaged:
            log.warning(
                "an export is without pictures that cannot be decoded",
                camera=clip.camera_id,
                pictures=burnt.damaged,
            )
        clip.size_bytes, clip.sha256 = await progress.run(lambda: _measure(making.files, name, progress))

    def _exact(self, order: ExportOrder) -> bool:
        """Whether clips begin and end at the times themselves."""
        return order.exact and (order.burn_in is not None or can_cut_exactly(self._playback))

    async def _nothing(self, order: ExportOrder) -> NotFound:
        errors = [
            str(await nothing_recorded(self._recordings, camera_id, order.start_ns, order.end_ns))
            for camera_id in order.cameras
        ]
        return NothingRecorded("; ".join(errors))


def _moment(wall_ns: int) -> str:
    """A time as file names have it."""
    return rfc3339(wall_ns)[:19].replace(":", "-") + "Z"


@contextmanager
def _reading(files: ExportFiles, name: str) -> Iterator[Body]:
    """A file of an export as the disk has it. Raises ExportDamaged when it cannot be decrypted, OSError."""
    try:
        with closing(files.open(name)) as body:
            yield body
    except FormatError as error:
        raise ExportDamaged(f"{name} cannot be read back: {error}; check the disk of data_dir") from error


def _measure(files: ExportFiles, name: str, progress: Progress) -> tuple[int, str]:
    with _reading(files, name) as body:
        return measure(body, progress)


def _check_file(files: ExportFiles, name: str, clip: Clip, progress: Progress) -> None:
    """Whether the disk has what was written. Raises ExportDamaged."""
    if _measure(files, name, progress) != (clip.size_bytes, clip.sha256):
        raise ExportDamaged(f"{name} is not on the disk as it was written; check the disk of data_dir")


def _check_archive(
    files: ExportFiles, name: str, listed: Mapping[str, tuple[int, str]], progress: Progress
) -> None:
    with _reading(files, name) as body:
        check_archive(name, body, listed, progress)


def _verify(making: _Making, name: str) -> bool | None:
    with _reading(making.files, name) as body:
        return verify_clip(name, body, making.evidence, making.progress)
