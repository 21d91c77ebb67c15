"""Access units → a transport stream of one program (ISO/IEC 13818-1 §2.4.3).

Each unit becomes whole packets of 188 bytes in one PES packet, so that it can be sent as soon as it is there. H.264 and
H.265 travel with start codes, an access unit delimiter, and parameter sets before each key picture; AAC in ADTS; Opus as
FFmpeg and ETSI TS 102 366 readers know it, with control headers.
"""

from collections.abc import Sequence

from vms.format import h264, h265, nal
from vms.format.errors import FormatError
from vms.format.mpegts import tables
from vms.format.mpegts.adts import adts_header
from vms.format.mpegts.tables import CLOCK_RATE, FIRST_PID, PACKET_BYTES, PMT_PID, Elementary
from vms.media import AccessUnit, Codec, MediaKind, Track

MUXABLE = frozenset(tables.STREAM_TYPES)
"""Codecs that a transport stream of ours can hold: not G.711."""
START = CLOCK_RATE
"""Where the timeline's 0 lies, so that no clock reference before it is negative."""
AHEAD = CLOCK_RATE // 10
"""The clock reference is this far before decoding, for receivers that decode by it."""
TABLES_EVERY = CLOCK_RATE // 2
_WRAP = (1 << 33) - 1
_PAYLOAD_BYTES = PACKET_BYTES - 4
_AUD = {Codec.H264: b"\0\0\0\1\x09\xf0", Codec.H265: b"\0\0\0\1\x46\x01\x50"}
_STREAM_ID = {Codec.H264: 0xE0, Codec.H265: 0xE0, Codec.AAC: 0xC0, Codec.OPUS: 0xBD}


class TsMuxer:
    """A program of `tracks`; those that cannot be in one are left out, see `tracks`.

    before: the muxer whose stream goes on here with other tracks: receivers see a new version of its tables.
    Raises FormatError when none is left.
    """

    def __init__(self, tracks: Sequence[Track], before: "TsMuxer | None" = None) -> None:
        self.tracks = tuple(track for track in tracks if track.codec in MUXABLE)
        if not self.tracks:
            raise FormatError("MPEG-TS can hold H.264, H.265, AAC and Opus; the stream has none of them")
        self._pids = {track.id: FIRST_PID + at for at, track in enumerate(self.tracks)}
        timed = next((t for t in self.tracks if t.kind is MediaKind.VIDEO), self.tracks[0])
        self._clock_id = timed.id
        lines = [Elementary(self._pids[t.id], t.codec, t.channels) for t in self.tracks]
        self._version: int = 0 if before is None else before._version + 1 & 31
        self._sections = (
            (tables.PAT_PID, tables.pat_section()),
            (PMT_PID, tables.pmt_section(lines, self._pids[timed.id], self._version)),
        )
        self._counters: dict[int, int] = {} if before is None else dict(before._counters)
        self._tables_at: int | None = None

    def packets(self, unit: AccessUnit) -> bytes:
        """Whole packets that hold `unit`; none for a track that is left out. Raises FormatError."""
        pid = self._pids.get(unit.track.id)
        if pid is None:
            return b""
        payload = _payload(unit)
        dts, pts = _time(unit.dts, unit.track), _time(unit.pts, unit.track)
        out: list[bytes] = []
        clocked = unit.track.id == self._clock_id
        if clocked and self._tables_due(dts, unit.key and unit.track.kind is MediaKind.VIDEO):
            out += [self._section_packet(each, section) for each, section in self._sections]
        flags = 0x80 * unit.discontinuity | 0x40 * unit.key
        adaptation = b""
        if clocked:
            adaptation = bytes((flags | 0x10,)) + _clock_reference(dts - AHEAD)
        elif flags:
            adaptation = bytes((flags,))
        self._cut(pid, _pes_header(unit, pts, dts, len(payload)) + payload, adaptation, out)
        return b"".join(out)

    def _tables_due(self, dts: int, key: bool) -> bool:
        due = self._tables_at is None or key or (dts - self._tables_at & _WRAP) >= TABLES_EVERY
        if due:
            self._tables_at = dts
        return due

    def _section_packet(self, pid: int, section: bytes) -> bytes:
        return (self._header(pid, True, 1) + b"\0" + section).ljust(PACKET_BYTES, b"\xff")

    def _cut(self, pid: int, data: bytes, adaptation: bytes, out: list[bytes]) -> None:
        at, size = 0, len(data)
        while at < size:
            room = _PAYLOAD_BYTES - (1 + len(adaptation) if adaptation else 0)
            spare = room - (size - at)
            field = bytes((len(adaptation),)) + adaptation if adaptation else b""
            if spare > 0:
                field = _stuffed(adaptation, spare)
            take = _PAYLOAD_BYTES - len(field)
            out += [self._header(pid, at == 0, 3 if field else 1), field, data[at : at + take]]
            at += take
            adaptation = b""

    def _header(self, pid: int, begins: bool, control: int) -> bytes:
        count = self._counters.get(pid, 0)
        self._counters[pid] = count + 1 & 15
        return bytes((tables.SYNC, 0x40 * begins | pid >> 8, pid & 0xFF, control << 4 | count))


def _stuffed(adaptation: bytes, spare: int) -> bytes:
    """An adaptation field that takes `spare` bytes more than it would, its length byte included."""
    if adaptation:
        return bytes((len(adaptation) + spare,)) + adaptation + b"\xff" * spare
    return b"\0" if spare == 1 else bytes((spare - 1, 0)) + b"\xff" * (spare - 2)


def _clock_reference(at: int) -> bytes:
    """program_clock_reference: base in 33 bits, 6 reserved, extension 0."""
    return ((at & _WRAP) << 15 | 0x3F << 9).to_bytes(6)


def _time(ticks: int, track: Track) -> int:
    return ticks * CLOCK_RATE // track.clock_rate + START


def _pes_header(unit: AccessUnit, pts: int, dts: int, payload_bytes: int) -> bytes:
    stamps = _stamp(2 if pts == dts else 3, pts)
    if pts != dts:
        stamps += _stamp(1, dts)
    rest = bytes((0x84, 0x80 if pts == dts else 0xC0, len(stamps))) + stamps
    length = len(rest) + payload_bytes
    if length > 0xFFFF:
        if unit.track.kind is not MediaKind.VIDEO:
            raise FormatError(f"MPEG-TS: an audio frame of {payload_bytes} bytes is too large")
        length = 0  # unbounded, which video alone may be
    return b"\0\0\1" + bytes((_STREAM_ID[unit.track.codec],)) + length.to_bytes(2) + rest


def _stamp(mark: int, ticks: int) -> bytes:
    """PTS or DTS: 33 bits in three pieces, a marker bit behind each."""
    ticks &= _WRAP
    value = mark << 36 | (ticks >> 30) << 33 | 1 << 32 | (ticks >> 15 & 0x7FFF) << 17 | 1 << 16
    return (value | (ticks & 0x7FFF) << 1 | 1).to_bytes(5)


def _payload(unit: AccessUnit) -> bytes:
    track, data = unit.track, unit.data
    match track.codec:
        case Codec.H264 | Codec.H265:
            return _byte_stream(unit)
        case Codec.AAC:
            return adts_header(track.parameter_sets[0], len(data)) + data
        case _:
            size = len(data)
            return b"\x7f\xe0" + b"\xff" * (size // 255) + bytes((size % 255,)) + data


def _byte_stream(unit: AccessUnit) -> bytes:
    track, data = unit.track, unit.data
    codec = h264 if track.codec is Codec.H264 else h265
    nals = [each for each in nal.split(data) if codec.nal_type(each) != codec.ACCESS_UNIT_DELIMITER]
    sets: Sequence[bytes] = ()
    if unit.key and not codec.has_parameter_sets(data):
        sets = track.parameter_sets
    return _AUD[track.codec] + nal.to_annex_b(nal.join([*sets, *nals]))
