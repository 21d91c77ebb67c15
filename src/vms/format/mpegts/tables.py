"""The tables of a transport stream: which programs there are, and what each consists of (ISO/IEC 13818-1 §2.4.4).

Belongs here: PAT and PMT, both ways. Does not: packets (muxer, demuxer).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vms.format.errors import FormatError
from vms.media import Codec

PACKET_BYTES = 188
SYNC = 0x47
CLOCK_RATE = 90_000
PAT_PID = 0x0000
PMT_PID = 0x1000
FIRST_PID = 0x0100
NULL_PID = 0x1FFF
PROGRAM = 1
STUFFING = 0xFF  # where a table would begin: no more of them in this packet
MIN_SECTION_BYTES = 12
MAX_SECTION_BYTES = 1021  # section_length of PAT and PMT, §2.4.4.4 and §2.4.4.9

STREAM_TYPES: Mapping[Codec, int] = {
    Codec.H264: 0x1B,
    Codec.H265: 0x24,
    Codec.AAC: 0x0F,  # in ADTS
    Codec.OPUS: 0x06,  # private data, said by descriptors
}
_BY_TYPE = {number: codec for codec, number in STREAM_TYPES.items() if codec is not Codec.OPUS}
_NAMES: Mapping[int, str] = {
    0x01: "MPEG-1 video",
    0x02: "MPEG-2 video",
    0x03: "MPEG-1 audio",
    0x04: "MPEG-2 audio",
    0x06: "private data",
    0x10: "MPEG-4 video",
    0x11: "AAC in LATM",
    0x15: "metadata",
    0x33: "H.266",
    0x81: "AC-3",
    0x86: "SCTE 35",
    0x87: "E-AC-3",
}
_REGISTRATION, _EXTENSION = 0x05, 0x7F
_OPUS_EXTENSION = 0x80
_PAT_ID, _PMT_ID = 0x00, 0x02


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
        table.append(value)
    return table


_CRC = _crc_table()


def crc32(data: bytes) -> int:
    """CRC of sections (ISO/IEC 13818-1 Annex A); 0 over a section with its own CRC."""
    value = 0xFFFFFFFF
    for byte in data:
        value = (value << 8 & 0xFFFFFFFF) ^ _CRC[value >> 24 ^ byte]
    return value


@dataclass(frozen=True, slots=True)
class Elementary:
    """One line of a program. codec: None for what we cannot use. channels: of Opus, 0 for others.

    stream_type: what the program says it is (ISO/IEC 13818-1 table 2-34).
    """

    pid: int
    codec: Codec | None
    channels: int = 0
    stream_type: int = field(default=0, compare=False)

    @property
    def name(self) -> str:
        """What people call it."""
        if self.codec is not None:
            return self.codec.value
        return _NAMES.get(self.stream_type, f"stream type 0x{self.stream_type:02x}")


def pat_section(version: int = 0) -> bytes:
    """One program, whose map is at PMT_PID."""
    body = PROGRAM.to_bytes(2) + (0xE000 | PMT_PID).to_bytes(2)
    return _section(_PAT_ID, 1, version, body)


def pmt_section(lines: list[Elementary], pcr_pid: int, version: int) -> bytes:
    """What the program consists of."""
    body = (0xE000 | pcr_pid).to_bytes(2) + b"\xf0\x00"
    for line in lines:
        assert line.codec is not None
        about = b""
        if line.codec is Codec.OPUS:
            about = (
                bytes((_REGISTRATION, 4)) + b"Opus" + bytes((_EXTENSION, 2, _OPUS_EXTENSION, line.channels))
            )
        body += bytes((STREAM_TYPES[line.codec],)) + (0xE000 | line.pid).to_bytes(2)
        body += (0xF000 | len(about)).to_bytes(2) + about
    return _section(_PMT_ID, PROGRAM, version, body)


def parse_pat(section: bytes) -> int | None:
    """The PID of the first program's map; None when there is none. Raises FormatError."""
    body = _body(section, _PAT_ID)
    for at in range(0, len(body) - 3, 4):
        if int.from_bytes(body[at : at + 2]):
            return int.from_bytes(body[at + 2 : at + 4]) & 0x1FFF
    return None


def parse_pmt(section: bytes) -> list[Elementary]:
    """What a program consists of. Raises FormatError."""
    body = _body(section, _PMT_ID)
    if len(body) < 4:
        raise FormatError("MPEG-TS: a program map of less than 4 bytes")
    at = 4 + (int.from_bytes(body[2:4]) & 0x0FFF)
    found = []
    while at + 5 <= len(body):
        about = body[at + 5 : at + 5 + (int.from_bytes(body[at + 3 : at + 5]) & 0x0FFF)]
        found.append(_line(int.from_bytes(body[at + 1 : at + 3]) & 0x1FFF, body[at], about))
        at += 5 + (int.from_bytes(body[at + 3 : at + 5]) & 0x0FFF)
    return found


def _line(pid: int, stream_type: int, about: bytes) -> Elementary:
    if stream_type != STREAM_TYPES[Codec.OPUS]:
        return Elementary(pid, _BY_TYPE.get(stream_type), stream_type=stream_type)
    opus, channels, at = False, 2, 0
    while at + 2 <= len(about):
        tag, value = about[at], about[at + 2 : at + 2 + about[at + 1]]
        opus = opus or (tag == _REGISTRATION and value[:4] == b"Opus")
        if tag == _EXTENSION and len(value) >= 2 and value[0] == _OPUS_EXTENSION and 0 < value[1] <= 8:
            channels = value[1]
        at += 2 + about[at + 1]
    return Elementary(pid, Codec.OPUS if opus else None, channels if opus else 0, stream_type)


def _section(table: int, number: int, version: int, body: bytes) -> bytes:
    head = bytes((table,)) + (0xB000 | len(body) + 9).to_bytes(2)
    head += number.to_bytes(2) + bytes((0xC1 | (version & 0x1F) << 1, 0, 0))
    return head + body + crc32(head + body).to_bytes(4)


def _body(section: bytes, table: int) -> bytes:
    if (
        len(section) < MIN_SECTION_BYTES
        or section[0] != table
        or len(section) != 3 + (int.from_bytes(section[1:3]) & 0x0FFF)
    ):
        raise FormatError(f"MPEG-TS: no section of table {table}")
    if crc32(section):
        raise FormatError(f"MPEG-TS: the checksum of a section of table {table} is wrong")
    return section[8:-4]
