"""The commands of the bus, done to the registry. Each returns the camera that it is about."""

from collections.abc import Awaitable, Callable, Mapping

from vms.common.ids import CameraId
from vms.gateway.registry import CameraRegistry
from vms.gateway.specs import read_create_command, read_delete_command, read_update_command

Command = Callable[[CameraRegistry, bytes], Awaitable[CameraId]]
"""Raises what the registry raises, and InvalidInput for a message that is none."""


async def _create(registry: CameraRegistry, data: bytes) -> CameraId:
    return (await registry.create(read_create_command(data, registry.secrets))).camera.id


async def _update(registry: CameraRegistry, data: bytes) -> CameraId:
    camera_id, changes = read_update_command(data, registry.secrets)
    await registry.update(camera_id, changes)
    return camera_id


async def _delete(registry: CameraRegistry, data: bytes) -> CameraId:
    camera_id = read_delete_command(data)
    await registry.delete(camera_id)
    return camera_id


COMMANDS: Mapping[str, Command] = {"create": _create, "update": _update, "delete": _delete}
"""By the verb in their subject (vms.proto.subjects.registry)."""
