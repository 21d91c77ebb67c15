"""H.265 over RTP (RFC 7798): single NAL unit packets, aggregation packets, fragmentation units.

Without decoding order numbers (sprop-max-don-diff absent or 0); lines that need them are not set up.
"""

from vms.format.bits import BitReader
from vms.format.errors import FormatError
from vms.wire.depayload.picture import MAX_PICTURE_COST, PIECE_COST, PictureDepayloader
from vms.wire.rtp import Buffer

FIRST_IRAP, LAST_IRAP = 16, 23
FIRST_NON_VCL = 32
VPS, SPS, PPS, DELIMITER = 32, 33, 34, 35
END_OF_SEQUENCE, FILLER, PREFIX_SEI, SUFFIX_SEI = 36, 38, 39, 40
AGGREGATION, FRAGMENTATION = 48, 49


class H265Depayloader(PictureDepayloader):
    """One H.265 line; `parameter_sets` as in sprop-vps, sprop-sps and sprop-pps, decoded."""

    __slots__ = ()

    def push(  # noqa: PLR0917 - called once a packet, where keywords would cost
        self, buffer: Buffer, start: int, end: int, timestamp: int, marker: int, arrival_ns: int
    ) -> None:
        """See Depayloader.push."""
        if timestamp != self._timestamp:
            self._turn(buffer, start, end, timestamp, arrival_ns)
        nal_type = buffer[start] >> 1 & 0x3F if end - start >= 2 else -1
        if nal_type == FRAGMENTATION and end - start > 3:
            header = buffer[start + 2]
            if header & 0xC0 or self._fragment < 0:
                nal_header = bytes((buffer[start] & 0x81 | (header & 0x3F) << 1, buffer[start + 1]))
                self._fragment_edge(buffer[start + 3 : end], header, nal_header)
            else:
                self._pieces.append(buffer[start + 3 : end])
                self._cost += end - start + PIECE_COST
                if self._cost > MAX_PICTURE_COST:
                    self._break()
        elif 0 <= nal_type < AGGREGATION:
            self._nal(buffer, start, end)
        elif nal_type == AGGREGATION:
            self._aggregate(buffer, start + 2, end)
        else:
            self.packets_ignored += 1
        self._arrival_ns = arrival_ns
        if marker:
            self._mark()

    def _aggregate(self, buffer: Buffer, start: int, end: int) -> None:
        while start + 2 < end:
            size = buffer[start] << 8 | buffer[start + 1]
            start += 2
            if start + size > end:
                self._break()
                break
            if size >= 2:  # the end of a sequence is a header alone (H.265 §7.3.1.1)
                self._nal(buffer, start, start + size)
            start += size
        if start < end:
            self.packets_ignored += 1

    def _after_nal(self, header: int) -> bool:
        nal_type = header >> 1 & 0x3F
        if nal_type < FIRST_NON_VCL:
            self._slices_end = len(self._pieces)
            if FIRST_IRAP <= nal_type <= LAST_IRAP:
                self._key = True
        elif self._slices_end and (END_OF_SEQUENCE <= nal_type <= FILLER or nal_type == SUFFIX_SEI):
            self._slices_end = len(self._pieces)  # these end a picture (H.265 §7.4.2.4.4)
        return VPS <= nal_type <= PPS

    def _is_slice(self, buffer: Buffer, start: int, end: int) -> bool:
        nal_type, _ = _first_nal(buffer, start, end)
        return 0 <= nal_type < FIRST_NON_VCL

    def _begins_picture(self, buffer: Buffer, start: int, end: int) -> bool:
        nal_type, first_byte = _first_nal(buffer, start, end)
        if 0 <= nal_type < FIRST_NON_VCL:
            return first_byte >= 0x80  # first_slice_segment_in_pic_flag
        return VPS <= nal_type <= DELIMITER or nal_type == PREFIX_SEI or 41 <= nal_type <= 44

    @staticmethod
    def _parameter_set_key(nal: Buffer) -> tuple[int, int] | None:
        nal_type = nal[0] >> 1 & 0x3F if len(nal) > 2 else -1
        if not VPS <= nal_type <= PPS:
            return None
        payload = bytes(nal[2:130]).replace(b"\0\0\3", b"\0\0")
        reader = BitReader(payload, "H.265 parameter set")
        try:
            if nal_type == VPS:
                return VPS, reader.bits(4)
            if nal_type == SPS:
                _skip_to_sps_number(reader)
            return nal_type, reader.ue()
        except FormatError:
            return None


def _first_nal(buffer: Buffer, start: int, end: int) -> tuple[int, int]:
    """Type and first payload byte of the NAL unit that a payload begins with; -1 when there is none."""
    if end - start < 2:
        return -1, 0
    nal_type = buffer[start] >> 1 & 0x3F
    if end - start == 2:
        return nal_type, 0
    if nal_type == AGGREGATION and end - start > 6:
        return buffer[start + 4] >> 1 & 0x3F, buffer[start + 6]
    if nal_type == FRAGMENTATION and end - start > 3:
        header = buffer[start + 2]
        # A later fragment is part of a slice all the same; its first byte must not look like a beginning.
        return header & 0x3F, buffer[start + 3] if header & 0x80 else 0
    return nal_type, buffer[start + 2]


def _skip_to_sps_number(reader: BitReader) -> None:
    """Pass over what stands before sps_seq_parameter_set_id (ITU-T H.265 §7.3.2.2.1, §7.3.3)."""
    reader.skip(4)
    sub_layers = reader.bits(3)
    reader.skip(1 + 88 + 8)
    if not sub_layers:
        return
    present = [(reader.flag(), reader.flag()) for _ in range(sub_layers)]
    reader.skip(2 * (8 - sub_layers))
    for profile, level in present:
        reader.skip(88 * profile + 8 * level)
