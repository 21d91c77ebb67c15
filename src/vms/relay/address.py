"""Where a process serves its hubs."""

from dataclasses import dataclass, field
from pathlib import Path

from vms.common.ids import CameraId
from vms.common.source_url import SourceUrl, with_credentials

USER = "relay"  # the token alone counts


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A relay on this machine: its socket; who may open it may have everything."""

    path: Path

    def url(self, camera_id: CameraId) -> SourceUrl:
        return SourceUrl(f"rtsp://relay/{camera_id}")

    def __str__(self) -> str:
        return self.path.stem


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A relay on another machine. token: the secret that it asks for."""

    host: str
    port: int
    token: str = field(repr=False)

    def url(self, camera_id: CameraId) -> SourceUrl:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return with_credentials(f"rtsp://{host}:{self.port}/{camera_id}", USER, self.token)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


RelayAddress = UnixAddress | TcpAddress
