"""One picture or audio frame as RTP payloads, made once and sent to any number of viewers.

A frame is immutable in all that reaches the wire, so a packet built from it again, for a NACK or after a
full socket, has the same bytes: what keeps GCM nonces safe.

Belongs here: payloads, how they group into sends, header templates. Does not: sequence numbers and
keys of one viewer (vms.wire.webrtc.rtp_stream).
"""

from collections.abc import Sequence
from struct import Struct
from typing import NamedTuple

from vms.wire import rtp
from vms.wire.webrtc.udp import MAX_SEGMENTS, MAX_SEND_BYTES

MTU_BYTES = 1200  # a UDP payload that passes VPNs and IPv6's minimum of 1,280 alike
MAX_EXTENSION_BYTES = 20  # playout-delay (4) and abs-capture-time (9), their block's header, padding
MAX_PROTECTION_BYTES = 16
RTX_BYTES = 2  # the original sequence number in a retransmission (RFC 4588 §4)
MAX_PAYLOAD_BYTES = MTU_BYTES - rtp.HEADER_SIZE - MAX_EXTENSION_BYTES - MAX_PROTECTION_BYTES - RTX_BYTES
ZERO_DELAY = bytes(3)  # playout-delay: minimum 0, maximum 0, so that pictures are shown as they come
MAX_HEADER_SETS = 4  # viewers of one hub share two; those that skipped or switched build their own
MAX_TEMPLATES = 16  # by format; what one hub's viewers negotiate differs little

_PLACE = Struct(">HI")


class HeaderFormat(NamedTuple):
    """What of an RTP header depends on the negotiation with a viewer and not on the frame.

    playout_delay, abs_capture_time: RFC 8285 identifiers, None when not negotiated.
    """

    ssrc: int
    payload_type: int
    playout_delay: int | None = None
    abs_capture_time: int | None = None


class Frame:
    """Payloads of one access unit, numbered.

    video: whether it belongs to the video track, else to the audio track.
    index: number of its first packet, counted over all packets of its track since the start.
    timestamp: 32-bit RTP timestamp. marker: whether its last packet carries the marker bit.
    capture_ns: wall clock. pushed_ns: monotonic time at which it was handed over for sending.
    runs: [first, end) of packets that one send can carry: all of equal size but the last.
    """

    __slots__ = (
        "_headers",
        "_templates",
        "capture_ns",
        "capture_ntp",
        "index",
        "key",
        "marker",
        "octets",
        "payloads",
        "pushed_ns",
        "runs",
        "timestamp",
        "video",
    )

    def __init__(
        self,
        payloads: Sequence[bytes],
        index: int,
        timestamp: int,
        *,
        video: bool,
        key: bool,
        marker: bool,
        capture_ns: int,
        capture_ntp: int,
        pushed_ns: int,
    ) -> None:
        self.payloads = payloads
        self.index = index
        self.timestamp = timestamp & 0xFFFFFFFF
        self.video = video
        self.key = key
        self.marker = marker
        self.capture_ns = capture_ns
        self.capture_ntp = capture_ntp
        self.pushed_ns = pushed_ns
        self.octets = sum(map(len, payloads))
        self.runs = segment_runs([len(payload) for payload in payloads])
        self._headers: dict[tuple[HeaderFormat, int, int], list[bytes]] = {}
        self._templates: dict[HeaderFormat, tuple[bytes, bytes]] = {}

    def headers(
        self, header_format: HeaderFormat, sequence_number: int, timestamp: int | None = None
    ) -> list[bytes]:
        """The RTP headers of all packets, the first with `sequence_number` (modulo 2¹⁶).

        timestamp: where the frame lies in a viewer's time; None for the frame's own.
        """
        sequence_number &= 0xFFFF
        if timestamp is None:
            timestamp = self.timestamp
        variant = (header_format, sequence_number, timestamp)
        headers = self._headers.get(variant)
        if headers is None:
            headers = self._build_headers(header_format, sequence_number, timestamp)
            if len(self._headers) < MAX_HEADER_SETS:
                self._headers[variant] = headers
        return headers

    def header(self, at: int, header_format: HeaderFormat, sequence_number: int, timestamp: int) -> bytes:
        """The RTP header of packet `at` alone, for a retransmission in a format of its own."""
        start, tail = self._template(header_format)
        if self.marker and at == len(self.payloads) - 1:
            start = _marked(start)
        return start + _PLACE.pack(sequence_number & 0xFFFF, timestamp) + tail

    def _build_headers(
        self, header_format: HeaderFormat, sequence_number: int, timestamp: int
    ) -> list[bytes]:
        start, tail = self._template(header_format)
        place = _PLACE.pack
        last = len(self.payloads) - 1
        headers = [start + place(sequence_number + at & 0xFFFF, timestamp) + tail for at in range(last)]
        if self.marker:
            start = _marked(start)
        headers.append(start + place(sequence_number + last & 0xFFFF, timestamp) + tail)
        return headers

    def _template(self, header_format: HeaderFormat) -> tuple[bytes, bytes]:
        """What stands before and after the sequence number and timestamp."""
        template = self._templates.get(header_format)
        if template is None:
            elements: dict[int, bytes] = {}
            if header_format.playout_delay is not None:
                elements[header_format.playout_delay] = ZERO_DELAY
            if header_format.abs_capture_time is not None:
                elements[header_format.abs_capture_time] = self.capture_ntp.to_bytes(8, "big")
            extension = rtp.pack_extensions(elements)
            whole = rtp.pack_header(header_format.payload_type, 0, 0, header_format.ssrc, extension=extension)
            template = whole[:2], whole[8:]
            if len(self._templates) < MAX_TEMPLATES:
                self._templates[header_format] = template
        return template


def _marked(start: bytes) -> bytes:
    return bytes((start[0], start[1] | 0x80))


def segment_runs(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Cut packets into runs that UDP GSO can send at once: equal sizes, the last of a run perhaps shorter."""
    runs: list[tuple[int, int]] = []
    first = 0
    while first < len(sizes):
        size = sizes[first]
        most = min(MAX_SEGMENTS, MAX_SEND_BYTES // (size + MTU_BYTES - MAX_PAYLOAD_BYTES))
        end = first + 1
        while end < len(sizes) and end - first < most and sizes[end] == size:
            end += 1
        if end < len(sizes) and end - first < most and sizes[end] < size:
            end += 1
        runs.append((first, end))
        first = end
    return runs
