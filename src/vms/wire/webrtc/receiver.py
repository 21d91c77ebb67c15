"""Receive what one WebRTC publisher sends: authenticated RTP in, access units out, feedback back.

Feedback: requests for lost packets (RFC 4585 §6.2.1), for key pictures (§6.3.1), receiver reports (RFC 3550
§6.4.2), and how many bits a second we want (REMB), without which browsers stay at 300 kb/s.

Belongs here: one connection's tracks, reports, requests. Does not: ICE and DTLS (vms.wire.webrtc.peer), order and
repairs (vms.wire.webrtc.repair), what becomes of the media (vms.ingest).
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from vms.common.clock import NS, Clock
from vms.media import MediaKind
from vms.wire import rtcp, rtp
from vms.wire.depayload import UnitReceiver
from vms.wire.depayload.by_codec import make_depayloader
from vms.wire.errors import ProtocolError
from vms.wire.reception import Reception
from vms.wire.webrtc.peer import CloseReason, Peer
from vms.wire.webrtc.reception import Incoming
from vms.wire.webrtc.repair import UNASKED_WAIT_NS, WAIT_NS, Packet, Reorderer
from vms.wire.webrtc.srtp_receiver import SrtpReceiver

TICK_S = 0.025
REPORT_NS = NS
FIRST_REPORT_NS = NS // 10  # browsers take our bit rate at once while they begin, and slowly afterwards
KEY_REQUEST_NS = NS // 2
SOURCE_SILENT_NS = NS  # after that another SSRC may take its place
MAX_BITRATE_BPS = 6_000_000
MIN_BITRATE_BPS = 150_000


class MediaSink(UnitReceiver, Protocol):
    """Who gets one track."""

    def sender_report(self, ntp_ns: int, rtp_timestamp: int, arrival_ns: int) -> None:
        """The sender's clock: Unix ns at an RTP timestamp that is unwrapped like the units'."""


@dataclass(frozen=True, slots=True)
class PublisherCounters:
    """What the network did to one publisher's packets. packets_repaired: that came when asked for again.

    packets_forged: not authentic, or repeated. packets_ignored: of no track, or malformed.
    """

    packets: int
    packets_lost: int
    packets_late: int
    packets_ignored: int
    pictures_broken: int
    packets_repaired: int
    packets_forged: int


class _Track:
    """One track: what waits, statistics, the payload format. needs_key: nothing decodes before a key picture."""

    def __init__(self, incoming: Incoming, sink: MediaSink) -> None:
        self.incoming = incoming
        self.sink = sink
        self.ssrc = 0
        self.last_ns = 0
        self.is_video = incoming.codec.kind is MediaKind.VIDEO
        self.needs_key = self.is_video
        self.bytes = 0
        self.reception = Reception(incoming.clock_rate)
        self.order = self._reorderer()
        self.repaired = 0
        self.depayloader = make_depayloader(
            incoming.codec, self, self.reception, clock_rate=incoming.clock_rate
        )

    # UnitReceiver

    def access_unit(self, data: bytes, rtp_timestamp: int, key: bool, lost: bool, arrival_ns: int) -> None:
        if key:
            self.needs_key = False
        self.sink.access_unit(data, rtp_timestamp, key, lost, arrival_ns)

    def parameter_sets(self, sets: tuple[bytes, ...]) -> None:
        self.sink.parameter_sets(sets)

    def follow(self, ssrc: int) -> None:
        """Take another source from now on."""
        if self.ssrc:
            self.release(self.order.flush())
            self.repaired += self.order.repairs
            self.order = self._reorderer()
            self.depayloader.lost()
            self.needs_key = self.is_video
        self.ssrc = self.reception.ssrc = ssrc

    def _reorderer(self) -> Reorderer:
        return Reorderer(WAIT_NS if "nack" in self.incoming.feedback else UNASKED_WAIT_NS)

    def release(self, packets: Sequence[Packet]) -> None:
        """Depayload packets that are in order."""
        reception, depayloader = self.reception, self.depayloader
        for packet in packets:
            number = packet.sequence_number
            if number == reception.expected:
                reception.expected = number + 1
            else:
                missing = reception.take(number)
                if missing < 0:
                    continue
                if missing:
                    depayloader.lost()
                    self.needs_key = self.is_video
            if packet.end > packet.start:  # else padding, which browsers send to probe the network
                depayloader.push(
                    packet.data,
                    packet.start,
                    packet.end,
                    packet.timestamp,
                    packet.marker,
                    packet.arrival_ns,
                )


class _Bitrate:
    """How many bits a second to ask for: less when more than a tenth is lost, more when hardly anything is."""

    def __init__(self, most_bps: int) -> None:
        self.wanted_bps = most_bps
        self._most_bps = most_bps
        self._packets = self._holes = self._bytes = 0
        self._at_ns = 0

    def update(self, tracks: Sequence[_Track], now_ns: int) -> int:
        packets = sum(track.reception.packets for track in tracks) - self._packets
        holes = sum(track.order.holes for track in tracks) - self._holes
        size = sum(track.bytes for track in tracks) - self._bytes
        elapsed_ns = now_ns - self._at_ns
        if self._at_ns and elapsed_ns > 0 and packets > 0:
            lost = holes / (packets + holes)
            if lost > 0.1:
                received_bps = size * 8 * NS // elapsed_ns
                self.wanted_bps = max(min(self.wanted_bps, received_bps) * 85 // 100, MIN_BITRATE_BPS)
            elif lost < 0.02:
                self.wanted_bps = min(self.wanted_bps * 108 // 100, self._most_bps)
        self._packets += packets
        self._holes += holes
        self._bytes += size
        self._at_ns = now_ns
        return self.wanted_bps


class MediaReceiver:
    """Implements `PeerListener` for a publisher.

    on_connected: called once media may come. on_closed: called with the reason when the connection is over.
    """

    def __init__(
        self,
        peer: Peer,
        incoming: Sequence[Incoming],
        sinks: Sequence[MediaSink],
        clock: Clock,
        *,
        on_connected: Callable[[], None],
        on_closed: Callable[[CloseReason], None],
        max_bitrate_bps: int = MAX_BITRATE_BPS,
    ) -> None:
        self.last_packet_ns = clock.monotonic_ns()
        self._peer = peer
        self._clock = clock
        self._on_connected = on_connected
        self._on_closed = on_closed
        self._ssrc = secrets.randbits(32) or 1
        self._cname = secrets.token_hex(8)
        self._tracks = [_Track(*pair) for pair in zip(incoming, sinks, strict=True)]
        self._by_type = {track.incoming.payload_type: track for track in self._tracks}
        self._by_rtx = {
            track.incoming.rtx_payload_type: track
            for track in self._tracks
            if track.incoming.rtx_payload_type is not None
        }
        self._bitrate = _Bitrate(max_bitrate_bps)
        self._srtp: SrtpReceiver | None = None
        self._ignored = self._forged = 0
        self._key_asked_ns: int | None = None
        self._report_due_ns = 0
        self._timer: asyncio.TimerHandle | None = None
        peer.listener = self
        peer.on_media = self._media

    @property
    def counters(self) -> PublisherCounters:
        tracks = self._tracks
        return PublisherCounters(
            packets=sum(track.reception.packets for track in tracks),
            packets_lost=sum(track.reception.packets_lost for track in tracks),
            packets_late=sum(track.reception.packets_late for track in tracks),
            packets_ignored=self._ignored + sum(track.depayloader.packets_ignored for track in tracks),
            pictures_broken=sum(track.depayloader.units_broken for track in tracks),
            packets_repaired=sum(track.repaired + track.order.repairs for track in tracks),
            packets_forged=self._forged,
        )

    def request_key(self) -> None:
        """Ask for a key picture; at most one request every KEY_REQUEST_NS goes out."""
        for track in self._tracks:
            track.needs_key |= track.is_video
        self._ask_key(self._clock.monotonic_ns())

    def end(self) -> None:
        """Say goodbye and close the connection."""
        self._peer.close(CloseReason.ENDED, [rtcp.ReceiverReport(self._ssrc), rtcp.Bye((self._ssrc,))])

    # PeerListener

    def connected(self) -> None:
        assert self._peer.srtp is not None
        self._srtp = SrtpReceiver(self._peer.srtp.keys)
        self.last_packet_ns = self._clock.monotonic_ns()
        self._report_due_ns = self.last_packet_ns + FIRST_REPORT_NS
        self._tick()
        self._on_connected()

    def feedback(self, packets: Sequence[rtcp.Packet]) -> None:
        arrival_ns = self._clock.monotonic_ns()
        for packet in packets:
            if isinstance(packet, rtcp.SenderReport) and packet.ntp:
                for track in self._tracks:
                    if track.ssrc and track.ssrc == packet.ssrc:
                        timestamp = track.reception.sender_report(packet, arrival_ns)
                        track.sink.sender_report(rtcp.ntp_to_unix_ns(packet.ntp), timestamp, arrival_ns)

    def closed(self, reason: CloseReason) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for track in self._tracks:
            track.release(track.order.flush())
            track.depayloader.flush()
        self._on_closed(reason)

    def _media(self, datagram: bytes) -> None:
        assert self._srtp is not None
        try:
            data = self._srtp.open(datagram)
        except ProtocolError:
            self._forged += 1
            return
        try:
            packet = rtp.parse(data)
        except ProtocolError:
            self._ignored += 1
            return
        now_ns = self.last_packet_ns = self._clock.monotonic_ns()
        start, number = packet.payload_start, packet.sequence_number
        track = self._by_type.get(packet.payload_type)
        if track is None:
            track = self._by_rtx.get(packet.payload_type)
            if track is None or not track.ssrc:
                self._ignored += 1
                return
            if packet.payload_end - start <= 2:
                return  # padding to probe the network
            number = data[start] << 8 | data[start + 1]  # RFC 4588 §4: the original sequence number
            start += 2
        elif packet.ssrc != track.ssrc:
            if track.ssrc and now_ns - track.last_ns < SOURCE_SILENT_NS:
                self._ignored += 1
                return
            track.follow(packet.ssrc)
        track.last_ns = now_ns
        track.bytes += len(data)
        arrived = Packet(data, number, packet.timestamp, packet.marker, start, packet.payload_end, now_ns)
        track.release(track.order.put(arrived))
        if track.order.is_waiting:
            self._ask_again(track, now_ns)
        if track.needs_key:
            self._ask_key(now_ns)

    def _tick(self) -> None:
        now_ns = self._clock.monotonic_ns()
        for track in self._tracks:
            if track.order.is_waiting:
                track.release(track.order.due(now_ns))
                self._ask_again(track, now_ns)
            if track.needs_key:
                self._ask_key(now_ns)
        if now_ns >= self._report_due_ns:
            self._report(now_ns)
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _ask_again(self, track: _Track, now_ns: int) -> None:
        if "nack" not in track.incoming.feedback:
            return
        numbers = track.order.to_ask(now_ns)
        if numbers:
            self._send(rtcp.Nack(self._ssrc, track.ssrc, numbers))

    def _ask_key(self, now_ns: int) -> None:
        if self._key_asked_ns is not None and now_ns - self._key_asked_ns < KEY_REQUEST_NS:
            return
        for track in self._tracks:
            if track.needs_key and track.ssrc and "nack pli" in track.incoming.feedback:
                self._key_asked_ns = now_ns
                self._send(rtcp.PictureLossIndication(self._ssrc, track.ssrc))

    def _report(self, now_ns: int) -> None:
        heard = [track for track in self._tracks if track.ssrc]
        if not heard:
            return
        self._report_due_ns = now_ns + REPORT_NS
        blocks = tuple(track.reception.report_block(now_ns) for track in heard)
        packets: list[rtcp.Packet] = [
            rtcp.ReceiverReport(self._ssrc, blocks),
            rtcp.SourceDescription(self._ssrc, self._cname),
        ]
        limited = tuple(track.ssrc for track in heard if "goog-remb" in track.incoming.feedback)
        wanted_bps = self._bitrate.update(self._tracks, now_ns)
        if limited:
            packets.append(rtcp.ReceiverEstimatedBitrate(self._ssrc, wanted_bps, limited))
        self._peer.send_rtcp(packets)

    def _send(self, packet: rtcp.Packet) -> None:
        """Send feedback, behind a report where the publisher takes no packets of reduced size (RFC 5506)."""
        if all(track.incoming.reduced_size for track in self._tracks):
            self._peer.send_rtcp([packet])
        else:
            about_us = rtcp.SourceDescription(self._ssrc, self._cname)
            self._peer.send_rtcp([rtcp.ReceiverReport(self._ssrc), about_us, packet])
