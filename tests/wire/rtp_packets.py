"""RTP packets and payloads written by hand, from the RFCs and not with the code under test."""

import struct
from dataclasses import dataclass, field


def rtp(
    payload: bytes, sequence_number: int, timestamp: int, *, marker: bool = False, payload_type: int = 96
) -> bytes:
    second = payload_type | (0x80 if marker else 0)
    return struct.pack(">BBHII", 0x80, second, sequence_number & 0xFFFF, timestamp & 0xFFFFFFFF, 7) + payload


def interleaved(packet: bytes, channel: int = 0) -> bytes:
    return b"$" + bytes((channel,)) + struct.pack(">H", len(packet)) + packet


def prefixed(*nals: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(nal)) + nal for nal in nals)


def h264_fragments(nal: bytes, size: int) -> list[bytes]:
    """FU-A payloads (RFC 6184 §5.8)."""
    pieces = [nal[offset : offset + size] for offset in range(1, len(nal), size)]
    payloads = []
    for index, piece in enumerate(pieces):
        edge = (0x80 if index == 0 else 0) | (0x40 if index == len(pieces) - 1 else 0)
        payloads.append(bytes((nal[0] & 0xE0 | 28, edge | nal[0] & 0x1F)) + piece)
    return payloads


def h264_aggregate(*nals: bytes) -> bytes:
    """A STAP-A payload (RFC 6184 §5.7.1)."""
    return bytes((24,)) + b"".join(struct.pack(">H", len(nal)) + nal for nal in nals)


def h265_fragments(nal: bytes, size: int) -> list[bytes]:
    """Fragmentation units (RFC 7798 §4.4.3)."""
    kind = nal[0] >> 1 & 0x3F
    pieces = [nal[offset : offset + size] for offset in range(2, len(nal), size)]
    payloads = []
    for index, piece in enumerate(pieces):
        edge = (0x80 if index == 0 else 0) | (0x40 if index == len(pieces) - 1 else 0)
        payloads.append(bytes((nal[0] & 0x81 | 49 << 1, nal[1], edge | kind)) + piece)
    return payloads


def h265_aggregate(*nals: bytes) -> bytes:
    """An aggregation packet (RFC 7798 §4.4.2)."""
    return bytes((48 << 1, 1)) + b"".join(struct.pack(">H", len(nal)) + nal for nal in nals)


@dataclass
class Unit:
    data: bytes
    timestamp: int
    key: bool
    lost: bool
    arrival_ns: int


@dataclass
class Recorder:
    """A MediaReceiver that remembers; `events` has units and parameter sets in the order they came."""

    events: list[Unit | tuple[bytes, ...]] = field(default_factory=list)
    reports: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def units(self) -> list[Unit]:
        return [event for event in self.events if isinstance(event, Unit)]

    def access_unit(self, data: bytes, rtp_timestamp: int, key: bool, lost: bool, arrival_ns: int) -> None:
        assert type(data) is bytes
        self.events.append(Unit(data, rtp_timestamp, key, lost, arrival_ns))

    def parameter_sets(self, sets: tuple[bytes, ...]) -> None:
        self.events.append(sets)

    def sender_report(self, ntp_ns: int, rtp_timestamp: int, arrival_ns: int) -> None:
        self.reports.append((ntp_ns, rtp_timestamp, arrival_ns))
