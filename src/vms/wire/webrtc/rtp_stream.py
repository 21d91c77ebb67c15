"""One track on its way to one viewer: sequence numbers, encryption, history for NACK, sender reports.

The n-th packet of a viewer has index n over all its life: ROC << 16 | SEQ (RFC 3711 §3.3.1), given out
once, to one packet of one frame. A resent packet is built again from that frame and so has the same bytes.

Belongs here: what is counted a viewer and a track. Does not: which frame a viewer gets (vms.stream).
"""

from collections import deque

from vms.common.clock import NS
from vms.wire.rtcp import SenderReport, unix_ns_to_ntp
from vms.wire.webrtc.frame import Frame, HeaderFormat
from vms.wire.webrtc.srtp import SrtpSender
from vms.wire.webrtc.udp import SocketAddress, UdpPort

HISTORY_NS = 1 * NS
HISTORY_MAX_FRAMES = 512


class RtpStream:
    """Sends frames of one track to one viewer.

    Counters: packets, octets (payload bytes, as sender reports count them), resent (packets).
    """

    def __init__(self, header_format: HeaderFormat, clock_rate: int, sender: SrtpSender) -> None:
        self.header_format = header_format
        self.clock_rate = clock_rate
        self.packets = 0
        self.octets = 0
        self.resent = 0
        self._sender = sender
        self._overhead = sender.overhead
        self._next: int | None = None
        self._history: deque[tuple[int, Frame, int]] = deque()  # first index, frame, when sent

    @property
    def last_frame(self) -> Frame | None:
        """The frame that was sent last, None before the first."""
        return self._history[-1][1] if self._history else None

    def send(self, frame: Frame, port: UdpPort, to: SocketAddress, now_ns: int) -> int | None:
        """Send a frame. Returns None when all of it is sent, else where to `resume` once there is room."""
        self._begin(frame, now_ns)
        return self.resume(0, port, to)

    def resume(self, run: int, port: UdpPort, to: SocketAddress) -> int | None:
        """Send the newest frame from its run `run` on; returns as `send`.

        A frame that is never resumed leaves a hole in the sequence, which NACK can still fill.
        """
        index, frame, _ = self._history[-1]
        headers = frame.headers(self.header_format, index)
        payloads = frame.payloads
        per_packet = len(headers[0]) + self._overhead
        runs = frame.runs
        for number in range(run, len(runs)):
            first, end = runs[number]
            buffers = self._sender.protect(
                self.header_format.ssrc, index + first, headers[first:end], payloads[first:end]
            )
            segment_bytes = len(payloads[first]) + per_packet
            count = end - first
            total_bytes = (count - 1) * segment_bytes + len(payloads[end - 1]) + per_packet
            if not port.send_segments(buffers, count, segment_bytes, total_bytes, to):
                return number
        return None

    def resend(self, sequence_number: int, port: UdpPort, to: SocketAddress) -> bool:
        """Answer a NACK for one packet; False when it is no longer in the history or cannot be sent now."""
        if self._next is None:
            return False
        # The newest index with this sequence number that was given out.
        index = self._next - 1 - (self._next - 1 - sequence_number & 0xFFFF)
        found = next((entry for entry in reversed(self._history) if entry[0] <= index), None)
        if found is None or index - found[0] >= len(found[1].payloads):
            return False
        first, frame, _ = found
        at = index - first
        header = frame.headers(self.header_format, first)[at]
        buffers = self._sender.protect(self.header_format.ssrc, index, (header,), (frame.payloads[at],))
        size = len(buffers[0]) + len(buffers[1])
        if not port.send_segments(buffers, 1, size, size, to):
            return False
        self.resent += 1
        return True

    def report(self, wall_ns: int) -> SenderReport | None:
        """The sender report for now, on the scale of capture times; None before the first frame."""
        frame = self.last_frame
        if frame is None:
            return None
        ticks = (wall_ns - frame.capture_ns) * self.clock_rate // NS
        return SenderReport(
            self.header_format.ssrc,
            unix_ns_to_ntp(wall_ns),
            frame.timestamp + ticks & 0xFFFFFFFF,
            self.packets & 0xFFFFFFFF,
            self.octets & 0xFFFFFFFF,
        )

    def _begin(self, frame: Frame, now_ns: int) -> None:
        """Give out the frame's indexes, for good, and remember it."""
        index = self._next
        if index is None:
            # All viewers of a hub can share headers when sequence numbers are those of the frames. The
            # first one stays below 2¹⁵, so that losing it leaves no doubt about the ROC (RFC 3711 §3.3.1).
            index = frame.index & 0x7FFF
        self._next = index + len(frame.payloads)
        self.packets += len(frame.payloads)
        self.octets += frame.octets
        history = self._history
        history.append((index, frame, now_ns))
        oldest_ns = now_ns - HISTORY_NS
        while history[0][2] < oldest_ns or len(history) > HISTORY_MAX_FRAMES:
            history.popleft()
