"""The volumes as their keepers see them: the API's Volumes.

Keepers are asked together, at most every two seconds, however many ask here.

Belongs here: asking, and what one word says of a volume. Does not: keepers (vms.storage), HTTP (vms.api).
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from vms.common.clock import NS, Clock
from vms.common.errors import VmsError
from vms.config import VolumeConfig
from vms.storage.alarms import FULL, FULL_OF_PROTECTED, READ_ONLY, VOLUME_FAILED
from vms.storage.keeping import KeeperState, Keeping, TierState

FRESH_NS = 2 * NS
ANSWER_S = 3.0
KEEPER_AWAY = "keeper_away"


@dataclass(frozen=True, slots=True)
class Volume:
    """Implements the API's VolumeStatus."""

    path: str
    id: UUID | None
    state: str
    error: str
    used_bytes: int = 0
    quota_bytes: int = 0
    room_bytes: int = 0
    encrypted: bool = False
    tiers: Sequence[TierState] = ()
    locked_bytes: int = 0
    alarms: Sequence[str] = ()
    found: Mapping[str, int] = field(default_factory=dict)


class KeptVolumes:
    """Implements the API's Volumes. keepers: of the configured volumes, in their order."""

    def __init__(self, volumes: Sequence[VolumeConfig], keepers: Sequence[Keeping], clock: Clock) -> None:
        self._kept = list(zip(volumes, keepers, strict=True))
        self._clock = clock
        self._asking = asyncio.Lock()
        self._known: Sequence[Volume] = ()
        self._asked_ns: int | None = None

    async def volumes(self) -> Sequence[Volume]:
        """Every configured volume; one whose keeper does not answer in time has failed."""
        async with self._asking:
            now_ns = self._clock.monotonic_ns()
            if self._asked_ns is None or now_ns - self._asked_ns >= FRESH_NS:
                self._known = await asyncio.gather(*(_ask(config, keeper) for config, keeper in self._kept))
                self._asked_ns = now_ns
            return self._known


async def _ask(config: VolumeConfig, keeper: Keeping) -> Volume:
    try:
        async with asyncio.timeout(ANSWER_S):
            state = await keeper.state()
    except (VmsError, TimeoutError) as error:
        text = str(error) or f"its keeper did not answer in {ANSWER_S:g} s"
        return Volume(
            str(config.path),
            None,
            "failed",
            text,
            quota_bytes=config.quota,
            encrypted=config.encryption is not None,
            alarms=(KEEPER_AWAY,),
        )
    return Volume(
        path=str(config.path),
        id=state.volume_id,
        state=_word(state),
        error=state.error,
        used_bytes=state.used_bytes,
        quota_bytes=state.quota_bytes,
        room_bytes=state.room_bytes,
        encrypted=state.encrypted,
        tiers=state.tiers,
        locked_bytes=state.locked_bytes,
        alarms=state.alarms,
        found=state.found,
    )


def _word(state: KeeperState) -> str:
    if READ_ONLY in state.alarms:
        return "read_only"
    if VOLUME_FAILED in state.alarms:
        return "failed"
    if FULL in state.alarms or FULL_OF_PROTECTED in state.alarms:
        return "full"
    return "ok" if state.recovered else "starting"
