"""The live state of one camera's stream, as the API shows it."""

from dataclasses import dataclass
from enum import StrEnum

from vms.media import Codec


class CameraState(StrEnum):
    CONNECTING = "connecting"
    LIVE = "live"
    FAILED = "failed"  # waiting to try again; `reason` says why
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """reason: why the stream is not live, for a person; reason_code: the same as a slug for programs.

    fps: pictures a second and bitrate: bits a second, both measured over the last seconds.
    last_frame_ns: capture time of the newest picture, Unix ns; None before the first.
    clock_offset_ms: the camera's wall clock minus ours at its last sender report; None when it sends none.
    """

    state: CameraState
    reason: str | None = None
    reason_code: str | None = None
    codec: Codec | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    bitrate: int | None = None
    audio: Codec | None = None
    last_frame_ns: int | None = None
    clock_offset_ms: float | None = None
