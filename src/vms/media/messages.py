"""Tracks as they travel between processes (camera.proto).

Belongs here: field by field, both ways. Does not: what carries them (vms.relay, vms.app).
"""

from vms.media.track import Codec, Track
from vms.proto import camera_pb2


def track_message(track: Track) -> camera_pb2.Track:
    """The message that `track_of` makes the same track of."""
    return camera_pb2.Track(
        id=track.id,
        codec=track.codec.value,
        clock_rate=track.clock_rate,
        parameter_sets=track.parameter_sets,
        version=track.version,
        width=track.width,
        height=track.height,
        max_reorder=track.max_reorder,
        sample_rate=track.sample_rate,
        channels=track.channels,
    )


def track_of(message: camera_pb2.Track) -> Track:
    """The track of a message. Raises ValueError for a codec that this version does not know."""
    return Track(
        id=message.id,
        codec=Codec(message.codec),
        clock_rate=message.clock_rate,
        parameter_sets=tuple(message.parameter_sets),
        version=message.version,
        width=message.width,
        height=message.height,
        max_reorder=message.max_reorder,
        sample_rate=message.sample_rate,
        channels=message.channels,
    )
