"""A hub's media for our own processes: exactly as it is, and with all that RTP loses.

RTP timestamps are pts. A unit's times and flags go in its first packet (unit_extension), its track before
it where that changed and wherever a client can begin, gaps where they come (notices). Payloads are as large
as an interleaved frame can be, so that a picture is one to three packets.

Belongs here: what a relayed packet holds. Does not: what is made of it (receiver), numbers (feed).
"""

from collections.abc import Sequence

from vms.media import AccessUnit, Codec, Gap, MediaKind, Track
from vms.relay import notices, unit_extension
from vms.relay.feed import WHOLE_PAYLOAD_BYTES, HubFeed, NumberedUnit
from vms.wire import rtcp
from vms.wire.payload.by_codec import PACKETIZERS
from vms.wire.rtsp.server_feed import FeedLine, RtpRun
from vms.wire.sdp import Attribute


def attributes(line: FeedLine) -> Sequence[Attribute]:
    """What a relay's session description says of a line beyond what a player needs."""
    track = Attribute(notices.TRACK_ATTRIBUTE, notices.track_attribute(line.track))
    return (*unit_extension.attributes(), track)


class RelayFeed(HubFeed):
    """A hub's feed for `RelayServer`. A unit that is pushed comes out of the other hub equal."""

    def catch_up(self) -> Sequence[RtpRun]:
        """All units since the newest key picture; while the stream is in a lasting gap, the gap."""
        group = self._group()
        if group:
            return [self._run(numbered, self._payloads(numbered.unit)) for numbered in group]
        gap = self.hub.lasting_gap
        return [self._notice(gap)] if gap is not None else ()

    def gap(self, gap: Gap) -> None:
        super().gap(gap)
        if self._sink is not None:
            self._sink.tell(self._lead, self._gap_report(gap))

    def _shape_of(self, tracks: Sequence[Track]) -> object:
        return tuple((track.id, track.codec, track.clock_rate) for track in tracks)

    def _takes(self, unit: AccessUnit) -> bool:
        return True

    def _timestamp_of(self, line: int, pts: int) -> int:
        return pts

    def _timestamp(self, line: int, unit: AccessUnit) -> int:
        return unit.pts

    def _payloads(self, unit: AccessUnit) -> Sequence[bytes]:
        return PACKETIZERS[unit.track.codec](unit.data, WHOLE_PAYLOAD_BYTES)

    def _run(self, numbered: NumberedUnit, payloads: Sequence[bytes]) -> RtpRun:
        line, unit = numbered.line, numbered.unit
        track = unit.track
        return RtpRun(
            line,
            self._lines[line],
            sequence_number=numbered.sequence_number,
            timestamp=numbered.timestamp & 0xFFFFFFFF,
            payloads=payloads,
            # In audio without units of several packets the marker means a talk spurt (RFC 3551 §4.1).
            marker=track.kind is MediaKind.VIDEO or track.codec is Codec.AAC,
            starts=unit.key,
            extension=unit_extension.pack(unit),
            preamble=self._tracks_report(numbered) if numbered.tracks else b"",
        )

    def _tracks_report(self, numbered: NumberedUnit) -> bytes:
        ssrc = self._lines[numbered.line].ssrc
        told = [
            notice for track in numbered.tracks if (notice := notices.pack_track(track, ssrc)) is not None
        ]
        return rtcp.pack([rtcp.ReceiverReport(ssrc), *told])

    def _gap_report(self, gap: Gap) -> bytes:
        ssrc = self._lines[self._lead].ssrc
        return rtcp.pack([rtcp.ReceiverReport(ssrc), notices.pack_gap(gap, ssrc)])

    def _notice(self, gap: Gap) -> RtpRun:
        """A gap as a run without packets, for one client."""
        return RtpRun(
            self._lead,
            self._lines[self._lead],
            sequence_number=self._sequence_numbers[self._lead],
            timestamp=0,
            payloads=(),
            marker=False,
            starts=False,
            preamble=self._gap_report(gap),
        )
