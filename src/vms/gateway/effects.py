"""Bring specifications into effect: one camera's in order, different cameras at once.

What is wanted of a camera may change while an older wish is being carried out; wishes in between are skipped.
A wish that fails is tried again with back-off until it works or another takes its place.

Belongs here: the order and the repetition. Does not: where wishes come from (agent), what they mean for
ingest and storage (the `apply` that is given).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from vms.common.backoff import Backoff
from vms.common.camera import Camera
from vms.common.errors import Unavailable, VmsError
from vms.common.secrets import SecretUnreadable
from vms.gateway.errors import CameraUnusable
from vms.proto.camera_pb2 import CameraSpec
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

AT_ONCE = 16

Apply = Callable[[Camera | None, Camera | None], Awaitable[None]]
"""Told (old, new): old is None for a new camera, new is None for one that ends here."""
Open = Callable[[CameraSpec], Awaitable[Camera]]
"""Raises SecretUnreadable and CameraUnusable for what can never be opened; anything else is tried again."""


class _Slot:
    """One camera: what is wanted, and what is in effect."""

    def __init__(self) -> None:
        self.wanted: CameraSpec | None = None
        self.applied: CameraSpec | None = None
        self.camera: Camera | None = None  # that of `applied`
        self.error: VmsError | None = None  # why the last wish is not in effect
        self.changed = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.waiting: list[asyncio.Future[None]] = []

    def tell(self) -> None:
        for waiting in self.waiting:
            if not waiting.done():
                waiting.set_result(None)
        self.waiting.clear()


class Effects:
    """The cameras of this process. Counter: failures."""

    def __init__(self, open_spec: Open, apply: Apply) -> None:
        self._open = open_spec
        self._apply = apply
        self._slots: dict[str, _Slot] = {}
        self._room = asyncio.Semaphore(AT_ONCE)
        self.failures = 0

    @property
    def wanted(self) -> Sequence[CameraSpec]:
        """What should be in effect, by camera id; the last usable wish where the newest is not usable."""
        return [slot.wanted for _, slot in sorted(self._slots.items()) if slot.wanted is not None]

    @property
    def cameras(self) -> Sequence[Camera]:
        """What is in effect, by camera id."""
        return [slot.camera for _, slot in sorted(self._slots.items()) if slot.camera is not None]

    def revision(self, camera_id: str) -> int:
        """Of the specification in effect; 0 for a camera that is not here."""
        slot = self._slots.get(camera_id)
        return slot.applied.revision if slot is not None and slot.applied is not None else 0

    def want(self, camera_id: str, spec: CameraSpec | None) -> bool:
        """Make `spec` be in effect, or with None end the camera; False when that is so already."""
        slot = self._slots.get(camera_id)
        if slot is None:
            if spec is None:
                return False
            slot = self._slots[camera_id] = _Slot()
        if slot.wanted == spec:
            return False
        slot.wanted = spec
        slot.error = None
        slot.changed.set()
        if slot.task is None:
            slot.task = asyncio.create_task(self._bring_about(camera_id, slot), name=f"apply {camera_id}")
        return True

    async def settled(self, camera_id: str) -> None:
        """Wait until the newest wish for a camera is in effect. Raises Unavailable when that failed."""
        slot = self._slots.get(camera_id)
        if slot is None:
            return
        if slot.task is not None:
            waiting = asyncio.get_running_loop().create_future()
            slot.waiting.append(waiting)
            await waiting
        if slot.error is not None:
            raise Unavailable(f"{camera_id} is not in effect: {slot.error}") from slot.error
        if slot.wanted != slot.applied:
            raise Unavailable(f"{camera_id} is not in effect: the process is stopping")

    async def stop(self) -> None:
        """Begin nothing more; cameras that are in effect are left to who started them."""
        tasks = [slot.task for slot in self._slots.values() if slot.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _bring_about(self, camera_id: str, slot: _Slot) -> None:
        backoff = Backoff()
        try:
            while slot.wanted != slot.applied:
                slot.changed.clear()
                wanted = slot.wanted
                try:
                    async with self._room:
                        await self._carry_out(slot, wanted)
                    slot.error = None
                except (SecretUnreadable, CameraUnusable) as error:
                    self._give_up(camera_id, slot, wanted, error)
                except Exception as error:  # noqa: BLE001 - one camera's failure is not the others'
                    await self._try_later(camera_id, slot, wanted, error, backoff)
        finally:
            slot.task = None
            slot.tell()
        if slot.wanted is None:
            del self._slots[camera_id]

    async def _carry_out(self, slot: _Slot, wanted: CameraSpec | None) -> None:
        camera = await self._open(wanted) if wanted is not None else None
        if camera != slot.camera:  # a new place on the standby list, a new revision: nothing to do
            await self._apply(slot.camera, camera)
        slot.camera = camera
        slot.applied = wanted

    def _give_up(
        self, camera_id: str, slot: _Slot, wanted: CameraSpec | None, error: SecretUnreadable | CameraUnusable
    ) -> None:
        self.failures += 1
        log.error("a camera's new settings cannot be used; the old ones stay", camera=camera_id, reason=error)
        if slot.wanted is wanted:
            slot.wanted = slot.applied
            slot.error = error

    async def _try_later(
        self, camera_id: str, slot: _Slot, wanted: CameraSpec | None, error: Exception, backoff: Backoff
    ) -> None:
        self.failures += 1
        known = isinstance(error, VmsError)
        log.error(
            "a camera's settings are not in effect; trying again",
            camera=camera_id,
            reason=error,
            exc_info=None if known else error,
        )
        if slot.wanted is not wanted:
            return
        slot.error = error if isinstance(error, VmsError) else Unavailable("internal error; see its log")
        slot.tell()
        try:
            async with asyncio.timeout(backoff.next_s()):
                await slot.changed.wait()
        except TimeoutError:
            pass
