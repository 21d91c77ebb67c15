"""RTP payload formats, receiving: packets in, access units out. A module a codec.

A depayloader is told of every packet of its stream in order (`push`) and of every hole (`lost`). It makes
no object per packet beyond the slice that it keeps, and hands on only what is whole.

Belongs here: RFC 6184, 7798, 3640, 7587, 3551 payloads. Does not: sequence numbers (vms.wire.reception),
sockets, bit streams beyond the few bits that tell where a picture begins.
"""

from typing import Protocol

from vms.wire.rtp import Buffer


class UnitReceiver(Protocol):
    """Who gets what a depayloader makes."""

    def access_unit(self, data: bytes, rtp_timestamp: int, key: bool, lost: bool, arrival_ns: int) -> None:
        """One whole picture or audio frame.

        data: H.264 and H.265: NAL units as sent and in order, each behind 4 bytes of length; audio: one frame.
        rtp_timestamp: without wrapping; goes back where B-frames are, and may be negative.
        lost: something between the unit before and this one is missing.
        arrival_ns: monotonic time at which its last packet came.
        """

    def parameter_sets(self, sets: tuple[bytes, ...]) -> None:
        """The parameter sets in force from the next unit on; only when they differ from those known."""


class Timeline(Protocol):
    def advance(self, timestamp: int, arrival_ns: int) -> int:
        """The unwrapped value of a packet's timestamp; called once per new timestamp."""


class Depayloader(Protocol):
    """units: delivered. units_broken: begun, but not delivered because part is missing or wrong.
    packets_ignored: of a kind that is not received, or malformed."""

    units: int
    units_broken: int
    packets_ignored: int

    def push(  # noqa: PLR0917 - called once a packet, where keywords would cost
        self, buffer: Buffer, start: int, end: int, timestamp: int, marker: int, arrival_ns: int
    ) -> None:
        """Take the payload in ``buffer[start:end]``; the buffer is the caller's again on return.

        marker: non-zero when the packet's marker bit is set. Never raises for what the payload holds.
        """

    def lost(self) -> None:
        """Packets are missing before the next push."""

    def flush(self) -> None:
        """The stream has ended: deliver what is known to be whole."""
