"""What recording does with a camera now, in a word."""

from enum import StrEnum


class RecordingState(StrEnum):
    """failed: it should be recorded, or be ready for an event, and is not."""

    RECORDING = "recording"
    WAITING_EVENT = "waiting_event"
    NOT_SCHEDULED = "not_scheduled"
    OFF = "off"
    FAILED = "failed"
