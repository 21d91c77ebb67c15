"""Identifiers that are expensive to change later.

A camera's id is an immutable slug; segments, events and users are UUIDv7 (RFC 9562 §5.7), which
sort by the time they were made.
"""

import os
import re
from typing import NewType
from uuid import UUID

CameraId = NewType("CameraId", str)
CAMERA_ID_PATTERN = r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"
_CAMERA_ID = re.compile(CAMERA_ID_PATTERN)


def camera_id(text: str) -> CameraId:
    """`text` as a camera id; ValueError unless it is a slug of 1 to 63 of ``a-z 0-9 -``."""
    if not _CAMERA_ID.fullmatch(text):
        raise ValueError(f"{text!r} is no camera id; use 1 to 63 of a-z, 0-9 and -, not at the ends")
    return CameraId(text)


def uuid7(wall_ns: int) -> UUID:
    """A UUIDv7 of the given time (RFC 9562 §5.7): 48 bits of milliseconds, 74 random bits."""
    value = (wall_ns // 1_000_000 & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(3 << 62) | 2 << 62
    return UUID(int=value)
