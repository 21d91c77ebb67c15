"""Events of the bus as what makes recordings: a plain subscription, for what matters is that they come soon.

Whoever tells an event keeps it until the bus has it, and the bus keeps it for the journal; here each is heard once or
twice, or, while this process has no bus, not at all. Then cameras that are recorded around events are recorded all the time.

Belongs here: hearing events, and knowing when they are not heard. Does not: what follows (recording).
"""

import asyncio
from typing import Protocol

from google.protobuf.message import DecodeError

from vms.bus.contract import Bus, Subscription
from vms.common.errors import InvalidInput
from vms.common.ids import CameraId, camera_id
from vms.proto import event_pb2, subjects
from vms.telemetry.logs import get_logger

DEAF_AFTER_S = 2.0  # what happens before that is in memory when it is noticed (camera_recorder.LATE_NS)
LOOK_S = 0.5

log = get_logger(__name__)


class Triggered(Protocol):
    """What is told of events; the recording service."""

    def event(self, camera_id: CameraId, at_ns: int, kind: str) -> None: ...
    def hear(self, heard: bool) -> None: ...
    def events_missed(self) -> None: ...


class EventTriggers:
    """From `start` to `stop`. Counters: heard, unreadable."""

    def __init__(self, bus: Bus, triggered: Triggered, *, site: str = subjects.SITE) -> None:
        self.heard = 0
        self.unreadable = 0
        self._bus = bus
        self._triggered = triggered
        self._subject = subjects.event("*", "*", site)
        self._subscription: Subscription | None = None
        self._was_connected = False
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen, whenever the bus is there."""
        self._subscription = self._bus.subscribe(self._subject, self._hear)
        self._bus.on_connect(self._connected)
        self._watching = asyncio.create_task(self._watch(), name="whether events are heard")

    async def stop(self) -> None:
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
            self._watching = None

    def _hear(self, subject: str, data: bytes) -> None:
        try:
            event = event_pb2.Event.FromString(data)
            camera = camera_id(event.camera_id) if event.camera_id else None
        except (DecodeError, ValueError, InvalidInput):
            self.unreadable += 1
            log.warning("an event that cannot be read", subject=subject)
            return
        if camera is not None:
            self.heard += 1
            self._triggered.event(camera, event.at_ns, event.kind)

    def _connected(self) -> None:
        if self._was_connected:  # what was told between the two connections did not come here
            self._triggered.events_missed()
        self._was_connected = True

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        last_s = loop.time()
        while True:
            await asyncio.sleep(LOOK_S)
            if self._bus.connected:
                last_s = loop.time()
            self._triggered.hear(loop.time() - last_s < DEAF_AFTER_S)
