"""Payload formats in which every packet is one whole unit."""

from vms.wire.depayload import Timeline, UnitReceiver
from vms.wire.rtp import Buffer


class PacketDepayloader:
    """Hands on each payload as it is; always a key unit, because audio decodes from anywhere."""

    __slots__ = ("_lost", "_receiver", "_timeline", "packets_ignored", "units", "units_broken")

    def __init__(self, receiver: UnitReceiver, timeline: Timeline) -> None:
        self.units = 0
        self.units_broken = 0
        self.packets_ignored = 0
        self._receiver = receiver
        self._timeline = timeline
        self._lost = False

    def push(  # noqa: PLR0917 - called once a packet, where keywords would cost
        self, buffer: Buffer, start: int, end: int, timestamp: int, marker: int, arrival_ns: int
    ) -> None:
        """See Depayloader.push."""
        if end <= start:
            self.packets_ignored += 1
            return
        lost, self._lost = self._lost, False
        self.units += 1
        unwrapped = self._timeline.advance(timestamp, arrival_ns)
        self._receiver.access_unit(bytes(buffer[start:end]), unwrapped, True, lost, arrival_ns)

    def lost(self) -> None:
        """Packets are missing before the next push."""
        self._lost = self.units > 0

    def flush(self) -> None:
        """Nothing is ever kept."""
