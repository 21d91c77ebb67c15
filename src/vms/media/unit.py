"""One encoded picture or audio frame: the unit that every part of the system passes on."""

from typing import NamedTuple

from vms.media.track import Track


class AccessUnit(NamedTuple):
    """One encoded picture or audio frame, immutable (ITU-T H.264 §3.1, ISO 14496-12 sample).

    track: the line it belongs to, in the version that was active; `unit.track is other.track` means
        that nothing about the encoding changed between the two.
    data: for H.264 and H.265 the NAL units exactly as sent and in order, each behind its length in
        4 bytes, big-endian; for audio one frame as the codec defines it.
    dts, pts: ticks of `track.clock_rate` on the stream's timeline: one zero for all tracks of a stream,
        never negative, dts strictly rising within a track, continuous until a `discontinuity`. pts may lie
        before dts while a stream is found out to reorder more than it declared.
    key: decoding can start here (H.264 IDR, H.265 IRAP); always True for audio.
    discontinuity: something is missing, or the timeline jumped, between the track's last unit and this one.
    capture_ns: wall-clock time (UTC) of capture; never falls within a track between discontinuities.
    arrival_ns: monotonic time at which the unit's last packet arrived.
    """

    track: Track
    data: bytes
    dts: int
    pts: int
    key: bool
    discontinuity: bool
    capture_ns: int
    arrival_ns: int
