"""One stream as messages for all its viewers: each picture is made a fragment once, and walked over in slices.

Times go on from the feed's epoch by the capture clock, so that a camera which begins anew, or steps its clock,
does not send its viewers back.

Belongs here: the sink of a hub, how much may wait for its walk, the group of pictures for those who join.
Does not: the walk (vms.stream.turns), what one viewer gets (viewer), bytes (messages, vms.format.mp4.live).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vms.common.clock import NS, Clock
from vms.format.errors import FormatError
from vms.format.mp4.live import LiveSample, build_live_fragment, build_live_init, live_data
from vms.media import AccessUnit, Gap, Hub, MediaKind, Track
from vms.stream.turns import Turns
from vms.stream.websocket import messages
from vms.stream.websocket.messages import MEDIA_KINDS, PLAYABLE
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

SLICE_NS = 500_000
"""How long one walk over viewers may hold the event loop."""
MAX_WORK = 250  # messages that wait for their walk; beyond it all viewers go on at the next key picture
BURST_MAX_MESSAGES = 900
BURST_MAX_BYTES = 8 << 20
LEAD_NS = 1 * NS  # media time of the first picture, so that nothing is presented before 0
_MAX_DURATION_NS = 1 * NS


@dataclass(frozen=True, slots=True)
class Item:
    """One message, framed. index: rises by one. key: viewing can begin here. media: False for what all must get."""

    index: int
    framed: bytes = field(repr=False)
    key: bool
    media: bool
    capture_ns: int


class Taker(Protocol):
    """A viewer, as its feed sees it."""

    def deliver(self, item: Item) -> None: ...
    def skip(self) -> None:
        """Leave out what comes up to the next key picture."""

    def fail(self) -> None:
        """End: it cannot be served, for a fault of this program."""


@dataclass(slots=True)
class _Line:
    """A track as it is sent. end_dts: of the newest sample, in ticks of the feed's timeline."""

    track: Track
    init: bytes
    duration: int
    last_dts: int = -1


class Feed:
    """A hub's sink for WebSocket viewers; attached while there are any.

    Counters: pictures (fragments made), refused (units that cannot be written), overrun (messages dropped).
    """

    def __init__(self, hub: Hub, clock: Clock) -> None:
        self.hub = hub
        self.pictures = 0
        self.refused = 0
        self.overrun = 0
        # Wall-clock time of media time 0; LEAD_NS before the first picture, or a little more
        self.epoch_ns = (hub.gop[0].capture_ns if hub.gop else clock.wall_ns() - LEAD_NS) - LEAD_NS
        self._clock = clock
        self._offset_ns: int | None = None
        self._lines: dict[MediaKind, _Line] = {}
        self._index = 0
        self._burst: list[Item] = []
        self._burst_bytes = 0
        self._broken = True
        self._gap: Gap | None = None
        self._turns: Turns[Taker, Item] = Turns(clock, _deliver, self._failed, slice_ns=SLICE_NS)

    @property
    def lead(self) -> MediaKind:
        """The kind of track whose key units viewing begins with."""
        return MediaKind.VIDEO if self.hub.track(MediaKind.VIDEO) is not None else MediaKind.AUDIO

    @property
    def playable(self) -> tuple[Track, ...]:
        """The tracks that are sent: of each kind the first, if a browser takes it."""
        firsts = (self.hub.track(kind) for kind in MediaKind)
        return tuple(track for track in firsts if track is not None and track.codec in PLAYABLE)

    def add(self, viewer: Taker) -> Sequence[Item]:
        """Serve a viewer from now on; what it gets first: inits, then media since the newest key picture."""
        if not self.viewers:
            self._attach()
        self._turns.add(viewer)
        inits = b"".join(line.init for line in self._lines.values())
        first = [Item(self._index, inits, False, False, 0)] if inits else []
        if not self._burst:
            self.hub.request_key()
        return [*first, *self._burst]

    def remove(self, viewer: Taker) -> None:
        self._turns.remove(viewer)
        if not self.viewers:
            self.close()

    @property
    def viewers(self) -> Sequence[Taker]:
        return self._turns.takers

    @property
    def next_index(self) -> int:
        return self._index

    def close(self) -> None:
        """Detach from the hub and cancel what is scheduled."""
        self.hub.detach(self)
        self._turns.clear()
        self._forget_burst()
        self._broken = True
        self._offset_ns = None  # where it goes on later, the capture clock says

    # Sink

    def push(self, unit: AccessUnit) -> None:
        for item in self._items(unit):
            self._turns.put(item)
        if len(self._turns) > MAX_WORK:
            self._shed()

    def gap(self, gap: Gap) -> None:
        self._broken = True
        self._gap = gap
        self._forget_burst()
        end_ms = None if gap.end_ns is None else gap.end_ns / 1e6
        self._say(messages.gap(gap.start_ns / 1e6, end_ms, gap.reason.value))

    # building

    def _attach(self) -> None:
        for unit in self.hub.gop:
            self._items(unit)
        self.hub.attach(self)

    def _items(self, unit: AccessUnit) -> Sequence[Item]:
        """The messages of a unit: its fragment, after the init of a track that is new. Remembers them."""
        track = unit.track
        if track.codec not in PLAYABLE:
            return ()
        leads = track.kind is self.lead
        if leads and not self._goes_on(unit):
            return ()
        if not leads and self._broken:
            return ()
        try:
            new = self._introduce(unit)
            media = self._fragment(unit, leads)
        except FormatError:
            self.refused += 1
            if leads:
                self._broken = True
            return ()
        if media is None:
            return new
        self._remember(media, leads)
        return (*new, media)

    def _goes_on(self, unit: AccessUnit) -> bool:
        if unit.discontinuity:
            self._offset_ns = None
        if unit.key:
            if self._broken and self._gap is not None:
                self._say(
                    messages.gap(self._gap.start_ns / 1e6, unit.capture_ns / 1e6, self._gap.reason.value)
                )
                self._gap = None
            self._broken = False
        elif unit.discontinuity or self._broken:
            self._broken = True
            self._forget_burst()
            return False
        return True

    def _introduce(self, unit: AccessUnit) -> tuple[Item, ...]:
        track = unit.track
        line = self._lines.get(track.kind)
        if line is not None and (line.track is track or line.track == track):
            return ()
        framed = messages.init(track, build_live_init(track))
        rate = track.clock_rate
        first = _Line(track, framed, rate // (25 if track.kind is MediaKind.VIDEO else 50))
        if line is not None:
            first.last_dts = line.last_dts * rate // line.track.clock_rate
        self._lines[track.kind] = first
        return (self._item(framed, key=False, media=False, capture_ns=unit.capture_ns),)

    def _fragment(self, unit: AccessUnit, leads: bool) -> Item | None:
        """None for sound whose time does not rise: its stream begins anew, and the pictures do not yet."""
        line, rate = self._lines[unit.track.kind], unit.track.clock_rate
        if self._offset_ns is None:
            if not leads:
                return None
            self._rebase(unit, line)
        assert self._offset_ns is not None
        shift = self._offset_ns * rate // NS
        dts = unit.dts + shift
        if dts <= line.last_dts:
            if not leads:
                return None
            self._rebase(unit, line)
            dts = unit.dts + self._offset_ns * rate // NS
        if line.last_dts >= 0:
            line.duration = min(dts - line.last_dts, _MAX_DURATION_NS * rate // NS)
        line.last_dts = dts
        self.pictures += 1
        sample = LiveSample(live_data(unit), line.duration, unit.pts - unit.dts, unit.key)
        fragment = build_live_fragment(self.pictures & 0xFFFF_FFFF, unit.track.id, dts, [sample])
        framed = messages.binary(
            MEDIA_KINDS[unit.track.kind], fragment, unit.capture_ns, self._clock.wall_ns()
        )
        return self._item(framed, key=leads and unit.key, media=True, capture_ns=unit.capture_ns)

    def _rebase(self, unit: AccessUnit, line: _Line) -> None:
        """Put a unit where the capture clock says, but after everything before it."""
        rate = unit.track.clock_rate
        at_ns = max(unit.capture_ns - self.epoch_ns, LEAD_NS)
        for other in self._lines.values():
            at_ns = max(at_ns, (other.last_dts + other.duration) * NS // other.track.clock_rate)
        self._offset_ns = at_ns + NS // rate + 1 - unit.dts * NS // rate

    def _item(self, framed: bytes, *, key: bool, media: bool, capture_ns: int) -> Item:
        item = Item(self._index, framed, key, media, capture_ns)
        self._index += 1
        return item

    def _say(self, framed: bytes) -> None:
        """Tell all viewers, in turn with the media."""
        if self.viewers:
            self._turns.put(self._item(framed, key=False, media=False, capture_ns=0))

    def _remember(self, item: Item, leads: bool) -> None:
        if item.key and leads:
            self._forget_burst()
        elif not self._burst:
            return
        self._burst.append(item)
        self._burst_bytes += len(item.framed)
        if len(self._burst) > BURST_MAX_MESSAGES or self._burst_bytes > BURST_MAX_BYTES:
            self._forget_burst()

    def _forget_burst(self) -> None:
        self._burst = []
        self._burst_bytes = 0

    def _shed(self) -> None:
        """The walks do not keep up: what waits is dropped, but for what all must get."""
        self.overrun += self._turns.shed(lambda item: not item.media)
        for viewer in self.viewers:
            viewer.skip()

    def _failed(self, viewer: Taker, error: Exception) -> None:
        log.error("a viewer is ended by an internal error", camera=self.hub.name, exc_info=error)
        viewer.fail()


def _deliver(viewer: Taker, item: Item) -> None:
    viewer.deliver(item)
