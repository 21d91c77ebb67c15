"""The volumes as the API is told of them."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest

from vms.app import volumes as module
from vms.app.volumes import KeptVolumes
from vms.common.clock import ManualClock
from vms.config import VolumeConfig
from vms.storage.errors import KeeperAway
from vms.storage.keeping import KeeperState, Keeping, TierState


class Keeper:
    """Says how its volume is, unless it is away or hangs."""

    def __init__(self, alarms: Sequence[str] = (), *, recovered: bool = True, error: str = "") -> None:
        self.alarms = tuple(alarms)
        self.recovered = recovered
        self.error = error
        self.asked = 0
        self.failure: Exception | None = None
        self.answering = asyncio.Event()
        self.answering.set()

    async def state(self) -> KeeperState:
        self.asked += 1
        await self.answering.wait()
        if self.failure is not None:
            raise self.failure
        return KeeperState(
            path="/as/the/keeper/sees/it",
            volume_id=uuid4(),
            error=self.error,
            used_bytes=1,
            quota_bytes=2,
            room_bytes=3,
            recovered=self.recovered,
            encrypted=True,
            tiers=(TierState("cold", "s3", 4, 5, "no answer"),),
            locked_bytes=6,
            found={"repaired": 7},
            alarms=self.alarms,
        )


def kept(clock: ManualClock, *keepers: Keeper) -> KeptVolumes:
    configs = [VolumeConfig(path=Path(f"/v{number}")) for number in range(len(keepers))]
    return KeptVolumes(configs, cast(Sequence[Keeping], keepers), clock)


@pytest.mark.parametrize(
    ("keeper", "state"),
    [
        (Keeper(), "ok"),
        (Keeper(recovered=False), "starting"),
        (Keeper(["tier_unreachable"]), "ok"),
        (Keeper(["full_of_protected"]), "full"),
        (Keeper(["full"], error="no space"), "full"),
        (Keeper(["read_only"], error="read-only file system"), "read_only"),
        (Keeper(["volume_failed", "full_of_protected"], error="I/O error"), "failed"),
        (Keeper(["volume_failed"], error="I/O error"), "failed"),
    ],
)
async def test_one_word_says_how_a_volume_is(keeper: Keeper, state: str) -> None:
    (volume,) = await kept(ManualClock(), keeper).volumes()
    assert volume.state == state
    assert (volume.path, volume.error, list(volume.alarms)) == ("/v0", keeper.error, list(keeper.alarms))
    assert (volume.used_bytes, volume.quota_bytes, volume.room_bytes, volume.locked_bytes) == (1, 2, 3, 6)
    assert [tier.error for tier in volume.tiers] == ["no answer"]


async def test_keepers_are_asked_once_in_two_seconds_however_many_ask_here() -> None:
    clock, keeper = ManualClock(), Keeper()
    volumes = kept(clock, keeper)
    keeper.answering.clear()
    asking = [asyncio.create_task(volumes.volumes()) for _ in range(5)]
    await asyncio.sleep(0)
    keeper.answering.set()
    answers = await asyncio.gather(*asking)
    assert all(answer == answers[0] for answer in answers)
    assert keeper.asked == 1
    clock.advance(1.9)
    await volumes.volumes()
    assert keeper.asked == 1
    clock.advance(0.2)
    await volumes.volumes()
    assert keeper.asked == 2


async def test_a_keeper_that_is_away_or_hangs_leaves_the_others_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.5)
    away, hanging, well = Keeper(), Keeper(), Keeper()
    away.failure = KeeperAway("keeper keeper-0 does not answer")
    hanging.answering.clear()
    found = await kept(ManualClock(), away, hanging, well).volumes()
    assert [volume.state for volume in found] == ["failed", "failed", "ok"]
    assert [list(volume.alarms) for volume in found] == [["keeper_away"], ["keeper_away"], []]
    assert found[0].error == "keeper keeper-0 does not answer"
    assert "did not answer" in found[1].error
