"""A hub's media for anybody's player: plain RTP, in packets that fit a network.

A player knows of no gap and of no new track: after a loss it gets no picture before the next key picture,
timestamps only advance, and parameter sets precede every key picture.

Belongs here: what a player's packet holds, how a player joins. Does not: numbers (feed), clients (vms.wire.rtsp).
"""

from collections.abc import Sequence

from vms.common.clock import Clock
from vms.format import h264, h265, nal
from vms.media import AccessUnit, Codec, Gap, Hub, MediaKind, Track
from vms.relay.feed import WHOLE_PAYLOAD_BYTES, HubFeed, NumberedUnit
from vms.wire.payload.by_codec import PACKETIZERS
from vms.wire.rtp_clock import RtpClock
from vms.wire.rtsp.server_feed import RtpRun

MAX_PAYLOAD_BYTES = 1400  # with headers, less than an Ethernet frame holds, tunnels included
CATCH_UP_MAX_BYTES = 4 << 20
CATCH_UP_MAX_PICTURES = 300
CATCH_UP_STEP = 90  # ticks: 1 ms, the finest that Matroska and FLV can tell apart

_UNCUT = frozenset({Codec.PCMU, Codec.PCMA, Codec.OPUS})  # their formats know no fragments
_DELIMITERS = {
    Codec.H264: (h264.nal_type, h264.ACCESS_UNIT_DELIMITER),
    Codec.H265: (h265.nal_type, h265.ACCESS_UNIT_DELIMITER),
}


class PublicFeed(HubFeed):
    """A hub's feed for `PublicRtsp`."""

    def __init__(self, hub: Hub, clock: Clock) -> None:
        super().__init__(hub, clock)
        self._clocks = [RtpClock(line.track.clock_rate) for line in self._lines]
        self._broken = False  # pictures are missing up to the next key picture

    def catch_up(self) -> Sequence[RtpRun]:
        """The pictures since the newest key picture, made to be shown just before the newest ones.

        They are a millisecond apart in the order of presentation, so that a player decodes them at once and shows what
        is live; those that pictures to come may precede keep their time. Sound begins live.
        """
        pictures = [each for each in self._group() if each.line == self._lead]
        size = sum(len(each.unit.data) for each in pictures)
        if not pictures or len(pictures) > CATCH_UP_MAX_PICTURES or size > CATCH_UP_MAX_BYTES:
            return ()
        if pictures[0].unit.track.kind is not MediaKind.VIDEO:
            return ()
        shown = sorted(each.timestamp for each in pictures)
        depth = pictures[-1].unit.track.max_reorder
        first_live = max(len(shown) - 1 - depth, 0)
        moved = {
            old: shown[first_live] - CATCH_UP_STEP * (first_live - rank)
            for rank, old in enumerate(shown[:first_live])
        }
        return [
            self._run(
                each._replace(timestamp=moved.get(each.timestamp, each.timestamp)), self._payloads(each.unit)
            )
            for each in pictures
        ]

    def gap(self, gap: Gap) -> None:
        super().gap(gap)
        self._broken = True

    def _shape_of(self, tracks: Sequence[Track]) -> object:
        # Parameter sets of pictures go in band; a sound's are known from the session description alone.
        return tuple(
            (
                track.id,
                track.codec,
                track.clock_rate,
                track.parameter_sets if track.kind is MediaKind.AUDIO else (),
            )
            for track in tracks
        )

    def _takes(self, unit: AccessUnit) -> bool:
        if unit.track.kind is not MediaKind.VIDEO:
            return True
        if unit.key:
            self._broken = False
        elif unit.discontinuity:
            self._broken = True
        return not self._broken

    def _timestamp_of(self, line: int, pts: int) -> int:
        return self._clocks[line].at(pts)

    def _timestamp(self, line: int, unit: AccessUnit) -> int:
        return self._clocks[line].timestamp(unit)

    def _payloads(self, unit: AccessUnit) -> Sequence[bytes]:
        codec = unit.track.codec
        data = _with_parameter_sets(unit) if unit.key and codec in _DELIMITERS else unit.data
        return PACKETIZERS[codec](data, WHOLE_PAYLOAD_BYTES if codec in _UNCUT else MAX_PAYLOAD_BYTES)

    def _run(self, numbered: NumberedUnit, payloads: Sequence[bytes]) -> RtpRun:
        line, unit = numbered.line, numbered.unit
        return RtpRun(
            line,
            self._lines[line],
            sequence_number=numbered.sequence_number,
            timestamp=numbered.timestamp & 0xFFFFFFFF,
            payloads=payloads,
            marker=unit.track.codec not in _UNCUT,
            starts=unit.key,
        )


def _with_parameter_sets(unit: AccessUnit) -> bytes:
    """A key picture with the parameter sets that it needs. Raises FormatError."""
    data, sets = unit.data, unit.track.parameter_sets
    has_sets = h264.has_parameter_sets if unit.track.codec is Codec.H264 else h265.has_parameter_sets
    if not sets or has_sets(data):
        return data
    nals = list(nal.split(data))
    nal_type, delimiter = _DELIMITERS[unit.track.codec]
    # Only an access unit delimiter may come before them (ITU-T H.264 §7.4.1.2.3, H.265 §7.4.2.4.4).
    at = 1 if nal_type(nals[0]) == delimiter else 0
    return nal.join([*nals[:at], *sets, *nals[at:]])
