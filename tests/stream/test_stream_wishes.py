"""Wishes of viewers: one at a time, the newest, and whatever becomes of it is told once."""

import asyncio
from dataclasses import dataclass, field

import pytest

from vms.common.errors import Unavailable, VmsError
from vms.common.ids import CameraId
from vms.stream.wishes import Wishes


@dataclass(eq=False)
class Viewer:
    camera_id: CameraId = CameraId("porch")  # noqa: RUF009 - a string
    told: list[str] = field(default_factory=list)


class Met:
    """Wishes that can be met when the test says so."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.gates: dict[str, asyncio.Future[None]] = {}

    async def __call__(self, name: str) -> None:
        self.begun.append(name)
        self.gates[name] = asyncio.get_running_loop().create_future()
        await self.gates[name]
        self.ended.append(name)


@pytest.fixture
def wishes() -> Wishes[Viewer]:
    def refused(viewer: Viewer, error: VmsError) -> None:
        viewer.told.append(f"refused: {error}")

    return Wishes(
        refused, lambda viewer: viewer.told.append("failed"), lambda viewer: viewer.told.append("over")
    )


async def until_begun(met: Met, name: str) -> None:
    async with asyncio.timeout(20):
        while name not in met.begun:
            await asyncio.sleep(0)


async def until_over(wishes: Wishes[Viewer], viewer: Viewer) -> None:
    async with asyncio.timeout(20):
        while viewer in wishes:
            await asyncio.sleep(0)


async def test_a_wish_that_is_met_is_over(wishes: Wishes[Viewer]) -> None:
    viewer, met = Viewer(), Met()
    wishes.begin(viewer, lambda: met("sub"))
    assert viewer in wishes
    await until_begun(met, "sub")
    met.gates["sub"].set_result(None)
    await until_over(wishes, viewer)
    assert (met.ended, viewer.told) == (["sub"], ["over"])


async def test_a_later_wish_ends_the_one_before_and_goes_on_itself(wishes: Wishes[Viewer]) -> None:
    viewer, met = Viewer(), Met()
    wishes.begin(viewer, lambda: met("sub"))
    await until_begun(met, "sub")
    wishes.begin(viewer, lambda: met("main"))
    assert viewer.told == ["over"]
    await until_begun(met, "main")
    assert met.gates["sub"].cancelled()
    met.gates["main"].set_result(None)
    await until_over(wishes, viewer)
    assert (met.ended, viewer.told) == (["main"], ["over", "over"])


async def test_a_wish_that_was_replaced_before_it_began_does_nothing(wishes: Wishes[Viewer]) -> None:
    viewer, met = Viewer(), Met()
    wishes.begin(viewer, lambda: met("sub"))
    wishes.begin(viewer, lambda: met("main"))
    await until_begun(met, "main")
    assert met.begun == ["main"]
    wishes.cancel(viewer)


async def test_viewers_do_not_end_each_others_wishes(wishes: Wishes[Viewer]) -> None:
    first, second, met = Viewer(), Viewer(), Met()
    wishes.begin(first, lambda: met("first"))
    wishes.begin(second, lambda: met("second"))
    await until_begun(met, "second")
    wishes.cancel(first)
    met.gates["second"].set_result(None)
    await until_over(wishes, second)
    assert (met.ended, first.told, second.told) == (["second"], ["over"], ["over"])


async def test_a_wish_that_cannot_be_met_is_told_with_the_reason(wishes: Wishes[Viewer]) -> None:
    viewer = Viewer()

    async def refuse() -> None:
        raise Unavailable("it is not live")

    wishes.begin(viewer, refuse)
    await until_over(wishes, viewer)
    assert viewer.told == ["refused: it is not live", "over"]


async def test_a_fault_is_told_and_the_next_wish_is_met(wishes: Wishes[Viewer]) -> None:
    viewer, met = Viewer(), Met()

    async def fail() -> None:
        raise ValueError("a fault of ours")

    wishes.begin(viewer, fail)
    await until_over(wishes, viewer)
    wishes.begin(viewer, lambda: met("main"))
    await until_begun(met, "main")
    met.gates["main"].set_result(None)
    await until_over(wishes, viewer)
    assert viewer.told == ["failed", "over", "over"]


async def test_cancelling_twice_or_with_nothing_under_way_tells_nothing_more(wishes: Wishes[Viewer]) -> None:
    viewer, met = Viewer(), Met()
    wishes.cancel(viewer)
    wishes.begin(viewer, lambda: met("sub"))
    await until_begun(met, "sub")
    wishes.cancel(viewer)
    wishes.cancel(viewer)
    await asyncio.sleep(0)
    assert (viewer.told, viewer in wishes) == (["over"], False)
