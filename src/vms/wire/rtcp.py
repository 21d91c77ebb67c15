"""RTCP packets: reports, descriptions, farewells and feedback.

RFC 3550 §6 (SR, RR, SDES, BYE, APP), RFC 3611 §4.4–4.5 (XR receiver reference time, DLRR), RFC 4585 §6
(generic NACK, picture loss indication), RFC 5104 §4.3.1 (full intra request),
draft-alvestrand-rmcat-remb-03 (receiver estimated maximum bit rate).

Belongs here: bytes ↔ values, NTP time. Does not: when to send what (vms.wire.rtsp, vms.wire.webrtc).
"""

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import NamedTuple

from vms.common.clock import NS
from vms.wire.errors import ProtocolError

SR, RR, SDES, BYE, APP, RTPFB, PSFB, XR = 200, 201, 202, 203, 204, 205, 206, 207
REMB = b"REMB"
NTP_EPOCH_S = 2_208_988_800  # 1900-01-01 to 1970-01-01

_HEADER = Struct(">BBH")
_WORD = Struct(">I")
_SENDER = Struct(">IQIII")
_REPORT = Struct(">IIIIII")
_FEEDBACK = Struct(">II")
_DLRR = Struct(">III")
_NACK = Struct(">HH")
_XR_BLOCK = Struct(">BBH")


class ReportBlock(NamedTuple):
    """What a receiver says of one source (RFC 3550 §6.4.1).

    fraction_lost: of 256, since its last report. packets_lost: in all, may be negative.
    jitter: timestamp ticks. last_sr: the middle 32 bits of the source's last SR's NTP time.
    delay_since_last_sr: in 1/65,536 s.
    """

    ssrc: int
    fraction_lost: int
    packets_lost: int
    highest_sequence: int
    jitter: int
    last_sr: int
    delay_since_last_sr: int

    def pack(self) -> bytes:
        lost = max(-0x800000, min(self.packets_lost, 0x7FFFFF)) & 0xFFFFFF
        return _REPORT.pack(
            self.ssrc,
            self.fraction_lost << 24 | lost,
            self.highest_sequence,
            self.jitter & 0xFFFFFFFF,
            self.last_sr,
            self.delay_since_last_sr & 0xFFFFFFFF,
        )


class SenderReport(NamedTuple):
    """ntp: 64-bit NTP time (32.32 seconds since 1900); 0 when the sender has no clock (RFC 3550 §6.4.1)."""

    ssrc: int
    ntp: int
    rtp_timestamp: int
    packet_count: int
    octet_count: int
    reports: tuple[ReportBlock, ...] = ()

    def pack(self) -> bytes:
        body = _SENDER.pack(
            self.ssrc,
            self.ntp,
            self.rtp_timestamp,
            self.packet_count & 0xFFFFFFFF,
            self.octet_count & 0xFFFFFFFF,
        )
        return _packet(SR, len(self.reports), body + b"".join(map(ReportBlock.pack, self.reports)))


class ReceiverReport(NamedTuple):
    ssrc: int
    reports: tuple[ReportBlock, ...] = ()

    def pack(self) -> bytes:
        body = _WORD.pack(self.ssrc) + b"".join(map(ReportBlock.pack, self.reports))
        return _packet(RR, len(self.reports), body)


class SourceDescription(NamedTuple):
    """The canonical name of one source (RFC 3550 §6.5.1); other items are not kept."""

    ssrc: int
    cname: str

    def pack(self) -> bytes:
        name = self.cname.encode()[:255]
        chunk = _WORD.pack(self.ssrc) + bytes((1, len(name))) + name + b"\0"
        return _packet(SDES, 1, chunk + bytes(-len(chunk) % 4))


class Bye(NamedTuple):
    ssrcs: tuple[int, ...]

    def pack(self) -> bytes:
        return _packet(BYE, len(self.ssrcs), b"".join(map(_WORD.pack, self.ssrcs)))


class Application(NamedTuple):
    """APP: what one application says to another (RFC 3550 §6.7).

    name: four ASCII letters. subtype: 0…31. data: of a multiple of 4 bytes; `pack` fills up with zeros.
    """

    ssrc: int
    name: str
    data: bytes
    subtype: int = 0

    def pack(self) -> bytes:
        name = self.name.encode("ascii").ljust(4)[:4]
        return _packet(
            APP, self.subtype, _WORD.pack(self.ssrc) + name + self.data + bytes(-len(self.data) % 4)
        )


class ReceiverReferenceTime(NamedTuple):
    """XR block 4: a receiver's clock, to be answered with DLRR (RFC 3611 §4.4)."""

    ssrc: int
    ntp: int

    def pack(self) -> bytes:
        return _packet(XR, 0, _WORD.pack(self.ssrc) + _XR_BLOCK.pack(4, 0, 2) + self.ntp.to_bytes(8))


class DelaySinceLastReference(NamedTuple):
    """XR block 5, DLRR (RFC 3611 §4.5).

    ssrc: who sends it. receiver_ssrc: whose reference time it answers. last_rr: the middle 32 bits of
    that time. delay: since it came, in 1/65,536 s.
    """

    ssrc: int
    receiver_ssrc: int
    last_rr: int
    delay: int

    def pack(self) -> bytes:
        block = _XR_BLOCK.pack(5, 0, 3) + _DLRR.pack(self.receiver_ssrc, self.last_rr, self.delay)
        return _packet(XR, 0, _WORD.pack(self.ssrc) + block)


class Nack(NamedTuple):
    """Generic NACK (RFC 4585 §6.2.1): the sequence numbers of `media_ssrc` that are missing."""

    sender_ssrc: int
    media_ssrc: int
    sequence_numbers: tuple[int, ...]

    def pack(self) -> bytes:
        body = bytearray(_FEEDBACK.pack(self.sender_ssrc, self.media_ssrc))
        for first, mask in _nack_pairs(self.sequence_numbers):
            body += _NACK.pack(first, mask)
        return _packet(RTPFB, 1, bytes(body))


class PictureLossIndication(NamedTuple):
    """PLI (RFC 4585 §6.3.1)."""

    sender_ssrc: int
    media_ssrc: int

    def pack(self) -> bytes:
        return _packet(PSFB, 1, _FEEDBACK.pack(self.sender_ssrc, self.media_ssrc))


class FullIntraRequest(NamedTuple):
    """FIR (RFC 5104 §4.3.1): the sources that are asked for a key picture, each with a request number."""

    sender_ssrc: int
    requests: tuple[tuple[int, int], ...]

    def pack(self) -> bytes:
        body = _FEEDBACK.pack(self.sender_ssrc, 0)
        for ssrc, number in self.requests:
            body += _FEEDBACK.pack(ssrc, number << 24)
        return _packet(PSFB, 4, body)


class ReceiverEstimatedBitrate(NamedTuple):
    """REMB: the bits a second that a receiver thinks it can take of `media_ssrcs` together
    (draft-alvestrand-rmcat-remb-03 §2.2), to 18 significant bits."""

    sender_ssrc: int
    bitrate_bps: int
    media_ssrcs: tuple[int, ...]

    def pack(self) -> bytes:
        exponent = min(max(0, self.bitrate_bps.bit_length() - 18), 63)
        mantissa = min(self.bitrate_bps >> exponent, (1 << 18) - 1)
        word = len(self.media_ssrcs) << 24 | exponent << 18 | mantissa
        body = _FEEDBACK.pack(self.sender_ssrc, 0) + REMB + _WORD.pack(word)
        return _packet(PSFB, 15, body + b"".join(map(_WORD.pack, self.media_ssrcs)))


Packet = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | Bye
    | Application
    | ReceiverReferenceTime
    | DelaySinceLastReference
    | Nack
    | PictureLossIndication
    | FullIntraRequest
    | ReceiverEstimatedBitrate
)


def pack(packets: Iterable[Packet]) -> bytes:
    """A compound packet, in the order given (RFC 3550 §6.1: a report first, then SDES)."""
    return b"".join(packet.pack() for packet in packets)


def parse(data: bytes | bytearray | memoryview) -> list[Packet]:
    """The packets of a compound packet that this module knows, in order; others are skipped.

    Raises ProtocolError when a packet is cut short or no RTCP.
    """
    data = bytes(data)
    packets: list[Packet] = []
    position = 0
    while position < len(data):
        if position + 4 > len(data):
            raise ProtocolError(f"RTCP packet header is cut short at byte {position}")
        first, kind, words = _HEADER.unpack_from(data, position)
        end = position + 4 + 4 * words
        if first >> 6 != 2:
            raise ProtocolError(f"RTCP version is {first >> 6}, not 2, at byte {position}")
        if end > len(data):
            raise ProtocolError(f"RTCP packet type {kind} at byte {position} ends outside its datagram")
        body_end = end
        if first & 0x20:
            body_end -= data[end - 1] if words else 0
        if body_end < position + 4:
            raise ProtocolError(f"RTCP padding at byte {position} is longer than its packet")
        packets += _parse_one(kind, first & 0x1F, data[position + 4 : body_end])
        position = end
    return packets


def ntp_to_unix_ns(ntp: int) -> int:
    """Unix nanoseconds of a 64-bit NTP time; seconds below 2³¹ are of the era from 2036 (RFC 4330 §3)."""
    seconds = ntp >> 32
    if seconds < 0x80000000:
        seconds += 1 << 32
    return (seconds - NTP_EPOCH_S) * NS + ((ntp & 0xFFFFFFFF) * NS + 0x80000000 >> 32)


def unix_ns_to_ntp(unix_ns: int) -> int:
    """The 64-bit NTP time of Unix nanoseconds, modulo its era."""
    seconds, ns = divmod(unix_ns, NS)
    return (seconds + NTP_EPOCH_S & 0xFFFFFFFF) << 32 | (ns << 32) // NS


def middle_32(ntp: int) -> int:
    """The middle 32 bits of a 64-bit NTP time, as last_sr and last_rr carry it."""
    return ntp >> 16 & 0xFFFFFFFF


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body


def _parse_one(kind: int, count: int, body: bytes) -> Sequence[Packet]:
    if kind == SR:
        _need(body, _SENDER.size + count * _REPORT.size, "sender report")
        ssrc, ntp, timestamp, packets, octets = _SENDER.unpack_from(body)
        reports = _reports(body, _SENDER.size, count)
        return (SenderReport(ssrc, ntp, timestamp, packets, octets, reports),)
    if kind == RR:
        _need(body, 4 + count * _REPORT.size, "receiver report")
        (ssrc,) = _WORD.unpack_from(body)
        return (ReceiverReport(ssrc, _reports(body, 4, count)),)
    if kind == SDES:
        return _parse_sdes(count, body)
    if kind == BYE:
        _need(body, 4 * count, "BYE")
        return (Bye(tuple(ssrc for (ssrc,) in _WORD.iter_unpack(body[: 4 * count]))),)
    if kind == APP:
        _need(body, 8, "APP")
        (ssrc,) = _WORD.unpack_from(body)
        return (Application(ssrc, body[4:8].decode("latin-1"), body[8:], count),)
    if kind == RTPFB and count == 1:
        return (_parse_nack(body),)
    if kind == PSFB and count in (1, 4):
        return _parse_intra_request(count, body)
    if kind == PSFB and count == 15 and body[8:12] == REMB:
        return (_parse_remb(body),)
    if kind == XR:
        return _parse_xr(body)
    return ()


def _need(body: bytes, size: int, what: str) -> None:
    if len(body) < size:
        raise ProtocolError(f"RTCP {what} holds {len(body)} bytes where it needs {size}")


def _reports(body: bytes, start: int, count: int) -> tuple[ReportBlock, ...]:
    blocks = []
    for offset in range(start, start + count * _REPORT.size, _REPORT.size):
        ssrc, lost, highest, jitter, last_sr, delay = _REPORT.unpack_from(body, offset)
        total = (lost & 0xFFFFFF ^ 0x800000) - 0x800000
        blocks.append(ReportBlock(ssrc, lost >> 24, total, highest, jitter, last_sr, delay))
    return tuple(blocks)


def _parse_sdes(count: int, body: bytes) -> list[Packet]:
    found: list[Packet] = []
    position = 0
    for _ in range(count):
        _need(body, position + 4, "source description")
        (ssrc,) = _WORD.unpack_from(body, position)
        position += 4
        while position < len(body) and body[position]:
            _need(body, position + 2, "source description item")
            kind, size = body[position], body[position + 1]
            _need(body, position + 2 + size, "source description item")
            if kind == 1:
                name = body[position + 2 : position + 2 + size].decode(errors="replace")
                found.append(SourceDescription(ssrc, name))
            position += 2 + size
        position += 4 - position % 4  # at least one null byte ends the chunk
    return found


def _parse_nack(body: bytes) -> Nack:
    _need(body, 8, "NACK")
    sender, media = _FEEDBACK.unpack_from(body)
    missing = []
    for first, mask in _NACK.iter_unpack(body[8 : len(body) & ~3]):
        missing.append(first)
        missing += [first + 1 + bit & 0xFFFF for bit in range(16) if mask >> bit & 1]
    return Nack(sender, media, tuple(missing))


def _nack_pairs(sequence_numbers: Sequence[int]) -> Iterable[tuple[int, int]]:
    first, mask = -1, 0
    for number in sequence_numbers:
        distance = number - first & 0xFFFF
        if first >= 0 and 1 <= distance <= 16:
            mask |= 1 << distance - 1
            continue
        if first >= 0 and distance:
            yield first, mask
        if first < 0 or distance:
            first, mask = number, 0
    if first >= 0:
        yield first, mask


def _parse_intra_request(count: int, body: bytes) -> Sequence[Packet]:
    _need(body, 8, "payload-specific feedback")
    sender, media = _FEEDBACK.unpack_from(body)
    if count == 1:
        return (PictureLossIndication(sender, media),)
    entries = _FEEDBACK.iter_unpack(body[8 : 8 + (len(body) - 8) // 8 * 8])
    return (FullIntraRequest(sender, tuple((ssrc, word >> 24) for ssrc, word in entries)),)


def _parse_remb(body: bytes) -> ReceiverEstimatedBitrate:
    _need(body, 16, "REMB")
    (sender,) = _WORD.unpack_from(body)
    (word,) = _WORD.unpack_from(body, 12)
    count = word >> 24
    _need(body, 16 + 4 * count, "REMB")
    ssrcs = tuple(ssrc for (ssrc,) in _WORD.iter_unpack(body[16 : 16 + 4 * count]))
    return ReceiverEstimatedBitrate(sender, (word & 0x3FFFF) << (word >> 18 & 0x3F), ssrcs)


def _parse_xr(body: bytes) -> list[Packet]:
    _need(body, 4, "extended report")
    (sender,) = _WORD.unpack_from(body)
    found: list[Packet] = []
    position = 4
    while position + 4 <= len(body):
        kind, _, words = _XR_BLOCK.unpack_from(body, position)
        block = body[position + 4 : position + 4 + 4 * words]
        _need(block, 4 * words, "extended report block")
        if kind == 4 and len(block) >= 8:
            found.append(ReceiverReferenceTime(sender, int.from_bytes(block[:8])))
        elif kind == 5:
            entries = _DLRR.iter_unpack(block[: len(block) // 12 * 12])
            found += [DelaySinceLastReference(sender, *entry) for entry in entries]
        position += 4 + 4 * words
    return found
