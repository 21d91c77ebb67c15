"""Fan one stream's access units out to any number of sinks.

The publisher never waits. A sink takes each unit at once or keeps its own bounded queue; one that
overruns is told the Gap and resumes at the newest key frame. The hub outlives connections: on a
reconnect the source is swapped under its sinks.

Belongs here: fan-out, the newest group of pictures, counters.
Does not: parsing (vms.format), reconnecting (vms.ingest), disks (vms.storage).
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from vms.media.gap import Gap
from vms.media.track import MediaKind, Track
from vms.media.unit import AccessUnit

GOP_MAX_UNITS = 1500
GOP_MAX_BYTES = 16 << 20
KEY_REQUEST_S = 1.0  # a camera is asked no oftener: a key picture costs many times what another does

_VIDEO = MediaKind.VIDEO  # looked up with every unit


class Sink(Protocol):
    """What a hub calls: synchronous, O(1), non-blocking; runs on the event loop of the hub."""

    def push(self, unit: AccessUnit) -> None:
        """Take one unit. Units of one track come in decoding order, tracks interleaved by arrival."""

    def gap(self, gap: Gap) -> None:
        """Learn that the stream lost something. `gap.end_ns` is None when it lasts; the unit that ends it
        has `discontinuity` set."""


class SinkFailed(Protocol):
    def __call__(self, sink: Sink, error: Exception) -> None: ...


class Hub:
    """One stream's fan-out, with the group of pictures since the newest key frame.

    `tracks` is what the source last announced; empty until it first connects. `lasting_gap` is the gap that
    the stream is in, None while it flows. Counters are plain ints.
    `gop` is cleared, and stays empty up to the next key frame, when it outgrows its bounds.
    `on_key_request` is set by the source while it can be asked for a key picture; what it does may come to nothing.
    key_requests: how often a consumer wanted one; key_requests_passed_on: how often `on_key_request` was called.
    """

    def __init__(self, name: str, on_sink_failed: SinkFailed | None = None) -> None:
        self.name = name
        self.tracks: tuple[Track, ...] = ()
        self.units = 0
        self.bytes = 0
        self.gaps = 0
        self.sinks_failed = 0
        self.key_requests = 0
        self.key_requests_passed_on = 0
        self.on_key_request: Callable[[], None] | None = None
        self.last_unit: AccessUnit | None = None
        self.lasting_gap: Gap | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._sinks: tuple[Sink, ...] = ()
        self._gop: list[AccessUnit] = []
        self._gop_bytes = 0
        self._on_sink_failed = on_sink_failed
        self._key_asked_s: float | None = None  # time of the event loop
        self._key_timer: asyncio.TimerHandle | None = None

    @property
    def gop(self) -> Sequence[AccessUnit]:
        """Units of all tracks since the newest key picture, oldest first; the first is that picture."""
        return self._gop

    @property
    def reorders(self) -> bool:
        """Whether pictures of the newest group came out of the order in which they are shown."""
        return any(unit.pts != unit.dts for unit in self._gop if unit.track.kind is _VIDEO)

    @property
    def sinks(self) -> tuple[Sink, ...]:
        return self._sinks

    def track(self, kind: MediaKind) -> Track | None:
        """The newest version of the stream's first track of a kind."""
        return next((track for track in self.tracks if track.kind is kind), None)

    def announce(self, tracks: Sequence[Track]) -> None:
        """Say what the stream consists of; before its first unit, and again whenever a track changes."""
        self.tracks = tuple(tracks)
        self._tell_waiting()

    async def live(self) -> None:
        """Wait until the stream's tracks are known and it is in no lasting gap."""
        while not self.tracks or self.lasting_gap is not None:
            changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(changed)
            try:
                await changed
            finally:
                if changed in self._waiting:
                    self._waiting.remove(changed)

    def attach(self, sink: Sink) -> None:
        """Give `sink` every unit from now on."""
        if sink not in self._sinks:
            self._sinks = (*self._sinks, sink)

    def detach(self, sink: Sink) -> None:
        self._sinks = tuple(other for other in self._sinks if other is not sink)

    def request_key(self) -> None:
        """Ask the source for a key picture soon; nothing is promised, many cameras ignore it.

        At most one request a KEY_REQUEST_S goes to the source: those that come in between become one at its end,
        unless a key picture has come by itself.
        """
        self.key_requests += 1
        if self._key_timer is not None:
            return
        loop = asyncio.get_running_loop()
        asked_s = self._key_asked_s
        wait_s = 0.0 if asked_s is None else asked_s + KEY_REQUEST_S - loop.time()
        if wait_s <= 0:
            self._ask_key()
        else:
            self._key_timer = loop.call_later(wait_s, self._ask_key)

    def push(self, unit: AccessUnit) -> None:
        """Fan one unit out. A sink that raises is detached, counted and reported; the others get the unit."""
        size = len(unit.data)
        self.units += 1
        self.bytes += size
        self.last_unit = unit
        if self.lasting_gap is not None:
            self.lasting_gap = None
            self._tell_waiting()
        self._remember(unit, size)
        for sink in self._sinks:
            try:
                sink.push(unit)
            except Exception as error:  # noqa: BLE001 - one sink must never end the stream of the others
                self._drop(sink, error)

    def gap(self, gap: Gap) -> None:
        """Tell every sink that the stream lost something. The group of pictures ends here."""
        self.gaps += 1
        if gap.end_ns is None:
            self.lasting_gap = gap
        self._forget_gop()
        for sink in self._sinks:
            try:
                sink.gap(gap)
            except Exception as error:  # noqa: BLE001 - as in push
                self._drop(sink, error)

    def _ask_key(self) -> None:
        self._key_timer = None
        if self.on_key_request is not None:
            self._key_asked_s = asyncio.get_running_loop().time()
            self.key_requests_passed_on += 1
            self.on_key_request()

    def _tell_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for changed in waiting:
            if not changed.done():
                changed.set_result(None)

    def _remember(self, unit: AccessUnit, size: int) -> None:
        if unit.track.kind is _VIDEO:
            if unit.key:
                self._forget_gop()
                if self._key_timer is not None:
                    self._key_timer.cancel()
                    self._key_timer = None
            elif not self._gop:
                return
            elif unit.discontinuity:
                self._forget_gop()
                return
        elif not self._gop:
            return
        gop = self._gop
        gop.append(unit)
        self._gop_bytes += size
        if self._gop_bytes > GOP_MAX_BYTES or len(gop) > GOP_MAX_UNITS:
            self._forget_gop()

    def _forget_gop(self) -> None:
        self._gop = []
        self._gop_bytes = 0

    def _drop(self, sink: Sink, error: Exception) -> None:
        self.detach(sink)
        self.sinks_failed += 1
        if self._on_sink_failed is not None:
            self._on_sink_failed(sink, error)
