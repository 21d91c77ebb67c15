"""Cameras as rows of the database."""

from vms.common.secrets import Secrets
from vms.gateway.camera_policy import plain_record, policy_text
from vms.gateway.registered import RegisteredCamera, opened_camera, sealed_sub_source, source_purpose
from vms.gateway.tables import CameraRow


class CameraRows:
    """Turns cameras of one site into rows and back."""

    def __init__(self, secrets: Secrets, site: str) -> None:
        self._secrets = secrets
        self.site = site

    def to_row(self, entry: RegisteredCamera, created_ns: int, updated_ns: int, revision: int) -> CameraRow:
        camera = entry.camera
        return CameraRow(
            site=self.site,
            id=camera.id,
            name=camera.name,
            source=self._secrets.seal(camera.source.reveal(), source_purpose(self.site, camera.id)),
            sub_source=sealed_sub_source(self._secrets, self.site, camera),
            transport=camera.transport.value,
            record=plain_record(camera),
            policy=policy_text(camera),
            retention_s=camera.retention,
            managed_by=entry.managed_by.value,
            created_ns=created_ns,
            updated_ns=updated_ns,
            revision=revision,
        )

    def from_row(self, row: CameraRow) -> RegisteredCamera:
        """Raises SecretUnreadable when the row's source was not sealed for this camera, and CameraUnusable."""
        return opened_camera(
            self._secrets,
            self.site,
            camera_id=row.id,
            name=row.name,
            sealed_source=row.source,
            transport=row.transport,
            record=row.record,
            policy=row.policy,
            retention_s=row.retention_s,
            managed_by=row.managed_by,
            sealed_sub_source=row.sub_source,
        )
