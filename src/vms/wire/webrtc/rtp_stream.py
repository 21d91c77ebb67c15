"""One track on its way to one viewer: sequence numbers, time, encryption, history for NACK, sender reports.

The n-th packet of a viewer has index n over all its life: ROC << 16 | SEQ (RFC 3711 §3.3.1), given out
once, to one packet of one frame at one timestamp. A resent packet is built again from these and so has the same
bytes; where RTX was negotiated it goes out under an SSRC and a new index of its own instead (RFC 4588).

Time only advances, whatever is sent again and whichever source it comes from: a frame that would step back is sent
one tick after the one before. Sender reports tell the time that follows capture, not the one bent so.

Belongs here: what is counted a viewer and a track. Does not: which frame a viewer gets (vms.stream).
"""

import secrets
from collections import deque

from vms.common.clock import NS
from vms.wire.rtcp import SenderReport, unix_ns_to_ntp
from vms.wire.webrtc.frame import Frame, HeaderFormat
from vms.wire.webrtc.srtp import SrtpSender
from vms.wire.webrtc.udp import DatagramPort, SocketAddress

HISTORY_NS = 1 * NS
HISTORY_MAX_FRAMES = 512
MOST_BACK_NS = (
    10 * NS
)  # how far another source's capture clock may lie behind, or its group of pictures begin
MOST_AHEAD_NS = 60 * NS


class RtpStream:
    """Sends frames of one track to one viewer.

    rtx: the format of retransmissions, None where they were not negotiated.
    Counters: packets, octets (payload bytes, as sender reports count them), resent (packets).
    """

    __slots__ = (
        "_history",
        "_next",
        "_offset",
        "_overhead",
        "_rebase",
        "_rtx_next",
        "_sender",
        "_timestamp",
        "clock_rate",
        "header_format",
        "octets",
        "packets",
        "resent",
        "rtx",
    )

    def __init__(
        self,
        header_format: HeaderFormat,
        clock_rate: int,
        sender: SrtpSender,
        rtx: HeaderFormat | None = None,
    ) -> None:
        self.header_format = header_format
        self.clock_rate = clock_rate
        self.rtx = rtx
        self.packets = 0
        self.octets = 0
        self.resent = 0
        self._sender = sender
        self._overhead = sender.overhead
        self._next: int | None = None
        self._rtx_next = secrets.randbits(15)
        self._offset = 0  # from the source's timestamps to the viewer's
        self._rebase = False
        self._timestamp = 0  # of the newest frame, as sent
        self._history: deque[tuple[int, Frame, int, int]] = (
            deque()
        )  # first index, frame, timestamp, when sent

    @property
    def last_frame(self) -> Frame | None:
        """The frame that was sent last, None before the first."""
        return self._history[-1][1] if self._history else None

    def follow_other_source(self) -> None:
        """The next frame is another source's: sequence numbers go on, and its time follows from capture times."""
        self._rebase = bool(self._history)

    def send(self, frame: Frame, port: DatagramPort, to: SocketAddress, now_ns: int) -> int | None:
        """Send a frame. Returns None when all of it is sent, else where to `resume` once there is room."""
        self._begin(frame, now_ns)
        return self.resume(0, port, to)

    def resume(self, run: int, port: DatagramPort, to: SocketAddress) -> int | None:
        """Send the newest frame from its run `run` on; returns as `send`.

        A frame that is never resumed leaves a hole in the sequence, which NACK can still fill.
        """
        index, frame, timestamp, _ = self._history[-1]
        headers = frame.headers(self.header_format, index, timestamp)
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

    def resend(self, sequence_number: int, port: DatagramPort, to: SocketAddress) -> bool:
        """Answer a NACK for one packet; False when it is no longer in the history or cannot be sent now."""
        if self._next is None:
            return False
        # The newest index with this sequence number that was given out.
        index = self._next - 1 - (self._next - 1 - sequence_number & 0xFFFF)
        found = next((entry for entry in reversed(self._history) if entry[0] <= index), None)
        if found is None or index - found[0] >= len(found[1].payloads):
            return False
        first, frame, timestamp, _ = found
        at = index - first
        if self.rtx is not None:
            # Given out for good, sent or not: the same packet asked for again gets another one.
            rtx_index = self._rtx_next
            self._rtx_next = rtx_index + 1
            header = frame.header(at, self.rtx, rtx_index, timestamp)
            payload = (index & 0xFFFF).to_bytes(2, "big") + frame.payloads[at]
            buffers = self._sender.protect(self.rtx.ssrc, rtx_index, (header,), (payload,))
        else:
            header = frame.headers(self.header_format, first, timestamp)[at]
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
            frame.timestamp + self._offset + ticks & 0xFFFFFFFF,
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
        timestamp = self._advance(frame) if history else frame.timestamp
        self._timestamp = timestamp
        history.append((index, frame, timestamp, now_ns))
        oldest_ns = now_ns - HISTORY_NS
        while history[0][3] < oldest_ns or len(history) > HISTORY_MAX_FRAMES:
            history.popleft()

    def _advance(self, frame: Frame) -> int:
        """The timestamp of a frame that is not the first one: later than the one before, whatever the frame's own."""
        if self._rebase:
            self._rebase = False
            last = self._history[-1][1]
            passed_ns = min(max(frame.capture_ns - last.capture_ns, -MOST_BACK_NS), MOST_AHEAD_NS)
            self._offset += last.timestamp - frame.timestamp + passed_ns * self.clock_rate // NS
        timestamp = frame.timestamp + self._offset & 0xFFFFFFFF
        if not 0 < timestamp - self._timestamp & 0xFFFFFFFF < 1 << 31:
            return self._timestamp + 1 & 0xFFFFFFFF
        return timestamp
