"""RTP packets (RFC 3550 §5.1), their header extensions (RFC 8285), and their counters' arithmetic.

Belongs here: one packet's header, 16-bit sequence numbers, 32-bit timestamps.
Does not: payload formats (vms.wire.depayload, vms.wire.payload), reports (vms.wire.rtcp).
"""

from collections.abc import Mapping
from struct import Struct
from typing import NamedTuple

from vms.wire.errors import ProtocolError

HEADER_SIZE = 12
ONE_BYTE_EXTENSIONS = 0xBEDE
TWO_BYTE_EXTENSIONS = 0x1000  # the low 4 bits are free to the application (RFC 8285 §4.3)

_HEADER = Struct(">BBHII")
_EXTENSION = Struct(">HH")

Buffer = bytes | bytearray | memoryview


class RtpPacket(NamedTuple):
    """One RTP packet's header fields, and where its payload lies.

    payload_start, payload_end: offsets into the buffer that was parsed, padding left out.
    extension_profile: 16 bits that say how `extension` is built; 0 when there is none.
    """

    marker: bool
    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload_start: int
    payload_end: int
    extension_profile: int = 0
    extension: bytes = b""


def parse(buffer: Buffer, start: int = 0, end: int | None = None) -> RtpPacket:
    """The packet in ``buffer[start:end]``; nothing of its payload is copied. Raises ProtocolError."""
    if end is None:
        end = len(buffer)
    if end - start < HEADER_SIZE:
        raise ProtocolError(f"RTP packet of {end - start} bytes is shorter than its header of {HEADER_SIZE}")
    first, second, sequence_number, timestamp, ssrc = _HEADER.unpack_from(buffer, start)
    if first >> 6 != 2:
        raise ProtocolError(f"RTP version is {first >> 6}, not 2")
    payload = start + HEADER_SIZE + 4 * (first & 0x0F)
    profile, extension = 0, b""
    if first & 0x10:
        if payload + 4 > end:
            raise ProtocolError("RTP header extension begins outside its packet")
        profile, words = _EXTENSION.unpack_from(buffer, payload)
        extension = bytes(buffer[payload + 4 : min(payload + 4 + 4 * words, end)])
        payload += 4 + 4 * words
    payload_end = end
    if first & 0x20 and end > payload:
        padding = buffer[end - 1]
        if padding == 0:
            raise ProtocolError("RTP padding of 0 bytes is not allowed")
        payload_end -= padding
    if payload_end < payload:
        raise ProtocolError("RTP header, extension and padding are longer than their packet")
    return RtpPacket(
        second > 0x7F,
        second & 0x7F,
        sequence_number,
        timestamp,
        ssrc,
        payload,
        payload_end,
        profile,
        extension,
    )


def pack_header(
    payload_type: int,
    sequence_number: int,
    timestamp: int,
    ssrc: int,
    *,
    marker: bool = False,
    extension: bytes = b"",
) -> bytes:
    """The header of a packet without CSRCs and padding; `extension` as `pack_extensions` makes it."""
    return (
        _HEADER.pack(
            0x90 if extension else 0x80,
            payload_type | (0x80 if marker else 0),
            sequence_number,
            timestamp,
            ssrc,
        )
        + extension
    )


def pack_extensions(elements: Mapping[int, bytes]) -> bytes:
    """A header extension block (RFC 8285): one-byte headers where they suffice, else two-byte ones.

    elements: local identifier (1..14, or 1..255) → value of 1..16 (or 0..255) bytes. ValueError otherwise.
    """
    if not elements:
        return b""
    short = all(1 <= number <= 14 and 1 <= len(value) <= 16 for number, value in elements.items())
    if not short and not all(1 <= number <= 255 and len(value) <= 255 for number, value in elements.items()):
        raise ValueError("RTP header extension elements are numbered 1 to 255 and hold at most 255 bytes")
    body = bytearray()
    for number, value in elements.items():
        body += bytes((number << 4 | len(value) - 1,)) if short else bytes((number, len(value)))
        body += value
    body += bytes(-len(body) % 4)
    return _EXTENSION.pack(ONE_BYTE_EXTENSIONS if short else TWO_BYTE_EXTENSIONS, len(body) // 4) + body


def parse_extensions(profile: int, extension: bytes) -> dict[int, bytes]:
    """The elements of a header extension by their local identifiers (RFC 8285 §4.2, §4.3).

    Empty for a profile that is not RFC 8285's. What is cut short is left out.
    """
    if profile == ONE_BYTE_EXTENSIONS:
        return _one_byte_elements(extension)
    if profile & 0xFFF0 == TWO_BYTE_EXTENSIONS:
        return _two_byte_elements(extension)
    return {}


def _one_byte_elements(extension: bytes) -> dict[int, bytes]:
    elements: dict[int, bytes] = {}
    position = 0
    while position < len(extension):
        number, size = extension[position] >> 4, (extension[position] & 0x0F) + 1
        position += 1
        if number == 0:  # padding, or a reserved form that says nothing
            continue
        if number == 15 or position + size > len(extension):
            break
        elements[number] = extension[position : position + size]
        position += size
    return elements


def _two_byte_elements(extension: bytes) -> dict[int, bytes]:
    elements: dict[int, bytes] = {}
    position = 0
    while position + 1 < len(extension):
        number, size = extension[position], extension[position + 1]
        if number == 0:
            position += 1
            continue
        position += 2
        if position + size > len(extension):
            break
        elements[number] = extension[position : position + size]
        position += size
    return elements


def sequence_delta(newer: int, older: int) -> int:
    """How far `newer` is ahead of `older` in 16-bit sequence numbers: -32,768…32,767."""
    return (newer - older + 0x8000 & 0xFFFF) - 0x8000


def timestamp_delta(newer: int, older: int) -> int:
    """How far `newer` is ahead of `older` in 32-bit RTP timestamps: -2³¹…2³¹-1."""
    return (newer - older + 0x80000000 & 0xFFFFFFFF) - 0x80000000


class TimestampUnwrapper:
    """Continues 32-bit RTP timestamps without end.

    The first value stands as it is; each later one is the nearest to the newest `advance`d value, so
    timestamps may go back (B-frames), even below zero.
    """

    __slots__ = ("_newest",)

    def __init__(self) -> None:
        self._newest: int | None = None

    def advance(self, timestamp: int) -> int:
        """The unwrapped value of a media packet's timestamp, which becomes the reference."""
        unwrapped = self.peek(timestamp)
        self._newest = unwrapped
        return unwrapped

    def peek(self, timestamp: int) -> int:
        """The unwrapped value, the reference left as it is; for timestamps in reports."""
        newest = self._newest
        if newest is None:
            return timestamp
        return newest + ((timestamp - newest + 0x80000000 & 0xFFFFFFFF) - 0x80000000)
