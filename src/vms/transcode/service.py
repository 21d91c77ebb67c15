"""Which streams are being transcoded: begun when somebody asks, ended when nobody takes them any more.

Belongs here: how many at once, when one ends, metrics. Does not: one stream (running).
"""

import asyncio
from collections.abc import Callable, Iterable

from vms.common.clock import NS, Clock
from vms.common.errors import Unavailable
from vms.common.ids import CameraId
from vms.media import Hub
from vms.telemetry.metrics import MetricFamily, MetricKind
from vms.transcode.options import TranscodeOptions
from vms.transcode.running import HubLease, RunningTranscode

IDLE_NS = 10 * NS
SWEEP_S = 1.0


class TooManyTranscodes(Unavailable):
    """As many streams as may be are being transcoded; trying again when one has ended is safe."""


class TranscodeLease:
    """The right to a transcoded stream, until released. Implements HubLease."""

    def __init__(self, running: RunningTranscode, clock: Clock) -> None:
        self._running = running
        self._clock = clock
        self._held = True

    @property
    def hub(self) -> Hub:
        return self._running.hub

    async def ready(self, timeout_s: float) -> None:
        """Wait for the first picture. Raises Unavailable when none comes."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.hub.live()
        except TimeoutError as error:
            raise Unavailable(
                f"{self._running.camera_id}: no transcoded picture yet; the camera is not live, or this machine is busy"
            ) from error

    def release(self) -> None:
        """Give it back; a second time it changes nothing."""
        if self._held:
            self._held = False
            self._running.leases -= 1
            self._running.idle_since_ns = self._clock.monotonic_ns()


class TranscodeService:
    """lease: hubs of cameras as they are; raises NotFound for an unknown one."""

    def __init__(
        self, lease: Callable[[CameraId], HubLease], options: TranscodeOptions, clock: Clock
    ) -> None:
        self.refused = 0
        self._lease = lease
        self._options = options
        self._clock = clock
        self._running: dict[CameraId, RunningTranscode] = {}
        self._past = {"pictures": 0, "broken": 0, "skipped": 0, "crashes": 0}
        self._stopping: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    async def stop(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        for camera_id in list(self._running):
            self.end(camera_id)
        while self._stopping:
            await asyncio.gather(*self._stopping)

    def lease(self, camera_id: CameraId) -> "TranscodeLease":
        """A lease on the camera's stream as H.264, transcoded from now on. Raises NotFound, TooManyTranscodes."""
        running = self._running.get(camera_id)
        if running is None:
            self._make_room()
            running = RunningTranscode(camera_id, self._lease(camera_id), self._options, self._clock)
            self._running[camera_id] = running
            running.start()
        running.leases += 1
        return TranscodeLease(running, self._clock)

    def end(self, camera_id: CameraId) -> None:
        """Transcode a camera no more; without effect when it is not."""
        running = self._running.pop(camera_id, None)
        if running is None:
            return
        for name, value in _counts(running).items():
            self._past[name] += value
        task = asyncio.create_task(running.stop())
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    @property
    def cameras(self) -> tuple[CameraId, ...]:
        """Those that are being transcoded."""
        return tuple(self._running)

    def metrics(self) -> Iterable[MetricFamily]:
        counts = dict(self._past)
        for running in self._running.values():
            for name, value in _counts(running).items():
                counts[name] += value
        yield _plain("vms_transcodes", MetricKind.GAUGE, "streams being transcoded", len(self._running))
        yield _plain(
            "vms_transcodes_refused", MetricKind.COUNTER, "streams refused: too many already", self.refused
        )
        texts = {
            "pictures": "pictures transcoded",
            "broken": "pictures that could not be transcoded",
            "skipped": "pictures left out because time was short",
            "crashes": "transcodings ended by an internal error",
        }
        for name, text in texts.items():
            yield _plain(f"vms_transcode_{name}", MetricKind.COUNTER, text, counts[name])

    def _make_room(self) -> None:
        if len(self._running) < self._options.most:
            return
        unwanted = (each for each in self._running.values() if not each.leases)
        idle = min(unwanted, key=lambda each: each.idle_since_ns, default=None)
        if idle is None:
            self.refused += 1
            raise TooManyTranscodes(
                f"{self._options.most} streams are being transcoded, as many as may be (transcode.streams); set the "
                "camera to H.264 without B-frames, or try again later"
            )
        self.end(idle.camera_id)

    def _sweep(self) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)
        now_ns = self._clock.monotonic_ns()
        for running in list(self._running.values()):
            if not running.leases and now_ns - running.idle_since_ns > IDLE_NS:
                self.end(running.camera_id)


def _counts(running: RunningTranscode) -> dict[str, int]:
    pictures = running.pictures
    return {
        "pictures": pictures.pictures,
        "broken": pictures.broken,
        "skipped": pictures.skipped,
        "crashes": running.crashes,
    }


def _plain(name: str, kind: MetricKind, text: str, value: float) -> MetricFamily:
    return MetricFamily(name, kind, text, (), [((), float(value))])
