"""Work on recordings that costs much: thumbnails, exports that are made in the background.

    service          what others ask for
    thumbnails       small pictures of moments: who waits, in which order; key_pictures finds and decodes them
    thumbnail_cache  those that were made; thumbnail_store keeps them on disk; strip puts many into one
    jobs             exports in the background; job_files keeps them, job_rules bounds them
    making           how one export is made: clip (copied), burn_in and drawing (with the time), archive, player
    control          all of it over the control socket of a process

Belongs here: what may take seconds of CPU and must disturb nobody. Does not: finding and reading recordings
(vms.storage.playback), HTTP (vms.api).
"""

from vms.storage.render.errors import ExportRefused, JobNotFound, NoRoomForExport
from vms.storage.render.service import RenderService
from vms.storage.render.values import ExportJob, ExportOrder, JobState, Rendering, Strip, Thumbnail

__all__ = [
    "ExportJob",
    "ExportOrder",
    "ExportRefused",
    "JobNotFound",
    "JobState",
    "NoRoomForExport",
    "RenderService",
    "Rendering",
    "Strip",
    "Thumbnail",
]
