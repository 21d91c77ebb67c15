"""Recorded footage over the same socket: sent ahead of its time by some seconds, gaps told.

Belongs here: the pace. Does not: reading recordings (the port that the application supplies).
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Protocol

from vms.common.clock import NS, Clock
from vms.common.ids import CameraId
from vms.stream.websocket import messages
from vms.stream.websocket.messages import Kind
from vms.stream.websocket.viewer import MAX_UNSENT_BYTES, WebSocketViewer

AHEAD_NS = 5 * NS
MIN_SPEED, MAX_SPEED = 0.25, 16.0
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class RecordedInit:
    """An init segment of all tracks; mime: for addSourceBuffer."""

    mime: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RecordedFragment:
    """Media between two wall-clock times; media_s: the time of its first picture on its own timeline."""

    capture_ns: int
    end_ns: int
    media_s: float
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RecordedGap:
    """Nothing is recorded between two wall-clock times."""

    start_ns: int
    end_ns: int
    reason: str


Recorded = RecordedInit | RecordedFragment | RecordedGap


class RecordedFragments(Protocol):
    """The recordings of this machine. Disks are read in threads."""

    def play(self, camera_id: CameraId, from_ns: int) -> AsyncGenerator[Recorded, None]:
        """What is recorded from a time on, in order, an init before the fragments that need it; ends with the
        newest. Raises NotFound when nothing is, Unavailable when it cannot be read now."""


async def show(
    viewer: WebSocketViewer,
    first: Recorded | None,
    recorded: AsyncGenerator[Recorded, None],
    clock: Clock,
    speed: "Speed",
) -> None:
    """Send footage to a viewer as it is watched, until there is no more or the task is cancelled.

    first: what was taken out of `recorded` already; None when that is empty.
    """
    version = 0
    each = first
    while each is not None:
        match each:
            case RecordedInit():
                version += 1
                viewer.say(messages.text(type="init", track="all", mime=each.mime, version=version))
                viewer.say(messages.binary(Kind.MUXED_INIT, each.data))
            case RecordedGap():
                viewer.say(messages.gap(each.start_ns / 1e6, each.end_ns / 1e6, each.reason))
                speed.leap(each.start_ns, each.end_ns)
            case RecordedFragment():
                await speed.until_due(viewer, each.capture_ns)
                viewer.say(messages.binary(Kind.MUXED, each.data, each.capture_ns, clock.wall_ns()))
        each = await anext(recorded, None)
    viewer.say(messages.text(type="end"))


class Speed:
    """How fast footage is watched: what wall-clock time of it is due when."""

    def __init__(self, from_ns: int, clock: Clock) -> None:
        self._clock = clock
        self._factor = 1.0
        self._from_ns = from_ns
        self._since_ns = clock.monotonic_ns()

    def change(self, factor: float) -> None:
        self._from_ns = self.at_ns
        self._since_ns = self._clock.monotonic_ns()
        self._factor = factor

    def leap(self, start_ns: int, end_ns: int) -> None:
        """Nobody sits through a gap."""
        self._from_ns += max(end_ns - max(start_ns, self._from_ns), 0)

    @property
    def at_ns(self) -> int:
        return self._from_ns + int((self._clock.monotonic_ns() - self._since_ns) * self._factor)

    async def until_due(self, viewer: WebSocketViewer, capture_ns: int) -> None:
        """Wait until footage of a time may be sent, and the viewer takes it."""
        while capture_ns > self.at_ns + AHEAD_NS * max(self._factor, 1.0) or _is_full(viewer):  # noqa: ASYNC110 - the clock and the kernel tell nobody
            await asyncio.sleep(_LOOK_S)


def _is_full(viewer: WebSocketViewer) -> bool:
    return viewer.connection is not None and viewer.connection.unsent_bytes > MAX_UNSENT_BYTES
