"""What RTP does not say of an access unit, in the header extension of its first packet (RFC 8285).

Two elements in one block of the one-byte form, so that any receiver can pass over them:

- abs-capture-time (8 bytes): the capture time as a 64-bit NTP timestamp;
- access-unit (9 bytes): flags, then dts as a signed 64-bit number. pts is the RTP timestamp, taken as the
  value nearest to dts.

Belongs here: bytes ↔ an access unit's times and flags. Does not: RTP packets (vms.wire.rtp).
"""

from struct import Struct
from typing import NamedTuple

from vms.media import AccessUnit
from vms.wire.rtcp import ntp_to_unix_ns, unix_ns_to_ntp
from vms.wire.rtp import ONE_BYTE_EXTENSIONS, parse_extensions
from vms.wire.sdp import Attribute, MediaDescription

CAPTURE_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
ACCESS_UNIT_URI = "urn:x-vms:rtp-hdrext:access-unit"
CAPTURE_TIME_ID, ACCESS_UNIT_ID = 1, 2
DISCONTINUITY, KEY = 1, 2

_CAPTURE_TIME = Struct(">Q")
_ACCESS_UNIT = Struct(">Bq")
# The block as `pack` writes it: profile, words, then the two elements and a byte of padding.
_BLOCK = Struct(">HHBQBBqx")
_HEADER = (ONE_BYTE_EXTENSIONS, 5, CAPTURE_TIME_ID << 4 | 7)
_ACCESS_UNIT_HEADER = ACCESS_UNIT_ID << 4 | 8


class UnitTimes(NamedTuple):
    """capture_ns: Unix ns; exact for times from 1968 to 2104."""

    capture_ns: int
    dts: int
    key: bool
    discontinuity: bool


def attributes() -> tuple[Attribute, Attribute]:
    """What announces the extension in a session description (RFC 8285 §5)."""
    return (
        Attribute("extmap", f"{CAPTURE_TIME_ID} {CAPTURE_TIME_URI}"),
        Attribute("extmap", f"{ACCESS_UNIT_ID} {ACCESS_UNIT_URI}"),
    )


def is_announced(media: MediaDescription) -> bool:
    """Whether a media section announces both elements."""
    return all(media.header_extension(uri) is not None for uri in (CAPTURE_TIME_URI, ACCESS_UNIT_URI))


def pack(unit: AccessUnit) -> bytes:
    """The extension block of a unit's first packet."""
    flags = (DISCONTINUITY if unit.discontinuity else 0) | (KEY if unit.key else 0)
    ntp = unix_ns_to_ntp(unit.capture_ns)
    return _BLOCK.pack(*_HEADER, ntp, _ACCESS_UNIT_HEADER, flags, unit.dts)


class UnitTimesParser:
    """Reads the extension of one line, whose session description numbers the elements."""

    def __init__(self, media: MediaDescription) -> None:
        self._capture_id = media.header_extension(CAPTURE_TIME_URI)
        self._unit_id = media.header_extension(ACCESS_UNIT_URI)

    def parse(self, profile: int, extension: bytes) -> UnitTimes | None:
        """None when an element is missing or malformed."""
        elements = parse_extensions(profile, extension)
        capture = elements.get(self._capture_id or 0, b"")
        unit = elements.get(self._unit_id or 0, b"")
        # abs-capture-time has a longer form, with the offset of a clock that we do not ask about.
        if len(capture) < _CAPTURE_TIME.size or len(unit) != _ACCESS_UNIT.size:
            return None
        (ntp,) = _CAPTURE_TIME.unpack_from(capture)
        flags, dts = _ACCESS_UNIT.unpack(unit)
        return UnitTimes(ntp_to_unix_ns(ntp), dts, bool(flags & KEY), bool(flags & DISCONTINUITY))
