"""AAC frames with the header that they carry in streams without a description (ADTS, ISO/IEC 14496-3 Annex 1.A)."""

from collections.abc import Iterator
from dataclasses import dataclass

from vms.format import aac
from vms.format.errors import FormatError
from vms.format.mpegts.tables import CLOCK_RATE

HEADER_BYTES = 7
SAMPLES = 1024
"""Of a frame (ISO/IEC 14496-3 §4.5.1.1); ADTS cannot say another number."""
MAX_TRIES = 64
FRAMES_IN_A_ROW = 3
"""Are taken for frames where one has to be looked for; its twelve bits also stand in the sound itself."""
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
        found = _frame_at(data, at)
        if found is None:
            raise FormatError(f"ADTS: the frame at byte {at} reaches beyond the end")
        frame, at = found
        yield frame


class AdtsReader:
    """Frames of a line whose bytes come in PES packets: a frame may begin in one and end in the next.

    A packet's time is that of the first frame that begins in it (ISO/IEC 13818-1 §2.4.3.7).
    """

    def __init__(self) -> None:
        self._rest = b""
        self._rest_pts = 0
        self._searches = True  # nobody has to join at the beginning of a frame

    def read(self, payload: bytes, pts: int, *, lost: bool) -> Iterator[tuple[AdtsFrame, int]]:
        """Frames that `payload` completes, each with its time in ticks of 90 kHz.

        lost: something is missing before it. Raises FormatError where no frame begins behind the last one.
        """
        if lost:
            self._rest, self._searches = b"", True
        data, begins = self._rest + payload, len(self._rest)
        at, base, samples, self._rest = 0, self._rest_pts if begins else pts, 0, b""
        if self._searches:
            at = _first_frame(data)
            if at == len(data):
                return
        self._searches = True  # until it is seen to be in order
        time, timed = base, begins == 0
        while at < len(data):
            if not timed and at >= begins:
                timed, base, samples, time = True, pts, 0, pts
            found = _frame_at(data, at)
            if found is None:
                self._rest, self._rest_pts = data[at:], time
                break
            frame, at = found
            yield frame, time
            samples += SAMPLES
            time = base + samples * CLOCK_RATE // frame.sample_rate
        self._searches = False


def _frame_at(data: bytes, at: int) -> tuple[AdtsFrame, int] | None:
    """The frame that begins there, and where it ends; None when it ends beyond the data. Raises FormatError."""
    head = data[at : at + HEADER_BYTES]
    if head[0] != 0xFF or (len(head) > 1 and head[1] & 0xF6 != 0xF0):
        raise FormatError(f"ADTS: no frame begins at byte {at}")
    if len(head) < HEADER_BYTES:
        return None
    value = int.from_bytes(head)
    size, rate = value >> 13 & 0x1FFF, value >> 34 & 15
    begins = HEADER_BYTES + (0 if head[1] & 1 else 2)  # a checksum
    if size <= begins or rate >= len(aac.SAMPLE_RATES) or value & 3:
        raise FormatError(f"ADTS: the frame at byte {at} says what cannot be")
    if at + size > len(data):
        return None
    channels = value >> 30 & 7
    frame = AdtsFrame(data[at + begins : at + size], aac.SAMPLE_RATES[rate], 8 if channels == 7 else channels)
    return frame, at + size


def _first_frame(data: bytes) -> int:
    """Where frames begin that follow each other; the end of the data where a few tries find none."""
    at = -1
    for _ in range(MAX_TRIES):
        at = data.find(0xFF, at + 1)
        if at < 0:
            break
        if _looks_right(data, at):
            return at
    return len(data)


def _looks_right(data: bytes, at: int) -> bool:
    try:
        for _ in range(FRAMES_IN_A_ROW):
            found = _frame_at(data, at)
            if found is None or found[1] == len(data):
                break
            at = found[1]
    except FormatError:
        return False
    return True
