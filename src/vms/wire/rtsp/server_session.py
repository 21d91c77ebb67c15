"""One client's session with one stream: which lines it set up, over what, and whether it plays.

Belongs here: the choice of a transport, the receiver of a playing session, its end.
Does not: RTSP messages (server_connection), fan-out (server_stream).
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vms.wire import rtcp
from vms.wire.errors import ProtocolError
from vms.wire.rtsp.server_feed import RtpRun, StartPoint
from vms.wire.rtsp.server_ports import DatagramPorts
from vms.wire.rtsp.server_receiver import Address, DatagramReceiver, InterleavedReceiver, SendCounters
from vms.wire.rtsp.server_stream import Stream
from vms.wire.rtsp.transport import TransportSpec


class TransportRefused(ProtocolError):
    """None of the transports that a client offers can be used (RTSP status 461)."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a session needs of the connection that it lives on.

    local_address, peer_address: IP addresses; empty on a Unix socket, where there is no UDP.
    leave_out: loses RTP datagrams on purpose, or None. heard: called when the client shows itself by UDP.
    ended: called when the stream is over. counters: what is sent counts there.
    """

    transport: asyncio.Transport
    local_address: str
    peer_address: str
    ports: DatagramPorts
    limit_bytes: int
    leave_out: Callable[[], bool] | None
    heard: Callable[[], None]
    ended: Callable[[], None]
    counters: SendCounters


class Session:
    """A client's session (RFC 2326 §3), from its first SETUP to TEARDOWN or the end of its connection.

    base_url: the stream's URL as the client wrote it, without a slash at the end.
    """

    def __init__(self, stream: Stream, base_url: str, link: Link) -> None:
        self.id = secrets.token_hex(8)
        self.stream = stream
        self.base_url = base_url
        self._link = link
        self._channels: dict[int, int] = {}
        self._addresses: dict[int, tuple[Address, Address]] = {}
        self._receiver: InterleavedReceiver | DatagramReceiver | None = None
        self._missed: Sequence[RtpRun] = ()
        self._over = False
        stream.sessions += 1

    def heard(self, channel: int, packet: bytes) -> None:
        """Take what the client sent interleaved: RTCP, on the channel behind a line's own (RFC 2326 §10.12)."""
        if self._receiver is not None and channel - 1 in self._channels.values():
            self._take_feedback(packet)

    @property
    def lines(self) -> list[int]:
        """The lines that are set up, in the stream's order."""
        return sorted({*self._channels, *self._addresses})

    @property
    def playing(self) -> bool:
        return self._receiver is not None

    def set_up(self, line: int, offered: str) -> TransportSpec:
        """Take a line; the transport that was chosen from a ``Transport`` header's value.

        Raises ProtocolError when the header cannot be read, TransportRefused when nothing in it will do.
        """
        for text in offered.split(","):
            try:
                spec = TransportSpec.parse(text)
            except ProtocolError:
                continue
            if spec.multicast:
                continue
            if spec.tcp and not self._addresses:
                return self._set_up_interleaved(line, spec)
            if not spec.tcp and spec.client_port and all(spec.client_port) and self._may_use_datagrams:
                return self._set_up_datagrams(line, spec.client_port)
        raise TransportRefused("no unicast RTP/AVP transport that this session can use is offered")

    def play(self) -> list[StartPoint]:
        """Join the stream and say where each line that is set up begins; `begin` follows."""
        points, self._missed = self.stream.join(catch_up=bool(self._channels))
        return [points[line] for line in self.lines]

    def begin(self) -> None:
        """Have the stream send, after the answer to PLAY was written."""
        lines = self.lines
        receiver: InterleavedReceiver | DatagramReceiver
        if self._channels:
            receiver = InterleavedReceiver(
                self._link.transport,
                self._channels,
                lines[0],
                limit_bytes=self._link.limit_bytes,
                counters=self._link.counters,
                on_end=self._link.ended,
            )
        else:
            sockets = self._link.ports.pair(self._link.local_address)
            receiver = DatagramReceiver(
                sockets,
                self._addresses,
                lines[0],
                leave_out=self._link.leave_out,
                counters=self._link.counters,
                on_end=self._link.ended,
            )
        self._receiver = receiver
        missed, self._missed = self._missed, ()
        self.stream.add(receiver, missed)

    def pause(self) -> None:
        """Leave the stream; the lines stay set up."""
        if self._receiver is not None:
            self.stream.remove(self._receiver)
            self._receiver.close()
            self._receiver = None

    def end(self, *, farewell: bool = False) -> None:
        """Leave for good; with `farewell` tell the client by RTCP BYE."""
        if farewell and self._receiver is not None:
            for line in self.lines:
                self._receiver.report(line, self.stream.farewell(line))
        self.pause()
        for line in self._addresses:
            self._forget_ports(line)
        if not self._over:
            self._over = True
            self.stream.sessions -= 1

    @property
    def _may_use_datagrams(self) -> bool:
        return not self._channels and bool(self._link.peer_address)

    def _heard_by_datagram(self, packet: bytes) -> None:
        self._link.heard()
        if self._receiver is not None:
            self._take_feedback(packet)

    def _take_feedback(self, packet: bytes) -> None:
        """A wish for a key picture goes on to the stream; reports and what is malformed only say that it is there."""
        if rtcp.PSFB not in packet[1::4]:  # most packets are reports, and need not be parsed
            return
        try:
            found = rtcp.parse(packet)
        except ProtocolError:
            return
        if any(isinstance(each, rtcp.PictureLossIndication | rtcp.FullIntraRequest) for each in found):
            self.stream.want_key()

    def _forget_ports(self, line: int) -> None:
        if line in self._addresses:
            self._link.ports.forget(*self._addresses[line][1])

    def _set_up_interleaved(self, line: int, spec: TransportSpec) -> TransportSpec:
        taken = {channel for other, channel in self._channels.items() if other != line}
        channel = spec.interleaved[0] if spec.interleaved else 2 * line
        if channel > 254 or {channel - 1, channel, channel + 1} & taken:
            channel = next(free for free in range(0, 254, 2) if not {free - 1, free, free + 1} & taken)
        self._channels[line] = channel
        return TransportSpec(tcp=True, interleaved=(channel, channel + 1), ssrc=self.stream.lines[line].ssrc)

    def _set_up_datagrams(self, line: int, client_port: tuple[int, int]) -> TransportSpec:
        # Packets go to the address that the request came from, whatever `destination` asks for: a server
        # that sends elsewhere can be turned against others.
        peer = self._link.peer_address
        self._forget_ports(line)
        media, reports = self._link.ports.pair(self._link.local_address)
        self._addresses[line] = ((peer, client_port[0]), (peer, client_port[1]))
        self._link.ports.listen(peer, client_port[1], self._heard_by_datagram)
        return TransportSpec(
            tcp=False,
            client_port=client_port,
            server_port=(media.getsockname()[1], reports.getsockname()[1]),
            ssrc=self.stream.lines[line].ssrc,
        )
