"""Durations and sizes as people write them: ``5min``, ``30d``, ``50GiB``."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

_DURATION_UNITS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
_SIZE_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_MOST = 1e15  # a number beyond it, or one that is infinite or none, is a slip in any unit
_QUANTITY = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*$")


def _parse(value: object, units: dict[str, float] | dict[str, int], example: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MOST:
        return float(value)
    match = _QUANTITY.match(value) if isinstance(value, str) else None
    if match is None or match[2] not in units or float(match[1]) > _MOST:
        raise ValueError(f"write a number and one of {', '.join(units)}, such as {example}")
    return float(match[1]) * units[match[2]]


def parse_duration_s(value: object) -> float:
    """Seconds from a number of seconds or text such as ``500ms``, ``5min``, ``30d``."""
    return _parse(value, _DURATION_UNITS, "5min or 30d")


def parse_size_bytes(value: object) -> int:
    """Bytes from a number of bytes or text such as ``50GiB``."""
    return int(_parse(value, _SIZE_UNITS, "50GiB"))


def format_duration(seconds: float) -> str:
    """The shortest exact text for a duration: ``30d``, ``5min``, ``500ms``."""
    for unit in ("d", "h", "min", "s"):
        scale = _DURATION_UNITS[unit]
        if seconds >= scale and seconds % scale == 0:
            return f"{int(seconds // scale)}{unit}"
    return f"{round(seconds * 1000)}ms"


def between(shortest_s: float, longest_s: float) -> AfterValidator:
    """Bounds of a duration, named in the error in the units that people write."""

    def check(seconds: float) -> float:
        if not shortest_s <= seconds <= longest_s:
            raise ValueError(f"must be {format_duration(shortest_s)} to {format_duration(longest_s)}")
        return seconds

    return AfterValidator(check)


def format_size(size_bytes: int) -> str:
    """The shortest exact text for a size: ``50GiB``."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size_bytes >= _SIZE_UNITS[unit] and size_bytes % _SIZE_UNITS[unit] == 0:
            return f"{size_bytes // _SIZE_UNITS[unit]}{unit}"
    return f"{size_bytes}B"


DurationSeconds = Annotated[
    float,
    BeforeValidator(parse_duration_s),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "type": ["string", "number"],
            "examples": ["5min", "30d"],
            "description": "seconds, or a number and ms, s, min, h or d",
        }
    ),
]
SizeBytes = Annotated[
    int,
    BeforeValidator(parse_size_bytes),
    PlainSerializer(format_size, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "type": ["string", "integer"],
            "examples": ["50GiB"],
            "description": "bytes, or a number and KiB, MiB, GiB or TiB",
        }
    ),
]
