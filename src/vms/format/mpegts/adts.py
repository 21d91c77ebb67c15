"""AAC frames with the header that they carry in streams without a description (ADTS, ISO/IEC 14496-3 Annex 1.A)."""

from collections.abc import Iterator
from dataclasses import dataclass

from vms.format import aac
from vms.format.errors import FormatError

HEADER_BYTES = 7
MAX_FRAME_BYTES = (1 << 13) - 1


@dataclass(frozen=True, slots=True)
class AdtsFrame:
    """data: without its header. channels: 0 where the frame itself says it."""

    data: bytes
    sample_rate: int
    channels: int


def adts_header(config: bytes, frame_bytes: int) -> bytes:
    """The header of one frame under an AudioSpecificConfig. Raises FormatError for what ADTS cannot say."""
    parsed = aac.parse_config(config)
    size = HEADER_BYTES + frame_bytes
    if (
        not 1 <= parsed.object_type <= 4
        or parsed.sample_rate not in aac.SAMPLE_RATES
        or size > MAX_FRAME_BYTES
    ):
        raise FormatError(
            f"AAC: object type {parsed.object_type} with {frame_bytes} bytes has no ADTS header"
        )
    channels = 7 if parsed.channels == 8 else parsed.channels
    rate = aac.SAMPLE_RATES.index(parsed.sample_rate)
    value = 0xFFF1 << 40 | (parsed.object_type - 1) << 38 | rate << 34 | channels << 30
    return (value | size << 13 | 0x7FF << 2).to_bytes(HEADER_BYTES)


def split_adts(data: bytes) -> Iterator[AdtsFrame]:
    """The frames in `data`. Raises FormatError where one does not begin or reaches beyond the end."""
    at = 0
    while at < len(data):
        head = data[at : at + HEADER_BYTES]
        if len(head) < HEADER_BYTES or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
            raise FormatError(f"ADTS: no frame begins at byte {at}")
        value = int.from_bytes(head)
        size, rate = value >> 13 & 0x1FFF, value >> 34 & 15
        begins = HEADER_BYTES + (0 if head[1] & 1 else 2)  # a checksum
        if size <= begins or at + size > len(data) or rate >= len(aac.SAMPLE_RATES) or value & 3:
            raise FormatError(f"ADTS: the frame at byte {at} says what cannot be")
        channels = value >> 30 & 7
        yield AdtsFrame(
            data[at + begins : at + size], aac.SAMPLE_RATES[rate], 8 if channels == 7 else channels
        )
        at += size
