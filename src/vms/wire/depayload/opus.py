"""Opus over RTP (RFC 7587 §4.2): a packet is one Opus packet; timestamps tick at 48 kHz."""

from vms.wire.depayload.packet import PacketDepayloader


class OpusDepayloader(PacketDepayloader):
    """One Opus line; its markers (start of a talk spurt) say nothing about units."""

    __slots__ = ()
