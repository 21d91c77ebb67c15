"""Whatever is recorded, killed, moved, locked, released, deleted, lost and repaired: what was promised holds.

Nothing locked is gone. Nothing that the catalog has is missing, wherever it is. Every file is accounted for.
"""

import asyncio
import shutil
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.storage.scripted_camera import ScriptedCamera, camera, written

from vms.common.camera import RetentionLimits
from vms.common.clock import NS, ManualClock
from vms.common.evidence_lock import EvidenceLock
from vms.common.ids import CameraId
from vms.config import EncryptionConfig, TierConfig, VolumeConfig
from vms.storage.catalog import Catalog
from vms.storage.findings import Level
from vms.storage.fsck_files import Contents
from vms.storage.fsck_repair import VolumeRepairer
from vms.storage.identity import KnownVolumes, read_identity
from vms.storage.keeping import EventRange
from vms.storage.kept_volume import KeptVolume
from vms.storage.layout import ASIDE_SUFFIXES, CATALOG_NAME, is_recording_name
from vms.storage.segment import Segment
from vms.storage.service import StorageService
from vms.storage.tiers import open_tiers

NAMES = ("porch", "yard")
ALL = (0, 1 << 62)
SYSTEM = "here"
STEPS = st.one_of(
    st.tuples(st.just("play"), st.sampled_from(NAMES), st.floats(0.5, 5)),
    st.tuples(st.just("play"), st.sampled_from(NAMES), st.floats(0.5, 5)),
    st.tuples(st.just("disconnect"), st.sampled_from(NAMES), st.floats(0, 3)),
    st.tuples(st.just("expire"), st.sampled_from(NAMES), st.floats(1, 20)),
    st.tuples(st.just("lock"), st.sampled_from(NAMES), st.floats(0, 15)),
    st.tuples(st.just("event"), st.sampled_from(NAMES), st.floats(0, 15)),
    st.tuples(st.just("minimum"), st.sampled_from(NAMES), st.floats(1, 30)),
    st.tuples(st.just("release"), st.none(), st.none()),
    st.tuples(st.just("move"), st.none(), st.floats(0, 15)),
    st.tuples(st.just("kill"), st.none(), st.one_of(st.none(), st.floats(0, 1))),
    st.tuples(st.just("lose catalog"), st.none(), st.booleans()),
    st.tuples(st.just("fsck"), st.none(), st.none()),
)


def _shows_event(segment: Segment, catalog: Catalog) -> bool:
    return catalog.has_event(segment.camera_id, segment.start_ns, segment.end_ns)


class World:
    """A system with a volume and a tier, and what the test knows of both."""

    def __init__(self, directory: Path, *, encrypted: bool = False) -> None:
        self._encryption = None
        if encrypted:
            key = directory / "key"
            key.write_text("ab" * 32)
            key.chmod(0o600)
            self._encryption = EncryptionConfig(key_file=key)
        self._directory = directory
        self._runs = 0
        self.root = directory / "run-0"
        self.root.mkdir()
        self.clock = ManualClock(time.time_ns() // NS * NS)
        self.locks: list[EvidenceLock] = []
        self.revision = 0
        self.promised: dict[UUID, set[UUID]] = {}  # by lock: the recordings that it covered when it was made

    @property
    def config(self) -> VolumeConfig:
        # model_construct: below the least quotas that a configuration allows, so that they are reached
        tier = TierConfig.model_construct(name="shelf", path=self.root / "shelf", after=8.0, quota=400_000)
        return VolumeConfig.model_construct(
            path=self.root / "volume", quota=250_000, tiers=(tier,), encryption=self._encryption
        )

    async def begin(self) -> None:
        self.service = StorageService([self.config], 3.0, self.clock, system_id=SYSTEM)
        await self.service.start()
        await self.service.recovered()
        self.keeper = self.service._keepers[0]
        while not self.keeper._scanned:  # tiers come after the volume's own files
            await asyncio.sleep(0)
        await self.keeper.look()  # begins to look for recordings in the tier when the catalog is new
        assert self.keeper.adoption is not None
        await self.keeper.adoption.settled()
        # From now on it looks when the test says so: a copy of its disks is that of one moment
        assert self.keeper._task is not None
        self.keeper._task.cancel()
        await self._moves_end()
        self.cameras = {name: ScriptedCamera(self.clock, name) for name in NAMES}

    async def do(self, what: str, name: str | None, amount: float | bool | None) -> None:
        match what:
            case "play" | "disconnect" | "expire" | "lock" | "event" | "minimum":
                assert name is not None
                await self._do_to(what, name, float(amount or 0))
            case "release":
                await self._release()
            case "move":
                self.clock.advance(float(amount or 0))
                await self._move()
            case "kill":
                await self._kill(amount)
            case "lose catalog":
                await self._lose_catalog(by_fsck=bool(amount))
            case "fsck":
                await self.service.stop()
                await asyncio.to_thread(self._repair)
                await self.begin()

    async def _do_to(self, what: str, name: str, amount: float) -> None:
        scripted = self.cameras[name]
        match what:
            case "play":
                self.service.record(scripted.camera, scripted.hub)
                scripted.play(amount)
            case "disconnect":
                scripted.disconnect()
                scripted.reconnect(amount)
            case "expire":
                await self._expire(name, amount)
            case "event":
                at_ns = self.clock.wall_ns() - round(amount * NS)
                event = EventRange(CameraId(name), at_ns - NS, at_ns + NS, "motion")
                await self.keeper.put_event_ranges([event])
            case "minimum":
                self._keep(name, 1.0, RetentionLimits(minimum=amount))
                await written(self.service)
                young = {each.id for each in await self._closed(name, amount)}
                await self.keeper.retention.enforce()
                assert young <= {each.id for each in await self._closed(name)}, "deleted before its time"
            case "lock":
                await self._lock(name, amount)

    def _keep(self, name: str, retention_s: float, limits: RetentionLimits) -> None:
        self.service.keep(camera(name).model_copy(update={"retention": retention_s, "limits": limits}))

    async def _closed(self, name: str, seconds: float = 1e9) -> list[Segment]:
        """Recordings that have ended, not longer ago than told."""
        since_ns = self.clock.wall_ns() - round(seconds * NS)
        found = await self.service.segments(CameraId(name), *ALL)
        return [segment for segment in found if segment.closed and segment.end_ns >= since_ns]

    async def _expire(self, name: str, age_s: float) -> None:
        """Footage goes after an age, that of events after twice and none after three times as long."""
        self._keep(name, age_s, RetentionLimits(events=2 * age_s, maximum=3 * age_s))
        await written(self.service)
        catalog, times = self.keeper.volume.catalog, self.keeper.volume.locks.times
        plain = {each.id for each in await self._closed(name, age_s)}
        of_events = {
            each.id
            for each in await self._closed(name, 2 * age_s)
            if await catalog.run(partial(_shows_event, each))
        }
        displaced = self.keeper.retention.displaced
        await self.keeper.retention.enforce()
        left = await self._closed(name)
        if self.keeper.retention.displaced == displaced:
            assert plain | of_events <= {each.id for each in left}, "deleted before its time"
        young = {each.id for each in await self._closed(name, 3 * age_s)}
        late = [each for each in left if each.id not in young and not times.protects(each)]
        assert not late, "kept for longer than its maximum"

    async def _lock(self, name: str, seconds: float) -> None:
        await written(self.service)
        now_ns = self.clock.wall_ns()
        lock = EvidenceLock(
            uuid4(), CameraId(name), now_ns - round((seconds + 1) * NS), now_ns, "theft", "guard", now_ns
        )
        self.locks.append(lock)
        self.revision += 1
        await self.keeper.put_locks(self.locks, self.revision)
        found = await self.service.segments(lock.camera_id, lock.start_ns, lock.end_ns)
        self.promised[lock.id] = {segment.id for segment in found if segment.closed}

    async def _release(self) -> None:
        if self.locks:
            released = self.locks.pop(0)
            self.promised.pop(released.id)
            self.revision += 1
            await self.keeper.put_locks(self.locks, self.revision)

    async def _move(self) -> None:
        await written(self.service)
        assert self.keeper.mover is not None
        await self.keeper.mover.settled()
        await self.keeper.retention.enforce()
        await self.keeper.mover.settled()

    async def _moves_end(self) -> None:
        mover = self.keeper.mover
        assert mover is not None
        room = (
            mover._room.task if mover._room is not None else None
        )  # begun by retention, which did not wait for it
        for task in (mover._work, room):
            if task is not None:
                await task

    async def _kill(self, torn: float | bool | None) -> None:
        """The disks as they are at this moment go on; the newest open file may be torn further."""
        await written(self.service)
        await self._moves_end()  # or the copy below is of two moments
        self._runs += 1
        before, self.root = self.root, self._directory / f"run-{self._runs}"
        shutil.copytree(before, self.root)
        live = [each.path.relative_to(before) for each in self.service._recording._live() if each.created]
        if torn is not None and live:
            with (self.root / live[-1]).open("r+b") as file:
                file.truncate(int((self.root / live[-1]).stat().st_size * torn))
        await self.service.stop()
        self.clock.advance(10)
        await self.begin()

    async def _lose_catalog(self, *, by_fsck: bool) -> None:
        await self.service.stop()
        for path in (self.root / "volume").glob(f"{CATALOG_NAME}*"):
            path.unlink()
        if by_fsck:
            await asyncio.to_thread(self._repair)
        await self.begin()

    def _repair(self) -> None:
        config = self.config
        volume_id = read_identity(config.path)
        assert volume_id is not None
        kept = KeptVolume(config, self.clock, KnownVolumes(None), SYSTEM)
        kept.open()
        tiers = open_tiers(config, volume_id)
        contents = Contents(config.path, kept.keyring, tiers)
        repairer = VolumeRepairer(kept, contents, level=Level.STRUCTURE)
        try:
            lasting = [each for each, done in repairer.repair() if each.is_fault and not done]
        finally:
            repairer.close()
            kept.close()
            for tier in tiers.values():
                tier.close()
        assert lasting == []

    # -- what must hold -----------------------------------------------------------------------------------

    async def check(self) -> None:
        await written(self.service)
        segments = [one for name in NAMES for one in await self.service.segments(CameraId(name), *ALL)]
        for segment in segments:
            with await self.service.open(segment.id) as opened:
                assert opened.file.identity.segment_id == segment.id
                assert opened.file.closed == segment.closed
        here = {segment.id for segment in segments}
        for lock in self.locks:
            gone = self.promised[lock.id] - here
            assert not gone, f"locked and gone: {gone}"
        await self._check_files(segments)

    async def _check_files(self, segments: list[Segment]) -> None:
        """Every recording file is known, once what was begun with it is done."""
        live = {each.path for each in self.service._recording._live()}
        shelf = self.root / "shelf"

        def strays() -> set[Path]:
            found = (path for path in (self.root / "volume").rglob("*/*/*") if path.is_file())
            files = {path for path in found if not path.name.endswith(ASIDE_SUFFIXES)}
            known = {segment.path for segment in segments if not segment.tier} | live
            stored = {path for path in shelf.rglob("*.mp4") if is_recording_name("/".join(path.parts[-3:]))}
            shelved = {
                shelf / str(self.keeper.volume.id) / segment.path.relative_to(self.root / "volume")
                for segment in segments
                if segment.tier
            }
            assert known <= files | live, "in the catalog and not on the disk"
            assert shelved <= stored, "in the catalog and not in the tier"
            return (files - known) | (stored - shelved)

        if strays():
            assert self.keeper.mover is not None
            await self.keeper.mover.settled()  # removes what is left of moves
            segments[:] = [one for name in NAMES for one in await self.service.segments(CameraId(name), *ALL)]
        assert not strays(), "a file that nobody knows"


FULL = [("play", "porch", 5.0), ("play", "yard", 5.0), ("play", "porch", 5.0)]
SHELVED = [*FULL, ("lock", "porch", 15.0), ("move", None, 15.0)]


@settings(max_examples=15, deadline=None)
@example([*SHELVED, ("lose catalog", None, False), ("play", "porch", 3.0)], False)
@example([*SHELVED, ("lose catalog", None, True), ("expire", "porch", 1.0)], False)
@example([*SHELVED, ("play", "porch", 4.0), ("kill", None, 0.5), ("fsck", None, None)], True)
@example([*FULL, ("lock", "porch", 15.0), ("expire", "porch", 1.0), ("kill", None, None)], False)
@example([*SHELVED, ("expire", "porch", 1.0), ("release", None, None), ("expire", "porch", 1.0)], True)
@given(st.lists(STEPS, min_size=4, max_size=14).map(lambda steps: [*FULL, *steps]), st.booleans())
def test_what_was_promised_holds_after_any_history(
    script: list[tuple[str, str | None, float | bool | None]], encrypted: bool
) -> None:
    async def run(directory: Path) -> None:
        world = World(directory, encrypted=encrypted)
        await world.begin()
        try:
            for what, name, amount in script:
                await world.do(what, name, amount)
                await world.check()
        finally:
            await world.service.stop()

    with TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory)))
