"""A configured camera: what an administrator says of it, and no live state."""

import re
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from vms.common.ids import CAMERA_ID_PATTERN, CameraId
from vms.common.quantities import DurationSeconds, SizeBytes, between
from vms.common.source_url import SourceUrl


class RecordMode(StrEnum):
    """When a camera is recorded. events: around events alone. schedule: as its `schedule` says. off: live view alone."""

    CONTINUOUS = "continuous"
    EVENTS = "events"
    SCHEDULE = "schedule"
    OFF = "off"


class Transport(StrEnum):
    """How RTP travels from the camera (RFC 2326 §12.39)."""

    TCP = "tcp"
    UDP = "udp"


Retention = Annotated[DurationSeconds, between(1, 36_500 * 86_400)]
"""How long recordings are kept: a second to a century."""


EventKind = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""What happened: ``motion``, ``alarm``, …"""
_CLOCK_TIME = re.compile(r"^(?:[01]\d|2[0-3]):[0-5]\d$|^24:00$")


@lru_cache(maxsize=1024)
def _known_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _check_time_zone(name: str) -> str:
    if not _known_time_zone(name):
        raise ValueError(f"{name!r} is no time zone; write one such as America/Sao_Paulo or UTC")
    return name


TimeZone = Annotated[str, AfterValidator(_check_time_zone)]
"""A name of the IANA time zone database."""


class Weekday(StrEnum):
    """In the order of ISO 8601; `datetime.weekday()` is the index."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


class EventRecording(BaseModel):
    """Which events are recorded, and how much around them.

    Footage around these events is the camera's *event footage*, whatever its recording mode: it may be kept longer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kinds: Annotated[tuple[EventKind, ...], Field(min_length=1, max_length=32)] = ("motion", "alarm")
    pre_roll: Annotated[
        DurationSeconds, between(0, 60), Field(description="kept from memory before an event: 0s to 1min")
    ] = 10.0
    post_roll: Annotated[
        DurationSeconds, between(1, 3600), Field(description="recorded after the last event: 1s to 1h")
    ] = 30.0


class ScheduledMode(StrEnum):
    """What is recorded while an entry of a schedule holds."""

    CONTINUOUS = "continuous"
    EVENTS = "events"


class ScheduleEntry(BaseModel):
    """On `days` from `start` up to `end`, local time; an `end` not after `start` is of the next day.

    Local time: where clocks are set back, both passes of an hour belong to it; where they are set forward, the hour that
    is left out is nobody's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: Annotated[tuple[Weekday, ...], Field(min_length=1, max_length=7)] = tuple(Weekday)
    start: Annotated[str, Field(description="HH:MM, local time", examples=["08:00"])] = "00:00"
    end: Annotated[str, Field(description="HH:MM, local time; 24:00 is the end of the day")] = "24:00"
    record: ScheduledMode = ScheduledMode.CONTINUOUS

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        for text in (self.start, self.end):
            if not _CLOCK_TIME.match(text):
                raise ValueError(f"{text!r} is no time of day; write one such as 08:00")
        if self.start == "24:00":
            raise ValueError("start: 24:00 is the next day's 00:00")
        return self


class Schedule(BaseModel):
    """When to record, week by week. Where several entries hold, continuous wins; where none does, nothing is recorded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time_zone: Annotated[TimeZone | None, Field(description="default: that of the site")] = None
    entries: Annotated[tuple[ScheduleEntry, ...], Field(min_length=1, max_length=64)]


class RetentionLimits(BaseModel):
    """What bounds how long footage is kept, beside a camera's `retention`.

    events: event footage is kept so long instead, when that is longer. minimum: before that nothing goes to make room; a
    volume that is full of such footage raises an alarm. maximum: nothing is kept longer, wherever it lies, unless it is
    locked as evidence (privacy law). size: of one camera; the oldest goes first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    events: Retention | None = None
    minimum: Retention | None = None
    maximum: Retention | None = None
    size: Annotated[SizeBytes, Field(ge=1 << 20)] | None = None

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(
                "minimum is longer than maximum; footage would have to be kept and deleted at once"
            )
        return self


class Camera(BaseModel):
    """One configured device. Immutable; a change is a new value under the same id."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[
        CameraId, Field(pattern=CAMERA_ID_PATTERN, description="immutable slug, used in paths and URLs")
    ]
    name: Annotated[str, Field(min_length=1, max_length=200, description="free text shown to people")]
    source: Annotated[
        SourceUrl, Field(description="where the camera is pulled from; credentials are kept encrypted")
    ]
    sub_source: Annotated[
        SourceUrl | None,
        Field(
            description="a smaller stream that the camera encodes beside it, for small tiles; never recorded, "
            "and pulled only while somebody watches it"
        ),
    ] = None
    transport: Annotated[Transport, Field(description="how media travels from the camera")] = Transport.TCP
    record: Annotated[
        RecordMode, Field(description="continuous, around events, by schedule, or off for live view alone")
    ] = RecordMode.CONTINUOUS
    events: Annotated[EventRecording, Field(description="which events, and how much around them")] = (
        EventRecording()
    )
    schedule: Annotated[Schedule | None, Field(description="for record: schedule")] = None
    retention: Annotated[Retention, Field(description="recordings older than this are deleted")] = (
        30 * 86400.0
    )
    retention_class: Annotated[
        str | None,
        Field(
            pattern=r"^[a-z0-9-]{1,63}$",
            description="a name of storage.classes, whose limits hold where `limits` says nothing",
        ),
    ] = None
    limits: Annotated[RetentionLimits, Field(description="what bounds how long footage is kept")] = (
        RetentionLimits()
    )

    @model_validator(mode="after")
    def _check_schedule(self) -> Self:
        if self.record is RecordMode.SCHEDULE and self.schedule is None:
            raise ValueError("schedule: is missing; record: schedule needs one with at least one entry")
        return self

    @field_validator("sub_source")
    @classmethod
    def _check_sub_source(cls, sub_source: SourceUrl | None) -> SourceUrl | None:
        if sub_source is not None and sub_source.scheme != "rtsp":
            raise ValueError("must begin with rtsp://; a publisher sends the main stream alone")
        return sub_source
