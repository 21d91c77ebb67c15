"""Whether a recording is the one that its name says: ``CAMERA/2026-11-23/14-05-00.000Z-main.mp4``.

A signed recording proves itself, whatever it is called. But two whose names were exchanged would be shown for each other
by who goes by names.

Belongs here: names against what was signed. Does not: giving names (vms.storage.layout).
"""

import re
from pathlib import Path

from vms.common.clock import NS, parse_rfc3339, rfc3339
from vms.evidence.report import SourceReport

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_FILE = re.compile(r"(\d{2})-(\d{2})-(\d{2}\.\d{3}Z)-([a-z0-9-]+?)(-\d+)?\.mp4")
_NEAR_NS = 2 * NS
"""A name is of the first sample that came, which may be sound from before the first picture."""


def check_name(path: Path, source: SourceReport) -> str | None:
    """What does not fit; None when all does, or when the name is not one that recordings are given."""
    camera_id, day, name = ("", "", "", *path.absolute().parts)[-3:]
    found = _FILE.fullmatch(name)
    if found is None or not _DAY.fullmatch(day) or source.identity is None or source.start_ns is None:
        return None
    hour, minute, second, stream, copy = found.groups()
    try:
        named_ns = parse_rfc3339(f"{day}T{hour}:{minute}:{second}")
    except ValueError:
        return None
    identity = source.identity
    # The number of a copy looks like a part of the stream's name
    fits = camera_id == identity.camera_id and identity.stream in (stream, f"{stream}{copy or ''}")
    if fits and abs(named_ns - source.start_ns) <= _NEAR_NS:
        return None
    return (
        f"its name is that of another recording: it is of {identity.camera_id}/{identity.stream}, from "
        f"{rfc3339(source.start_ns)}"
    )
