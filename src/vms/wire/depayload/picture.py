"""Put together the packets of one picture; what H.264 and H.265 have in common.

Where a picture ends. RFC 6184 §5.1 and RFC 7798 §4.1 give every picture its own timestamp and set the
marker on its last packet. Cameras get the marker wrong: never, on every slice, or on parameter sets. So:

- a new timestamp always ends a picture;
- a marker ends it at once, which saves a frame of delay, but only after the markers of `TRUST_AFTER`
  pictures in a row proved right, and only when the unit holds a slice. One slice of the same timestamp behind a
  marker, and markers are not believed again in this session;
- where the sender is known to set markers right (`trust_markers`), one ends a picture from the first on,
  whatever the picture holds, and what follows it begins the next, whatever it looks like;
- NAL units before the first slice of a picture (parameter sets, SEI, delimiters) that bear another
  timestamp than it, or follow the last slice of the picture before, go with the picture they precede.

What is missing. After a hole the open picture is broken. The one after it counts as whole only when its
first NAL unit is one that begins a picture. Broken pictures are counted, not delivered; the next
delivered one says `lost`.

Belongs here: order, ends, holes, bounds, lengths before NAL units. Does not: packet types (h264, h265).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from struct import Struct

from vms.wire.depayload import Timeline, UnitReceiver
from vms.wire.rtp import Buffer

MAX_PICTURE_COST = 16 << 20
PIECE_COST = 128  # what an empty piece occupies, so that a flood of tiny ones is bounded too
TRUST_AFTER = 4
MAX_PARAMETER_SET_SIZE = 4096

_DISTRUSTED = -1
_NONE = -1

_LENGTH = Struct(">I")


class PictureDepayloader(ABC):
    """The part of an H.264 or H.265 depayloader that does not depend on the packets' structure.

    parameter_sets: those that the session description gave. trust_markers: see above. A subclass implements `push` and what is
    abstract here, and calls `_turn` first for every packet whose timestamp is not `_timestamp`.
    """

    __slots__ = (
        "_arrival_ns",
        "_broken",
        "_certain",
        "_check_start",
        "_closed_by_marker",
        "_cost",
        "_fragment",
        "_fragment_header",
        "_key",
        "_last_timestamp",
        "_lost",
        "_marked",
        "_new_sets",
        "_pieces",
        "_receiver",
        "_sets",
        "_slices_end",
        "_timeline",
        "_timestamp",
        "_trust",
        "_unwrapped",
        "packets_ignored",
        "units",
        "units_broken",
    )

    def __init__(
        self,
        receiver: UnitReceiver,
        timeline: Timeline,
        parameter_sets: Iterable[bytes] = (),
        *,
        trust_markers: bool = False,
    ) -> None:
        self.units = 0
        self.units_broken = 0
        self.packets_ignored = 0
        self._receiver = receiver
        self._timeline = timeline
        self._sets = {key: nal for nal in parameter_sets if (key := self._parameter_set_key(nal))}
        self._new_sets: list[bytes] = []
        self._pieces: list[Buffer] = []
        self._cost = 0
        self._slices_end = 0  # how many pieces there are up to the end of the last slice; 0: no slice yet
        self._fragment = _NONE  # index of the piece that will hold length and header of the open fragment
        self._fragment_header = b""
        self._key = False
        self._broken = False
        self._lost = False
        self._check_start = True  # we may have joined in the middle of a picture
        self._timestamp = _NONE  # of the open picture; none while a marker has (perhaps) ended it
        self._last_timestamp = _NONE
        self._unwrapped = 0
        self._arrival_ns = 0
        self._marked = False
        self._closed_by_marker = False
        self._trust = 0
        self._certain = trust_markers

    @property
    def parameter_sets(self) -> tuple[bytes, ...]:
        """Those in force, ordered by type and number."""
        return tuple(self._sets[key] for key in sorted(self._sets))

    def lost(self) -> None:
        """Packets are missing before the next push."""
        if self._marked:
            self._close()
        elif self._pieces:
            self._break()
        self._lost = True
        self._check_start = True

    def flush(self) -> None:
        """The stream has ended: deliver the open picture if its marker was seen."""
        if self._marked:
            self._close()

    # What a subclass knows.

    @abstractmethod
    def _is_slice(self, buffer: Buffer, start: int, end: int) -> bool:
        """Whether the first NAL unit in a payload is (part of) a slice."""

    @abstractmethod
    def _begins_picture(self, buffer: Buffer, start: int, end: int) -> bool:
        """Whether a payload can be the first of a picture."""

    @abstractmethod
    def _after_nal(self, header: int) -> bool:
        """Note a NAL unit, now in `_pieces`, by its first byte; whether it is a parameter set."""

    @staticmethod
    @abstractmethod
    def _parameter_set_key(nal: Buffer) -> tuple[int, int] | None:
        """(type, number) of a parameter set; None for any other NAL unit."""

    # NAL units.

    def _nal(self, buffer: Buffer, start: int, end: int) -> None:
        """Take a whole NAL unit of at least one byte."""
        if self._broken:
            return
        if self._fragment >= 0:
            self._end_fragment()
        self._pieces.append(_LENGTH.pack(end - start))
        self._pieces.append(buffer[start:end])
        if self._after_nal(buffer[start]) and end - start <= MAX_PARAMETER_SET_SIZE:
            self._new_sets.append(bytes(buffer[start:end]))
        self._spend(end - start)

    def _fragment_edge(self, piece: Buffer, flags: int, nal_header: bytes) -> None:
        """Take the first (flags & 0x80) or last (flags & 0x40) fragment of a NAL unit, or a stray one."""
        if self._broken:
            return
        if flags & 0x80:
            if self._fragment >= 0:
                self._end_fragment()
            self._fragment = len(self._pieces)
            self._fragment_header = nal_header
            self._pieces.append(b"")
        elif self._fragment < 0:
            self.packets_ignored += 1
            self._break()  # its beginning never came, though no packet is missing
            return
        self._pieces.append(piece)
        if flags & 0x40:
            self._end_fragment()
        self._spend(len(piece))

    def _end_fragment(self) -> None:
        """Write the length, known only now, and the header before the fragments of the open NAL unit."""
        index, self._fragment = self._fragment, _NONE
        header = self._fragment_header
        size = len(header) + sum(map(len, self._pieces[index + 1 :]))
        self._pieces[index] = _LENGTH.pack(size) + header
        if self._after_nal(header[0]) and size <= MAX_PARAMETER_SET_SIZE:
            self._new_sets.append(b"".join(self._pieces[index:])[4:])

    def _spend(self, size: int) -> None:
        """Count what a piece occupies; a picture beyond all bounds is broken."""
        self._cost += size + PIECE_COST
        if self._cost > MAX_PICTURE_COST:
            self._break()

    # Pictures.

    def _turn(self, buffer: Buffer, start: int, end: int, timestamp: int, arrival_ns: int) -> None:
        """Handle a packet that does not plainly continue the open picture."""
        if timestamp == self._last_timestamp:
            self._continue_behind_marker(buffer, start, end)
        else:
            if (self._marked or self._closed_by_marker) and self._trust != _DISTRUSTED:
                self._trust += 1
            self._close()
            self._closed_by_marker = False
            self._last_timestamp = timestamp
            self._unwrapped = self._timeline.advance(timestamp, arrival_ns)
        self._timestamp = timestamp
        if self._check_start:
            self._check_start = False
            if not self._certain and not self._pieces and not self._begins_picture(buffer, start, end):
                self._break()

    def _continue_behind_marker(self, buffer: Buffer, start: int, end: int) -> None:
        self._marked = False
        if not self._is_slice(buffer, start, end):
            return
        self._trust = _DISTRUSTED
        if self._closed_by_marker:  # the first slices were delivered as a picture; the rest cannot be
            self._closed_by_marker = False
            self._break()

    def _mark(self) -> None:
        """Handle a marker bit, after its packet."""
        if self._trust == _DISTRUSTED:
            return
        if self._fragment >= 0:
            self._end_fragment()
        if self._certain:
            self._slices_end = len(self._pieces)
            self._close()
            self._timestamp = self._last_timestamp = _NONE
            return
        if self._trust >= TRUST_AFTER and (self._slices_end or self._broken):
            self._slices_end = len(self._pieces)
            self._close()
            self._closed_by_marker = True
            self._timestamp = _NONE
        elif self._slices_end:
            self._marked = True
            self._timestamp = _NONE

    def _close(self) -> None:
        """Deliver the open picture, or drop it when it is broken; keep what belongs to the next one."""
        if self._fragment >= 0:
            self._end_fragment()  # no hole, so it is all there: some cameras never set the end bit
        if self._new_sets:
            self._learn_parameter_sets()
        self._marked = False
        if self._broken:
            self.units_broken += 1
            self._broken = False
            self._lost = True
            self._begin_picture([])
        elif self._slices_end:
            pieces = self._pieces
            following = pieces[self._slices_end :]
            del pieces[self._slices_end :]
            data, key = b"".join(pieces), self._key
            lost, self._lost = self._lost and self.units > 0, False
            self.units += 1
            self._begin_picture(following)
            self._receiver.access_unit(data, self._unwrapped, key, lost, self._arrival_ns)

    def _begin_picture(self, pieces: list[Buffer]) -> None:
        self._pieces = pieces
        self._slices_end = 0
        self._key = False
        self._cost = sum(map(len, pieces)) + PIECE_COST * len(pieces)

    def _break(self) -> None:
        """Give up the open picture."""
        self._broken = True
        self._fragment = _NONE
        self._begin_picture([])

    def _learn_parameter_sets(self) -> None:
        known = dict(self._sets)
        for nal in self._new_sets:
            key = self._parameter_set_key(nal)
            if key is not None:
                known[key] = nal
        self._new_sets.clear()
        if known != self._sets:
            self._sets = known
            self._receiver.parameter_sets(self.parameter_sets)
