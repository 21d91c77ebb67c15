"""One stream as a transport stream for all its SRT viewers: muxed once, sent to each in slices of time.

Belongs here: the sink of a hub, what follows gaps and changed tracks, how much may wait for its walk.
Does not: the walk (vms.stream.turns), what one viewer gets (viewer), the bytes (vms.format.mpegts).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vms.common.clock import Clock
from vms.format.errors import FormatError
from vms.format.mpegts import TsMuxer
from vms.media import AccessUnit, Codec, Gap, Hub, MediaKind, Track
from vms.stream.turns import Turns
from vms.telemetry.logs import get_logger
from vms.wire.srt import MESSAGE_BYTES

log = get_logger(__name__)

SLICE_NS = 1_000_000
"""How long one walk over viewers may hold the event loop."""
MAX_WORK = 250  # units that wait for their walk; beyond it all viewers go on at the next key picture


@dataclass(frozen=True, slots=True)
class Item:
    """One unit as messages. index: rises by one. key: receiving can begin here; tables stand before it."""

    index: int
    messages: Sequence[bytes] = field(repr=False)
    key: bool


class Taker(Protocol):
    """A viewer, as its feed sees it."""

    def deliver(self, item: Item) -> None: ...
    def skip(self) -> None:
        """Leave out what comes up to the next key picture."""

    def fail(self) -> None:
        """End: it cannot be served, for a fault of this program."""


class Feed:
    """A hub's sink for SRT viewers; attached while there are any.

    Counters: units (that were muxed), refused (that a transport stream cannot hold), overrun (that waited too long).
    """

    def __init__(self, hub: Hub, clock: Clock) -> None:
        self.hub = hub
        self.units = 0
        self.refused = 0
        self.overrun = 0
        self._muxer: TsMuxer | None = None
        self._lines: Sequence[tuple[int, Codec, int]] = ()
        self._tracks: dict[int, Track] = {}
        self._lead: int | None = None
        self._broken = True
        self._index = 0
        self._turns: Turns[Taker, Item] = Turns(clock, _deliver, self._failed, slice_ns=SLICE_NS)

    @property
    def takers(self) -> Sequence[Taker]:
        return self._turns.takers

    @property
    def next_index(self) -> int:
        return self._index

    @property
    def holds(self) -> Sequence[Track]:
        """The tracks that viewers get; empty when a transport stream can hold none of the hub's."""
        try:
            return TsMuxer(self.hub.tracks).tracks
        except FormatError:
            return ()

    def add(self, taker: Taker) -> None:
        """Serve a viewer from the next key picture on, which the source is asked for."""
        if not self.takers:
            self._broken = True
            self.hub.attach(self)
        self._turns.add(taker)
        self.hub.request_key()

    def remove(self, taker: Taker) -> None:
        self._turns.remove(taker)
        if not self.takers:
            self.close()

    def close(self) -> None:
        """Detach from the hub and cancel what is scheduled."""
        self.hub.detach(self)
        self._turns.clear()

    # Sink

    def push(self, unit: AccessUnit) -> None:
        item = self._item(unit)
        if item is None:
            return
        self._turns.put(item)
        if len(self._turns) > MAX_WORK:
            self._shed()

    def gap(self, gap: Gap) -> None:
        self._broken = True

    # muxing

    def _item(self, unit: AccessUnit) -> Item | None:
        if self._tracks.get(unit.track.id) is not unit.track:
            self._learn(unit.track)
        muxer = self._muxer
        if muxer is None:
            return None
        leads = unit.track.id == self._lead
        if leads:
            self._broken = not unit.key and (self._broken or unit.discontinuity)
        if self._broken:
            return None
        try:
            data = muxer.packets(unit)
        except FormatError:
            self.refused += 1
            self._broken = self._broken or leads
            return None
        if not data:
            return None
        self.units += 1
        messages = [data[at : at + MESSAGE_BYTES] for at in range(0, len(data), MESSAGE_BYTES)]
        item = Item(self._index, messages, leads and unit.key)
        self._index += 1
        return item

    def _learn(self, track: Track) -> None:
        """A track is new, or another version of one: new tables, where they would say something else."""
        self._tracks = {each.id: each for each in self.hub.tracks}
        self._tracks[track.id] = track
        lines = tuple((each.id, each.codec, each.channels) for each in self._tracks.values())
        if lines == self._lines:
            return
        self._lines = lines
        try:
            self._muxer = TsMuxer(tuple(self._tracks.values()), self._muxer)
        except FormatError:
            self._muxer, self._lead = None, None
            self.refused += 1
            return
        tracks = self._muxer.tracks
        self._lead = next((each.id for each in tracks if each.kind is MediaKind.VIDEO), tracks[0].id)
        self._broken = True  # up to a key picture, before which the tables stand

    def _shed(self) -> None:
        """The walks do not keep up: what waits is dropped."""
        self.overrun += self._turns.shed()
        for taker in self.takers:
            taker.skip()

    def _failed(self, taker: Taker, error: Exception) -> None:
        log.error("a viewer is ended by an internal error", camera=self.hub.name, exc_info=error)
        taker.fail()


def _deliver(taker: Taker, item: Item) -> None:
    taker.deliver(item)
