"""Put an AAC frame into RTP payloads (RFC 3640 §3.3.6, mode AAC-hbr).

One access unit a packet, or fragments of one when it does not fit (§3.2.3.3): every fragment carries
the whole access unit's size. sizelength=13, indexlength=3, indexdeltalength=3.

Belongs here: the payload format. Does not: AudioSpecificConfig and SDP, RTP headers and numbering.
"""

from vms.wire.errors import ProtocolError

# AU-headers-length (16 bits: the length in bits of one AU header), then AU-size and AU-Index.
_AU_HEADERS_BITS = b"\x00\x10"
_AU_SECTION_BYTES = 4
_MAX_ACCESS_UNIT_BYTES = (1 << 13) - 1


def packetize(access_unit: bytes, max_payload: int) -> list[bytes]:
    """RTP payloads of one raw AAC frame (no ADTS header), none longer than `max_payload` bytes.

    Raises ProtocolError for a frame above 8191 bytes, which AAC-hbr cannot describe.
    """
    if len(access_unit) > _MAX_ACCESS_UNIT_BYTES:
        raise ProtocolError(
            f"AAC frame of {len(access_unit)} bytes; RFC 3640 AAC-hbr carries at most {_MAX_ACCESS_UNIT_BYTES}"
        )
    section = _AU_HEADERS_BITS + (len(access_unit) << 3).to_bytes(2)
    room = max_payload - _AU_SECTION_BYTES
    return [section + access_unit[start : start + room] for start in range(0, len(access_unit), room)]
