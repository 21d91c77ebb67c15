"""The registry as other processes see it: reads from a copy in memory, writes by request.

The copy follows the bucket of all cameras. While the bus is away it stays as it was; a store that came back
empty changes nothing in it (vms.gateway.replica). What this process wrote itself it reads at once.

Belongs here: the copy and the commands. Does not: the rules of the registry (registry), which news is news
(replica).
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from vms.bus.contract import Bus, Entry, Subscription
from vms.common.backoff import Backoff
from vms.common.camera import Camera
from vms.common.errors import InvalidInput, NotFound, Unavailable
from vms.common.ids import CameraId
from vms.common.secrets import KeyMismatch, Secrets, SecretUnreadable, installation_secrets
from vms.gateway.errors import CameraUnusable
from vms.gateway.registered import RegisteredCamera
from vms.gateway.replica import Replica
from vms.gateway.specs import camera_of, create_command, parse_complete, parse_spec, update_command
from vms.proto.camera_pb2 import CameraSpec, DeleteCamera
from vms.proto.subjects import CAMERAS, COMPLETE, SITE, registry
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

LOADED_S = 5.0
_COMMAND_S = 30.0  # changes take their turn; each may wait 5 s for a media process


class RegistryClient:
    """The cameras of one site. `start` returns at once; until `loaded`, reading raises Unavailable.

    on_change: told the id of a camera that was added, changed, moved or removed.
    """

    def __init__(self, bus: Bus, data_dir: Path, site: str = SITE) -> None:
        self._bus = bus
        self._data_dir = data_dir
        self._site = site
        self._secrets: Secrets | None = None
        self._replica = Replica()
        self._entries: dict[str, RegisteredCamera] = {}
        self.on_change: Callable[[CameraId], None] = lambda camera_id: None
        self._watch: Subscription | None = None
        self._beginning: asyncio.Task[None] | None = None
        self._key_error = ""

    @property
    def loaded(self) -> bool:
        """Whether everything that the registry holds was read at one time."""
        return self._replica.loaded

    @property
    def key_is_known(self) -> bool:
        """Whether the installation's key was read; without it nothing can be."""
        return self._secrets is not None

    async def wait_loaded(self, within_s: float = LOADED_S) -> bool:
        """Wait until everything was read, but no longer than that: without a bus nobody tells it. Gives `loaded`.

        For who starts: before, no camera is known, and who asks for one would be told that there is none.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not self.loaded:  # noqa: ASYNC110 - it comes over the bus
                    await asyncio.sleep(0.01)
        return self.loaded

    async def start(self) -> None:
        """Begin to follow the registry; never waits for it."""
        self._beginning = asyncio.create_task(self._begin(), name="registry client")

    async def stop(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        if self._beginning is not None:
            self._beginning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beginning
            self._beginning = None

    async def list(self) -> Sequence[RegisteredCamera]:
        """Every camera, by id. Raises Unavailable before the first reading."""
        self._require_loaded()
        return [entry for _, entry in sorted(self._entries.items())]

    async def get(self, camera_id: CameraId) -> RegisteredCamera:
        """One camera. Raises NotFound, and Unavailable before the first reading."""
        self._require_loaded()
        try:
            return self._entries[camera_id]
        except KeyError:
            raise NotFound(f"no camera {camera_id}; GET /api/v1/cameras lists those that exist") from None

    def assignment(self, camera_id: str) -> tuple[str, str] | None:
        """(node, media process) that pulls a camera; None for one that is unknown or has none."""
        spec = self._replica.specs.get(camera_id)
        return (spec.node, spec.worker) if spec is not None and spec.worker else None

    def has_sub(self, camera_id: str) -> bool:
        """Whether a camera has a sub stream, as far as it is known."""
        spec = self._replica.specs.get(camera_id)
        return spec is not None and bool(spec.sealed_sub_source)

    async def create(self, camera: Camera) -> RegisteredCamera:
        """Add a camera. Raises Conflict, InvalidInput as the registry does, and Unavailable."""
        secrets = self._require_key()
        return await self._command("create", create_command(camera, secrets), secrets)

    async def update(self, camera_id: CameraId, changes: Mapping[str, object]) -> RegisteredCamera:
        """Change some fields of a camera. Raises NotFound, Conflict, InvalidInput, Unavailable."""
        secrets = self._require_key()
        return await self._command("update", update_command(camera_id, changes, secrets), secrets)

    async def delete(self, camera_id: CameraId) -> None:
        """Remove a camera. Raises NotFound, Conflict, Unavailable."""
        await self._send("delete", DeleteCamera(camera_id=camera_id).SerializeToString())

    async def _command(self, verb: str, data: bytes, secrets: Secrets) -> RegisteredCamera:
        return camera_of(await self._send(verb, data), secrets)

    async def _send(self, verb: str, data: bytes) -> CameraSpec:
        reply = await self._bus.request(registry(verb, self._site), data, timeout_s=_COMMAND_S)
        spec = parse_spec(reply)
        self._take(spec)
        return spec

    async def _begin(self) -> None:
        """Wait for the installation's key, then follow."""
        backoff = Backoff()
        while self._secrets is None:
            try:
                self._secrets = await installation_secrets(self._data_dir)
            except (KeyMismatch, OSError) as error:
                if str(error) != self._key_error:
                    log.error("the registry cannot be read without its key", reason=error)
                self._key_error = str(error)
                await asyncio.sleep(backoff.next_s())
        self._key_error = ""
        self._watch = self._bus.bucket(CAMERAS).watch(self._heard)

    def _heard(self, key: str, entry: Entry | None) -> None:
        if entry is None:
            return  # the registry says in its list what has ended
        try:
            if key == COMPLETE:
                for camera_id in self._replica.complete(parse_complete(entry.value)):
                    self._entries.pop(camera_id, None)
                    self.on_change(CameraId(camera_id))
            else:
                self._take(parse_spec(entry.value))
        except InvalidInput as error:
            log.error("a message of the registry cannot be read", key=key, reason=error)

    def _take(self, spec: CameraSpec) -> None:
        if spec.site != self._site or not self._replica.offer(spec):
            return
        self._entries.pop(spec.id, None)
        if not spec.deleted:
            assert self._secrets is not None, "no camera is heard of before there is a key"
            try:
                self._entries[spec.id] = camera_of(spec, self._secrets)
            except (SecretUnreadable, CameraUnusable) as error:
                log.error("a camera is left out", camera=spec.id, reason=error)
        self.on_change(CameraId(spec.id))

    def _require_key(self) -> Secrets:
        if self._secrets is None:
            raise Unavailable(
                self._key_error or "the registry was not started yet; its key is made on its first run"
            )
        return self._secrets

    def _require_loaded(self) -> None:
        if self.loaded:
            return
        self._require_key()
        why = "" if self._bus.connected else ", for the bus is not connected"
        raise Unavailable(f"the registry has not been read yet{why}; try again in a moment")
