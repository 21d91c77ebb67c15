"""The JSON that the API takes and gives. Names and shapes here are the public contract (docs/api)."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from vms.api.stream_views import SubStreamView, WebRtcView
from vms.api.times import TimeNs
from vms.common.camera import (
    Camera,
    EventKind,
    EventRecording,
    RecordMode,
    Retention,
    RetentionLimits,
    Schedule,
    ScheduleEntry,
    TimeZone,
    Transport,
)
from vms.common.ids import CAMERA_ID_PATTERN
from vms.common.quantities import DurationSeconds, SizeBytes
from vms.common.source_url import SourceUrl

Time = Annotated[str, Field(description="RFC 3339, UTC", examples=["2026-11-23T14:05:00.000Z"])]
_SOURCE = "where the camera is pulled from, credentials included; they are kept encrypted and never shown"


class Body(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class NewCamera(Camera):
    """A camera to add."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "porch",
                    "name": "Front porch",
                    "source": "rtsp://user:secret@192.0.2.10/stream1",
                    "record": "continuous",
                    "retention": "30d",
                }
            ]
        }
    )


_MAY_BE_NULL = ("sub_source", "schedule", "retention_class")


def _without_null(schema: dict[str, Any]) -> None:
    for name, field in schema["properties"].items():
        field.pop("default", None)
        if name in _MAY_BE_NULL:
            continue
        alternatives = [kind for kind in field.pop("anyOf", ()) if kind != {"type": "null"}]
        field.update(*alternatives)
    schema["examples"] = [{"name": "Back door", "record": "off"}]


class EventRecordingChanges(Body):
    """What to change of `events`; null is the default again."""

    kinds: Annotated[tuple[EventKind, ...], Field(min_length=1, max_length=32)] | None = None
    pre_roll: DurationSeconds | None = None
    post_roll: DurationSeconds | None = None


class ScheduleChanges(Body):
    """What to change of `schedule`; entries are given all at once. A null time zone is that of the site."""

    time_zone: TimeZone | None = None
    entries: Annotated[tuple[ScheduleEntry, ...], Field(min_length=1, max_length=64)] | None = None


class LimitsChanges(Body):
    """What to change of `limits`; null takes a limit away."""

    events: Retention | None = None
    minimum: Retention | None = None
    maximum: Retention | None = None
    size: Annotated[SizeBytes, Field(ge=1 << 20)] | None = None


class CameraChanges(BaseModel):
    """What to change of a camera; what is left out stays as it is (RFC 7396). The id never changes."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_without_null)

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    source: Annotated[
        SourceUrl | None,
        Field(
            description=f"{_SOURCE}. The present address without credentials, as GET shows it, keeps them; "
            "any other address is taken as it is"
        ),
    ] = None
    sub_source: Annotated[
        SourceUrl | None,
        Field(description="as `source`, for its sub stream; null: it has none"),
    ] = None
    transport: Transport | None = None
    record: RecordMode | None = None
    events: EventRecordingChanges | None = None
    schedule: Annotated[ScheduleChanges | None, Field(description="null: it has none")] = None
    retention: Retention | None = None
    retention_class: Annotated[
        str | None, Field(pattern=r"^[a-z0-9-]{1,63}$", description="null: it has none")
    ] = None
    limits: LimitsChanges | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_null(cls, value: object, info: ValidationInfo) -> object:
        if value is None and info.field_name not in _MAY_BE_NULL:
            raise ValueError("cannot be null; leave it out to keep it as it is")
        return value

    def given(self) -> dict[str, object]:
        """The fields that the request named; of those with fields of their own, the same."""
        given: dict[str, object] = {}
        for name in self.model_fields_set:
            value = getattr(self, name)
            given[name] = value.model_dump(exclude_unset=True) if isinstance(value, Body) else value
        return given


class CameraDocument(BaseModel):
    """A camera: its configuration without secrets, and its live state."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "porch",
                    "name": "Front porch",
                    "source": "rtsp://192.0.2.10/stream1",
                    "sub_source": "rtsp://192.0.2.10/stream2",
                    "transport": "tcp",
                    "record": "continuous",
                    "events": {"kinds": ["motion", "alarm"], "pre_roll": "10s", "post_roll": "30s"},
                    "schedule": None,
                    "retention": "30d",
                    "retention_class": None,
                    "limits": {"events": "90d", "minimum": None, "maximum": "180d", "size": None},
                    "managed_by": "api",
                    "state": "live",
                    "reason": None,
                    "reason_code": None,
                    "codec": "h264",
                    "width": 1920,
                    "height": 1080,
                    "fps": 25.0,
                    "bitrate": 4_012_345,
                    "audio": "aac",
                    "last_frame_at": "2026-11-23T14:05:00.040Z",
                    "sub": {
                        "state": "stopped",
                        "reason": None,
                        "reason_code": None,
                        "codec": "h264",
                        "width": 640,
                        "height": 360,
                        "fps": None,
                        "bitrate": None,
                    },
                    "recording": True,
                    "recording_state": "recording",
                    "recording_error": None,
                    "viewers": 2,
                    "webrtc": {"playable": True, "reason": None, "detail": ""},
                }
            ]
        }
    )

    id: Annotated[str, Field(pattern=CAMERA_ID_PATTERN)]
    name: str
    source: Annotated[str, Field(description="without credentials; values in its query are hidden")]
    sub_source: Annotated[str | None, Field(description="likewise; null for a camera without a sub stream")]
    transport: Transport
    record: RecordMode
    events: EventRecording
    schedule: Schedule | None
    retention: Annotated[str, Field(examples=["30d"])]
    retention_class: str | None
    limits: RetentionLimits
    managed_by: Annotated[
        Literal["file", "api"], Field(description="file: locked, change it in the configuration file")
    ]
    state: Literal["connecting", "live", "failed", "stopped"]
    reason: Annotated[str | None, Field(description="why it is not live, for a person")]
    reason_code: Annotated[
        str | None, Field(description="the same for programs", examples=["unreachable", "unauthorized"])
    ]
    codec: Annotated[str | None, Field(examples=["h264", "h265"])]
    width: Annotated[int | None, Field(description="pixels")]
    height: Annotated[int | None, Field(description="pixels")]
    fps: Annotated[float | None, Field(description="pictures a second, as measured")]
    bitrate: Annotated[int | None, Field(description="bits a second, as measured")]
    audio: Annotated[str | None, Field(description="audio codec", examples=["aac", "pcmu", "opus"])]
    last_frame_at: Time | None
    sub: Annotated[SubStreamView | None, Field(description="null for a camera without a sub stream")]
    recording: Annotated[bool, Field(description="being written to disk now")]
    recording_state: Annotated[
        Literal["recording", "waiting_event", "not_scheduled", "off", "failed"],
        Field(description="what recording does now; failed: it should record and does not"),
    ]
    recording_error: Annotated[
        str | None, Field(description="why what the camera delivers is not being kept, for a person")
    ]
    viewers: Annotated[int, Field(description="WebRTC viewers now")]
    webrtc: WebRtcView


class CameraList(BaseModel):
    """All cameras, by id."""

    cameras: list[CameraDocument]


class SpanDocument(BaseModel):
    """A stretch that is recorded without interruption."""

    start: Time
    end: Time


class SegmentDocument(BaseModel):
    """One recording file."""

    id: UUID
    start: Time
    end: Time
    bytes: int
    video: Annotated[str | None, Field(examples=["h264"])]
    audio: Annotated[str | None, Field(examples=["aac"])]
    closed: Annotated[bool, Field(description="it will not grow")]
    tier: Annotated[str, Field(description="where its file lies: a tier's name, or empty for its volume")]
    url: Annotated[str, Field(description="the file itself; byte ranges are supported")]


class GapDocument(BaseModel):
    """A stretch that is missing."""

    start: Time
    end: Annotated[Time | None, Field(description="null while it lasts")]
    reason: Annotated[
        str,
        Field(
            description="camera_lost, no_frames, packet_loss, clock_jump, overrun, disk_error, recording_off, "
            "system_stopped or unknown",
            examples=["camera_lost"],
        ),
    ]


class Recordings(BaseModel):
    """What is recorded in a range. Segments are whole files and may reach beyond it."""

    spans: list[SpanDocument]
    segments: list[SegmentDocument]
    gaps: list[GapDocument]


class Health(BaseModel):
    status: Annotated[str, Field(examples=["ok"])]


class ProcessDocument(BaseModel):
    """One process of the system on this machine."""

    model_config = ConfigDict(from_attributes=True)

    role: Literal[
        "supervisor", "media", "stream", "api", "keeper", "render", "transcode", "quic", "srt", "nats"
    ]
    worker: Annotated[str, Field(examples=["media-0"])]
    pid: Annotated[int, Field(description="0 while it is not running")]
    state: Literal["starting", "running", "stopping", "waiting", "stopped"]
    cameras: Annotated[int, Field(description="cameras that it pulls")]
    viewers: Annotated[int, Field(description="viewers that it sends to")]
    cpu_percent: Annotated[float, Field(description="of one core, over the last seconds")]
    memory_bytes: Annotated[int, Field(description="resident")]
    loop_lag_ms: Annotated[
        float | None,
        Field(description="how late its event loop ran what was due: 99th percentile of a minute"),
    ]
    restarts: int
    uptime_s: float
    detail: Annotated[str, Field(description="what is wrong, for a person; empty when nothing is")]


class ProcessesDocument(BaseModel):
    """The processes of the system on this machine."""

    processes: list[ProcessDocument]


class RestartedDocument(BaseModel):
    """workers: those that are restarted."""

    workers: list[str]


class EventDocument(BaseModel):
    """Something that happened in the system."""

    id: Annotated[str, Field(description="UUIDv7; the same event is the same id")]
    at: Time
    kind: Annotated[
        str,
        Field(
            description="camera_live, camera_failed, worker_started, worker_ended, worker_hung; more may come",
            examples=["camera_failed"],
        ),
    ]
    camera: Annotated[
        str | None, Field(description="the camera's id; null where it is about none", examples=["porch"])
    ]
    worker: Annotated[
        str | None, Field(description="the process that it is about, or that tells it", examples=["media-0"])
    ]
    text: Annotated[str, Field(description="what happened, for a person", examples=["no answer in 10.0 s"])]
    facts: Annotated[
        dict[str, str], Field(description="the same for programs", examples=[{"reason_code": "unreachable"}])
    ]


class EventList(BaseModel):
    """Events, the newest first. next_cursor: the `cursor` of those before; null when there are none."""

    events: list[EventDocument]
    next_cursor: str | None


class NewEvent(Body):
    """Something that happened at a camera, told by another system."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "motion", "camera_id": "porch", "text": "a person", "facts": {"zone": "door"}}
            ]
        }
    )

    kind: EventKind
    camera_id: Annotated[str, Field(pattern=CAMERA_ID_PATTERN)]
    at: Annotated[TimeNs | None, Field(description="default: now")] = None
    text: Annotated[str, Field(max_length=1000, description="what happened, for a person")] = ""
    facts: Annotated[
        dict[
            Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")],
            Annotated[str, Field(max_length=500)],
        ],
        Field(max_length=20, description="the same for programs"),
    ] = {}


class AcceptedEvent(BaseModel):
    """id: of the event in GET /events, a moment later."""

    id: str


class SiteDocument(BaseModel):
    """The place that the system watches."""

    name: str
    time_zone: Annotated[str, Field(examples=["America/Sao_Paulo"])]


class SystemDocument(BaseModel):
    """The system itself."""

    version: Annotated[str, Field(examples=["0.1.0"])]
    now: Time
    site: SiteDocument


class Login(Body):
    """The token of the configuration (http.token)."""

    token: Annotated[str, Field(max_length=4096, examples=["the value of http.token"])]


class Session(BaseModel):
    """required: a token is configured. authenticated: this request may use the API."""

    required: bool
    authenticated: bool
    version: Annotated[str, Field(examples=["0.1.0"])]
