"""AAC over RTP (RFC 3640): several frames a packet, or one frame over several packets.

Without interleaving and without the optional fields behind an AU header; a session description that asks for
them describes a line that is not set up (`AacFormat.parse` says why).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from vms.format.aac import parse_config
from vms.format.errors import FormatError
from vms.wire.depayload import Timeline, UnitReceiver
from vms.wire.errors import UnsupportedMedia
from vms.wire.rtp import Buffer

MAX_FRAME_SIZE = 64 << 10

_UNSUPPORTED = (
    "ctsdeltalength",
    "dtsdeltalength",
    "randomaccessindication",
    "streamstateindication",
    "auxiliarydatasizelength",
)


@dataclass(frozen=True, slots=True)
class AacFormat:
    """What ``a=fmtp`` says of an AAC line (RFC 3640 §4.1).

    config: the AudioSpecificConfig (ISO 14496-3 §1.6.2.1). size_bits, index_bits: of an AU header.
    frame_ticks: how far a frame moves the RTP timestamp.
    """

    config: bytes
    size_bits: int
    index_bits: int
    frame_ticks: int

    @classmethod
    def parse(cls, parameters: Mapping[str, str], clock_rate: int) -> Self:
        """From the format parameters, names in lower case. Raises UnsupportedMedia."""
        try:
            config = bytes.fromhex(parameters.get("config", "").strip('"'))
            numbers = {
                name: int(parameters.get(name) or 0)
                for name in (
                    "sizelength",
                    "indexlength",
                    "indexdeltalength",
                    "constantduration",
                    *_UNSUPPORTED,
                )
            }
        except ValueError as error:
            raise UnsupportedMedia("AAC format parameters hold what is no number") from error
        if any(numbers[name] for name in _UNSUPPORTED):
            raise UnsupportedMedia("AAC line uses optional AU header fields")
        if not 1 <= numbers["sizelength"] <= 16 or not 0 <= numbers["indexlength"] <= 16:
            raise UnsupportedMedia("AAC line without sizeLength= (AAC-hbr says 13) cannot be taken apart")
        if numbers["indexlength"] != numbers["indexdeltalength"]:
            raise UnsupportedMedia("AAC line with indexLength other than indexDeltaLength")
        try:
            core = parse_config(config)
        except FormatError as error:
            raise UnsupportedMedia(f"AAC line: {error}") from error
        ticks = numbers["constantduration"] or core.frame_length * clock_rate // core.sample_rate
        return cls(config, numbers["sizelength"], numbers["indexlength"], min(ticks, 1 << 16))


class AacDepayloader:
    """One AAC line; a unit is one raw AAC frame without ADTS."""

    __slots__ = (
        "_format",
        "_lost",
        "_pieces",
        "_receiver",
        "_timeline",
        "_timestamp",
        "_wanted",
        "packets_ignored",
        "units",
        "units_broken",
    )

    def __init__(self, receiver: UnitReceiver, timeline: Timeline, aac: AacFormat) -> None:
        self.units = 0
        self.units_broken = 0
        self.packets_ignored = 0
        self._receiver = receiver
        self._timeline = timeline
        self._format = aac
        self._lost = False
        self._pieces = bytearray()  # of a frame that comes in several packets
        self._wanted = 0
        self._timestamp = 0

    def push(  # noqa: PLR0917 - called once a packet, where keywords would cost
        self, buffer: Buffer, start: int, end: int, timestamp: int, marker: int, arrival_ns: int
    ) -> None:
        """See Depayloader.push."""
        sizes, position = self._headers(buffer, start, end)
        if not sizes:
            self.packets_ignored += 1
            self._give_up()
            return
        if len(sizes) == 1 and sizes[0] > end - position:
            self._fragment(buffer[position:end], sizes[0], timestamp, arrival_ns)
            return
        if self._wanted:
            if len(sizes) == 1 and timestamp == self._timestamp and self._wanted == sizes[0]:
                self._fragment(buffer[position:end], sizes[0], timestamp, arrival_ns)
                return
            self._give_up()
        unwrapped = self._timeline.advance(timestamp, arrival_ns)
        for size in sizes:
            if position + size > end:
                self.units_broken += 1
                self._lost = self.units > 0
                break
            self._deliver(bytes(buffer[position : position + size]), unwrapped, arrival_ns)
            unwrapped += self._format.frame_ticks
            position += size

    def lost(self) -> None:
        """Packets are missing before the next push."""
        self._give_up()
        self._lost = self.units > 0

    def flush(self) -> None:
        """Nothing that is whole is ever kept."""

    def _headers(self, buffer: Buffer, start: int, end: int) -> tuple[list[int], int]:
        """The sizes of the frames in a packet, and where the first lies; none when they make no sense."""
        if end - start < 4:
            return [], start
        bits = buffer[start] << 8 | buffer[start + 1]
        first = start + 2 + (bits + 7 >> 3)
        width = self._format.size_bits + self._format.index_bits
        count = bits // width
        if first > end or not count:
            return [], start
        value = int.from_bytes(bytes(buffer[start + 2 : first])) >> 8 * (first - start - 2) - count * width
        size_mask = (1 << self._format.size_bits) - 1
        index_mask = (1 << self._format.index_bits) - 1
        sizes = []
        for number in range(count):
            header = value >> (count - 1 - number) * width
            if number and header & index_mask:  # interleaved: frames are not in order
                return [], start
            sizes.append(header >> self._format.index_bits & size_mask)
        return ([], start) if 0 in sizes else (sizes, first)

    def _fragment(self, piece: Buffer, size: int, timestamp: int, arrival_ns: int) -> None:
        if self._wanted and (timestamp != self._timestamp or size != self._wanted):
            self._give_up()
        self._wanted = size
        self._timestamp = timestamp
        self._pieces += piece
        if len(self._pieces) > min(size, MAX_FRAME_SIZE):
            self._give_up()
        elif len(self._pieces) == size:
            frame = bytes(self._pieces)
            self._pieces.clear()
            self._wanted = 0
            self._deliver(frame, self._timeline.advance(timestamp, arrival_ns), arrival_ns)

    def _deliver(self, frame: bytes, unwrapped: int, arrival_ns: int) -> None:
        lost, self._lost = self._lost, False
        self.units += 1
        self._receiver.access_unit(frame, unwrapped, True, lost, arrival_ns)

    def _give_up(self) -> None:
        """Drop the frame that was being put together."""
        if self._wanted:
            self.units_broken += 1
            self._lost = self.units > 0
            self._wanted = 0
            self._pieces.clear()
