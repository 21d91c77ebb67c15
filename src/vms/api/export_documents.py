"""The JSON of export jobs and of verification. Names and shapes here are the public contract (docs/api)."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vms.api.documents import Body, Time
from vms.api.evidence_ports import Verification, VerifiedSegment
from vms.api.export_ports import ExportJob
from vms.api.times import TimeNs
from vms.common.camera import TimeZone
from vms.common.clock import rfc3339
from vms.common.ids import CAMERA_ID_PATTERN

_CameraIdText = Annotated[str, Field(pattern=CAMERA_ID_PATTERN)]
CAMERAS_MAX = 32


class BurnIn(Body):
    """What is drawn into the pictures; they are then encoded anew, which takes longer."""

    time: Annotated[bool, Field(description="date and time, below the left corner")] = True
    time_zone: Annotated[TimeZone | None, Field(description="default: that of the site")] = None


class NewExport(Body):
    """Footage to make a file of, in the background."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "cameras": ["porch", "gate"],
                    "start": "2026-11-23T13:00:00Z",
                    "end": "2026-11-23T13:05:00Z",
                    "exact": True,
                    "archive": True,
                    "burn_in": {"time": True, "time_zone": "America/Sao_Paulo"},
                    "title": "Case 4711",
                }
            ]
        }
    )

    cameras: Annotated[list[_CameraIdText], Field(min_length=1, max_length=CAMERAS_MAX)]
    start: TimeNs
    end: TimeNs
    exact: Annotated[bool, Field(description="cut at the times themselves, not at the key frame before")] = (
        True
    )
    burn_in: BurnIn | None = None
    archive: Annotated[
        bool, Field(description="a ZIP with a signed manifest and a player; several cameras need it")
    ] = False
    title: Annotated[str, Field(max_length=200)] = ""
    note: Annotated[str, Field(max_length=4000)] = ""
    asked_by: Annotated[str, Field(max_length=200, description="who wants it; the archive names them")] = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.start >= self.end:
            raise ValueError("start must be before end")
        if len(set(self.cameras)) != len(self.cameras):
            raise ValueError("cameras names one twice")
        if len(self.cameras) > 1 and not self.archive:
            raise ValueError("several cameras make an archive: set archive to true")
        return self


class BurnInView(BaseModel):
    """What is drawn into the pictures."""

    time: bool
    time_zone: str


class ExportDocument(BaseModel):
    """An export: what was asked for and how far it is."""

    id: UUID
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: Annotated[float, Field(ge=0, le=1)]
    stage: Annotated[str, Field(description="what is being done, for a person")]
    bytes: Annotated[int, Field(description="written so far")]
    error: Annotated[str | None, Field(description="why it failed, for a person")]
    created_at: Time
    expires_at: Annotated[Time | None, Field(description="when its file is deleted")]
    file_name: str | None
    url: Annotated[str | None, Field(description="of the file, once it is done")]
    verified: Annotated[
        bool | None, Field(description="whether all that it was cut from is verified; null: not known")
    ]
    cameras: list[str]
    start: Time
    end: Time
    exact: bool
    burn_in: BurnInView | None
    archive: bool
    title: str
    note: str
    asked_by: str


class ExportList(BaseModel):
    """Exports, the newest first."""

    exports: list[ExportDocument]


class VerifiedSegmentDocument(BaseModel):
    """What signature and digests say of one recording."""

    id: UUID
    start: Time
    end: Time
    state: Annotated[
        Literal["verified", "changed", "unsigned", "recording", "unreadable", "untrusted"],
        Field(
            description="recording: not closed yet; untrusted: signed by a key that is none of this system's"
        ),
    ]
    signed_at: Time | None
    node: Annotated[str | None, Field(description="the machine that signed it")]
    key_fingerprint: Annotated[str | None, Field(description="SHA-256 of its public key, hexadecimal")]
    recovered: Annotated[bool, Field(description="signed by repair after a crash, not when it was written")]
    follows: Annotated[
        bool | None,
        Field(
            description="whether it names the recording before it as its predecessor; null: it cannot be said"
        ),
    ]
    detail: Annotated[str, Field(description="for a person; empty where there is nothing to say")]


class VerificationDocument(BaseModel):
    """Whether what was recorded is as it was recorded."""

    state: Annotated[
        Literal["verified", "unverified", "changed", "unsigned", "partial"],
        Field(
            description="of all of it; unverified: nothing is recorded then; partial: some is not verified"
        ),
    ]
    segments: list[VerifiedSegmentDocument]


def export_document(job: ExportJob, file_url: str) -> ExportDocument:
    request = job.request
    burn_in = None if request.burn_in is None else BurnInView(time=True, time_zone=request.burn_in)
    return ExportDocument.model_validate(
        {
            "id": job.id,
            "state": str(job.state),
            "progress": min(max(job.progress, 0.0), 1.0),
            "stage": job.stage,
            "bytes": job.size_bytes,
            "error": job.error or None,
            "created_at": rfc3339(job.created_ns),
            "expires_at": None if job.expires_ns is None else rfc3339(job.expires_ns),
            "file_name": job.file_name,
            "url": file_url if job.state == "done" else None,
            "verified": job.verified,
            "cameras": list(request.cameras),
            "start": rfc3339(request.start_ns),
            "end": rfc3339(request.end_ns),
            "exact": request.exact,
            "burn_in": burn_in,
            "archive": request.archive,
            "title": request.title,
            "note": request.note,
            "asked_by": request.asked_by,
        }
    )


def verification_document(verification: Verification) -> VerificationDocument:
    return VerificationDocument.model_validate(
        {
            "state": str(verification.state),
            "segments": [_verified_segment(segment) for segment in verification.segments],
        }
    )


def _verified_segment(segment: VerifiedSegment) -> dict[str, object]:
    return {
        "id": segment.id,
        "start": rfc3339(segment.start_ns),
        "end": rfc3339(segment.end_ns),
        "state": str(segment.state),
        "signed_at": None if segment.signed_ns is None else rfc3339(segment.signed_ns),
        "node": segment.node,
        "key_fingerprint": segment.key_fingerprint,
        "recovered": segment.recovered,
        "follows": segment.follows,
        "detail": segment.detail,
    }
