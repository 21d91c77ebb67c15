"""A configured camera: what an administrator says of it, and no live state."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from vms.common.ids import CAMERA_ID_PATTERN, CameraId
from vms.common.quantities import DurationSeconds, between
from vms.common.source_url import SourceUrl


class RecordMode(StrEnum):
    CONTINUOUS = "continuous"
    OFF = "off"


class Transport(StrEnum):
    """How RTP travels from the camera (RFC 2326 §12.39)."""

    TCP = "tcp"
    UDP = "udp"


Retention = Annotated[DurationSeconds, between(1, 36_500 * 86_400)]
"""How long recordings are kept: a second to a century."""


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
    transport: Annotated[Transport, Field(description="how media travels from the camera")] = Transport.TCP
    record: Annotated[RecordMode, Field(description="continuous, or off for live view alone")] = (
        RecordMode.CONTINUOUS
    )
    retention: Annotated[Retention, Field(description="recordings older than this are deleted")] = (
        30 * 86400.0
    )
