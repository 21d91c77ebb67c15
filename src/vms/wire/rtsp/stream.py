"""One received stream: its sequence, its reports and its depayloader behind one face for the readers.

The readers (interleaved, udp) check a packet's plainest form in place and call `push` themselves;
whatever is not plain comes to `irregular`.

Belongs here: what is done with one RTP or RTCP packet. Does not: sockets and framing.
"""

from typing import Protocol

from vms.wire import rtcp, rtp
from vms.wire.depayload import UnitReceiver
from vms.wire.depayload.by_codec import make_depayloader
from vms.wire.errors import ProtocolError, UnsupportedMedia
from vms.wire.reception import Reception
from vms.wire.rtp import Buffer
from vms.wire.rtsp.media_line import MediaLine


class MediaReceiver(UnitReceiver, Protocol):
    """Who gets what one media line delivers; called on the event loop, synchronously."""

    def sender_report(self, ntp_ns: int, rtp_timestamp: int, arrival_ns: int) -> None:
        """The sender's wall clock at an RTP timestamp.

        ntp_ns: nanoseconds since the Unix epoch, as the sender believes. rtp_timestamp: unwrapped into the
        same space as the access units'. arrival_ns: monotonic time at which the report came.
        """


class SideReceiver(Protocol):
    """Who gets what travels beside the media of one line, in order with it; called as MediaReceiver is.

    Both may raise a VmsError, which ends the session.
    """

    def header_extension(self, timestamp: int, profile: int, extension: bytes) -> None:
        """The header extension of an RTP packet (RFC 8285 for vms.wire.rtp.parse_extensions).

        timestamp: the packet's, 32 bits. Its media follows at once.
        """

    def application(self, packet: rtcp.Application) -> None:
        """An RTCP APP packet."""


class RtpStream(Reception):
    """One media line as it is received.

    side: gets header extensions and APP packets; without one they are passed over.
    trust_markers: as make_depayloader has it.

    plain_flags: the first two bytes of a packet of this line without padding, extension or CSRCs, the
        marker bit set. push: the depayloader's; both for the readers' short way.
    ended: an RTCP BYE has come.
    """

    __slots__ = (
        "_receiver",
        "_side",
        "depayloader",
        "ended",
        "line",
        "packets_invalid",
        "packets_of_other_type",
        "plain_flags",
        "push",
        "reports_invalid",
    )

    def __init__(
        self,
        line: MediaLine,
        receiver: MediaReceiver,
        side: SideReceiver | None = None,
        *,
        trust_markers: bool = False,
    ) -> None:
        super().__init__(line.clock_rate)
        if line.codec is None:
            raise UnsupportedMedia(f"media line {line.index}: {line.unsupported}")
        self.line = line
        self.depayloader = make_depayloader(
            line.codec,
            receiver,
            self,
            clock_rate=line.clock_rate,
            parameter_sets=line.parameter_sets,
            format_parameters=line.format_parameters,
            trust_markers=trust_markers,
        )
        self.push = self.depayloader.push
        self.plain_flags = 0x8080 | line.payload_type
        self.ended = False
        self.packets_invalid = 0
        self.packets_of_other_type = 0
        self.reports_invalid = 0
        self._receiver = receiver
        self._side = side

    @property
    def packets_not_used(self) -> int:
        """Packets and reports that were malformed, or of kinds that are not received."""
        return (
            self.packets_invalid
            + self.packets_of_other_type
            + self.reports_invalid
            + self.depayloader.packets_ignored
        )

    def irregular(self, buffer: Buffer, start: int, end: int, arrival_ns: int) -> None:
        """Take an RTP packet that is not both plain and the next in sequence."""
        try:
            packet = rtp.parse(buffer, start, end)
        except ProtocolError:
            self.packets_invalid += 1
            return
        missing = self.take(packet.sequence_number)
        if missing < 0:
            return
        self.ssrc = packet.ssrc
        if missing:
            self.depayloader.lost()
        if packet.payload_type != self.line.payload_type:
            self.packets_of_other_type += 1
        elif packet.payload_start < packet.payload_end:
            if packet.extension and self._side is not None:
                self._side.header_extension(packet.timestamp, packet.extension_profile, packet.extension)
            self.push(
                buffer, packet.payload_start, packet.payload_end, packet.timestamp, packet.marker, arrival_ns
            )

    def rtcp(self, data: Buffer, arrival_ns: int) -> None:
        """Take a compound RTCP packet."""
        try:
            packets = rtcp.parse(data)
        except ProtocolError:
            self.reports_invalid += 1
            return
        for packet in packets:
            if isinstance(packet, rtcp.SenderReport):
                timestamp = self.sender_report(packet, arrival_ns)
                if packet.ntp:  # 0 says that the sender has no clock (RFC 3550 §6.4.1)
                    self._receiver.sender_report(rtcp.ntp_to_unix_ns(packet.ntp), timestamp, arrival_ns)
            elif isinstance(packet, rtcp.Bye):
                self.ended = True
            elif isinstance(packet, rtcp.Application) and self._side is not None:
                self._side.application(packet)
