"""How a viewer receives, as its own reports say it.

Belongs here: receiver reports and REMB turned into seconds, shares and bits a second. Does not: RTCP's bytes
(vms.wire.rtcp), what follows from it (vms.stream.webrtc.quality).
"""

from dataclasses import dataclass

from vms.common.stream_name import StreamName
from vms.wire.rtcp import ReportBlock, middle_32, unix_ns_to_ntp

MAX_RTT_S = 60.0  # beyond it the report answers none of ours, or the wall clock was set meanwhile


@dataclass(frozen=True, slots=True)
class SessionStats:
    """One viewer, now. Counters run from the session's beginning; what no report has told yet is None.

    stream: what it is sent. jitter_s, fraction_lost (0…1, since the report before), round_trip_s: of the newest
    receiver report. estimated_bps: what the viewer thinks it can take, of the newest REMB.
    queued_bytes: what waits for its socket.
    """

    stream: StreamName
    frames: int
    frames_skipped: int
    packets_lost: int
    resent: int
    key_requests: int
    switches: int
    queued_bytes: int
    jitter_s: float | None
    fraction_lost: float | None
    round_trip_s: float | None
    estimated_bps: int | None


class Reception:
    """What one viewer reports of one track. See SessionStats for the fields; reports: how many were taken."""

    __slots__ = ("estimated_bps", "fraction_lost", "jitter_s", "packets_lost", "reports", "round_trip_s")

    def __init__(self) -> None:
        self.reports = 0
        self.packets_lost = 0
        self.jitter_s: float | None = None
        self.fraction_lost: float | None = None
        self.round_trip_s: float | None = None
        self.estimated_bps: int | None = None

    def note(self, report: ReportBlock, clock_rate: int, wall_ns: int) -> None:
        """Take a report about the track. wall_ns: now, on the clock of our sender reports."""
        self.reports += 1
        self.packets_lost = max(self.packets_lost, report.packets_lost)
        self.fraction_lost = report.fraction_lost / 256
        self.jitter_s = report.jitter / clock_rate
        if report.last_sr:
            # RFC 3550 §6.4.1: all three are the middle 32 bits of NTP times, modulo their 18 hours.
            now = middle_32(unix_ns_to_ntp(wall_ns))
            trip = now - report.last_sr - report.delay_since_last_sr & 0xFFFFFFFF
            trip -= trip >> 31 << 32  # a clock's rounding may make it negative
            if trip < MAX_RTT_S * 65536:
                self.round_trip_s = max(0, trip) / 65536
