"""What a process that pulls no cameras does when the registry says something else of one."""

import asyncio
from pathlib import Path

from vms.app.places import Places
from vms.app.subscriber import Subscriber
from vms.bus.memory import MemoryBus
from vms.common.clock import SystemClock
from vms.common.ids import CameraId
from vms.proto.camera_pb2 import CameraSpec, RegistryComplete

PORCH = CameraId("porch")


def test_a_camera_that_is_gone_and_one_whose_sub_stream_is_gone_are_told_apart(tmp_path: Path) -> None:
    subscriber = Subscriber(Places(tmp_path), MemoryBus(), SystemClock())
    told: list[tuple[str, CameraId]] = []
    subscriber.on_removed = lambda camera_id: told.append(("removed", camera_id))
    subscriber.on_no_sub = lambda camera_id: told.append(("no sub", camera_id))
    known = {"site": "default", "id": PORCH, "node": "here", "worker": "media-0"}

    for revision, more in enumerate(
        ({"sealed_sub_source": b"sealed"}, {}, {"deleted": True, "worker": ""}), 1
    ):
        assert subscriber.registry._replica.offer(CameraSpec(**{**known, **more}, revision=revision))  # type: ignore[arg-type]
        subscriber.registry.on_change(PORCH)

    assert told == [("no sub", PORCH), ("removed", PORCH)]


async def test_who_waits_for_the_registry_goes_on_once_it_was_read_or_nobody_tells_it(tmp_path: Path) -> None:
    registry = Subscriber(Places(tmp_path), MemoryBus(), SystemClock()).registry
    assert not await registry.wait_loaded(0.05)

    waiting = asyncio.create_task(registry.wait_loaded(60))
    await asyncio.sleep(0)
    assert not waiting.done()
    registry._replica.complete(RegistryComplete(revision=1, cameras={}))
    assert await asyncio.wait_for(waiting, 30)
