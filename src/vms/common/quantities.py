"""Durations and sizes as people write them: ``5min``, ``30d``, ``50GiB``."""

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_DURATION_UNITS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
_SIZE_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_QUANTITY = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*$")


def _parse(value: object, units: dict[str, float] | dict[str, int], example: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = _QUANTITY.match(value) if isinstance(value, str) else None
    if match is None or match[2] not in units:
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
