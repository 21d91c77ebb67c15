"""Put an H.265 picture into RTP payloads (RFC 7798 §4.4).

A NAL unit that fits travels alone (§4.4.1), a larger one in fragmentation units (§4.4.3); nothing is
aggregated but a NAL unit whose own type would be taken for that of a packet (§4.2), and DONL fields are not used (sprop-max-don-diff = 0).

Belongs here: the payload format. Does not: RTP headers and numbering (the sender), SDP.
"""

from vms.format import nal

_NAL_HEADER_BYTES = 2
_AGGREGATION_TYPE, _FU_TYPE = 48, 49
_AGGREGATION_BYTES = 4  # the packet's own header, and the size before the NAL unit (§4.4.2)


def packetize(access_unit: bytes, max_payload: int) -> list[bytes]:
    """RTP payloads of one picture, in order, none longer than `max_payload` bytes.

    access_unit: NAL units, each behind its length in 4 bytes, big-endian.
    Raises FormatError when the lengths do not add up.
    """
    payloads: list[bytes] = []
    for unit in nal.split(access_unit):
        single = unit[0] >> 1 & 0x3F < _AGGREGATION_TYPE
        if not single and len(unit) + _AGGREGATION_BYTES <= max_payload:
            header = bytes((unit[0] & 0x81 | _AGGREGATION_TYPE << 1, unit[1] if len(unit) > 1 else 0))
            payloads.append(header + len(unit).to_bytes(2) + unit)
        elif single and len(unit) <= max_payload:
            payloads.append(bytes(unit))
        else:
            _fragment(unit, max_payload, payloads)
    return payloads


def _fragment(unit: memoryview, max_payload: int, payloads: list[bytes]) -> None:
    # The FU keeps the NAL header's F, LayerId and TID; the type moves into the FU header.
    indicator = bytes((unit[0] & 0x81 | _FU_TYPE << 1, unit[1]))
    nal_type = unit[0] >> 1 & 0x3F
    start, size = _NAL_HEADER_BYTES, len(unit)
    # Never start and end in one fragment (§4.4.3).
    room = min(max_payload - _NAL_HEADER_BYTES - 1, size - _NAL_HEADER_BYTES - 1)
    while start < size:
        end = min(start + room, size)
        first = 0x80 if start == _NAL_HEADER_BYTES else 0
        last = 0x40 if end == size else 0
        payloads.append(indicator + bytes((first | last | nal_type,)) + unit[start:end])
        start = end
