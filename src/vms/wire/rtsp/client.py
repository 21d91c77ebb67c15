"""An RTSP client session (RFC 2326): a camera's media, from DESCRIBE to TEARDOWN.

    session = await RtspSession.open(source, transport=Transport.TCP, clock=clock)
    for line in session.media:
        if line.codec is not None:
            await session.setup(line, receiver)
    await session.play()
    try:
        await session.wait()
    finally:
        await session.close()

Belongs here: the order of requests, keep-alive, receiver reports, the end. Does not: framing
(interleaved), sockets for UDP (udp), reconnecting and timelines (vms.ingest).
"""

import asyncio
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from vms.common.camera import Transport
from vms.common.clock import Clock
from vms.common.errors import VmsError
from vms.common.source_url import SourceUrl
from vms.media import MediaKind
from vms.wire import rtcp
from vms.wire.errors import PeerTimeout, ProtocolError, RequestRefused, UnsupportedMedia
from vms.wire.rtsp.media_line import MediaLine, base_url, control_url, media_lines
from vms.wire.rtsp.message import Headers, Response
from vms.wire.rtsp.session_requests import Requester
from vms.wire.rtsp.stream import MediaReceiver, RtpStream, SideReceiver
from vms.wire.rtsp.transport import TransportSpec, parse_rtp_info, parse_session
from vms.wire.rtsp.udp import UdpPair
from vms.wire.sdp import SessionDescription

__all__ = ["MediaLine", "MediaReceiver", "RtspSession", "SessionCounters", "SideReceiver"]

REPORT_INTERVAL_S = 5.0  # RFC 3550 §6.2
TEARDOWN_TIMEOUT_S = 1.0
_MIN_KEEP_ALIVE_S = 0.5


@dataclass(frozen=True, slots=True)
class SessionCounters:
    """What a session has received so far, over all its lines.

    packets: RTP packets taken. bytes: everything from the network. packets_lost: missing when due.
    packets_reordered: put back in order (UDP). packets_late: too late or doubled. pictures: delivered.
    pictures_broken: begun, but part was missing. packets_ignored: malformed, or of kinds not received.
    resynchronisations: how often the interleaved framing was lost. jitter_s: of the first video line.
    """

    packets: int
    bytes: int
    packets_lost: int
    packets_reordered: int
    packets_late: int
    pictures: int
    pictures_broken: int
    packets_ignored: int
    resynchronisations: int
    jitter_s: float


@dataclass(slots=True)
class _Line:
    """A line that was set up: by `report_channel` over TCP, by `udp` otherwise."""

    stream: RtpStream
    report_channel: int = 0
    udp: UdpPair | None = None


class RtspSession:
    """One session with one server.

    media: the lines that it offers. rtp_info: by a line's index, the RTP timestamp at which its media
    begins, unwrapped, where the server told it with PLAY.
    """

    def __init__(self, requester: Requester, transport: Transport, clock: Clock) -> None:
        self.media: tuple[MediaLine, ...] = ()
        self.rtp_info: dict[int, int] = {}
        self._requester = requester
        self._transport = transport
        self._clock = clock
        self._aggregate_url = requester.url
        self._lines: list[_Line] = []
        self._timeout_s = 60.0
        self._keep_alive_method = "OPTIONS"
        self._ended: asyncio.Future[VmsError | None] = asyncio.get_running_loop().create_future()
        self._keeper: asyncio.Task[None] | None = None
        self._reporter: asyncio.TimerHandle | None = None
        self._ssrc = int.from_bytes(os.urandom(4))
        self._cname = f"{os.urandom(8).hex()}@{socket.gethostname()}"
        self._closed = False

    @classmethod
    async def open(
        cls,
        source: SourceUrl,
        *,
        transport: Transport,
        clock: Clock,
        timeout_s: float = 10.0,
        unix_path: Path | None = None,
    ) -> Self:
        """Connect, authenticate and learn what the server offers, all within `timeout_s`.

        unix_path: the socket to connect to in place of the URL's host and port; media comes interleaved.
        Later requests wait for `timeout_s` each. Raises PeerUnreachable, PeerGone, PeerTimeout,
        AuthenticationFailed, RequestRefused, UnsupportedMedia, ProtocolError.
        """
        requester = Requester(source, clock, timeout_s, unix_path)
        session = cls(requester, transport, clock)
        try:
            async with asyncio.timeout(timeout_s):
                await requester.connect()
                await session._describe()
        except TimeoutError as error:
            requester.close()
            raise PeerTimeout(f"{source.host}:{source.port}: no answer in {timeout_s:g} s") from error
        except BaseException:
            requester.close()
            raise
        session._watch_connection()
        return session

    async def setup(
        self,
        line: MediaLine,
        receiver: MediaReceiver,
        *,
        side: SideReceiver | None = None,
        trust_markers: bool = False,
    ) -> None:
        """Ask for a line; its media goes to `receiver`, what travels beside it to `side`. Raises as `open` does.

        trust_markers: the server is known to mark the last packet of every picture and no other.
        """
        stream = RtpStream(line, receiver, side, trust_markers=trust_markers)
        if self._transport is Transport.UDP:
            await self._setup_udp(stream)
        else:
            await self._setup_tcp(stream)

    async def play(self) -> None:
        """Start the media; it may begin to flow before this returns. Raises as `open` does."""
        response = await self._requester.send("PLAY", self._aggregate_url, Headers([("Range", "npt=0.000-")]))
        self._note_session(response)
        self._note_rtp_info(response.headers.get("RTP-Info") or "")
        self._keeper = asyncio.create_task(self._keep_alive())
        self._report_later()

    async def wait(self) -> None:
        """Return when the server ends the media (RTCP BYE) or after `close`; raise the error otherwise."""
        error = await asyncio.shield(self._ended)
        if error is not None:
            raise error

    def leave(self) -> None:
        """Have `wait` return; `close` follows."""
        self._end(None)

    async def close(self) -> None:
        """End the session: TEARDOWN within a second if it can be, and every socket closed."""
        if self._closed:
            return
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
        if self._reporter is not None:
            self._reporter.cancel()
        try:
            if self._requester.session_id is not None:
                await self._requester.send("TEARDOWN", self._aggregate_url, timeout_s=TEARDOWN_TIMEOUT_S)
        except VmsError:
            pass  # it was best effort: the server notices that the connection is gone
        finally:
            self._end(None)
            self._requester.close()
            for line in self._lines:
                if line.udp is not None:
                    line.udp.close()
                with suppress(VmsError):  # a receiver that cannot use the last unit changes nothing any more
                    line.stream.depayloader.flush()

    def request_key_picture(self) -> None:
        """Ask the server for a key picture (PLI, RFC 4585 §6.3.1). It may ignore that, and servers without
        RTP/AVPF mostly do; nothing is awaited and nothing goes to a line that has sent no packet yet."""
        for line in self._lines:
            stream = line.stream
            if stream.line.kind is MediaKind.VIDEO and stream.ssrc and not self._closed:
                self._send_rtcp(line, rtcp.PictureLossIndication(self._ssrc, stream.ssrc))

    @property
    def counters(self) -> SessionCounters:
        """The counters as they stand now."""
        connection = self._requester.connection
        streams = [line.stream for line in self._lines]
        pairs = [line.udp for line in self._lines if line.udp is not None]
        video = [stream for stream in streams if stream.line.kind is MediaKind.VIDEO]
        return SessionCounters(
            packets=sum(stream.packets for stream in streams),
            bytes=(connection.bytes_received if connection else 0)
            + sum(pair.bytes_received for pair in pairs),
            packets_lost=sum(stream.packets_lost for stream in streams),
            packets_reordered=sum(pair.packets_reordered for pair in pairs),
            packets_late=sum(stream.packets_late for stream in streams),
            pictures=sum(stream.depayloader.units for stream in video),
            pictures_broken=sum(stream.depayloader.units_broken for stream in video),
            packets_ignored=sum(stream.packets_not_used for stream in streams)
            + sum(pair.packets_foreign for pair in pairs),
            resynchronisations=connection.resynchronisations if connection else 0,
            jitter_s=video[0].jitter_s if video else 0.0,
        )

    async def _describe(self) -> None:
        try:
            options = await self._requester.send("OPTIONS")
            methods = {name.strip().upper() for name in (options.headers.get("Public") or "").split(",")}
            if "GET_PARAMETER" in methods:
                self._keep_alive_method = "GET_PARAMETER"
        except RequestRefused:
            pass  # some servers know no OPTIONS, or redirect only DESCRIBE
        response = await self._requester.send_following("DESCRIBE", Headers([("Accept", "application/sdp")]))
        description = SessionDescription.parse(response.body)
        base = base_url(response.headers, self._requester.url)
        self.media = media_lines(description, base)
        self._aggregate_url = control_url(description.attribute("control"), base)
        if not self.media:
            raise UnsupportedMedia(f"{self._peer}: the server offers neither video nor audio")

    async def _setup_tcp(self, stream: RtpStream) -> None:
        connection = self._requester.connection
        assert connection is not None
        asked = (2 * len(self._lines), 2 * len(self._lines) + 1)
        # Claimed before the answer, because media may come right behind it, or even before.
        connection.claim(*asked, stream)
        try:
            spec = await self._send_setup(stream, TransportSpec(tcp=True, interleaved=asked))
        except BaseException:
            connection.unclaim(stream)
            raise
        if not spec.tcp:
            connection.unclaim(stream)
            raise ProtocolError(f"{self._peer}: answers SETUP with another transport than TCP")
        media_channel, report_channel = spec.interleaved or asked
        connection.claim(media_channel, report_channel, stream)
        self._lines.append(_Line(stream, report_channel=report_channel))

    async def _setup_udp(self, stream: RtpStream) -> None:
        connection = self._requester.connection
        assert connection is not None
        local_ip, peer_ip = connection.addresses
        pair = UdpPair(stream, self._clock, self._stream_ended, self._end)
        try:
            await pair.open(local_ip)
            # From the answer on, media may come; until then only the peer itself is believed.
            pair.expect((peer_ip,), None)
            spec = await self._send_setup(stream, TransportSpec(tcp=False, client_port=pair.ports))
            if spec.tcp or spec.multicast:
                raise ProtocolError(f"{self._peer}: answers SETUP with another transport than UDP unicast")
        except BaseException:
            pair.close()
            raise
        sender = spec.source if spec.source is not None and _is_ip(spec.source) else peer_ip
        report_port = spec.server_port[1] if spec.server_port else 0
        pair.expect((peer_ip, sender), (sender, report_port) if report_port else None)
        self._lines.append(_Line(stream, udp=pair))

    async def _send_setup(self, stream: RtpStream, asked: TransportSpec) -> TransportSpec:
        headers = Headers([("Transport", str(asked))])
        response = await self._requester.send("SETUP", stream.line.control, headers)
        self._note_session(response)
        text = response.headers.get("Transport")
        spec = TransportSpec.parse(text) if text else asked
        if spec.ssrc is not None:
            stream.ssrc = spec.ssrc
        return spec

    def _note_session(self, response: Response) -> None:
        value = response.headers.get("Session")
        if value is not None:
            self._requester.session_id, self._timeout_s = parse_session(value)

    def _note_rtp_info(self, value: str) -> None:
        entries = parse_rtp_info(value)
        for position, line in enumerate(self._lines):
            media = line.stream.line
            found = [entry for entry in entries if _same_track(entry.url, media.control)]
            if not found and len(entries) == len(self._lines):
                found = [entries[position]]
            if found and found[0].rtp_timestamp is not None:
                self.rtp_info[media.index] = line.stream.unwrap(found[0].rtp_timestamp & 0xFFFFFFFF)

    async def _keep_alive(self) -> None:
        connection = self._requester.connection
        assert connection is not None
        while True:
            await asyncio.sleep(max(self._timeout_s / 2, _MIN_KEEP_ALIVE_S))
            received = connection.bytes_received
            try:
                await self._requester.send(self._keep_alive_method, self._aggregate_url)
            except RequestRefused as error:
                if error.status == 454:  # the session is gone on the server
                    self._end(error)
                    return
                self._keep_alive_method = "OPTIONS"
            except PeerTimeout as error:
                # A server that sends media is alive, whatever it makes of our requests.
                if connection.bytes_received == received and not self._udp_flows():
                    self._end(error)
                    return
            except VmsError as error:
                self._end(error)
                return

    def _udp_flows(self) -> bool:
        flowed = False
        for line in self._lines:
            if line.udp is not None:
                flowed |= line.udp.flowed()
        return flowed

    def _report_later(self) -> None:
        self._reporter = asyncio.get_running_loop().call_later(REPORT_INTERVAL_S, self._report)

    def _report(self) -> None:
        """Tell the server how its media arrives (RFC 3550 §6.4.2)."""
        now_ns = self._clock.monotonic_ns()
        for line in self._lines:
            blocks = (line.stream.report_block(now_ns),) if line.stream.expected >= 0 else ()
            self._send_rtcp(line, blocks=blocks)
        self._report_later()

    def _send_rtcp(
        self, line: _Line, *feedback: rtcp.Packet, blocks: tuple[rtcp.ReportBlock, ...] = ()
    ) -> None:
        """A compound packet, a receiver report first (RFC 3550 §6.1)."""
        connection = self._requester.connection
        assert connection is not None
        report = rtcp.ReceiverReport(self._ssrc, blocks)
        packet = rtcp.pack((report, rtcp.SourceDescription(self._ssrc, self._cname), *feedback))
        if line.udp is not None:
            line.udp.send_report(packet)
        else:
            connection.send_interleaved(line.report_channel, packet)

    def _watch_connection(self) -> None:
        connection = self._requester.connection
        assert connection is not None
        connection.on_stream_end = self._stream_ended
        connection.closed.add_done_callback(lambda closed: self._end(closed.result()))

    def _stream_ended(self, stream: RtpStream) -> None:
        """End with the video, or with the last line."""
        if stream.line.kind is MediaKind.VIDEO or all(line.stream.ended for line in self._lines):
            self._end(None)

    def _end(self, error: VmsError | None) -> None:
        if not self._ended.done():
            self._ended.set_result(error)

    @property
    def _peer(self) -> str:
        connection = self._requester.connection
        return connection.peer if connection is not None else "server"


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _same_track(url: str, control: str) -> bool:
    """Whether an RTP-Info URL means a line; servers write it whole or relative."""
    return bool(url) and (url == control or control.endswith("/" + url.lstrip("/")))
