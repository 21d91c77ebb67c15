"""How the registry is told: the bucket of all cameras, and direct requests to media processes.

The bucket is the copy from which everybody catches up; its list of all cameras is put last, so that whoever
has it and everything in it has the whole registry. Direct requests make a change take effect now, and tell
that it did.

Belongs here: saying. Does not: what is true (store), who runs what (placement).
"""

import asyncio
from collections.abc import Mapping, Sequence

from vms.bus.contract import Bus
from vms.bus.errors import BusUnavailable
from vms.common.errors import InvalidInput, VmsError
from vms.common.ids import CameraId
from vms.gateway.specs import camera_spec, deleted_spec, parse_complete
from vms.gateway.store import CameraStore
from vms.proto.camera_pb2 import Applied, CameraSpec, RegistryComplete
from vms.proto.subjects import CAMERAS, COMPLETE, media_apply
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

PUSH_S = 5.0
PUSHES_AT_ONCE = 64
LISTING_S = 10.0  # commands wait meanwhile


class Publisher:
    """Tells of one site's cameras. Counters: pushed, unanswered, put_failures, syncs."""

    def __init__(self, bus: Bus, site: str) -> None:
        self._bus = bus
        self._bucket = bus.bucket(CAMERAS)
        self._site = site
        self._room = asyncio.Semaphore(PUSHES_AT_ONCE)
        self.stale = True  # the bucket may differ from the registry: `sync` is due
        self.pushed = 0
        self.unanswered = 0
        self.put_failures = 0
        self.syncs = 0

    async def put(self, specs: Sequence[CameraSpec], complete: RegistryComplete) -> None:
        """Put what changed, and the list. When that fails the bucket is stale; it never raises for it."""
        if self.stale or not self._bus.connected:
            self.stale = True
            return
        self.stale = True
        try:
            for spec in specs:
                if spec.deleted:
                    await self._bucket.delete(spec.id)
                else:
                    await self._bucket.put(spec.id, _bytes(spec))
            await self._bucket.put(COMPLETE, _bytes(complete))
        except VmsError as error:
            self._failed(error)
        else:
            self.stale = False

    async def held_revision(self) -> int:
        """The revision at which the bucket says to be complete; 0 when it says nothing. Raises BusUnavailable."""
        entry = await self._bucket.get(COMPLETE)
        try:
            return parse_complete(entry.value).revision if entry is not None else 0
        except InvalidInput:
            return 0  # not ours; it is put anew

    async def sync(self, specs: Mapping[str, CameraSpec], complete: RegistryComplete) -> bool:
        """Make the whole bucket be as given; False when the bus did not let us, which is to be tried again."""
        try:
            async with asyncio.timeout(LISTING_S):
                present = await self._bucket.list()
            for camera_id, spec in specs.items():
                entry = present.get(camera_id)
                if entry is None or entry.value != _bytes(spec):
                    await self._bucket.put(camera_id, _bytes(spec))
            for key in present.keys() - specs.keys() - {COMPLETE}:
                await self._bucket.delete(key)
            entry = present.get(COMPLETE)
            if entry is None or entry.value != _bytes(complete):
                await self._bucket.put(COMPLETE, _bytes(complete))
        except TimeoutError:
            self._failed(BusUnavailable(f"the bucket was not read in {LISTING_S:g} s"))
            return False
        except VmsError as error:
            self._failed(error)
            return False
        self.stale = False
        self.syncs += 1
        return True

    async def push(self, worker: str, spec: CameraSpec) -> int:
        """Tell one media process now; the revision that it then holds, 0 when it did not answer.

        Not answering is no failure of the change: the process finds it in the bucket.
        """
        if not self._bus.connected:
            return 0
        try:
            async with self._room:
                reply = await self._bus.request(
                    media_apply(worker, self._site), _bytes(spec), timeout_s=PUSH_S
                )
        except VmsError as error:
            self.unanswered += 1
            log.warning("a change takes effect later", camera=spec.id, worker=worker, reason=error)
            return 0
        self.pushed += 1
        return Applied.FromString(reply).revision

    def _failed(self, error: VmsError) -> None:
        self.put_failures += 1
        log.warning("the bucket of cameras is not up to date; trying again", reason=error)


def spec_of(store: CameraStore, camera_id: CameraId, site: str) -> CameraSpec:
    """What is to be told of a camera, also of one that exists no longer."""
    stored = store.cameras.get(camera_id)
    return camera_spec(stored, site) if stored is not None else deleted_spec(camera_id, site, store.revision)


def complete_of(store: CameraStore) -> RegistryComplete:
    """The list of all cameras."""
    cameras = {str(camera_id): stored.revision for camera_id, stored in store.cameras.items()}
    return RegistryComplete(revision=store.revision, cameras=cameras)


def _bytes(message: CameraSpec | RegistryComplete) -> bytes:
    # Deterministic: equal messages are equal bytes, so that comparing finds nothing to put
    return message.SerializeToString(deterministic=True)
