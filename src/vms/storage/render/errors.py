"""What can be wrong with thumbnails and exports in the background.

InvalidInput
└── ExportRefused     an order that cannot be carried out as it is
Unavailable
├── NoLongerWanted    newer requests took the place of this one
├── NoRoomForExport   the disk, or what exports may use of it, is full
└── ExportDamaged     the disk does not give back what was written
Conflict
└── TooManyJobs       as many exports as are kept
NotFound
└── JobNotFound       no export of that id, or it has expired
"""

from vms.common.errors import Conflict, InvalidInput, NotFound, Unavailable


class ExportRefused(InvalidInput):
    """The order cannot be carried out as it is; the text says what to change."""


class NoLongerWanted(Unavailable):
    """Newer requests took the place of this one."""


class NoRoomForExport(Unavailable):
    """There is not enough room for the export; the text says how much is missing where."""


class ExportDamaged(Unavailable):
    """What was written is not on the disk as it was written."""


class TooManyJobs(Conflict):
    """As many exports as are kept; delete some."""


class JobNotFound(NotFound):
    """No export of that id, or it has expired."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no export {job_id}; it may have expired or been deleted")
