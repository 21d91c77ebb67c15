"""Access units of one stream → frames of RTP payloads, once for all viewers.

Belongs here: packet numbering, parameter sets put in band. Does not: payload formats
(vms.wire.payload), viewers (vms.stream.webrtc.egress).
"""

import secrets

from vms.format import h264, nal
from vms.format.errors import FormatError
from vms.media import AccessUnit, Codec, MediaKind, Track
from vms.wire.payload import h264 as h264_payload
from vms.wire.rtcp import unix_ns_to_ntp
from vms.wire.rtp_clock import RtpClock
from vms.wire.webrtc.frame import MAX_PAYLOAD_BYTES, Frame

G711_CHUNK_BYTES = 960  # 120 ms; only cameras with very long audio frames need a cut


class TrackPacketizer:
    """Makes the frames of one track; numbers their packets without a break.

    units_refused counts units that cannot be sent: broken, or too large.
    """

    def __init__(self, codec: Codec, clock_rate: int) -> None:
        self.codec = codec
        self.clock_rate = clock_rate
        self.units_refused = 0
        self._clock = RtpClock(clock_rate)
        self._index = secrets.randbits(15)

    def fits(self, track: Track) -> bool:
        """Whether frames of `track` can go out in what was negotiated for this one."""
        return track.codec is self.codec and track.clock_rate == self.clock_rate

    def frames(self, unit: AccessUnit, now_ns: int) -> list[Frame]:
        """The frames of one unit: one, or none when it cannot be sent, or several of long audio."""
        try:
            pieces = self._pieces(unit)
        except FormatError:
            pieces = []
        if not pieces:
            self.units_refused += 1
            return []
        timestamp = self._clock.timestamp(unit)
        return [self._frame(unit, payloads, timestamp + offset, now_ns) for offset, payloads in pieces]

    def _pieces(self, unit: AccessUnit) -> list[tuple[int, list[bytes]]]:
        """(offset in ticks, payloads) of each frame."""
        if self.codec is Codec.H264:
            payloads = _h264_payloads(unit)
            return [(0, payloads)] if payloads else []
        if 0 < len(unit.data) <= MAX_PAYLOAD_BYTES:
            return [(0, [unit.data])]
        if self.codec is Codec.OPUS:
            return []
        return [  # G.711 has one tick a byte
            (at, [unit.data[at : at + G711_CHUNK_BYTES]]) for at in range(0, len(unit.data), G711_CHUNK_BYTES)
        ]

    def _frame(self, unit: AccessUnit, payloads: list[bytes], timestamp: int, now_ns: int) -> Frame:
        video = unit.track.kind is MediaKind.VIDEO
        frame = Frame(
            payloads,
            self._index,
            timestamp,
            video=video,
            key=unit.key,
            marker=video,
            capture_ns=unit.capture_ns,
            capture_ntp=unix_ns_to_ntp(unit.capture_ns),
            pushed_ns=now_ns,
        )
        self._index += len(payloads)
        return frame


def _h264_payloads(unit: AccessUnit) -> list[bytes]:
    data, sets = unit.data, unit.track.parameter_sets
    if unit.key and sets and not h264.has_parameter_sets(data):
        # A decoder that joins here knows nothing of the SDP that the camera put them in. Only an access
        # unit delimiter may come before them (ITU-T H.264 §7.4.1.2.3).
        nals = list(nal.split(data))
        at = 1 if nals and h264.nal_type(nals[0]) == h264.ACCESS_UNIT_DELIMITER else 0
        data = nal.join([*nals[:at], *sets, *nals[at:]])
    return h264_payload.packetize(data, MAX_PAYLOAD_BYTES)
