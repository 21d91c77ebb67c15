"""Wall (UTC) and monotonic time, injected wherever time is read.

Wall time is integer nanoseconds since the Unix epoch (`*_ns`), monotonic time integer nanoseconds
of an unspecified origin (`arrival_ns`, `monotonic_ns`). RFC 3339 text exists only at the edges.
"""

import time
from datetime import UTC, datetime
from typing import Protocol

NS = 1_000_000_000


class Clock(Protocol):
    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch, UTC."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that never step back, of an unspecified origin."""


class SystemClock:
    """The machine's own clocks."""

    # Not methods that call them: one is asked with every read of every socket
    wall_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)


class ManualClock:
    """A clock that moves only when told to; for tests."""

    def __init__(self, wall_ns: int = 1_700_000_000 * NS, monotonic_ns: int = 0) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns

    def wall_ns(self) -> int:
        return self._wall_ns

    def monotonic_ns(self) -> int:
        return self._monotonic_ns

    def advance(self, seconds: float) -> None:
        """Let both clocks run for `seconds`."""
        self._wall_ns += round(seconds * NS)
        self._monotonic_ns += round(seconds * NS)

    def step_wall(self, seconds: float) -> None:
        """Step the wall clock alone, as NTP or an administrator does."""
        self._wall_ns += round(seconds * NS)


def rfc3339(wall_ns: int) -> str:
    """RFC 3339 UTC text with milliseconds, e.g. ``2026-11-23T14:05:00.000Z``; rounds down."""
    seconds, ns = divmod(wall_ns, NS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{ns // 1_000_000:03d}Z"


def parse_rfc3339(text: str) -> int:
    """Nanoseconds since the Unix epoch for an RFC 3339 time with an offset; ValueError otherwise."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write it as 2026-11-23T14:05:00Z")
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * NS + moment.microsecond * 1000
