"""Times in requests: RFC 3339 with a zone, and nothing looser; ranges of them."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query
from pydantic import BeforeValidator, WithJsonSchema

from vms.api.problems import InvalidParameter
from vms.common.clock import NS

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII
)
_EXAMPLE = "2026-11-23T14:05:00Z"
_AFTER_ALL_S = 7_258_118_400  # 2200-01-01: catalogs count in 64-bit nanoseconds, which end in 2262
_DAY_NS = 86_400 * NS
LONGEST_TIMELINE_NS = 400 * _DAY_NS
LONGEST_PLAYBACK_NS = _DAY_NS + 3600 * NS  # a local day, also the one on which clocks are set back

TimeText = Annotated[
    str, Query(max_length=64, description="RFC 3339, with a zone", examples=["2026-11-23T14:05:00Z"])
]


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Half-open, Unix nanoseconds; start before end."""

    start_ns: int
    end_ns: int


def parse_time(text: str, name: str) -> int:
    """Unix nanoseconds for the query parameter `name`. Raises InvalidParameter."""
    try:
        return _moment_ns(text)
    except ValueError as error:
        # A + in a query is a space unless it is written %2B: the usual slip with offsets.
        hint = "; write + as %2B in a URL" if " " in text else ""
        raise InvalidParameter(f"query.{name}", f"{error}{hint}") from None


def parse_range(start: str, end: str, longest_ns: int) -> TimeRange:
    """The range of two parameters. Raises InvalidParameter when it is empty, reversed or too long."""
    return _range(parse_time(start, "start"), parse_time(end, "end"), longest_ns)


def parse_range_or_last_day(start: str | None, end: str | None, now_ns: int, longest_ns: int) -> TimeRange:
    """As `parse_range`; without `end` up to now, without `start` the 24 hours before the end."""
    end_ns = now_ns if end is None else parse_time(end, "end")
    start_ns = max(0, end_ns - _DAY_NS) if start is None else parse_time(start, "start")
    return _range(start_ns, end_ns, longest_ns)


def _moment_ns(text: object) -> int:
    """Unix nanoseconds for RFC 3339 text; ValueError, which repeats nothing of it, for what is none."""
    match = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"is no RFC 3339 time; write it as {_EXAMPLE}")
    date, time_of_day, fraction, zone = match.groups()
    if zone is None:
        raise ValueError(f"has no time zone; write it as {_EXAMPLE}")
    try:
        moment = datetime.fromisoformat(f"{date}T{time_of_day}{zone.upper().replace('Z', '+00:00')}")
        seconds = int(moment.astimezone(UTC).timestamp())
    except (ValueError, OverflowError):
        raise ValueError(f"is no date and time that exists; write it as {_EXAMPLE}") from None
    if not 0 <= seconds < _AFTER_ALL_S:
        raise ValueError("must be a time of the years 1970 to 2199")
    return seconds * NS + int((fraction or "0").ljust(9, "0"))


TimeNs = Annotated[
    int,
    BeforeValidator(_moment_ns),
    WithJsonSchema({"type": "string", "description": "RFC 3339, with a zone", "examples": [_EXAMPLE]}),
]
"""A time in a body, as Unix nanoseconds."""


def _range(start_ns: int, end_ns: int, longest_ns: int) -> TimeRange:
    if start_ns >= end_ns:
        raise InvalidParameter("query.start", "must be before end")
    if end_ns - start_ns > longest_ns:
        hours = longest_ns // (3600 * NS)
        raise InvalidParameter("query.end", f"is more than {hours} hours after start; ask for less at a time")
    return TimeRange(start_ns, end_ns)
