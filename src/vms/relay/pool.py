"""The hubs of other processes, one subscription a stream of a camera, while somebody in this process wants them.

Belongs here: leases, and when a subscription ends. Does not: sessions (subscription).
"""

import asyncio
from collections.abc import Iterable, Sequence

from vms.common.clock import Clock
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.media import Hub
from vms.relay.metrics import counter, gauge
from vms.relay.subscription import Locate, Subscription
from vms.telemetry.metrics import MetricFamily

_COUNTERS = {
    "sessions": "sessions with the processes that have the cameras",
    "failures": "sessions that ended or could not be made",
    "crashes": "sessions ended by an internal error",
    "units": "access units received",
    "gaps": "gaps told to consumers",
    "units_broken": "units that came without what belongs to them",
}


_Key = tuple[CameraId, StreamName]


class Lease:
    """The right to the hub of a camera's stream. Implements `HubLease`."""

    def __init__(self, pool: "RelayPool", subscription: Subscription) -> None:
        self._pool = pool
        self._subscription: Subscription = subscription
        self._held = True

    @property
    def hub(self) -> Hub:
        """The same object while any lease on the stream is held."""
        return self._subscription.hub

    async def ready(self, timeout_s: float) -> None:
        """Wait until media can come: the tracks are known. Raises Unavailable with the reason."""
        await self._subscription.ready(timeout_s)

    def release(self) -> None:
        """Give the hub back; a second time it changes nothing."""
        if self._held:
            self._held = False
            self._pool.released(self._subscription)


class RelayPool:
    """Subscribes to a stream with its first lease, and ends that `idle_s` after its last.

    locate: where the hub of a camera's stream is served; None when no process has it. Asked before each session.
    """

    def __init__(self, locate: Locate, clock: Clock, *, idle_s: float = 10.0) -> None:
        self._locate = locate
        self._clock = clock
        self._idle_s = idle_s
        self._subscriptions: dict[_Key, Subscription] = {}
        self._idle: dict[_Key, asyncio.TimerHandle] = {}
        self._stopping: set[asyncio.Task[None]] = set()
        self._before = dict.fromkeys(_COUNTERS, 0)  # of subscriptions that have ended

    def acquire(self, camera_id: CameraId, stream: StreamName = StreamName.MAIN) -> Lease:
        """A lease on the hub of a camera's stream; its media comes when it comes."""
        key = (camera_id, stream)
        subscription = self._subscriptions.get(key)
        if subscription is None:
            subscription = Subscription(camera_id, self._locate, self._clock, stream=stream)
            self._subscriptions[key] = subscription
            subscription.start()
        timer = self._idle.pop(key, None)
        if timer is not None:
            timer.cancel()
        subscription.leases += 1
        return Lease(self, subscription)

    def cameras(self) -> Sequence[CameraId]:
        """Those of which a stream is subscribed to."""
        return tuple({camera_id for camera_id, _ in self._subscriptions})

    def released(self, subscription: Subscription) -> None:
        """For leases: one is given back."""
        subscription.leases -= 1
        key = (subscription.camera_id, subscription.stream)
        if subscription.leases == 0 and self._subscriptions.get(key) is subscription:
            loop = asyncio.get_running_loop()
            self._idle[key] = loop.call_later(self._idle_s, self._end, key)

    def moved(self, camera_id: CameraId) -> None:
        """`locate` may say something else of the camera now."""
        for stream in StreamName:
            subscription = self._subscriptions.get((camera_id, stream))
            if subscription is not None:
                subscription.moved()

    async def close(self) -> None:
        """End every subscription; leases that are still held keep a hub that nothing comes to."""
        for key in list(self._subscriptions):
            self._end(key)
        while self._stopping:
            await asyncio.gather(*self._stopping)

    def metrics(self) -> Iterable[MetricFamily]:
        subscriptions = self._subscriptions.values()
        yield gauge("vms_relay_subscriptions", "streams subscribed to", len(subscriptions))
        playing = sum(subscription.playing for subscription in subscriptions)
        yield gauge("vms_relay_subscriptions_playing", "streams whose media comes", playing)
        for name, text in _COUNTERS.items():
            value = self._before[name] + sum(_count(name, each) for each in subscriptions)
            yield counter(f"vms_relay_subscription_{name}", text, value)

    def _end(self, key: _Key) -> None:
        timer = self._idle.pop(key, None)
        if timer is not None:
            timer.cancel()
        subscription = self._subscriptions.pop(key)
        for name in _COUNTERS:
            self._before[name] += _count(name, subscription)
        task = asyncio.create_task(subscription.stop())
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)


def _count(name: str, subscription: Subscription) -> int:
    value: int = getattr(subscription.hub if name in ("units", "gaps") else subscription, name)
    return value
