"""The JSON of volumes and alarms. Names and shapes here are the public contract (docs/api)."""

from collections.abc import Iterable
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from vms.api.alarms import RaisedAlarm
from vms.api.documents import Time
from vms.api.volume_ports import VolumeStatus
from vms.common.clock import rfc3339


class TierDocument(BaseModel):
    """Where recordings of a volume go when they are older."""

    name: str
    kind: Literal["directory", "s3"]
    used_bytes: int
    quota_bytes: int
    error: Annotated[str | None, Field(description="why it cannot be used, for a person")]


class VolumeDocument(BaseModel):
    """A volume as its keeper sees it."""

    path: Annotated[str, Field(examples=["/var/lib/vms/recordings"])]
    id: Annotated[UUID | None, Field(description="of its identity file; null while it is not known")]
    state: Literal["ok", "failed", "full", "read_only", "starting"]
    error: Annotated[str | None, Field(description="what is wrong, for a person")]
    used_bytes: Annotated[int, Field(description="by recordings on the volume itself")]
    quota_bytes: int
    room_bytes: Annotated[int, Field(description="what its file system still takes")]
    encrypted: Annotated[bool, Field(description="what is recorded from now on is encrypted at rest")]
    tiers: list[TierDocument]
    locked_bytes: Annotated[int, Field(description="under evidence locks, tiers included")]
    alarms: Annotated[list[str], Field(description="slugs; see GET /alarms")]
    found: Annotated[
        dict[str, int],
        Field(description="recordings by what was found of them: repaired, empty, unreadable, missing, …"),
    ]


class VolumeList(BaseModel):
    """The volumes, in the order of the configuration."""

    volumes: list[VolumeDocument]


class AlarmDocument(BaseModel):
    """Something that a person has to look at."""

    slug: Annotated[str, Field(examples=["camera_not_recorded"])]
    severity: Literal["warning", "critical"]
    text: Annotated[str, Field(description="what is wrong and what to do, for a person")]
    since: Annotated[Time, Field(description="when it was first seen by the process that answers")]
    camera_id: str | None
    volume: Annotated[str | None, Field(description="its path")]


class AlarmList(BaseModel):
    """What is wrong now, the critical first, then the oldest."""

    alarms: list[AlarmDocument]


def volume_document(volume: VolumeStatus) -> VolumeDocument:
    return VolumeDocument.model_validate(
        {
            "path": volume.path,
            "id": volume.id,
            "state": volume.state,
            "error": volume.error or None,
            "used_bytes": volume.used_bytes,
            "quota_bytes": volume.quota_bytes,
            "room_bytes": volume.room_bytes,
            "encrypted": volume.encrypted,
            "tiers": [
                {
                    "name": tier.name,
                    "kind": tier.kind,
                    "used_bytes": tier.used_bytes,
                    "quota_bytes": tier.quota_bytes,
                    "error": tier.error or None,
                }
                for tier in volume.tiers
            ],
            "locked_bytes": volume.locked_bytes,
            "alarms": list(volume.alarms),
            "found": dict(volume.found),
        }
    )


def alarm_list(alarms: Iterable[RaisedAlarm]) -> AlarmList:
    return AlarmList(
        alarms=[
            AlarmDocument(
                slug=raised.alarm.slug,
                severity=raised.alarm.severity,
                text=raised.text,
                since=rfc3339(raised.since_ns),
                camera_id=raised.alarm.camera_id,
                volume=raised.alarm.volume,
            )
            for raised in alarms
        ]
    )
