"""Cameras as messages. A source travels sealed, as it lies in the database; the key never leaves the machine.

Belongs here: from rows and commands to messages and back. Does not: when they are sent (publisher, service).
"""

from collections.abc import Mapping
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from pydantic_core import PydanticSerializationError, from_json, to_json

from vms.common.camera import Camera
from vms.common.errors import InvalidInput
from vms.common.ids import CameraId
from vms.common.secrets import Secrets
from vms.common.source_url import SourceUrl
from vms.gateway.camera_policy import plain_record, policy_text
from vms.gateway.registered import RegisteredCamera, StoredCamera, opened_camera
from vms.proto.camera_pb2 import CameraSpec, CreateCamera, DeleteCamera, RegistryComplete, UpdateCamera

COMMAND_PURPOSE = "camera command"
_SOURCE, _SUB_SOURCE = "source", "sub_source"
_SOURCES = (_SOURCE, _SUB_SOURCE)
_M = TypeVar("_M", bound=Message)


def camera_spec(stored: StoredCamera, site: str) -> CameraSpec:
    """What every process is told of a camera."""
    camera = stored.entry.camera
    assignment = stored.assignment
    return CameraSpec(
        site=site,
        id=camera.id,
        name=camera.name,
        sealed_source=stored.sealed_source,
        transport=camera.transport.value,
        record=plain_record(camera),
        retention_s=camera.retention,
        managed_by=stored.entry.managed_by.value,
        revision=stored.revision,
        node=assignment.node if assignment is not None else "",
        worker=assignment.worker if assignment is not None else "",
        policy_json=policy_text(camera),
        sealed_sub_source=stored.sealed_sub_source or b"",
    )


def deleted_spec(camera_id: str, site: str, revision: int) -> CameraSpec:
    """The last that is told of a camera."""
    return CameraSpec(site=site, id=camera_id, revision=revision, deleted=True)


def camera_of(spec: CameraSpec, secrets: Secrets) -> RegisteredCamera:
    """The camera that a message describes. Raises SecretUnreadable and CameraUnusable."""
    return opened_camera(
        secrets,
        spec.site,
        camera_id=spec.id,
        name=spec.name,
        sealed_source=spec.sealed_source,
        transport=spec.transport,
        record=spec.record,
        policy=spec.policy_json,
        retention_s=spec.retention_s,
        managed_by=spec.managed_by,
        sealed_sub_source=spec.sealed_sub_source,
    )


def parse_spec(data: bytes) -> CameraSpec:
    """Raises InvalidInput."""
    return _parse(CameraSpec(), data)


def parse_complete(data: bytes) -> RegistryComplete:
    """Raises InvalidInput."""
    return _parse(RegistryComplete(), data)


def create_command(camera: Camera, secrets: Secrets) -> bytes:
    """A CreateCamera."""
    fields = {name: getattr(camera, name) for name in Camera.model_fields if name not in _SOURCES}
    sub_source = camera.sub_source
    return CreateCamera(
        camera_json=to_json(fields),
        sealed_source=secrets.seal(camera.source.reveal(), COMMAND_PURPOSE),
        sealed_sub_source=secrets.seal(sub_source.reveal(), COMMAND_PURPOSE) if sub_source else b"",
    ).SerializeToString()


def read_create_command(data: bytes, secrets: Secrets) -> Camera:
    """The camera in a CreateCamera. Raises InvalidInput."""
    command = _parse(CreateCamera(), data)
    sources = {_SOURCE: secrets.open(command.sealed_source, COMMAND_PURPOSE)}
    if command.sealed_sub_source:
        sources[_SUB_SOURCE] = secrets.open(command.sealed_sub_source, COMMAND_PURPOSE)
    try:
        return Camera.model_validate({**_fields(command.camera_json), **sources})
    except ValueError:
        # The text of pydantic's error repeats the input
        raise InvalidInput(
            "camera: this version does not take it; are both processes of one version?"
        ) from None


def update_command(camera_id: CameraId, changes: Mapping[str, object], secrets: Secrets) -> bytes:
    """An UpdateCamera. Raises InvalidInput for a value that no camera has."""
    sealed = {name: _sealed(changes.get(name), secrets) for name in _SOURCES}
    others = {name: value for name, value in changes.items() if sealed.get(name) is None}
    try:
        text = to_json(others)
    except PydanticSerializationError:
        raise InvalidInput(f"{', '.join(others)}: holds a value that no camera has") from None
    return UpdateCamera(
        camera_id=camera_id,
        changes_json=text,
        sealed_source=sealed[_SOURCE],
        sealed_sub_source=sealed[_SUB_SOURCE],
    ).SerializeToString()


def read_update_command(data: bytes, secrets: Secrets) -> tuple[CameraId, dict[str, object]]:
    """The id and the changes in an UpdateCamera; a source that is none stays text. Raises InvalidInput."""
    command = _parse(UpdateCamera(), data)
    changes = _fields(command.changes_json)
    if command.HasField("sealed_source"):
        changes[_SOURCE] = _opened(command.sealed_source, secrets)
    if command.HasField("sealed_sub_source"):
        changes[_SUB_SOURCE] = _opened(command.sealed_sub_source, secrets)
    return CameraId(command.camera_id), changes


def read_delete_command(data: bytes) -> CameraId:
    """The id in a DeleteCamera. Raises InvalidInput."""
    return CameraId(_parse(DeleteCamera(), data).camera_id)


def _sealed(source: object, secrets: Secrets) -> bytes | None:
    """None for what is no text."""
    shown = source.reveal() if isinstance(source, SourceUrl) else source
    return secrets.seal(shown, COMMAND_PURPOSE) if isinstance(shown, str) else None


def _opened(sealed: bytes, secrets: Secrets) -> SourceUrl | str:
    source = secrets.open(sealed, COMMAND_PURPOSE)
    try:
        return SourceUrl(source)
    except ValueError:
        return source  # the registry says what is wrong with it


def _fields(text: bytes) -> dict[str, object]:
    try:
        fields = from_json(text)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise InvalidInput("camera: its fields are no JSON object; are both processes of one version?")
    return fields


def _parse(message: _M, data: bytes) -> _M:
    try:
        message.ParseFromString(data)
    except DecodeError:
        raise InvalidInput(f"no {type(message).__name__}; are both processes of one version?") from None
    return message
