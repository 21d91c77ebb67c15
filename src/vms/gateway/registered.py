"""A configured camera and who manages it, as the database and the messages between processes have it.

Belongs here: sealed fields ↔ a camera. Does not: the database (camera_rows, store): a media process imports this,
and need not carry a database's library in its memory.
"""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import ValidationError

from vms.common.camera import Camera, Transport
from vms.common.errors import InvalidInput
from vms.common.ids import CameraId
from vms.common.secrets import Secrets
from vms.common.source_url import SourceUrl
from vms.gateway.camera_policy import policy_fields
from vms.gateway.errors import CameraUnusable
from vms.gateway.placement import Assignment


class ManagedBy(StrEnum):
    """Who may change a camera."""

    FILE = "file"  # the configuration file; locked against edits elsewhere
    API = "api"


@dataclass(frozen=True, slots=True)
class RegisteredCamera:
    """A camera and who manages it."""

    camera: Camera
    managed_by: ManagedBy


@dataclass(frozen=True, slots=True)
class StoredCamera:
    """A camera with what only the registry knows. sealed_source, sealed_sub_source: as in its row."""

    entry: RegisteredCamera
    sealed_source: bytes
    revision: int
    assignment: Assignment | None
    sealed_sub_source: bytes | None = None


def opened_camera(
    secrets: Secrets,
    site: str,
    *,
    camera_id: str,
    name: str,
    sealed_source: bytes,
    transport: str,
    record: str,
    retention_s: float,
    managed_by: str,
    policy: str = "",
    sealed_sub_source: bytes | None = None,
) -> RegisteredCamera:
    """The camera that the fields of a row or of a message make. record, policy: see vms.gateway.camera_policy.

    sealed_sub_source: None or empty for a camera without a sub stream.
    Raises SecretUnreadable when a source was not sealed for this camera, and CameraUnusable.
    """
    source = secrets.open(sealed_source, source_purpose(site, camera_id))
    sub_source = (
        secrets.open(sealed_sub_source, sub_source_purpose(site, camera_id)) if sealed_sub_source else None
    )
    try:
        camera = Camera(
            id=CameraId(camera_id),
            name=name,
            source=SourceUrl(source),
            sub_source=SourceUrl(sub_source) if sub_source is not None else None,
            transport=Transport(transport),
            retention=retention_s,
            **policy_fields(policy, record),
        )
        return RegisteredCamera(camera, ManagedBy(managed_by))
    except ValidationError as error:
        places = (problem["loc"] for problem in error.errors(include_input=False))
        fields = ", ".join(str(place[0]) if place else "schedule" for place in places)
        raise CameraUnusable(f"{camera_id}: this version does not take its {fields}") from None
    except (ValueError, InvalidInput) as error:
        raise CameraUnusable(f"{camera_id}: {error}") from None


def source_purpose(site: str, camera_id: str) -> str:
    """What a camera's source is sealed for, in rows and in messages alike."""
    return f"camera/{site}/{camera_id}/source"


def sub_source_purpose(site: str, camera_id: str) -> str:
    """Another purpose, so that neither passes for the other."""
    return f"camera/{site}/{camera_id}/sub_source"


def sealed_sub_source(secrets: Secrets, site: str, camera: Camera) -> bytes | None:
    """The source of a camera's sub stream as rows and messages have it; None where it has none."""
    if camera.sub_source is None:
        return None
    return secrets.seal(camera.sub_source.reveal(), sub_source_purpose(site, camera.id))
