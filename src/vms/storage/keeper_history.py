"""What a media process asks of the past of its cameras, as a catalog tells it.

Belongs here: that one question. Does not: bringing the catalog up to date first (keeper).
"""

from vms.common.ids import CameraId
from vms.format.hybrid import PreviousFile
from vms.media import Gap
from vms.storage.catalog import Catalog
from vms.storage.keeping import History, HistoryQuestion
from vms.storage.layout import MAIN_STREAM


def history_of(catalog: Catalog, question: HistoryQuestion) -> History:
    """Runs in the catalog's thread. Raises CatalogUnusable."""
    ends: dict[CameraId, int] = {}
    resumed: dict[CameraId, int] = {}
    lasting: list[tuple[CameraId, Gap]] = []
    last_file: dict[CameraId, PreviousFile] = {}
    for camera_id, before_ns in question.before_ns.items():
        if (file := catalog.last_file(camera_id, MAIN_STREAM, before_ns)) is not None:
            last_file[camera_id] = file
        if (end_ns := catalog.last_end(camera_id, before_ns)) is not None:
            ends[camera_id] = end_ns
        gaps = catalog.open_gaps(camera_id)
        lasting += [(camera_id, gap) for gap in gaps if gap.start_ns < before_ns]
        since_ns = question.since_ns.get(camera_id)
        if since_ns is not None:
            start_ns = catalog.first_start(camera_id, since_ns, before_ns)
            if start_ns is not None:
                resumed[camera_id] = start_ns
    return History(ends, lasting, resumed, last_file)
