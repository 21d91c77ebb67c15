"""The registry behind the bus: it answers commands, places cameras and tells everybody.

One change is done at a time, in the order of the requests: committed, placed, put into the bucket; then its
media process is told, and the command is answered when the change is in effect there. A database that cannot
be opened stops nothing but commands: it is said, and tried again.

Belongs here: the order of things. Does not: the registry's rules (registry), where cameras go (placement), the
messages (specs), how they are told (publisher).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path

from google.protobuf.message import DecodeError

from vms.bus.contract import Bus, Subscription
from vms.common.backoff import Backoff
from vms.common.camera import Camera
from vms.common.clock import Clock
from vms.common.errors import NotFound, Unavailable, VmsError
from vms.common.ids import CameraId
from vms.gateway.commands import COMMANDS, Command
from vms.gateway.counters import GatewayCounters
from vms.gateway.database import Database
from vms.gateway.due import Every, Retry
from vms.gateway.errors import DatabaseUnusable
from vms.gateway.evidence import EvidenceDesk
from vms.gateway.lock_distribution import KeptVolume
from vms.gateway.placement import Assignment, move, place
from vms.gateway.publisher import Publisher, complete_of, spec_of
from vms.gateway.registry import CameraRegistry
from vms.gateway.workers import MediaWorkers
from vms.proto.camera_pb2 import CameraSpec
from vms.proto.subjects import SITE, worker_status
from vms.proto.subjects import registry as registry_subject
from vms.proto.worker_pb2 import WorkerStatus
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricFamily

log = get_logger(__name__)

_TICK_S = 1.0
_COMPARE_S = 60.0  # the bucket is compared with the registry so often, whatever happens
_NODES_S = 60.0

_Telling = tuple[str, CameraSpec]
"""The worker that was told of the camera before, "" for none, and what is to be told now."""


class GatewayService:
    """Hosts the registry of one site. One a site: it is the only writer of the database and of the bucket.

    first_error: why the very first try to open the database failed, None when it worked; who has nothing
    else to go on may refuse to start because of it.
    """

    def __init__(
        self,
        data_dir: Path,
        bus: Bus,
        clock: Clock,
        *,
        node: str,
        workers: Iterable[str],
        cameras: Sequence[Camera] = (),
        site: str = SITE,
    ) -> None:
        """node: this machine. workers: its media processes. cameras: those of the configuration file."""
        self.first_error: Exception | None = None
        self._data_dir = data_dir
        self._bus = bus
        self._clock = clock
        self._site = site
        self._file_cameras = cameras
        self._workers = MediaWorkers(clock, node, workers)
        self._publisher = Publisher(bus, site)
        self._counters = GatewayCounters()
        self._evidence = EvidenceDesk(bus, clock, site, self._database, self._counters)
        self._registry: CameraRegistry | None = None  # while it is open
        self._error: str | None = None
        self._lock = asyncio.Lock()  # first come, first served
        self._changed: list[CameraId] = []  # committed, not told yet
        self._told: dict[CameraId, tuple[str, int]] = {}  # worker and revision
        self._reload_due = False
        self._subscriptions: list[Subscription] = []
        self._wake = asyncio.Event()
        self._looking_after: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._open_backoff = Retry(clock, Backoff(1.0, 30.0))
        self._sync_backoff = Retry(clock, Backoff(0.2, 5.0))
        self._compare = Every(clock, _COMPARE_S)
        self._note_nodes = Every(clock, _NODES_S)

    @property
    def error(self) -> str | None:
        """Why the registry cannot be changed now, for a person; None when it can."""
        return self._error

    async def start(self) -> None:
        """Open the database and begin to serve. A database that cannot be opened is no failure: see `error`."""
        self._subscriptions = [
            self._bus.serve(registry_subject(verb, self._site), self._command(verb, command))
            for verb, command in COMMANDS.items()
        ]
        self._subscriptions.append(self._bus.subscribe(worker_status("*", self._site), self._heard))
        async with self._lock:
            self.first_error = await self._try_open()
        await self._evidence.start()
        self._bus.on_connect(self._connected)
        self._looking_after = asyncio.create_task(self._look_after(), name="gateway")

    async def stop(self) -> None:
        for subscription in self._subscriptions:
            subscription.close()
        self._subscriptions = []
        await self._evidence.stop()
        running = [task for task in (self._looking_after, *self._tasks) if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._looking_after = None
        async with self._lock:
            registry, self._registry = self._registry, None
            if registry is not None:
                await registry.stop()

    async def reload(self, cameras: Sequence[Camera]) -> None:
        """Apply the configuration file's cameras anew; with the database away that is done when it is back.

        Raises DatabaseUnusable when it fails meanwhile; it is tried again.
        """
        async with self._lock:
            self._file_cameras = cameras
            if self._registry is None:
                return
            self._reload_due = True
            tellings = await self._reload(self._registry)
        await self._tell(tellings)

    async def pin(self, camera_id: CameraId, worker: str | None) -> None:
        """Make a camera run on `worker` and nowhere else, or with None leave it to the placement again.

        Raises NotFound, Unavailable.
        """
        async with self._turn() as registry:
            await registry.get(camera_id)
            assignment = move(camera_id, worker, self._present(registry), self._workers.measured())
            if assignment is None:
                raise NotFound(f"no media process {worker}; `vms status` lists those that exist")
            await registry.store.assign({camera_id: assignment})
            self._changed.append(camera_id)
            tellings = await self._publish(registry)
        await self._tell(tellings)

    def set_workers(self, names: Iterable[str]) -> None:
        """This machine has these media processes from now on; cameras of others move at once."""
        self._workers.configure(names)
        self._wake.set()

    async def set_volumes(self, volumes: Iterable[KeptVolume]) -> None:
        """These are the volumes whose keepers are told of evidence locks from now on."""
        await self._evidence.set_volumes(volumes)

    def metrics(self) -> Iterable[MetricFamily]:
        """The registry, its commands, the media processes, who obeys evidence locks."""
        registry = self._registry
        store = registry.store if registry else None
        yield from self._counters.metrics(store, self._publisher, self._workers)
        yield from self._evidence.metrics()

    # Commands

    def _command(self, verb: str, command: Command) -> Callable[[bytes], Awaitable[bytes]]:
        async def serve(data: bytes) -> bytes:
            try:
                async with self._turn() as registry:
                    camera_id = await command(registry, data)
                    tellings = await self._publish(registry)
                    spec = spec_of(registry.store, camera_id, self._site)
                await self._tell(tellings)
            except VmsError:
                self._counters.command(verb, "refused")
                raise
            self._counters.command(verb, "done")
            return spec.SerializeToString()

        return serve

    @contextlib.asynccontextmanager
    async def _database(self) -> AsyncIterator[Database]:
        """As `_turn`, for what is no camera."""
        async with self._turn("the database cannot be used now") as registry:
            yield registry.database

    @contextlib.asynccontextmanager
    async def _turn(self, refusal: str = "cameras cannot be changed now") -> AsyncIterator[CameraRegistry]:
        """The registry for one change, in the order of asking. Raises Unavailable while it is not open."""
        async with self._lock:
            if self._registry is None:
                why = self._error or "the system is stopping"
                raise Unavailable(f"{refusal}; recording goes on. {why}")
            try:
                yield self._registry
            except DatabaseUnusable as error:
                self._failed(error)
                raise
            self._error = None

    async def _note(self, old: Camera | None, new: Camera | None) -> None:
        camera = new or old
        assert camera is not None
        self._changed.append(camera.id)

    # Placing and telling; all of it has the lock, but `_tell`

    async def _publish(self, registry: CameraRegistry) -> Sequence[_Telling]:
        """Place what has to be placed and put what changed; what is left is to `_tell` the media processes."""
        await self._place(registry)
        changed, self._changed = self._changed, []
        tellings: list[_Telling] = []
        for camera_id in dict.fromkeys(changed):
            spec = spec_of(registry.store, camera_id, self._site)
            worker, revision = self._told.pop(camera_id, ("", -1))
            if not spec.deleted:
                self._told[camera_id] = (spec.worker, spec.revision)
            if spec.revision != revision:
                tellings.append((worker, spec))
        if tellings:
            await self._publisher.put([spec for _, spec in tellings], complete_of(registry.store))
        return tellings

    async def _place(self, registry: CameraRegistry) -> None:
        store = registry.store
        plan = place(
            store.cameras,
            self._present(registry),
            self._workers.measured(),
            bitrates=self._workers.bitrates,
            capacities=store.capacities,
        )
        before = {camera_id: store.cameras[camera_id].revision for camera_id in plan.changed}
        try:
            await store.assign(plan.changed)
        except DatabaseUnusable as error:
            self._failed(error)  # the next look places anew
            return
        for text in plan.said:
            log.warning("placement", what=text)
        moved = [key for key, revision in before.items() if store.cameras[key].revision != revision]
        self._counters.placed += len(moved)
        self._changed += moved

    async def _tell(self, tellings: Sequence[_Telling]) -> None:
        """Tell the media processes and wait until the changes are in effect, or they do not answer."""
        await asyncio.gather(*(self._tell_one(worker, spec) for worker, spec in tellings))

    async def _tell_one(self, before: str, spec: CameraSpec) -> None:
        if before and before != spec.worker:
            if self._workers.well(before):
                await self._push(before, spec)  # it lets go before another takes hold
            else:
                self._background(self._push(before, spec))
        if spec.worker:
            await self._push(spec.worker, spec)

    async def _push(self, worker: str, spec: CameraSpec) -> None:
        self._workers.saw_revision(await self._publisher.push(worker, spec))

    def _present(self, registry: CameraRegistry) -> Mapping[CameraId, Assignment]:
        cameras = registry.store.cameras.items()
        return {key: stored.assignment for key, stored in cameras if stored.assignment is not None}

    # Looking after it

    async def _look_after(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self.look()
            except Exception as error:
                self._counters.failures += 1
                log.error("the gateway failed at its rounds; it goes on", exc_info=error)

    async def look(self) -> None:
        """One round: try to open the database, notice who is gone, place, and make the bucket right."""
        async with self._lock:
            if self._registry is None:
                if self._open_backoff.due:
                    await self._try_open()
                return
            registry = self._registry
            try:
                tellings = await self._round(registry)
            except DatabaseUnusable as error:
                self._failed(error)
                return
        if tellings:
            self._background(self._tell(tellings))

    async def _round(self, registry: CameraRegistry) -> Sequence[_Telling]:
        self._workers.look(self._bus.connected)
        self._workers.forget_cameras(registry.store.cameras)
        if self._reload_due:
            tellings = await self._reload(registry)
        else:
            tellings = await self._publish(registry)
        if self._compare.due:
            self._publisher.stale = True
        if self._workers.highest_revision > registry.store.revision:
            self._publisher.stale = True
        if self._publisher.stale and self._bus.connected and self._sync_backoff.due:
            await self._sync(registry)
        if self._note_nodes.due:
            await registry.store.seen(sorted(self._workers.nodes()))
        return tellings

    async def _reload(self, registry: CameraRegistry) -> Sequence[_Telling]:
        try:
            await registry.apply(self._file_cameras)
        except DatabaseUnusable as error:
            self._failed(error)
            raise
        self._reload_due = False
        self._error = None
        return await self._publish(registry)

    async def _sync(self, registry: CameraRegistry) -> None:
        try:
            self._workers.saw_revision(await self._publisher.held_revision())
        except VmsError:
            self._sync_backoff.failed()
            return
        if self._workers.highest_revision > registry.store.revision:
            log.warning("an older database was restored; all cameras are told anew")
            await registry.store.overtake(self._workers.highest_revision)
        specs = {
            str(camera_id): spec_of(registry.store, camera_id, self._site)
            for camera_id in registry.store.cameras
        }
        if await self._publisher.sync(specs, complete_of(registry.store)):
            self._sync_backoff.worked()
        else:
            self._sync_backoff.failed()

    async def _try_open(self) -> Exception | None:
        registry = CameraRegistry(self._data_dir, self._clock, self._note, site=self._site)
        try:
            await registry.start(self._file_cameras)
        except (VmsError, OSError) as error:
            self._failed(error)
            self._open_backoff.failed()
            return error
        self._registry = registry
        self._error = None
        self._told = {}
        for camera_id, stored in registry.store.cameras.items():
            if stored.assignment is not None:
                self._workers.expect(stored.assignment.worker, stored.assignment.node)
                self._told[camera_id] = (stored.assignment.worker, stored.revision)
        self._publisher.stale = True
        log.info("the registry is open", cameras=len(registry.store.cameras))
        self._evidence.opened()
        self._wake.set()
        return None

    def _failed(self, error: Exception) -> None:
        self._counters.database_failures += 1
        text = str(error)
        if text != self._error:
            log.error("the registry is not available; recording goes on", reason=text)
        self._error = text

    def _connected(self) -> None:
        self._workers.listen()
        self._publisher.stale = True
        self._sync_backoff.worked()
        self._wake.set()

    def _heard(self, subject: str, data: bytes) -> None:
        try:
            status = WorkerStatus.FromString(data)
        except DecodeError:
            self._counters.failures += 1
            return
        self._workers.heard(status)
        self._evidence.heard(status)

    def _background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
