"""Parameter sets out of what a container keeps beside a track (ISO 14496-15).

Belongs here: avcC (§5.3.3.1), hvcC (§8.3.3.1) and Annex B headers, from files that a user names.
Does not: reading containers (footage, by PyAV), bit streams (vms.format).
"""

from typing import NamedTuple

from vms.format import nal
from vms.format.errors import FormatError
from vms.media import Codec


class Configuration(NamedTuple):
    """parameter_sets: NAL units; length_bytes: of the length before each NAL unit, 0 for start codes."""

    parameter_sets: tuple[bytes, ...]
    length_bytes: int

    def access_unit(self, data: bytes) -> bytes:
        """A packet of the container as NAL units behind 4-byte lengths. Raises FormatError."""
        if self.length_bytes == nal.LENGTH_BYTES:
            return data
        if self.length_bytes == 0:
            return nal.from_annex_b(data)
        return nal.join(_split(data, self.length_bytes))


def parse(codec: Codec, record: bytes) -> Configuration:
    """Read a container's configuration record. Raises FormatError when it is none."""
    if record[:3] in (b"\0\0\1", b"\0\0\0"):
        return Configuration(tuple(bytes(unit) for unit in nal.split(nal.from_annex_b(record))), 0)
    try:
        return _parse_avcc(record) if codec is Codec.H264 else _parse_hvcc(record)
    except IndexError as error:
        raise FormatError(f"{codec} configuration record of {len(record)} bytes is cut short") from error


def _parse_avcc(record: bytes) -> Configuration:
    sets: list[bytes] = []
    position = _take_sets(record, 6, record[5] & 0x1F, sets)
    _take_sets(record, position + 1, record[position], sets)
    return Configuration(tuple(sets), (record[4] & 3) + 1)


def _parse_hvcc(record: bytes) -> Configuration:
    sets: list[bytes] = []
    position = 23
    for _ in range(record[22]):
        found = int.from_bytes(record[position + 1 : position + 3])
        position = _take_sets(record, position + 3, found, sets)
    # hvcC may keep SEI units beside the parameter sets, of types 32 to 34.
    return Configuration(
        tuple(unit for unit in sets if 32 <= unit[0] >> 1 & 0x3F <= 34), (record[21] & 3) + 1
    )


def _take_sets(record: bytes, position: int, count: int, sets: list[bytes]) -> int:
    for _ in range(count):
        size = int.from_bytes(record[position : position + 2])
        unit = record[position + 2 : position + 2 + size]
        if not unit or len(unit) != size:
            raise FormatError(f"parameter set at byte {position} of a configuration record is cut short")
        sets.append(unit)
        position += 2 + size
    return position


def _split(data: bytes, length_bytes: int) -> list[bytes]:
    units, position = [], 0
    while position < len(data):
        start = position + length_bytes
        position = start + int.from_bytes(data[position:start])
        if position > len(data) or position == start:
            raise FormatError(f"NAL unit at byte {start - length_bytes}: its length is wrong")
        units.append(data[start:position])
    return units
