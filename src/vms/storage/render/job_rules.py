"""What may be asked for, and how much of it.

Belongs here: bounds on orders and jobs. Does not: room on the disk (room).
"""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from vms.storage.playback.search import check_range
from vms.storage.playback.service import MAX_PLAYED_NS
from vms.storage.render.errors import ExportRefused
from vms.storage.render.values import ExportOrder

MOST_JOBS = 100
MOST_CAMERAS = 32
MOST_TEXT = 4000  # characters of a note
KEPT_NS = 24 * 3600 * 1_000_000_000
"""How long what has ended is kept."""
MOST_ATTEMPTS = 3
"""How often an export is begun whose process ends meanwhile."""
BURNT_SHARE = 1.2  # of the size of recordings, when pictures are encoded anew


def check_order(order: ExportOrder) -> None:
    """Raises ExportRefused, RangeInvalid."""
    check_range(order.start_ns, order.end_ns)
    if order.end_ns - order.start_ns > MAX_PLAYED_NS:
        hours = MAX_PLAYED_NS // (3600 * 1_000_000_000)
        raise ExportRefused(f"the range is longer than {hours} h; export it in parts")
    if not 1 <= len(order.cameras) <= MOST_CAMERAS:
        raise ExportRefused(f"cameras: 1 to {MOST_CAMERAS} can be in one export")
    if len(set(order.cameras)) != len(order.cameras):
        raise ExportRefused("cameras: one is named twice")
    if max(len(order.title), len(order.note), len(order.asked_by)) > MOST_TEXT:
        raise ExportRefused(f"title and note: at most {MOST_TEXT} characters")
    try:
        "".join((order.title, order.note, order.asked_by, *order.names.values())).encode()
    except UnicodeEncodeError:
        raise ExportRefused("title, note or a name holds half a character (a lone surrogate)") from None
    if order.burn_in is not None:
        try:
            ZoneInfo(order.burn_in)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ExportRefused(
                f"burn_in: {order.burn_in!r} is no time zone; write one such as America/Sao_Paulo or UTC"
            ) from None


def likely_bytes(order: ExportOrder, recorded_bytes: int) -> int:
    """What an export needs on the disk at its worst; recorded_bytes: of its range in recordings."""
    size = recorded_bytes * (BURNT_SHARE if order.burn_in is not None else 1.0)
    if order.packed:  # a clip lies beside the archive until it is packed
        size *= 1 + 1 / len(order.cameras)
    return int(size)
