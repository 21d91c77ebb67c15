"""Stored events reach whoever subscribes, on both carriers: what happens now matters to recorders."""

from tests.bus.nats_process import until

from vms.bus.contract import Bus
from vms.bus.events import Outbox
from vms.common.clock import SystemClock
from vms.proto import event_pb2, subjects


async def test_an_event_from_an_outbox_reaches_plain_subscribers_and_consumers(bus: Bus) -> None:
    heard: list[tuple[str, str]] = []
    stored: list[str] = []

    async def keep(event: event_pb2.Event) -> None:
        stored.append(event.camera_id)

    subscription = bus.subscribe(
        subjects.event("*", "*"),
        lambda subject, data: heard.append((subject, event_pb2.Event.FromString(data).camera_id)),
    )
    bus.events.consume("journal", keep)
    outbox = Outbox(None, bus, SystemClock())
    await outbox.start()
    outbox.emit(event_pb2.Event(kind="motion", camera_id="porch"))
    outbox.emit(event_pb2.Event(kind="worker_started"))
    await until(lambda: len(heard) >= 2 and len(stored) == 2)
    assert ("vms.default.event.motion.porch", "porch") in heard
    assert ("vms.default.event.worker_started._", "") in heard
    subscription.close()
    await outbox.stop()
