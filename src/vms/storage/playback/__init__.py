"""Reading recordings again: timeline, HLS, export, snapshots.

    service    what the API asks for, and its limits
    search     bounded queries of the store; says what is near when nothing is there
    timeline   spans and gaps out of files and recorded gaps
    cutlist    which pieces of which files show a range, each moment once
    hls        a cut list as playlist text
    onward     from a time on, as it is watched: for live view that goes back in time
    export     a cut list as one MP4 that can be verified; samples: its samples; download, files: its bytes
    snapshot   one picture of a file
    verification, verdicts   whether recordings are as they were recorded

Belongs here: everything between recording files and the API. Does not: writing recordings (vms.storage),
what their bytes mean (vms.format), HTTP (vms.api).
"""

from vms.storage.playback.errors import (
    NothingRecorded,
    PictureUnavailable,
    RangeInvalid,
    RangeTooLong,
    RecordingDamaged,
    RecordingGone,
    TooManyExports,
    TooManyVerifications,
)
from vms.storage.playback.export import Export
from vms.storage.playback.ports import RecordingStore
from vms.storage.playback.service import Playback
from vms.storage.playback.timeline import Span, Timeline
from vms.storage.playback.verdicts import Verification, VerifiedSegment
from vms.storage.playback.verification import RecordingVerifier

__all__ = [
    "Export",
    "NothingRecorded",
    "PictureUnavailable",
    "Playback",
    "RangeInvalid",
    "RangeTooLong",
    "RecordingDamaged",
    "RecordingGone",
    "RecordingStore",
    "RecordingVerifier",
    "Span",
    "Timeline",
    "TooManyExports",
    "TooManyVerifications",
    "Verification",
    "VerifiedSegment",
]
