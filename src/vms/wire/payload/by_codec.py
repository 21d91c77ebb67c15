"""Which payload format carries which codec: the table for senders that take any track.

Belongs here: the table alone. Does not: the formats, a module a codec beside this one.
"""

from collections.abc import Callable, Mapping

from vms.media import Codec
from vms.wire.payload import aac, audio, h264, h265

Packetize = Callable[[bytes, int], list[bytes]]
"""(access unit, most bytes of a payload) → RTP payloads in sending order."""

PACKETIZERS: Mapping[Codec, Packetize] = {
    Codec.H264: h264.packetize,
    Codec.H265: h265.packetize,
    Codec.AAC: aac.packetize,
    Codec.PCMU: audio.packetize,
    Codec.PCMA: audio.packetize,
    Codec.OPUS: audio.packetize,
}
