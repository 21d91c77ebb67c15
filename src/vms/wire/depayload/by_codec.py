"""Which depayloader takes which codec: the table for receivers that take any line.

Belongs here: the choice alone. Does not: the formats, a module a codec beside this one.
"""

from collections.abc import Mapping, Sequence

from vms.media import Codec
from vms.wire.depayload import Depayloader, Timeline, UnitReceiver
from vms.wire.depayload.aac import AacDepayloader, AacFormat
from vms.wire.depayload.g711 import G711Depayloader
from vms.wire.depayload.h264 import H264Depayloader
from vms.wire.depayload.h265 import H265Depayloader
from vms.wire.depayload.opus import OpusDepayloader


def make_depayloader(
    codec: Codec,
    receiver: UnitReceiver,
    timeline: Timeline,
    *,
    clock_rate: int,
    parameter_sets: Sequence[bytes] = (),
    format_parameters: Mapping[str, str] | None = None,
    trust_markers: bool = False,
) -> Depayloader:
    """The depayloader of a line as its session description describes it. Raises UnsupportedMedia.

    trust_markers: the sender of pictures is known to set them right (see vms.wire.depayload.picture).
    """
    match codec:
        case Codec.H264:
            return H264Depayloader(receiver, timeline, parameter_sets, trust_markers=trust_markers)
        case Codec.H265:
            return H265Depayloader(receiver, timeline, parameter_sets, trust_markers=trust_markers)
        case Codec.AAC:
            aac = AacFormat.parse(format_parameters or {}, clock_rate)
            return AacDepayloader(receiver, timeline, aac)
        case Codec.PCMU | Codec.PCMA:
            return G711Depayloader(receiver, timeline)
        case Codec.OPUS:
            return OpusDepayloader(receiver, timeline)
