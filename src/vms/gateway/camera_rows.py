"""Cameras as rows: the one place where a source's credentials are sealed and opened."""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import ValidationError

from vms.common.camera import Camera, RecordMode, Transport
from vms.common.ids import CameraId
from vms.common.source_url import SourceUrl
from vms.gateway.errors import CameraUnusable
from vms.gateway.secrets import Secrets
from vms.gateway.tables import CameraRow


class ManagedBy(StrEnum):
    """Who may change a camera."""

    FILE = "file"  # the configuration file; locked against edits elsewhere
    API = "api"


@dataclass(frozen=True, slots=True)
class RegisteredCamera:
    """A camera and who manages it."""

    camera: Camera
    managed_by: ManagedBy


class CameraRows:
    """Turns cameras of one site into rows and back."""

    def __init__(self, secrets: Secrets, site: str) -> None:
        self._secrets = secrets
        self.site = site

    def to_row(self, entry: RegisteredCamera, created_ns: int, updated_ns: int) -> CameraRow:
        camera = entry.camera
        return CameraRow(
            site=self.site,
            id=camera.id,
            name=camera.name,
            source=self._secrets.seal(camera.source.reveal(), self._purpose(camera.id)),
            transport=camera.transport.value,
            record=camera.record.value,
            retention_s=camera.retention,
            managed_by=entry.managed_by.value,
            created_ns=created_ns,
            updated_ns=updated_ns,
        )

    def from_row(self, row: CameraRow) -> RegisteredCamera:
        """Raises SecretUnreadable when the row's source was not sealed for this camera, and CameraUnusable."""
        source = self._secrets.open(row.source, self._purpose(row.id))
        try:
            camera = Camera(
                id=CameraId(row.id),
                name=row.name,
                source=SourceUrl(source),
                transport=Transport(row.transport),
                record=RecordMode(row.record),
                retention=row.retention_s,
            )
            return RegisteredCamera(camera, ManagedBy(row.managed_by))
        except ValidationError as error:
            fields = ", ".join(str(problem["loc"][0]) for problem in error.errors(include_input=False))
            raise CameraUnusable(f"{row.id}: this version does not take its {fields}") from None
        except ValueError as error:
            raise CameraUnusable(f"{row.id}: {error}") from None

    def _purpose(self, camera_id: str) -> str:
        return f"camera/{self.site}/{camera_id}/source"
