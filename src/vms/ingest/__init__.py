"""Pull cameras: one supervisor a stream, from connection to hub.

Belongs here: connecting and reconnecting, the stream timeline, watchdogs, live state.
Does not: protocols (vms.wire), bit streams (vms.format), what is done with the media (vms.storage, vms.stream).
"""

from vms.ingest.service import IngestService
from vms.ingest.status import CameraState, StreamStatus

__all__ = ["CameraState", "IngestService", "StreamStatus"]
