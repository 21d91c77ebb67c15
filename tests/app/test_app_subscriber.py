"""What a process that pulls no cameras does when the registry says something else of one."""

from pathlib import Path

from vms.app.places import Places
from vms.app.subscriber import Subscriber
from vms.bus.memory import MemoryBus
from vms.common.clock import SystemClock
from vms.common.ids import CameraId
from vms.proto.camera_pb2 import CameraSpec

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
