"""A camera that is published to us: wait for a publisher, then let it fill the feed."""

from vms.common.camera import Camera
from vms.common.clock import Clock
from vms.common.errors import Unavailable
from vms.ingest.errors import PublisherLeft, SourceError, SourceUnreachable
from vms.ingest.feed import Feed
from vms.ingest.publication import NO_PUBLISHER
from vms.ingest.publishers import Publishers
from vms.ingest.rtsp_source import RtspSource
from vms.ingest.source import Source, SourceFactory


class WhipSource:
    """Implements `Source` for whip:// cameras."""

    def __init__(self, camera: Camera, publishers: Publishers) -> None:
        self._camera = camera
        self._publishers = publishers

    async def run(self, feed: Feed) -> None:
        feed.waiting = NO_PUBLISHER
        try:
            with self._publishers.place(self._camera.id, feed) as place:
                reason = await place.ended
        except SourceError:
            raise
        except Unavailable as error:
            raise SourceUnreachable(f"{self._camera.id}: {error}") from error
        raise PublisherLeft(f"{self._camera.id}: {reason}; it waits for another one")


def sources(publishers: Publishers) -> SourceFactory:
    """The source that a camera's URL asks for."""

    def open_source(camera: Camera, clock: Clock) -> Source:
        if camera.source.scheme == "whip":
            return WhipSource(camera, publishers)
        return RtspSource(camera, clock)

    return open_source
