"""What recording files are called, and when segments are cut.

``VOLUME/CAMERA/2026-11-23/14-05-00.000Z-main.mp4``: a person finds footage with a file browser, and
names alone sort by time. The catalog stores a name only where it is not the one given here.

Belongs here: names and times. Does not: touching files (disk), choosing volumes (service).
"""

import re
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from vms.common.clock import NS, parse_rfc3339, rfc3339
from vms.common.ids import CAMERA_ID_PATTERN

IDENTITY_NAME = "vms-volume.json"
OWNER_NAME = ".vms-owner"
CATALOG_NAME = "vms-catalog.sqlite3"
UNREADABLE_SUFFIX = ".unreadable"
ZEROS_SUFFIX = ".zero-filled"
FOREIGN_SUFFIX = ".foreign"
ASIDE_SUFFIXES = (UNREADABLE_SUFFIX, ZEROS_SUFFIX, FOREIGN_SUFFIX)
"""What files are called that were set aside."""
MAIN_STREAM = "main"
DAY_NS = 86400 * NS

_CAMERA = re.compile(CAMERA_ID_PATTERN)
_DAY = re.compile(r"^-?\d{4,}-\d{2}-\d{2}$")
_FILE = re.compile(r"^\d{2}-\d{2}-\d{2}\.\d{3}Z-[a-z0-9-]+\.mp4$")
_TIME = re.compile(r"^(\d{2})-(\d{2})-(\d{2})\.(\d{3})Z-")


def recording_name(camera_id: str, start_ns: int, stream: str, copy: int = 1) -> str:
    """The name of a recording relative to its volume; `copy` from 2 on resolves a clash."""
    ms = start_ns // 1_000_000
    hour, minute, second = ms // 3_600_000 % 24, ms // 60_000 % 60, ms // 1000 % 60
    suffix = f"-{copy}" if copy > 1 else ""
    day = _day_name(ms // 86_400_000)
    return f"{camera_id}/{day}/{hour:02d}-{minute:02d}-{second:02d}.{ms % 1000:03d}Z-{stream}{suffix}.mp4"


@lru_cache(maxsize=400)  # a catalog names thousands of files of few days
def _day_name(day: int) -> str:
    return rfc3339(day * DAY_NS).split("T")[0]


def is_camera_directory(name: str) -> bool:
    return _CAMERA.match(name) is not None


def is_day_directory(name: str) -> bool:
    return _DAY.match(name) is not None


def is_recording_file(name: str) -> bool:
    """Whether `name` looks like one that this system gives; foreign files are left alone."""
    return _FILE.match(name) is not None


def is_recording_name(name: str) -> bool:
    """Whether `name`, relative to a volume, is of the form that `recording_name` gives."""
    parts = name.split("/")
    return (
        len(parts) == 3
        and is_camera_directory(parts[0])
        and is_day_directory(parts[1])
        and is_recording_file(parts[2])
    )


def day_name(start_ns: int) -> str:
    """The name of the directory of the day (UTC) that `start_ns` lies in."""
    return _day_name(start_ns // DAY_NS)


def day_start_ns(day: str) -> int | None:
    """When a day directory's day begins (UTC); None for a name that is no date."""
    try:
        return parse_rfc3339(f"{day}T00:00:00Z")
    except ValueError:
        return None


def recording_start_ns(path: Path) -> int | None:
    """When a recording begins (UTC, to the millisecond), as its name and its day's tell; None where they do not."""
    day_ns = day_start_ns(path.parent.name)
    found = _TIME.match(path.name)
    if day_ns is None or found is None:
        return None
    hours, minutes, seconds, ms = map(int, found.groups())
    return day_ns + (((hours * 60 + minutes) * 60 + seconds) * 1000 + ms) * 1_000_000


def cut_after_ns(camera_id: str, start_ns: int, segment_ns: int) -> int:
    """The wall-clock time at which a segment that begins at `start_ns` is due to be cut.

    Cuts stand on multiples of the segment length since the epoch, moved by a part of it that depends
    on the camera alone: two cameras do not close their files together, and a restart cuts where
    the cuts would have been.
    """
    share = int.from_bytes(blake2b(camera_id.encode(), digest_size=4).digest())
    offset_ns = segment_ns * share >> 32
    return ((start_ns - offset_ns) // segment_ns + 1) * segment_ns + offset_ns
