"""Delete what is too old, and what there is no room for.

Nothing locked goes, ever. Age and its maximum go by each camera's rule, in every tier. For room the oldest goes: of a
camera that has more than its size, of a tier beyond its quota, of a volume beyond its quota or its file system's floor;
where there are tiers, a full volume moves its oldest first and deletes what moving cannot keep up with. What is younger
than its camera's minimum does not go for room.

Belongs here: how much goes, and why. Does not: which recordings (selection), in which order of steps (deletion), moving
(tiers), when it is looked at (keeper).
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from vms.common.clock import NS, Clock
from vms.common.ids import CameraId
from vms.storage import deletion
from vms.storage.catalog import ON_VOLUME, Catalog
from vms.storage.errors import StorageError
from vms.storage.kept_volume import KeptVolume
from vms.storage.retention_rule import RetentionRule
from vms.storage.segment import Segment
from vms.storage.selection import Selection, Swept
from vms.telemetry.logs import get_logger

HEADROOM_SHARE = (
    100  # a full volume is brought this part of its quota below it, so that it is not full at once
)
CLOCK_STEP_NS = 3600 * NS
CLOCK_HOLD_NS = 24 * 3600 * NS
MOVE_PATIENCE_S = 5.0  # on a full volume; then recordings are deleted instead
SPELL_S = 4.0
"""So long footage is deleted for age and size in one go: where that are millions, room is made in between."""
SWEEP_NS = 3600 * NS
"""So often footage that was passed over is looked at again: rows of long ago may have come meanwhile."""

log = get_logger(__name__)


class MakeRoom(Protocol):
    """What is needed of a mover (vms.storage.tiers)."""

    async def make_room(self, size_bytes: int, within_s: float) -> int:
        """Move the oldest off the volume, whatever its age; gives the bytes that this freed.

        What takes longer than `within_s` goes on. Raises StorageError.
        """


class Retention:
    """The retention of one volume; how a camera's footage is kept, its catalog remembers.

    mover: moves recordings to tiers; None where there are none.
    full_of_protected: there is no room, and all that is left is locked or younger than its minimum.
    unfinished: more has to go than `enforce` took the time for; what else there is to do on the volume comes first.
    Counters: expired and displaced (segments deleted for age, for room), deleted_bytes.
    """

    def __init__(self, volume: KeptVolume, clock: Clock) -> None:
        self.expired = 0
        self.displaced = 0
        self.deleted_bytes = 0
        self.full_of_protected = False
        self.unfinished = False
        self.mover: MakeRoom | None = None
        self._volume = volume
        self._clock = clock
        self._wall_minus_monotonic_ns = clock.wall_ns() - clock.monotonic_ns()
        self._hold_until_ns = 0
        self._held_step_ns = 0
        self._short_told = False
        self._nothing_told = False
        self._swept = Swept()
        self._sweep_at_ns = 0
        self._until_s = 0.0

    def rules_changed(self) -> None:
        """Rules, locks, or footage of long ago are others than before: all of it is looked at again."""
        self._swept.forget()

    async def enforce(self) -> None:
        """Bring the volume within its rules. Raises StorageError."""
        if await self._room_bytes() <= 0:
            await self.make_room()  # first: on a full disk the catalog cannot be written either
        self.unfinished = False
        self._until_s = time.monotonic() + SPELL_S
        trusted = self._clock_is_trusted()
        rules = await self._rules()
        if trusted:
            await self._expire(rules)
        await self._keep_sizes(rules)
        await self._keep_tiers(rules)
        await self._move(2 * self._headroom_bytes, 0.0)  # early, so that nothing has to be deleted
        await self.make_room()

    # -- age ------------------------------------------------------------------------------------------

    async def _expire(self, rules: Mapping[CameraId, RetentionRule | None]) -> None:
        now_ns = self._clock.wall_ns()
        if self._clock.monotonic_ns() >= self._sweep_at_ns:
            self._sweep_at_ns = self._clock.monotonic_ns() + SWEEP_NS
            self._swept.forget()
        for camera_id, rule in rules.items():
            if rule is not None and not self.unfinished:
                await self._expire_camera(camera_id, rule, now_ns)

    async def _expire_camera(self, camera_id: CameraId, rule: RetentionRule, now_ns: int) -> None:
        def choose(catalog: Catalog) -> list[Segment]:
            return self._selection(catalog, now_ns).expired(camera_id, rule, self._swept)

        catalog = self._volume.catalog
        while segments := await catalog.run(choose):
            self.expired += await self._delete(segments)
            if self._spell_is_over():
                return
        forget_ns = now_ns - max(rule.age_ns, rule.event_age_ns)
        locked_ns = self._volume.locks.times.first(camera_id)
        if locked_ns is not None:  # why there are holes in it, and what happened in it, is evidence as well
            forget_ns = min(forget_ns, locked_ns)
        await catalog.run(lambda each: each.remove_notes(camera_id, forget_ns))

    # -- room -----------------------------------------------------------------------------------------

    async def make_room(self) -> None:
        """Move or delete the oldest for what is beyond the quota, or missing to the free-space floor. Raises StorageError."""
        excess = await self._excess_bytes()
        if excess <= 0:
            self.full_of_protected = False
            return
        if self._volume.room_bytes <= 0 and not self._short_told:
            self._short_told = True  # once: where the disk is smaller than the quota, this goes on for ever
            log.warning("the disk is nearly full; the oldest recordings go", path=str(self._volume.path))
        await self._move(self._headroom_bytes, MOVE_PATIENCE_S)
        excess = await self._excess_bytes()
        if excess <= 0:
            self.full_of_protected = False
            return
        rules = await self._rules()
        excess += self._headroom_bytes
        freed = await self._displace(ON_VOLUME, rules, excess)
        self.full_of_protected = freed < excess and await self._excess_bytes() > 0 and await self._holds_any()
        if not freed and not self._nothing_told:
            log.warning("a volume is full, and no recording can go", path=str(self._volume.path))
        self._nothing_told = not freed

    async def _move(self, headroom_bytes: int, within_s: float) -> None:
        """Have the oldest moved to a tier, so that there is headroom."""
        if self.mover is None or self._volume.error is not None:
            return
        excess = await self._excess_bytes() + headroom_bytes
        if excess > 0:
            try:
                await self.mover.make_room(excess, within_s)
            except StorageError as error:  # recordings can be deleted all the same
                log.warning("moving for room failed", path=str(self._volume.path), reason=str(error))

    async def _keep_sizes(self, rules: Mapping[CameraId, RetentionRule | None]) -> None:
        """Delete the oldest of cameras that have more than their size."""
        now_ns = self._trusted_wall_ns()
        for camera_id, rule in rules.items():
            if rule is not None and rule.size_bytes is not None and not self.unfinished:
                await self._keep_size(camera_id, rule, rule.size_bytes, now_ns)

    async def _keep_size(
        self, camera_id: CameraId, rule: RetentionRule, most_bytes: int, now_ns: int
    ) -> None:
        def choose(catalog: Catalog) -> list[Segment]:
            excess = catalog.camera_bytes(camera_id) - most_bytes
            return self._selection(catalog, now_ns).of_camera(camera_id, rule, excess)

        while segments := await self._volume.catalog.run(choose):
            self.displaced += await self._delete(segments)
            if self._spell_is_over():
                return

    async def _keep_tiers(self, rules: Mapping[CameraId, RetentionRule | None]) -> None:
        """Delete the oldest of tiers that hold more than their quota; a next tier took what it could (tiers)."""
        if not self._volume.tier_quotas:
            return
        held = await self._volume.catalog.run(lambda each: each.tier_bytes())
        for tier, quota_bytes in self._volume.tier_quotas.items():
            excess = held.get(tier, 0) - quota_bytes
            if excess > 0:
                await self._displace(tier, rules, excess + quota_bytes // HEADROOM_SHARE)

    async def _displace(self, tier: str, rules: Mapping[CameraId, RetentionRule | None], excess: int) -> int:
        """Delete the oldest in a tier; gives the bytes, fewer than `excess` when nothing else may go."""
        now_ns = self._trusted_wall_ns()
        freed = 0

        def choose(catalog: Catalog) -> list[Segment]:
            return self._selection(catalog, now_ns).for_room(tier, rules, excess - freed)

        while freed < excess and (segments := await self._volume.catalog.run(choose)):
            before = self.deleted_bytes
            self.displaced += await self._delete(segments)
            freed += self.deleted_bytes - before
        return freed

    async def _delete(self, segments: Sequence[Segment]) -> int:
        gone = await deletion.delete(self._volume, segments)
        self.deleted_bytes += sum(segment.size_bytes for segment in gone)
        return len(gone)

    def _spell_is_over(self) -> bool:
        self.unfinished = time.monotonic() > self._until_s
        return self.unfinished

    def _selection(self, catalog: Catalog, now_ns: int) -> Selection:
        return Selection(catalog, self._volume.locks.times, now_ns)

    async def _rules(self) -> Mapping[CameraId, RetentionRule | None]:
        return await self._volume.catalog.run(lambda each: each.retentions())

    async def _holds_any(self) -> bool:
        return bool(await self._volume.catalog.run(lambda each: each.oldest(1)))

    @property
    def _headroom_bytes(self) -> int:
        return self._volume.quota_bytes // HEADROOM_SHARE

    async def _excess_bytes(self) -> int:
        """How much has to go: beyond the quota, or to have the free-space floor back."""
        room_bytes = await self._room_bytes()
        return max(self._volume.used_bytes - self._volume.quota_bytes, -room_bytes)

    async def _room_bytes(self) -> int:
        volume = self._volume
        volume.room_bytes = await asyncio.to_thread(volume.free_bytes)
        return volume.room_bytes

    # -- the clock ------------------------------------------------------------------------------------

    def _clock_is_trusted(self) -> bool:
        """False for a day after the wall clock was set far forward: it may be wrong, footage would be gone.

        That holds for maximum ages as well: what is deleted a day late can be explained, what is deleted cannot be had
        back.
        """
        now_ns = self._clock.monotonic_ns()
        offset_ns = self._clock.wall_ns() - now_ns
        step_ns = offset_ns - self._wall_minus_monotonic_ns
        if step_ns > CLOCK_STEP_NS:
            self._hold_until_ns = now_ns + CLOCK_HOLD_NS
            self._held_step_ns += step_ns
            log.warning(
                "the clock was set forward by more than an hour; nothing is deleted for its age for a day",
                step_s=step_ns // NS,
            )
        elif step_ns < -CLOCK_STEP_NS and self._held_step_ns:  # it was wrong, and is corrected
            self._held_step_ns = max(0, self._held_step_ns + step_ns)
            if self._held_step_ns <= CLOCK_STEP_NS:
                self._hold_until_ns = now_ns
        self._wall_minus_monotonic_ns = offset_ns
        if now_ns >= self._hold_until_ns:
            self._held_step_ns = 0
        return now_ns >= self._hold_until_ns

    def _trusted_wall_ns(self) -> int:
        """The time by which minimum ages are told: without a step of the clock that is not believed yet."""
        return self._clock.wall_ns() - self._held_step_ns
