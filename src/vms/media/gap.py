"""What was lost: recorded, counted and told to the viewer, never hidden."""

from dataclasses import dataclass
from enum import StrEnum


class GapReason(StrEnum):
    CAMERA_LOST = "camera_lost"  # the connection ended or the camera stopped answering
    NO_FRAMES = "no_frames"  # connected, but no pictures came; the watchdog ended it
    PACKET_LOSS = "packet_loss"  # RTP packets were missing; pictures up to the next key frame are left out
    CLOCK_JUMP = "clock_jump"  # the camera's clock stepped
    OVERRUN = "overrun"  # a consumer, a disk for example, was too slow for its bounded queue
    DISK_ERROR = "disk_error"  # the volume refused to write
    RECORDING_OFF = "recording_off"  # an administrator turned recording off
    NO_EVENT = "no_event"  # only footage around events is recorded, and there was none
    NOT_SCHEDULED = "not_scheduled"  # the camera's schedule records nothing then
    SYSTEM_STOPPED = "system_stopped"  # this system was stopped, or had crashed
    UNKNOWN = "unknown"  # found between recordings, its cause not recorded


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of a stream that is missing.

    start_ns: wall-clock time (UTC) of the end of the last whole unit before it.
    end_ns: wall-clock time of the first unit after it; None while it lasts.
    detail: what happened, in words for a person; no credentials.
    """

    start_ns: int
    end_ns: int | None
    reason: GapReason
    detail: str = ""
