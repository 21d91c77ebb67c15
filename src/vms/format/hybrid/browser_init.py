"""Init segments for browsers that cannot play every track of a recording.

Media Source Extensions refuse an init segment with G.711 in it, but skip tracks of kinds that they do not
know, in the init segment and in every fragment (tried: Chromium 156). So a track is hidden by its handler
type, and the fragments of the recording serve as they are.
"""

from collections.abc import Collection
from struct import Struct

from vms.format.errors import FormatError
from vms.format.mp4.boxes import children, require, unpack

_TRACK_ID = Struct(">I")
_HIDDEN_HANDLER = b"meta"


def hide_tracks(init: bytes, track_ids: Collection[int]) -> bytes:
    """`init`, of the same length, with the tracks of `track_ids` made ones that players skip.

    init: the bytes of `SegmentFile.init`. Raises FormatError when it is no init segment of ours.
    """
    data = bytearray(init)
    with memoryview(data) as view:
        for trak in children(require(view, b"moov")):
            if trak.kind != b"trak":
                continue
            (track_id,) = unpack(_TRACK_ID, require(trak.payload, b"tkhd"), 12, "tkhd")
            handler = require(trak.payload, b"mdia", b"hdlr")
            if track_id in track_ids:
                if len(handler) < 12:
                    raise FormatError("hdlr: ends in the middle")
                handler[8:12] = _HIDDEN_HANDLER
    return bytes(data)
