"""Where a process serves its hubs."""

from dataclasses import dataclass, field
from pathlib import Path

from vms.common.errors import NotFound
from vms.common.ids import CameraId, camera_id
from vms.common.source_url import SourceUrl, with_credentials
from vms.common.stream_name import StreamName

USER = "relay"  # the token alone counts


def stream_path(camera_id: CameraId, stream: StreamName) -> str:
    """Which of a camera's streams, as servers have it in their paths: ``porch``, ``porch/sub``."""
    return camera_id if stream is StreamName.MAIN else f"{camera_id}/{stream}"


def parse_stream_path(path: str) -> tuple[CameraId, StreamName]:
    """The camera and the stream that a path such as ``/porch``, ``/porch/main`` or ``/porch/sub`` means.

    Raises NotFound.
    """
    name, slash, stream = path.removeprefix("/").partition("/")
    try:
        return camera_id(name), StreamName(stream) if slash else StreamName.MAIN
    except ValueError as error:
        raise NotFound(
            f"nothing is served at {path}; write /CAMERA or /CAMERA/{'|'.join(StreamName)}"
        ) from error


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A relay on this machine: its socket; who may open it may have everything."""

    path: Path

    def url(self, camera_id: CameraId, stream: StreamName = StreamName.MAIN) -> SourceUrl:
        return SourceUrl(f"rtsp://relay/{stream_path(camera_id, stream)}")

    def __str__(self) -> str:
        return self.path.stem


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A relay on another machine. token: the secret that it asks for."""

    host: str
    port: int
    token: str = field(repr=False)

    def url(self, camera_id: CameraId, stream: StreamName = StreamName.MAIN) -> SourceUrl:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return with_credentials(
            f"rtsp://{host}:{self.port}/{stream_path(camera_id, stream)}", USER, self.token
        )

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


RelayAddress = UnixAddress | TcpAddress
