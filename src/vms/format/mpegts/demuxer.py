"""A transport stream → frames (ISO/IEC 13818-1 §2.4.3): the first program, its first picture line and its first sound.

Whatever bytes come, it finds the next packet, counts what was wrong, and goes on.

Belongs here: packets, continuity, PES, 33-bit times. Does not: codecs (frames), wall-clock time.
"""

import re
from dataclasses import dataclass, field

from vms.format.errors import FormatError
from vms.format.mpegts import tables
from vms.format.mpegts.adts import AdtsReader
from vms.format.mpegts.frames import TsFrame, frames_of
from vms.format.mpegts.tables import PACKET_BYTES, SYNC, Elementary
from vms.media import MediaKind

MAX_PES_BYTES = 4 << 20
MAX_SOUND_BYTES = (
    1 << 16
) + 5  # what a PES packet can say of itself; of pictures alone it need not (§2.4.3.7)
MAX_LINES = 64
TRUST_AFTER = 50
"""Pictures whose last packet was filled up, and no other: then a packet that is filled up ends its picture. Most senders
do so, and do not say how long a picture is (§2.4.3.7), which would else be known with the beginning of the next."""
TRUST_AT_END = 5
"""With the end of the stream behind such a packet there is less to lose."""
_NEVER = -1
_TWO_PACKETS = re.compile(rb"\x47(?=.{%d}\x47)" % (PACKET_BYTES - 1), re.DOTALL)
_HALF = 1 << 32
_WRAP = 1 << 33


@dataclass(slots=True)
class _Line:
    """A line that is taken. coming: of the PES packet; None before one begins."""

    elementary: Elementary
    coming: bytearray | None = None
    wanted: int = 0  # bytes of the PES packet, 0 when it does not say
    discontinuity: bool = False
    last: int | None = None  # the newest decoding time, unwrapped
    adts: AdtsReader = field(default_factory=AdtsReader)
    filled_up: bool = False  # the newest packet of what is coming
    trust: int = 0  # pictures that a packet that was filled up has ended; _NEVER where one did not

    @property
    def is_video(self) -> bool:
        return self.elementary.codec is not None and self.elementary.codec.kind is MediaKind.VIDEO


@dataclass(slots=True)
class TsCounters:
    """packets: taken. resyncs: places at which no packet began where one should. lost: continuity errors.
    broken: tables, PES packets and frames that could not be used."""

    packets: int = 0
    resyncs: int = 0
    lost: int = 0
    broken: int = 0


@dataclass(slots=True)
class _Section:
    data: bytearray = field(default_factory=bytearray)
    begun: bool = False


class TsDemuxer:
    """Feed bytes as they come. lines: of the program, those that we cannot use included."""

    def __init__(self) -> None:
        self.counters = TsCounters()
        self.lines: list[Elementary] = []
        self._rest = b""
        self._pmt_pid: int | None = None
        self._pmt = b""
        self._sections = {tables.PAT_PID: _Section()}
        self._taken: dict[int, _Line] = {}
        self._continuity: dict[int, tuple[int, bytes]] = {}  # counter and payload of the newest packet
        self._last: int | None = None  # the newest decoding time of any line: all wrap together

    def feed(self, data: bytes) -> list[TsFrame]:
        """The frames that `data` completes."""
        data = self._rest + data
        out: list[TsFrame] = []
        at, end = 0, len(data)
        while end - at >= PACKET_BYTES:
            if data[at] != SYNC or (end - at > PACKET_BYTES and data[at + PACKET_BYTES] != SYNC):
                self.counters.resyncs += 1
                at = self._next_packet(data, at + 1)
                continue
            self._packet(data[at : at + PACKET_BYTES], out)
            at += PACKET_BYTES
        self._rest = data[at:]
        return out

    def lost(self) -> None:
        """Something is missing before what is fed next: what had begun is given up. Continuity counters, of 4 bits, fit
        again behind every sixteenth packet."""
        self._rest = b""
        self._continuity.clear()
        for section in self._sections.values():
            section.begun = False
            section.data.clear()
        for line in self._taken.values():
            self._tear(line)

    def flush(self, *, torn: bool = False) -> list[TsFrame]:
        """What was still coming, where the stream ends. torn: anywhere, so only pictures whose last packet was filled up
        by a sender who does so, which are whole."""
        out: list[TsFrame] = []
        for line in self._taken.values():
            if not torn or (line.filled_up and line.trust >= TRUST_AT_END and not line.wanted):
                self._finish(line, out)
        return out

    def _next_packet(self, data: bytes, at: int) -> int:
        """Where two packets, or the last bytes of the data, seem to begin."""
        found = _TWO_PACKETS.search(data, at)
        if found is not None:
            return found.start()
        at = data.find(SYNC, max(at, len(data) - PACKET_BYTES))
        return at if at >= 0 else len(data)

    def _packet(self, packet: bytes, out: list[TsFrame]) -> None:
        self.counters.packets += 1
        pid = (packet[1] & 0x1F) << 8 | packet[2]
        control = packet[3] >> 4 & 3
        line, section = self._taken.get(pid), self._sections.get(pid)
        if line is None and section is None:
            return
        if packet[1] & 0x80 or packet[3] & 0xC0:  # damaged on its way, or scrambled
            self.counters.broken += 1
            return
        at, jumps = 4, False
        if control & 2:
            at += 1 + packet[4]
            jumps = packet[4] > 0 and bool(packet[5] & 0x80)
        if not control & 1 or at > PACKET_BYTES:
            return
        payload = packet[at:]
        repeated = self._count(pid, packet[3] & 15, payload, jumps, line)
        if repeated:
            return
        begins = bool(packet[1] & 0x40)
        if section is not None:
            self._section(pid, section, payload, begins)
        elif line is not None:
            self._pes(line, payload, begins, control & 2 > 0 and _is_filled_up(packet), out)

    def _count(self, pid: int, count: int, payload: bytes, jumps: bool, line: _Line | None) -> bool:
        """Whether a packet is the one before again, which senders may do (§2.4.3.3)."""
        before = self._continuity.get(pid)
        self._continuity[pid] = count, payload
        if before == (count, payload):
            return True
        if before is None or jumps or count == before[0] + 1 & 15:
            if jumps and line is not None:
                line.discontinuity = True
            return False
        self.counters.lost += 1
        if line is not None:
            self._tear(line)
        return False

    def _tear(self, line: _Line) -> None:
        """Something of a line is missing."""
        if line.coming is not None:
            self.counters.broken += 1
        line.coming, line.discontinuity, line.filled_up = None, True, False

    # tables

    def _section(self, pid: int, section: _Section, payload: bytes, begins: bool) -> None:
        if begins:
            pointer = payload[0] if payload else 0
            if section.begun:
                self._tables(pid, section, payload[1 : 1 + pointer])
            section.data.clear()
            section.begun, payload = True, payload[1 + pointer :]
        if section.begun:
            self._tables(pid, section, payload)

    def _tables(self, pid: int, section: _Section, more: bytes) -> None:
        """One may follow another in the same packet (§2.4.4)."""
        data = section.data
        data += more
        while section.begun and len(data) >= 3:
            size = 3 + (int.from_bytes(data[1:3]) & 0x0FFF)
            if data[0] == tables.STUFFING:
                section.begun = False
            elif not tables.MIN_SECTION_BYTES <= size <= tables.MAX_SECTION_BYTES + 3:
                section.begun = False
                self.counters.broken += 1
            elif len(data) < size:
                return
            else:
                table = bytes(data[:size])
                del data[:size]
                self._table(pid, table)

    def _table(self, pid: int, section: bytes) -> None:
        if not section[5] & 1:  # what will be, not what is
            return
        try:
            if pid == tables.PAT_PID:
                self._program(tables.parse_pat(section))
            elif section != self._pmt:
                self._take(tables.parse_pmt(section))
                self._pmt = section
        except FormatError:
            self.counters.broken += 1

    def _program(self, pid: int | None) -> None:
        if pid is not None and pid not in (self._pmt_pid, tables.PAT_PID):
            self._sections = {tables.PAT_PID: self._sections[tables.PAT_PID], pid: _Section()}
            self._pmt_pid, self._pmt = pid, b""

    def _take(self, lines: list[Elementary]) -> None:
        self.lines = lines[:MAX_LINES]
        taken: dict[int, _Line] = {}
        kinds: set[MediaKind] = set()
        for line in self.lines:
            if line.codec is not None and line.codec.kind not in kinds and line.pid not in self._sections:
                kinds.add(line.codec.kind)
                known = self._taken.get(line.pid)
                taken[line.pid] = known if known is not None and known.elementary == line else _Line(line)
        self._taken = taken
        self._continuity = {
            pid: each for pid, each in self._continuity.items() if pid in taken or pid in self._sections
        }

    # PES

    def _pes(self, line: _Line, payload: bytes, begins: bool, filled_up: bool, out: list[TsFrame]) -> None:
        if begins:
            if line.coming is not None and line.filled_up and line.trust != _NEVER:
                line.trust += 1
            self._finish(line, out)
            line.coming, line.wanted = bytearray(), 0
        elif line.filled_up and payload:
            if line.coming is None and line.trust >= TRUST_AFTER:  # it was no end
                self.counters.broken += 1
                line.discontinuity = True
            line.trust = _NEVER
        line.filled_up = filled_up
        if line.coming is None:
            return
        before = len(line.coming)
        line.coming += payload
        size = len(line.coming)
        if before < 6 <= size:
            length = int.from_bytes(line.coming[4:6])
            line.wanted = 6 + length if length else 0
        if size > (MAX_PES_BYTES if line.is_video else MAX_SOUND_BYTES):
            line.coming, line.discontinuity = None, True
            self.counters.broken += 1
        elif (
            size >= line.wanted if line.wanted else filled_up and line.is_video and line.trust >= TRUST_AFTER
        ):
            if not line.wanted:
                line.trust += 1
            self._finish(line, out)

    def _finish(self, line: _Line, out: list[TsFrame]) -> None:
        if line.coming is None:
            return
        data, line.coming = bytes(line.coming), None
        try:
            if line.wanted and len(data) < line.wanted:
                raise FormatError("MPEG-TS: a PES packet that ends too early")
            pts, dts, payload = _parse_pes(data[: line.wanted or None])
            dts = _unwrapped(dts, self._last if line.last is None else line.last)
            pts = _unwrapped(pts, dts)
            self._last = line.last = dts
            lost, line.discontinuity = line.discontinuity, False
            before = len(out)
            out += frames_of(line.elementary, payload, dts, pts, discontinuity=lost, adts=line.adts)
            if len(out) == before:
                line.discontinuity = lost  # nothing that could tell it
        except FormatError:
            self.counters.broken += 1
            line.discontinuity = True


def _is_filled_up(packet: bytes) -> bool:
    """Whether the adaptation field holds bytes that mean nothing (§2.4.3.4)."""
    size, at = packet[4], 6
    if size == 0:
        return True
    flags = packet[5]
    at += 6 * bool(flags & 0x10) + 6 * bool(flags & 0x08) + bool(flags & 0x04)
    for optional in (0x02, 0x01):  # private data, extension: each says its length
        if flags & optional and at < PACKET_BYTES:
            at += 1 + packet[at]
    return at < 5 + size


def _parse_pes(data: bytes) -> tuple[int, int, bytes]:
    """PTS, DTS, payload (§2.4.3.7). Raises FormatError."""
    if len(data) < 9 or data[:3] != b"\0\0\1" or data[6] & 0xC0 != 0x80:
        raise FormatError("MPEG-TS: no PES packet begins here")
    stamps, begins = data[7] >> 6, 9 + data[8]
    if begins > len(data) or not stamps & 2 or data[8] < (5 if stamps == 2 else 10):
        raise FormatError("MPEG-TS: a PES packet without times")
    pts = _stamp(data[9:14])
    return pts, _stamp(data[14:19]) if stamps == 3 else pts, data[begins:]


def _stamp(five: bytes) -> int:
    value = int.from_bytes(five)
    return (value >> 33 & 7) << 30 | (value >> 17 & 0x7FFF) << 15 | value >> 1 & 0x7FFF


def _unwrapped(stamp: int, near: int | None) -> int:
    """The time that `stamp` is modulo 2³³ and that is nearest to `near`."""
    if near is None:
        return stamp
    return near + ((stamp - near + _HALF) % _WRAP - _HALF)
