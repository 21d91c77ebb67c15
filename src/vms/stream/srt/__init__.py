"""Cameras' live streams over SRT, as MPEG transport streams: to callers, and to listeners that we call.

Belongs here: who may watch, one muxing for all viewers of a stream, what a viewer that is too slow misses, pushes.
Does not: SRT itself (vms.wire.srt), the transport stream (vms.format.mpegts), receiving (vms.ingest).
"""

from vms.stream.srt.access import SrtAccess, srt_url
from vms.stream.srt.push import Push, PushState
from vms.stream.srt.service import SrtService

__all__ = ["Push", "PushState", "SrtAccess", "SrtService", "srt_url"]
