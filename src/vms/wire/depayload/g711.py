"""G.711 over RTP (RFC 3551 §4.5.14): a packet is a unit of samples, one byte each per channel."""

from vms.wire.depayload.packet import PacketDepayloader


class G711Depayloader(PacketDepayloader):
    """One PCMU or PCMA line; a unit is what one packet holds, 20 ms as a rule."""

    __slots__ = ()
