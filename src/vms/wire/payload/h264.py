"""Cut H.264 access units into RTP payloads (RFC 6184, packetization-mode 1).

Small NAL units that lead an access unit (delimiter, parameter sets, SEI) share one STAP-A; a NAL unit
that does not fit becomes FU-A fragments of equal size, the last one perhaps shorter, so that the kernel
can cut them out of one send (UDP GSO).

Belongs here: payloads alone. Does not: RTP headers and timestamps (vms.wire.rtp), reassembly
(vms.wire.depayload.h264).
"""

from collections.abc import Sequence

from vms.format import nal

CODED_SLICES = range(1, 6)  # NAL unit types of coded slices and data partitions (ITU-T H.264 table 7-1)
SINGLE_TYPES = range(1, 24)  # of NAL units that can be a packet by themselves (RFC 6184 table 1)
STAP_A = 24
FU_A = 28
FU_START, FU_END = 0x80, 0x40
TYPE_MASK, NRI_MASK, FORBIDDEN_MASK = 0x1F, 0x60, 0x80
MIN_PAYLOAD_BYTES = 64


def packetize(access_unit: bytes, max_payload: int) -> list[bytes]:
    """The RTP payloads of one access unit, in sending order; the last one takes the marker bit.

    access_unit: NAL units, each behind its length in 4 bytes, big-endian.
    max_payload: bytes that one payload may have, at least 64.
    Raises FormatError when the lengths contradict each other.
    """
    if max_payload < MIN_PAYLOAD_BYTES:
        raise ValueError(f"max_payload is {max_payload}; H.264 needs at least {MIN_PAYLOAD_BYTES} bytes")
    payloads: list[bytes] = []
    leading: list[memoryview] = []
    leading_bytes = 1  # the STAP-A's own header
    for unit in nal.split(access_unit):
        size = len(unit)
        nal_type = unit[0] & TYPE_MASK
        is_slice = nal_type in CODED_SLICES
        if not is_slice and leading_bytes + 2 + size <= max_payload:
            leading.append(unit)
            leading_bytes += 2 + size
            continue
        _flush(leading, payloads)
        leading_bytes = 1
        if size <= max_payload and nal_type in SINGLE_TYPES:
            payloads.append(bytes(unit))
        else:
            _fragment(unit, max_payload, payloads)
    _flush(leading, payloads)
    return payloads


def aggregate(units: Sequence[bytes | memoryview]) -> bytes:
    """One STAP-A of `units` (RFC 6184 §5.7.1), each of at most 65,535 bytes."""
    forbidden = max(unit[0] & FORBIDDEN_MASK for unit in units)
    nri = max(unit[0] & NRI_MASK for unit in units)
    parts: list[bytes | memoryview] = [bytes((forbidden | nri | STAP_A,))]
    for unit in units:
        parts.append(len(unit).to_bytes(2, "big"))
        parts.append(unit)
    return b"".join(parts)


def _flush(leading: list[memoryview], payloads: list[bytes]) -> None:
    if len(leading) == 1 and leading[0][0] & TYPE_MASK in SINGLE_TYPES:
        payloads.append(bytes(leading[0]))
    elif leading:
        payloads.append(aggregate(leading))
    leading.clear()


def _fragment(unit: memoryview, max_payload: int, payloads: list[bytes]) -> None:
    """FU-A (RFC 6184 §5.8): as few fragments as fit, of equal size, the last perhaps shorter."""
    header = unit[0]
    indicator = header & (FORBIDDEN_MASK | NRI_MASK) | FU_A
    nal_type = header & TYPE_MASK
    body_bytes = len(unit) - 1
    fragments = max(2, -(-body_bytes // (max_payload - 2)))  # never start and end in one (§5.8)
    step = -(-body_bytes // fragments)
    middle = bytes((indicator, nal_type))
    payloads.append(bytes((indicator, nal_type | FU_START)) + unit[1 : 1 + step])
    for index in range(1, fragments - 1):
        start = 1 + step * index
        payloads.append(middle + unit[start : start + step])
    payloads.append(bytes((indicator, nal_type | FU_END)) + unit[1 + step * (fragments - 1) :])
