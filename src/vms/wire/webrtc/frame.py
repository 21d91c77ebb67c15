"""One picture or audio frame as RTP payloads, made once and sent to any number of viewers.

A frame is immutable in all that reaches the wire, so a packet built from it again, for a NACK or after a
full socket, has the same bytes: what keeps GCM nonces safe.

Belongs here: payloads, how they group into sends, header templates. Does not: sequence numbers and
keys of one viewer (vms.wire.webrtc.rtp_stream).
"""

from collections.abc import Sequence
from typing import NamedTuple

from vms.wire import rtp
from vms.wire.webrtc.udp import MAX_SEGMENTS, MAX_SEND_BYTES

MTU_BYTES = 1200  # a UDP payload that passes VPNs and IPv6's minimum of 1,280 alike
MAX_EXTENSION_BYTES = 20  # playout-delay (4) and abs-capture-time (9), their block's header, padding
MAX_PROTECTION_BYTES = 16
MAX_PAYLOAD_BYTES = MTU_BYTES - rtp.HEADER_SIZE - MAX_EXTENSION_BYTES - MAX_PROTECTION_BYTES
ZERO_DELAY = bytes(3)  # playout-delay: minimum 0, maximum 0, so that pictures are shown as they come
MAX_HEADER_SETS = 4  # viewers of one hub share two; the rest build their own


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
        self._headers: dict[tuple[HeaderFormat, int], list[bytes]] = {}

    def at(self, timestamp: int) -> "Frame":
        """The same picture for another place in time; the payloads are shared."""
        return Frame(
            self.payloads,
            self.index,
            timestamp,
            video=self.video,
            key=self.key,
            marker=self.marker,
            capture_ns=self.capture_ns,
            capture_ntp=self.capture_ntp,
            pushed_ns=self.pushed_ns,
        )

    def headers(self, header_format: HeaderFormat, sequence_number: int) -> list[bytes]:
        """The RTP headers of all packets, the first with `sequence_number` (modulo 2¹⁶)."""
        sequence_number &= 0xFFFF
        variant = (header_format, sequence_number)
        headers = self._headers.get(variant)
        if headers is None:
            headers = self._build_headers(header_format, sequence_number)
            if len(self._headers) < MAX_HEADER_SETS:
                self._headers[variant] = headers
        return headers

    def _build_headers(self, header_format: HeaderFormat, sequence_number: int) -> list[bytes]:
        elements: dict[int, bytes] = {}
        if header_format.playout_delay is not None:
            elements[header_format.playout_delay] = ZERO_DELAY
        if header_format.abs_capture_time is not None:
            elements[header_format.abs_capture_time] = self.capture_ntp.to_bytes(8, "big")
        first = rtp.pack_header(
            header_format.payload_type,
            0,
            self.timestamp,
            header_format.ssrc,
            extension=rtp.pack_extensions(elements),
        )
        start, tail = first[:2], first[4:]
        headers = [
            start + (sequence_number + at & 0xFFFF).to_bytes(2, "big") + tail
            for at in range(len(self.payloads))
        ]
        if self.marker:
            last = headers[-1]
            headers[-1] = last[:1] + bytes((last[1] | 0x80,)) + last[2:]
        return headers


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
