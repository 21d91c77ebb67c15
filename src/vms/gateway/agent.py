"""A media process's side of the registry: which cameras it has, with or without anyone to ask.

It starts from its own snapshot with no bus, database or API, then follows the registry: the bucket of all
cameras, and direct requests, which are answered when the change is in effect. It ends a camera only when it is
told to (vms.gateway.replica): what is not there to read is no reason to stop recording.

Belongs here: the snapshot's life, what the bus says. Does not: which news is news (replica), carrying it out
(effects), the file (snapshot).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

from vms.bus.contract import Bus, Entry, Subscription
from vms.common.backoff import Backoff
from vms.common.camera import Camera
from vms.common.clock import Clock
from vms.common.errors import InvalidInput
from vms.common.secrets import Secrets, installation_secrets
from vms.gateway.effects import Apply, Effects
from vms.gateway.replica import Replica
from vms.gateway.snapshot import SnapshotDamaged, read_snapshot, write_snapshot
from vms.gateway.specs import camera_of, parse_complete, parse_spec
from vms.proto.camera_pb2 import Applied, CameraSpec
from vms.proto.subjects import CAMERAS, COMPLETE, SITE, media_apply
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricFamily, MetricKind

log = get_logger(__name__)

_COALESCE_S = 0.5  # changes within it share one write of the snapshot
_FIRST_APPLIES_S = 5.0

Told = Callable[[], Awaitable[None]]


class MediaAgent:
    """Keeps the cameras of one media process as the registry says. For one event loop."""

    def __init__(
        self,
        worker: str,
        bus: Bus,
        data_dir: Path,
        snapshot_path: Path,
        *,
        clock: Clock,
        apply: Apply,
        told: Told | None = None,
        site: str = SITE,
    ) -> None:
        """apply: told (old, new) of one camera, one call at a time for each camera; raises to be tried again.

        told: waits until others were told how the cameras fare now. A change is confirmed after that, so that
        who then asks for the camera does not hear how it fared before.
        """
        self._worker = worker
        self._bus = bus
        self._data_dir = data_dir
        self._path = snapshot_path
        self._clock = clock
        self._site = site
        self._secrets: Secrets | None = None
        self._told = told
        self._effects = Effects(self._open, apply)
        self._replica = Replica()
        self._subscriptions: list[Subscription] = []
        self._dirty = asyncio.Event()
        self._stopping = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._written: Sequence[CameraSpec] = []
        self.error: str | None = None  # of the snapshot: what a next start without a bus would lack
        self.unreadable = 0  # messages that are none
        self.snapshot_failures = 0

    @property
    def cameras(self) -> Sequence[Camera]:
        """The cameras in effect, by id."""
        return self._effects.cameras

    def revision(self, camera_id: str) -> int:
        """Of the specification that is in effect; 0 for a camera that is not here."""
        return self._effects.revision(camera_id)

    async def start(self) -> None:
        """Apply the snapshot's cameras, then follow the registry. Fails for nothing outside this process."""
        specs = await self._read_snapshot()
        self._written = specs
        self._replica = Replica(specs)
        for spec in specs:
            self._effects.want(spec.id, spec)
        self._keeping = asyncio.create_task(self._keep_snapshot(), name="snapshot")
        bucket = self._bus.bucket(CAMERAS)
        self._subscriptions = [
            self._bus.serve(media_apply(self._worker, self._site), self._applied),
            bucket.watch(self._heard),
        ]
        first = [asyncio.create_task(self._effects.settled(spec.id)) for spec in specs]
        if first:
            _, late = await asyncio.wait(first, timeout=_FIRST_APPLIES_S)
            for waiting in late:
                waiting.cancel()
            await asyncio.gather(*first, return_exceptions=True)  # each failure is logged and tried again

    async def stop(self) -> None:
        """Take no more changes and write the snapshot; the cameras themselves are left as they are."""
        for subscription in self._subscriptions:
            subscription.close()
        self._subscriptions = []
        await self._effects.stop()
        if self._keeping is not None:
            self._stopping.set()
            self._dirty.set()
            await self._keeping
            self._keeping = None

    def metrics(self) -> Iterable[MetricFamily]:
        counters = {
            "vms_camera_apply_failures": (
                "changes that could not be brought into effect",
                self._effects.failures,
            ),
            "vms_media_snapshot_failures": ("snapshots that could not be written", self.snapshot_failures),
            "vms_registry_messages_unreadable": ("messages of the registry that are none", self.unreadable),
        }
        for name, (text, value) in counters.items():
            yield MetricFamily(name, MetricKind.COUNTER, text, (), [((), value)])

    async def _applied(self, data: bytes) -> bytes:
        spec = parse_spec(data)
        self._take(spec)
        await self._effects.settled(spec.id)
        if self._told is not None:
            await self._told()
        return Applied(revision=max(self._replica.revision(spec.id), 0)).SerializeToString()

    def _heard(self, key: str, entry: Entry | None) -> None:
        if entry is None:
            return  # the registry says in its list, and directly, what has ended
        try:
            if key == COMPLETE:
                for camera_id in self._replica.complete(parse_complete(entry.value)):
                    self._want(camera_id, None)
            else:
                self._take(parse_spec(entry.value))
        except InvalidInput as error:
            self.unreadable += 1
            log.error("a message of the registry cannot be read", key=key, reason=error)

    def _take(self, spec: CameraSpec) -> None:
        if spec.site != self._site or not self._replica.offer(spec):
            return
        if spec.deleted or spec.worker not in (self._worker, ""):
            self._want(spec.id, None)
        elif spec.worker:
            self._want(spec.id, spec)
        # With no worker named nobody else records it: it stays where it is

    def _want(self, camera_id: str, spec: CameraSpec | None) -> None:
        if self._effects.want(camera_id, spec):
            self._dirty.set()

    async def _open(self, spec: CameraSpec) -> Camera:
        if self._secrets is None:
            self._secrets = await installation_secrets(self._data_dir)
        return camera_of(spec, self._secrets).camera

    async def _read_snapshot(self) -> Sequence[CameraSpec]:
        try:
            specs = await asyncio.to_thread(read_snapshot, self._path, self._worker)
        except SnapshotDamaged as error:
            self.error = str(error)
            log.error("starting with no cameras until the registry is reached", reason=error)
            return []
        return [spec for spec in specs if spec.worker == self._worker and spec.site == self._site]

    async def _keep_snapshot(self) -> None:
        """Write the snapshot soon after each change, and when stopping."""
        backoff = Backoff()
        while self._dirty.is_set() or not self._stopping.is_set():
            await self._dirty.wait()
            await self._rest(_COALESCE_S)
            self._dirty.clear()
            if not await self._write_snapshot(self._effects.wanted):
                if self._stopping.is_set():
                    return
                self._dirty.set()
                await self._rest(backoff.next_s())
            else:
                backoff.reset()

    async def _write_snapshot(self, wanted: Sequence[CameraSpec]) -> bool:
        if wanted == self._written:
            return True
        try:
            await asyncio.to_thread(write_snapshot, self._path, self._worker, wanted, self._clock.wall_ns())
        except OSError as error:
            self.snapshot_failures += 1
            self._say(
                f"snapshot {self._path}: {error.strerror}; a start without the bus would use an old one"
            )
            return False
        self._written = wanted
        self.error = None
        return True

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _say(self, error: str) -> None:
        if error != self.error:
            log.error("the snapshot is not written", reason=error)
        self.error = error
