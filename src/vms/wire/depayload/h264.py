"""H.264 over RTP (RFC 6184): single NAL unit packets, STAP-A, FU-A.

The interleaved mode's packets (STAP-B, MTAP, FU-B) are ignored and counted: it must be asked for in the
session description (packetization-mode=2), and such lines are not set up.
"""

from vms.format.bits import BitReader
from vms.format.errors import FormatError
from vms.wire.depayload.picture import MAX_PICTURE_COST, PIECE_COST, PictureDepayloader
from vms.wire.rtp import Buffer

SLICE, SLICE_PARTITION_A, SLICE_PARTITION_C, IDR = 1, 2, 4, 5
SEI, SPS, PPS, DELIMITER, FILLER = 6, 7, 8, 9, 12
STAP_A, FU_A, FU_B = 24, 28, 29


class H264Depayloader(PictureDepayloader):
    """One H.264 line; `parameter_sets` as in sprop-parameter-sets, decoded."""

    __slots__ = ()

    def push(  # noqa: PLR0917 - called once a packet, where keywords would cost
        self, buffer: Buffer, start: int, end: int, timestamp: int, marker: int, arrival_ns: int
    ) -> None:
        """See Depayloader.push."""
        if timestamp != self._timestamp:
            self._turn(buffer, start, end, timestamp, arrival_ns)
        nal_type = buffer[start] & 0x1F if end > start else 0
        if nal_type == FU_A and end - start > 2:
            header = buffer[start + 1]
            if header & 0xC0 or self._fragment < 0:
                nal_header = bytes((buffer[start] & 0xE0 | header & 0x1F,))
                self._fragment_edge(buffer[start + 2 : end], header, nal_header)
            else:
                self._pieces.append(buffer[start + 2 : end])
                self._cost += end - start + PIECE_COST
                if self._cost > MAX_PICTURE_COST:
                    self._break()
        elif 0 < nal_type < STAP_A:
            self._nal(buffer, start, end)
        elif nal_type == STAP_A:
            self._aggregate(buffer, start + 1, end)
        else:
            self.packets_ignored += 1
        self._arrival_ns = arrival_ns
        if marker:
            self._mark()

    def _aggregate(self, buffer: Buffer, start: int, end: int) -> None:
        while start + 2 < end:
            size = buffer[start] << 8 | buffer[start + 1]
            start += 2
            if size == 0:
                continue
            if start + size > end:
                self._break()
                break
            self._nal(buffer, start, start + size)
            start += size
        if start < end:
            self.packets_ignored += 1

    def _after_nal(self, header: int) -> bool:
        nal_type = header & 0x1F
        if SLICE <= nal_type <= IDR:
            self._slices_end = len(self._pieces)
            if nal_type == IDR:
                self._key = True
        elif self._slices_end and (10 <= nal_type <= FILLER or nal_type >= 19):
            self._slices_end = len(self._pieces)  # these end a picture or extend it (H.264 §7.4.1.2.3)
        return nal_type in (SPS, PPS)

    def _is_slice(self, buffer: Buffer, start: int, end: int) -> bool:
        nal_type, _ = _first_nal(buffer, start, end)
        return SLICE <= nal_type <= IDR

    def _begins_picture(self, buffer: Buffer, start: int, end: int) -> bool:
        nal_type, first_byte = _first_nal(buffer, start, end)
        if SLICE <= nal_type <= IDR:
            # first_mb_in_slice is 0 when its Exp-Golomb code is the single bit 1.
            return nal_type in (SLICE, SLICE_PARTITION_A, IDR) and first_byte >= 0x80
        return SEI <= nal_type <= DELIMITER or 14 <= nal_type <= 18

    @staticmethod
    def _parameter_set_key(nal: Buffer) -> tuple[int, int] | None:
        nal_type = nal[0] & 0x1F if len(nal) else 0
        if nal_type not in (SPS, PPS):
            return None
        fixed = 4 if nal_type == SPS else 1  # profile, constraints and level stand before an SPS's number
        try:
            return nal_type, BitReader(bytes(nal[fixed : fixed + 8]), "H.264 parameter set").ue()
        except FormatError:
            return None


def _first_nal(buffer: Buffer, start: int, end: int) -> tuple[int, int]:
    """Type and first payload byte of the NAL unit that a payload begins with; 0 for a later fragment."""
    if end - start < 2:
        return 0, 0
    nal_type = buffer[start] & 0x1F
    if nal_type == STAP_A and end - start > 4:
        return buffer[start + 3] & 0x1F, buffer[start + 4]
    if nal_type == FU_A and end - start > 2:
        header = buffer[start + 1]
        # A later fragment is part of a slice all the same; its first byte must not look like a beginning.
        return header & 0x1F, buffer[start + 2] if header & 0x80 else 0
    return nal_type, buffer[start + 1]
