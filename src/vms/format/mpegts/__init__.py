"""MPEG transport streams (ISO/IEC 13818-1): what SRT carries.

Belongs here: access units into packets of 188 bytes and out of them, in memory. Does not: what carries the packets.
"""

from vms.format.mpegts.demuxer import TsDemuxer
from vms.format.mpegts.frames import TsFrame
from vms.format.mpegts.muxer import MUXABLE, TsMuxer

__all__ = ["MUXABLE", "TsDemuxer", "TsFrame", "TsMuxer"]
